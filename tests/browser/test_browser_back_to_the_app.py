"""The way back to an app that is not as simple as the examples: a callback that redirects again, a scheme of its own.

A browser silently blocks such a way when a form's answer redirects (form-action); ours ends on a page.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from browser_world import Window

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from tests.worlds.demo import Resident

DECLARATION = """
client_id = "{client}"
name = {{ fr = "Tout Droit", en = "Straight Home" }}
legal_entity = "Straight Home SAS"
website = "https://straight.example"
privacy_policy = "https://straight.example/privacy"
terms = "https://straight.example/terms"
deletion_contact = "delete@straight.example"
redirect_uris = ["{redirect}"]
token_endpoint_auth_method = "none"
application_type = "{kind}"
purposes = ["energy-advice"]
recipients = []

[[data]]
organisation = "city-energy"
dataset = "energy.electricity.usage"
fields = ["interval.start", "interval.value"]
necessity = "required"
[data.reason]
fr = "Pour dessiner votre semaine."
en = "To draw your week."
"""


class _Callback(BaseHTTPRequestHandler):
    """/callback sends the browser on to /arrived under another name of this machine: another origin."""

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Referer")))  # type: ignore[attr-defined]
        if self.path.startswith("/callback"):
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/arrived")  # type: ignore[attr-defined]
        else:
            self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>there</title><h1>Arrived</h1>")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal of the tests."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Callback)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def apps(world: Demo, elsewhere: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """client id → redirect address, registered while the gateway runs."""
    folder: Path = tmp_path_factory.mktemp("apps")
    known = {
        "straight-web": (f"http://localhost:{elsewhere.server_address[1]}/callback", "web"),
        "straight-phone": ("example.straight.app:/callback", "native"),
    }
    for client, (redirect, kind) in known.items():
        file = folder / f"{client}.toml"
        file.write_text(DECLARATION.format(client=client, redirect=redirect, kind=kind), encoding="utf-8")
        demo_setup.aval(world, "apps", "add", str(file))
    return {client: redirect for client, (redirect, _) in known.items()}


def request_of(world: Demo, client: str, redirect: str) -> tuple[str, str]:
    """(address for the browser, state) of a pushed request."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    gateway = world.url("gateway")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    detail = {
        "type": "data_access",
        "locations": [f"{gateway}/data/city-energy"],
        "datatypes": ["energy.electricity.usage"],
        "actions": ["read"],
        "purpose": "energy-advice",
        "period": {"history": "P3M", "future": False},
        "frequency": {"times": 4, "per": "day"},
        "valid_for": "P3M",
        "retention": "P1M",
    }
    form = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": redirect,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([detail]),
    }
    pushed = httpx2.post(f"{gateway}/par", data=form, timeout=30)
    assert pushed.status_code == 201, pushed.text
    query = urlencode({"client_id": client, "request_uri": pushed.json()["request_uri"]})
    return f"{gateway}/authorize?{query}", state


@pytest.mark.parametrize("answer", ["allow", "refuse"])
def test_a_callback_that_redirects_again_is_reached_without_a_referer(
    opens: Any, linked: Resident, apps: dict[str, str], elsewhere: Any, js: bool, answer: str
) -> None:
    elsewhere.seen.clear()
    window: Window = opens(linked, js=js)
    port = elsewhere.server_address[1]
    window.outside = {f"http://localhost:{port}", f"http://127.0.0.1:{port}"}
    address, state = request_of(linked.demo, "straight-web", apps["straight-web"])
    window.go(address)
    assert f"You will go back to localhost:{port}" in window.text()
    if answer == "allow":
        window.choose_accounts("city-energy")
    window.decide(answer)
    window.page.wait_for_url("**/arrived")
    paths = [path for path, _ in elsewhere.seen if path.startswith("/callback")]
    given = parse_qs(urlsplit(paths[0]).query)
    assert len(paths) == 1 and given["state"] == [state] and given["iss"] == [linked.gateway]
    assert ("code" in given) == (answer == "allow")
    assert elsewhere.seen[0][1] is None, "the callback learned where its visitor came from"


def test_an_app_with_a_scheme_of_its_own_gets_a_link_to_press(
    opens: Any, linked: Resident, apps: dict[str, str], js: bool
) -> None:
    window: Window = opens(linked, js=js)
    window.outside = {"example.straight.app://"}
    address, state = request_of(linked.demo, "straight-phone", apps["straight-phone"])
    window.go(address)
    assert "You will go back to the app Straight Home (example.straight.app:)" in window.text()
    window.choose_accounts("city-energy").decide("allow")
    link = window.page.locator("main a.button")
    link.wait_for()
    target = urlsplit(str(link.get_attribute("href")))
    given = parse_qs(target.query)
    assert (target.scheme, target.path) == ("example.straight.app", "/callback")
    assert given["state"] == [state] and len(given["code"][0]) >= 40
    assert "Straight Home" in window.text() and "Your answer is recorded" in window.text()
