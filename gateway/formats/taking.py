"""Answers taken apart for looking at them: records as values, whatever the driver, and an answer of one record alone.

Only trials use this (`trying`): what an app gets is the engine's work. Values are as `explaining` compares them: texts,
`Number`s as they are written, true or false, lists and objects; of CSV and XML by the words of the format's shapes.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Protocol

import msgspec
from lxml import etree
from msgspec import Raw

from gateway.catalogue.formats import Format, FormatCall, Path
from gateway.catalogue.shapes import inner, members
from gateway.formats import everything, seeming
from gateway.formats.explaining import Number, parsed
from gateway.formats.xml_table import XSI

_NUMBER = re.compile(r"[+-]?[0-9]{1,17}(?:[.,][0-9]{1,9})?")
_BOOLEANS = {"true": True, "false": False}


class Taking(Protocol):
    """Of one call. All raise ValueError or RecursionError for what is not of the driver, UnknownShape for records that
    are not in their place."""

    def whole(self, body: bytes) -> tuple[Any, str]:
        """The answer, and its word of the shapes."""

    def records(self, body: bytes) -> list[Any]:
        """Each record, in a form that `value` and `alone` take."""

    def value(self, record: Any) -> Any:
        """The members of a record."""

    def alone(self, record: Any) -> bytes:
        """The answer whose records were taken last, with one of them only."""


class TakingJson:
    def __init__(self, form: Format, call: FormatCall) -> None:
        self._form, self._call = form, call
        self._around = b"", b""  # what stands before and behind the records of the answer that was read last

    def whole(self, body: bytes) -> tuple[Any, str]:
        return parsed(body), self._form.root(self._call)

    def records(self, body: bytes) -> list[Any]:
        found = [bytes(each) for each in everything.records(self._form, self._call, body)]
        if self._form.driver == "json":
            before, _, behind = _placed(Raw(body), self._form.place(self._call), _HERE).partition(_HERE)
            self._around = before, behind
        return found

    def value(self, record: Any) -> Any:
        return parsed(record)

    def alone(self, record: Any) -> bytes:
        text: bytes = record if self._form.single(self._call) else b"[%b]" % record
        before, behind = self._around
        return before + text + behind


_HERE = b'"\\u0000here are the records"'


def _placed(answer: Raw, place: Path, text: bytes) -> bytes:
    """The answer with another text at a place."""
    if not place:
        return text
    found = msgspec.json.decode(answer, type=dict[str, Raw])
    found[place[0]] = Raw(_placed(found.get(place[0], Raw(b"{}")), place[1:], text))
    return msgspec.json.encode(found)


class TakingLines(TakingJson):
    def whole(self, body: bytes) -> tuple[Any, str]:
        return [parsed(line) for line in body.splitlines() if line.strip()], f"{self._call.records}*"

    def alone(self, record: Any) -> bytes:
        return bytes(record)


def _typed(word: str, text: str) -> Any:
    """A text as a value of a word, where it can be one; "": as it looks."""
    if word in ("i", "n", "") and _NUMBER.fullmatch(text) and not (word == "" and re.match("[+-]?0[0-9]", text)):
        return Number(text)
    return _BOOLEANS[text] if word == "b" and text in _BOOLEANS else text


class TakingTable:
    """CSV. A cell without a text is a member that is not there."""

    def __init__(self, form: Format, call: FormatCall) -> None:
        self._form, self._call = form, call
        self._words = members(form.shapes, call.records) if call.records in form.shapes else {}
        self.head: list[str] = []  # of what was read last

    def whole(self, body: bytes) -> tuple[Any, str]:
        return [self.value(each) for each in self.records(body)], f"{self._call.records}*"

    def records(self, body: bytes) -> list[Any]:
        text = body.decode(self._form.encoding).removeprefix("\ufeff")
        try:
            rows = [
                row for row in csv.reader(io.StringIO(text, newline=""), delimiter=self._form.separator) if any(row)
            ]
        except csv.Error as error:
            raise ValueError(str(error)) from None
        self.head, *found = [[cell.strip() for cell in row] for row in rows] or [[]]
        return [dict(zip(self.head, row, strict=False)) for row in found]

    def value(self, record: Any) -> Any:
        return {name: _typed(self._words.get(name, ""), cell) for name, cell in record.items() if cell}

    def is_short(self, record: Any) -> bool:
        """Whether it has fewer cells than there are columns: such a row is given to nobody."""
        return len(record) < len(set(self.head))

    def alone(self, record: Any) -> bytes:
        made = io.StringIO(newline="")
        writer = csv.writer(made, delimiter=self._form.separator)
        writer.writerows([dict.fromkeys(self.head), list(record.values())])  # those without a name are one
        return made.getvalue().encode(self._form.encoding)


class TakingXml:
    def __init__(self, form: Format, call: FormatCall) -> None:
        self._form, self._call = form, call
        self._prefixes = {space: prefix for prefix, space in form.namespaces.items()}

    def whole(self, body: bytes) -> tuple[Any, str]:
        root = self._root(body)
        name = self._name(root.tag)
        kind = self._call.envelope
        return {name: self._of(self._known(kind).get(name, ""), root)}, kind

    def records(self, body: bytes) -> list[Any]:
        first, *path = self._form.place(self._call)
        found = [root] if self._name((root := self._root(body)).tag) == first else []
        for name in path:
            found = [below for each in found for below in _elements(each) if self._name(below.tag) == name]
        return found

    def value(self, record: Any) -> Any:
        return self._of(self._call.records, record)

    def alone(self, record: Any) -> bytes:
        made, inside = deepcopy(record), record
        for around in record.iterancestors():
            outer = etree.Element(around.tag, around.attrib, around.nsmap)
            outer.extend(made if each is inside else deepcopy(each) for each in around if _beside(each, inside))
            made, inside = outer, around
        text = etree.tostring(made, encoding=self._form.encoding, xml_declaration=True)
        assert isinstance(text, bytes), "an encoding was named"
        return text

    def outermost(self, body: bytes) -> tuple[str, str]:
        """(namespace, name) of the outermost element."""
        space, _, local = self._root(body).tag.rpartition("}")
        return space.lstrip("{"), local

    def _root(self, body: bytes) -> Any:
        unsaid = None if seeming.named(body) else self._form.encoding
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True, encoding=unsaid
        )
        try:
            return self._prefixed(etree.fromstring(body, parser))
        except etree.XMLSyntaxError as error:
            raise ValueError(str(error)) from None

    def _prefixed(self, root: Any) -> Any:
        """Namespaces that are not declared are named by the answer's own prefixes."""
        for element in root.iter(etree.Element):
            for prefix, space in element.nsmap.items():
                if (prefix or "ns") not in self._prefixes.values():
                    self._prefixes.setdefault(space, prefix or "ns")
        return root

    def _known(self, kind: str) -> Mapping[str, str]:
        return members(self._form.shapes, kind) if kind in self._form.shapes else {}

    def _name(self, tag: str) -> str:
        """As shapes have it: with the prefix of its namespace. An element of no namespace has none."""
        space, _, local = tag.rpartition("}")
        prefix = self._prefixes.get(space.lstrip("{"), "" if not space else space + "}")
        return f"{prefix}:{local}" if prefix and not prefix.startswith("{") else f"{prefix}{local}"

    def _of(self, word: str, node: Any) -> Any:
        """The value of an element: a text, or an object of attributes, text and elements."""
        known = self._known(word)
        text = "".join(
            node.itertext() if not len(node) else [node.text or "", *(each.tail or "" for each in node)]
        ).strip()
        if not known and not len(node) and not node.attrib:
            return _typed(word, text)
        made: dict[str, Any] = {}
        for name, value in node.attrib.items():
            if str(name).startswith(f"{{{XSI}}}"):  # a hint of schemas, and no data
                continue
            spelt = f"@{self._name(name)}"
            made[spelt] = _typed(known.get(spelt, ""), value)
        if text or "." in known:
            made["."] = _typed(known.get(".", ""), text)
        for below in _elements(node):
            name = self._name(below.tag)
            inside = self._of(inner(known.get(name, "")), below)
            if known.get(name, "").endswith("*") or name in made:
                made.setdefault(name, [])
                made[name] = [*made[name], inside] if isinstance(made[name], list) else [made[name], inside]
            else:
                made[name] = inside
        return made


def _beside(each: Any, inside: Any) -> bool:
    """Whether an element is this one, or none of its like."""
    return each is inside or each.tag != inside.tag


def _elements(node: Any) -> Iterator[Any]:
    return (each for each in node if isinstance(each.tag, str))


TAKING: Mapping[str, type[TakingJson | TakingTable | TakingXml]] = {
    "json": TakingJson,
    "ndjson": TakingLines,
    "csv": TakingTable,
    "xml": TakingXml,
}


def given(form: Format, call: FormatCall, body: bytes) -> list[Any]:
    """The records of an answer as an app gets it, in UTF-8."""
    taking = TAKING[form.driver](replace(form, encoding="utf-8"), call)
    return [taking.value(each) for each in taking.records(body)]
