"""x-fapi-interaction-id: by which an app and the operator of the gateway name one call when they talk about it.

The app's own is sent back if it is a UUID (RFC 9562) in the usual form, and then stands in the log lines of the call;
anything else that it sends stands nowhere. An app that sends none gets one of ours.
"""

import re
from collections.abc import Sequence
from uuid import UUID

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.ground.keys.opaque import fresh_bytes

NAME = b"x-fapi-interaction-id"
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Interactions:
    """`app`, whose answers say which call they answer: all that came with an id, and all below the paths `at`."""

    def __init__(self, app: ASGIApp, at: Sequence[str]) -> None:
        self._app = app
        self._at = tuple(f"{path.rstrip('/')}/" for path in at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope["headers"] if name == NAME]
        found = given[0] if len(given) == 1 and _UUID.fullmatch(given[0]) else b""
        if found:
            structlog.contextvars.bind_contextvars(interaction_id=found.decode())
        elif not given and not f"{scope['path']}/".startswith(self._at):
            await self._app(scope, receive, send)
            return
        said = (NAME, found or str(UUID(bytes=fresh_bytes(16), version=4)).encode())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), said]}
            await send(message)

        await self._app(scope, receive, sending)
