"""What any Atom document has (RFC 4287): links, stamps, and the attributes that may stand on its elements."""

import re
from urllib.parse import urljoin, urlsplit

from lxml import etree

from gateway.formats.espi.ids import canonical
from gateway.formats.espi.skipped import Skipped
from gateway.formats.model import UnknownShape

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
)
_CLIMBING = re.compile(r"(?:^|/)\.{1,2};")
_XML = "{http://www.w3.org/XML/1998/namespace}"
INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_HINTS = (INSTANCE, _XML)  # of schemas and of languages: not data
_MOST_ATTRIBUTES = 64  # of one element
_REGISTRY = "http://www.iana.org/assignments/relation/"  # RFC 4287 §4.2.7.2: the long form of a registered relation
_SPELLINGS = {"prev": "previous"}
_LINK_ATTRIBUTES = frozenset(("rel", "href", "type", "hreflang", "title", "length"))


def path_of(href: str, base: str) -> str:
    """The path of a link, relative ones against the feed's own address."""
    if ";" in href and _CLIMBING.search(href):  # which some servers take for the folder above, and so does `urljoin`
        raise UnknownShape("link")
    try:
        return canonical(urlsplit(joined(base, href)).path.rstrip("/"))
    except ValueError:
        raise UnknownShape("link") from None


def joined(base: str, href: str) -> str:
    """`?x` is of the document itself, wherever that was asked for (RFC 3986 §5.2.2)."""
    try:
        return href.strip() if href.strip().startswith("?") else urljoin(base, href.strip())
    except ValueError:
        raise UnknownShape("link") from None


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(element: etree._Element, where: str, skipped: Skipped) -> tuple[str, str]:
    attributes(element, _LINK_ATTRIBUTES, where, skipped)
    rel = str(element.get("rel", "alternate")).strip().lower().removeprefix(_REGISTRY)
    return _SPELLINGS.get(rel, rel), str(element.get("href", ""))


def attributes(element: etree._Element, known: frozenset[str], where: str, skipped: Skipped) -> None:
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
            skipped.place(where, f"@{other(name) if namespace else name}")


def other(name: str) -> str:
    """An element or attribute of another namespace, which is not told: it is an address."""
    return f"other:{name}"


def instant(element: etree._Element, where: str) -> str:
    text = (element.text or "").strip()
    if not _INSTANT.fullmatch(text) or len(element):
        raise UnknownShape(where)
    return text


def no_text(element: etree._Element, where: str) -> None:
    if (element.text and element.text.strip()) or any(child.tail and child.tail.strip() for child in element):
        raise UnknownShape(where)


def qualified(element: etree._Element, where: str) -> tuple[str, str]:
    """(namespace, local name). An entity reference or anything else that is no element is refused."""
    if not isinstance(element.tag, str):
        raise UnknownShape(where)
    namespace, _, name = element.tag.rpartition("}")
    return namespace[1:], name


def local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
