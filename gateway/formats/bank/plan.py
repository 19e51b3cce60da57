"""One consent version at one bank, compiled: which calls it may make and what is left of the answers."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from gateway.catalogue import fields as catalogue
from gateway.catalogue.datasets import Dataset
from gateway.formats.bank.calls import CALLS, links, recognised, upstream
from gateway.formats.bank.reading import reading
from gateway.formats.bank.shapes import TABLE
from gateway.formats.media import expect
from gateway.formats.model import WITHHELD, Asked, Counts, Cut, Cutter, Denied, Granted, Source, UnknownShape, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paths import Following, declared, remember
from gateway.formats.shapes import Reader, encode, within_limit
from gateway.ground.calendar.instants import Window, utc_text
from gateway.ground.calendar.instants import instant as _instant_of

instant = lru_cache(maxsize=4096)(_instant_of)  # cached: a page that is read again has the same instants

MEDIA_TYPE = "application/json"
TIME = {"Balance": "DateTime", "Transaction": "BookingDateTime"}
NEEDED = {
    call.dataset: [(call.member, name) for name in ("AccountId", TIME.get(call.member)) if name]
    for call in CALLS.values()
}
_TIMED = {kind: attrgetter(name) for kind, name in TIME.items()}
# Members whose values stay even if they look like an account number of the bank: amounts. And those in which the
# numbers of the accounts themselves stay, if the person granted them.
AMOUNTS = {b'"Amount":': re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,5})?")}
NUMBERS = (b'"Identification":', b'"SecondaryIdentification":')
# The two sides of a transaction. The counterparty is the other one: the standard (v4) has CreditorAccount "in the case
# of a debit transaction" and DebtorAccount for a credit. The account's own side would tell the person's own number.
CREDITOR = ("CreditorAgent", "CreditorAccount", "UltimateCreditor")
DEBTOR = ("DebtorAgent", "DebtorAccount", "UltimateDebtor")
OWN_SIDE = {"Debit": DEBTOR, "Credit": CREDITOR}

_links_reader, _meta_reader = Reader(TABLE, "Links"), Reader(TABLE, "Meta")


class BankPart:
    """One granted dataset."""

    def __init__(self, granted: Granted, known: Mapping[str, Dataset] | None) -> None:
        dataset = catalogue.datasets("bank", known)[granted.dataset]
        governed = catalogue.governed("bank", known)
        self.names = AccountNames(granted.accounts, others=granted.others)
        self.records_max = 0 if dataset.drops_records(granted.fields) else granted.records_max
        self.holder_only = {"account.holder"} <= granted.fields and "account.number" not in granted.fields
        (kind,) = {call.member for call in CALLS.values() if call.dataset == granted.dataset}
        given = frozenset(dataset.members(granted.fields))
        self.parties = any((kind, name) in given for name in CREDITOR + DEBTOR)
        self.reading = reading(kind, governed, given)
        self.numbers = NUMBERS if ("CashAccount", "Identification") in given else ()
        self.around: dict[tuple[Any, ...], bytes] = {}
        self.following = Following()

    def refs(self, sent: Upstream) -> dict[str, str]:
        """The bank's account number → the app's reference, for the accounts that this call may return."""
        if len(sent.accounts) == len(self.names.accounts):
            return self.names.ref
        return {account.native: self.names.ref[account.native] for account in sent.accounts}


class BankPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self._source = source
        items = catalogue.by_dataset("bank", granted, source.known)
        self._parts = {name: BankPart(item, source.known) for name, item in items.items()}

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
        return upstream(self._source, operation, part.names, asked, ref, window, part.following)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        expect(media_type, (MEDIA_TYPE,))
        part, member = self._parts[sent.dataset], CALLS[sent.operation].member
        answer, found, inside = part.reading.answer(within_limit(body))
        records, counts = self._records(sent, member, found, inside, window)
        text = part.names.outward_bytes(encode(records), AMOUNTS, part.numbers)
        around = self._around(part, sent, answer, window)
        return Cut(b'{"Data":{"%b":%b},%b' % (member.encode(), text, around), MEDIA_TYPE, counts)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _around(self, part: BankPart, sent: Upstream, answer: Any, window: Window) -> bytes:
        """What stands behind the records: links and coverage. They are the same each time a page is read again."""
        given, meta = answer.Links, answer.Meta
        texts = (None if given is UNSET else bytes(given), None if meta is UNSET else bytes(meta))
        key = (sent.path, sent.query, *texts, window.start, window.end)
        return part.around.get(key) or remember(part.around, key, self._written_around(part, sent, texts, window))

    def _written_around(
        self, part: BankPart, sent: Upstream, texts: tuple[bytes | None, bytes | None], window: Window
    ) -> bytes:
        found: dict[str, str] = {}
        if texts[0] is not None:
            given, _ = _links_reader.read(texts[0], "Links")
            found = {rel: url for rel in ("First", "Prev", "Next") if (url := getattr(given, rel)) is not UNSET}
        kept: dict[str, Any] = {"Links": links(self._source, sent, part.names, found, part.following)}
        if texts[1] is not None:
            kept["Meta"] = _meta(_meta_reader.read(texts[1], "Meta")[0], window, self._source.zone)
        return encode(kept)[1:]

    def _records(
        self, sent: Upstream, member: str, found: list[Any], inside: list[int], window: Window
    ) -> tuple[list[Any], Counts]:
        """The records that are given, and the counts. In one loop with few function calls, for speed."""
        part, timed, zone = self._parts[sent.dataset], _TIMED.get(member), self._source.zone
        remove, low, high = part.reading.remove, window.start, window.end
        refs = part.refs(sent)
        most = len(found) if part.records_max is None else part.records_max
        kept: list[Any] = []
        moments: list[datetime] = []
        fields = index = 0
        try:
            for index, record in enumerate(found):
                if timed is not None:
                    text = timed(record)
                    if text is UNSET:  # its time is missing, so it cannot be inside the window
                        continue
                    moment = instant(text, zone)
                    if (low is not None and moment < low) or (high is not None and moment >= high):
                        continue
                ref = refs.get(record.AccountId)
                if ref is None or len(kept) >= most:
                    continue
                record.AccountId = ref
                fields += inside[index] + remove(record)
                kept.append(record)
                if timed is not None:
                    moments.append(moment)
        except ValueError:
            raise UnknownShape(f"Data.{member}[{index}].{TIME[member]}") from None
        if part.holder_only:
            for record in kept:
                _hide_numbers(record)
        if part.parties:
            fields += sum(map(_remove_own_side, kept))
        first, last = (min(moments), max(moments)) if moments else (None, None)
        return kept, Counts(len(kept), len(found) - len(kept), fields, first, last)


def plan(source: Source, granted: Iterable[Granted]) -> BankPlan:
    return BankPlan(source, granted)


def _hide_numbers(account: Any) -> None:
    """Replace account numbers by a neutral word: the standard requires an Identification together with a name."""
    if account.Account is not UNSET:
        for entry in account.Account:
            entry.Identification = WITHHELD


def _remove_own_side(transaction: Any) -> int:
    """Leave the other side only; neither where the direction is not known. How many members were taken out."""
    own = OWN_SIDE.get(transaction.CreditDebitIndicator, CREDITOR + DEBTOR)
    there = [name for name in own if getattr(transaction, name) is not UNSET]
    for name in there:
        setattr(transaction, name, UNSET)
    return len(there)


def _meta(found: Any, window: Window, zone: str) -> dict[str, Any]:
    """The covered period, cut to the window. The number of pages only if it is 1: any other would count withheld
    records, too."""
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
