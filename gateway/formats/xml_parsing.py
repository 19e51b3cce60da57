"""XML read by Expat, hardened: no document type, so no entity but the five of XML itself; nothing else is ever opened.

An element is built only where its content matters (`Node`). Names come with their namespace (`xml_table.Part.key`).
"""

import codecs
from collections.abc import Callable, Iterator, Mapping
from pyexpat import ExpatError, ParserCreate, XMLParserType
from typing import Any

from gateway.formats.media import UTF_8, expect
from gateway.formats.model import DEPTH, UnknownShape
from gateway.formats.xml_table import BASE

BLANK = " \t\r\n"
Items = list["str | Node"]


class Node:
    """An element: its key, name and value of each attribute in turn, and its texts and elements in order."""

    __slots__ = ("attributes", "items", "key")

    def __init__(self, key: str, attributes: list[str]) -> None:
        self.key, self.attributes = key, attributes
        self.items: Items = []

    def pairs(self) -> Iterator[tuple[str, str]]:
        each = iter(self.attributes)
        return zip(each, each, strict=True)

    @property
    def text(self) -> str:
        """What stands directly in it."""
        items = self.items
        if len(items) == 1 and type(items[0]) is not Node:
            return items[0]  # type: ignore[return-value]  # a text
        return "".join(item for item in items if isinstance(item, str))

    def elements(self) -> list["Node"]:
        return [item for item in self.items if isinstance(item, Node)]


def parser(start: Callable[[str, list[str]], None], end: Callable[[str], object], data: Callable[[str], None],
           encoding: str) -> XMLParserType:  # fmt: skip
    """`encoding`: the one that the document may declare. It is UTF-8 when it comes here, whatever it was."""
    made = ParserCreate("utf-8", " ")
    made.ordered_attributes = True
    made.buffer_text = True
    made.StartElementHandler, made.EndElementHandler, made.CharacterDataHandler = start, end, data
    made.StartDoctypeDeclHandler = _no_document_type

    def declared(version: str, found: str | None, _standalone: int) -> None:
        if version != "1.0" or (found is not None and not same_encoding(found, encoding)):
            raise UnknownShape("encoding")

    made.XmlDeclHandler = declared
    return made


def _no_document_type(*_: Any) -> None:
    raise UnknownShape("doctype")


def no_base(attributes: list[str]) -> None:
    """`xml:base` would turn every address of the document."""
    if BASE in attributes[::2]:
        raise UnknownShape("xml:base")


def same_encoding(found: str, wanted: str) -> bool:
    try:
        name, own = codecs.lookup(found).name, codecs.lookup(wanted).name
    except (LookupError, ValueError):
        return False
    return name == own or (own == "utf-8" and name == "ascii")


def expected(header: str, known: tuple[str, ...], encoding: str) -> None:
    """Raises UnknownShape for another media type, or a character set that is not the declared one."""
    kind, *parameters = (part.strip() for part in header.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in UTF_8:
            if not same_encoding(value.strip().strip('"'), encoding):
                raise UnknownShape("content-type")
    expect(kind, known)


def tree(body: bytes) -> Node:
    """A small document as a whole. Raises UnknownShape."""
    top = Node("", [])
    stack = [top]

    def start(key: str, attributes: list[str]) -> None:
        if attributes:
            no_base(attributes)
        node = Node(key, attributes)
        stack[-1].items.append(node)
        stack.append(node)
        if len(stack) > DEPTH + 2:
            raise UnknownShape("depth")

    made = parser(start, lambda _: stack.pop(), lambda text: stack[-1].items.append(text), "utf-8")
    try:
        made.Parse(body, True)
    except ExpatError:
        raise UnknownShape("xml") from None
    return top.elements()[0]


def wrapped(piece: bytes, bindings: Mapping[str, str], quoted: Callable[[str], str]) -> bytes:
    """A piece of a document that binds its prefixes so, as a document of its own."""
    names = "".join(f' xmlns{":" if prefix else ""}{prefix}="{quoted(uri)}"' for prefix, uri in bindings.items())
    return b"<w%b>%b</w>" % (names.encode(), piece)
