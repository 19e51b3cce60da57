"""What was seen in samples: counted by place, and a place becomes a node. No value is kept."""

import re
from typing import Any

from gateway.formats.drafting import guesses
from gateway.formats.drafting.nodes import (
    DEEPEST,
    SEVERAL_KINDS,
    UNKNOWN,
    Keyed,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    singular,
    type_name,
)

MOST_KEYS = 400  # of objects at one place; above, they are no names
_SAFE = 10**18  # integers beyond are numbers kept as written
_BLANKS = re.compile(r"\S\s+\S")
_LONG = 60


class SeenValues:
    """What stood at one place, over all records."""

    __slots__ = ("blank", "count", "integers", "items", "keyed", "kinds", "lengthy", "members", "possible", "spoken")

    def __init__(self) -> None:
        self.count = 0
        self.kinds: set[str] = set()  # b i n s object list
        self.possible: frozenset[str] | None = None  # what all texts here may be
        self.integers: set[str] | None = None  # which epochs all whole numbers here may be
        self.blank = self.lengthy = self.spoken = False
        self.members: dict[str, SeenValues] = {}
        self.items: SeenValues | None = None
        self.keyed: SeenValues | None = None  # objects whose keys are data: what stands under any of them

    def add(self, value: Any, depth: int = 0) -> None:
        """Raises Unreadable for what no table could say."""
        if depth > DEEPEST:
            raise Unreadable(f"is nested more than {DEEPEST} deep; no table can say this")
        if value is None:
            return
        self.count += 1
        if isinstance(value, dict):
            self.kinds.add("object")
            self._add_object(value, depth)
        elif isinstance(value, list):
            self.kinds.add("list")
            for each in value:
                self.items = self.items or SeenValues()
                self.items.add(each, depth + 1)
        elif isinstance(value, str):
            self.kinds.add("s")
            self.add_text(value)
        elif isinstance(value, bool):
            self.kinds.add("b")
        elif isinstance(value, int) and abs(value) < _SAFE:
            self.kinds.add("i")
            found = guesses.epochs(value)
            self.integers = found if self.integers is None else self.integers & found
        else:
            self.kinds.add("n")

    def add_text(self, text: str) -> None:
        stripped = text.strip()
        if not stripped:
            self.blank = True
            return
        self.possible = guesses.kinds(stripped, self.possible)
        self.lengthy |= len(stripped) > _LONG
        self.spoken = self.spoken or len(_BLANKS.findall(stripped)) >= 3 or "\n" in stripped

    def _add_object(self, value: dict[str, Any], depth: int) -> None:
        if self.keyed is None and (any(map(guesses.is_data, value)) or len(self.members | value) > MOST_KEYS):
            self.forget_keys()
        if self.keyed is not None:
            for each in value.values():
                self.keyed.add(each, depth + 1)
            return
        for name, each in value.items():
            self.members.setdefault(name, SeenValues()).add(each, depth + 1)

    def forget_keys(self) -> None:
        """The keys were data: what stood under all of them is one."""
        self.keyed = SeenValues()
        for each in self.members.values():
            self.keyed.join(each)
        self.members = {}

    def join(self, other: "SeenValues") -> None:
        """As if the other's values had been seen here."""
        self.count += other.count
        self.kinds |= other.kinds
        for name in ("possible", "integers"):
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, its if mine is None else mine if its is None else mine & its)
        self.blank |= other.blank
        self.lengthy |= other.lengthy
        self.spoken |= other.spoken
        if other.items is not None:
            self.items = self.items or SeenValues()
            self.items.join(other.items)
        if other.keyed is not None and self.keyed is None:
            self.forget_keys()
        for name, each in other.members.items():
            target = self.keyed if self.keyed is not None else self.members.setdefault(name, SeenValues())
            target.join(each)
        if other.keyed is not None and self.keyed is not None:
            self.keyed.join(other.keyed)


