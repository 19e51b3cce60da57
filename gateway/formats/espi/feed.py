"""An Atom document with ESPI resources: entries with their links and their checked content.

The parser reads no DOCTYPE, no entity, no network and UTF-8 only. What leaves is written anew from what the tables
know, so an element or attribute that they do not know is taken out of the tree, and its place is noted (`skipped`);
an entry of a resource that is never given is counted and not read at all. What would change the meaning of something
known is an UnknownShape: `xml:base`, a known element twice or of another type, text between elements, an entry without
its address. Comments and processing instructions are not part of a resource and go.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from lxml import etree

from gateway.formats.espi.ids import canonical, is_id
from gateway.formats.espi.readings import CLOSE, MARK, OPEN, Run, declares, lifted
from gateway.formats.espi.shapes import ATOM, CHILDREN, ESPI, LEAVES, NEVER, NEVER_GIVEN, RESOURCES
from gateway.formats.espi.skipped import Skipped
from gateway.formats.model import UnknownShape

_ENCODING = re.compile(rb"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_CLIMBING = re.compile(r"(?:^|/)\.{1,2};")
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_FEED_PARTS = {"author", "category", "contributor", "generator", "icon", "logo", "rights", "subtitle"}
_ENTRY_PARTS = {"author", "category", "contributor", "rights", "source", "summary"}
_INSTANCE, _XML = "{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998/namespace}"
_NIL = _INSTANCE + "nil"
_HINTS = (_INSTANCE, _XML)  # of schemas and of languages: not data
_ATOM_ATTRIBUTES = frozenset(("type", "term", "scheme", "label", "uri", "version"))  # RFC 4287 §4
_NONE: frozenset[str] = frozenset()
_MOST_ATTRIBUTES = 64  # of one element
_PAGES = ("first", "previous", "next", "last")  # RFC 5005 §3
_ARCHIVES = ("prev-archive", "next-archive")  # RFC 5005 §4: the rest of the feed is another document
_REGISTRY = "http://www.iana.org/assignments/relation/"  # RFC 4287 §4.2.7.2: the long form of a registered relation
_SPELLINGS = {"prev": "previous"}
_LINK_ATTRIBUTES = frozenset(("rel", "href", "type", "hreflang", "title", "length"))
_CONTENT, _READING, _RUN = f"{{{ATOM}}}content", f"{{{ESPI}}}IntervalReading", f"{{{ESPI}}}{MARK.decode()}"

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
        if not is_id(name):
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
    unknown: int = 0  # elements of its content that the tables do not know, taken out


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
    dropped: int  # entries of resources that are never given
    skipped: Skipped


def read(body: bytes) -> Feed:
    """The document. Raises UnknownShape for what cannot be read without a doubt."""
    root, runs = parsed(body)
    skipped = Skipped()
    if root.tag == f"{{{ATOM}}}entry":
        head, found = FeedHead(), [read_entry(root, runs, "", "entry", skipped)]
    elif root.tag == f"{{{ATOM}}}feed":
        head = feed_head(root, skipped)
        found = [
            read_entry(child, runs, head.base, f"entry[{index}]", skipped)
            for index, child in enumerate(root.iterchildren(f"{{{ATOM}}}entry"))
        ]
    else:
        raise UnknownShape("feed")
    entries = [entry for entry in found if entry is not None]
    return Feed(root.tag != f"{{{ATOM}}}feed", head, entries, len(found) - len(entries), skipped)


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


def feed_head(root: etree._Element, skipped: Skipped) -> FeedHead:
    """The head of a feed. Raises UnknownShape where another document goes with it."""
    head = FeedHead()
    _no_text(root, "feed")
    _attributes(root, _ATOM_ATTRIBUTES, "feed", skipped)
    for child in root.iterchildren():
        namespace, name = _qualified(child, "feed")
        if namespace != ATOM:
            skipped.place("feed", _other(name))
        elif name == "link":
            rel, href = _link(child, "feed/link", skipped)
            if rel in _ARCHIVES or rel in head.pages or (rel == "self" and head.base not in ("", href)):
                raise UnknownShape("feed/link")
            if rel == "self":
                head.base = href
            elif rel in _PAGES:
                head.pages[rel] = href
        elif name == "entry":
            continue  # looked at when it is read
        elif name == "updated":
            head.updated = _instant(child, "feed/updated")
            _attributes(child, _ATOM_ATTRIBUTES, "feed/updated", skipped)
        elif name in ("id", "title") or name in _FEED_PARTS:
            _attributes(child, _ATOM_ATTRIBUTES, f"feed/{name}", skipped)
        else:
            skipped.place("feed", name)
    head.pages = {rel: _joined(head.base, href) for rel, href in head.pages.items()}
    return head


def read_entry(element: etree._Element, runs: list[bytes], base: str, where: str, skipped: Skipped) -> FeedEntry | None:
    """One entry; None: it is of a resource that is never given."""
    content = _content(element, where, skipped)
    if content is None:
        return None
    texts: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    _no_text(element, where)
    _attributes(element, _ATOM_ATTRIBUTES, where, skipped)
    for child in element.iterchildren():
        namespace, name = _qualified(child, where)
        if namespace != ATOM:
            skipped.place(where, _other(name))
        elif name == "link":
            rel, href = _link(child, f"{where}/link", skipped)
            if rel == "self" and path_of(href, "").rpartition("/")[2] in ("", ".", ".."):
                raise UnknownShape(f"{where}/link")  # its id would be the feed's: the number of her subscription
            links.append((rel, path_of(href, base)))
        elif name in texts:
            raise UnknownShape(f"{where}/{name}")
        elif name in ("published", "updated"):
            texts[name] = _instant(child, f"{where}/{name}")
            _attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        elif name in ("id", "title"):
            texts[name] = child.text or ""
            _attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        elif name == "content" or name in _ENTRY_PARTS:
            _attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        else:
            skipped.place(where, name)
    return _entry(content, links, texts, runs, where, skipped)


def _content(element: etree._Element, where: str, skipped: Skipped) -> etree._Element | None:
    """The resource of an entry; None when it is one that is never given. Raises UnknownShape: not exactly one."""
    where = f"{where}/content"
    contents = list(element.iterchildren(_CONTENT))
    if len(contents) != 1 or not len(contents[0]):
        raise UnknownShape(where)
    _no_text(contents[0], where)
    own: list[etree._Element] = []
    others: list[str] = []
    for child in contents[0].iterchildren():
        namespace, name = _qualified(child, where)
        if namespace == ESPI:
            own.append(child)
        else:
            others.append(_other(name))
    for name in others:
        skipped.place(where, name)
    if len(own) > 1:
        raise UnknownShape(where)
    if not own:
        return None
    kind = _local(own[0])
    if kind in RESOURCES:
        return own[0]
    if kind not in NEVER_GIVEN:
        skipped.place(where, kind)
    return None


def _entry(
    content: etree._Element,
    links: list[tuple[str, str]],
    texts: dict[str, str],
    runs: list[bytes],
    where: str,
    skipped: Skipped,
) -> FeedEntry:
    kind = _local(content)
    where = f"{where}/content/{kind}"
    own = [path for rel, path in links if rel == "self"]
    stamp = texts.get("updated") or texts.get("published")
    if len(own) != 1 or not own[0] or stamp is None or "id" not in texts:
        raise UnknownShape(f"{where}/link")
    up = next((path for rel, path in links if rel == "up"), own[0].rsplit("/", 1)[0])
    before = skipped.elements
    found = list(_readings(content, runs, where, skipped)) if kind == "IntervalBlock" else []
    readings = [run for run in found if run.is_timed]
    check(content, kind, where, skipped)
    unknown = skipped.elements - before
    related = tuple(path for rel, path in links if rel == "related")
    published = texts.get("published", stamp)
    title, timeless = texts.get("title", ""), len(found) - len(readings)
    return FeedEntry(
        kind, own[0], up, texts["id"], related, published, stamp, title, content, readings, timeless, unknown
    )


def _readings(block: etree._Element, runs: list[bytes], where: str, skipped: Skipped) -> Iterator[Run]:
    """The readings of a block: recognised runs, and one by one what the grammar left. They leave the tree."""
    for child in block.iterchildren(_RUN, _READING):  # as in `check`
        if child.tag == _RUN:
            yield Run(runs[int(child.text or "")])
        else:
            yield Run(plain_reading(child, f"{where}/IntervalReading", skipped))
        block.remove(child)


def plain_reading(element: etree._Element, where: str, skipped: Skipped) -> bytes:
    """A reading as the grammar would have it: integers only, in schema order."""
    check(element, "IntervalReading", where, skipped)
    for leaf in element.iterdescendants(etree.Element):
        if len(leaf) == 0 and _local(leaf) != "timePeriod" and not _INTEGER.fullmatch((leaf.text or "").strip()):
            raise UnknownShape(where)
    return (OPEN.decode() + written_children(element, "IntervalReading", frozenset(), str) + CLOSE.decode()).encode()


def check(element: etree._Element, kind: str, where: str, skipped: Skipped) -> None:
    """That what an element holds of the table is of its type and once, and no text stands beside children.

    What the table does not know is taken out, and so is what is never given of any type.
    """
    if element.attrib:
        _attributes(element, _NONE, where, skipped)
    known = CHILDREN[kind]
    seen: set[str] = set()
    _no_text(element, where)
    for child in element.iterchildren():  # has gone on to the next before it gives one, which may then be removed
        namespace, name = _qualified(child, where)
        word = known.get(name)
        if namespace != ESPI or word is None:
            _take(element, child, namespace, name, where, skipped)
            continue
        if name in seen and not (word.endswith("*") or word == "-"):
            raise UnknownShape(f"{where}/{name}")
        seen.add(name)
        if word in LEAVES:
            if len(child):
                raise UnknownShape(f"{where}/{name}")
            if child.attrib and _is_nil(child, f"{where}/{name}", skipped):
                _take(element, child, namespace, name, where, skipped)
        elif word != "-":
            check(child, word.rstrip("*"), f"{where}/{name}", skipped)


def _is_nil(leaf: etree._Element, where: str, skipped: Skipped) -> bool:
    """Whether a leaf says that it has no value. Its other attributes are noted."""
    _attributes(leaf, _NONE, where, skipped)
    return leaf.get(_NIL, "").strip() in ("true", "1") and not (leaf.text or "").strip()


def _take(
    element: etree._Element, child: etree._Element, namespace: str, name: str, where: str, skipped: Skipped
) -> None:
    """Takes a child out of the tree, and notes where."""
    if name == MARK.decode():
        name = "IntervalReading"
    if namespace != ESPI:
        skipped.element(where, _other(name))
    elif name in NEVER:
        skipped.elements += 1  # known, and of every type
    else:
        skipped.element(where, name)
    element.remove(child)


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
        word = CHILDREN[kind][name]
        if word == "-" or (kind, name) in withheld:
            taken += 1
        elif word not in LEAVES:
            taken += count_withheld(child, word.rstrip("*"), withheld)
    return taken


def integers(element: etree._Element, names: Iterable[str], where: str) -> list[int]:
    """The integer children of an element, as far as they are there. Raises UnknownShape when one is no integer."""
    found = []
    for name in names:
        text = element.findtext(f"{{{ESPI}}}{name}")
        if text is not None and not _INTEGER.fullmatch(text.strip()):
            raise UnknownShape(f"{where}/{name}")
        found += [] if text is None else [int(text)]
    return found


def path_of(href: str, base: str) -> str:
    """The path of a link, relative ones against the feed's own address."""
    if ";" in href and _CLIMBING.search(href):  # which some servers take for the folder above, and so does `urljoin`
        raise UnknownShape("link")
    try:
        return canonical(urlsplit(_joined(base, href)).path.rstrip("/"))
    except ValueError:
        raise UnknownShape("link") from None


