"""The values that pass between the data plane and a sector, and the interface of a sector.

terms ──plan()──► Plan ──request()──► Upstream | Denied      (before the call)
                       ──cut()──────► Cut                    (after the answer)
                       ──cutter()───► a stream of the same   (large answers)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from msgspec import Struct

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format
from gateway.formats.drift import Seen
from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs
from gateway.ground.keys import Sealer

_DEAF = Seen(lambda *_: None)


def _nobody(dataset: str) -> Seen | None:
    return _DEAF


class UnknownShape(Exception):
    """The organisation's answer has a shape that this sector does not know. Nothing of it may be given.

    `where` is a path in the format ("entry[3]/content/Foo"), never a value.
    """

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


class NotThere(Exception):
    """This record may not be shown. The app gets the answer it would get if the record did not exist."""


class TooLarge(Exception):
    """The answer is larger or more deeply nested than allowed, and this format cannot be cut as a stream."""


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
    """What the person granted: one dataset at one organisation."""

    dataset: str
    fields: frozenset[str]
    accounts: tuple[Account, ...]
    records_max: int | None = None  # most records in one answer; None: no limit
    others: tuple[
        str, ...
    ] = ()  # native identifiers of the person's accounts not granted: they must not appear anywhere
    pair: str = ""  # names the app and the person, for identifiers that each app gets others of


@dataclass(frozen=True, slots=True)
class Source:
    """What a sector needs to know of the organisation that answers."""

    organisation: str
    sector: str
    base_path: str  # path prefix of its API, e.g. "/open-banking/v4.0/aisp"; "" if there is none
    zone: str  # IANA name: the zone of its dates without time
    gateway_url: str  # absolute address under which the app sees this organisation, no trailing slash
    upstream_url: str  # the organisation's own base address, no trailing slash
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # dataset → declared path patterns
    forms: Mapping[str, Format] = field(default_factory=dict)  # formats by id; "": the organisation's own
    known: Mapping[str, Dataset] | None = None  # types of data at this organisation, by id; None: as shipped
    published: str = ""  # ESPI: what the supplier takes `published-min` for (`espi.calls.PUBLISHED`); "": usage time
    sealer: Sealer = field(default_factory=Sealer)  # for what leaves and comes back: links to following pages
    clock: Callable[[], datetime] = partial(datetime.now, UTC)  # tells which days and months are over
    seen: Callable[[str], Seen | None] = _nobody  # type of data → who is told of members that nobody has declared
    filed: bool = False  # its answers are of files: whatever an app asks for, they have all there is


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
    accounts: tuple[Account, ...]  # the accounts that the answer may be about
    continues: bool = False  # a following page, linked in an earlier answer; belongs to a use already counted
    operation: str = ""  # the sector's own name for this kind of call
    also: tuple[str, ...] = ()  # more datasets that may be in the answer: counted, judged and logged like `dataset`
    method: str = "GET"  # POST for a read whose terms the organisation wants in a body
    body: bytes = b""  # written here, of declared terms; nothing of it is the app's own text
    content_type: str = ""  # of `body`
    page: Pairs = ()  # of the query, all but the period
    placed: frozenset[str] = frozenset()  # parameters in which the customer's number is written, in a longer text too
    shown: Pairs = ()  # the query as the app writes it, without what leads to the page
    period: Window | None = None  # that was asked for; None: as the format's own engine has it
    ahead: bool = False  # the app named the end of the period: parts go on to it, also into the future
    part: Window | None = None  # of `period`, that this call is for; None: all of it
    listing: str = ""  # of a following page: the listing to which it belongs
    over_records: bool = False  # an answer over the records of all pages is given in their place


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
    """The answer, cut to what the app may have."""

    body: bytes
    media_type: str
    counts: Counts
    following: str = ""  # address of the next page, at the gateway
    notice: str = ""  # what the answer cannot say itself: a word of NOTICES


class Cutter(Protocol):
    """Cuts an answer as a stream, for answers above `LIMIT`, with limited memory."""

    def feed(self, chunk: bytes) -> bytes:
        """Bytes that may be sent now (often none). Raises UnknownShape."""

    def close(self) -> bytes:
        """The last bytes. Raises UnknownShape if the document is not complete."""

    def counts(self) -> Counts:
        """The counts of what `feed` and `close` have returned so far. If a stream breaks off, this is never less than
        what was sent."""


class Plan(Protocol):
    """The granted terms compiled for one consent version at one organisation. Immutable, reusable, thread-safe."""

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        """The call to make at the organisation, with the period cut to `window` if the format has a parameter for it;
        or a refusal."""

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        """The allow-listed part of an answer. `link`: its Link header. Raises UnknownShape, TooLarge, NotThere."""

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        """A cutter for streams. None: answers of this format can only be cut whole."""


# Fetches one page from the organisation, for downloads and for listing accounts.
Fetch = Callable[[Upstream], tuple[str, bytes]]  # → (media type, body); raises what the connector raises


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An account that the organisation lists for the person. `label` is only shown to that person."""

    native: str
    label: str
    kind: str  # the organisation's own code; "" if it gives none
    available: bool = True
    why_not: str = ""  # a reason class such as "closed" or "joint"; shown on the consent screen


@dataclass(frozen=True, slots=True)
class Download:
    """One file, in the native format, of the person's download."""

    name: str
    media_type: str
    body: bytes
    dataset: str
    records: int
    start: datetime | None = None
    end: datetime | None = None


NOTICES = {"next-page-unusable": "The organisation's link to the next page cannot be used: there is more than this."}
WITHHELD = "withheld"  # the text where a format requires one that the person did not grant
LIMIT = 8 * 1024 * 1024  # bytes of an answer cut whole; a larger one goes through `cutter` or is refused
DEPTH = 64  # nesting of JSON and XML
