"""The fields of one sector's datasets, for its format: what is governed field by field, and what was granted.

They are those of the reading of the policies that a plan is made from, so that what a page says of a field and what the
field lets out are read from one file. Whatever that file leaves out, the types governed as shipped stay governed: a
member that it names nowhere is withheld.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Protocol, TypeVar

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.datasets import Dataset
from gateway.settings import shipped_policies


def datasets(sector: str, known: Mapping[str, Dataset] | None = None) -> dict[str, Dataset]:
    """The datasets of a sector, by id. `known`: all that the policies have; None: as shipped. Raises CatalogueError."""
    every = _shipped() if known is None else known
    return {name: found for name, found in every.items() if found.sector == sector}


@cache
def _shipped() -> dict[str, Dataset]:
    return Catalogue(shipped_policies()).datasets


def governed(sector: str, known: Mapping[str, Dataset] | None = None) -> frozenset[str]:
    """The types whose members are given field by field: those named by a selector of these datasets or the shipped."""
    return _kinds(datasets(sector, known)) | _governed_as_shipped(sector)


@cache
def _governed_as_shipped(sector: str) -> frozenset[str]:
    return _kinds(datasets(sector))


def _kinds(known: Mapping[str, Dataset]) -> frozenset[str]:
    fields = (field for dataset in known.values() for field in dataset.fields.values())
    return frozenset(kind for field in fields for kind, _ in field.find | field.shared)


class OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


G = TypeVar("G", bound=OfDataset)


def by_dataset(sector: str, granted: Iterable[G], known: Mapping[str, Dataset] | None = None) -> dict[str, G]:
    """The granted items that belong to this sector, by dataset. Others are left out."""
    its = datasets(sector, known)
    return {item.dataset: item for item in granted if item.dataset in its}
