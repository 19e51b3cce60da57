"""Typed shapes for JSON answers: every member known, only granted ones kept, nothing else decoded.

A format is a table of types, each a line of `member:type` words:

    s string · b boolean · i integer · n number, its text kept · - known, never given
    Name a type of the table · Raw one JSON value, read later by a reader of its own
    a `*` after the type makes it a list

`Reader` turns the table into msgspec structs for one plan. A member the plan does not give is typed `Withheld`: it is
read, counted and forgotten; or it is skipped as text, and a `remover` takes and counts it. A member the table does not
name is an error, so an unknown shape never leaves. What is encoded again has each key once, whatever tricks the input
played with duplicate keys.

One decoding in C reads a whole answer; what is left to Python goes over all its records at once, member by member.
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
NOTHING: Mapping[Member, Raw] = {}

encode = msgspec.json.Encoder().encode

_PLACE = re.compile(r"at `\$([^`]*)`")
_OF_NUMBERS = b"-+.0123456789eE"  # JSON texts of these characters alone are numbers
_tally = threading.local()


class _Anything(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class Withheld(metaclass=_Anything):
    """Stands for a member the plan does not give. Decodes to UNSET, which the encoder leaves out.

    msgspec checks that a hook returns an instance of the declared type; the metaclass lets UNSET count as one.
    """


def _forget(kind: type, value: object) -> UnsetType:
    _tally.taken[-1] += 1
    return UNSET


def _next_record(record: object) -> None:
    """Runs when a record has been decoded: what is withheld from now on is of the record after it."""
    _tally.taken.append(0)


SCALARS: dict[str, Any] = {"s": str, "b": bool, "i": int, "n": Raw, "Raw": Raw, "-": Withheld}


def members(table: Table, kind: str) -> dict[str, str]:
    """The members of one type of the table, in order, with their type words."""
    return {name: word for name, _, word in (entry.partition(":") for entry in table[kind].split())}


def withheld_members(table: Table, governed: Iterable[str], given: AbstractSet[Member]) -> set[Member]:
    """The members of the governed types that no given field names."""
    return {(kind, name) for kind in governed for name in members(table, kind) if (kind, name) not in given}


def _compile(
    table: Table,
    root: str,
    withheld: AbstractSet[Member],
    record: str,
    unread: AbstractSet[str],
    neutral: Mapping[Member, Raw],
    strict: bool,
) -> type[msgspec.Struct]:
    built: dict[str, Any] = dict(SCALARS)

    def kind_of(word: str) -> Any:
        if word.endswith("*"):
            return list[kind_of(word[:-1])]  # type: ignore[misc]  # the element type is a value here
        if word not in built:
            built[word] = struct_of(word)
        return built[word]

    def struct_of(kind: str) -> type[msgspec.Struct]:
        hidden = "Raw" if kind in unread else "-"
        fields = []
        for name, word in members(table, kind).items():
            typed = kind_of(hidden if (kind, name) in withheld or word == "-" else word)
            fields.append((name, typed | UnsetType, neutral.get((kind, name), UNSET)))
        own = {"__post_init__": _next_record} if kind == record else {}
        return msgspec.defstruct(kind, fields, forbid_unknown_fields=strict, gc=False, namespace=own)

    return struct_of(root)


class Reader:
    """Reads one type of a table. Types of a table may not contain themselves, so depth is bounded by the table.

    `record` is the type whose withheld members are counted for each value of it. Members of the types `unread` that
    are not given are skipped as text, at a tenth of the cost: whoever encodes such a value first calls its `remover`.
    A member that is not there has the value that `neutral` names for it, else UNSET. Not `strict`: members the table
    does not name are read over. That is for what stays on this side, such as the names of accounts.
    """

    def __init__(
        self,
        table: Table,
        root: str,
        withheld: AbstractSet[Member] = frozenset(),
        *,
        record: str = "",
        unread: AbstractSet[str] = frozenset(),
        neutral: Mapping[Member, Raw] = NOTHING,
        strict: bool = True,
    ) -> None:
        kind = _compile(table, root, withheld, record, unread, neutral, strict)
        self._decode = msgspec.json.Decoder(kind, dec_hook=_forget).decode
        self._gather_numbers = _gatherer(table, root, withheld, neutral)

    def read(self, text: bytes | Raw, where: str = "") -> tuple[Any, int]:
        """The value, and how many members were withheld from it.

        Raises UnknownShape for text that is not JSON of exactly this shape. `where` is the place of `text`.
        """
        value, taken = self.read_each(text, where)
        return value, taken[0]

    def read_each(self, text: bytes | Raw, where: str = "") -> tuple[Any, list[int]]:
        """The value, and how many members were withheld from each record in it, in order; then from what follows."""
        _tally.taken = [0]
        try:
            value = self._decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
            raise UnknownShape(where + _place(problem)) from None
        numbers: list[Raw] = []
        self._gather_numbers(value, numbers.append)
        if numbers and b"".join(numbers).translate(None, _OF_NUMBERS):
            raise UnknownShape(where)
        return value, _tally.taken


def remover(
    table: Table,
    root: str,
    withheld: AbstractSet[Member],
    unread: AbstractSet[str],
    neutral: Mapping[Member, Raw] = NOTHING,
) -> Callable[[Any], int]:
    """Takes what a reader with these `unread` types has skipped out of a value; answers how many members that were.

    What is taken leaves the value that `neutral` names for it, else none.
    """
    never = {(kind, name) for kind in unread for name, word in members(table, kind).items() if word == "-"}
    act = "{value}.{name}, taken = {without}, taken + 1"
    visits = _visits(table, root, withheld | never, "value", at_withheld=act, neutral=neutral)
    head = "visit(value)"
    remove: Callable[[Any], int] = _function(head, ["taken = 0", *visits, "return taken"], neutral)
    return remove


def _gatherer(
    table: Table, root: str, withheld: AbstractSet[Member], neutral: Mapping[Member, Raw]
) -> Callable[[Any, Callable[[Raw], None]], None]:
    """Hands on every number of a value. They are carried as text, which could be any JSON."""
    visits = _visits(table, root, withheld, "value", at_number="add({value}.{name})", neutral=neutral)
    gather: Callable[[Any, Callable[[Raw], None]], None] = _function("visit(value, add)", visits or ["pass"], neutral)
    return gather


def _visits(
    table: Table,
    kind: str,
    withheld: AbstractSet[Member],
    value: str,
    *,
    at_withheld: str = "",
    at_number: str = "",
    neutral: Mapping[Member, Raw] = NOTHING,
) -> list[str]:
    """Statements that go through `value` and below, and act on each withheld member or number that is there."""
    lines = []
    for name, word in members(table, kind).items():
        inner, member = word.rstrip("*"), f"{value}_{name}"
        without = _constant(kind, name) if (kind, name) in neutral else "UNSET"
        if inner in SCALARS or (kind, name) in withheld:
            act = at_withheld if (kind, name) in withheld else at_number if inner == "n" else ""
            if act:
                act = act.format(value=value, name=name, without=without)
                lines += [f"if {value}.{name} is not {without}:", *_indented([act])]
            continue
        visits = _visits(table, inner, withheld, member, at_withheld=at_withheld, at_number=at_number, neutral=neutral)
        if visits and word.endswith("*"):
            visits = [f"for {member} in {member}:", *_indented(visits)]
        if visits:
            lines += [f"{member} = {value}.{name}", f"if {member} is not {without}:", *_indented(visits)]
    return lines


def _constant(kind: str, name: str) -> str:
    return f"without_{kind}_{name}"


def _function(head: str, lines: list[str], neutral: Mapping[Member, Raw] = NOTHING) -> Any:
    """Written out as source, as dataclasses are: a member spelt in code is read several times as fast as by name."""
    found: dict[str, Any] = {_constant(*member): value for member, value in neutral.items()} | {"UNSET": UNSET}
    exec("\n".join([f"def {head}:", *_indented(lines)]), found)
    return found["visit"]


def _indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]


def _place(problem: Exception) -> str:
    """Where in the shape, from msgspec's message: names of known members and positions, never a key it met."""
    found = _PLACE.search(str(problem))
    return found[1] if found else ""


def within_limit(body: bytes) -> bytes:
    """The same bytes, which are UTF-8: a decoder checks all of a member it skips but that.

    Raises TooLarge above LIMIT, since JSON is cut whole, and UnknownShape for another encoding.
    """
    if len(body) > LIMIT:
        raise TooLarge(f"{len(body)} bytes")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeError:
            raise UnknownShape("") from None
    return body
