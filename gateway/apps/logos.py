"""An app's logo: small, without animation, and unable to load anything. Stored as bytes, served from our own address.

An SVG may only contain shapes and gradients of an allow-list. Scripts, external styles,
references outside the file and document types are refused; they are not removed.
"""

import re
import struct
from xml.etree import ElementTree

MAX_BYTES = 32 * 1024
MAX_PIXELS = 2048
MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = frozenset(
    "svg g path rect circle ellipse line polyline polygon title desc defs linearGradient radialGradient stop"
    " clipPath mask symbol use text tspan".split()
)
_LINKS = ("href", "{http://www.w3.org/1999/xlink}href")
_OWN_URL = re.compile(r"url\(#[A-Za-z0-9_-]+\)")


def fault(suffix: str, content: bytes) -> str | None:
    """What is wrong with a logo; None: nothing."""
    if suffix not in MEDIA_TYPES:
        return "use an .svg or a .png file"
    if len(content) > MAX_BYTES:
        return f"has {len(content)} bytes; at most {MAX_BYTES} are allowed"
    return _svg_fault(content) if suffix == ".svg" else _png_fault(content)


def _png_fault(content: bytes) -> str | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") or len(content) < 57:
        return "is not a PNG picture"
    width, height = struct.unpack(">II", content[16:24])
    return None if 0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS else f"is larger than {MAX_PIXELS} pixels"


def _svg_fault(content: bytes) -> str | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8"
    # Refused before parsing, because entities expand during parsing.
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper() or "<?" in text.replace("<?xml ", "", 1):
        return "must not hold a document type, entities or processing instructions"
    encoding = re.match(r"\ufeff?<\?xml [^>]*encoding=[\"']([^\"']+)", text)
    if encoding and encoding[1].lower() != "utf-8":
        return "is not UTF-8"
    try:
        root = ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, ValueError):
        return "is not well-formed SVG"
    if root.tag != f"{_SVG}svg":
        return "is not an SVG picture"
    return next((wrong for element in root.iter() if (wrong := _element_fault(element))), None)


def _element_fault(element: ElementTree.Element) -> str | None:
    name = element.tag.removeprefix(_SVG) if isinstance(element.tag, str) else "?"
    if not str(element.tag).startswith(_SVG) or name not in _SHAPES:
        return f"must not hold <{name[:40]}>; only still shapes are allowed"
    for attribute, value in element.attrib.items():
        if attribute.lower().startswith("on") or attribute in ("style", "class"):
            return f"must not hold the attribute {attribute[:40]}"
        if attribute in _LINKS and not re.fullmatch(r"#[A-Za-z0-9_-]+", value):
            return "refers to something outside itself"
        if "url(" in value.lower() and not _OWN_URL.fullmatch(value.strip()):
            return "refers to something outside itself"
    return None
