"""The table of a format as an XML document has it, for one set of given members.

A document is an object with one member, its root element: `Answer = "Receipts:Receipts"`, and the records stand `at =
"Receipts.Receipt"`. With `at = "Receipt"` and `one = true` the root element is the record. The members of a type are
its child elements by local name, `@name` its attributes, `.` its text; a path to the text of an element that has
attributes ends with it (`Shop.UnitID..`). A prefix is one of [format.namespaces]; an element without one is in the
namespace "" if there is one, an attribute without one is in none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from gateway.catalogue.formats import Format, FormatCall, Path, Records, RecordTime
from gateway.catalogue.made import Made
from gateway.catalogue.shapes import inner, members

Member = tuple[str, str]
XML = "http://www.w3.org/XML/1998/namespace"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
BASE = f"{XML} base"
ELEMENT, ATTRIBUTE, TEXT = "<", "@", "."


@dataclass(slots=True, eq=False)
class Part:
    """One member. `key`: its name as the parser tells it, namespace and local name with a blank between."""

    name: str
    place: str  # ELEMENT, ATTRIBUTE or TEXT
    key: str
    tag: str  # as it is written
    word: str  # of shapes; "": an element of type `kind`
    kind: "XmlKind | None"
    many: bool
    at: int  # position in the type: the schema's
    given: bool
    number: bool  # an account's own number stays in it
    counted: bool = False  # it is written anew: the number of its element among those given
    coarse: Member | None = None  # something else is made of it before it leaves: the name of what makes it
    whether: bool = False  # of it is only told whether it is there

    @property
    def refused(self) -> bool:
        return self.word == "!"


@dataclass(slots=True, eq=False)
class XmlKind:
    """One type. `neutral`: what stands in place of withheld members that the format requires: (position, text)."""

    name: str
    parts: dict[str, Part] = field(default_factory=dict)  # by the name of shapes
    elements: dict[str, Part] = field(default_factory=dict)
    attributes: dict[str, Part] = field(default_factory=dict)
    text: Part | None = None
    neutral: tuple[tuple[int, str], ...] = ()
    neutral_attributes: str = ""
    counted: Part | None = None
    asked: tuple[Part, ...] = ()  # of which is told whether they are there


class XmlTable:
    """For one call of a format."""

    def __init__(
        self,
        form: Format,
        call: FormatCall,
        given: frozenset[Member],
        withheld: frozenset[Member],
        coarse: Mapping[Member, Made],
    ) -> None:
        self.form, self.given, self.withheld, self.coarse = form, given, withheld, coarse
        self._kinds: dict[str, XmlKind] = {}
        self.at, self.single = form.place(call), form.single(call)
        self.records: Records = form.records[call.records]
        self.time: RecordTime = self.records.time
        self.answer = self.kind(call.envelope)
        self.steps = self.along(self.answer, self.at)
        self.record = self.kind(call.records)
        self.times = tuple(self.along(self.record, path) for path in self.time.paths)
        self.length = self.along(self.record, self.time.length_path)
        self.account = self.along(self.record, self.records.account)
        self.only = tuple(self._only(form, call.records))
        self.namespaces = "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{quoted(uri)}"' for prefix, uri in form.namespaces.items()
        )
        self.plain: dict[Any, Any] = {}  # of `xml_plain`, by how a document binds its prefixes

    def _only(self, form: Format, kind: str) -> Iterator[tuple[Part, Part, frozenset[str]]]:
        """The members of a record that are given only where another has one of some values; where that is withheld,
        they never are."""
        for (owner, name), only in form.only.items():
            if owner == kind and (owner, name) in self.given:
                part, other = self.record.parts[name], self.record.parts[only.member]
                part.given = part.given and other.given
                if part.given:
                    yield part, other, frozenset(only.values)

    def kind(self, name: str) -> XmlKind:
        if name not in self._kinds:
            self._kinds[name] = made = XmlKind(name)
            self._fill(made)
        return self._kinds[name]

    def along(self, kind: XmlKind, path: Path) -> tuple[Part, ...]:
        found: list[Part] = []
        for name in path:
            found.append(kind.parts[name])
            kind = found[-1].kind or kind
        return tuple(found)

    def _fill(self, kind: XmlKind) -> None:
        neutral: list[tuple[int, str]] = []
        for at, (name, word) in enumerate(members(self.form.shapes, kind.name).items()):
            member = (kind.name, name)
            place, key, tag = placed(self.form.namespaces, name)
            of = inner(word)
            held = self.kind(of) if of in self.form.shapes else None
            given = member not in self.withheld and word not in ("-", "!")
            number = member in self.form.numbers and member in self.given
            part = Part(name, place, key, tag, "" if held else of, held, word != of, at, given, number)
            kind.parts[name] = part
            if member in self.coarse:
                part.coarse, part.whether = member, self.coarse[member].word == "yes"
            if self.form.required.get(member) == "renumber":
                part.counted, kind.counted = True, part
            if member in self.withheld and member in self.form.instead:
                text = neutral_text(self.form.instead[member])
                if place == ATTRIBUTE:
                    kind.neutral_attributes += f' {tag}="{quoted(text)}"'
                elif place == ELEMENT:
                    neutral.append((at, f"<{tag}>{escaped(text)}</{tag}>"))
            if place == ELEMENT:
                kind.elements[key] = part
            elif place == ATTRIBUTE:
                kind.attributes[key] = part
            else:
                kind.text = part
        kind.neutral = tuple(neutral)
        kind.asked = tuple(part for part in kind.parts.values() if part.whether)


def placed(namespaces: Mapping[str, str], name: str) -> tuple[str, str, str]:
    """Where a member stands, its key, and its name as it is written."""
    if name == TEXT:
        return TEXT, "", ""
    place = ATTRIBUTE if name.startswith("@") else ELEMENT
    tag = name.removeprefix("@")
    prefix, colon, local = tag.rpartition(":")
    uri = XML if prefix == "xml" else namespaces.get(prefix, "")
    if place == ATTRIBUTE and not colon:
        uri = ""
    return place, f"{uri} {local}" if uri else local, tag


def neutral_text(value: Any) -> str:
    return {True: "true", False: "false", None: ""}.get(value, str(value)) if not isinstance(value, str) else value


def escaped(text: str) -> str:
    """A text as it stands in an element, as Canonical XML has it."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    return text.replace("\r", "&#xD;") if "\r" in text else text


