"""What trying a format on an answer takes and gives: the terms, and what became of each record."""

from dataclasses import dataclass, field

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import FormatCall, Path
from gateway.formats.everything import ALWAYS
from gateway.formats.explaining import ComparedRow, Reason, Unknown
from gateway.formats.model import Asked, Counts, Denied, Upstream
from gateway.formats.trying_totals import OverTrial
from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs

UNNAMED = "account-of-the-call"  # stands for an account that no record names


class NotTried(Exception):
    """It cannot be tried so. Says what to do."""


@dataclass(frozen=True, slots=True)
class TrialTerms:
    """What the person would have agreed to."""

    fields: frozenset[str] | None = None  # None: all
    without: frozenset[str] = frozenset()
    window: Window = ALWAYS
    accounts: tuple[str, ...] = ()  # the organisation's own names; (): all that the answer names
    records_max: int | None = None
    query: Pairs = ()  # as an app would send it


@dataclass(frozen=True, slots=True)
class Fate:
    """One record of the answer. `reason`: why it is not given."""

    number: int
    rows: tuple[ComparedRow, ...]
    reason: Reason | None = None
    counts: bool = False  # in an answer over records, which is given in its place

    @property
    def given(self) -> bool:
        return self.reason is None


@dataclass(slots=True)
class Trial:
    call: FormatCall
    at: Path  # where its records stand
    dataset: Dataset
    granted: frozenset[str]
    refs: dict[str, str]  # the organisation's account → what the app sees in its place
    foreign: tuple[str, ...]  # accounts in the answer that are not granted
    asked: Asked
    media_type: str
    sent: Upstream | None = None
    denied: Denied | None = None
    why_denied: str = ""  # in words for whoever writes the declaration; "": the reason says enough
    refusal: str = ""  # why the answer as a whole is not given
    counts: Counts = field(default_factory=Counts)
    body: bytes = b""  # what the app gets
    following: bool = False  # with an address of the next page
    notice: str = ""
    records: list[Fate] = field(default_factory=list)
    around: tuple[ComparedRow, ...] = ()
    unknown: list[Unknown] = field(default_factory=list)
    also: tuple[str, ...] = ()  # other calls that the answer would be as well
    warnings: list[str] = field(default_factory=list)  # what is allowed, and hardly meant so
    whose: str = ""  # of a file with the records of many: the customer whose they are
    over: OverTrial | None = None  # of a call that gives an answer over its records
