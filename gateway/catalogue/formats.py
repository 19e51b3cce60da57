"""Formats: what an organisation's answers look like and which calls it has, as a file says it. Data, no code.

    policies/formats/<id>.toml        a format that several organisations share
    [format] of a declaration         one organisation's own

What is not named is refused (a call, a parameter) or never leaves (a member). Each table has a closed list of words;
the engine that acts on them is `gateway.formats`. Two formats, ESPI and FHIR, have an engine of their own (`driver`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue.made import OverRecords
from gateway.catalogue.shapes import BadShape, Table, members

Path = tuple[str, ...]  # member names, from the outside in
Member = tuple[str, str]  # type of the table, member

TABLES = ("json", "ndjson", "csv", "xml")  # drivers that these tables describe wholly
DRIVERS = (*TABLES, "espi", "fhir")  # and those with an engine of their own
ACCEPT = {
    "json": ("application/json",),
    "ndjson": ("application/x-ndjson", "application/jsonl"),
    "csv": ("text/csv",),
    "xml": ("application/xml", "text/xml"),
}
USES = ("from", "to", "page", "size", "fields", "choice")
# how a time is written in a call's parameter
EDGES = ("local-datetime", "rfc3339", "date", "month", "epoch-s", "epoch-ms")
# how a record's own time is written
_DAYS = ("dd/mm/yyyy", "mm/dd/yyyy", "dd.mm.yyyy", "dd-mm-yyyy", "yyyy/mm/dd", "yyyymmdd", "ddmmyyyy")
_HOURS = ("", " HH:MM", " HH:MM:SS")
STAMPS = (
    "iso", "epoch-s", "epoch-ms", "yyyymmddHHMMSS", "yyyymm", "mm/yyyy",
    *(day + hour for day in _DAYS for hour in _HOURS),
)  # fmt: skip
AROUND = ("same", "only-page", "not-before", "not-after", "account")
PAGING = ("link-header", "link", "cursor", "page", "offset")
SEPARATORS = {",": ",", ";": ";", "tab": "\t", "|": "|"}  # as a declaration writes them
ENCODINGS = ("utf-8", "iso-8859-1", "windows-1252")
# renumber, in XML: an element's own number in its list, told anew; one with nothing else left of it is not given
WAYS = ("keep", "drop_record", "refuse", "renumber")
CUSTOMER = "customer"  # the word in whose place the connector writes the customer of the person's link
NOT_FOR_APPS = (CUSTOMER, "subscription")  # words that are filled for the gateway's own calls
FILES = ("native", "midata")
PLACED = re.compile(r"\{([A-Za-z0-9_.-]+)\}")


@dataclass(frozen=True, slots=True)
class FormatParameter:
    """One parameter of a query, and what it may do."""

    name: str
    use: str  # of USES
    written: str = ""  # of EDGES
    included: bool = False  # to: the day that is named counts, too
    most: int = 0  # size: no more than so many; 0: no limit
    values: tuple[str, ...] = ()  # choice: these and no other
    needs: str = ""  # a field without which it is refused
    zone: str = ""  # IANA name, of an edge without one; "": that of the organisation


@dataclass(frozen=True, slots=True)
class FormatCall:
    name: str
    dataset: str
    records: str  # type of the table
    path: str  # at the gateway
    asks: str = ""  # path and query at the organisation; "": the same path
    query: tuple[str, ...] = ()  # parameters an app may send
    method: str = "GET"
    body: Mapping[str, Any] | None = None  # POST: what is sent, with {account} and {parameter} in it
    sends: str = "json"  # json | form
    at: Path | None = None  # in place of that of the records
    one: bool = False  # the answer has one record and no list
    envelope: str = "Answer"  # type of the table that the whole answer is, where the records stand inside it
    answer: OverRecords | None = None  # what an app gets instead of the records
    pages: bool = True  # whether there may be further pages, where the format has any
    days: int = 0  # a longer period is asked for in parts of so many days; 0: at once

    @property
    def placed(self) -> frozenset[str]:
        """The words in braces of what is sent."""
        return frozenset(PLACED.findall(self.asks + repr(self.body or "")))

    @property
    def names_account(self) -> bool:
        """Whether the organisation is told of the account: where `asks` stands, the path is the gateway's alone."""
        return "account" in self.placed or ("{account}" in self.path and not self.asks)


@dataclass(frozen=True, slots=True)
class RecordTime:
    """A record's own time. `how`: none (a state, as it is now) | instant | span | state | parts.

    Of an instant with several paths the first counts that says something.
    """

    how: str = "none"
    paths: tuple[Path, ...] = ()
    written: str = "iso"
    ends: bool = False  # the stamp is the end of an interval
    length: int = 0  # of the interval, in seconds
    length_path: Path = ()  # the member that holds it
    months_from: int = 1  # parts: the number of January
    empty: tuple[str, ...] = ()  # texts that say that there is none
    lenient: bool = False  # a record whose time or owner cannot be read is withheld; else the answer is refused


