"""x-fapi-interaction-id: by which an app and the operator of the gateway name one call when they talk about it.

The app's own is sent back if it is a UUID (RFC 9562) in the usual form, and then stands in the log lines of the call;
anything else that it sends stands nowhere. An app that sends none gets one of ours.
"""

import re
from collections.abc import Awaitable, Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.ground.keys.opaque import fresh_bytes

SCOPE = "aval.interaction_id"  # where the app's own stands
NAME = b"x-fapi-interaction-id"
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _uuid() -> str:
    """A random one (RFC 9562 §5.4)."""
    digits = fresh_bytes(16).hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


class Interactions:
    """`app`, whose answers say which call they answer: all that came with an id, and all below the paths `at`."""

    def __init__(self, app: ASGIApp, at: Sequence[str]) -> None:
        self._app = app
        self._at = tuple(f"{path.rstrip('/')}/" for path in at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope["headers"] if name == NAME]
        found = given[0] if len(given) == 1 and _UUID.fullmatch(given[0]) else b""
        if found:
            scope[SCOPE] = found.decode()
            structlog.contextvars.bind_contextvars(interaction_id=scope[SCOPE])
        elif not given and not f"{scope['path']}/".startswith(self._at):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Saying(send, found or _uuid().encode()))


class _Saying:
    """`send`, with the id in the head of the answer."""

    def __init__(self, send: Send, said: bytes) -> None:
        self._send, self._said = send, said

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (NAME, self._said)]}
        return self._send(message)
