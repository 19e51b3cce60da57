"""The fields of one sector's datasets, for its format: what is governed field by field, and what was granted.

They are those of the configured policies, so that what a page says of a field and what the field lets out are read
from one file. Whatever that file leaves out, the types governed as shipped stay governed: a member that it names
nowhere is withheld.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.datasets import Dataset
from gateway.settings import shipped_policies


@cache
def datasets(sector: str, policies: Path | None = None) -> dict[str, Dataset]:
    """The datasets of a sector, by id, as the folder `policies` has them (None: as shipped). Raises CatalogueError."""
    return {name: found for name, found in _read(policies or shipped_policies()).items() if found.sector == sector}


@cache
def _read(policies: Path) -> dict[str, Dataset]:
    return Catalogue(policies).datasets


@cache
def governed(sector: str, policies: Path | None = None) -> frozenset[str]:
    """The types whose members are given field by field: those named by a selector in this folder or the shipped one."""
    known = [*datasets(sector).values(), *datasets(sector, policies).values()]
    fields = (field for dataset in known for field in dataset.fields.values())
    return frozenset(kind for field in fields for kind, _ in field.find | field.shared)


class OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


G = TypeVar("G", bound=OfDataset)


def by_dataset(sector: str, granted: Iterable[G], policies: Path | None = None) -> dict[str, G]:
    """The granted items that belong to this sector, by dataset. Others are left out."""
    return {item.dataset: item for item in granted if item.dataset in datasets(sector, policies)}
