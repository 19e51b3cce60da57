"""Types of data and their fields: policies/datasets/<sector>.toml, what people read and what the formats let out.

A field names members of the format by `find` selectors. A selector is `Type/member`: a type of the sector's shape
table (or an element) and one of its members. A member that no given field names is withheld. `&Type/member` is
stricter: the member is given only when every field that names it so is given (a claim's notes speak of drugs and of
diagnoses alike).
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from gateway.catalogue.words import SENSITIVITIES, FileTable, Words

Member = tuple[str, str]  # type or element, member


@dataclass(frozen=True, slots=True)
class Category:
    """A group of types of data, such as money or health. `titles`: sensitivity → the heading above such data."""

    id: str
    titles: Mapping[str, Words]


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: Words
    short: Words
    structural: bool  # always given with its dataset
    sensitivity: str
    find: frozenset[Member]
    shared: frozenset[Member]  # given only together with every other field that shares it
    drops_record: bool  # the record cannot be valid without it
    comes_with: Words | None = None  # a sentence: what else goes when this is shared or withheld


@dataclass(frozen=True, slots=True)
class Dataset:
    id: str
    sector: str
    format: str  # the format that its selectors are of; "": the organisation's own
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

    def given(self, granted: AbstractSet[str]) -> set[str]:
        """The fields that are given. Unknown names give nothing. The structural ones are granted with the others; one
        that has become structural since was on nobody's screen, and is not given for being so."""
        return self.fields.keys() & granted

    def members(self, granted: AbstractSet[str]) -> set[Member]:
        """Every member that some given field names, and the shared ones of which no field is missing."""
        given = self.given(granted)
        named = {member for name in given for member in self.fields[name].find | self.fields[name].shared}
        return named - {member for name in self.fields.keys() - given for member in self.fields[name].shared}

    def drops_records(self, granted: AbstractSet[str]) -> bool:
        """Whether a field without which no record is valid is missing."""
        return any(field.drops_record for field in self.fields.values() if field.id not in self.given(granted))

    @property
    def sensitivities(self) -> frozenset[str]:
        """The sensitivities of the dataset itself and of its fields."""
        return frozenset([self.sensitivity, *(field.sensitivity for field in self.fields.values())])


def member(selector: str) -> Member:
    """The member may have a / in its name, the type none. Raises ValueError for a selector of another form."""
    kind, slash, name = selector.partition("/")
    if not (kind and slash and name):
        raise ValueError(f"selector {selector!r}: expected Type/member")
    return kind, name


def categories(file: FileTable) -> list[Category]:
    """The headings of a file: at least one, each for the sensitivities it may be needed for."""
    rows = file.entries("category")
    for row in rows:
        row.only("id", *SENSITIVITIES[1:])
    return [
        Category(row.text("id"), {name: row.words(name) for name in SENSITIVITIES[1:] if name in row.table})
        for row in rows
    ]


def datasets(file: FileTable) -> list[Dataset]:
    file.only("sector", "format", "dataset", "category")
    sector, format_ = file.text("sector"), file.text("format")
    found = []
    for row in file.entries("dataset"):
        row.only(*KEYS)
        found.append(dataset(row, sector, format_))
    return found


KEYS = ("id", "category", "label", "short", "long", "sensitivity", "account", "time", "field")


def dataset(row: FileTable, sector: str, format_: str) -> Dataset:
    """A type of data, of a file of policies/ or of an organisation's declaration."""
    sensitivity = row.one_of("sensitivity", SENSITIVITIES)
    fields = [_field(each, sensitivity) for each in row.entries("field")]
    return Dataset(
        id=row.text("id"),
        sector=sector,
        format=format_,
        category=row.text("category"),
        label=row.words("label"),
        short=row.words("short"),
        long=row.words("long"),
        sensitivity=sensitivity,
        account=row.words("account"),
        time=row.words("time"),
        fields={field.id: field for field in fields},
    )


def _field(row: FileTable, sensitivity: str) -> Field:
    row.only("id", "label", "short", "structural", "sensitivity", "find", "drops_record", "comes_with")
    find = row.texts("find")
    if not find:
        row.wrong("find", "name at least one member of the format")
    return Field(
        id=row.text("id"),
        label=row.words("label"),
        short=row.words("short"),
        structural=row.flag("structural"),
        sensitivity=row.one_of("sensitivity", SENSITIVITIES, sensitivity),
        find=_members(row, (text for text in find if not text.startswith("&"))),
        shared=_members(row, (text[1:] for text in find if text.startswith("&"))),
        drops_record=row.flag("drops_record"),
        comes_with=row.words("comes_with") if "comes_with" in row.table else None,
    )


def _members(row: FileTable, selectors: Iterable[str]) -> frozenset[Member]:
    found = set()
    for selector in selectors:
        try:
            found.add(member(selector))
        except ValueError as error:
            row.wrong("find", str(error))
    return frozenset(found)
