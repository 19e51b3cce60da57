"""One consent version at one bank, compiled: which calls it may make and what is left of the answers."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import UNSET, Raw

from gateway.sectors import catalogue
from gateway.sectors.bank.calls import CALLS, links, recognised, upstream
from gateway.sectors.bank.shapes import TABLE, answer_of
from gateway.sectors.media import expect
from gateway.sectors.model import (
    Asked,
    Counts,
    Cut,
    Cutter,
    Denied,
    Granted,
    Source,
    UnknownShape,
    Upstream,
    Window,
)
from gateway.sectors.names import Names
from gateway.sectors.paths import declared
from gateway.sectors.shapes import Reader, encode, remover, withheld_members, within_limit
from gateway.sectors.times import inside, utc_text
from gateway.sectors.times import instant as _instant_of

instant = lru_cache(maxsize=4096)(_instant_of)  # the instants of one page come back when it is read again

MEDIA_TYPE = "application/json"
TIME = {"Balance": "DateTime", "Transaction": "BookingDateTime"}
NOT_GIVEN = "withheld"  # stands in for an account number the format requires beside a holder's name
PAGES_HELD = 8  # of one granted dataset: what stands around the records of its last pages

answer_reader = Reader(TABLE, "Answer")


class Part:
    """One granted dataset."""

    def __init__(self, granted: Granted) -> None:
        dataset = catalogue.datasets("bank")[granted.dataset]
        self.names = Names(granted.accounts)
        self.records_max = granted.records_max
        self.drops_records = dataset.drops_records(granted.fields)
        self.holder_only = {"account.holder"} <= granted.fields and "account.number" not in granted.fields
        withheld = withheld_members(TABLE, catalogue.governed("bank"), dataset.members(granted.fields))
        kinds = {call.member for call in CALLS.values() if call.dataset == granted.dataset}
        unread = catalogue.governed("bank")
        self.answers = {kind: Reader(answer_of(kind), "Answer", withheld, record=kind, unread=unread) for kind in kinds}
        self.records = {kind: Reader(TABLE, kind, withheld, unread=unread) for kind in kinds}
        self.remove = {kind: remover(TABLE, kind, withheld) for kind in kinds}
        self.around: dict[tuple[Any, ...], Raw | None] = {}

    def remembered(self, key: tuple[Any, ...], make: Callable[[], dict[str, Any] | None]) -> Raw | None:
        """What `make` gives, as JSON. `key`: everything it depends on beside this grant and its organisation."""
        if key not in self.around:
            if len(self.around) >= 2 * PAGES_HELD:  # links and coverage of each
                self.around.clear()
            made = make()
            self.around[key] = None if made is None else Raw(encode(made))
        return self.around[key]


class BankPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self._source = source
        self._parts = {name: Part(item) for name, item in catalogue.by_dataset("bank", granted).items()}

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        found = recognised(self._source, asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(self._parts))
        operation, ref = found
        dataset = CALLS[operation].dataset
        part = self._parts.get(dataset)
        if part is None or not declared(self._source, dataset, asked.path):
            return Denied("dataset", "datasets", asked=dataset, allowed=" ".join(self._parts))
        if ref is not None and ref not in part.names.native:
            return Denied("account", "accounts", asked=ref, allowed=" ".join(a.ref for a in part.names.accounts))
        return upstream(self._source, operation, part.names, asked, ref, window)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        expect(media_type, (MEDIA_TYPE,))
        part, member = self._parts[sent.dataset], CALLS[sent.operation].member
        answer, found, withheld = _read(part, member, within_limit(body))
        records, counts = self._records(sent, member, found, withheld, window)
        data: dict[str, Any] = {"Data": {member: records}, "Links": self._links(part, sent, answer.Links)}
        meta = self._meta(part, answer.Meta, window)
        if meta is not None:
            data["Meta"] = meta
        return Cut(encode(data), MEDIA_TYPE, counts)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _links(self, part: Part, sent: Upstream, found: Any) -> Raw | None:
        given = (UNSET, UNSET, UNSET) if found is UNSET else (found.First, found.Prev, found.Next)

        def rewritten() -> dict[str, str]:
            present = zip(("First", "Prev", "Next"), given, strict=True)
            return links(self._source, sent, part.names, {rel: url for rel, url in present if url is not UNSET})

        return part.remembered((sent.path, sent.query, given), rewritten)

    def _meta(self, part: Part, found: Any, window: Window) -> Raw | None:
        if found is UNSET:
            return None
        given = (found.TotalPages, found.FirstAvailableDateTime, found.LastAvailableDateTime)
        key = (given, window.start, window.end)
        return part.remembered(key, lambda: _meta(found, window, self._source.zone))

    def _records(
        self, sent: Upstream, member: str, found: list[Any], withheld: list[int], window: Window
    ) -> tuple[list[Any], Counts]:
        part, time, zone = self._parts[sent.dataset], TIME.get(member), self._source.zone
        remove = part.remove[member]
        refs = {account.native: part.names.ref[account.native] for account in sent.accounts}
        kept: list[Any] = []
        moments: list[datetime] = []
        fields = 0
        for index, record in enumerate(found):
            taken = withheld[index] + remove(record)
            ref = refs.get(record.AccountId)
            moment = None if time is None else _moment(record, time, zone, index)
            if ref is None or part.drops_records or not _in_time(moment, time, window):
                continue
            if part.records_max is not None and len(kept) >= part.records_max:
                continue
            record.AccountId = ref
            if part.holder_only:
                _hide_numbers(record)
            kept.append(record)
            fields += taken
            if moment:
                moments.append(moment)
        first, last = (min(moments), max(moments)) if moments else (None, None)
        return kept, Counts(len(kept), len(found) - len(kept), fields, first, last)


def plan(source: Source, granted: Iterable[Granted]) -> BankPlan:
    return BankPlan(source, granted)


def the_list(answer: Any, member: str) -> list[Any]:
    """The records of the answer. Another list beside them is another answer than the one asked for."""
    if answer.Data is UNSET:
        raise UnknownShape("Data")
    for name in ("Account", "Balance", "Transaction"):
        if name != member and getattr(answer.Data, name) is not UNSET:
            raise UnknownShape(f"Data.{name}")
    found = getattr(answer.Data, member)
    return [] if found is UNSET else found


def _read(part: Part, member: str, body: bytes) -> tuple[Any, list[Any], list[int]]:
    """The answer, its records, and how many members were withheld from each of them.

    Raises UnknownShape; which record is at fault is looked for only then.
    """
    try:
        answer, withheld = part.answers[member].read_each(body)
    except UnknownShape:
        _find_fault(part, member, body)
        raise
    found = the_list(answer, member)
    if len(withheld) != len(found) + 1:  # an answer that has its list twice
        raise UnknownShape(f"Data.{member}")
    return answer, found, withheld


def _find_fault(part: Part, member: str, body: bytes) -> None:
    answer, _ = answer_reader.read(body)
    for index, record in enumerate(the_list(answer, member)):
        part.records[member].read(record, f"Data.{member}[{index}]")


def _moment(record: Any, time: str, zone: str, index: int) -> datetime | None:
    text = getattr(record, time)
    if text is UNSET:
        return None
    try:
        return instant(text, zone)
    except ValueError:
        raise UnknownShape(f"Data.{type(record).__name__}[{index}].{time}") from None


def _in_time(moment: datetime | None, time: str | None, window: Window) -> bool:
    """A record of a kind that has a time, without its time, is outside."""
    return time is None or (moment is not None and inside(window, moment, moment))


def _hide_numbers(account: Any) -> None:
    """The standard requires an Identification beside a name; the neutral word takes its place."""
    if account.Account is not UNSET:
        for entry in account.Account:
            entry.Identification = NOT_GIVEN


def _meta(found: Any, window: Window, zone: str) -> dict[str, Any]:
    """Coverage clamped to the window. The number of pages only when it is one: else it counts withheld records."""
    kept: dict[str, Any] = {}
    if found.TotalPages is not UNSET and found.TotalPages == 1:
        kept["TotalPages"] = 1
    for name, edge, choose in (
        ("FirstAvailableDateTime", window.start, max),
        ("LastAvailableDateTime", window.end, min),
    ):
        text = getattr(found, name)
        if text is not UNSET:
            kept[name] = _clamped(text, edge, choose, zone, name)
    return kept


def _clamped(text: str, edge: datetime | None, choose: Any, zone: str, name: str) -> str:
    try:
        moment = instant(text, zone)
    except ValueError:
        raise UnknownShape(f"Meta.{name}") from None
    return text if edge is None or choose(moment, edge) == moment else utc_text(edge)
