"""An Atom document with ESPI resources, read strictly: entries with their links and their checked content.

The parser reads no DOCTYPE, no entity, no network and UTF-8 only. An element or attribute that the tables do not know
is an UnknownShape, wherever it stands; comments and processing instructions are not part of a resource and go.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from lxml import etree

from gateway.formats.espi.readings import CLOSE, MARK, OPEN, Run, declares, lifted
from gateway.formats.espi.shapes import ATOM, CHILDREN, ESPI, LEAVES, NEVER, RESOURCES
from gateway.formats.model import UnknownShape

_ENCODING = re.compile(rb"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FEED_PARTS = {"author", "category", "contributor", "generator", "icon", "logo", "rights", "subtitle"}
_INSTANCE = {  # hints of schemas, not data
    f"{{http://www.w3.org/2001/XMLSchema-instance}}{name}" for name in ("schemaLocation", "type", "nil")
}
_ENTRY_PARTS = {"author", "category", "contributor", "rights", "source", "summary"}
# Of the Atom elements (RFC 4287 §4); `xml:base` would turn every link of the document, and `src` leads out of it.
_ATOM_ATTRIBUTES = _INSTANCE | {
    "type",
    "term",
    "scheme",
    "label",
    "uri",
    "version",
    "{http://www.w3.org/XML/1998/namespace}lang",
}
_PAGES = ("first", "previous", "next", "last")  # RFC 5005 §3
_ARCHIVES = ("prev-archive", "next-archive")  # RFC 5005 §4: the rest of the feed is another document
_REGISTRY = "http://www.iana.org/assignments/relation/"  # RFC 4287 §4.2.7.2: the long form of a registered relation
_SPELLINGS = {"prev": "previous"}
_LINK_ATTRIBUTES = {"rel", "href", "type", "hreflang", "title", "length"}

_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)


@dataclass(slots=True)
class FeedPlace:
    """Where a resource stands. Paths are those of its links, without server and trailing slash."""

    kind: str
    self: str
    up: str

    @property
    def name(self) -> str:
        """The resource's own id: the last segment of its address."""
        name = self.self.rsplit("/", 1)[-1]
        if not _SEGMENT.fullmatch(name) or name in (".", ".."):
            raise UnknownShape(f"entry[{self.kind}]/link")
        return name


@dataclass(slots=True)
class FeedEntry(FeedPlace):
    """One resource."""

    id: str
    related: tuple[str, ...]  # paths, like `self` and `up`
    published: str
    updated: str
    title: str  # often an address: for the person's own eyes only
    content: etree._Element
    runs: list[Run] = field(default_factory=list)  # of an IntervalBlock
    timeless: int = 0  # its readings that have no start or no duration: of no period, so always outside


@dataclass(slots=True)
class FeedHead:
    """What stands around the entries of a feed."""

    base: str = ""  # its own address
    updated: str = ""
    pages: dict[str, str] = field(default_factory=dict)  # relation of PAGES → address


@dataclass(slots=True)
class Feed:
    is_entry: bool  # the document is one entry, not a feed
    head: FeedHead
    entries: list[FeedEntry]


def read(body: bytes) -> Feed:
    """The document. Raises UnknownShape for anything that is not exactly a known one."""
    root, runs = parsed(body)
    if root.tag == f"{{{ATOM}}}entry":
        return Feed(True, FeedHead(), [read_entry(root, runs, "", "entry")])
    if root.tag != f"{{{ATOM}}}feed":
        raise UnknownShape("feed")
    head = feed_head(root)
    entries = [
        read_entry(child, runs, head.base, f"entry[{index}]")
        for index, child in enumerate(root.iterchildren(f"{{{ATOM}}}entry"))
    ]
    return Feed(False, head, entries)


