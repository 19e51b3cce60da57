"""A gateway with nothing but people: their doors on a real file database, a clock that tests move, browsers."""

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from sqlmodel import select
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

import gateway.schema  # noqa: F401 - fills the metadata
from gateway.ground.web import cookies
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, otherwise, route
from gateway.ground.web.templates import STATIC
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log, reading
from gateway.organisations import links
from gateway.people import pages, seeding
from gateway.people.sign_ins import identify
from gateway.people.tables import Person
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import made, unsynced
from tests.worlds import chromium
from tests.worlds.keys import ring

HOME = "https://gateway.test"
PASSWORD = "correct horse battery"
START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def goes_on(self, **by: float) -> None:
        self.now += timedelta(**by)


@functools.cache
def _hashed(password: str) -> str:
    from gateway.people import passwords

    return passwords.hash_(password)


class World:
    def __init__(self, folder: Path, public_url: str = HOME, **settings: Any) -> None:
        self.clock = Clock()
        chosen = Settings(public_url=public_url, data_dir=folder, **settings)
        house = House(
            settings=chosen,
            store=unsynced(chosen),
            keys=ring(),
            log=cast(Log, None),
            catalogue=cast(Any, None),
            policies=cast(Any, None),
            connector=cast(Any, None),
            translations=Translations(),
            clock=self.clock,
        )
        self.house = replace(house, log=Log(house.keys, house.settings.mark))
        made(self.house.store)
        self.series_ended: list[tuple[str, list[str]]] = []
        self.extra: list[Door] = [
            Door("/open", _open),
            Door("/mine", _mine, person=True),
            Door("/broken", _broken),
            Door("/write", _write, methods=("POST",), opens="write"),
            Door("/api/thing", _mine, kind="api", person=True),
        ]

    def ended(self, session: Any, person: str, series: list[str], now: datetime) -> None:
        """`sign_ins.SignInsEnded`: keeps what it is told."""
        self.series_ended.append((person, series))

    @functools.cached_property
    def app(self) -> Starlette:
        handler = otherwise(self.house, identify)
        return Starlette(
            routes=[
                *[route(door, self.house, identify) for door in [*pages.doors(links.count, self.ended), *self.extra]],
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            exception_handlers={404: handler, 405: handler, Exception: handler},
        )

    def person(self, name: str, *, password: str | None = PASSWORD, born: date | None = None, **more: Any) -> Person:
        email = f"{name.split()[0].lower().replace('é', 'e')}@example.org"
        new = seeding.prepare(name=name, email=email, password=None, today=self.clock.now.date(), birth_date=born)
        new = replace(new, password_hash=_hashed(password) if password else None)
        with self.house.store.write() as session:
            return seeding.add_person(session, self.house.log, self.house.settings, new, self.clock.now, **more)

    def browser(self, language: str = "en") -> "Browser":
        return Browser(self, language)

    def events(self, person: Person) -> list[str]:
        """What her log says, oldest first."""
        with self.house.store.read() as session:
            return [entry.kind for entry in reading.entries(session, self.house.log, person.id)][::-1]

    def row(self, person: Person) -> Person:
        with self.house.store.read() as session:
            return session.exec(select(Person).where(Person.id == person.id)).one()


def _open(ctx: Context) -> Response:
    return ctx.page("error.html", error=_Words(ctx.query.get("say", "nothing")))


def _mine(ctx: Context) -> Response:
    return Response(ctx.person.name)


def _broken(ctx: Context) -> Response:
    raise RuntimeError("a secret detail")


def _write(ctx: Context) -> Response:
    return Response("written")


@dataclass(frozen=True)
class _Words:
    say: str


@dataclass
class Browser:
    """One browser: cookies, and forms that are read from the page before they are sent."""

    world: World
    language: str = "en"
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(
            self.world.app,
            base_url=self.world.house.settings.public_url,
            follow_redirects=False,
            raise_server_exceptions=False,
            headers={"accept": "text/html", "accept-language": self.language, "user-agent": "X Firefox/1 (Linux)"},
        )

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def send(self, path: str, form: dict[str, str], **headers: str) -> Any:
        """As it is, with our own origin unless told otherwise."""
        sent = {"origin": self.world.house.settings.public_url, "sec-fetch-site": "same-origin", **headers}
        return self.client.post(path, data=form, headers={k.replace("_", "-"): v for k, v in sent.items()})

    def submit(self, path: str, *, to: str = "", **filled: str) -> Any:
        """Open the page at `path`, fill in its form that posts to `to` (default: the same), send it."""
        page = self.get(path)
        assert page.status_code == 200, (path, page.status_code, page.headers.get("location"))
        wanted = (to or path).split("?")[0]
        for action, fields in forms(page.text):
            if action.split("?")[0] == wanted and all(fields.get(k, filled.get(k)) is not None for k in filled):
                return self.send(action, {**fields, **filled})
        raise AssertionError(f"no form for {wanted} at {path}")

    def signs_in(self, person: Person, password: str = PASSWORD, **query: str) -> Any:
        return self.submit("/sign-in", email=person.email, password=password)

    @property
    def sign_in_cookie(self) -> str:
        return str(self.client.cookies.get(cookies.SIGN_IN) or "")

    def holds(self, secret: str) -> None:
        """Put this sign-in cookie into the browser, as a thief would."""
        self.client.cookies.set(
            cookies.SIGN_IN, secret, domain=urlsplit(str(self.client.base_url)).hostname or "", path="/"
        )

    def csrf(self, path: str = "/") -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found
        return found[1]


def forms(html: str) -> list[tuple[str, dict[str, str]]]:
    """(action, fields as they would be sent untouched) of every form."""
    found = []
    for form in re.findall(r"<form.*?</form>", html, re.S):
        action = unescape(re.search(r'action="([^"]*)"', form)[1])  # type: ignore[index]
        fields = {}
        for tag in re.findall(r"<input[^>]*>", form):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name:
                fields[name[1]] = unescape(value[1]) if value else ""
        found.append((action, fields))
    return found


@contextlib.contextmanager
def serving(folder: Path, host: str = "localhost") -> Iterator[World]:
    """A world for a real browser, until the end. `host`: localhost or a name below it (passkeys need a name)."""
    listening = chromium.listening()
    world = World(folder, f"http://{host}:{listening.getsockname()[1]}", operator_contact="help@aval.example")
    world.clock.now = datetime.now(UTC)
    try:
        with chromium.served(world.app, listening):
            yield world
    finally:
        world.house.store.close()
