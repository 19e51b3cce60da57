"""How often each sharing was used, counted while entries are written, so that a page need not open them all.

A tally counts the accesses among the entries of one person that follow one another, at most `BLOCK` of them. The one
under way stands in the row of her chain, which is written with every entry anyway; a full one becomes a row of its own
(`tables.LogTally`). Both are sealed under her own key: the database does not learn from them who read what, and
they are lost with her entries when that key is destroyed.

The entries stay the truth. A tally says how many of them it covers. What none covers, what cannot be opened, and the
block through which the beginning of a window runs are counted entry by entry (`reading.accesses`).

Why here and not in a table of counts per hour: such a table costs the data plane a statement and a page of the
database per call, tells everybody who sees the database when each app reads, and cannot be cut at an instant.
Counting later, when somebody looks or at night, means opening every entry, which costs more than all of this.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BLOCK = 128  # entries: a page opens about half a block, and 1/128 of the accesses that it counts
WINDOW = timedelta(days=30)  # what pages tell: accesses in the last 30 days
KEPT_DAYS = 33  # no window reaches further back, with a day for clocks that were set
COUNTED = "access"  # the kind of entry

_KIND = b"tally"  # never to be taken for an entry, which is sealed under another word (record.py)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, str, str, dict[str, int]]).decode


class Tally:
    """Accesses per consent among the last `size` entries. `first` and `last`: the earliest and the latest time of all
    these entries, as they tell it (RFC 3339 in UTC, milliseconds: in order as texts)."""

    __slots__ = ("counts", "first", "last", "size")

    def __init__(self, size: int = 0, first: str = "", last: str = "", counts: dict[str, int] | None = None) -> None:
        self.size = size
        self.first = first
        self.last = last
        self.counts: dict[str, int] = {} if counts is None else counts

    def add(self, kind: str, facts: Mapping[str, object], at: str) -> None:
        if not self.size or at < self.first:
            self.first = at
        if at > self.last:
            self.last = at
        self.size += 1
        if kind == COUNTED:
            consent = str(facts.get("consent", ""))
            self.counts[consent] = self.counts.get(consent, 0) + 1

    def sealed(self, cipher: AESGCM, nonce: bytes, seq: int) -> bytes:
        """`cipher`: the person's; `seq`: of the last entry it covers."""
        return nonce + cipher.encrypt(nonce, _encode((seq, self.size, self.first, self.last, self.counts)), _KIND)


def opened(cipher: AESGCM, sealed: bytes, seq: int) -> Tally | None:
    """None: it is not hers, or does not end with this entry."""
    try:
        plain = cipher.decrypt(sealed[:12], sealed[12:], _KIND)
    except (InvalidTag, ValueError):  # ValueError: too short to be one
        return None
    ends, size, first, last, counts = _decode(plain)
    return Tally(size, first, last, counts) if ends == seq else None


def begun(cipher: AESGCM, sealed: bytes | None, seq: int) -> Tally:
    """The tally to go on with after entry `seq`: a new one at the beginning of a block, or where none is known."""
    found = opened(cipher, sealed, seq) if sealed else None
    return Tally() if found is None else found
