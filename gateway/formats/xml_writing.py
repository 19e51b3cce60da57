"""An element written anew: what is declared and given, in the order of the document, with exactly its text.

What is not declared never leaves and is told. Refused is what is declared and stands there as something else: elements
in a text, text between elements, a second element where the table has one, a number that is none.
"""

import re
from collections.abc import Callable, Mapping, Set
from functools import lru_cache

from gateway.catalogue.formats import Member
from gateway.formats import drift
from gateway.formats.json_reading import DECIMAL
from gateway.formats.model import UnknownShape
from gateway.formats.names import AccountNames, is_moment
from gateway.formats.xml_coarser import Change, is_there
from gateway.formats.xml_parsing import BLANK, Node
from gateway.formats.xml_table import ATTRIBUTE, ELEMENT, TEXT, XSI, Part, XmlKind, XmlTable, escaped, quoted

Tell = Callable[[str], None]
# what a scalar must be, blanks around it aside; an empty one is accepted for every word, as null is in JSON
FORMS = {
    "i": re.compile(r"[+-]?[0-9]+"),
    "n": re.compile(r"[-+.0-9eE]+|[+-]?INF|NaN"),
    "b": re.compile(r"true|false|1|0"),
}
NUMBERS = ("i", "n", "b")  # no identifier, whatever its digits


class Own(str):
    """A text of the gateway's own, in place of the organisation's."""


