"""Parsers for the answers, one for each set of granted members. People who agreed to the same fields share one."""

from functools import lru_cache
from typing import Any

from msgspec import UNSET

from gateway.formats.fhir.repair import NEUTRAL
from gateway.formats.fhir.shapes import TABLE, bundle_of, with_extended_values
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import Member, Reader, remover, withheld_members

bundle_reader = Reader(TABLE, "Bundle")


class HealthReading:
    """Reads resources of one kind. `remove` takes the withheld members out of a resource read by the same reading."""

    def __init__(self, table: dict[str, str], kind: str, governed: frozenset[str], given: frozenset[Member]) -> None:
        withheld = withheld_members(table, governed, given)
        bundles = bundle_of(kind, table)
        self._bundle = Reader(bundles, "Bundle", withheld, record=kind, unread=governed, neutral=NEUTRAL)
        self.resource = Reader(table, kind, withheld, unread=governed, neutral=NEUTRAL)
        self.remove = remover(table, kind, withheld, governed, NEUTRAL)

    def bundle(self, body: bytes) -> tuple[Any, list[int]]:
        """A searchset, and for each resource how many members inside its elements were withheld.

        Raises UnknownShape. Only then the answer is searched for the wrong entry.
        """
        try:
            found, inside = self._bundle.read_each(body)
        except UnknownShape:
            self._find_fault(body)
            raise
        if found.resourceType != "Bundle" or found.type != "searchset":
            raise UnknownShape("resourceType")
        found.entry = [] if found.entry is UNSET else found.entry
        if len(inside) != len(found.entry) + 1:  # some entry has two resources, or none
            raise UnknownShape("entry")
        return found, inside

    def _find_fault(self, body: bytes) -> None:
        found, _ = bundle_reader.read(body)
        for index, entry in enumerate([] if found.entry is UNSET else found.entry):
            if entry.resource is not UNSET:
                self.resource.read(entry.resource, f"entry[{index}].resource")


@lru_cache(maxsize=128)
def reading(kind: str, governed: frozenset[str], given: frozenset[Member], *, extended: bool = False) -> HealthReading:
    """The reading for these members. `extended`: accept extensions on primitive values."""
    return HealthReading(with_extended_values(TABLE) if extended else TABLE, kind, governed, given)
