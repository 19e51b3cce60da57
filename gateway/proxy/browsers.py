"""Data calls of apps that run in a browser: the CORS protocol, in front of the data plane.

Who may call is read from the apps' registrations at most once a second, and only when a call names an origin at all.
"""

import time

import anyio.to_thread

from gateway.apps import origins
from gateway.ground.http.guard import Scope, Send
from gateway.house import House

READ_SECONDS = 1.0
METHODS = ("GET", "HEAD")


class Browsers:
    def __init__(self, house: House) -> None:
        self._house = house
        self._known: frozenset[str] = frozenset()
        self._read_at = float("-inf")

    async def sender(self, scope: Scope, send: Send) -> Send:
        """`send`, which tells the browser that the page may read the answer, if it may."""
        origin = _origin(scope)
        if not origin or not await self._knows(origin):
            return send
        fields = _encoded(origins.allowed(origin))

        async def sent(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *fields]}  # type: ignore[misc]
            await send(message)

        return sent  # type: ignore[return-value]

    async def asked(self, scope: Scope, send: Send) -> bool:
        """Answer a browser that asks before it calls. False: it is no such question, or the origin may not call."""
        fields, origin = dict(scope["headers"]), _origin(scope)
        if not origin or b"access-control-request-method" not in fields or not await self._knows(origin):
            return False
        headers = _encoded(origins.preflight(origin, METHODS))
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return True

    async def _knows(self, origin: str) -> bool:
        now = time.monotonic()
        if now - self._read_at >= READ_SECONDS:
            self._known, self._read_at = await anyio.to_thread.run_sync(self._read), now
        return origin in self._known

    def _read(self) -> frozenset[str]:
        with self._house.store.read_apart() as session:
            return origins.every(session)


def _origin(scope: Scope) -> str:
    return str(dict(scope["headers"]).get(b"origin", b"").decode("latin-1"))


def _encoded(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in fields.items()]