def parsed(body: bytes) -> tuple[etree._Element, list[bytes]]:
    """The element tree with marks for runs of readings, and the runs."""
    _guarded(body)
    text, runs = (body, []) if declares(body, b"<![CDATA[") else lifted(body)
    try:
        root = etree.fromstring(text, _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        raise UnknownShape("xml") from None
    document_type: str = root.getroottree().docinfo.doctype  # type: ignore[union-attr]  # the stubs miss it
    if document_type:
        raise UnknownShape("doctype")
    return root, runs


def _guarded(body: bytes) -> None:
    """Refuses what no feed needs: document types, other encodings, and our own mark."""
    if declares(body, b"<!DOCTYPE") or declares(body, b"<!ENTITY"):
        raise UnknownShape("doctype")
    if MARK in body or b"\0" in body:
        raise UnknownShape("xml")
    declared = _ENCODING.match(body.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].upper() not in (b"UTF-8", b"US-ASCII", b"ASCII"):
        raise UnknownShape("encoding")


def feed_head(root: etree._Element) -> FeedHead:
    """The head of a feed; its other parts must be known. Raises UnknownShape where another document goes with it."""
    head = FeedHead()
    _no_text(root, "feed")
    _attributes(root, "feed")
    for child in root.iterchildren():
        namespace, name = _qualified(child, "feed")
        if namespace != ATOM:
            raise UnknownShape(f"feed/{name}")
        if name == "link":
            rel, href = _link(child, "feed/link")
            if rel in _ARCHIVES or rel in head.pages:
                raise UnknownShape("feed/link")
            if rel == "self":
                head.base = href
            elif rel in _PAGES:
                head.pages[rel] = href
            continue
        _attributes(child, f"feed/{name}")
        if name == "updated":
            head.updated = _instant(child, "feed/updated")
        elif name not in ("id", "title", "entry") and name not in _FEED_PARTS:
            raise UnknownShape(f"feed/{name}")
    head.pages = {rel: _joined(head.base, href) for rel, href in head.pages.items()}
    return head


def read_entry(element: etree._Element, runs: list[bytes], base: str, where: str) -> FeedEntry:
    texts: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    content: etree._Element | None = None
    _no_text(element, where)
    _attributes(element, where)
    for child in element.iterchildren():
        namespace, name = _qualified(child, where)
        if namespace != ATOM or (name in texts) or (name == "content" and content is not None):
            raise UnknownShape(f"{where}/{name}")
        if name == "link":
            rel, href = _link(child, f"{where}/link")
            if rel == "self" and path_of(href, "").rpartition("/")[2] in ("", ".", ".."):
                raise UnknownShape(f"{where}/link")  # its id would be the feed's: the number of her subscription
            links.append((rel, path_of(href, base)))
            continue
        _attributes(child, f"{where}/{name}")
        if name == "content":
            content = _only_child(child, f"{where}/content")
        elif name in ("published", "updated"):
            texts[name] = _instant(child, f"{where}/{name}")
        elif name in ("id", "title"):
            texts[name] = child.text or ""
        elif name not in _ENTRY_PARTS:
            raise UnknownShape(f"{where}/{name}")
    if content is None:
        raise UnknownShape(f"{where}/content")
    return _entry(content, links, texts, runs, where)


def _entry(
    content: etree._Element, links: list[tuple[str, str]], texts: dict[str, str], runs: list[bytes], where: str
) -> FeedEntry:
    namespace, kind = _qualified(content, f"{where}/content")
    if namespace != ESPI or kind not in RESOURCES:
        raise UnknownShape(f"{where}/content/{kind}")
    where = f"{where}/content/{kind}"
    own = [path for rel, path in links if rel == "self"]
    stamp = texts.get("updated") or texts.get("published")
    if len(own) != 1 or not own[0] or stamp is None or "id" not in texts:
        raise UnknownShape(f"{where}/link")
    up = next((path for rel, path in links if rel == "up"), own[0].rsplit("/", 1)[0])
    found = list(_readings(content, runs, where)) if kind == "IntervalBlock" else []
    readings = [run for run in found if run.is_timed]
    check(content, kind, where)
    related = tuple(path for rel, path in links if rel == "related")
    published = texts.get("published", stamp)
    title, timeless = texts.get("title", ""), len(found) - len(readings)
    return FeedEntry(kind, own[0], up, texts["id"], related, published, stamp, title, content, readings, timeless)


def _readings(block: etree._Element, runs: list[bytes], where: str) -> Iterator[Run]:
    """The readings of a block: recognised runs, and one by one what the grammar left. They leave the tree."""
    for child in list(block.iterchildren()):
        if child.tag == f"{{{ESPI}}}{MARK.decode()}":
            yield Run(runs[int(child.text or "")])
            block.remove(child)
        elif child.tag == f"{{{ESPI}}}IntervalReading":
            check(child, "IntervalReading", f"{where}/IntervalReading")
            yield Run(plain_reading(child, where))
            block.remove(child)


def plain_reading(element: etree._Element, where: str) -> bytes:
    """A reading as the grammar would have it: integers only, in schema order."""
    for leaf in element.iterdescendants(etree.Element):
        if len(leaf) == 0 and not _INTEGER.fullmatch((leaf.text or "").strip()):
            raise UnknownShape(f"{where}/IntervalReading")
    return (OPEN.decode() + written_children(element, "IntervalReading", frozenset(), str) + CLOSE.decode()).encode()


def check(element: etree._Element, kind: str, where: str) -> None:
    """That an element holds only children the table knows, no attributes, and no text beside children."""
    if element.attrib and not _INSTANCE.issuperset(element.attrib):
        raise UnknownShape(where)
    known = CHILDREN[kind]
    seen: set[str] = set()
    _no_text(element, where)
    for child in element.iterchildren():
        namespace, name = _qualified(child, where)
        word = "-" if name in NEVER else known.get(name)
        if namespace != ESPI or word is None or (name in seen and not (word.endswith("*") or word == "-")):
            raise UnknownShape(f"{where}/{name}" if word else where)
        seen.add(name)
        if word in LEAVES:
            if len(child) or child.attrib:
                raise UnknownShape(f"{where}/{name}")
        elif word != "-":
            check(child, word.rstrip("*"), f"{where}/{name}")


def written_children(
    element: etree._Element, kind: str, withheld: frozenset[tuple[str, str]], outward: Callable[[str], str]
) -> str:
    """The given children of a checked element as XML text, in schema order. `outward`: a text as the app may see it."""
    found: dict[str, list[etree._Element]] = {}
    for child in element.iterchildren():
        found.setdefault(_local(child), []).append(child)
    parts: list[str] = []
    for name, word in CHILDREN[kind].items():
        if word == "-" or (kind, name) in withheld:
            continue
        for child in found.get(name, ()):
            if word in LEAVES:
                text = (child.text or "").strip()
                is_number = word == "n" and _INTEGER.fullmatch(text)
                inner = escaped(text if is_number else outward(text))
            else:
                inner = written_children(child, word.rstrip("*"), withheld, outward)
            parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def count_withheld(element: etree._Element, kind: str, withheld: frozenset[tuple[str, str]]) -> int:
    """How many elements of a checked element are not given."""
    taken = 0
    for child in element.iterchildren():
        name = _local(child)
        word = "-" if name in NEVER else CHILDREN[kind][name]
        if word == "-" or (kind, name) in withheld:
            taken += 1
        elif word not in LEAVES:
            taken += count_withheld(child, word.rstrip("*"), withheld)
    return taken


def integers(element: etree._Element | None, names: Iterable[str], where: str) -> list[int]:
    """The integer children of an element. Raises UnknownShape when one is missing or no integer."""
    found = []
    for name in names:
        text = None if element is None else element.findtext(f"{{{ESPI}}}{name}")
        if text is None or not _INTEGER.fullmatch(text.strip()):
            raise UnknownShape(f"{where}/{name}")
        found.append(int(text))
    return found


def path_of(href: str, base: str) -> str:
    """The path of a link, relative ones against the feed's own address."""
    try:
        return urlsplit(_joined(base, href)).path.rstrip("/")
    except ValueError:
        raise UnknownShape("link") from None


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:
        raise UnknownShape("link") from None


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(element: etree._Element, where: str) -> tuple[str, str]:
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    if not attributes.keys() <= _LINK_ATTRIBUTES or len(element):
        raise UnknownShape(where)
    rel = attributes.get("rel", "alternate").strip().lower().removeprefix(_REGISTRY)
    return _SPELLINGS.get(rel, rel), attributes.get("href", "")


def _attributes(element: etree._Element, where: str) -> None:
    if element.attrib and not _ATOM_ATTRIBUTES.issuperset(element.attrib):
        raise UnknownShape(where)


def _instant(element: etree._Element, where: str) -> str:
    text = (element.text or "").strip()
    if not _INSTANT.fullmatch(text) or len(element):
        raise UnknownShape(where)
    return text


def _only_child(element: etree._Element, where: str) -> etree._Element:
    if len(element) != 1:
        raise UnknownShape(where)
    _no_text(element, where)
    return element[0]


def _no_text(element: etree._Element, where: str) -> None:
    if (element.text and element.text.strip()) or any(child.tail and child.tail.strip() for child in element):
        raise UnknownShape(where)


def _qualified(element: etree._Element, where: str) -> tuple[str, str]:
    """(namespace, local name). An entity reference or anything else that is no element is refused."""
    if not isinstance(element.tag, str):
        raise UnknownShape(where)
    namespace, _, name = element.tag.rpartition("}")
    return namespace[1:], name


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
