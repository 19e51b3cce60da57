"""One consent version at one health insurer, compiled: which calls it may make and what is left of the answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from gateway.catalogue import fields as catalogue
from gateway.catalogue.datasets import Dataset
from gateway.formats.drift import Seen
from gateway.formats.fhir import contained, extensions
from gateway.formats.fhir.calls import (
    CALLS,
    FHIR_ID,
    KINDS,
    MEDIA_TYPE,
    MEDIA_TYPES,
    NEEDS,
    base,
    links,
    recognised,
    upstream,
)
from gateway.formats.fhir.reading import HealthReading, Page, reading
from gateway.formats.fhir.repair import mark_as_subset, repaired, withhold_codes
from gateway.formats.fhir.shapes import ENVELOPE
from gateway.formats.media import expect
from gateway.formats.model import Asked, Counts, Cut, Cutter, Denied, Granted, NotThere, Source, UnknownShape, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paths import declared, remember
from gateway.formats.shapes import encode, within_limit
from gateway.ground.calendar.instants import Span, Window, inside
from gateway.ground.calendar.instants import span as _span_of

span = lru_cache(maxsize=4096)(_span_of)  # cached: many records have the same days

_PERSON = re.compile(r"(?:https?://[^?#]+/)?(Patient/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
OWNER = {"ExplanationOfBenefit": "patient", "Coverage": "beneficiary"}
_DATES = [("Period", "start"), ("Period", "end")]
_WHOSE = ("Reference", "reference")
NEEDED = {
    "health.coverage": [("Coverage", "beneficiary"), ("Coverage", "period"), _WHOSE, *_DATES],
    "health.claims": [
        *(("ExplanationOfBenefit", name) for name in ("patient", "billablePeriod", "item")),
        *(("Item", name) for name in ("servicedDate", "servicedPeriod")),
        _WHOSE,
        *_DATES,
    ],
}

_SEARCHSET = b'{"resourceType":"Bundle","type":"searchset"'
_MATCH = Raw(b'{"mode":"match"}')


class HealthPart:
    """One granted dataset."""

    def __init__(self, granted: Granted, known: Mapping[str, Dataset] | None, seen: Seen | None) -> None:
        self.kind = kind = KINDS[granted.dataset]
        dataset = catalogue.datasets("fhir-r4", known)[granted.dataset]
        governed = catalogue.governed("fhir-r4", known)
        given = dataset.given(granted.fields)
        members = dataset.members(granted.fields) | {(kind, name) for name in ENVELOPE}
        if kind == "Patient":
            members.add((kind, "id"))
        self.names = AccountNames(granted.accounts, others=granted.others, spell=FHIR_ID)
        self.fields = given
        self.whole = given == dataset.fields.keys()
        self.drugs = "claims.drugs" in given
        self.services = {"claims.procedures", "claims.diagnoses"} <= given
        self.some_codes = ("Item", "productOrService") in members and not (self.drugs and self.services)
        self.records_max = granted.records_max
        self.seen = seen
        self.links: dict[tuple[Any, ...], tuple[bytes, str, str]] = {}
        # Only the pairwise reference is given. The name that may stand beside it is a field of its own.
        self.whose = {native: Raw(encode({"reference": f"Patient/{ref}"})) for native, ref in self.names.ref.items()}
        self.owner = attrgetter(OWNER.get(kind, "id"))
        self._reading_by = partial(reading, kind, governed, frozenset(members))
        self.reading = self._reading_by()

    def _reading_of(self, body: bytes) -> HealthReading:
        """From now on with the table that allows extended values, if this insurer's answers have them."""
        if b'"_' in body:
            self.reading = self._reading_by(extended=True)
        return self.reading

    def owners(self, sent: Upstream) -> Mapping[str, str]:
        """The reference to a person → the insurer's own id, for the accounts that this call may return."""
        prefix = "" if self.kind == "Patient" else "Patient/"
        return {prefix + account.native: account.native for account in sent.accounts}

    def page(self, body: bytes) -> tuple[Page, HealthReading]:
        """A searchset, and what it was read by. Raises UnknownShape."""
        try:
            found = self.reading.page(body)
            if found is not None:
                return found, self.reading
        except UnknownShape:  # something in it is unknown or wrong, which is found one by one
            pass
        how = self._reading_of(body)
        return how.page_one_by_one(body, self.seen), how

    def one(self, body: bytes) -> tuple[Any, int, HealthReading]:
        """One resource, how many members inside its elements were withheld, and what it was read by."""
        try:
            return *self.reading.resource(body, None), self.reading
        except UnknownShape:
            how = self._reading_of(body)
        return *how.resource(body, self.seen), how

    def tell(self, strange: list[Raw]) -> None:
        """Of extensions that could not be read."""
        if strange and self.seen is not None:
            text = b"[%b]" % b",".join(map(bytes, strange))
            self.seen.look(extensions.KNOWN, "Extension*", text, "entry.resource.extension")

    def reduce(self, resource: Any, native: str, taken: int, remove: Callable[[Any], int], strange: list[Raw]) -> int:
        """Take what is not granted out of a resource, and replace the ids of the person and the resource by those for
        the app.

        `taken`: how many members were taken before. Returns that number with those taken here. `strange` gets the
        extensions that could not be read.
        """
        held = resource.contained
        taken += remove(resource)
        if held is not UNSET:
            contained.inline(resource, held)
        if self.kind == "Patient":
            taken += extensions.reduce(resource, strange)
        if self.some_codes:
            taken += withhold_codes(resource, self.drugs, self.services)
        if self.kind == "ExplanationOfBenefit":
            resource.patient = self.whose[native]
            _rename_coverages(resource, self.names)
        elif self.kind == "Coverage":
            resource.beneficiary = self.whose[native]
        if resource.id is not UNSET:
            resource.id = self.names.outward(resource.id)
        if taken or not self.whole:
            mark_as_subset(resource)
        return taken


