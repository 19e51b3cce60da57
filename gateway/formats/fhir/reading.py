"""Readers of the answers, one for each set of granted members. People who agreed to the same fields share one.

a page ──read at once──► every entry a match of the kind that was asked for, every member known: nearly always
     └──one by one────► entries of other kinds dropped, members that are not in the table skipped and told
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from msgspec import UNSET, Raw

from gateway.formats import json_values
from gateway.formats.drift import Seen
from gateway.formats.fhir.repair import neutral
from gateway.formats.fhir.shapes import TABLE, bundle_of, with_extended_values, with_modifiers
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import Member, Reader, encode, remover, withheld_members

MATCH = "match"
BESIDE = ("include", "outcome")  # of an entry that is no match: it came with them (R4, Bundle.entry.search.mode)
OUTCOME = "OperationOutcome"

_envelope = Reader(TABLE, "Bundle")
_open_envelope = Reader(with_modifiers(TABLE), "Bundle", strict=False)
_kinds = Reader(
    with_modifiers(TABLE) | {"Entry": "resource:Resource", "Resource": "resourceType:s"},
    "Bundle",
    record="Resource",
    strict=False,
)


# Of a match: its place in the answer, the resource, how many members were withheld from elements inside it, and whether
# the answer says that it is a match. A plain tuple, because there is one for every record.
Record = tuple[int, Any, int, bool]


@dataclass(frozen=True, slots=True)
class Page:
    links: tuple[tuple[Any, Any], ...]  # relation, address; UNSET where it is missing
    has_total: bool
    records: list[Record]
    entries: int  # with those that are no records of this call


class HealthReading:
    """Reads resources of one kind. `remove` takes the withheld members out of a resource read by the same reading."""

    def __init__(self, table: dict[str, str], kind: str, governed: frozenset[str], given: frozenset[Member]) -> None:
        self._table, self._kind, self._governed = table, kind, governed
        self._withheld = withheld_members(table, governed, given)
        self._neutral = neutral(self._withheld)
        self._known = bundle_of(kind, table)
        self._bundle = Reader(
            self._known, "Bundle", self._withheld, record=kind, unread=governed, neutral=self._neutral
        )
        self._resource = Reader(table, kind, self._withheld, unread=governed, neutral=self._neutral)
        self.remove = remover(table, kind, self._withheld, governed, self._neutral)

    @cached_property
    def _open_resource(self) -> Reader:
        table = with_modifiers(self._table)
        return Reader(table, self._kind, self._withheld, unread=self._governed, neutral=self._neutral, strict=False)

    # ---- one resource

    def resource(self, text: bytes, seen: Seen | None) -> tuple[Any, int]:
        """It, and how many members inside its elements were withheld. Raises UnknownShape."""
        found, taken, strange = self._read(text, "", seen)
        if strange and seen is not None:
            seen.look(self._table, self._kind, text)
        return found, taken

    def _read(self, text: bytes | Raw, where: str, seen: Seen | None) -> tuple[Any, int, bool]:
        """With whether it has members that are not in the table; all of them count as one that was withheld."""
        try:
            return *self._resource.read(text, where), False
        except UnknownShape:
            if seen is None:
                raise
        found, taken = self._open_resource.read(text, where)
        return found, taken + 1, True

    # ---- a page of a search

    def page(self, body: bytes) -> Page | None:
        """All resources read at once. None: there are other entries than matches of this kind. Raises UnknownShape,
        also for members that are not in the table."""
        found, taken = self._bundle.read_each(body)
        _expect_search(found)
        entries = [] if found.entry is UNSET else found.entry
        kind = self._kind
        records: list[Record] = []
        for at, (entry, inside) in enumerate(zip(entries, taken, strict=False)):
            resource, search = entry.resource, entry.search
            mode = UNSET if search is UNSET else search.mode
            if resource is UNSET or resource.resourceType != kind or mode in BESIDE:
                return None
            records.append((at, resource, inside, mode == MATCH))
        _expect_once(entries, taken)
        return _paged(found, records, len(entries))

    def page_one_by_one(self, body: bytes, seen: Seen | None) -> Page:
        """The same, whatever else came with the matches. Raises UnknownShape for what cannot be judged; without
        anybody to tell, also for members and resources that nobody has declared."""
        strange = False
        try:
            found, _ = _envelope.read(body)
        except UnknownShape:
            if seen is None:
                raise
            found, strange = _open_envelope.read(body)[0], True
        _expect_search(found)
        entries = [] if found.entry is UNSET else found.entry
        kinds = self._kinds_of(body, entries)
        records: list[Record] = []
        others: dict[int, str] = {}  # place → kind that nobody asked for
        for at, entry in enumerate(entries):
            kind = kinds[at]
            mode = UNSET if entry.search is UNSET else entry.search.mode
            if kind is None or kind == OUTCOME or mode in BESIDE:
                others[at] = ""
            elif kind == self._kind:
                resource, taken, its = self._read(entry.resource, f"entry[{at}].resource", seen)
                records.append((at, resource, taken, mode == MATCH))
                strange = strange or its
            elif seen is None:
                raise UnknownShape(f"entry[{at}].resource.resourceType")
            else:
                others[at], strange = kind, True
        if strange and seen is not None:
            seen.look(self._known, "Bundle", _without(body, others))
        return _paged(found, records, len(entries))

    def _kinds_of(self, body: bytes, entries: list[Any]) -> list[str | None]:
        """The type of each entry's resource; None: it has no resource."""
        found, counts = _kinds.read_each(body)
        kinds: list[str | None] = []
        for at, entry in enumerate([] if found.entry is UNSET else found.entry):
            if entry.resource is not UNSET and entry.resource.resourceType is UNSET:
                raise UnknownShape(f"entry[{at}].resource.resourceType")
            kinds.append(None if entry.resource is UNSET else entry.resource.resourceType)
        _expect_once([kind for kind in kinds if kind is not None], counts)
        return kinds


def _expect_search(found: Any) -> None:
    if found.resourceType != "Bundle" or found.type != "searchset":
        raise UnknownShape("resourceType")


def _expect_once(read: list[Any], counts: list[int]) -> None:
    """A member that stands twice could hide what is judged here."""
    if len(counts) != len(read) + 1:
        raise UnknownShape("entry")


def _paged(found: Any, records: list[Record], entries: int) -> Page:
    links = () if found.link is UNSET else tuple([(each.relation, each.url) for each in found.link])
    return Page(links, found.total is not UNSET, records, entries)


def _without(body: bytes, others: Mapping[int, str]) -> bytes:
    """The answer as somebody is told of it: of a resource of another kind only which kind it is."""
    if not others:
        return body
    document = json_values.value(body)
    for at, kind in others.items():
        document["entry"][at]["resource"] = {kind: None} if kind else None
    return encode(document)


@lru_cache(maxsize=128)
def reading(kind: str, governed: frozenset[str], given: frozenset[Member], *, extended: bool = False) -> HealthReading:
    """The reading for these members. `extended`: accept extensions on primitive values."""
    return HealthReading(with_extended_values(TABLE) if extended else TABLE, kind, governed, given)
