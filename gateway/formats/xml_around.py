"""What stands around the records of an XML answer, written anew where it stands: without a rule it never leaves.

The rules are those of `json_around`. An element or attribute has its rule by its type and name ([format.around],
[format.pages]); an element is written only if it has one, or something in it has.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import UNSET

from gateway.catalogue.formats import Format
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
        self.rules = rules(table.form, table)
        self._matters = _matters(table, self.rules)
        self.judges = ACCOUNT in self.rules.values()
        self.judged = False  # the account that all records are of was found, and is one of those granted

    def matters(self, part: Part, kind: XmlKind) -> bool:
        return (kind.name, part.name) in self._matters

    def attributes(self, kind: XmlKind, node: Node, writing: Writing, where: str) -> str:
        """Those of an element around the records, as they leave."""
        text = ""
        for key, value in node.pairs():
            part = kind.attributes.get(key)
            if part is None:
                writing.undeclared("@", key, where)
                continue
            found = self._value(kind, part, value, writing, f"{where}.{part.name}")
            if found is not None:
                text += f' {part.tag}="{quoted(found)}"'
        return text

    def element(self, kind: XmlKind, part: Part, node: Node, writing: Writing, where: str, out: list[str]) -> None:
        """A child of an element of type `kind`."""
        place = f"{where}.{part.name}"
        no_base(node.attributes)
        if part.refused:
            raise UnknownShape(place)
        rule = self.rules.get((kind.name, part.name))
        if not part.given or part.coarse is not None or (rule is None and part.kind is None):
            return
        if rule == "same":
            writing.beside(part, node, out, place)
        elif part.kind is None:
            found = self._value(kind, part, writing.text_of(node, part, place), writing, place)
            if found is not None:
                out.append(f"<{part.tag}>{escaped(found)}</{part.tag}>")
        elif self.matters(part, kind):
            self._inside(part, part.kind, node, writing, place, out)

    def _inside(self, part: Part, kind: XmlKind, node: Node, writing: Writing, where: str, out: list[str]) -> None:
        out.append(f"<{part.tag}{self.attributes(kind, node, writing, where)}>")
        seen: set[str] = set()
        for item in node.items:
            if not isinstance(item, Node):
                if item.strip(BLANK) and kind.text is None:
                    raise UnknownShape(where)
                continue
            below = kind.elements.get(item.key)
            if below is None:
                writing.undeclared("", item.key, where)
                continue
            if below.name in seen and not below.many:
                raise UnknownShape(f"{where}.{below.name}")
            seen.add(below.name)
            self.element(kind, below, item, writing, where, out)
        if kind.text is not None and not kind.elements:
            found = self._value(kind, kind.text, writing.text_of(node, kind.text, where), writing, where)
            out.append(escaped(found or ""))
        out.append(f"</{part.tag}>")

    def _value(self, kind: XmlKind, part: Part, text: str, writing: Writing, where: str) -> str | None:
        """A text as it leaves; None: it does not."""
        rule = self.rules.get((kind.name, part.name))
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


def rules(form: Format, table: XmlTable) -> Rules:
    found = dict(form.around)
    pages = form.pages
    if pages is not None:
        for rule, path in (("own", pages.own), ("start", pages.start), ("before", pages.before), ("next", pages.at)):
            if path:
                found[_owner(table, path)] = rule
    return found


def _owner(table: XmlTable, path: tuple[str, ...]) -> tuple[str, str]:
    kind = table.answer
    for part in table.along(table.answer, path)[:-1]:
        kind = part.kind or kind
    return kind.name, path[-1]


def _matters(table: XmlTable, found: Rules) -> set[tuple[str, str]]:
    """The members that have a rule, or something inside them has."""

    def inside(part: Part) -> bool:
        kinds = reached([part.kind]) if part.kind is not None else ()
        return any((kind.name, name) in found for kind in kinds for name in kind.parts)

    members = ((kind.name, part) for kind in reached([table.answer]) for part in kind.parts.values())
    return {(owner, part.name) for owner, part in members if (owner, part.name) in found or inside(part)}