def _rename_coverages(claim: Any, names: AccountNames) -> None:
    """Where insurers write the person's number beside her own reference and the id, as the app may see it.

    The encoded answer is searched for the number as well, but that is slow if it is found, so the known places are
    replaced first.
    """
    if claim.insurance is UNSET or type(claim.insurance) is Raw:  # of our own making
        return
    for insurance in claim.insurance:
        coverage = insurance.coverage
        if coverage is not UNSET and coverage.reference is not UNSET:
            coverage.reference = names.outward(coverage.reference)


class HealthPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self.source = source
        items = catalogue.by_dataset("fhir-r4", granted, source.known)
        self.parts = {name: HealthPart(item, source.known, source.seen(name)) for name, item in items.items()}

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        asked = replace(asked, path=asked.path.removesuffix("/"))  # Blue Button links to searches with one
        found = recognised(self.source, asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(self.parts))
        operation, named = found
        dataset = CALLS[operation].dataset
        part = self.parts.get(dataset)
        if part is None or not declared(self.source, dataset, asked.path):
            return Denied("dataset", "datasets", asked=dataset, allowed=" ".join(self.parts))
        if operation == "patient" and named not in part.names.native:
            allowed = " ".join(a.ref for a in part.names.accounts)
            return Denied("account", "accounts", asked=named or "", allowed=allowed)
        for word in ("", *(name for name, _ in asked.query)):
            needed = NEEDS.get((operation, word))
            if needed is not None and needed not in part.fields:
                return Denied("field", "fields", asked=needed, allowed=" ".join(sorted(part.fields)))
        return upstream(self.source, operation, part.names, asked, named, window)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        expect(media_type, MEDIA_TYPES)
        within_limit(body)
        part = self.parts[sent.dataset]
        if not CALLS[sent.operation].is_search:
            return self._one(part, sent, body, window)
        page, how = part.page(body)
        text, counts = self._given(part, sent, window, page, how)
        around, following, notice = self._around(part, sent, page)
        return Cut(around + text, MEDIA_TYPE, counts, following, notice)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _one(self, part: HealthPart, sent: Upstream, body: bytes, window: Window) -> Cut:
        resource, inner, how = part.one(body)
        native = _owner(resource, part, part.owners(sent))
        if native is None:  # whether an id is somebody else's is nobody's to know
            raise NotThere
        lasted = _lasted(resource, part.kind, self.source.zone)
        if not _in_time(resource, part.kind, lasted, window, self.source.zone):
            raise NotThere
        strange: list[Raw] = []
        taken = part.reduce(resource, native, inner, how.remove, strange)
        part.tell(strange)
        text = repaired(resource, [resource], taken > 0)
        return Cut(part.names.outward_bytes(text), MEDIA_TYPE, Counts(1, 0, taken, *(lasted or (None, None))))

    def _given(
        self, part: HealthPart, sent: Upstream, window: Window, page: Page, how: HealthReading
    ) -> tuple[bytes, Counts]:
        """The resources that are given, written anew behind what stands around them. Raises UnknownShape."""
        kind, zone, remove, owners = part.kind, self.source.zone, how.remove, part.owners(sent)
        most = page.entries if part.records_max is None else part.records_max
        prefix = f"{self.source.gateway_url}{base(self.source)}/{kind}/"
        kept: list[Any] = []
        entries: list[dict[str, Any]] = []
        spans: list[Span] = []
        strange: list[Raw] = []
        fields = 0
        for at, resource, before, is_match in page.records:
            try:
                native = _owner(resource, part, owners)
                if native is None:
                    raise UnknownShape(OWNER.get(kind, "id"))
                lasted = _lasted(resource, kind, zone)
                if not _in_time(resource, kind, lasted, window, zone) or len(kept) >= most:
                    continue
            except UnknownShape as problem:
                raise UnknownShape(f"entry[{at}].resource.{problem.where}") from None
            fields += part.reduce(resource, native, before, remove, strange)
            kept.append(resource)
            entries.append(_enveloped(resource, prefix, is_match))
            if lasted is not None:
                spans.append(lasted)
        part.tell(strange)
        text = part.names.outward_bytes(repaired(_bundle(page, entries), kept, fields > 0))
        first, last = (min(spans)[0], max(end for _, end in spans)) if spans else (None, None)
        return text[len(_SEARCHSET) :], Counts(len(kept), page.entries - len(kept), fields, first, last)

    def _around(self, part: HealthPart, sent: Upstream, page: Page) -> tuple[bytes, str, str]:
        """How the page begins, with its links; the address of the next page; a notice. They are the same when a page
        is read again."""
        key = (sent.path, sent.query, sent.shown, sent.period, page.links)
        held = part.links.get(key)
        if held is not None:
            return held
        kept, following, notice = links(self.source, sent, part.names, page.links)
        return remember(part.links, key, (b'%b,"link":%b' % (_SEARCHSET, encode(kept)), following, notice))


