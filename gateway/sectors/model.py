"""The values that pass between the proxy and a sector, and the interface a sector has.

terms ──plan()──► Plan ──request()──► Upstream | Denied      (before the call)
                       ──cut()──────► Cut                    (after the answer)
                       ──cutter()───► a stream of the same   (large answers)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs


class UnknownShape(Exception):
    """The organisation's answer is not of a shape this sector knows. Nothing of it may leave.

    `where` is a path in the format ("entry[3]/content/Foo"), never a value.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


class NotThere(Exception):
    """The one record asked for is not the app's to see: what it is told is what it would be told of one that is not."""


class TooLarge(Exception):
    """The answer is larger or deeper than the stated limit, and the format cannot be cut as a stream."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account, usage point or membership of a person at an organisation.

    `native` is the organisation's own identifier: it goes upstream and never to an app.
    `ref` is the pairwise identifier that this one app sees in its place.
    """

    native: str
    ref: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What the person granted of one dataset at one organisation."""

    dataset: str
    fields: frozenset[str]
    accounts: tuple[Account, ...]
    records_max: int | None = None  # most records in one answer; None: no such term
    others: tuple[str, ...] = ()  # the organisation's names of her accounts that are not granted: they leave nowhere


@dataclass(frozen=True, slots=True)
class Source:
    """What a sector needs to know of the organisation that answers."""

    organisation: str
    sector: str
    base_path: str  # path prefix of its API, e.g. "/open-banking/v4.0/aisp"; "" when none
    zone: str  # IANA name: the zone of its dates without time
    gateway_url: str  # absolute address under which the app sees this organisation, no trailing slash
    upstream_url: str  # the organisation's own base address, no trailing slash
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # dataset → declared path patterns
    policies: Path | None = None  # folder of the catalogue that says what fields are; None: as shipped


@dataclass(frozen=True, slots=True)
class Asked:
    """One data call as the app made it. `path` is canonical, relative to the organisation, begins with "/"."""

    method: str
    path: str
    query: Pairs = ()


@dataclass(frozen=True, slots=True)
class Upstream:
    """What to send to the organisation, and what `cut` needs to know of it afterwards."""

    dataset: str
    path: str
    query: Pairs
    accept: str
    accounts: tuple[Account, ...]  # the accounts this call may speak of
    continues: bool = False  # a page to which an answer has linked: it belongs to a use already counted
    operation: str = ""  # the sector's own name for this kind of call
    also: tuple[str, ...] = ()  # further datasets the answer may carry: counted, judged and recorded like `dataset`


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal that names the term, so that an app can correct itself.

    `reason` is one of the closed list in errors.REASONS (dataset, account, field, period, …);
    `asked` and `allowed` hold names, references and dates of the terms, never data.
    """

    reason: str
    term: str
    asked: str = ""
    allowed: str = ""


class Counts(Struct, frozen=True):
    records: int = 0  # given
    records_withheld: int = 0  # outside accounts, period or record filter
    fields_withheld: int = 0  # members or elements taken out of the records given
    start: datetime | None = None  # earliest and latest instant of the records given
    end: datetime | None = None


class Cut(Struct, frozen=True):
    """The answer as the app may have it."""

    body: bytes
    media_type: str
    counts: Counts


class Cutter(Protocol):
    """The same cut as a stream, for answers above `LIMIT`. Bounded memory whatever the size."""

    def feed(self, chunk: bytes) -> bytes:
        """Bytes that may leave now (often empty). Raises UnknownShape."""

    def close(self) -> bytes:
        """The last bytes. Raises UnknownShape when the document is not whole."""

    def counts(self) -> Counts:
        """Of what `feed` and `close` have given so far: never less than has left, whenever the stream ends."""


class Plan(Protocol):
    """The granted terms compiled for one consent version at one organisation. Immutable, reusable, thread-safe."""

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        """Which call to make upstream, clamped to `window` where the format has a parameter; or why not."""

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        """The allow-listed part of an answer. Raises UnknownShape, TooLarge, NotThere."""

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        """A streaming cut, or None where the format must be held whole."""


# One page of an answer of the organisation, asked for while downloading or listing accounts.
Fetch = Callable[[Upstream], tuple[str, bytes]]  # → (media type, body); raises what the caller's connector raises


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account the organisation says this person has. `label` is for the person's own eyes only."""

    native: str
    label: str
    kind: str  # the organisation's own code; "" when it gives none
    available: bool = True
    why_not: str = ""  # a reason class such as "closed" or "joint"; shown on the consent screen


@dataclass(frozen=True, slots=True)
class Download:
    """One native file of the one-click download."""

    name: str
    media_type: str
    body: bytes
    dataset: str
    records: int
    start: datetime | None = None
    end: datetime | None = None


class Sector(Protocol):
    """What each folder of this package offers, as module-level functions of its __init__."""

    def plan(self, source: Source, granted: Iterable[Granted]) -> Plan: ...

    def accounts(self, source: Source, fetch: Fetch) -> list[FoundAccount]:
        """The person's accounts at the organisation, read once when she links it."""

    def download(self, source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> list[Download]:
        """All the organisation holds of her, all pages, in the sector's native format."""


WITHHELD = "withheld"  # stands where a format requires words and the person agreed to none
LIMIT = 8 * 1024 * 1024  # bytes of one answer held whole; above it `cutter` or refusal
DEPTH = 64  # nesting of JSON and XML
