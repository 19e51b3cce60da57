"""A clock that tests move, and somebody's browser at the doors of the log."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette

from gateway.ground.web import cookies
from gateway.ground.web.context import Caller
from gateway.ground.web.doors import route
from gateway.house import House
from gateway.log import pages
from gateway.rooms import Rooms
from tests.callers import TestClient


@dataclass
class Clock:
    now: datetime = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Visitor:
    """Somebody's browser at the doors of the log. The cookie's value is the person's id: who signs in is not asked."""

    def __init__(self, house: House, person: str, language: str = "en") -> None:
        app = Starlette(routes=[route(door, house, self._identify) for door in pages.doors(Rooms(house))])
        self.client = TestClient(app, base_url="https://gateway.example", follow_redirects=False)
        cookie = f"{cookies.LANGUAGE}={language}" + (f"; {cookies.SIGN_IN}={person}" if person else "")
        self.client.headers["cookie"] = cookie

    @staticmethod
    def _identify(_session: Any, secret: str, now: datetime) -> Caller:
        return Caller(secret, secret.title(), "en", now, ("pwd",), secret)

    def sees(self, path: str) -> Any:
        return self.client.get(path)