def _bundle(page: Page, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """It has a total only if all records are on this page: any other total would count withheld ones."""
    answer: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if page.has_total and not {"next", "previous", "prev"} & {relation for relation, _ in page.links}:
        answer["total"] = len(entries)
    if entries:
        answer["entry"] = entries
    return answer


def _enveloped(resource: Any, prefix: str, is_match: bool) -> dict[str, Any]:
    """An entry, with the resource's address at the gateway."""
    entry: dict[str, Any] = {} if resource.id is UNSET else {"fullUrl": prefix + resource.id}
    entry["resource"] = resource
    if is_match:
        entry["search"] = _MATCH
    return entry


def _owner(resource: Any, part: HealthPart, owners: Mapping[str, str]) -> str | None:
    """The id of the person that the resource is about; None: one that is not in the call. Raises UnknownShape if it
    names none."""
    if resource.resourceType != part.kind:
        raise UnknownShape("resourceType")
    text = part.owner(resource)
    if part.kind != "Patient" and text is not UNSET:
        text = text.reference
        if text not in owners and text is not UNSET and (found := _PERSON.fullmatch(text)):
            text = found[1]
    if text is UNSET:
        raise UnknownShape(OWNER.get(part.kind, "id"))
    return owners.get(text)


def _lasted(resource: Any, kind: str, zone: str) -> Span | None:
    """The span of a claim: its billablePeriod, or from the first to the last of its items. None: it has no time.

    If one end of the billablePeriod is missing, the span reaches as far as the items. Without items it is the one day.
    """
    if kind != "ExplanationOfBenefit":
        return None
    try:
        period = resource.billablePeriod
        billed = None if period is UNSET else _period(period.start, period.end, zone)
        if billed is not None and period.start is not UNSET and period.end is not UNSET:
            return billed
        spans = [_serviced(item, zone) for item in ([] if resource.item is UNSET else resource.item)]
    except (ValueError, OverflowError):
        raise UnknownShape("billablePeriod") from None
    dated = [each for each in (billed, *spans) if each is not None]
    if not dated or (billed is None and len(dated) < len(spans)):
        return None
    return min(start for start, _ in dated), max(end for _, end in dated)


def _serviced(item: Any, zone: str) -> Span | None:
    if item.servicedDate is not UNSET:
        return span(item.servicedDate, zone)
    period = item.servicedPeriod
    return None if period is UNSET else _period(period.start, period.end, zone)


@lru_cache(maxsize=4096)
def _period(start: str | UnsetType, end: str | UnsetType, zone: str) -> Span | None:
    """A FHIR Period as a span. If one end is missing, the other date alone; if it ends before it starts, both days and
    all between."""
    first, last = (start, end) if start is not UNSET else (end, end)
    if first is UNSET:
        return None
    one, other = span(first, zone), span(first if last is UNSET else last, zone)
    return min(one[0], other[0]), max(one[1], other[1])


def _in_time(resource: Any, kind: str, lasted: Span | None, window: Window, zone: str) -> bool:
    if kind == "ExplanationOfBenefit":
        return lasted is not None and inside(window, *lasted)
    if kind == "Coverage" and resource.period is not UNSET:
        return _overlaps(window, *_state(resource.period, zone))
    return True


def _state(period: Any, zone: str) -> tuple[datetime | None, datetime | None]:
    try:
        start = None if period.start is UNSET else span(period.start, zone)[0]
        end = None if period.end is UNSET else span(period.end, zone)[1]
    except (ValueError, OverflowError):
        raise UnknownShape("period") from None
    return start, end


def _overlaps(window: Window, start: datetime | None, end: datetime | None) -> bool:
    """Whether a period from start to end (None: open) overlaps the window."""
    return (window.end is None or start is None or start < window.end) and (
        window.start is None or end is None or end > window.start
    )


def plan(source: Source, granted: Iterable[Granted]) -> HealthPlan:
    return HealthPlan(source, granted)
