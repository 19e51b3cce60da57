"""The insured persons of a link, and reading all pages of a search."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from msgspec import UNSET, Raw

from gateway.formats.fhir.calls import CALLS, MEDIA_TYPE, base, query_of_search
from gateway.formats.fhir.shapes import NEEDED
from gateway.formats.model import Account, Fetch, FoundAccount, Source, UnknownShape, Upstream
from gateway.formats.names import nameless
from gateway.formats.shapes import Reader, within_limit
from gateway.formats.walking import walk

PAGES = 2000  # more than anybody has, in case the organisation's links go round in a circle

_bundle = Reader(NEEDED, "Bundle", strict=False)
_patient = Reader(NEEDED, "Patient", strict=False)
_resource = Reader({"Resource": "resourceType:s"}, "Resource", strict=False)


def call(source: Source, operation: str, native: str = "") -> Upstream:
    """A search for all data of a person, which only this person may make, never an app."""
    known = CALLS[operation]
    whose = ((known.person, native),) if known.person and native else ()
    accounts = (Account(native, native),) if native else ()
    return Upstream(known.dataset, base(source) + known.path, whose, MEDIA_TYPE, accounts, operation=operation)


def resources(fetch: Fetch, first: Upstream) -> Iterator[Raw]:
    """The resources of all pages, as JSON texts. Raises UnknownShape for a page that is not a searchset."""
    return chain.from_iterable(walk(fetch, first, _page, "link[next]", PAGES))


def _page(sent: Upstream, body: bytes) -> tuple[list[Raw], Upstream | None]:
    bundle, _ = _bundle.read(within_limit(body))
    if bundle.resourceType != "Bundle":
        raise UnknownShape("resourceType")
    found = [entry.resource for entry in ([] if bundle.entry is UNSET else bundle.entry)]
    if UNSET in found:
        raise UnknownShape(f"entry[{found.index(UNSET)}].resource")
    return found, _next(sent, bundle)


def _next(sent: Upstream, bundle: Any) -> Upstream | None:
    for link in [] if bundle.link is UNSET else bundle.link:
        if link.relation == "next":
            query = query_of_search(link.url, sent.path, CALLS[sent.operation])
            if query is None:
                raise UnknownShape("link[next]")
            pairs = tuple(query.items())
            return Upstream(sent.dataset, sent.path, pairs, sent.accept, sent.accounts, True, sent.operation)
    return None


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """The patients of the link: one person, rarely more (a guardian's child). The labels are their names, only shown to
    the linked person."""
    found = []
    for text in resources(fetch, call(source, "patients")):
        if _resource.read(text)[0].resourceType != "Patient":  # a search may also return an OperationOutcome
            continue
        patient, _ = _patient.read(text, "Patient")
        if patient.id is UNSET:
            raise UnknownShape("Patient.id")
        found.append(FoundAccount(native=patient.id, label=_name(patient), kind="patient"))
    return found


def _name(patient: Any) -> str:
    for name in [] if patient.name is UNSET else patient.name:
        words = ([] if name.given is UNSET else name.given) + ([] if name.family is UNSET else [name.family])
        if words:
            return " ".join(words)
    return nameless(patient.id)
