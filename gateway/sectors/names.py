"""The two names of an account: the organisation's own, and the pairwise one an app sees.

Both directions are plain lookups. Where the organisation builds other identifiers around its account number
("part-d-12345678"), the number inside them is exchanged too, and exchanged back on the way in.

The number may also stand in any text that leaves, and in several spellings ("FR76 3000 …", "fr76-3000…"). So a whole
answer is searched for it, letter case and whatever stands between its characters left aside.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec.json import decode, encode

from gateway.sectors.model import WITHHELD, Account

TELLING = 5  # characters from which an identifier inside another is taken to name the person
SPACED = 8  # letters and digits from which an identifier is also looked for with other characters between them
NO_MEMBERS: Mapping[bytes, re.Pattern[str]] = {}
_BETWEEN = "[^0-9A-Za-z]{0,8}"
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_ESCAPE = re.compile(rb"\\(?:u[0-9a-f]{4}|.)")
# of a format: no part of it is an identifier, though its digits may be those of one
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:T[0-9:.]{5,24}(?:Z|[+-][0-9:]{4,6})?)?)?")
_UPPER = bytes(range(256)).upper()
_BETWEEN_BYTES = bytes(code for code in range(256) if code != ord('"') and not (code < 128 and chr(code).isalnum()))


class Names:
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
        self._exact = [encode(name)[1:-1] for name, _ in self._long]
        self._flat = [_plain(name).encode() for name, _ in self._long if len(_plain(name)) >= TELLING]
        self._shortest = min((len(_plain(name)) for name, _ in self._long), default=0)
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

    def within(self, body: bytes) -> bool:
        """Whether the organisation's own name of an account may stand in an encoded JSON document."""
        for name in self._exact:  # any(…) takes twice as long, and this runs for every answer
            if name in body:
                return True
        if not self._flat:
            return False
        flat = _flat(_ESCAPE.sub(b" ", body) if b"\\" in body else body)
        for name in self._flat:
            if name in flat:
                return True
        return False

    def outward_bytes(self, body: bytes, formal: Mapping[bytes, re.Pattern[str]] = NO_MEMBERS) -> bytes:
        """A whole encoded JSON document as the app may see it, changed inside strings only: a number is no identifier.

        `formal`: members, as `"name":`, whose values stay when they are of this form. Moments stay everywhere.
        """
        if not self.within(body):
            return body
        pieces: list[bytes] = []
        at = 0
        for found in _STRING.finditer(body):
            start, end = found.span()
            if end - start > self._shortest:
                text: str = decode(found[0])
                shown = self._spelt.sub(self._ref_of, text)
                if shown != text and not _is_formal(body, start, end, text, formal):
                    pieces += body[at:start], encode(shown)
                    at = end
        return b"".join([*pieces, body[at:]])

    def _ref_of(self, found: re.Match[str]) -> str:
        return self._long[(found.lastindex or 1) - 1][1]


def _is_formal(body: bytes, start: int, end: int, text: str, formal: Mapping[bytes, re.Pattern[str]]) -> bool:
    """Whether a string of the document is a moment, or the value of such a member in its form."""
    if body.startswith(b":", end):
        return False
    form = next((form for member, form in formal.items() if body.endswith(member, 0, start)), _MOMENT)
    return form.fullmatch(text) is not None


def _flat(text: bytes) -> bytes:
    """Letters in upper case and digits alone, and the quotes that keep one string from another."""
    return text.translate(_UPPER, _BETWEEN_BYTES)


def _plain(name: str) -> str:
    return _flat(name.encode()).decode()


def _spellings(name: str) -> str:
    plain = _plain(name)
    return re.escape(name) if len(plain) < SPACED else _BETWEEN.join(plain)
