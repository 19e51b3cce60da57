"""What stands around the records of an XML answer, written anew where it stands: without a rule it never leaves.

The rules are those of `json_around`. An element or attribute has its rule by its type and name ([format.around]) or by
its place ([format.pages]); an element is written only if it has one, or something in it has.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import UNSET

from gateway.catalogue.formats import Format, Path
from gateway.formats.json_around import RULES
from gateway.formats.model import UnknownShape
from gateway.formats.xml_parsing import BLANK, Node, no_base
from gateway.formats.xml_table import Part, XmlKind, XmlTable, escaped, quoted, reached
from gateway.formats.xml_writing import Writing
from gateway.ground.calendar.instants import Window

Rules = Mapping[tuple[str, str], str]
LEADS = ("next", "own", "start", "before")  # addresses that the gateway writes anew
ACCOUNT = "account"


class Leads(Protocol):
    """Addresses of pages at the gateway; "": there is none."""

    def __call__(self, rule: str, said: str) -> str: ...


class XmlAround:
    def __init__(self, table: XmlTable, window: Window, zone: str, refs: Mapping[str, str], leads: Leads) -> None:
        self._window, self._zone, self._refs, self._leads = window, zone, refs, leads
        self._rules, self._pages = table.form.around, pages(table.form)
        self._on_the_way = {place[: len(place) - n] for place in self._pages for n in range(len(place))}
        self._matters = _matters(table, self._rules)
        self.judges = ACCOUNT in self._rules.values()
        self.judged = False  # the account that all records are of was found, and is one of those granted

    def matters(self, part: Part, kind: XmlKind, place: Path) -> bool:
        """Whether the part of this type at a place has a rule, or something inside it has."""
        return (kind.name, part.name) in self._matters or place in self._on_the_way

    def _rule(self, kind: XmlKind, part: Part, place: Path) -> str | None:
        return self._pages.get(place) or self._rules.get((kind.name, part.name))

    def attributes(self, kind: XmlKind, node: Node, writing: Writing, where: Path) -> str:
        """Those of an element around the records, as they leave."""
        text = ""
        for key, value in node.pairs():
            part = kind.attributes.get(key)
            if part is None:
                writing.undeclared("@", key, dotted(where))
                continue
            found = self._value(kind, part, value, writing, (*where, part.name))
            if found is not None:
                text += f' {part.tag}="{quoted(found)}"'
        return text

    def element(self, kind: XmlKind, part: Part, node: Node, writing: Writing, where: Path, out: list[str]) -> None:
        """A child of an element of type `kind`."""
        place = (*where, part.name)
        no_base(node.attributes)
        if part.refused:
            raise UnknownShape(dotted(place))
        rule = self._rule(kind, part, place)
        if not part.given or part.coarse is not None or (rule is None and part.kind is None):
            return
        if rule == "same":
            writing.beside(part, node, out, dotted(place))
        elif part.kind is None:
            found = self._value(kind, part, writing.text_of(node, part, dotted(place)), writing, place)
            if found is not None:
                out.append(f"<{part.tag}>{escaped(found)}</{part.tag}>")
        elif self.matters(part, kind, place):
            self._inside(part, part.kind, node, writing, place, out)

    def _inside(self, part: Part, kind: XmlKind, node: Node, writing: Writing, where: Path, out: list[str]) -> None:
        out.append(f"<{part.tag}{self.attributes(kind, node, writing, where)}>")
        seen: set[str] = set()
        for item in node.items:
            if not isinstance(item, Node):
                if item.strip(BLANK) and kind.text is None:
                    raise UnknownShape(dotted(where))
                continue
            below = kind.elements.get(item.key)
            if below is None:
                writing.undeclared("", item.key, dotted(where))
                continue
            if below.name in seen and not below.many:
                raise UnknownShape(dotted((*where, below.name)))
            seen.add(below.name)
            self.element(kind, below, item, writing, where, out)
        if kind.text is not None and not kind.elements:
            said = writing.text_of(node, kind.text, dotted(where))
            found = self._value(kind, kind.text, said, writing, (*where, kind.text.name))
            out.append(escaped(found or ""))
        out.append(f"</{part.tag}>")

    def _value(self, kind: XmlKind, part: Part, text: str, writing: Writing, place: Path) -> str | None:
        """A text as it leaves; None: it does not."""
        rule, where = self._rule(kind, part, place), dotted(place)
        if part.refused:
            raise UnknownShape(where)
        if rule is None or not part.given or part.coarse is not None:
            return None
        if rule == "same":
            return writing.value(part, text, where)
        said = text.strip(BLANK)
        if rule in LEADS:
            return self._leads(rule, said) or None
        found = RULES[rule](said, self._window, self._zone, self._refs, where)
        self.judged = self.judged or rule == ACCOUNT
        return None if found is UNSET else str(found)


def pages(form: Format) -> Mapping[Path, str]:
    """Where an address of a page stands, and which: a type may be that of other links, too."""
    said = form.pages
    if said is None:
        return {}
    found = {said.own: "own", said.start: "start", said.before: "before", said.at: "next"}
    return {place: rule for place, rule in found.items() if place}


def dotted(place: Path) -> str:
    return ".".join(place) or "root"


def _matters(table: XmlTable, found: Rules) -> set[tuple[str, str]]:
    """The members that have a rule, or something inside them has."""

    def inside(part: Part) -> bool:
        kinds = reached([part.kind]) if part.kind is not None else ()
        return any((kind.name, name) in found for kind in kinds for name in kind.parts)

    members = ((kind.name, part) for kind in reached([table.answer]) for part in kind.parts.values())
    return {(owner, part.name) for owner, part in members if (owner, part.name) in found or inside(part)}
