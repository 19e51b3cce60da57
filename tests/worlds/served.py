"""A gateway that is prepared by the rooms' verbs then served by processes of its own, with people and apps who call it.

    town = prepared(folder, database_url)       # people with a link, apps, keys; nothing runs yet
    with serving(town, 2) as ports: …           # `aval serve`, so many processes
    Http(ports[0], town.home)                   # one connection to one of them

The apps: `meter` is public, so that its refresh tokens rotate; `worker` proves who it is by a secret; `till` asks
people who are not there (CIBA).
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from gateway.app import build_house
from gateway.apps import declare, verbs
from gateway.formats.model import FoundAccount
from gateway.ground.keys import fresh
from gateway.ground.store import migrate
from gateway.ground.web import cookies
from gateway.house import House
from gateway.organisations import links
from gateway.people import seeding, sign_ins
from gateway.settings import Settings
from tests.ports import free_port
from tests.worlds import apps
from tests.worlds.organisations import organisation_row

CALLBACK = "http://localhost:8411/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_WORDS = {"fr": "Pour vous.", "en": "For you."}
_FIELDS = ["interval.start", "interval.value"]
_WANTED: dict[str, Any] = {
    "redirect_uris": [CALLBACK],
    "purposes": ["energy-advice"],
    "data": [
        {
            "organisation": "city-energy",
            "dataset": "energy.electricity.usage",
            "fields": _FIELDS,
            "necessity": "required",
            "reason": _WORDS,
        }
    ],
}
_APPS: dict[str, dict[str, Any]] = {
    "meter": {"grant_types": ["authorization_code", "refresh_token", DEVICE]},
    "worker": {
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    },
    "till": {
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": [CIBA, "authorization_code", "refresh_token"],
        "backchannel_token_delivery_mode": "poll",
        "purposes": ["energy-advice", "sign-in"],
        "scope": "openid",
        "asks_anybody": True,
    },
}


@dataclass
class Town:
    """`people`: name → id. `signed_in`: name → the secret of her sign-in. `secrets`: app → its client secret."""

    house: House
    people: dict[str, str] = field(default_factory=dict)
    signed_in: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def agrees(self, app: str, person: str) -> "Fill":
        """What she sends on the pages of a request: she says yes, or goes on with what she agreed to before."""
        chosen = self.chosen(app, person)

        def fill(action: str, fields: Mapping[str, str]) -> Mapping[str, str] | None:
            if "seen" in fields:  # the whole screen; beside "go on" there is a form that only refuses
                return {**fields, **chosen}
            return fields if action == "/authorize/continue" else None

        return fill

    @property
    def home(self) -> str:
        return self.house.settings.public_url

    def environment(self, port: int, **more: str) -> dict[str, str]:
        settings = self.house.settings
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AVAL_")},
            **{name: value for name, value in os.environ.items() if name == "AVAL_INTERPRETED"},
            "AVAL_PUBLIC_URL": settings.public_url,
            "AVAL_PORT": str(port),
            "AVAL_DATA_DIR": str(settings.data_dir),
            "AVAL_DATABASE_URL": settings.database_url,
            "AVAL_MARK_FILE": str(settings.mark),
            "AVAL_LOG_FSYNC": str(settings.log_fsync).lower(),
            "AVAL_RECENT_MINUTES": "60",  # so that nobody has to sign in again
            **more,
        }

    def basic(self, app: str) -> str:
        """The Authorization header of an app (RFC 6749 §2.3.1)."""
        return "Basic " + base64.b64encode(f"{app}:{self.secrets[app]}".encode()).decode()

    def cookie(self, person: str) -> str:
        return f"{cookies.SIGN_IN}={self.signed_in[person]}"

    def chosen(self, app: str, person: str) -> dict[str, str]:
        """What is ticked and pressed on the consent screen to say yes."""
        reference = links.reference(self.house.keys, app, self.people[person], "city-energy", "point-1", "")
        return {"accounts:city-energy": reference, "decision": "allow"}

    def asked(self) -> str:
        """The `authorization_details` of a good request."""
        detail = {
            "type": "data_access",
            "locations": [f"{self.home}/data/city-energy"],
            "datatypes": ["energy.electricity.usage"],
            "actions": ["read"],
            "purpose": "energy-advice",
            "fields": _FIELDS,
            "period": {"history": "P12M", "future": True},
            "valid_for": "P6M",
            "retention": "P1M",
        }
        return json.dumps([detail])

    def request(self, app: str, **more: str) -> dict[str, str]:
        """A good authorization request, ready to be pushed."""
        return {
            "client_id": app,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": self.asked(),
            **more,
        }


def prepared(folder: Path, database_url: str = "", people: int = 1, *, fsync: bool = True) -> Town:
    """`people`: how many, alice, bob and then numbers. All are signed in and linked."""
    port = free_port()
    settings = Settings(
        public_url=f"http://localhost:{port}",
        port=port,
        data_dir=folder,
        database_url=database_url,
        mark_file=folder / "mark",
        log_fsync=fsync,
    )
    migrate.upgrade(settings)
    town = Town(build_house(settings, create_keys=True))
    now, house = town.house.clock(), town.house
    with house.store.write() as session:
        session.add(organisation_row("city-energy", "energy", ["energy.electricity.usage"], now))
    with house.store.write() as session:
        for name, more in _APPS.items():
            document = apps.declaration(name, **_WANTED | more)
            declared = declare.parse(document, Path("app.toml"))
            _, secret = verbs.register(session, house.catalogue, house.settings, declared, now)
            town.secrets[name] = secret or ""
        for number in range(people):
            name = ("alice", "bob")[number] if number < 2 else f"person-{number}"
            _moves_in(session, town, name)
    house.pools.close()
    house.store.close()
    return town


def _moves_in(session: Any, town: Town, name: str) -> None:
    house, now, email = town.house, town.house.clock(), f"{name}@example.org"
    new = seeding.prepare(name=name.title(), email=email, password=None, today=now.date(), language="en")
    person = seeding.add_person(session, house.log, house.settings, new, now)
    link, _ = links.make(session, house.keys, person.id, "city-energy", now, new_id=fresh(), customer="***1")
    session.flush()
    links.store_accounts(session, house.keys, link.id, [FoundAccount("point-1", "Point 1", "x")])
    secret = town.signed_in[name] = fresh()
    sign_ins.begin(session, person, "pwd", secret=secret, settings=house.settings, now=now)
    town.people[name] = person.id


# ---- processes


@contextlib.contextmanager
def serving(town: Town, processes: int, **settings: str) -> Iterator[list[int]]:
    """The ports of so many processes of `aval serve` on the town's database. More than one needs PostgreSQL."""
    ports = [town.house.settings.port, *(free_port() for _ in range(processes - 1))]
    with contextlib.ExitStack() as stack:
        for number, port in enumerate(ports):
            output = stack.enter_context((town.house.settings.data_dir / f"serve-{number}.log").open("wb"))
            command, environment = [sys.executable, "-m", "gateway", "serve"], town.environment(port, **settings)
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            stack.callback(_end, process)
            _await(process, port, Path(output.name))
        yield ports


