"""Types of data and their fields, as people read of them: policies/datasets/<sector>.toml."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.catalogue.fields import member
from gateway.catalogue.words import SENSITIVITIES, Entry, Words


@dataclass(frozen=True, slots=True)
class Category:
    """What several types of data are about: money, health. `titles`: sensitivity → the heading above such data."""

    id: str
    titles: Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: Words
    short: Words
    structural: bool  # always comes with its dataset
    sensitivity: str
    find: tuple[str, ...]
    comes_with: Words | None = None  # a sentence: what else goes when this is shared or withheld


@dataclass(frozen=True, slots=True)
class Dataset:
    id: str
    sector: str
    category: str
    label: Words
    short: Words
    long: Words
    sensitivity: str
    account: Words
    time: Words
    fields: Mapping[str, Field]

    def structural(self) -> tuple[str, ...]:
        return tuple(field.id for field in self.fields.values() if field.structural)

    @property
    def sensitivities(self) -> frozenset[str]:
        """All that may be said of it, by itself or by one of its fields."""
        return frozenset([self.sensitivity, *(field.sensitivity for field in self.fields.values())])


def categories(file: Entry) -> list[Category]:
    """The headings of a file: at least one, each for the sensitivities it may be needed for."""
    return [
        Category(row.text("id"), {name: row.words(name) for name in SENSITIVITIES[1:] if name in row.table})
        for row in file.entries("category")
    ]


def datasets(file: Entry) -> list[Dataset]:
    sector = file.text("sector")
    return [_dataset(row, sector) for row in file.entries("dataset")]


def _dataset(row: Entry, sector: str) -> Dataset:
    sensitivity = row.one_of("sensitivity", SENSITIVITIES)
    fields = [_field(each, sensitivity) for each in row.entries("field")]
    return Dataset(
        id=row.text("id"),
        sector=sector,
        category=row.text("category"),
        label=row.words("label"),
        short=row.words("short"),
        long=row.words("long"),
        sensitivity=sensitivity,
        account=row.words("account"),
        time=row.words("time"),
        fields={field.id: field for field in fields},
    )


def _field(row: Entry, sensitivity: str) -> Field:
    find = row.texts("find")
    if not find:
        row.wrong("find", "name at least one member of the format")
    for selector in find:
        try:
            member(selector.removeprefix("&"))
        except ValueError as error:
            row.wrong("find", str(error))
    row.flag("drops_record")
    return Field(
        id=row.text("id"),
        label=row.words("label"),
        short=row.words("short"),
        structural=row.flag("structural"),
        sensitivity=row.one_of("sensitivity", SENSITIVITIES, sensitivity),
        find=find,
        comes_with=row.words("comes_with") if "comes_with" in row.table else None,
    )
