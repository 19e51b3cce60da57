"""Pages in XML for the person herself: her accounts, and her own copy. Read as they are, and nothing is taken out.

A record is two things: its members as values, by the table, for what is read in it; and the organisation's own bytes
with the start tags around them, for the file. Members that are not declared stand in the bytes alone.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pyexpat import ExpatError
from typing import Any

from msgspec import Raw

from gateway.catalogue.formats import Format, FormatCall, Path
from gateway.formats.model import DEPTH, LIMIT, TooLarge, UnknownShape
from gateway.formats.shapes import encode
from gateway.formats.xml_parsing import Node, parser
from gateway.formats.xml_table import ATTRIBUTE, TEXT, XmlKind, XmlTable, table

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_START_TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")


@dataclass(frozen=True, slots=True)
class XmlRecord:
    value: Raw  # its members, as JSON has them
    source: bytes
    opening: bytes  # the start tags around it, as they were written
    closing: bytes


@dataclass(frozen=True, slots=True)
class XmlPage:
    records: list[XmlRecord]
    around: Node  # the document without its records


def page(form: Format, call: FormatCall, body: bytes, most: int = LIMIT, *, exact: bool = False) -> XmlPage:
    """`most`: bytes that are read. `exact`: as for `value_of`. Raises TooLarge, and UnknownShape if the records are not
    where they should be."""
    return _Reading(form, as_declared(form, call), _utf_8(form, body, most), exact).page()


def as_declared(form: Format, call: FormatCall) -> XmlTable:
    """Of a call, with nothing withheld."""
    return table(form, call.name, frozenset(), frozenset())


def _utf_8(form: Format, body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise TooLarge(f"{len(body)} bytes")
    try:
        text = body.decode(form.encoding)
    except UnicodeError:
        raise UnknownShape("encoding") from None
    return body if form.encoding == "utf-8" else text.encode()


class _Reading:
    def __init__(self, form: Format, own: XmlTable, body: bytes, exact: bool) -> None:
        self._table, self._body, self._exact = own, body, exact
        self._top = Node("", [])
        self._stack = [(self._top, 0)]
        self._found: list[XmlRecord] = []
        self._parser = parser(self._start, self._end, self._data, form.encoding)

    def page(self) -> XmlPage:
        try:
            self._parser.Parse(self._body, True)
        except ExpatError:
            raise UnknownShape("xml") from None
        steps, node = self._table.steps, self._top
        for step in steps[: max(1, len(steps) - 1)]:
            found = [each for each in node.elements() if each.key == step.key]
            if not found and not (len(steps) == 1 and self._found):
                raise UnknownShape(step.name)
            node = found[0] if found else node
        kind = steps[-2].kind if len(steps) > 1 else None
        if kind is not None and not self._found:
            others = (each for each in node.elements() if each.key not in kind.elements)
            if any(each.attributes or next(iter(each.elements()), None) is not None for each in others):
                raise UnknownShape(steps[-1].name)  # the records may have another name now
        return XmlPage(self._found, self._top)

    def _start(self, key: str, attributes: list[str]) -> None:
        node = Node(key, attributes)
        self._stack[-1][0].items.append(node)
        self._stack.append((node, self._parser.CurrentByteIndex))
        if len(self._stack) > DEPTH + 1:
            raise TooLarge("depth")

    def _data(self, text: str) -> None:
        self._stack[-1][0].items.append(text)

    def _end(self, _: str) -> None:
        node, start = self._stack[-1]
        steps = self._table.steps
        if len(self._stack) == len(steps) + 1 and all(
            open_.key == step.key for (open_, _), step in zip(self._stack[1:], steps, strict=True)
        ):
            tags = [self._tag(begin) for _, begin in self._stack[1:-1]]
            closing = b"".join(b"</%b>" % (tag[1:].split(None, 1)[0].rstrip(b">")) for tag in reversed(tags))
            value = Raw(encode(value_of(self._table.record, node, exact=self._exact)))
            self._found.append(XmlRecord(value, self._source(start), b"".join(tags), closing))
            self._stack[-2][0].items.pop()
        self._stack.pop()

    def _tag(self, begin: int) -> bytes:
        found = _START_TAG.match(self._body, begin)
        assert found is not None, "Expat has read it"
        return found[0]

    def _source(self, start: int) -> bytes:
        tag = self._tag(start)
        if tag.endswith(b"/>"):
            return tag
        return self._body[start : self._body.index(b">", self._parser.CurrentByteIndex) + 1]


def value_of(kind: XmlKind, node: Node, *, exact: bool = False) -> Any:
    """The declared members of an element, as JSON has them. One that stands twice is the first of them, and of one that
    should be a text its texts count; `exact`: then it is an empty list, or object, and no text."""
    made: dict[str, Any] = {part.name: value for key, value in node.pairs() if (part := kind.attributes.get(key))}
    if kind.text is not None:
        made[TEXT] = node.text
    for item in node.elements():
        part = kind.elements.get(item.key)
        if part is not None:
            value: Any = value_of(part.kind, item, exact=exact) if part.kind is not None else item.text
            if part.kind is None and exact and item.elements():
                value = {}
            if part.many:
                made.setdefault(part.name, []).append(value)
            elif exact and part.name in made:
                made[part.name] = []
            else:
                made.setdefault(part.name, value)
    return made


def said(form: Format, call: FormatCall, found: XmlPage, path: Path) -> str:
    """The text at a path of the answer; "": nothing."""
    own = as_declared(form, call)
    node = found.around
    for part in own.along(own.answer, path):
        if part.place == ATTRIBUTE:
            return next((value for key, value in node.pairs() if key == part.key), "").strip()
        if part.place != TEXT:
            below = [each for each in node.elements() if each.key == part.key]
            if not below:
                return ""
            node = below[0]
    return node.text.strip()


def documents(form: Format, call: FormatCall, records: Iterable[XmlRecord]) -> Iterator[tuple[bytes, list[XmlRecord]]]:
    """The records in documents: one for all whose start tags around them are the same, which mostly are all."""
    found: dict[tuple[bytes, bytes], list[XmlRecord]] = {}
    for record in records:
        found.setdefault((record.opening, record.closing), []).append(record)
    if not form.place(call)[1:]:  # each record is a document
        yield from ((HEAD + each.source, [each]) for same in found.values() for each in same)
        return
    for (opening, closing), same in (found or {empty(as_declared(form, call)): []}).items():
        yield b"".join([HEAD, opening, b"\n", *(each.source + b"\n" for each in same), closing, b"\n"]), same


def empty(own: XmlTable) -> tuple[bytes, bytes]:
    """Start tags and end tags around no record."""
    names = [step.tag for step in own.steps[:-1]]
    opening = "".join(f"<{name}{'' if at else own.namespaces}>" for at, name in enumerate(names))
    return opening.encode(), "".join(f"</{name}>" for name in reversed(names)).encode()
