"""Texts in which characters are written as something else: 0001&nbsp;2345, 0001%202345, 0001\\u00202345, １２３４.

Where that may be so, and how a reader sees such a text. Whatever else needs a program to be read (quoted-printable,
Base64, a number backwards) is not looked into.
"""

import re
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import unescape
from html.entities import html5
from string import ascii_letters
from unicodedata import digit, normalize

from gateway.formats.sought import Sought

_OPEN_NAMES = sorted((name for name in html5 if name[-1] != ";"), key=len, reverse=True)
_OPEN_LENGTHS = sorted({len(name) for name in _OPEN_NAMES}, reverse=True)
# A character reference of HTML. A parameter of an address (&page=2) is none, mostly.
_REFERENCE = f"&(?=[#A-Za-z])(?:#[0-9]+;?|#[xX][0-9A-Fa-f]+;?|[A-Za-z][0-9A-Za-z]{{1,31}};|{'|'.join(_OPEN_NAMES)})"
# Where characters may be written as something else: percent-encoding, a character reference, an escape, or a character
# that stands for a letter or digit of ASCII (NFKC). The usual letters and marks of Western texts do not, and cost
# nothing.
_VEILED = re.compile(
    rf"%(?:[0-9A-Fa-f]{{2}}|u)|{_REFERENCE}|\\u|[ª²³¹º¼-¾\u0100-\u0151\u0154-\u1fff\u2040-\u20ab\u20ad-\U0010ffff]"
)
_STANDING_FOR = re.compile(
    rb"\xc5(?![\x92\x93])|[\xc4\xc6-\xe1\xe3-\xff]|\xc2[\xaa\xb2\xb3\xb9\xba\xbc-\xbe]|\xe2(?!\x80|\x82\xac)"
)
_LATIN_STANDING_FOR = "ª²³¹º¼½¾"
_ASCII = bytes(range(128))
_LAYERS = 4  # of one way of writing inside another, as in 0001%2526nbsp%253B2345
_LONGEST = 6  # characters that one may stand for, as ㎯ does for rad∕s2
_PERCENT = re.compile("%[0-9A-Fa-f]{2}(?:%[89ABab][0-9A-Fa-f]){0,3}")  # one character: after the first, bytes 80 to BF
_ESCAPE = re.compile(r"[%\\]u[0-9A-Fa-f]{4}")
Step = Callable[[str, "array[int]"], tuple[str, "array[int]"]]  # from one reading of a text to the next
# the same in encoded JSON
_VEILED_ENCODED = (
    Sought(b"%", b"0123456789ABCDEFabcdefu", rb"%(?:[0-9A-Fa-f]{2}|u)"),
    Sought(b"&", b"#" + ascii_letters.encode(), _REFERENCE.encode()),
    # JSON's own escape of a control character hides nothing; one written in the text itself (`\\u0009`) does
    Sought(b"\\", b"\\u", rb"\\(?:\\u|u(?!00[01]))"),
)


def holds(text: str) -> bool:
    """Whether characters may be written as something else in it."""
    return _VEILED.search(text) is not None


def places(body: bytes) -> list[int]:
    """Where in an encoded JSON document characters may be written as something else. Mostly nowhere."""
    found: list[int] = []
    for form in _VEILED_ENCODED:
        found += form.places(body)
    if not body.isascii() and _stands_for_ascii(body):
        found += [each.start() for each in _STANDING_FOR.finditer(body)]
    return found


def may_be_in(text: bytes) -> bool:
    """The same of plain texts in UTF-8."""
    if any(form.places(text) for form in _VEILED_ENCODED[:2]) or b"\\u" in text:
        return True
    return not text.isascii() and _stands_for_ascii(text)


def _stands_for_ascii(body: bytes) -> bool:
    """Whether any character stands for a letter or digit of ASCII. Most texts are Latin-1, which is quickly seen."""
    try:
        text = body.decode()
        text.encode("latin-1")
    except UnicodeError:
        # with ASCII taken out, the bytes of one character still stand together, and there are few of them
        return _STANDING_FOR.search(body.translate(None, _ASCII)) is not None
    return body.find(b"\xc2") >= 0 and any(each in text for each in _LATIN_STANDING_FOR)  # they all begin so