def _await(process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/jwks.json", headers={"Host": "localhost"})
            connection.getresponse().read()
            connection.close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"a gateway did not start: {output.read_text(errors='replace')[-1500:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ---- callers


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class Http:
    """One kept connection to the server at `port` of this machine, which believes to be called at `home`. Cookies are
    kept as a browser keeps them. Not for two threads at once. `network`: the address that the call comes from, one of
    127.0.0.0/8: what is counted for one is not counted for another."""

    def __init__(self, port: int, home: str, cookie: str = "", network: str = "127.0.0.1") -> None:
        self.home = home
        self._host = urlsplit(home).netloc
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(network, 0))
        self.cookies: dict[str, str] = {}
        self.has(cookie)

    def has(self, cookie: str) -> None:
        """From now on this is one of its cookies, as `name=value`."""
        if cookie:
            name, _, value = cookie.partition("=")
            self.cookies[name] = value

    def close(self) -> None:
        self._connection.close()

    def get(self, address: str, **headers: str) -> Answer:
        return self._call("GET", address, None, headers)

    def post(self, address: str, form: Mapping[str, str], **headers: str) -> Answer:
        typed = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._call("POST", address, urlencode(form), typed | headers)

    def _call(self, method: str, address: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        path = address.removeprefix(self.home)
        sent = {"Host": self._host, **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # the server has closed a kept connection
            self._connection.close()
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
        for line in response.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, response.read().decode())


_BROWSER = {"accept": "text/html", "accept-language": "en"}


class Stuck(Exception):
    """A page that leads no further: its status and text."""


Fill = Callable[[str, Mapping[str, str]], Mapping[str, str] | None]


def walk(browser: Http, address: str, fill: Fill, callback: str = CALLBACK) -> dict[str, str]:
    """Open an address and follow it to the app's: what the app is told there.

    `fill`: (action, fields) of a form → what to send; None: it is not the form to send. Raises Stuck where a page leads
    no further.
    """
    answer = browser.get(address, **_BROWSER)
    for _ in range(20):
        goes = answer.headers.get("location") or _refreshes(answer.text)
        if goes and goes.startswith(callback):
            return dict(parse_qsl(urlsplit(goes).query))
        if goes:
            address = goes
            answer = browser.get(address, **_BROWSER)
        else:
            answer = _submitted(browser, address, answer, fill)
    raise Stuck(0, "twenty pages, and no end")


def _submitted(browser: Http, address: str, page: Answer, fill: Fill) -> Answer:
    for action, fields in forms(page.text):
        filled = fill(action, fields)
        if filled is not None:
            return browser.post(action or address, filled, **_BROWSER)
    raise Stuck(page.status, page.text[:1500])


def _refreshes(page: str) -> str | None:
    found = re.search(r'http-equiv="refresh" content="[^"]*url=([^"]+)"', page)
    return unescape(found[1]) if found else None


def forms(page: str) -> list[tuple[str, dict[str, str]]]:
    """(action, fields as they would be sent untouched, no box ticked) of every form."""
    found = []
    for form in re.findall(r"<form.*?</form>", page, re.S):
        action = re.search(r'action="([^"]*)"', form)
        fields = {}
        for tag in re.findall(r"<input[^>]*>", form):
            given = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if "name" in given and (given.get("type") not in ("checkbox", "radio", "submit") or " checked" in tag):
                fields[given["name"]] = unescape(given.get("value", ""))
        found.append((unescape(action[1]) if action else "", fields))
    return found
