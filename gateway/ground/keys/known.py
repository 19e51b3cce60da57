"""Tokens that are read again and again: verified once, then known by their SHA-256 until they expire.

Nothing of what a token allows is remembered, only what stands in it.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.ground.keys import jose
from gateway.ground.keys.ring import KeyRing

T = TypeVar("T")


class KnownTokens(Generic[T]):
    """`held`: how many are known at once. `verified`: (text, its digest, now in epoch seconds) → what stands in it and
    when it expires, epoch seconds; raises Malformed."""

    def __init__(self, keys: KeyRing, held: int, verified: Callable[[str, bytes, float], tuple[T, int]]) -> None:
        self._keys, self._held = keys, held
        self._verified = verified
        self._known: OrderedDict[bytes, tuple[T, int]] = OrderedDict()
        self._by = keys.signing  # the keys of those in `_known`

    def read(self, shown: bytes, now: float) -> T | None:
        """What stands in a token of ours that is unexpired at `now`; None for any other. Raises Unavailable while it is
        not known which keys have ended."""
        self._keys.require_fresh()
        signing = self._keys.signing
        if signing is not self._by:  # what a key has signed that is not there any more is worth nothing
            self._known.clear()
            self._by = signing
        digest = hashlib.sha256(shown).digest()
        found = self._known.get(digest)
        if found is None:
            try:
                found = self._verified(shown.decode("latin-1"), digest, now)
            except jose.Malformed:
                return None
            self._known[digest] = found
            if len(self._known) > self._held:
                self._known.popitem(last=False)
        if now >= found[1]:
            self._known.pop(digest, None)
            return None
        return found[0]
