"""The two names of an account: the organisation's own, and the pairwise one an app sees.

Both directions are plain lookups. Where the organisation builds other identifiers around its account number
("part-d-12345678"), the number inside them is exchanged too, and exchanged back on the way in.
"""

from collections.abc import Iterable

from msgspec.json import encode

from gateway.sectors.model import Account

TELLING = 5  # characters from which an identifier inside another is taken to name the person


class Names:
    """Accounts one call may speak of."""

    def __init__(self, accounts: Iterable[Account], *, spell: dict[int, str] | None = None) -> None:
        """`spell` rewrites characters of a ref that the format's identifiers do not allow."""
        self.accounts = tuple(accounts)
        self.ref = {a.native: a.ref.translate(spell or {}) for a in self.accounts}
        self.native = {ref: native for native, ref in self.ref.items()} | {a.ref: a.native for a in self.accounts}
        self._long = sorted((pair for pair in self.ref.items() if len(pair[0]) >= TELLING), key=lambda p: -len(p[0]))
        self._bytes = [(encode(native)[1:-1], encode(ref)[1:-1]) for native, ref in self._long]

    def outward(self, text: str) -> str:
        """An identifier or address as the app may see it."""
        if text in self.ref:
            return self.ref[text]
        for native, ref in self._long:
            if native in text:
                text = text.replace(native, ref)
        return text

    def within(self, body: bytes) -> bool:
        """Whether the organisation's own name of an account stands anywhere in a text."""
        for name, _ in self._bytes:  # any(…) takes twice as long, and this runs for every answer
            if name in body:
                return True
        return False

    def inward(self, text: str) -> str:
        """The same as the organisation knows it."""
        if text in self.native:
            return self.native[text]
        for native, ref in self._long:
            if ref in text:
                text = text.replace(ref, native)
        return text

    def outward_bytes(self, body: bytes) -> bytes:
        """The same over a whole encoded JSON document, inside strings only: a number is not an identifier."""
        for name, ref in self._bytes:
            if name in body:
                body = _inside_strings(body, name, ref)
        return body


def _inside_strings(body: bytes, name: bytes, ref: bytes) -> bytes:
    pieces = body.split(name)
    joined = [pieces[0]]
    quoted = False
    for before, after in zip(pieces, pieces[1:], strict=False):
        quoted ^= _unescaped_quotes(before) % 2 == 1
        joined += (ref if quoted else name, after)
    return b"".join(joined)


def _unescaped_quotes(piece: bytes) -> int:
    if b"\\" in piece:
        piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
    return piece.count(b'"')
