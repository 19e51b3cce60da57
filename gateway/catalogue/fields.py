"""What a dataset's fields are in the format: the `find` selectors of policies/datasets/<sector>.toml.

A selector is `Type/member`: a type of the sector's shape table (or an element) and one of its members. A member
that no given field names is withheld. `&Type/member` is stricter: the member is given only when every field that
names it so is given (a claim's notes speak of drugs and of diagnoses alike).

The selectors are those of the configured policies, so that what a page says of a field and what the field lets out are
read from one file. Whatever that file leaves out, the types governed as shipped stay governed: a member that it names
nowhere is withheld.
"""

import tomllib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gateway.settings import shipped_policies

Member = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    find: frozenset[Member]
    shared: frozenset[Member]  # given only together with every other field that shares it
    structural: bool  # comes with the dataset and cannot be unticked
    drops_record: bool  # the record cannot be valid without it


@dataclass(frozen=True, slots=True)
class Dataset:
    id: str
    fields: Mapping[str, Field]

    def given(self, granted: AbstractSet[str]) -> set[str]:
        """The fields that are given: the structural ones and those granted. Unknown names give nothing."""
        return {field.id for field in self.fields.values() if field.structural or field.id in granted}

    def members(self, granted: AbstractSet[str]) -> set[Member]:
        """Every member that some given field names, and the shared ones of which no field is missing."""
        given = self.given(granted)
        named = {member for name in given for member in self.fields[name].find | self.fields[name].shared}
        return named - {member for name in self.fields.keys() - given for member in self.fields[name].shared}

    def drops_records(self, granted: AbstractSet[str]) -> bool:
        """Whether a field without which no record is valid is missing."""
        return any(field.drops_record for field in self.fields.values() if field.id not in self.given(granted))


def member(selector: str) -> Member:
    """Raises ValueError for a selector of another form."""
    kind, slash, name = selector.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise ValueError(f"selector {selector!r}: expected Type/member")
    return kind, name


def read(document: Mapping[str, Any]) -> dict[str, Dataset]:
    """The datasets of one parsed catalogue file, by id. Raises ValueError for a selector of another form."""
    return {entry["id"]: Dataset(entry["id"], _fields(entry["field"])) for entry in document["dataset"]}


def _fields(entries: Iterable[Mapping[str, Any]]) -> dict[str, Field]:
    return {
        entry["id"]: Field(
            id=entry["id"],
            find=frozenset(member(text) for text in entry["find"] if not text.startswith("&")),
            shared=frozenset(member(text[1:]) for text in entry["find"] if text.startswith("&")),
            structural=entry.get("structural", False),
            drops_record=entry.get("drops_record", False),
        )
        for entry in entries
    }


@cache
def datasets(sector: str, policies: Path | None = None) -> dict[str, Dataset]:
    """The datasets of a sector, by id, as the folder `policies` has them (None: as shipped). Read once.

    An operator's folder may say them in files of any names.
    """
    if policies is None:
        return read(_document(shipped_policies() / "datasets" / f"{sector}.toml"))
    documents = [_document(path) for path in sorted((policies / "datasets").glob("*.toml"))]
    return {name: each for found in documents if found["sector"] == sector for name, each in read(found).items()}


def _document(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def governed(sector: str, policies: Path | None = None) -> frozenset[str]:
    """The types whose members are given field by field: those some selector names, here or as shipped."""
    known = [*datasets(sector).values(), *datasets(sector, policies).values()]
    fields = (field for dataset in known for field in dataset.fields.values())
    return frozenset(kind for field in fields for kind, _ in field.find | field.shared)


class OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


G = TypeVar("G", bound=OfDataset)


def by_dataset(sector: str, granted: Iterable[G], policies: Path | None = None) -> dict[str, G]:
    """The granted items of this sector, by dataset. Items of other sectors are not this plan's business."""
    return {item.dataset: item for item in granted if item.dataset in datasets(sector, policies)}
