"""The fields of the datasets of one format: what is governed field by field, and what was granted.

They are those of the reading of the policies that a plan is made from, so that what a page says of a field and what the
field lets out are read from one file. Whatever that file leaves out, the types governed as shipped stay governed: a
member that it names nowhere is withheld.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Protocol, TypeVar

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format
from gateway.settings import shipped_policies


def datasets(format_: str, known: Mapping[str, Dataset] | None = None) -> dict[str, Dataset]:
    """The datasets of a format, by id. `known`: all that there are; None: as shipped. Raises CatalogueError."""
    every = shipped().datasets if known is None else known
    return {name: found for name, found in every.items() if found.format == format_}


@cache
def shipped() -> Catalogue:
    """The policies as they come with the gateway."""
    return Catalogue(shipped_policies())


def governed(format_: str, known: Mapping[str, Dataset] | None = None, form: Format | None = None) -> frozenset[str]:
    """The types whose members are given field by field: those named by a selector of these datasets or the shipped,
    and all types of records and of answers over them."""
    records = (
        [] if form is None else [*form.records, *(each.answer.kind for each in form.calls.values() if each.answer)]
    )
    return _kinds(datasets(format_, known)) | _governed_as_shipped(format_) | frozenset(records)


@cache
def _governed_as_shipped(format_: str) -> frozenset[str]:
    return _kinds(datasets(format_))


def _kinds(known: Mapping[str, Dataset]) -> frozenset[str]:
    fields = (field for dataset in known.values() for field in dataset.fields.values())
    return frozenset(kind for field in fields for kind, _ in field.find | field.shared)


class OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


G = TypeVar("G", bound=OfDataset)


def by_dataset(format_: str, granted: Iterable[G], known: Mapping[str, Dataset] | None = None) -> dict[str, G]:
    """The granted items that are of this format, by dataset. Others are left out."""
    its = datasets(format_, known)
    return {item.dataset: item for item in granted if item.dataset in its}
