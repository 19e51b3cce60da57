"""The two names of an account: the organisation's own, and the pairwise one an app sees.

Both directions are plain lookups. Where the organisation builds other identifiers around its account number
("part-d-12345678"), the number inside them is exchanged too, and exchanged back on the way in.

The number may also stand in any text that leaves, and in several spellings ("FR76 3000 …", "fr76-3000…"). So a whole
answer is searched for it, letter case and whatever stands between its characters left aside. A text in which
characters are written as something else (0001&nbsp;2345, 0001%202345, １２３４) is searched once more as a reader
sees it. What has other letters or digits between is another number.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from unicodedata import decimal, normalize
from urllib.parse import unquote

from msgspec.json import decode, encode

from gateway.sectors.model import WITHHELD, Account

TELLING = 5  # characters from which an identifier inside another is taken to name the person
SPACED = 8  # letters and digits from which an identifier is also looked for with other characters between them
NO_MEMBERS: Mapping[bytes, re.Pattern[str]] = {}
_BETWEEN = "[^0-9A-Za-z]*"
_BETWEEN_ENCODED = rb'(?:[^0-9A-Za-z"\\]|\\(?:u[0-9a-fA-F]{4}|.))*'  # the same in JSON: UTF-8 and escapes
_RARE = "9876453201"  # digits as they are seldom met in data full of dates and amounts
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_WITH_DIGITS = re.compile(rb"\\(?:\\|u[0-9a-fA-F]{4})")  # an escaped backslash first: no escape begins with it
# of a format: no part of it is an identifier, though its digits may be those of one
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{5,24}(?:Z|[+-][0-9:]{4,6})?)?)?")
# Where characters may be written as something else: percent-encoding, a character reference, or a character that stands
# for a letter or digit of ASCII (NFKC). The usual letters and marks of Western texts do not, and cost nothing.
_VEILED = re.compile("%[0-9A-Fa-f]{2}|&(?:#|[A-Za-z]{2})|[ª²³¹º¼-¾\u0100-\u1fff\u2040-\u20ab\u20ad-\U0010ffff]")
# The same in encoded JSON, by the byte that each begins with; a search for one certain byte is the cheapest.
_VEILED_ENCODED = tuple(
    (text[-1:], re.compile(text + rest))
    for text, rest in ((b"%", b"[0-9A-Fa-f]{2}"), (b"&", b"(?:#|[A-Za-z]{2})"), (rb"\\", b"u(?!00[01])"))
)
_STANDING_FOR = re.compile(rb"[\xc4-\xe1\xe3-\xff]|\xc2[\xaa\xb2\xb3\xb9\xba\xbc-\xbe]|\xe2(?!\x80|\x82\xac)")
_LATIN_STANDING_FOR = "ª²³¹º¼½¾"
_ASCII = bytes(range(128))
_LAYERS = 4  # of one way of writing inside another, as in 0001%2526nbsp%253B2345
_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # and no character of XML
_NOT_PLAIN = re.compile("[^0-9A-Za-z]")
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))


class AccountNames:
    """Accounts one call may speak of."""

    def __init__(
        self, accounts: Iterable[Account], *, others: Iterable[str] = (), spell: dict[int, str] | None = None
    ) -> None:
        """`others`: the organisation's names of the person's accounts that this app may not see.

        `spell` rewrites characters of a ref that the format's identifiers do not allow.
        """
        self.accounts = tuple(accounts)
        self.ref = {a.native: a.ref.translate(spell or {}) for a in self.accounts}
        self.native = {ref: native for native, ref in self.ref.items()} | {a.ref: a.native for a in self.accounts}
        self._outer = {name: WITHHELD for name in others} | self.ref
        self._long = sorted((pair for pair in self._outer.items() if len(pair[0]) >= TELLING), key=lambda p: -len(p[0]))
        self._digits = [name.encode().translate(None, _NOT_DIGITS) for name, _ in self._long]
        self._ends = [re.compile(_end(name)) for name, _ in self._long]
        self._spelt = re.compile("|".join(f"({_spellings(name)})" for name, _ in self._long) or "(?!)", re.IGNORECASE)

    def outward(self, text: str) -> str:
        """An identifier or address as the app may see it."""
        if text in self._outer:
            return self._outer[text]
        for native, ref in self._long:
            if native in text:
                text = text.replace(native, ref)
        return text

    def inward(self, text: str) -> str:
        """The same as the organisation knows it."""
        if text in self.native:
            return self.native[text]
        for native, _ in self._long:
            ref = self.ref.get(native)
            if ref is not None and ref in text:
                text = text.replace(ref, native)
        return text

    def outward_text(self, text: str) -> str:
        """Any text as the app may see it: no spelling of an account's name is left in it.

        A text that names one in characters written as something else leaves as a reader sees it.
        """
        shown = self._spelt.sub(self._ref_of, text)
        if _VEILED.search(shown) is None:
            return shown
        plain = _unveiled(shown)
        again = self._spelt.sub(self._ref_of, plain)
        return shown if again == plain else again

    def outward_bytes(self, body: bytes, formal: Mapping[bytes, re.Pattern[str]] = NO_MEMBERS) -> bytes:
        """A whole encoded JSON document as the app may see it, changed inside strings only: a number is no identifier.

        `formal`: members, as `"name":`, whose values stay when they are of this form. Moments stay everywhere.
        """
        places = self._places(body)
        if not places:
            return body
        pieces: list[bytes] = []
        done = outside = 0  # up to where `body` is in the pieces, and a place in it that is in no string
        for place in places:
            if place < outside:
                continue
            string = _string_around(body, outside, place)
            if string is None:
                outside = place
                continue
            start, outside = string
            text: str = decode(body[start:outside])
            shown = self.outward_text(text)
            if shown != text and not _is_formal(body, start, outside, text, formal):
                pieces += body[done:start], encode(shown)
                done = outside
        return b"".join([*pieces, body[done:]])

    def _places(self, body: bytes) -> list[int]:
        """Where in an encoded JSON document the name of an account may stand, in order. Mostly nowhere.

        This runs for every answer. A search that begins with one certain character is the cheapest look at a text; for
        several names it is cheaper to take the digits out of the text once, and to look for theirs.
        """
        ends = self._ends
        places = _veiled(body) if ends else []
        if len(ends) > 1:
            digits = (_WITH_DIGITS.sub(b"", body) if b"\\u" in body else body).translate(None, _NOT_DIGITS)
            ends = [end for end, own in zip(ends, self._digits, strict=True) if own in digits]
        for end in ends:
            found = end.search(body)
            while found is not None:
                places.append(found.start())
                found = end.search(body, found.end())
        places.sort()
        return places

    def _ref_of(self, found: re.Match[str]) -> str:
        return self._long[(found.lastindex or 1) - 1][1]


def _veiled(body: bytes) -> list[int]:
    """Where in an encoded JSON document characters may be written as something else. Mostly nowhere."""
    found = [place for begin, form in _VEILED_ENCODED for place in _each(body, begin, form)]
    if not body.isascii() and _stands_for_ascii(body):
        found += [each.start() for each in _STANDING_FOR.finditer(body)]
    return found


def _each(body: bytes, begin: bytes, form: re.Pattern[bytes]) -> Iterator[int]:
    """Every place of `form`, which begins with this one byte: looking for a byte costs a fraction of a search."""
    place = body.find(begin)
    while place >= 0:
        if form.match(body, place):
            yield place
        place = body.find(begin, place + 1)


def _stands_for_ascii(body: bytes) -> bool:
    """Whether any character stands for a letter or digit of ASCII. Most texts are Latin-1, which is quickly seen."""
    try:
        text = body.decode()
        text.encode("latin-1")
    except UnicodeError:
        # with ASCII taken out, the bytes of one character still stand together, and there are few of them
        return _STANDING_FOR.search(body.translate(None, _ASCII)) is not None
    return any(each in text for each in _LATIN_STANDING_FOR)


def _unveiled(text: str) -> str:
    """The text as a reader sees it, whatever its characters were written as, also one way inside another."""
    for _ in range(_LAYERS):
        plain = normalize("NFKC", unquote(unescape(text)))
        if plain == text:
            break
        text = plain
    return _UNREADABLE.sub(" ", "".join(str(decimal(each)) if each.isdecimal() else each for each in text))


def _string_around(body: bytes, outside: int, place: int) -> tuple[int, int] | None:
    """Start and end of the JSON string in which `place` lies; None: in none. `outside`: before it, in no string."""
    before = body[outside:place]
    if b"\\" in before:
        before = before.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    if before.count(b'"') % 2 == 0:
        return None
    start = outside + before.rfind(b'"')
    found = _STRING.match(body, start)
    assert found is not None, "JSON of our own making"
    return start, found.end()


def _is_formal(body: bytes, start: int, end: int, text: str, formal: Mapping[bytes, re.Pattern[str]]) -> bool:
    """Whether a string of the document is a moment, or the value of such a member in its form."""
    if body.startswith(b":", end):
        return False
    form = next((form for member, form in formal.items() if body.endswith(member, 0, start)), _MOMENT)
    return form.fullmatch(text) is not None


def nameless(native: str) -> str:
    """What an account that has no name is called, for its owner's eyes: the end of its identifier, in no language."""
    return f"•••• {native[-4:]}"


def _plain(name: str) -> str:
    return _NOT_PLAIN.sub("", name)


def _spellings(name: str) -> str:
    plain = _plain(name)
    return re.escape(name) if len(plain) < SPACED else _BETWEEN.join(plain)


def _end(name: str) -> bytes:
    """The end of a name as it may stand in encoded JSON, from the least frequent of its digits on.

    A text without it has no spelling of the name. The look at the next character spares most tries.
    """
    plain = _plain(name)
    spaced = len(plain) >= SPACED
    text = plain if spaced else name
    begin = min(range(len(text) - TELLING + 1), key=lambda at: _RARE.find(text[at]) % (len(_RARE) + 1))
    first, *rest = map(_cases, text[begin:])
    between = _BETWEEN_ENCODED if spaced else b""
    return rb"%b(?=%b|[\W_])" % (first, rest[0]) + b"".join(between + each for each in rest)


def _cases(character: str) -> bytes:
    """The character in encoded JSON, as a capital or a small letter."""
    spelt = sorted({re.escape(encode(each)[1:-1]) for each in (character, character.upper(), character.lower())})
    return b"[%b]" % b"".join(spelt) if character.isascii() and character.isalnum() else b"(?:%b)" % b"|".join(spelt)
