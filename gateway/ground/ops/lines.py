"""The one log line of each request.

Most lines of a busy gateway are these, so they do not take the way of all others through structlog: what stands in them
is known, and only the path may hold what has to be hidden.
"""

import time
from datetime import UTC, datetime

from gateway.ground.http.guard import Scope
from gateway.ground.keys import fresh
from gateway.ground.ops import logs
from gateway.ground.ops.interactions import SCOPE as INTERACTION
from gateway.ground.ops.redaction import redacted


class RequestLine:
    """It begins with the request, whose id it makes. The query string is never told."""

    def __init__(self, scope: Scope) -> None:
        self.id: str = fresh(16)
        scope["aval.request_id"] = self.id
        self.header = b"x-request-id", self.id.encode()
        self._scope = scope
        self._began = time.perf_counter()

    def write(self, status: int) -> None:
        """`status`: of the answer; 0: there was none."""
        scope, took = self._scope, round((time.perf_counter() - self._began) * 1000, 1)
        logs.write(
            {
                "request_id": self.id,
                **({"interaction_id": scope[INTERACTION]} if INTERACTION in scope else {}),
                "method": scope["method"],
                "path": redacted(scope["path"]),
                "status": status,
                "ms": took,
                "event": "request",
                "level": "info",
                "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            }
        )