class Writing:
    """Of the answers of one grant. `tell` hears of what is not declared; it raises UnknownShape where that is refused.
    `fields` counts the members taken out."""

    def __init__(
        self,
        table: XmlTable,
        names: AccountNames,
        pair: Callable[[str], str],
        tell: Tell,
        changes: Mapping[Member, Change],
    ) -> None:
        """`changes`: what makes members coarser, by member."""
        self._table, self._names, self._pair, self._tell, self._changes = table, names, pair, tell, changes
        self.fields = 0
        self._beside = False

    def _gives(self, part: Part) -> bool:
        return part.given and not (self._beside and part.coarse is not None)

    def record(self, node: Node, where: str) -> bytes:
        """A record that is given."""
        before = self.fields
        text = self.plain(node, where)
        if names_stand_in(self._names, text):
            self.fields = before
            text = self._written(node, where, self._exchanged)
        return text

    def plain(self, node: Node, where: str) -> bytes:
        return self._written(node, where, _as_it_is)

    def _written(self, node: Node, where: str, outward: "Outward") -> bytes:
        out: list[str] = []
        root = self._table.steps[-1]
        self.element(root, node, out, where, outward, self._only(node))
        return "".join(out).encode()

    def _only(self, node: Node) -> frozenset[str]:
        """The members of the record that are given only where another has one of some values, and it has not."""
        return frozenset(
            part.name for part, other, values in self._table.only if text_at(node, (other,), "") not in values
        )

    def beside(self, part: Part, node: Node, out: list[str], where: str) -> None:
        """An element that stands around the records, and leaves as it is. Nothing is made of a value there, so what is
        not given exactly stays out."""
        self._beside = True
        try:
            self.element(part, node, out, where, self._exchanged)
        finally:
            self._beside = False

    def value(self, part: Part, text: str, where: str) -> str:
        """A text that stands around the records, and leaves as it is."""
        return self._scalar(part, text, where, self._exchanged)

    # ---- elements

    def element(
        self,
        part: Part,
        node: Node,
        out: list[str],
        where: str,
        outward: "Outward",
        without: frozenset[str] = frozenset(),
    ) -> None:
        kind = part.kind
        if _is_nil(node) and self._is_exact(part, without):
            attributes = "" if kind is None else self._attributes(kind, node, where, outward, without)
            out.append(f'<{part.tag}{attributes} xmlns:xsi="{XSI}" xsi:nil="true"></{part.tag}>')
            return
        if kind is None:
            value = self._text(part, self.text_of(node, part, where), where, outward)
            if node.attributes:
                self._scalar_attributes(node, where)
            if value is not None:
                out.append(f"<{part.tag}>{escaped(value)}</{part.tag}>")
            return
        out.append(f"<{part.tag}{self._attributes(kind, node, where, outward, without)}>")
        if kind.elements or kind.text is None:
            self._content(kind, node, out, where, outward, without)
        else:
            text = self.text_of(node, kind.text, where)
            if kind.text.refused and text.strip(BLANK):
                raise UnknownShape(where)
            given = self._gives(kind.text) and TEXT not in without
            if kind.text.whether and not self._beside:
                out.append(_told(given and bool(text.strip(BLANK))))
            elif given:
                out.append(escaped(self._text(kind.text, text, where, outward) or ""))
            else:
                self.fields += bool(text.strip(BLANK))
        out.append(f"</{part.tag}>")

    def _is_exact(self, part: Part, without: frozenset[str]) -> bool:
        """Whether its text is given as it is: only then it is told that there is none."""
        kind = part.kind
        if kind is None:
            return part.coarse is None and not part.whether
        text = kind.text
        if text is None or kind.elements or kind.asked or f"{XSI} nil" in kind.attributes:
            return False
        return self._gives(text) and text.coarse is None and not text.whether and TEXT not in without

    def _attributes(self, kind: XmlKind, node: Node, where: str, outward: "Outward", without: frozenset[str]) -> str:
        text = ""
        there: set[str] = set()
        for key, value in node.pairs() if node.attributes else ():
            part = kind.attributes.get(key)
            if part is None:
                self.undeclared("@", key, where)
            elif part.refused:
                raise UnknownShape(f"{where}.{part.name}")
            elif not self._gives(part) or part.name in without:
                self.fields += 1
            elif part.whether:
                there.update([part.name] if value.strip(BLANK) else ())
            else:
                found = self._text(part, value, f"{where}.{part.name}", outward)
                text += "" if found is None else f' {part.tag}="{quoted(found)}"'
        for part in () if self._beside else kind.asked:
            if part.place == ATTRIBUTE:
                text += f' {part.tag}="{_told(part.name in there)}"'
        return text + kind.neutral_attributes

    def _scalar_attributes(self, node: Node, where: str) -> None:
        for key in node.attributes[::2]:
            self.undeclared("@", key, where)

    def undeclared(self, mark: str, key: str, where: str) -> None:
        if not (mark and key.startswith(f"{XSI} ")):  # a hint of schemas, and no data
            self._tell(f"{where}.{told(self._table, key, mark)}")

    def _content(
        self, kind: XmlKind, node: Node, out: list[str], where: str, outward: "Outward", without: frozenset[str]
    ) -> None:
        seen: set[str] = set()
        there: set[str] = set()
        parts: list[tuple[int, list[str]]] = []  # position in the type, text
        counts: dict[str, int] = {}
        text = kind.text
        mixed = text is not None and self._gives(text) and TEXT not in without
        said: list[str] = []  # text since the last element that is given

        def flush() -> None:
            if said and text is not None:
                whole = "".join(said)
                said.clear()
                (parts[-1][1] if parts else out).append(escaped(outward(text, whole, self)))

        left = False
        for item in node.items:
            if not isinstance(item, Node):
                if text is None or text.refused:
                    if item.strip(BLANK):
                        raise UnknownShape(where)
                elif mixed:
                    said.append(item)
                else:
                    left = left or bool(item.strip(BLANK))
                continue
            part = kind.elements.get(item.key)
            if part is None:
                self.undeclared("", item.key, where)
                continue
            name = part.name
            if part.refused:
                raise UnknownShape(f"{where}.{name}")
            again = name in seen
            seen.add(name)
            if not self._gives(part) or name in without:
                self.fields += not again
                continue
            place = f"{where}.{name}"
            if again and not part.many:
                raise UnknownShape(place)
            if part.whether:
                if is_there(item):
                    there.add(name)
                continue
            if said:
                flush()
            written: list[str] = []
            if part.kind is not None and part.kind.counted is not None:
                if not self._numbered(part, item, written, place, outward, counts):
                    continue
            else:
                self.element(part, item, written, place, outward)
            parts.append((part.at, written))
        flush()
        self.fields += left
        told = () if self._beside else kind.asked
        asked = ((part.at, _whether(part, there)) for part in told if part.place == ELEMENT)
        for at, neutral in (*kind.neutral, *asked):
            behind = next((index for index, (other, _) in enumerate(parts) if other > at), len(parts))
            parts.insert(behind, (at, [neutral]))
        for _, written in parts:
            out += written

    def _numbered(
        self, part: Part, node: Node, out: list[str], where: str, outward: "Outward", counts: dict[str, int]
    ) -> bool:
        """An element of a list that holds its own number, with its number among those given; one in which nothing else
        is left is not given."""
        kind = part.kind
        assert kind is not None and kind.counted is not None
        number = Own(counts.get(part.name, 0) + 1)
        _put(node, kind.counted, number)
        if not self._says_more(kind, node):
            self.fields += sum(1 for item in node.items if isinstance(item, Node) and item.key != kind.counted.key)
            return False
        counts[part.name] = int(number)
        self.element(part, node, out, where, outward)
        return True

    def _says_more(self, kind: XmlKind, node: Node) -> bool:
        """Whether anything but its number is given of an element."""
        for item in node.items:
            if isinstance(item, Node):
                part = kind.elements.get(item.key)
                if part is not None and part is not kind.counted and part.given:
                    return True
            elif kind.text is not None and kind.text.given and item.strip(BLANK):
                return True
        found = (kind.attributes.get(key) for key in node.attributes[::2])
        return any(part is not None and part is not kind.counted and part.given for part in found)

    # ---- texts

    def _text(self, part: Part, text: str, where: str, outward: "Outward") -> str | None:
        """A text as it leaves; None: it does not."""
        if part.coarse is None or isinstance(text, Own):
            return self._scalar(part, text, where, outward)
        made = self._changes[part.coarse](self._checked(part, text, where))
        self.fields += made is None
        return made if made is None or part.word not in FORMS else self._names.outward_whole(made)

    def text_of(self, node: Node, part: Part, where: str) -> str:
        """The text of an element that has no other members. Elements in it are only known in free text, and go."""
        items = node.items
        if len(items) == 1 and not isinstance(items[0], Node):
            return items[0]
        for item in items:
            if isinstance(item, Node):
                if part.word != "x":
                    raise UnknownShape(where)
                self.undeclared("", item.key, where)
        return node.text

    def _scalar(self, part: Part, text: str, where: str, outward: "Outward") -> str:
        if isinstance(text, Own):
            return text
        if part.word in FORMS:
            return self._names.outward_whole(self._checked(part, text, where), own_stay=part.number)
        if part.word == "p":
            return self._pair(text.strip(BLANK)) if text.strip(BLANK) else text
        return outward(part, text, self)

    def _checked(self, part: Part, text: str, where: str) -> str:
        stripped = text.strip(BLANK)
        if stripped and part.word in FORMS and not FORMS[part.word].fullmatch(stripped):
            raise UnknownShape(where)
        return text

    def _exchanged(self, part: Part, text: str, _: "Writing") -> str:
        """A text without the names of accounts. Moments and amounts are none, whatever their digits."""
        if is_moment(text) or (part.word == "d" and DECIMAL.fullmatch(text)):
            return text
        return self._names.outward_number(text) if part.number else self._names.outward_text(text)


