"""The Merkle tree of RFC 6962 §2.1: hashes in, hashes out. Pure; knows no files and no entries.

A *compact range* is the list of roots of the perfect subtrees that make up a tree of some size,
largest first: 64 hashes are enough to go on from any tree. Checking follows RFC 9162 §2.1.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

HASH = 32  # bytes
EMPTY_ROOT = hashlib.sha256(b"").digest()


class BadProof(Exception):
    """The proof does not lead from what was given to what was claimed."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Range:
    """A tree of `size` leaves as its compact range. `append` is all a log needs to grow."""

    __slots__ = ("roots", "size")

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        self.size = size
        self.roots = list(roots)
        if size < 0 or len(self.roots) != size.bit_count() or any(len(root) != HASH for root in self.roots):
            raise ValueError("not the compact range of a tree of this size")

    @classmethod
    def from_bytes(cls, size: int, frontier: bytes) -> "Range":
        """Raises ValueError when `frontier` cannot belong to `size`."""
        if len(frontier) % HASH:
            raise ValueError("a compact range is a whole number of hashes")
        return cls(size, (frontier[at : at + HASH] for at in range(0, len(frontier), HASH)))

    def __bytes__(self) -> bytes:
        return b"".join(self.roots)

    def copy(self) -> "Range":
        return Range(self.size, self.roots)

    def append(self, leaf: bytes) -> None:
        """Add one leaf *hash*: merge as often as the old size ends in one-bits."""
        size, roots = self.size, self.roots
        while size & 1:
            leaf = hashlib.sha256(b"\x01" + roots.pop() + leaf).digest()
            size >>= 1
        roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return EMPTY_ROOT
        result = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            result = node_hash(left, result)
        return result


def root(leaves: Iterable[bytes]) -> bytes:
    """MTH over leaf hashes."""
    whole = Range()
    for leaf in leaves:
        whole.append(leaf)
    return whole.root()


def inclusion_proof(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(index, D): the leaf's sibling first, the child of the root last."""
    if not 0 <= index < len(leaves):
        raise ValueError("no such leaf")
    path: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        split = start + _largest_power_below(end - start)
        if index < split:
            path.append(root(leaves[split:end]))
            end = split
        else:
            path.append(root(leaves[start:split]))
            start = split
    return path[::-1]


def consistency_proof(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(old, D): that the first `old` leaves are a prefix. Empty for equal sizes and for `old` 0."""
    if not 0 <= old <= len(leaves):
        raise ValueError("the older tree is the smaller one")
    return list(_sub(old, leaves, True)) if old else []


def _sub(old: int, leaves: Sequence[bytes], whole: bool) -> Iterator[bytes]:
    size = len(leaves)
    if old == size:
        if not whole:
            yield root(leaves)
        return
    split = _largest_power_below(size)
    if old <= split:
        yield from _sub(old, leaves[:split], whole)
        yield root(leaves[split:])
    else:
        yield from _sub(old - split, leaves[split:], False)
        yield root(leaves[:split])


def _largest_power_below(size: int) -> int:
    """The largest power of two smaller than `size` (≥ 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that `proof` implies, to be compared with a checkpoint's. Raises BadProof (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size or len(leaf) != HASH or any(len(part) != HASH for part in proof):
        raise BadProof("not of the form of an inclusion proof")
    first, last, result = index, size - 1, leaf
    for part in proof:
        if last == 0:
            raise BadProof("too long")
        if first & 1 or first == last:
            result = node_hash(part, result)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            result = node_hash(result, part)
        first, last = first >> 1, last >> 1
    if last:
        raise BadProof("too short")
    return result


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected: bytes) -> None:
    if root_from_inclusion(index, size, leaf, proof) != expected:
        raise BadProof("another root")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises BadProof unless the tree of `old` leaves is a prefix of the other (RFC 9162 §2.1.4.2).

    From size 0 only the empty proof is right, as witnesses have it; who wants a proof from a real
    tree asks for `old` ≥ 1.
    """
    if not 0 <= old <= new:
        raise BadProof("the older tree is the smaller one")
    if old == new:
        if proof or old_root != new_root:
            raise BadProof("one size, one root, no proof")
        return
    if old == 0:
        if proof or old_root != EMPTY_ROOT:
            raise BadProof("from nothing to anything needs no proof")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path or any(len(part) != HASH for part in path):
        raise BadProof("too short, or not hashes")
    _climb(old - 1, new - 1, path, old_root, new_root)


def _climb(first: int, last: int, path: list[bytes], old_root: bytes, new_root: bytes) -> None:
    while first & 1:
        first, last = first >> 1, last >> 1
    from_old = from_new = path[0]
    for part in path[1:]:
        if last == 0:
            raise BadProof("too long")
        if first & 1 or first == last:
            from_old, from_new = node_hash(part, from_old), node_hash(part, from_new)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            from_new = node_hash(from_new, part)
        first, last = first >> 1, last >> 1
    if last or from_old != old_root or from_new != new_root:
        raise BadProof("another root")
