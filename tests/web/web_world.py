"""Doors and nothing behind them: no person, no app, only who is said to call."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import text
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.responses import Response

from gateway import errors
from gateway.ground.store import Clash
from gateway.ground.web import answers, cookies
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door, Later, otherwise, route
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import unsynced
from tests.worlds.keys import ring

HOME = "https://gateway.test"
NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
ALICE = Caller("alice", "Alice Martin", "fr", NOW, ("pwd",), "row-of-alice")
MALLORY = Caller("mallory", "Mallory", "en", NOW - timedelta(hours=1), ("pwd",), "row-of-mallory")
NOTED: list[str] = []
CLASHED: list[str] = []


def identify(_session: Session, secret: str, _now: datetime) -> Caller | None:
    return {
        "alice": ALICE,
        "mallory": MALLORY,
        "unnoted": replace(ALICE, seen=lambda _session: NOTED.append("seen")),
    }.get(secret)


class World:
    """A gateway of a few doors."""

    def __init__(self, folder: Path, public_url: str = HOME) -> None:
        settings = Settings(public_url=public_url, data_dir=folder)
        self.house = House(
            settings=settings,
            store=unsynced(settings),
            keys=ring(),
            log=cast(Any, SimpleNamespace(frozen="", turn=lambda *_: None)),
            catalogue=cast(Any, None),
            policies=cast(Any, None),
            connector=cast(Any, None),
            translations=Translations(),
            clock=lambda: NOW,
        )
        with self.house.store.write() as session:
            session.execute(text("CREATE TABLE note (text TEXT)"))
        handler = otherwise(self.house, identify)
        self.app = Starlette(
            routes=[route(door, self.house, identify) for door in DOORS],
            exception_handlers={404: handler, 405: handler, Exception: handler},
        )

    def visitor(self, who: str = "", **headers: str) -> TestClient:
        client = TestClient(
            self.app,
            base_url=self.house.settings.public_url,
            follow_redirects=False,
            raise_server_exceptions=False,
            headers={"accept": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}},
        )
        if who:
            client.cookies.set(cookies.SIGN_IN, who)
        return client

    def notes(self) -> list[str]:
        with self.house.store.read() as session:
            return [str(row[0]) for row in session.execute(text("SELECT text FROM note"))]


def csrf(client: TestClient) -> str:
    """The token of a page as this visitor sees it."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/says").text)
    assert found
    return found[1]


def _note(ctx: Context) -> None:
    ctx.session.execute(text("INSERT INTO note VALUES (:text)"), {"text": ctx.form.get("text", "")})


def _writes_in_the_way(ctx: Context) -> Response:
    """As many times as its form says, another transaction is in its way."""
    _note(ctx)
    ctx.set_cookies.append((cookies.SIGN_IN, f"try-{len(CLASHED)}", None))
    if len(CLASHED) < int(ctx.form["clashes"]):
        CLASHED.append("clash")
        raise Clash("database: DeadlockDetected 40P01")
    return ctx.go("/says")


def _says(ctx: Context) -> Response:
    return ctx.page("error.html", error=errors.BadRequest(say=ctx.query.get("say", "Sign in first.")))


def _writes(ctx: Context) -> Response:
    _note(ctx)
    return ctx.go("/says")


def _writes_and_refuses(ctx: Context) -> Response:
    _note(ctx)
    return answers.problem(403, "forbidden", "no")


def _writes_and_fails(ctx: Context) -> Response:
    _note(ctx)
    raise RuntimeError("a detail nobody may see")


def _sets_a_cookie_and_refuses(ctx: Context) -> Response:
    assert ctx.csrf  # of the page it meant to answer with
    ctx.set_cookies.append((cookies.SIGN_IN, "row-that-is-rolled-back", None))
    raise errors.Forbidden("private detail")


def _ends_the_sign_in_later(ctx: Context) -> Later:
    def work() -> Response:
        raise errors.NotSignedIn

    return Later("page", "city", work)


def _in_the_way_later(ctx: Context) -> Later:
    def work() -> Response:
        ctx.set_cookies.append((cookies.SIGN_IN, "row-that-is-rolled-back", None))
        with ctx.house.store.write() as session:
            session.execute(text("INSERT INTO note VALUES ('lost')"))
            raise Clash("database: DeadlockDetected 40P01")

    return Later("page", "city", work)


def _raises(ctx: Context) -> Response:
    raise {
        "forbidden": errors.Forbidden("private detail"),
        "busy": errors.TooMany("private detail", retry_after=7),
        "down": errors.Unavailable("private detail"),
    }[ctx.path["how"]]


def _mine(ctx: Context) -> Response:
    return Response(f"{ctx.person.name} {ctx.language} {ctx.signed_in_within(10)}")


def _tells(ctx: Context) -> Response:
    return answers.json({"repeated": sorted(ctx.repeated), "form": dict(ctx.form), "query": dict(ctx.query)})


def _no_session(ctx: Context) -> Response:
    return Response(str(ctx.session))


DOORS = [
    Door("/says", _says),
    Door("/note", _writes, methods=("POST",), opens="write"),
    Door("/note/refused", _writes_and_refuses, methods=("POST",), opens="write"),
    Door("/note/failed", _writes_and_fails, methods=("POST",), opens="write"),
    Door("/note/in-the-way", _writes_in_the_way, methods=("POST",), opens="write"),
    Door("/cookie/refused", _sets_a_cookie_and_refuses, opens="write"),
    Door("/later", _ends_the_sign_in_later, opens="none", person=True),
    Door("/later/in-the-way", _in_the_way_later, opens="none"),
    Door("/raises/{how}", _raises),
    Door("/api/raises/{how}", _raises, kind="api", name="api_raises"),
    Door("/oauth/raises/{how}", _raises, kind="oauth", name="oauth_raises"),
    Door("/mine", _mine, person=True),
    Door("/mine", _mine, methods=("POST",), person=True, name="mine_post"),
    Door("/api/mine", _mine, kind="api", person=True, name="api_mine"),
    Door("/tells", _tells, methods=("GET", "POST"), kind="api"),
    Door("/no-session", _no_session, opens="none"),
]