Outward = Callable[[Part, str, Writing], str]


def _told(there: bool) -> str:
    return "true" if there else "false"


def _whether(part: Part, there: Set[str]) -> str:
    return f"<{part.tag}>{_told(part.name in there)}</{part.tag}>"


def _is_nil(node: Node) -> bool:
    """Whether an element says that it has no value (XML Schema Part 1, 2.6.2), which is another thing than an empty
    text."""
    if not node.attributes or dict(node.pairs()).get(f"{XSI} nil", "").strip(BLANK) not in ("true", "1"):
        return False
    return not any(isinstance(item, Node) or item.strip(BLANK) for item in node.items)


def _as_it_is(_part: Part, text: str, _: Writing) -> str:
    return text


def _put(node: Node, part: Part, text: str) -> None:
    """The text in place of what a member says."""
    if part.place == ATTRIBUTE:
        if part.key in node.attributes[::2]:
            node.attributes[node.attributes[::2].index(part.key) * 2 + 1] = text
    elif part.place == TEXT:
        node.items = [text, *node.elements()]
    else:
        for item in node.elements():
            if item.key == part.key:
                item.items = [text]


def put_at(node: Node, path: tuple[Part, ...], text: str) -> None:
    """The text in place of what stands at a path that was read."""
    for part in path[:-1]:
        node = next(item for item in node.elements() if item.key == part.key)
    _put(node, path[-1], Own(text))


def text_at(node: Node, path: tuple[Part, ...], where: str) -> str:
    """What stands at a path, without blanks around it; "": nothing. Raises UnknownShape if it stands there twice, or
    something else does."""
    for part in path:
        if part.place == TEXT:
            break
        if part.place == ATTRIBUTE:
            return next((value for key, value in node.pairs() if key == part.key), "").strip(BLANK)
        found = [item for item in node.items if isinstance(item, Node) and item.key == part.key]
        if len(found) > 1:
            raise UnknownShape(f"{where}.{part.name}")
        if not found:
            return ""
        node = found[0]
    if path[-1].place != TEXT and node.elements():
        raise UnknownShape(f"{where}.{path[-1].name}")
    return node.text.strip(BLANK)


def told(table: XmlTable, key: str, mark: str = "") -> str:
    """The name of what is not declared, as it may be told: with the prefix of the declaration for its namespace."""
    uri, _, local = key.rpartition(" ")
    prefix = _prefixes(tuple(table.form.namespaces.items())).get(uri, drift.OTHER if uri else "")
    if mark and not uri:
        prefix = ""
    return f"{mark}{prefix}{':' if prefix else ''}{drift.told(local)}"


@lru_cache(maxsize=64)
def _prefixes(namespaces: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {"": ""} | {uri: prefix for prefix, uri in namespaces}


def names_stand_in(names: AccountNames, text: bytes) -> bool:
    """Whether the name of an account stands in a text as it was written here, in whatever spelling."""
    plain = read(text)
    if not names.may_stand_in(plain):
        return False
    whole = plain.decode()
    return names.outward_text(whole) != whole


def read(text: bytes) -> bytes:
    """A text as it was written here, with the characters that its references stand for."""
    if b"&" in text:
        for reference, mark in ((b"&quot;", b'"'), (b"&lt;", b"<"), (b"&gt;", b">"), (b"&amp;", b"&")):
            text = text.replace(reference, mark)
    return text
