"""A whole gateway, with websites that people sign in to: real servers on the loopback interface, which are told of
sign-outs, answer as they like, and keep what they were sent."""

import base64
import contextlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlmodel import select

from gateway.app import Application
from gateway.apps import declare, signing, verbs
from gateway.ground.http.transport import Transport
from gateway.ground.keys import KeyRing
from gateway.ground.pools import Pools
from gateway.ground.store import Store, signing_keys
from gateway.ground.web import cookies
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.notices.tables import AppNotice
from gateway.people import passwords, seeding
from gateway.settings import Settings
from gateway.signals import hearing
from tests.callers import TestClient
from tests.databases import entries, kept, migrated, put, unsynced
from tests.worlds import apps
from tests.worlds.policies import read

HOME = "https://gateway.test"
CALLBACK = "https://site.example/callback"
AFTER = "https://site.example/after?kept=a%20b"
PASSWORD = "correct horse battery"
NEW_PASSWORD = "another horse, another battery"
LOOPBACK = ("127.0.0.0/8",)
SITE: dict[str, Any] = {
    "profile": "oidc",
    "token_endpoint_auth_method": "client_secret_basic",
    "purposes": ["sign-in"],
    "data": [],
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [AFTER],
}


def declaration(client_id: str, **changes: Any) -> dict[str, Any]:
    return apps.declaration(client_id, **{**SITE, **changes})


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


