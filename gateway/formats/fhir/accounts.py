"""The insured persons of a link, and reading all pages of a search."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from msgspec import UNSET, Raw

from gateway.formats.fhir.calls import CALLS, MEDIA_TYPE, base, leads_on
from gateway.formats.fhir.reading import BESIDE
from gateway.formats.fhir.shapes import NEEDED
from gateway.formats.model import Account, Fetch, FoundAccount, Source, UnknownShape, Upstream
from gateway.formats.names import nameless
from gateway.formats.paging import Unusable
from gateway.formats.shapes import Reader, within_limit
from gateway.formats.walking import walk

PAGES = 2000  # more than anybody has, in case the organisation's links go round in a circle

_bundle = Reader(NEEDED, "Bundle", strict=False)
_patient = Reader(NEEDED, "Patient", strict=False)
_names = Reader(NEEDED, "HumanName*", nulls=True, strict=False)
_resource = Reader({"Resource": "resourceType:s"}, "Resource", strict=False)


def call(source: Source, operation: str, native: str = "") -> Upstream:
    """A search for all data of a person, which only this person may make, never an app."""
    known = CALLS[operation]
    whose = ((known.person, native),) if native else ()
    accounts = (Account(native, native),) if native else ()
    path = base(source) + known.path
    return Upstream(known.dataset, path, whose, MEDIA_TYPE, accounts, operation=operation, page=whose)


def resources(source: Source, fetch: Fetch, first: Upstream, without: tuple[str, ...] = ()) -> Iterator[Raw]:
    """The resources of all pages, as JSON texts. `without`: modes of entries that are left out. Raises UnknownShape for
    a page that is not a searchset, and where a next page cannot be asked for."""
    read = partial(_page, partial(leads_on, source), without)
    return chain.from_iterable(walk(fetch, first, read, "link[next]", PAGES))


def _page(
    leads: Callable[[Upstream, Any], Upstream | None], without: tuple[str, ...], sent: Upstream, body: bytes
) -> tuple[list[Raw], Upstream | None]:
    bundle, _ = _bundle.read(within_limit(body))
    if bundle.resourceType != "Bundle":
        raise UnknownShape("resourceType")
    entries = [entry for entry in ([] if bundle.entry is UNSET else bundle.entry) if entry.resource is not UNSET]
    found = [entry.resource for entry in entries if entry.search is UNSET or entry.search.mode not in without]
    address = {link.relation: link.url for link in ([] if bundle.link is UNSET else bundle.link)}.get("next", "")
    try:
        return found, leads(sent, address)
    except Unusable:
        raise UnknownShape("link[next]") from None


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """The patients of the link: one person, rarely more (a guardian's child). The labels are their names, only shown to
    the linked person."""
    found = []
    for text in resources(source, fetch, call(source, "patients"), BESIDE):
        if _resource.read(text)[0].resourceType != "Patient":  # a search may also return an OperationOutcome
            continue
        patient, _ = _patient.read(text, "Patient")
        if patient.id is UNSET:
            raise UnknownShape("Patient.id")
        found.append(FoundAccount(native=patient.id, label=_name(patient), kind="patient"))
    return found


def _name(patient: Any) -> str:
    try:
        names = [] if patient.name is UNSET else _names.read(patient.name)[0] or []
    except UnknownShape:  # the label is only for her to know which it is
        names = []
    for name in names:
        if name is not None:
            given = name.given if name.given is not UNSET and name.given is not None else []
            words = [word for word in (*given, name.family) if word is not UNSET and word]
            if words:
                return " ".join(words)
    return nameless(patient.id)
