"""Samples in XML: attributes become `@name`, the text of an element `.`, and what comes more than once a list."""

from pathlib import Path

from lxml import etree

from gateway.catalogue.formats import ENCODINGS
from gateway.formats.drafting import files
from gateway.formats.drafting.namespaces import XS, PrefixNeeded, XmlNames
from gateway.formats.drafting.nodes import (
    MIXED_TEXT,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    many,
    type_name,
)
from gateway.formats.drafting.reading import Reading
from gateway.formats.drafting.seen import SeenValues, Settled
from gateway.formats.xml_parsing import same_encoding

_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


def read(bodies: list[tuple[Path, bytes]]) -> Reading:
    """Raises Unreadable."""
    documents = [(path, files.xml_root(path, body)) for path, body in bodies]
    bare = any(not str(element.tag).startswith("{") for _, root in documents for element in root.iter())
    try:
        return _read(documents, bare)
    except PrefixNeeded:
        return _read(documents, True)


def _read(documents: list[tuple[Path, etree._Element]], bare: bool) -> Reading:
    reading = Reading("xml", seen=True)
    names, seen, roots = XmlNames(bare=bare), Element(), set[str]()
    reading.encoding = _encoding(*documents[0])
    for path, root in documents:
        if _encoding(path, root) != reading.encoding:
            raise Unreadable(f"{path}: is in another encoding than the file before; draft from one kind at a time")
        if root.tag == f"{XS}schema":
            raise Unreadable(f"{path}: is an XML Schema; write --xsd {path}")
        for prefix, namespace in root.nsmap.items():
            names.learn(prefix, namespace)
        roots.add(str(root.tag))
        seen.add(root, names)
    if len(roots) > 1:
        raise Unreadable(f"{documents[0][0]}: and others begin with different elements; draft from one kind at a time")
    outermost = names.of(roots.pop())
    local = outermost.rpartition(":")[2]
    node = seen.node(local, f"/{local}", reading.notes)
    if not isinstance(node, Object):
        raise Unreadable(f"{documents[0][0]}: has no element inside its root; give an answer with records in it")
    reading.namespaces = names.used
    return reading.of_records(document(outermost, node), f"XML: {many(len(documents), 'file')}, read from <{local}>")


def _encoding(path: Path, root: etree._Element) -> str:
    """The word for the encoding that the document declares. Raises Unreadable for what no declaration can say."""
    declared = root.getroottree().docinfo.encoding or "UTF-8"
    known = next((word for word in ENCODINGS if same_encoding(declared, word)), "")
    if not known:
        raise Unreadable(
            f"{path}: is in {declared}, and no format can be; have the organisation send it in {' or '.join(ENCODINGS)}"
        )
    return known


def document(outermost: str, node: Object) -> Object:
    """What a whole answer is: it has one member, its outermost element."""
    return Object("Answer", {outermost: Member(node)})


class Element:
    """What was seen of elements at one place."""

    __slots__ = ("attributes", "children", "count", "many", "mixed", "text")

    def __init__(self) -> None:
        self.count = 0
        self.text = SeenValues()
        self.attributes: dict[str, SeenValues] = {}
        self.children: dict[str, Element] = {}
        self.many: set[str] = set()  # children of which there was more than one
        self.mixed = False

    def add(self, element: etree._Element, names: XmlNames) -> None:
        self.count += 1
        for name, value in element.attrib.items():
            if not str(name).startswith(_INSTANCE):
                self.attributes.setdefault(names.of(str(name), attribute=True), SeenValues()).add(str(value))
        before: set[str] = set()
        for child in element:
            name = names.of(str(child.tag))
            if name in before:
                self.many.add(name)
            before.add(name)
            self.children.setdefault(name, Element()).add(child, names)
            self.mixed |= bool((child.tail or "").strip())
        text = element.text or ""
        if text.strip():
            self.mixed |= bool(before)
            self.text.add(text)

    def node(self, name: str, place: str, notes: list[Remark]) -> Node:
        settled = Settled(notes, text_only=True)
        text = settled.node(self.text, name, place)
        if self.mixed or (self.children and self.text.count):  # together in one, or now this and now that
            notes.append(Remark(place, *MIXED_TEXT))
            text = PlainValue("x")
        if not self.attributes and not self.children:
            return text if self.text.count else PlainValue("s")
        members = {
            f"@{key}": Member(settled.node(seen, key, f"{place}/@{key}")) for key, seen in self.attributes.items()
        }
        for key, child in self.children.items():
            node = child.node(key.rpartition(":")[2], f"{place}/{key}", notes)
            members[key] = Member(Listed(node) if key in self.many else node)
        if self.text.count or not self.children or self.mixed:
            members["."] = Member(text if self.text.count or self.mixed else PlainValue("s"))
        return Object(type_name(name), members)
