"""One consent version at one bank, compiled: which calls it may make and what is left of the answers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import UNSET

from gateway.sectors import catalogue
from gateway.sectors.bank.calls import CALLS, links, recognised, upstream
from gateway.sectors.bank.shapes import TABLE
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
from gateway.sectors.shapes import Reader, encode, withheld_members, within_limit
from gateway.sectors.times import inside, instant, utc_text

MEDIA_TYPE = "application/json"
TIME = {"Balance": "DateTime", "Transaction": "BookingDateTime"}
NOT_GIVEN = "withheld"  # stands in for an account number the format requires beside a holder's name

answer_reader = Reader(TABLE, "Answer")


class Part:
    """One granted dataset."""

    def __init__(self, granted: Granted) -> None:
        dataset = catalogue.datasets("bank")[granted.dataset]
        self.names = Names(granted.accounts)
        self.records_max = granted.records_max
        self.drops_records = dataset.drops_records(granted.fields)
        self.holder_only = {"account.holder"} <= granted.fields and "account.number" not in granted.fields
        self._withheld = withheld_members(TABLE, catalogue.governed("bank"), dataset.members(granted.fields))
        self.readers = {
            call.member: Reader(TABLE, call.member, self._withheld)
            for call in CALLS.values()
            if call.dataset == granted.dataset
        }


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
        answer, _ = answer_reader.read(within_limit(body))
        member = CALLS[sent.operation].member
        records, counts = self._records(sent, member, the_list(answer, member), window)
        data: dict[str, Any] = {"Data": {member: records}, "Links": self._links(sent, answer)}
        meta = _meta(answer, window, self._source.zone)
        if meta is not None:
            data["Meta"] = meta
        return Cut(encode(data), MEDIA_TYPE, counts)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _links(self, sent: Upstream, answer: Any) -> dict[str, str]:
        names = self._parts[sent.dataset].names
        found = answer.Links
        present = {} if found is UNSET else {rel: getattr(found, rel) for rel in found.__struct_fields__}
        return links(self._source, sent, names, {rel: url for rel, url in present.items() if url is not UNSET})

    def _records(self, sent: Upstream, member: str, found: list[Any], window: Window) -> tuple[list[Any], Counts]:
        part = self._parts[sent.dataset]
        read, time = part.readers[member].read, TIME.get(member)
        refs = {account.native: part.names.ref[account.native] for account in sent.accounts}
        kept: list[Any] = []
        moments: list[datetime] = []
        fields = 0
        for index, raw in enumerate(found):
            record, withheld = read(raw, f"Data.{member}[{index}]")
            ref = refs.get(record.AccountId)
            moment = _moment(record, time, self._source.zone, f"Data.{member}[{index}]")
            if ref is None or part.drops_records or not _in_time(moment, time, window):
                continue
            if part.records_max is not None and len(kept) >= part.records_max:
                continue
            record.AccountId = ref
            if part.holder_only:
                _hide_numbers(record)
            kept.append(record)
            fields += withheld
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


def _moment(record: Any, time: str | None, zone: str, where: str) -> datetime | None:
    if time is None or getattr(record, time) is UNSET:
        return None
    try:
        return instant(getattr(record, time), zone)
    except ValueError:
        raise UnknownShape(f"{where}.{time}") from None


def _in_time(moment: datetime | None, time: str | None, window: Window) -> bool:
    """A record of a kind that has a time, without its time, is outside."""
    return time is None or (moment is not None and inside(window, moment, moment))


def _hide_numbers(account: Any) -> None:
    """The standard requires an Identification beside a name; the neutral word takes its place."""
    if account.Account is not UNSET:
        for entry in account.Account:
            entry.Identification = NOT_GIVEN


def _meta(answer: Any, window: Window, zone: str) -> dict[str, Any] | None:
    """Coverage clamped to the window. The number of pages only when it is one: else it counts withheld records."""
    if answer.Meta is UNSET:
        return None
    found = answer.Meta
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
