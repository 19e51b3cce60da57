"""Types of data and their fields: policies/datasets/<sector>.toml, what people read and what the formats let out.

A field names members of the format by `find` selectors. A selector is `Type/member`: a type of the sector's shape
table (or an element) and one of its members. A member that no given field names is withheld. `&Type/member` is
stricter: the member is given only when every field that names it so is given (a claim's notes speak of drugs and of
diagnoses alike). A field with `made` gives its members coarser than they are (`made`), never exactly.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from gateway.catalogue.formats import STAMPS, Format
from gateway.catalogue.made import Made, finer, made, reveals
from gateway.catalogue.sign_ins import SignInNeeded, sign_in_needed
from gateway.catalogue.words import SENSITIVITIES, FileTable, Words
from gateway.ground.calendar.windows import PERIODS

Member = tuple[str, str]  # type or element, member


@dataclass(frozen=True, slots=True)
class Category:
    """A group of types of data, such as money or health. `titles`: sensitivity → the heading above such data."""

    id: str
    titles: Mapping[str, Words]


_AND = " / "


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
    made: Made | None = None  # its members are given coarser than they are
    answers: tuple[str, ...] = ()  # what it gives of answers over records (`made.GIVES`)
    over: str = ""  # and how those answers are made, as an agreement keeps it

    def beside(self, language: str) -> str:
        """What is said of it beneath its own words: what goes along, and what is still revealed where it is no exact
        value."""
        said = [self.comes_with] if self.comes_with else []
        said += [reveals(how) for how in (*((self.made,) if self.made else ()), *self.answers)]
        return " ".join(words[language] for words in said if words.get(language))


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
    frequency: tuple[int, str] | None = None  # of any grant, however often the app asked for: times, per
    strict: bool = False  # an answer with a member that is not declared is refused
    whole: bool = False  # it is of the person as a whole: no choice of accounts changes it
    sign_in: SignInNeeded | None = None  # without which it is not read

    def structural(self) -> tuple[str, ...]:
        return tuple(field.id for field in self.fields.values() if field.structural)

    def given(self, granted: AbstractSet[str]) -> set[str]:
        """The fields that are given. Unknown names give nothing. The structural ones are granted with the others; one
        that has become structural since was on nobody's screen, and is not given for being so."""
        return self.fields.keys() & granted

    def members(self, granted: AbstractSet[str]) -> set[Member]:
        """Every member that some given field names, and the shared ones of which no field is missing."""
        return self._exact(granted) | self.coarse(granted).keys()

    def _exact(self, granted: AbstractSet[str]) -> set[Member]:
        given = {name for name in self.given(granted) if self.fields[name].made is None}
        named = {member for name in given for member in self.fields[name].find | self.fields[name].shared}
        return named - {member for name in self.fields.keys() - given for member in self.fields[name].shared}

    def coarse(self, granted: AbstractSet[str]) -> dict[Member, Made]:
        """The members that are given, but no field gives exactly: each with the finest way that some field gives it."""
        given, exact = self.given(granted), self._exact(granted)
        found: dict[Member, Made] = {}
        for name, field in self.fields.items():
            if name in given and field.made is not None:
                for each in field.find - exact:
                    found[each] = finer(found[each], field.made) if each in found else field.made
        return found

    def made(self, fields: Iterable[str]) -> dict[str, str]:
        """How those of the fields are made that are coarser than the data, or answers over it, as an agreement keeps
        it."""
        known = ((name, self.fields[name]) for name in fields if name in self.fields)
        found = {name: (field.made.text if field.made else "", field.over) for name, field in known}
        return {name: _AND.join(filter(None, texts)) for name, texts in found.items() if any(texts)}

    def as_agreed(self, fields: Iterable[str], agreed: Mapping[str, str]) -> list[str]:
        """The fields without those that have become finer since, or answers of another kind: that was on nobody's
        screen."""
        return [name for name in fields if name not in agreed or not self._says_more(name, agreed[name])]

    def _says_more(self, name: str, agreed: str) -> bool:
        found = self.fields.get(name)
        if found is None:
            return False
        texts = agreed.split(_AND)
        over = _AND.join(text for text in texts if text.startswith("over "))
        made = next((text for text in texts if not text.startswith("over ")), "")
        return over != found.over or bool(made and (found.made is None or found.made.says_more(made)))

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


ACCOUNT = "account"  # in the place of a format: given by the gateway itself, from the person's account here
KEYS = (
    "id", "category", "label", "short", "long", "sensitivity", "account", "time", "field", "frequency", "strict", "acr",
    "max_age",
)  # fmt: skip


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
        time=_time(row),
        fields={field.id: field for field in fields},
        frequency=_frequency(row) if "frequency" in row.table else None,
        strict=row.flag("strict"),
        whole=format_ == ACCOUNT,
        sign_in=_sign_in(row, format_),
    )


def _time(row: FileTable) -> Words:
    found = row.words("time")
    if not isinstance(found.get("find", ""), str):
        row.wrong("time.find", 'write one member, as a text: "Type/member"')
        return {key: text for key, text in found.items() if key != "find"}
    return found


def _sign_in(row: FileTable, format_: str) -> SignInNeeded | None:
    needed = sign_in_needed(row)
    if needed is not None and format_ == ACCOUNT:
        row.wrong("acr, max_age", "only for what organisations hold: for signing in itself the app asks (acr_values)")
        return None
    return needed


def _frequency(row: FileTable) -> tuple[int, str]:
    table = row.within("frequency")
    table.only("times", "per")
    return table.whole("times", 1, 1_000_000, 1), table.one_of("per", PERIODS[:-1])


def answering(dataset: Dataset, form: Format | None) -> Dataset:
    """The same type of data as its format gives it: whether it is of accounts, and what its fields give of answers over
    records, where its calls give such."""
    if form is None:
        return dataset
    dataset = replace(dataset, whole=form.of_person(dataset.id))
    found = form.answers(dataset.id)
    if not found:
        return dataset
    gives = {(how.kind, name) for how in found for name in how.gives}
    return replace(
        dataset,
        fields={
            name: replace(
                field,
                answers=tuple(dict.fromkeys(each for _, each in sorted(field.find & gives))),
                over=_AND.join(how.text for how in found if how.kind in {kind for kind, _ in field.find}),
            )
            for name, field in dataset.fields.items()
        },
    )


def _field(row: FileTable, sensitivity: str) -> Field:
    row.only("id", "label", "short", "structural", "sensitivity", "find", "drops_record", "comes_with", "made")
    find = row.texts("find")
    if not find:
        row.wrong("find", "name at least one member of the format")
    coarser = made(row, STAMPS)
    if coarser is not None and any(text.startswith("&") for text in find):
        row.wrong("find", "leave out &: what is made coarser is not shared with other fields")
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
        made=coarser,
    )


def _members(row: FileTable, selectors: Iterable[str]) -> frozenset[Member]:
    found = set()
    for selector in selectors:
        try:
            found.add(member(selector))
        except ValueError as error:
            row.wrong("find", str(error))
    return frozenset(found)
