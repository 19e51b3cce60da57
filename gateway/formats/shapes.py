"""Readers for JSON of a known shape (`gateway.catalogue.shapes`): only granted members are kept, whatever arrives.

`Reader` turns the table into msgspec structs for one plan. A member that the plan does not give has type `Withheld`: it
is decoded, counted and dropped. Or it is skipped as text, and a `remover` removes and counts it. A member that is not
in the table never leaves either: a strict reader refuses the answer, any other one skips it and tells its place, so
that somebody can add it to the table. The encoded result has each key once, even if the input repeated keys.

A whole answer is decoded at once in C. Only what has to be done for single members is left to Python.
"""

import keyword
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, partial
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.catalogue.shapes import NEVER, Table, inner, members
from gateway.formats.drift import Seen
from gateway.formats.model import LIMIT, TooLarge, UnknownShape

Member = tuple[str, str]  # (type of the table, member)
NOTHING: Mapping[Member, Raw] = {}

encode = msgspec.json.Encoder().encode

_PLACE = re.compile(r"at `\$([^`]*)`")
_OF_NUMBERS = b"-+.0123456789eE"  # a JSON value written only with these characters is a number
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_tally = threading.local()


class _Anything(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class Withheld(metaclass=_Anything):
    """The type of a member that the plan does not give. It decodes to UNSET, which the encoder leaves out.

    msgspec checks that a hook returns an instance of the declared type; the metaclass makes UNSET pass that check.
    """


class ForbiddenMember(metaclass=_Anything):
    """The type of a member that must not be there, because it changes what its neighbours mean."""


def _hook(kind: type, value: object) -> UnsetType:
    if kind is ForbiddenMember:
        raise ValueError("it must not be there")
    _tally.taken[-1] += 1
    return UNSET


def _next_record(record: object) -> None:
    """Called when a record has been decoded: begin a new count for the next record."""
    _tally.taken.append(0)


SCALARS: dict[str, Any] = {
    **dict.fromkeys(("s", "x", "d"), str),
    "p": str | int,
    "b": bool,
    "i": int,
    **dict.fromkeys(("n", "v", "j", "Raw"), Raw),
    "-": Withheld,
    "!": ForbiddenMember,
}
_WITH_NULL = (Raw, Withheld, ForbiddenMember)  # may be null in any case
AS_TEXT = {"n": "numbers", "v": "values"}  # words that are kept as written, and to be checked → where they are gathered


def withheld_members(table: Table, governed: Iterable[str], given: AbstractSet[Member]) -> set[Member]:
    """The members of the governed types that no given field names."""
    return {
        (kind, name)
        for kind in governed
        for name, word in members(table, kind).items()
        if (kind, name) not in given and inner(word) != "!"
    }


def _compile(
    table: Table,
    root: str,
    withheld: AbstractSet[Member],
    record: str,
    unread: AbstractSet[str],
    neutral: Mapping[Member, Raw],
    nulls: bool,
    strict: bool,
) -> Any:
    built: dict[str, Any] = dict(SCALARS)

    def kind_of(word: str) -> Any:
        if word.endswith("*"):
            each = kind_of(record) if word[:-1] == record else held(word[:-1])  # in its list a record is no null
            return list[each]  # type: ignore[valid-type]  # the element type is a value here
        if word.endswith("{}"):
            return dict[str, held(word[:-2])]  # type: ignore[misc]
        if word not in built:
            built[word] = struct_of(word)
        return built[word]

    def held(word: str) -> Any:
        """Inside something else, where it may be null."""
        kind = kind_of(word)
        return kind | None if nulls and kind not in _WITH_NULL else kind

    def struct_of(kind: str) -> Any:
        hidden = "Raw" if kind in unread else "-"
        fields = []
        names = attributes(table, kind)
        for name, word in members(table, kind).items():
            bare = inner(word) if inner(word) in NEVER else word  # a list of what is never given is not given
            typed = held(hidden if (kind, name) in withheld or bare == "-" else bare)
            fields.append((names[name], typed | UnsetType, neutral.get((kind, name), UNSET)))
        own = {"__post_init__": _next_record} if kind == record else {}
        spelt = {attribute: name for name, attribute in names.items()}
        return msgspec.defstruct(
            _plain(kind), fields, rename=spelt, forbid_unknown_fields=strict, gc=False, namespace=own
        )

    return kind_of(root)


def _plain(kind: str) -> str:
    return re.sub("[^A-Za-z0-9_]", "_", kind)


def attributes(table: Table, kind: str) -> dict[str, str]:
    """Member → attribute of the struct. Members are looked up by code (`_function`), and may have any name in JSON."""
    names = members(table, kind)
    return {
        name: name if _PLAIN_NAME.fullmatch(name) and not keyword.iskeyword(name) else f"_{number}"
        for number, name in enumerate(names)
    }


_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Reader:
    """Reads values of one word of a table.

    `record`: the type for whose values withheld members are counted one by one. `unread`: types whose withheld members
    are skipped as text, at a tenth of the cost; such a value must go through its `remover` before it is encoded.
    `neutral`: values for members that are missing; others are UNSET. `nulls`: any value inside may be null, and stays
    so. `strict`: a member that is not in the table is a fault, unless the call has somebody to tell of it; else it is
    skipped.
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
        nulls: bool = False,
        strict: bool = True,
    ) -> None:
        self._table, self._root, self._nulls = table, root, nulls
        self._compiled = partial(_compile, table, root, withheld, record, unread, neutral, nulls)
        # a withheld number may be beyond all floats: its text is as good
        self._decode = msgspec.json.Decoder(self._compiled(strict), dec_hook=_hook, float_hook=str).decode
        self._gather = _gatherer(table, root, withheld, neutral)

    def read(self, text: bytes | Raw, where: str = "", seen: Seen | None = None) -> tuple[Any, int]:
        """The value, and how many members were withheld from it.

        Raises UnknownShape for text that is not JSON of this shape. `where` is the place of `text`. `seen` is told of
        members that are not in the table.
        """
        value, taken = self.read_each(text, where, seen)
        return value, taken[0]

    def read_each(self, text: bytes | Raw, where: str = "", seen: Seen | None = None) -> tuple[Any, list[int]]:
        """The value, and how many members were withheld from each record in order. The last count is for everything
        after the last record."""
        value = self._decoded(text, where, seen)
        numbers: list[Raw] = []
        values: list[Raw] = []
        self._gather(value, numbers.append, values.append)
        if numbers and (left := b"".join(numbers).translate(None, _OF_NUMBERS)):
            if not self._nulls or left.replace(b"null", b""):
                raise UnknownShape(where)
        if values and any(bytes(each)[:1] in (b"{", b"[") for each in values):
            raise UnknownShape(where)
        return value, _tally.taken

    def _decoded(self, text: bytes | Raw, where: str, seen: Seen | None) -> Any:
        _tally.taken = [0]
        try:
            if seen is None or not seen.any:
                try:
                    return self._decode(text)
                except _UNREADABLE:
                    if seen is None:
                        raise
                    _tally.taken = [0]
            value = self._tolerant(text)
        except _UNREADABLE as problem:
            raise UnknownShape(where + _place(problem)) from None
        seen.look(self._table, self._root, bytes(text), where)
        return value

    @cached_property
    def _tolerant(self) -> Callable[[bytes | Raw], Any]:
        return msgspec.json.Decoder(self._compiled(False), dec_hook=_hook, float_hook=str).decode


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
    never = {(kind, name) for kind in unread for name, word in members(table, kind).items() if inner(word) == "-"}
    act = "{value}.{name}, taken = {without}, taken + 1"
    visits = _Visits(table, withheld | never, neutral, at_withheld=act)
    remove: Callable[[Any], int] = visits.function(root, "value", "taken = 0", "return taken")
    return remove


def pairwiser(
    table: Table, root: str, withheld: AbstractSet[Member]
) -> Callable[[Any, Callable[[Any], str]], None] | None:
    """A function that puts what another function makes of it in place of every identifier in a value. None: there is
    no identifier in it."""
    visits = _Visits(table, withheld, NOTHING, at_identifier=True)
    if not visits.found(root):
        return None
    change: Callable[[Any, Callable[[Any], str]], None] = visits.function(root, "value, pair")
    return change


def coarsener(
    table: Table, root: str, withheld: AbstractSet[Member], coarse: Sequence[Member], always: AbstractSet[Member]
) -> Callable[[Any, Sequence[Callable[[Any], Any]]], int]:
    """A function that puts what other functions, one for each `coarse` member, make of it in place of every value, and
    returns of how many they made nothing (UNSET). `always`: also of what is not there, or null."""
    visits = _Visits(table, withheld, NOTHING, coarse=coarse, always=always)
    change: Callable[[Any, Sequence[Callable[[Any], Any]]], int] = visits.function(
        root, "value, made", "lost = 0", "return lost"
    )
    return change


def _gatherer(
    table: Table, root: str, withheld: AbstractSet[Member], neutral: Mapping[Member, Raw]
) -> Callable[[Any, Callable[[Raw], None], Callable[[Raw], None]], None]:
    """A function that passes on the text of every number and of every `v` in a value. They must be checked: they could
    be any JSON."""
    visit: Callable[[Any, Callable[[Raw], None], Callable[[Raw], None]], None] = _Visits(
        table, withheld, neutral, gathers=True
    ).function(root, "value, numbers, values")
    return visit


class _Visits:
    """Python statements that go through a value and everything in it, and act on each withheld member or number."""

    def __init__(
        self,
        table: Table,
        withheld: AbstractSet[Member],
        neutral: Mapping[Member, Raw],
        *,
        at_withheld: str = "",
        gathers: bool = False,
        at_identifier: bool = False,
        coarse: Sequence[Member] = (),
        always: AbstractSet[Member] = frozenset(),
    ) -> None:
        self._table, self._withheld, self._at_withheld, self._gathers = table, withheld, at_withheld, gathers
        self._at_identifier, self._always = at_identifier, always
        self._coarse = {member: number for number, member in enumerate(coarse)}
        self._without = {member: f"without{number}" for number, member in enumerate(sorted(neutral))}
        self._neutral = neutral
        self._names = 0

    def function(self, root: str, arguments: str, before: str = "pass", after: str = "pass") -> Any:
        """Compiled from source, as dataclasses do: member access in code is several times as fast as getattr."""
        found: dict[str, Any] = {name: self._neutral[member] for member, name in self._without.items()}
        lines = [f"def visit({arguments}):", *_indented([before, *self._of(root, "value"), after])]
        kept: dict[str, Any] = {}
        exec("\n".join(lines), found | {"UNSET": UNSET}, kept)
        return kept["visit"]

    def found(self, root: str) -> bool:
        """Whether there is anything to act on."""
        return bool(self._of(root, "value"))

    def _of(self, word: str, value: str) -> list[str]:
        """For what the variable `value` holds. It is there, and may be None."""
        if word.endswith(("*", "{}")):
            each, whole = self._fresh(), value if word.endswith("*") else f"{value}.values()"
            visits = self._of(word[:-1] if word.endswith("*") else word[:-2], each)
            return [f"for {each} in {whole} if {value} is not None else ():", *_indented(visits)] if visits else []
        if word in SCALARS:
            return [f"{AS_TEXT[word]}({value})"] if self._gathers and word in AS_TEXT else []
        found = []
        names = attributes(self._table, word)
        for name, inside in members(self._table, word).items():
            found += self._member((word, name), value, names[name], inside)
        return [f"if {value} is not None:", *_indented(found)] if found else []

    def _member(self, member: Member, owner: str, attribute: str, word: str) -> list[str]:
        place, without = f"{owner}.{attribute}", self._without.get(member, "UNSET")
        if member in self._withheld:
            act = self._at_withheld.format(value=owner, name=attribute, without=without)
            return [f"if {place} is not {without}:", *_indented([act])] if act else []
        if member in self._coarse:
            return self._made_coarser(member, place)
        if self._at_identifier and inner(word) == "p":
            return [f"if {place} is not UNSET:", f" {place} = {_paired(word, place)}"]
        held = self._fresh()
        visits = self._of(word, held)
        return [f"{held} = {place}", f"if {held} is not {without}:", *_indented(visits)] if visits else []

    def _made_coarser(self, member: Member, place: str) -> list[str]:
        change = [f"{place} = made[{self._coarse[member]}]({place})", f"if {place} is UNSET: lost += 1"]
        if member in self._always:
            return change
        return [f"if {place} is not UNSET and {place} is not None:", *_indented(change)]

    def _fresh(self) -> str:
        self._names += 1
        return f"v{self._names}"


def _paired(word: str, value: str, depth: int = 0) -> str:
    """An expression: the value with what `pair` makes of it in place of every identifier. null stays."""
    key, each = f"key{depth}", f"each{depth}"
    made = f"pair({value})"
    if word.endswith("*"):
        made = f"[{_paired(word[:-1], each, depth + 1)} for {each} in {value}]"
    elif word.endswith("{}"):
        made = f"{{{key}: {_paired(word[:-2], each, depth + 1)} for {key}, {each} in {value}.items()}}"
    return f"None if {value} is None else {made}"


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
