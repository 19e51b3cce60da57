"""The two names of an account: the organisation's own, and the pairwise one an app sees.

Both directions are plain lookups. Where the organisation builds other identifiers around its account number
("part-d-12345678"), the number inside them is exchanged too, and exchanged back on the way in.

The number may also stand in any text that leaves, and in several spellings ("FR76 3000 …", "fr76-3000…"). So a whole
answer is searched for it, letter case and whatever stands between its characters left aside. A text in which
characters are written as something else (0001&nbsp;2345, 0001%202345, 0001\\u00202345, １２３４) is searched again as a
reader sees it, and only the part that names the account is changed. What has other letters of ASCII or digits between
is another number; a letter outside ASCII (5566é7788) is taken for a mark between. Whatever else needs a program to be
read (quoted-printable, Base64, a number backwards) is not looked into.

A body is whatever the organisation sent, so every search here takes time in proportion to its length: no run of
characters is read again from each of its places.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from html import unescape
from html.entities import html5
from string import ascii_letters
from unicodedata import digit, normalize

from msgspec.json import decode, encode

from gateway.sectors.model import WITHHELD, Account

TELLING = 5  # characters from which an identifier inside another is taken to name the person
SPACED = 8  # letters and digits from which an identifier is also looked for with other characters between them
NO_MEMBERS: Mapping[bytes, re.Pattern[str]] = {}
_BETWEEN = "[^0-9A-Za-z]*"
_BETWEEN_ENCODED = b'[^0-9A-Za-z"]*'  # the same in JSON: UTF-8, with blanks in place of escapes
_TAIL = 4  # characters that are enough to look for the end of an identifier
_RARE = "9876453201zqxjkwyvbfghpmldcusonriate"  # as they are seldom met in data full of dates, amounts and plain words
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_ESCAPE_OF_SIX = re.compile(rb"\\u[0-9a-fA-F]{4}")
_ESCAPE_OF_TWO = re.compile(rb"\\[^u]")
# of a format: no part of it is an identifier, though its digits may be those of one
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{5,24}(?:Z|[+-][0-9:]{4,6})?)?)?")
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
_NOT_PLAIN = re.compile("[^0-9A-Za-z]")
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_MARKS = set(range(256)) - set(b"0123456789") - set(ascii_letters.encode())


class _Sought:
    """A form looked for in encoded JSON, by its first byte and the one after it.

    Looking for one byte costs a fraction of a search by regular expression, which looks at each.
    """

    def __init__(self, begins: Iterable[int], goes_on: Iterable[int], form: bytes) -> None:
        """`begins`, `goes_on`: what the first byte and the second may be. `form`: all of it, at least two bytes."""
        self._begins = sorted(begins)
        self._goes_on = bytes(byte in goes_on for byte in range(256))
        self._form = re.compile(form)

    def places(self, body: bytes) -> list[int]:
        """Each place of it; those of one first byte after those of another."""
        found: list[int] = []
        goes_on, form, last = self._goes_on, self._form, len(body) - 1
        for begin in self._begins:
            place = body.find(begin, 0, last)
            while place >= 0:
                if goes_on[body[place + 1]] and form.match(body, place) is not None:
                    found.append(place)
                place = body.find(begin, place + 1, last)
        return found


# the same in encoded JSON
_VEILED_ENCODED = (
    _Sought(b"%", b"0123456789ABCDEFabcdefu", rb"%(?:[0-9A-Fa-f]{2}|u)"),
    _Sought(b"&", b"#" + ascii_letters.encode(), _REFERENCE.encode()),
    _Sought(b"\\", b"u", rb"\\u(?!00[01])"),
)


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
        self._shown = [shown for _, shown in self._long]
        self._withheld = [WITHHELD if name not in self.ref else "" for name, _ in self._long]
        self._digits = [name.encode().translate(None, _NOT_DIGITS) for name, _ in self._long]
        self._ends = [_end(name) for name, _ in self._long]
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

        Where one is written in characters that stand for others, that part of the text is changed and no other.
        """
        return self._exchanged(text, self._shown)

    def _exchanged(self, text: str, shown: list[str]) -> str:
        """The text with what is shown in place of each name; "": that name stays."""

        def in_place_of(found: re.Match[str]) -> str:
            return shown[_which(found)] or found[0]

        text = self._spelt.sub(in_place_of, text)
        return text if _VEILED.search(text) is None else self._exchanged_veiled(text, shown)

    def _exchanged_veiled(self, text: str, shown: list[str]) -> str:
        parts = sorted(
            (*_span(starts, *found.span()), instead)
            for plain, starts in _readings(text)
            for found in self._spelt.finditer(plain)
            if (instead := shown[_which(found)])
        )
        pieces: list[str] = []
        done = 0
        for start, end, instead in parts:
            if start >= done:
                pieces += text[done:start], instead
            done = max(done, end)
        return "".join([*pieces, text[done:]])

    def outward_bytes(
        self, body: bytes, formal: Mapping[bytes, re.Pattern[str]] = NO_MEMBERS, numbers: tuple[bytes, ...] = ()
    ) -> bytes:
        """A whole encoded JSON document as the app may see it, changed inside strings only: a number is no identifier.

        `formal`: members, as `"name":`, whose values stay when they are of this form. Moments stay everywhere.
        `numbers`: members in whose values the accounts' own names stay, and those of `others` do not.
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
            own_stay = body.endswith(numbers, 0, start)
            shown = self._exchanged(text, self._withheld if own_stay else self._shown)
            if shown != text and not _is_formal(body, start, outside, text, formal):
                pieces += body[done:start], encode(shown)
                done = outside
        return b"".join([*pieces, body[done:]])

    def _places(self, body: bytes) -> list[int]:
        """Where in an encoded JSON document the name of an account may stand, in order. Mostly nowhere.

        This runs for every answer. For several names it is cheaper to take the digits out of the text once, and to look
        for theirs.
        """
        ends = self._ends
        places = _veiled(body) if ends else []
        if b"\\" in body:
            body = _blanked(body)
        if len(ends) > 1:
            digits = body.translate(None, _NOT_DIGITS)
            ends = [end for end, own in zip(ends, self._digits, strict=True) if own in digits]
        for end in ends:
            places += end.places(body)
        places.sort()
        return places


def _veiled(body: bytes) -> list[int]:
    """Where in an encoded JSON document characters may be written as something else. Mostly nowhere."""
    found: list[int] = []
    for form in _VEILED_ENCODED:
        found += form.places(body)
    if not body.isascii() and _stands_for_ascii(body):
        found += [each.start() for each in _STANDING_FOR.finditer(body)]
    return found


def _stands_for_ascii(body: bytes) -> bool:
    """Whether any character stands for a letter or digit of ASCII. Most texts are Latin-1, which is quickly seen."""
    try:
        text = body.decode()
        text.encode("latin-1")
    except UnicodeError:
        # with ASCII taken out, the bytes of one character still stand together, and there are few of them
        return _STANDING_FOR.search(body.translate(None, _ASCII)) is not None
    return body.find(b"\xc2") >= 0 and any(each in text for each in _LATIN_STANDING_FOR)  # they all begin so


def _blanked(body: bytes) -> bytes:
    """Encoded JSON with blanks in place of every escape: it then has no digit or letter that is none of a text.

    Escaped backslashes first: no escape begins with them.
    """
    return _ESCAPE_OF_TWO.sub(b"  ", _ESCAPE_OF_SIX.sub(b" " * 6, body.replace(rb"\\", b"  ")))


def _which(found: re.Match[str]) -> int:
    return (found.lastindex or 1) - 1


def _readings(text: str) -> Iterator[tuple[str, "array[int]"]]:
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


def _span(starts: "array[int]", first: int, end: int) -> tuple[int, int]:
    """Where a part of a reading stands in the text: whole characters of the text, whatever they are read as."""
    while end < len(starts) - 1 and starts[end] == starts[end - 1]:
        end += 1
    return starts[first], starts[end]


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


def _end(name: str) -> _Sought:
    """The end of a name as it may stand in encoded JSON, from the least frequent of its characters on.

    A text without it has no spelling of the name.
    """
    plain = _plain(name)
    spaced = len(plain) >= SPACED
    text = plain if spaced else name
    begin = min(range(len(text) - _TAIL + 1), key=lambda at: _RARE.find(text[at].lower()) % (len(_RARE) + 1))
    cases = [_cases(each) for each in text[begin:]]
    form = (_BETWEEN_ENCODED if spaced else b"").join(b"(?:%b)" % b"|".join(map(re.escape, each)) for each in cases)
    first, second = ({each[0] for each in spelt} for spelt in cases[:2])
    return _Sought(first, second | _MARKS, form)


def _cases(character: str) -> set[bytes]:
    """The character in encoded JSON, as a capital and as a small letter. Of several bytes none is of ASCII."""
    cases = {character, character.upper(), character.lower()}
    return {_blanked(encode(each)[1:-1]) for each in cases if len(each) == 1}