def quoted(text: str) -> str:
    """The same in an attribute, between double quotes."""
    text = escaped(text)
    for mark, reference in (('"', "&quot;"), ("\t", "&#x9;"), ("\n", "&#xA;")):
        if mark in text:
            text = text.replace(mark, reference)
    return text


def reached(kinds: Iterable[XmlKind]) -> Iterator[XmlKind]:
    """These types and all inside them, each once."""
    seen: set[str] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind.name not in seen:
            seen.add(kind.name)
            yield kind
            waiting += [part.kind for part in kind.parts.values() if part.kind is not None]


_FORMS: dict[int, Format] = {}


@lru_cache(maxsize=512)
def _table(
    form: int,
    call: str,
    given: frozenset[Member],
    withheld: frozenset[Member],
    coarse: frozenset[tuple[Member, Made]],
) -> XmlTable:
    return XmlTable(_FORMS[form], _FORMS[form].calls[call], given, withheld, dict(coarse))


def table(
    form: Format,
    call: str,
    given: frozenset[Member],
    withheld: frozenset[Member],
    coarse: Mapping[Member, Made] = MappingProxyType({}),
) -> XmlTable:
    """People who agreed to the same fields share one. `coarse`: given members of which something else is made."""
    _FORMS[id(form)] = form
    return _table(id(form), call, given, withheld, frozenset(coarse.items()))
