"""The one way out: every call the gateway makes to an organisation goes through `Connector`.

Whoever asks waits in a pool of that organisation (`gateway.ground.pools`), never in a thread of the doors.
The connector guards the address at connect time (public addresses only, unless the organisation's
declaration lists a private network), follows no redirect, sends no cookie, bounds time,
size and concurrency per organisation, and never logs a body.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

Headers = list[tuple[bytes, bytes]]
Pairs = tuple[tuple[str, str], ...]  # of a query, in their order


@dataclass(frozen=True, slots=True)
class Target:
    """An organisation as the connector sees it. Equal targets share one pool, one limit and one circuit breaker."""

    organisation: str
    base_url: str  # scheme://host[:port][/path], no trailing slash
    networks: tuple[str, ...] = ()  # private networks this one declaration may reach
    timeout_seconds: float = 10.0  # to the first byte
    max_calls: int = 32


class ConnectorError(Exception):
    """The organisation could not be asked, or its answer is unusable. `reason` is of errors.REASONS; no host in it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail  # for the operator's log: a class of fault, never content


class Answer(Protocol):
    """One answer under way. Exactly one of `read`, `chunks` or `abort` must be run to its end."""

    status: int
    headers: Headers  # names in lower case; hop-by-hop ones already removed; body already decompressed when needed

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises ConnectorError: too_large above `limit`, organisation_answer_invalid if cut short."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, with back-pressure."""

    async def abort(self) -> None:
        """Close the connection; it is never pooled again."""


class Connector(Protocol):
    async def send(
        self, target: Target, method: str, path: str, headers: Headers, body: bytes = b"", whose: str = ""
    ) -> Answer:
        """Send one call; `path` begins with "/" and carries the query. Returns at the answer's headers.

        `whose`: the link the call is made for; the circuit breaker does not let one link speak for all.
        Retried once only when a pooled connection turned out dead before a byte of the answer.
        Raises ConnectorError.
        """

    def ask(
        self, target: Target, method: str, path: str, headers: Headers, body: bytes = b"", limit: int = 2**20
    ) -> tuple[int, Headers, bytes]:
        """The same, whole, from a thread of a pool, within what is left of its time (`gateway.ground.pools`).

        Never call it on the event loop, in a thread of the doors, or inside a transaction.
        """
