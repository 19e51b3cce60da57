"""The two names of an account: the organisation's own, and the pairwise one an app sees.

Both directions are plain lookups. Where the organisation builds other identifiers around its account number
("part-d-12345678"), the number inside them is exchanged too, and exchanged back on the way in.

The number may also stand in any text that leaves, and in several spellings ("FR76 3000 …", "fr76-3000…"). So a whole
answer is searched for it, letter case and whatever stands between its characters left aside. A text in which
characters are written as something else is searched again as a reader sees it (`veiled`), and only the part that names
the account is changed. What has other letters of ASCII or digits between is another number; a letter outside ASCII
(5566é7788) is taken for a mark between.

A body is whatever the organisation sent, so every search here takes time in proportion to its length: no run of
characters is read again from each of its places.
"""

import re
from collections.abc import Iterable, Mapping
from string import ascii_letters

from msgspec.json import decode, encode

from gateway.formats import veiled
from gateway.formats.model import WITHHELD, Account
from gateway.formats.sought import Sought

TELLING = 5  # characters from which an identifier inside another is taken to name the person
SPACED = 8  # letters and digits from which an identifier is also looked for with other characters between them
NO_MEMBERS: Mapping[bytes, re.Pattern[str]] = {}
_BETWEEN = "[^0-9A-Za-z]*"
_BETWEEN_ENCODED = b'[^0-9A-Za-z"]*'  # the same in JSON: UTF-8, with blanks in place of escapes
_NUMBER_LENGTH = 64  # characters to both sides in which a number's ends are looked for
_TAIL = 4  # characters that are enough to look for the end of an identifier
_RARE = "9876453201zqxjkwyvbfghpmldcusonriate"  # as they are seldom met in data full of dates, amounts and plain words
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_ESCAPE_OF_SIX = re.compile(rb"\\u[0-9a-fA-F]{4}")
_ESCAPE_OF_TWO = re.compile(rb"\\[^u]")
# of a format: no part of it is an identifier, though its digits may be those of one
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{5,24}(?:Z|[+-][0-9:]{4,6})?)?)?")
_WRITTEN_OTHERWISE = re.compile(r'[\x00-\x1f"\\]')  # in JSON
_NOT_PLAIN = re.compile("[^0-9A-Za-z]")
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_MARKS = set(range(256)) - set(b"0123456789") - set(ascii_letters.encode())


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
        self._numbers = {n.encode(): shown for n, shown in self._long if n.isdecimal() and len(n) >= SPACED}
        self._ends = [_end(name) for name, _ in self._long]
        self._odd = any(_WRITTEN_OTHERWISE.search(name) for name, _ in self._long)
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

    def outward_number(self, text: str) -> str:
        """The same where the accounts' own numbers are given: those of `others` are not."""
        return self._exchanged(text, self._withheld)

    def _exchanged(self, text: str, shown: list[str]) -> str:
        """The text with what is shown in place of each name; "": that name stays."""

        def in_place_of(found: re.Match[str]) -> str:
            return shown[_which(found)] or found[0]

        text = self._spelt.sub(in_place_of, text)
        return text if not veiled.holds(text) else self._exchanged_veiled(text, shown)

    def _exchanged_veiled(self, text: str, shown: list[str]) -> str:
        parts = sorted(
            (*veiled.span(starts, *found.span()), instead)
            for plain, starts in veiled.readings(text)
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

    def lines(self, table: bytes) -> list[int]:
        """Which lines of a text that is no JSON may hold the name of an account, counted from 0. Mostly none."""
        if not self._ends:
            return []
        body = table.replace(b'"', b" ").replace(b"\\", b"\\\\")
        found: list[int] = []
        line = done = 0
        for place in self._places(body):
            line += body.count(b"\n", done, place)
            done = place
            if found[-1:] != [line]:
                found.append(line)
        return found

    def outward_cell(
        self, text: str, number: re.Pattern[str] | None, *, own_stay: bool = False, whole: bool = False
    ) -> str:
        """The text of one cell, as `outward_bytes` has that of one string. `number`: a cell of this form is none, or,
        with `whole`, only if it is exactly an account's."""
        shown = self._exchanged(text, self._withheld if own_stay else self._shown)
        if number is not None and number.fullmatch(text):
            return self.outward_whole(text, own_stay=own_stay) if whole else text
        return text if shown == text or _MOMENT.fullmatch(text) else shown

    def outward_whole(self, text: str, *, own_stay: bool = False) -> str:
        """A number as the app may see it: one that is exactly an account's is one, too; else a number is none."""
        if not self._numbers:
            return text
        shown = self._numbers.get(_integer(text.strip().encode()))
        return text if shown is None or (own_stay and shown != WITHHELD) else shown

    def outward_bytes(
        self,
        body: bytes,
        formal: Mapping[bytes, re.Pattern[str]] = NO_MEMBERS,
        numbers: tuple[bytes, ...] = (),
        *,
        also_numbers: bool = False,
    ) -> bytes:
        """A whole encoded JSON document as the app may see it, changed inside strings. `also_numbers`: a number that is
        exactly such a name is one, too; else a number is none.

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
                if not also_numbers:
                    continue
                start, outside = _number_around(body, place)
                number = self._numbers.get(_integer(body[start:outside]))
                if number is not None and not (number != WITHHELD and body.endswith(numbers, 0, start)):
                    pieces += body[done:start], encode(number)
                    done = outside
                continue
            start, outside = string
            text: str = decode(body[start:outside])
            own_stay = body.endswith(numbers, 0, start)
            shown = self._exchanged(text, self._withheld if own_stay else self._shown)
            if shown != text and not _is_formal(body, start, outside, text, formal):
                pieces += body[done:start], encode(shown)
                done = outside
        return b"".join([*pieces, body[done:]])

    def may_stand_in(self, text: bytes) -> bool:
        """Whether a name may stand in plain texts: UTF-8, no character of it written as an escape of JSON or XML."""
        if not self._ends:
            return False
        if self._odd or veiled.may_be_in(text):
            return True
        text = text.replace(b'"', b" ")  # in JSON it ends a text
        return any(end.places(text) for end in self._told_by_digits(text))

    def _told_by_digits(self, text: bytes) -> list[Sought]:
        """The names that may stand in a text at all. For several it is cheaper to take its digits out once, and to look
        for theirs."""
        if len(self._ends) < 2:
            return self._ends
        digits = text.translate(None, _NOT_DIGITS)
        return [end for end, own in zip(self._ends, self._digits, strict=True) if own in digits]

    def _places(self, body: bytes) -> list[int]:
        """Where in an encoded JSON document the name of an account may stand, in order. Mostly nowhere.

        This runs for every answer.
        """
        places = veiled.places(body) if self._ends else []
        if b"\\" in body:
            body = _blanked(body)
        for end in self._told_by_digits(body):
            places += end.places(body)
        places.sort()
        return places


def _blanked(body: bytes) -> bytes:
    """Encoded JSON with blanks in place of every escape: it then has no digit or letter that is none of a text.

    Escaped backslashes first: no escape begins with them.
    """
    return _ESCAPE_OF_TWO.sub(b"  ", _ESCAPE_OF_SIX.sub(b" " * 6, body.replace(rb"\\", b"  ")))


def _which(found: re.Match[str]) -> int:
    return (found.lastindex or 1) - 1


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


def _number_around(body: bytes, place: int) -> tuple[int, int]:
    """Start and end of what stands at a place outside all strings."""
    low, high = max(0, place - _NUMBER_LENGTH), place + _NUMBER_LENGTH
    start = max(low - 1, *(body.rfind(mark, low, place) for mark in (b":", b",", b"[")))
    ends = [found for mark in (b",", b"]", b"}") if (found := body.find(mark, place, high)) >= 0]
    return start + 1, min(ends, default=place)


def _integer(text: bytes) -> bytes:
    """A number without decimals that are all zero ("4711.0")."""
    whole, point, decimals = text.replace(b",", b".").partition(b".")
    return whole if point and not decimals.strip(b"0") else text


def _is_formal(body: bytes, start: int, end: int, text: str, formal: Mapping[bytes, re.Pattern[str]]) -> bool:
    """Whether a string of the document is a moment, or the value of such a member in its form."""
    if body.startswith(b":", end):
        return False
    form = next((form for member, form in formal.items() if body.endswith(member, 0, start)), _MOMENT)
    return form.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """Whether a text is a time as formats write it."""
    return _MOMENT.fullmatch(text) is not None


def nameless(native: str) -> str:
    """What an account that has no name is called, for its owner's eyes: the end of its identifier, in no language."""
    return f"•••• {native[-4:]}"


def _plain(name: str) -> str:
    return _NOT_PLAIN.sub("", name)


def _spellings(name: str) -> str:
    plain = _plain(name)
    return re.escape(name) if len(plain) < SPACED else _BETWEEN.join(plain)


def _end(name: str) -> Sought:
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
    return Sought(first, second | _MARKS, form)


def _cases(character: str) -> set[bytes]:
    """The character in encoded JSON, as a capital and as a small letter. Of several bytes none is of ASCII."""
    cases = {character, character.upper(), character.lower()}
    return {_blanked(encode(each)[1:-1]) for each in cases if len(each) == 1}
