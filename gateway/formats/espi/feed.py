"""An Atom document with ESPI resources: entries with their links and their checked content.

The parser reads no DOCTYPE, no entity, no network and UTF-8 only. What leaves is written anew from what the tables
know, so an element or attribute that they do not know is taken out of the tree, and its place is noted (`skipped`);
an entry of a resource that is never given is counted and not read at all. What would change the meaning of something
known is an UnknownShape: `xml:base`, a known element twice or of another type, text between elements, an entry without
its address. Comments and processing instructions are not part of a resource and go.
"""

import re
from dataclasses import dataclass, field

from lxml import etree

from gateway.formats.espi.atom import attributes, instant, joined, link, local, no_text, other, path_of, qualified
from gateway.formats.espi.ids import is_id
from gateway.formats.espi.readings import MARK, Run, declares, lifted
from gateway.formats.espi.resources import check, readings_of
from gateway.formats.espi.shapes import ATOM, ESPI, NEVER_GIVEN, RESOURCES
from gateway.formats.espi.skipped import Skipped
from gateway.formats.model import UnknownShape

_ENCODING = re.compile(rb"""<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FEED_PARTS = {"author", "category", "contributor", "generator", "icon", "logo", "rights", "subtitle"}
_ENTRY_PARTS = {"author", "category", "contributor", "rights", "source", "summary"}
_ATOM_ATTRIBUTES = frozenset(("type", "term", "scheme", "label", "uri", "version"))  # RFC 4287 §4
_PAGES = ("first", "previous", "next", "last")  # RFC 5005 §3
_ARCHIVES = ("prev-archive", "next-archive")  # RFC 5005 §4: the rest of the feed is another document

_CONTENT = f"{{{ATOM}}}content"
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
    no_text(root, "feed")
    attributes(root, _ATOM_ATTRIBUTES, "feed", skipped)
    for child in root.iterchildren():
        namespace, name = qualified(child, "feed")
        if namespace != ATOM:
            skipped.place("feed", other(name))
        elif name == "link":
            rel, href = link(child, "feed/link", skipped)
            if rel in _ARCHIVES or rel in head.pages or (rel == "self" and head.base not in ("", href)):
                raise UnknownShape("feed/link")
            if rel == "self":
                head.base = href
            elif rel in _PAGES:
                head.pages[rel] = href
        elif name == "entry":
            continue  # looked at when it is read
        elif name == "updated":
            head.updated = instant(child, "feed/updated")
            attributes(child, _ATOM_ATTRIBUTES, "feed/updated", skipped)
        elif name in ("id", "title") or name in _FEED_PARTS:
            attributes(child, _ATOM_ATTRIBUTES, f"feed/{name}", skipped)
        else:
            skipped.place("feed", name)
    head.pages = {rel: joined(head.base, href) for rel, href in head.pages.items()}
    return head


def read_entry(element: etree._Element, runs: list[bytes], base: str, where: str, skipped: Skipped) -> FeedEntry | None:
    """One entry; None: it is of a resource that is never given."""
    content = _content(element, where, skipped)
    if content is None:
        return None
    texts: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    no_text(element, where)
    attributes(element, _ATOM_ATTRIBUTES, where, skipped)
    for child in element.iterchildren():
        namespace, name = qualified(child, where)
        if namespace != ATOM:
            skipped.place(where, other(name))
        elif name == "link":
            rel, href = link(child, f"{where}/link", skipped)
            if rel == "self" and path_of(href, "").rpartition("/")[2] in ("", ".", ".."):
                raise UnknownShape(f"{where}/link")  # its id would be the feed's: the number of her subscription
            links.append((rel, path_of(href, base)))
        elif name in texts:
            raise UnknownShape(f"{where}/{name}")
        elif name in ("published", "updated"):
            texts[name] = instant(child, f"{where}/{name}")
            attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        elif name in ("id", "title"):
            texts[name] = child.text or ""
            attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        elif name == "content" or name in _ENTRY_PARTS:
            attributes(child, _ATOM_ATTRIBUTES, f"{where}/{name}", skipped)
        else:
            skipped.place(where, name)
    return _entry(content, links, texts, runs, where, skipped)


def _content(element: etree._Element, where: str, skipped: Skipped) -> etree._Element | None:
    """The resource of an entry; None when it is one that is never given. Raises UnknownShape: not exactly one."""
    where = f"{where}/content"
    contents = list(element.iterchildren(_CONTENT))
    if len(contents) != 1 or not len(contents[0]):
        raise UnknownShape(where)
    no_text(contents[0], where)
    own: list[etree._Element] = []
    others: list[str] = []
    for child in contents[0].iterchildren():
        namespace, name = qualified(child, where)
        if namespace == ESPI:
            own.append(child)
        else:
            others.append(other(name))
    for name in others:
        skipped.place(where, name)
    if len(own) > 1:
        raise UnknownShape(where)
    if not own:
        return None
    kind = local(own[0])
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
    kind = local(content)
    where = f"{where}/content/{kind}"
    own = [path for rel, path in links if rel == "self"]
    stamp = texts.get("updated") or texts.get("published")
    if len(own) != 1 or not own[0] or stamp is None or "id" not in texts:
        raise UnknownShape(f"{where}/link")
    up = next((path for rel, path in links if rel == "up"), own[0].rsplit("/", 1)[0])
    before = skipped.elements
    found = list(readings_of(content, runs, where, skipped)) if kind == "IntervalBlock" else []
    readings = [run for run in found if run.is_timed]
    check(content, kind, where, skipped)
    unknown = skipped.elements - before
    related = tuple(path for rel, path in links if rel == "related")
    published = texts.get("published", stamp)
    title, timeless = texts.get("title", ""), len(found) - len(readings)
    return FeedEntry(
        kind, own[0], up, texts["id"], related, published, stamp, title, content, readings, timeless, unknown
    )