def readings(text: str) -> Iterator[tuple[str, "array[int]"]]:
    """The text as a reader may see it, whatever its characters were written as, also one way inside another.

    Each reading comes with where in the text each of its characters begins, and last where the text ends. What comes
    out of one step is searched before the next, which may take the digits of a number for its own (%0001&nbsp;2345).
    """
    starts = array("I", range(len(text) + 1))
    idle = 0
    for step in _STEPS:
        if idle >= len(_ROUND) and step is not _ESCAPES:  # a whole round has changed nothing, so none will
            continue
        before = text
        text, starts = step(text, starts)
        idle += 1
        if text != before:
            idle = 0
            yield text, starts


def _characters(text: str, starts: "array[int]") -> tuple[str, "array[int]"]:
    if text.isascii():
        return text, starts
    pieces = list(map(_read_character, text))
    read = "".join(pieces)
    if len(read) == len(text):
        return read, starts
    longer = array("I", (start for start, piece in zip(starts[:-1], pieces, strict=True) for _ in piece))
    return read, longer + starts[-1:]


def _written(form: re.Pattern[str], read: Callable[[str], str]) -> Step:
    """The step that reads what stands in this form."""

    def step(text: str, starts: "array[int]") -> tuple[str, "array[int]"]:
        pieces: list[str] = []
        left = array("I")
        done = 0
        for found in form.finditer(text):
            begin, end = found.span()
            plain = read(found[0])
            pieces += text[done:begin], plain
            left += starts[done:begin] + starts[begin : begin + 1] * len(plain)
            done = end
        return ("".join([*pieces, text[done:]]), left + starts[done:]) if done else (text, starts)

    return step


def _read_reference(written: str) -> str:
    if written[1] != "#":
        return _named(written[1:])
    if written[2] in "xX":
        return _numbered("x", written[3:].rstrip(";").lstrip("0"))
    return _numbered("", written[2:].rstrip(";").lstrip("0"))


@lru_cache(maxsize=4096)
def _named(name: str) -> str:
    """As HTML reads it: some names need no end, whatever stands behind. An unknown one stays, without its `&`."""
    ends = (end for end in (len(name), *_OPEN_LENGTHS) if name[:end] in html5)
    end = next(ends, 0)
    return html5.get(name[:end], " ") + name[end:]


def _numbered(base: str, number: str) -> str:
    """No character has a longer number, and Python refuses to read very long ones."""
    return _unescape(f"&#{base}{number or '0'};") if len(number) <= 7 else "\ufffd"


@lru_cache(maxsize=4096)
def _read_percent(written: str) -> str:
    return bytes.fromhex(written.replace("%", "")).decode(errors="replace")


@lru_cache(maxsize=4096)
def _read_escape(written: str) -> str:
    return chr(int(written[2:], 16))


@lru_cache(maxsize=4096)
def _read_character(character: str) -> str:
    """The letters, digits and marks of ASCII that this one stands for; it itself where it stands for none.

    By single characters: normalising a text takes time by the square of a run of marks, and may grow eighteenfold.
    """
    read = normalize("NFKC", character)
    if read == character and not character.isdigit():
        return character
    read = "".join(str(digit(each, each)) for each in read)
    return read if len(read) <= _LONGEST and not read.isspace() else character


_unescape = lru_cache(maxsize=4096)(unescape)
_ESCAPES = _written(_ESCAPE, _read_escape)
_ROUND: tuple[Step, ...] = (
    _written(re.compile(_REFERENCE), _read_reference),
    _written(_PERCENT, _read_percent),
    _characters,
)
_STEPS = (*_ROUND * _LAYERS, _ESCAPES, *_ROUND)  # escapes late: a backslash before a number may look like one


def span(starts: "array[int]", first: int, end: int) -> tuple[int, int]:
    """Where a part of a reading stands in the text: whole characters of the text, whatever they are read as."""
    while end < len(starts) - 1 and starts[end] == starts[end - 1]:
        end += 1
    return starts[first], starts[end]
