"""Typed shapes for JSON answers: every member must be known, and only granted ones are kept.

A format is a table of types, each a line of `member:type` words:

    s string · b boolean · i integer · n number, kept as text · - known, but never given
    Name a type of the table · Raw one JSON value, kept as text for another reader
    a `*` after the type makes it a list

`Reader` turns the table into msgspec structs for one plan. A member that the plan does not give has type `Withheld`: it
is decoded, counted and dropped. Or it is skipped as text, and a `remover` removes and counts it. A member that is not
in the table is an error, so no unknown shape is ever given. The encoded result has each key once, even if the input
repeated keys.

A whole answer is decoded at once in C. Only what has to be done for single members is left to Python.
"""

import keyword
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.formats.model import LIMIT, TooLarge, UnknownShape

Table = Mapping[str, str]
Member = tuple[str, str]  # (type of the table, member)
NOTHING: Mapping[Member, Raw] = {}

encode = msgspec.json.Encoder().encode

_PLACE = re.compile(r"at `\$([^`]*)`")
_OF_NUMBERS = b"-+.0123456789eE"  # a JSON value written only with these characters is a number
_tally = threading.local()


class _Anything(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class Withheld(metaclass=_Anything):
    """The type of a member that the plan does not give. It decodes to UNSET, which the encoder leaves out.

    msgspec checks that a hook returns an instance of the declared type; the metaclass makes UNSET pass that check.
    """


def _forget(kind: type, value: object) -> UnsetType:
    _tally.taken[-1] += 1
    return UNSET


def _next_record(record: object) -> None:
    """Called when a record has been decoded: begin a new count for the next record."""
    _tally.taken.append(0)


SCALARS: dict[str, Any] = {"s": str, "b": bool, "i": int, "n": Raw, "Raw": Raw, "-": Withheld}


def members(table: Table, kind: str) -> dict[str, str]:
    """The members of a type of the table, in order: name → type."""
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
            fields.append((_attribute(name), typed | UnsetType, neutral.get((kind, name), UNSET)))
        own = {"__post_init__": _next_record} if kind == record else {}
        spelt = {_attribute(name): name for name in members(table, kind)}
        return msgspec.defstruct(kind, fields, rename=spelt, forbid_unknown_fields=strict, gc=False, namespace=own)

    return struct_of(root)


def _attribute(name: str) -> str:
    """Of the struct: a member may have the name of a word of Python's, and is looked up by code (`_function`)."""
    return f"{name}_" if keyword.iskeyword(name) else name


class Reader:
    """Reads values of one type of a table. Types may not contain themselves, so the table limits the nesting.

    `record`: the type for whose values withheld members are counted one by one. `unread`: types whose withheld members
    are skipped as text, at a tenth of the cost; such a value must go through its `remover` before it is encoded.
    `neutral`: values for members that are missing; others are UNSET. Not `strict`: members that are not in the table
    are skipped. Only for what is not given to apps, such as the names of accounts.
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
        """The value, and how many members were withheld from each record in order. The last count is for everything
        after the last record."""
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
    """A function that removes from a value the members that a reader with these `unread` types has skipped, and returns
    how many they were.

    A removed member gets its value in `neutral`, if it has one there.
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
    """A function that passes on the text of every number in a value. It must be checked: it could be any JSON."""
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
    """Python statements that go through `value` and everything in it, and act on each withheld member or number."""
    lines = []
    for name, word in members(table, kind).items():
        inner, member, attribute = word.rstrip("*"), f"{value}_{name}", _attribute(name)
        without = _constant(kind, name) if (kind, name) in neutral else "UNSET"
        if inner in SCALARS or (kind, name) in withheld:
            act = at_withheld if (kind, name) in withheld else at_number if inner == "n" else ""
            if act:
                act = act.format(value=value, name=attribute, without=without)
                lines += [f"if {value}.{attribute} is not {without}:", *_indented([act])]
            continue
        visits = _visits(table, inner, withheld, member, at_withheld=at_withheld, at_number=at_number, neutral=neutral)
        if visits and word.endswith("*"):
            visits = [f"for {member} in {member}:", *_indented(visits)]
        if visits:
            lines += [f"{member} = {value}.{attribute}", f"if {member} is not {without}:", *_indented(visits)]
    return lines


def _constant(kind: str, name: str) -> str:
    return f"without_{kind}_{name}"


def _function(head: str, lines: list[str], neutral: Mapping[Member, Raw] = NOTHING) -> Any:
    """Compile a function from source, as dataclasses do: member access in code is several times as fast as getattr."""
    found: dict[str, Any] = {_constant(*member): value for member, value in neutral.items()} | {"UNSET": UNSET}
    exec("\n".join([f"def {head}:", *_indented(lines)]), found)
    return found["visit"]


def _indented(lines: list[str]) -> list[str]:
    return [f" {line}" for line in lines]


def _place(problem: Exception) -> str:
    """Where the fault is, from msgspec's message: names of known members and positions, never a key of the input."""
    found = _PLACE.search(str(problem))
    return found[1] if found else ""


def within_limit(body: bytes) -> bytes:
    """The same bytes, checked to be UTF-8, which the decoder does not check in members that it skips.

    Raises TooLarge above LIMIT, because JSON is only cut whole, and UnknownShape for another encoding.
    """
    if len(body) > LIMIT:
        raise TooLarge(f"{len(body)} bytes")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeError:
            raise UnknownShape("") from None
    return body
