"""The id of each request, and its line in the log.

The id is made here and never taken from the caller. It is in the answer's X-Request-Id, in every log line of the
request, and in the entries of the access log.
"""

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import GatewayError
from gateway.ground.ops.lines import RequestLine
from gateway.ground.ops.logs import logger
from gateway.ground.web import answers
from gateway.ground.web.headers import PAGE_HEADERS

LAST_PAGE = """<!DOCTYPE html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>500</title>
<p lang="fr">Une erreur s’est produite de notre côté. Rien n’a été modifié. Réessayez un peu plus tard.
<p lang="en">Something went wrong here. Nothing was changed. Please try again a little later.
"""


class Requests:
    """`app`, with an id for each request and one log line after it. The query string is never logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._quiet = frozenset(("/healthz", "/readyz"))  # not logged: monitoring calls them all the time
        self._logger = logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        line, status = RequestLine(scope), 0
        structlog.contextvars.bind_contextvars(request_id=line.id)  # uvicorn gives each request its own context

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                if not any(name == b"x-request-id" for name, _ in headers):
                    message["headers"] = [*headers, line.header]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # a failed answer gives nothing; if a part was sent, the server cuts the connection
            self._logger.exception("request failed", method=scope["method"], path=scope["path"])
            if not status:
                await _fault(scope, receive, sending)
        if scope["path"] not in self._quiet:
            line.write(status)


async def _fault(scope: Scope, receive: Receive, send: Send) -> None:
    """The last resort, when the error page itself has failed: it uses no template and no language of anybody."""
    if "text/html" in Headers(scope=scope).get("accept", ""):
        response = Response(LAST_PAGE, 500, PAGE_HEADERS, "text/html; charset=utf-8")
    else:
        response = answers.problem(500, GatewayError.code, GatewayError.public)
    await response(scope, receive, send)
