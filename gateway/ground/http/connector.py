"""The one way out: every call the gateway makes to an organisation goes through `Connector`.

Code that calls an organisation runs in the organisation's own pool (`gateway.ground.pools`), never in a thread of the
doors. The connector checks the address when it connects (only public addresses, unless the organisation's
declaration lists a private network), follows no redirect, sends no cookie, limits time, size and
the number of calls at once for each organisation, and never logs a body.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

Headers = list[tuple[bytes, bytes]]
GoesOn = Callable[[], Awaitable[bool]]
Pairs = tuple[tuple[str, str], ...]  # of a query, in their order


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The gateway's own certificate at an organisation (mutual TLS), as files; they are read again when they change."""

    certificate: str  # PEM, with what is between it and its root
    key: str  # PEM, without a password
    ca: str = ""  # PEM: whoever signs the organisation's certificates, and nobody else; "": whom the system trusts


@dataclass(frozen=True, slots=True)
class Target:
    """An organisation as the connector sees it. Equal targets share one pool, one limit and one circuit breaker."""

    organisation: str
    base_url: str  # scheme://host[:port][/path], no trailing slash
    networks: tuple[str, ...] = ()  # private networks this one declaration may reach
    timeout_seconds: float = 10.0  # to the first byte
    max_calls: int = 32
    tls: TlsFiles | None = None
    headers: tuple[tuple[str, str], ...] = ()  # of every request


@dataclass(frozen=True, slots=True, repr=False)
class OutboundRequest:
    """One request to an organisation, as it goes out.

    `path`: with its query, begins with "/". `whose`: the link for which it is made, or the person before there is one;
    the circuit breaker counts slow requests for one of them only once.
    """

    target: Target
    method: str
    path: str
    headers: Headers
    body: bytes = b""
    whose: str = ""


class ConnectorError(Exception):
    """The organisation could not be asked, or its answer is unusable. `reason`: one of errors.REASONS."""

    def __init__(self, reason: str, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail  # for the operator's log: the kind of fault; never content, host or port
        self.retry_after = retry_after  # seconds, where the organisation said so


class Withdrawn(Exception):
    """What allowed the call has ended while it waited, and nothing of it was sent."""


class Answer(Protocol):
    """One answer being received. Exactly one of `read`, `chunks` or `abort` must be run to its end."""

    status: int
    headers: Headers  # names in lower case; hop-by-hop ones already removed; body already decompressed when needed

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises ConnectorError: too_large above `limit` bytes, organisation_answer_invalid if it
        breaks off."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. The organisation has to wait while the reader is slow (back-pressure)."""

    async def abort(self) -> None:
        """Close the connection. It is not used again."""


class Connector(Protocol):
    def get(self, request: OutboundRequest, goes_on: GoesOn | None = None) -> Awaitable[Answer]:
        """Make one data call. Returns when the answer's headers are there.

        `goes_on` is asked whenever the call has had to wait, for its turn or a connection, before it is sent.
        A GET is sent a second time only if a pooled connection turns out to be closed before any byte of the answer;
        any other method never: each has a new connection, so that nothing but its own failure can end it.
        Raises ConnectorError, Withdrawn.
        """

    def ask(self, request: OutboundRequest, limit: int = 2**20) -> tuple[int, Headers, bytes]:
        """Send one call and read the whole answer: status, headers, body. For threads of a pool, within the time that
        the pool's work has left (`gateway.ground.pools`). Raises ConnectorError: too_large above `limit` bytes.

        Never call it on the event loop, in a thread of the doors, or inside a transaction.
        """
