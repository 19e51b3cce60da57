"""One running demo for all journeys: gateway, three organisations, two apps, each a process of its own.

People of the tests open accounts of their own, so that no journey finds the traces of another. At the organisations
they are customers whom the example data knows.
"""

import itertools
import json
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import PASSWORD, Demo
from gateway.cli.demo_story import Story
from gateway.cli.demo_visitor import Visitor
from tests import engines
from tests.worlds import apps

CUSTOMERS = {"city-energy": "CE-1001", "harbour-bank": "HB-2001", "meadow-health": "MH-3001"}
READING = "/espi/1_1/resource/Batch/Subscription/mine"  # at City Energy
TILL: dict[str, Any] = {
    "redirect_uris": ["https://till.example/callback"],
    "token_endpoint_auth_method": "client_secret_basic",
    "grant_types": ["urn:openid:params:grant-type:ciba", "refresh_token"],
    "backchannel_token_delivery_mode": "poll",
    "purposes": ["sign-in"],
    "scope": "openid email",
    "data": [],
    "asks_anybody": True,
}
_ordinal = itertools.count(1)
_running: list[Demo] = []
_guests: list[None] = []
_clients: list[httpx2.Client] = []  # to be closed when the demo ends


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The folders browser and journeys import this fixture; pytest takes it for two, yet there is one demo."""
    if not _running:
        _running.append(started(tmp_path_factory.mktemp("town")))
    _guests.append(None)
    yield _running[0]
    _guests.pop()
    if not _guests:
        demo_setup.stop(_running.pop())
        while _clients:
            _clients.pop().close()


def started(folder: Path) -> Demo:
    """a demo of one's own, for who breaks things. To be ended with `demo_setup.stop`."""
    demo = demo_setup.prepare(folder, 0, engines.of_a_demo(folder))
    with warnings.catch_warnings():  # each process's log file is left for the garbage collector to close
        warnings.simplefilter("ignore", ResourceWarning)
        demo_setup.start(demo, lambda _line: None)
    return demo


@dataclass
class Resident:
    """A person with an account at the gateway, and her browser without a window."""

    demo: Demo
    name: str
    email: str
    visitor: Visitor

    def __post_init__(self) -> None:
        self.story = Story(self.demo, self.email)  # both sides of the OAuth flow, played for her
        for client in (self.story.http, self.story.alice._client):
            _clients.append(client)
        self.story.alice = self.visitor

    @property
    def gateway(self) -> str:
        return self.demo.url("gateway")

    def cookies(self) -> list[Any]:
        """Her sign-in, for a browser with a window. A cookie named __Host- is only taken for an https address."""
        jar = self.visitor._cookies[self.gateway]
        address = self.gateway.replace("http:", "https:")
        return [
            {"name": name, "value": value, "url": address, "secure": True, "httpOnly": True}
            for name, value in jar.items()
        ]

    def is_asked(self, message: str, app: str = "till") -> str:
        """By an app that is not there (CIBA). The path of the request on her pages."""
        form = {"scope": "openid email", "login_hint": self.email, "binding_message": message}
        answer = self.story.http.post(f"{self.gateway}/bc-authorize", data=form, auth=(app, secret_of(self.demo, app)))
        assert answer.status_code == 200, answer.text
        listed = self.visitor.get(f"{self.gateway}/sharings").body
        return re.findall(r'href="(/requests/[^"]+)"', listed)[-1]

    def links(self, *organisations: str) -> None:
        for name in organisations:
            if name == "city-energy":
                self._links_by_their_pages()
            else:
                self.story.link_by_code(name, CUSTOMERS[name])

    def _links_by_their_pages(self) -> None:
        page = self.visitor.get(f"{self.gateway}/organisations/city-energy/link")
        page = self.visitor.submit(page, page.form("/organisations/city-energy/link"))
        page = self.visitor.submit(page, page.forms[0], customer_number=CUSTOMERS["city-energy"], password=PASSWORD)
        page = self.visitor.submit(page, page.forms[0], press="yes")
        assert page.status == 200 and urlsplit(page.url).netloc == urlsplit(self.gateway).netloc, page.text


def newcomer(demo: Demo, name: str = "Alice Martin", born: date | None = None) -> Resident:
    """Opens an account and signs in."""
    email = f"newcomer.{next(_ordinal)}@example.org"
    visitor = stranger(demo)
    page = visitor.get(f"{demo.url('gateway')}/register")
    page = visitor.submit(
        page,
        page.form("/register"),
        name=name,
        email=email,
        password=PASSWORD,
        birth_date=born.isoformat() if born else "",
    )
    return signed_in(demo, name, email, visitor)


def secret_of(demo: Demo, app: str) -> str:
    """The secret of an app that asks people who are not there, which is registered now if it is new."""
    known = demo.folder / f"{app}.secret"
    if not known.exists():
        declaration = apps.declaration(app, **TILL)
        lines = [f"{key} = {json.dumps(value)}" for key, value in declaration.items() if not isinstance(value, dict)]
        names = ", ".join(f'{language} = "{text}"' for language, text in declaration["name"].items())
        file = known.with_suffix(".toml")
        file.write_text("\n".join([*lines, f"name = {{ {names} }}"]) + "\n", encoding="utf-8")
        told = demo_setup.aval(demo, "apps", "add", str(file))
        known.write_text(re.findall(r"client_secret: (\S+)", told)[0])
    return known.read_text()


def stranger(demo: Demo) -> Visitor:
    """A browser that nobody has signed in with."""
    visitor = Visitor(demo.url("gateway"), *(demo.url(each) for each in demo_setup.ORGANISATIONS))
    _clients.append(visitor._client)
    return visitor


def signed_in(demo: Demo, name: str, email: str, visitor: Visitor | None = None) -> Resident:
    """Someone who has an account, such as the four people of the demo."""
    visitor = visitor or stranger(demo)
    page = visitor.get(f"{demo.url('gateway')}/sign-in")
    page = visitor.submit(page, page.form("/sign-in"), email=email, password=PASSWORD)
    assert page.status == 200 and name.split()[0] in page.text, page.text
    return Resident(demo, name, email, visitor)


def relaunch(demo: Demo) -> None:
    """The gateway again, after it was stopped or killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        demo_setup._launch(demo, "gateway", [sys.executable, "-m", "gateway", "serve"], demo.environment())
    demo_setup._await_ready(demo, "gateway")
