"""Typed shapes for JSON answers: every member known, only granted ones kept, nothing else decoded.

A format is a table of types, each a line of `member:type` words:

    s string · b boolean · i integer · n number, its text kept · - known, never given
    Name a type of the table · Raw one JSON value, read later by a reader of its own
    a `*` after the type makes it a list

`Reader` turns the table into msgspec structs for one plan. A member the plan does not give is typed `Withheld`:
it is read, counted and forgotten. A member the table does not name is an error, so an unknown shape never leaves.
What is encoded again has each key once, whatever tricks the input played with duplicate keys.
"""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.sectors.model import LIMIT, TooLarge, UnknownShape

Table = Mapping[str, str]
Member = tuple[str, str]  # (type of the table, member)

encode = msgspec.json.Encoder().encode

_PLACE = re.compile(r"at `\$([^`]*)`")
_DIGITS = b"-0123456789"
_tally = threading.local()


class _Anything(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class Withheld(metaclass=_Anything):
    """Stands for a member the plan does not give. Decodes to UNSET, which the encoder leaves out.

    msgspec checks that a hook returns an instance of the declared type; the metaclass lets UNSET count as one.
    """


def _forget(kind: type, value: object) -> UnsetType:
    _tally.members += 1
    return UNSET


SCALARS: dict[str, Any] = {"s": str, "b": bool, "i": int, "n": Raw, "Raw": Raw, "-": Withheld}


def members(table: Table, kind: str) -> dict[str, str]:
    """The members of one type of the table, in order, with their type words."""
    return {name: word for name, _, word in (entry.partition(":") for entry in table[kind].split())}


def withheld_members(table: Table, governed: Iterable[str], given: AbstractSet[Member]) -> set[Member]:
    """The members of the governed types that no given field names."""
    return {(kind, name) for kind in governed for name in members(table, kind) if (kind, name) not in given}


def _compile(table: Table, root: str, withheld: AbstractSet[Member]) -> type[msgspec.Struct]:
    built: dict[str, Any] = dict(SCALARS)

    def kind_of(word: str) -> Any:
        if word.endswith("*"):
            return list[kind_of(word[:-1])]  # type: ignore[misc]  # the element type is a value here
        if word not in built:
            built[word] = struct_of(word)
        return built[word]

    def struct_of(kind: str) -> type[msgspec.Struct]:
        fields = [
            (name, kind_of("-" if (kind, name) in withheld else word) | UnsetType, UNSET)
            for name, word in members(table, kind).items()
        ]
        return msgspec.defstruct(kind, fields, forbid_unknown_fields=True, gc=False)

    return struct_of(root)


class Reader:
    """Reads one type of a table. Types of a table may not contain themselves, so depth is bounded by the table."""

    def __init__(self, table: Table, root: str, withheld: AbstractSet[Member] = frozenset()) -> None:
        self._decode = msgspec.json.Decoder(_compile(table, root, withheld), dec_hook=_forget).decode
        self._numbers = _number_check(table, root, withheld)

    def read(self, text: bytes | Raw, where: str = "") -> tuple[Any, int]:
        """The value, and how many members were withheld from it.

        Raises UnknownShape for text that is not JSON of exactly this shape. `where` is the place of `text`.
        """
        _tally.members = 0
        try:
            value = self._decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
            raise UnknownShape(where + _place(problem)) from None
        if self._numbers and not self._numbers(value):
            raise UnknownShape(where)
        return value, _tally.members


def _number_check(table: Table, kind: str, withheld: AbstractSet[Member]) -> Callable[[Any], bool] | None:
    """Whether every number member of a value is a number. They are carried as text, which could be any JSON.

    The decoder has checked that the text is one JSON value, so its first character tells its kind.
    """
    leaves: list[str] = []
    nested: list[tuple[str, bool, Callable[[Any], bool]]] = []
    for name, word in members(table, kind).items():
        if (kind, name) in withheld or word.rstrip("*") in ("s", "b", "i", "-", "Raw"):
            continue
        if word == "n":
            leaves.append(name)
        elif inner := _number_check(table, word.rstrip("*"), withheld):
            nested.append((name, word.endswith("*"), inner))

    def leaf(value: Any, name: str = leaves[0] if leaves else "") -> bool:
        text = getattr(value, name)
        return text is UNSET or bytes(text)[0] in _DIGITS

    def check(value: Any) -> bool:
        for name in leaves:
            if not leaf(value, name):
                return False
        for name, many, inner in nested:
            found = getattr(value, name)
            if found is not UNSET and not (all(map(inner, found)) if many else inner(found)):
                return False
        return True

    if len(leaves) == 1 and not nested:
        return leaf
    return check if leaves or nested else None


def _place(problem: Exception) -> str:
    """Where in the shape, from msgspec's message: names of known members and positions, never a key it met."""
    found = _PLACE.search(str(problem))
    return found[1] if found else ""


def within_limit(body: bytes) -> bytes:
    """The same bytes. Raises TooLarge above LIMIT: JSON is cut whole."""
    if len(body) > LIMIT:
        raise TooLarge(f"{len(body)} bytes")
    return body