def _joined(base: str, href: str) -> str:
    """`?x` is of the document itself, wherever that was asked for (RFC 3986 §5.2.2)."""
    try:
        return href.strip() if href.strip().startswith("?") else urljoin(base, href.strip())
    except ValueError:
        raise UnknownShape("link") from None


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(element: etree._Element, where: str, skipped: Skipped) -> tuple[str, str]:
    _attributes(element, _LINK_ATTRIBUTES, where, skipped)
    rel = str(element.get("rel", "alternate")).strip().lower().removeprefix(_REGISTRY)
    return _SPELLINGS.get(rel, rel), str(element.get("href", ""))


def _attributes(element: etree._Element, known: frozenset[str], where: str, skipped: Skipped) -> None:
    """Notes the attributes that say nothing we know. Raises UnknownShape for one that turns or leads elsewhere."""
    if not element.attrib or known.issuperset(element.attrib):
        return
    if len(element.attrib) > _MOST_ATTRIBUTES:
        raise UnknownShape(where)
    for attribute in map(str, element.attrib):
        # The first turns every link of the document, the second leads out of it (RFC 4287 §4.1.3.2).
        if attribute == _XML + "base" or (attribute == "src" and where.endswith("/content")):
            raise UnknownShape(where)
        if attribute not in known and not attribute.startswith(_HINTS):
            namespace, _, name = attribute.rpartition("}")
            skipped.place(where, f"@{_other(name) if namespace else name}")


def _other(name: str) -> str:
    """An element or attribute of another namespace, which is not told: it is an address."""
    return f"other:{name}"


def _instant(element: etree._Element, where: str) -> str:
    text = (element.text or "").strip()
    if not _INSTANT.fullmatch(text) or len(element):
        raise UnknownShape(where)
    return text


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
