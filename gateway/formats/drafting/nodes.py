"""What every reader ends in: a tree of values, and how two of them are one."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

UNKNOWN = "-"  # nothing was seen of it but null, or an empty list: known, and never given
DEEPEST = 60  # of what is read

# What to write instead of what the table cannot say.
SEVERAL_KINDS = "`j` is written, which gives it whole; or `-` for never; or two calls, one for each"
MIXED_TEXT = ("text between elements", "`.:x` is written: it is free text; or `-` for never")

NOT_ENFORCED = "is not enforced"
UNENFORCED = (
    "a word says the kind only, and the organisation keeps the rest; [format.required] says what happens when a person "
    "withholds what readers of the format need"
)


class Unreadable(Exception):
    """What was given cannot be drafted from. The message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What the table cannot say: `place` in the file, never a value; `instead`: what to write or do."""

    place: str
    what: str
    instead: str = ""


Say = Callable[[Remark], None]


@dataclass(slots=True, eq=False)
class PlainValue:
    """A value that one word of the table says. `kind`: what it looks like (`guesses`)."""

    word: str
    kind: str = ""
    enough: bool = False  # a list of allowed values: never free text, never an identifier


@dataclass(slots=True, eq=False)
class Listed:
    of: "Node"


@dataclass(slots=True, eq=False)
class Keyed:
    """An object with any keys."""

    of: "Node"


@dataclass(slots=True, eq=False)
class Member:
    node: "Node"
    said: str = ""  # what the schema says of it, for whoever writes the texts


@dataclass(slots=True, eq=False)
class Object:
    """Objects that are the same Python object are one type of the table."""

    name: str
    members: dict[str, Member] = field(default_factory=dict)
    said: str = ""


Node = PlainValue | Listed | Keyed | Object

_NUMBERS = {"i", "n"}
_SCALARS = {"s", "x", "d", "b", "i", "n", "v", "p"}
_TEXTS = ("s", "x", "d", "p")


def within(node: Node) -> tuple[Node, str]:
    """What stands inside lists and maps, and their marks as the table writes them."""
    marks = ""
    while isinstance(node, Listed | Keyed):
        marks = ("*" if isinstance(node, Listed) else "{}") + marks
        node = node.of
    return node, marks


def inner(node: Node) -> Object | None:
    found = within(node)[0]
    return found if isinstance(found, Object) else None


def word_of_either(one: str, other: str) -> str:
    """The word for what has the one or the other kind."""
    pair = {one, other}
    if len(pair) == 1:
        return one
    if UNKNOWN in pair:
        return (pair - {UNKNOWN}).pop()
    if pair <= _NUMBERS:
        return "n"
    if pair <= set(_TEXTS):
        return "x" if "x" in pair else "s"
    return "v" if pair <= _SCALARS else "j"


def either(one: Node, other: Node, say: Callable[[str], None], whole: str = "j") -> Node:
    """What admits both. `say` is told in words where that is more than the two. `whole`: the word for any value."""
    return _Either(say, whole).of(one, other)


class _Either:
    """Types are shared, so a pair of them is met again and again: it is merged once."""

    def __init__(self, say: Callable[[str], None], whole: str) -> None:
        self._say, self._whole = say, whole
        self._done: dict[tuple[int, int], Object] = {}

    def of(self, one: Node, other: Node) -> Node:
        if one is other:
            return one
        if isinstance(one, PlainValue) and isinstance(other, PlainValue):
            if "j" in (one.word, other.word):
                return PlainValue(self._whole)
            kind = one.kind if one.kind == other.kind else ""
            return PlainValue(word_of_either(one.word, other.word), kind, one.enough and other.enough)
        for this, that in ((one, other), (other, one)):
            if isinstance(this, PlainValue) and this.word in (UNKNOWN, "j"):
                return that if this.word == UNKNOWN else this
        if isinstance(one, Listed) and isinstance(other, Listed):
            return Listed(self.of(one.of, other.of))
        if isinstance(one, Keyed) and isinstance(other, Keyed):
            return Keyed(self.of(one.of, other.of))
        if isinstance(one, Object) and isinstance(other, Object):
            return self._object(one, other)
        self._say("a value of several kinds (an object here, a text or a list there)")
        return PlainValue(self._whole)

    def _object(self, one: Object, other: Object) -> Object:
        pair = (id(one), id(other))
        if pair not in self._done:
            members = {**one.members, **other.members}
            for name in one.members.keys() & other.members.keys():
                mine, its = one.members[name], other.members[name]
                members[name] = Member(self.of(mine.node, its.node), mine.said or its.said)
            self._done[pair] = Object(one.name, members, one.said or other.said)
        return self._done[pair]


def both(one: Node, other: Node) -> Node:
    """What must be the one and the other: `allOf`."""
    return _both(one, other, {})


def _both(one: Node, other: Node, done: dict[tuple[int, int], Object]) -> Node:
    if isinstance(one, PlainValue) and one.word in (UNKNOWN, "j"):
        return other
    if isinstance(other, PlainValue) and other.word in (UNKNOWN, "j"):
        return one
    if isinstance(one, Object) and isinstance(other, Object):
        pair = (id(one), id(other))
        if pair not in done:
            members = {**one.members, **other.members}
            for name in one.members.keys() & other.members.keys():
                mine, its = one.members[name], other.members[name]
                members[name] = Member(_both(mine.node, its.node, done), its.said or mine.said)
            done[pair] = Object(one.name, members, one.said or other.said)
        return done[pair]
    if isinstance(one, PlainValue) and isinstance(other, PlainValue):
        return PlainValue(other.word, other.kind or one.kind, one.enough or other.enough)
    if isinstance(one, Listed) and isinstance(other, Listed):
        return Listed(_both(one.of, other.of, done))
    return one


def copied(node: Node) -> Node:
    """PlainValue values are changed one by one later, so no two members share one; types stay shared."""
    if isinstance(node, PlainValue):
        return replace(node)
    return node if isinstance(node, Object) else type(node)(copied(node.of))


def objects(node: Node, seen: set[int] | None = None) -> Iterator[Object]:
    """Every type below, each once, outermost first."""
    seen = set() if seen is None else seen
    found = inner(node)
    if found is None or id(found) in seen:
        return
    seen.add(id(found))
    yield found
    for member in found.members.values():
        yield from objects(member.node, seen)


_UNREADABLE = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')  # in a name of JSON: no declaration can say it


def leave_unreadable(node: Node, say: Say) -> None:
    """Takes out the members whose names no declaration of JSON can say."""
    for kind in objects(node):
        for name in [name for name in kind.members if not name or _UNREADABLE.search(name)]:
            del kind.members[name]
            what = "a member whose name no declaration can say (a quote, a backslash, a control character, or no name)"
            say(Remark(kind.name, what, "left out: it is never given"))


def ascii_words(name: str) -> list[str]:
    """The words of a name: bookingDate, booking-date and "Date d'opération" alike, in small letters of ASCII."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", plain))
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", plain)]


def snake(name: str) -> str:
    return "_".join(ascii_words(name)) or "member"


def type_name(name: str) -> str:
    """A name for a type: PascalCase, never one of the table's words."""
    if re.fullmatch(r"[A-Z][A-Za-z0-9]+", name) and name != "Raw":
        return name
    found = "".join(word[:1].upper() + word[1:] for word in ascii_words(name))
    if not found or not found[0].isalpha():
        found = f"Type{found}"
    return f"{found}Type" if len(found) == 1 or found == "Raw" else found


def many(count: int, what: str) -> str:
    """1 call, 2 calls, 2 types of data."""
    noun, blank, rest = what.partition(" ")
    return f"{count} {noun}{'' if count == 1 else 's'}{blank}{rest}"


def singular(name: str) -> str:
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ss", "ss"), ("us", "us"), ("is", "is")):
        if name.lower().endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + instead
    return name[:-1] if name.lower().endswith("s") and len(name) > 3 else name