@dataclass(frozen=True, slots=True)
class Records:
    """Where the records of one type stand, whose they are, and of what time."""

    kind: str
    at: Path = ()
    one: bool = False
    account: Path = ()  # (): all are of the account of the call
    time: RecordTime = RecordTime()
    of_person: bool = False  # of her as a whole: whichever of her accounts a call names, they are the same
    customer: Path = ()  # in files with the records of many: whose it is; (): as the connection says


@dataclass(frozen=True, slots=True)
class Pages:
    """How pages follow. `by`: of PAGING."""

    by: str
    at: Path = ()  # link, cursor: the member that leads on
    parameter: str = ""  # cursor, page, offset: the parameter of the next call
    size: str = ""  # page, offset: the parameter that says how many
    first: int = 1  # page: the number of the first
    own: Path = ()  # members with addresses that the gateway writes anew: of the page itself,
    start: Path = ()  # of the first page,
    before: Path = ()  # and of the one before


@dataclass(frozen=True, slots=True)
class AccountsTable:
    """How the person's accounts are listed, when she links the organisation."""

    call: str
    native: Path
    label: Path = ()
    number: Path = ()  # shown by its end
    kind: Path = ()
    closed: Mapping[Path, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Only:
    """A member that is given only where another of the same record has one of these values."""

    member: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Format:
    id: str
    driver: str
    accept: str = ""
    media_types: tuple[str, ...] = ()
    base: str = ""
    parameters: Mapping[str, FormatParameter] = field(default_factory=dict)
    calls: Mapping[str, FormatCall] = field(default_factory=dict)
    pages: Pages | None = None
    records: Mapping[str, Records] = field(default_factory=dict)
    around: Mapping[Member, str] = field(default_factory=dict)
    instead: Mapping[Member, Any] = field(default_factory=dict)  # neutral values of what the format requires
    required: Mapping[Member, str] = field(default_factory=dict)  # member → of WAYS
    only: Mapping[Member, Only] = field(default_factory=dict)
    numbers: frozenset[Member] = frozenset()  # where the accounts' own numbers stay, if granted
    accounts: AccountsTable | None = None
    download: tuple[str, ...] = ()  # calls
    files: tuple[str, ...] = ("native",)
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    namespaces: Mapping[str, str] = field(default_factory=dict)
    shapes: Table = field(default_factory=dict)

    @property
    def described(self) -> bool:
        """Whether the tables say it all; else an engine of its own does."""
        return self.driver in TABLES

    def datasets(self) -> frozenset[str]:
        return frozenset(call.dataset for call in self.calls.values())

    def call_paths(self, dataset: str) -> tuple[str, ...]:
        return tuple(self.base + call.path for call in self.calls.values() if call.dataset == dataset)

    def place(self, call: FormatCall) -> Path:
        """Where the records of a call stand in its answer."""
        return self.records[call.records].at if call.at is None else call.at

    def single(self, call: FormatCall) -> bool:
        return call.one or self.records[call.records].one

    def root(self, call: FormatCall) -> str:
        """The word of the table that the whole answer is."""
        if self.place(call):
            return call.envelope
        return call.records if self.single(call) else f"{call.records}*"

    def says_whose(self, call: FormatCall) -> bool:
        """Whether the records or the call say whose they are, so that the answer around them need not."""
        records = self.records[call.records]
        return bool(records.account) or records.of_person or call.names_account

    def needed(self, dataset: str) -> list[Member]:
        """The members by which the records of a type of data are judged: they must always be given."""
        found: dict[Member, None] = {}
        for call in self.calls.values():
            if call.dataset == dataset and call.answer is None:
                found |= dict.fromkeys(self.read_for(call))
                found |= {(kind, only.member): None for (kind, _), only in self.only.items() if kind == call.records}
        return list(found)

    def read_for(self, call: FormatCall) -> list[Member]:
        """The members by which the records of a call are judged and its answer, if it gives one, is made."""
        records = self.records.get(call.records)
        if records is None:
            return []
        found: dict[Member, None] = {}
        of = () if call.answer is None else call.answer.of
        for path in (records.account, *records.time.paths, records.time.length_path, of):
            found |= dict.fromkeys(along(self.shapes, records.kind, path) or ())
        return list(found)

    def answers(self, dataset: str) -> list[OverRecords]:
        """What the calls of a type of data give instead of records."""
        calls = (call for call in self.calls.values() if call.dataset == dataset)
        return [call.answer for call in calls if call.answer is not None]

    def of_person(self, dataset: str) -> bool:
        """Whether all of a type of data is of the person as a whole, and of none of her accounts."""
        records = [self.records.get(kind) for kind in self.judged(dataset)]
        return bool(records) and all(each is not None and each.of_person for each in records)

    def judged(self, dataset: str) -> list[str]:
        """The types of record of a type of data."""
        return list(dict.fromkeys(call.records for call in self.calls.values() if call.dataset == dataset))


def along(table: Table, kind: str, path: Path) -> list[Member] | None:
    """The members on a path into a type, from the outside in; None: there is no such path."""
    found: list[Member] = []
    for name in path:
        try:
            known = members(table, kind) if kind in table else {}
        except BadShape:
            return None
        if name not in known:
            return None
        found.append((kind, name))
        kind = known[name]
    return found
