"""One consent version at one health insurer, compiled: which calls it may make and what is left of the answers."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import UNSET

from gateway.sectors import catalogue
from gateway.sectors.health.calls import (
    CALLS,
    FHIR_ID,
    MEDIA_TYPE,
    MEDIA_TYPES,
    NEEDS,
    base,
    links,
    overlaps,
    recognised,
    upstream,
)
from gateway.sectors.health.repair import mark_as_subset, repaired, withhold_codes
from gateway.sectors.health.shapes import ENVELOPE, TABLE, bundle_of
from gateway.sectors.media import expect
from gateway.sectors.model import Asked, Counts, Cut, Cutter, Denied, Granted, Source, UnknownShape, Upstream, Window
from gateway.sectors.names import Names
from gateway.sectors.paths import declared
from gateway.sectors.shapes import Reader, encode, remover, withheld_members, within_limit
from gateway.sectors.times import Span, inside
from gateway.sectors.times import span as _span_of

span = lru_cache(maxsize=4096)(_span_of)  # the days of one page come back on the next

_ABSOLUTE = re.compile(r"https?://[^?#]+/(Patient/[A-Za-z0-9.-]{1,64})")
OWNER = {"ExplanationOfBenefit": "patient", "Coverage": "beneficiary"}
NOT_FOUND = encode(
    {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
)  # what a read outside the period answers: as if it were not there

bundle_reader = Reader(TABLE, "Bundle")


class Part:
    """One granted dataset."""

    def __init__(self, granted: Granted, kind: str) -> None:
        dataset = catalogue.datasets("health")[granted.dataset]
        given = dataset.given(granted.fields)
        self.kind = kind
        self.names = Names(granted.accounts, spell=FHIR_ID)
        self.fields = given
        self.whole = given == dataset.fields.keys()
        self.drugs = "claims.drugs" in given
        self.services = {"claims.procedures", "claims.diagnoses"} <= given
        self.records_max = granted.records_max
        members = dataset.members(granted.fields) | {(kind, name) for name in ENVELOPE}
        if kind == "Patient":
            members.add((kind, "id"))
        governed = catalogue.governed("health")
        withheld = withheld_members(TABLE, governed, members)
        self.reader = Reader(TABLE, kind, withheld, unread=governed)
        self.bundles = Reader(bundle_of(kind), "Bundle", withheld, record=kind, unread=governed)
        self._remove = remover(TABLE, kind, withheld)

    def reduce(self, resource: Any, native: str, elements: int) -> int:
        """Take what is not granted out of a resource of this person, and give her and it their outward names.

        Returns how many members were taken, beside the `elements` the reader has withheld inside others.
        """
        taken = self._remove(resource)
        if self.kind == "ExplanationOfBenefit" and not (self.drugs and self.services):
            taken += withhold_codes(resource, self.drugs, self.services)
        if self.kind in OWNER:
            # the name beside a reference is a field of its own; only the pairwise reference stays
            setattr(resource, OWNER[self.kind], {"reference": f"Patient/{self.names.ref[native]}"})
        _rename(resource, self.names)
        if taken or elements or not self.whole:
            mark_as_subset(resource)
        return taken


def _rename(resource: Any, names: Names) -> None:
    """The places where insurers write the person's number, as the app may see it.

    The encoded answer is searched for it as well; that is dear only when it is found.
    """
    if resource.id is not UNSET:
        resource.id = names.outward(resource.id)
    for insurance in getattr(resource, "insurance", UNSET) or ():
        if insurance.coverage is not UNSET and insurance.coverage.reference is not UNSET:
            insurance.coverage.reference = names.outward(insurance.coverage.reference)


class HealthPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self._source = source
        kinds = {call.dataset: call.resource for call in CALLS.values()}
        items = catalogue.by_dataset("health", granted)
        self._parts = {name: Part(item, kinds[name]) for name, item in items.items()}

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        found = recognised(self._source, asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(self._parts))
        operation, named = found
        dataset = CALLS[operation].dataset
        part = self._parts.get(dataset)
        if part is None or not declared(self._source, dataset, asked.path):
            return Denied("dataset", "datasets", asked=dataset, allowed=" ".join(self._parts))
        if operation == "patient" and named not in part.names.native:
            allowed = " ".join(a.ref for a in part.names.accounts)
            return Denied("account", "accounts", asked=named or "", allowed=allowed)
        for word in (operation, *(name for name, _ in asked.query)):
            if word in NEEDS and NEEDS[word] not in part.fields:
                return Denied("field", "fields", asked=NEEDS[word], allowed=" ".join(sorted(part.fields)))
        return upstream(self._source, operation, part.names, asked, named, window)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        expect(media_type, MEDIA_TYPES)
        within_limit(body)
        part = self._parts[sent.dataset]
        prefix = "" if part.kind == "Patient" else "Patient/"
        owners = {prefix + account.native: account.native for account in sent.accounts}
        if "{" in CALLS[sent.operation].path:
            return self._read(part, owners, body, window)
        return self._search(part, owners, sent, body, window)

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        return None

    def _read(self, part: Part, owners: Mapping[str, str], body: bytes, window: Window) -> Cut:
        resource, elements = part.reader.read(body)
        native = _owner(resource, part.kind, owners)
        lasted = _lasted(resource, part.kind, self._source.zone)
        if not _in_time(resource, part.kind, lasted, window, self._source.zone):
            return Cut(NOT_FOUND, MEDIA_TYPE, Counts(records_withheld=1))
        taken = elements + part.reduce(resource, native, elements)
        text = repaired(resource, [resource], part.kind, elements > 0)
        return Cut(part.names.outward_bytes(text), MEDIA_TYPE, Counts(1, 0, taken, *(lasted or (None, None))))

    def _search(self, part: Part, owners: Mapping[str, str], sent: Upstream, body: bytes, window: Window) -> Cut:
        bundle, elements = _read_bundle(part, body)
        kind, zone = part.kind, self._source.zone
        most = len(bundle.entry) if part.records_max is None else part.records_max
        prefix = f"{self._source.gateway_url}{base(self._source)}/{kind}/"
        kept: list[dict[str, Any]] = []
        spans: list[Span] = []
        fields = hidden = 0
        for index, (entry, inner) in enumerate(zip(bundle.entry, elements, strict=True)):
            resource = entry.resource
            try:
                native = _owner(resource, kind, owners)
                lasted = _lasted(resource, kind, zone)
                if not _in_time(resource, kind, lasted, window, zone) or len(kept) >= most:
                    continue
            except UnknownShape as problem:
                raise UnknownShape(f"entry[{index}].resource.{problem.where}") from None
            fields += inner + part.reduce(resource, native, inner)
            hidden += inner
            kept.append(_entry(prefix, entry))
            if lasted:
                spans.append(lasted)
        answer = self._bundle(part, sent, bundle, kept)
        text = repaired(answer, [entry["resource"] for entry in kept], kind, hidden > 0)
        first, last = (min(s for s, _ in spans), max(e for _, e in spans)) if spans else (None, None)
        counts = Counts(len(kept), len(bundle.entry) - len(kept), fields, first, last)
        return Cut(part.names.outward_bytes(text), MEDIA_TYPE, counts)

    def _bundle(self, part: Part, sent: Upstream, bundle: Any, kept: list[dict[str, Any]]) -> dict[str, Any]:
        """The page, with a total only where all is on it: any other number counts what is withheld."""
        found = {} if bundle.link is UNSET else {each.relation: each.url for each in bundle.link}
        answer: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if bundle.total is not UNSET and not found.keys() & {"next", "previous"}:
            answer["total"] = len(kept)
        addresses = links(self._source, sent, part.names, found)
        if addresses:
            answer["link"] = addresses
        if kept:
            answer["entry"] = kept
        return answer


def plan(source: Source, granted: Iterable[Granted]) -> HealthPlan:
    return HealthPlan(source, granted)


def _read_bundle(part: Part, body: bytes) -> tuple[Any, list[int]]:
    """A searchset of resources of one kind, and how many members inside elements were withheld from each of them.

    Raises UnknownShape for any other; which entry is at fault is looked for only then.
    """
    try:
        bundle, elements = part.bundles.read_each(body)
    except UnknownShape:
        _find_fault(part, body)
        raise
    if bundle.resourceType != "Bundle" or bundle.type != "searchset":
        raise UnknownShape("resourceType")
    bundle.entry = [] if bundle.entry is UNSET else bundle.entry
    for index, entry in enumerate(bundle.entry):
        if entry.resource is UNSET:
            raise UnknownShape(f"entry[{index}].resource")
    if len(elements) != len(bundle.entry) + 1:  # an entry that has its resource twice
        raise UnknownShape("entry")
    return bundle, elements[:-1]


def _find_fault(part: Part, body: bytes) -> None:
    bundle, _ = bundle_reader.read(body)
    for index, entry in enumerate([] if bundle.entry is UNSET else bundle.entry):
        if entry.resource is not UNSET:
            part.reader.read(entry.resource, f"entry[{index}].resource")


def _entry(prefix: str, entry: Any) -> dict[str, Any]:
    resource = entry.resource
    kept = {"resource": resource} if resource.id is UNSET else {"fullUrl": prefix + resource.id, "resource": resource}
    if entry.search is not UNSET and entry.search.mode is not UNSET:
        kept["search"] = {"mode": entry.search.mode}
    return kept


def _owner(resource: Any, kind: str, owners: Mapping[str, str]) -> str:
    """The id of the person the resource is about. Raises UnknownShape when she is not of the call, or not named."""
    if resource.resourceType != kind:
        raise UnknownShape("resourceType")
    if kind == "Patient":
        text = resource.id
    else:
        reference = getattr(resource, OWNER[kind])
        text = UNSET if reference is UNSET else reference.reference
        if text not in owners and text is not UNSET and (found := _ABSOLUTE.fullmatch(text)):
            text = found[1]
    if text not in owners:
        raise UnknownShape(OWNER.get(kind, "id"))
    return owners[text]


def _lasted(resource: Any, kind: str, zone: str) -> Span | None:
    """The span of a claim: its billablePeriod, else from the first to the last of its items. None: it has no time."""
    if kind != "ExplanationOfBenefit":
        return None
    try:
        if resource.billablePeriod is not UNSET:
            return _period(resource.billablePeriod, zone)
        items = [] if resource.item is UNSET else resource.item
        spans = [_serviced(item, zone) for item in items]
    except ValueError:
        raise UnknownShape("billablePeriod") from None
    dated = [each for each in spans if each is not None]
    if not dated or len(dated) < len(spans):
        return None
    return min(start for start, _ in dated), max(end for _, end in dated)


def _serviced(item: Any, zone: str) -> Span | None:
    if item.servicedDate is not UNSET:
        return span(item.servicedDate, zone)
    return None if item.servicedPeriod is UNSET else _period(item.servicedPeriod, zone)


def _period(period: Any, zone: str) -> Span | None:
    """A FHIR Period as a span. One without start or end is not wholly inside anything: None."""
    if period.start is UNSET or period.end is UNSET:
        return None
    return span(period.start, zone)[0], span(period.end, zone)[1]


def _in_time(resource: Any, kind: str, lasted: Span | None, window: Window, zone: str) -> bool:
    if kind == "ExplanationOfBenefit":
        return lasted is not None and inside(window, *lasted)
    if kind == "Coverage" and resource.period is not UNSET:
        return overlaps(window, *_state(resource.period, zone))
    return True


def _state(period: Any, zone: str) -> tuple[datetime | None, datetime | None]:
    try:
        start = None if period.start is UNSET else span(period.start, zone)[0]
        end = None if period.end is UNSET else span(period.end, zone)[1]
    except ValueError:
        raise UnknownShape("period") from None
    return start, end