class Website:
    """An app's server. `answers`: status and fields; None: it says nothing until the end."""

    def __init__(self, status: int | None = 200, **fields: str) -> None:
        self.answers: tuple[int | None, dict[str, str]] = (status, fields)
        self.body = ""  # of what it answers
        self.got: list[dict[str, Any]] = []  # path, media type, body, authorization
        self._over = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                shown = self.headers["authorization"]
                site.got.append(
                    {"path": self.path, "media": self.headers["content-type"], "body": body, "authorization": shown}
                )
                status, answered = site.answers
                if status is None:
                    site._over.wait(30)
                    return
                self.send_response(status)
                for name, value in answered.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(site.body)))
                self.end_headers()
                self.wfile.write(site.body.encode())

            def log_message(self, format: str, *values: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.address = f"{self.origin}/told?of=logout"

    def tokens(self) -> list[str]:
        return [parse_qs(one["body"])["logout_token"][0] for one in self.got]

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class _Begun:
    """What the first world began with, which those after it begin with too: to make keys of RSA takes half a second.
    `file`: of its database."""

    keys: KeyRing
    file: bytes
    people: Mapping[str, str]
    secrets: Mapping[str, str]

    def put(self, settings: Settings, store: Store) -> KeyRing:
        shutil.copytree(self.keys.folder, settings.keys)
        assert put(store, self.file)
        keys = KeyRing.of(settings)
        keys._opened.update(self.keys._opened)
        return keys


_BEGUN: list[_Begun] = []


def _new(settings: Settings) -> KeyRing:
    migrated(settings)
    return KeyRing.of(settings, create=True)


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        settings = Settings(public_url=HOME, data_dir=folder, log_fsync=False, outbound_networks=LOOPBACK)
        store, begun = unsynced(settings), bool(_BEGUN) and not settings.database_url
        keys = _BEGUN[0].put(settings, store) if begun else _new(settings)
        catalogue, policies = read(settings.policies)
        pools = Pools()
        signing_keys.begin(store, keys, self.clock.now)
        self.house = House(
            settings=settings,
            store=store,
            keys=keys,
            log=Log(keys, settings.mark, hearing.HEARS),
            catalogue=catalogue,
            policies=policies,
            connector=Transport(settings, pools),
            translations=Translations(),
            clock=self.clock,
            pools=pools,
        )
        self.application = Application(self.house)
        self.secrets: dict[str, str] = {}
        self.sites: list[Website] = []
        if begun:
            self.people, self.secrets = dict(_BEGUN[0].people), dict(_BEGUN[0].secrets)
            return
        self.people = {name: self._person(name) for name in ("alice", "bob")}
        self.register("site")
        if store.alone:  # it is a file
            _BEGUN.append(_Begun(keys, kept(store), dict(self.people), dict(self.secrets)))

    @contextlib.contextmanager
    def serving(self) -> Iterator["World"]:
        with TestClient(self.application, base_url=HOME):
            yield self
        for site in self.sites:
            site.close()
        self.house.store.close()

    def _person(self, name: str) -> str:
        email, today = f"{name}@example.org", self.clock.now.date()
        new = seeding.prepare(name=name.title(), email=email, password=None, today=today, language="en")
        with self.house.store.write() as session:
            row = seeding.add_person(session, self.house.log, self.house.settings, new, self.clock.now)
            row.password_hash = _hashed()
            session.add(row)
            return str(row.id)

    def website(self, status: int | None = 200, **fields: str) -> Website:
        self.sites.append(Website(status, **fields))
        return self.sites[-1]

    def register(self, client_id: str, **changes: Any) -> None:
        with self.house.store.write() as session:
            parsed = declare.parse(declaration(client_id, **changes), Path("app.toml"))
            house = self.house
            _, secret = verbs.register(session, house.catalogue, house.settings, parsed, self.clock.now)
        if signing.make_missing(house, self.clock.now):
            signing_keys.read(house.store, house.keys, time.time())
        if secret:
            self.secrets[client_id] = secret

    def browser(self, language: str = "en", person: str = "") -> "Browser":
        made = Browser(self, language)
        if person:
            made.signs_in(person)
        return made

    def events(self, person: str) -> list[str]:
        return [str(one["event"]) for one in entries(self.house, self.people[person])]

    def notices(self, **of: Any) -> list[AppNotice]:
        with self.house.store.read() as session:
            rows = session.exec(select(AppNotice).order_by(AppNotice.made_at, AppNotice.client_id)).all()
        return [row for row in rows if all(getattr(row, name) == value for name, value in of.items())]

    def post(self, path: str, app: str = "site", **form: str) -> Any:
        token = base64.b64encode(f"{app}:{self.secrets[app]}".encode()).decode()
        client = TestClient(self.application, base_url=HOME, follow_redirects=False)
        return client.post(path, data=form, headers={"authorization": f"Basic {token}"})

    def redeem(self, code: str, app: str = "site") -> Any:
        return self.post("/token", app, grant_type="authorization_code", code=code, redirect_uri=CALLBACK)


@dataclass
class Browser:
    world: World
    language: str = "en"
    http: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = TestClient(
            self.world.application,
            base_url=HOME,
            follow_redirects=False,
            headers={"accept": "text/html", "accept-language": self.language, "user-agent": "X Firefox/1 (Linux)"},
        )

    def get(self, path: str, **query: str) -> Any:
        return self.http.get(path, params=query or None)

    def send(self, path: str, form: dict[str, str], **headers: str) -> Any:
        return self.http.post(path, data=form, headers={"origin": HOME, "sec-fetch-site": "same-origin", **headers})

    def submit(self, page: Any, action: str, **filled: str) -> Any:
        """Fill in the page's form that posts to `action`, and send it."""
        for to, fields in forms(page.text):
            if to.split("?")[0] == action and all(fields.get(name, "") == value for name, value in _fixed(filled)):
                return self.send(to, {**fields, **filled})
        raise AssertionError(f"no form for {action}: {page.status_code} {page.text[:400]}")

    def signs_in(self, person: str, path: str = "/sign-in", password: str = PASSWORD) -> Any:
        answer = self.submit(self.get(path), "/sign-in", email=f"{person}@example.org", password=password)
        assert answer.status_code == 303, answer.text[:400]
        return answer

    @property
    def cookie(self) -> str:
        return str(self.http.cookies.get(cookies.SIGN_IN) or "")

    def is_signed_in(self) -> bool:
        return bool(self.get("/account").status_code == 200)

    # ---- as a website's visitor

    def asked(self, app: str = "site", **changes: str) -> Any:
        """What follows when the website sends her here to sign in."""
        given = {"client_id": app, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid", **changes}
        answer = self.get("/authorize", **given)
        assert answer.status_code == 303, answer.text[:400]
        return self.get(answer.headers["location"])

    def code(self, app: str = "site", **changes: str) -> str:
        page = self.asked(app, **changes)
        if "/consent/" in page.text:
            (action,) = {to for to, _ in forms(page.text) if to.startswith("/consent/")}
            answer = self.submit(page, action, decision="allow")
            page = self.get(answer.headers["location"])
        return parse_qs(urlsplit(onward(page)).query)["code"][0]

    def tokens(self, app: str = "site", **changes: str) -> dict[str, Any]:
        answer = self.world.redeem(self.code(app, **changes), app)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def id_token(self, app: str = "site", **changes: str) -> str:
        return str(self.tokens(app, **changes)["id_token"])


def _fixed(filled: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in filled.items() if name == "sign_in")


_kept: list[str] = []


def _hashed() -> str:
    if not _kept:
        _kept.append(passwords.hash_(PASSWORD))
    return _kept[0]


def forms(html: str) -> list[tuple[str, dict[str, str]]]:
    """(action, hidden and text fields as they stand) of every form."""
    found = []
    for form in re.findall(r"<form.*?</form>", html, re.S):
        fields = {}
        for tag in re.findall(r"<input[^>]*>", form):
            given = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if "name" in given and given.get("type") not in ("checkbox", "submit"):
                if given.get("type") != "radio" or " checked" in tag:
                    fields[given["name"]] = unescape(given.get("value", ""))
        action = re.search(r'action="([^"]*)"', form)
        found.append((unescape(action[1]) if action else "", fields))
    return found


def onward(page: Any) -> str:
    """Where the page goes on to by itself; "": nowhere. Its link must agree."""
    assert page.status_code == 200, (page.status_code, page.headers.get("location"), page.text[:400])
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', page.text)
    if not found:
        return ""
    assert f'href="{found[1]}"' in page.text
    return unescape(found[1])


def links(page: Any) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="([^"]*)"', page.text)]


def until(happened: Callable[[], Any]) -> Any:
    """Wait for what happens in the background; the bound only ends a test that would wait for ever."""
    for _ in range(600):
        found = happened()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it has not happened")