class Settled:
    """Nodes of what was seen. `text_only`: every value is written as a text (XML, CSV), and numbers are found in it."""

    def __init__(self, notes: list[Remark], *, text_only: bool = False) -> None:
        self._notes, self._text_only = notes, text_only

    def node(self, seen: SeenValues, name: str, place: str) -> Node:
        kinds = seen.kinds
        if not kinds:
            return PlainValue(UNKNOWN)
        if kinds == {"object"}:
            return self._object(seen, name, place)
        if kinds == {"list"}:
            of = self.node(seen.items or SeenValues(), singular(name), f"{place}/*")
            return PlainValue(of.word) if isinstance(of, PlainValue) and of.word in (UNKNOWN, "j") else Listed(of)
        if kinds & {"object", "list"}:
            self._notes.append(
                Remark(
                    place or "/",
                    "values of several kinds (an object or a list here, something else there)",
                    SEVERAL_KINDS,
                )
            )
            return PlainValue("j")
        return self._scalar(seen, name)

    def _scalar(self, seen: SeenValues, name: str) -> PlainValue:
        kinds = seen.kinds
        if kinds == {"s"}:
            return self._text(seen, name)
        if kinds == {"b"}:
            return PlainValue("b")
        if kinds == {"i"}:
            epoch = sorted(seen.integers or ()) if guesses.says_time(name) else []
            return PlainValue("i", epoch[0] if epoch else "identifier" if guesses.says_identifier(name) else "")
        return PlainValue("n" if kinds <= {"i", "n"} else "v")

    def _text(self, seen: SeenValues, name: str) -> PlainValue:
        possible = seen.possible or frozenset()
        kind = guesses.kind_of(name, possible)
        if kind in guesses.TIMES:
            return PlainValue("s", kind)
        if self._text_only and (word := _number_word(possible)):
            if word == "i" and ("digits" in possible or guesses.says_identifier(name)):
                return PlainValue("s", "digits")
            return PlainValue(word)
        if kind == "decimal" and not seen.blank and "integer" not in possible and not self._text_only:
            return PlainValue("d")
        if kind == "decimal":
            kind = guesses.kind_by_name(name)
        spoken = seen.spoken and (seen.lengthy or not guesses.says_code(name))
        free = spoken or (seen.lengthy and kind == "") or (kind in ("", "identifier") and guesses.says_text(name))
        if free and kind not in ("uuid", "iban", "address", "lasting"):
            return PlainValue("x")
        return PlainValue("s", kind)

    def _object(self, seen: SeenValues, name: str, place: str) -> Node:
        if seen.keyed is None and _look_alike(seen):
            seen.forget_keys()
        if seen.keyed is not None:
            self._notes.append(
                Remark(
                    place or "/",
                    "keys that look like data, not like names",
                    "guessed: any key, and none is written here",
                )
            )
            return Keyed(self.node(seen.keyed, singular(name), f"{place}/*"))
        if not seen.members:
            return PlainValue(UNKNOWN)
        members = {key: Member(self.node(each, key, f"{place}/{key}")) for key, each in seen.members.items()}
        return Object(type_name(name), members)


def _number_word(possible: frozenset[str]) -> str:
    if "integer" in possible:
        return "i"
    if "decimal" in possible:
        return "n"
    return "b" if "truth" in possible else ""


def _look_alike(seen: SeenValues) -> bool:
    """Values of one shape under keys that differ from record to record, or are written like names of people."""
    inside = list(seen.members.values())
    often = sum(each.count for each in inside) / max(1, seen.count * len(inside))
    alike = len({frozenset(each.kinds) for each in inside}) == 1
    if alike and len(inside) > 5 and seen.count > 4 and often < 1 / 3:
        return True
    if len(inside) < 2 or any(each.kinds != {"object"} for each in inside):
        return False
    if len({frozenset(each.members) for each in inside}) > 1 or not inside[0].members:
        return False
    spaced = any(" " in key or not key.isascii() for key in seen.members)
    return spaced or often < 1 / 2 or len(inside) > 12
