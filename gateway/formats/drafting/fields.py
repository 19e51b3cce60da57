"""Which members a person decides on together: one field for each member of a record.

What a person may want to keep back although she gives what is around it stands in a field of its own: free text, and
what identifies somebody. A type with such members, or with many, is split; a split type that stands in several places
becomes a type for each, because a field speaks of a member of a type and not of a place.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.formats.drafting import guesses
from gateway.formats.drafting.nodes import (
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Say,
    inner,
    snake,
    type_name,
    within,
)
from gateway.formats.drafting.times import Path

TOGETHER = 8  # values of a nested type that are decided on together
_MOST_TYPES = 300  # made by splitting

Place = tuple[Object, str]  # type, member


@dataclass(slots=True)
class FieldDraft:
    id: str
    find: list[Place]
    structural: bool = False
    delicate: str = ""  # why it stands alone
    said: str = ""
    parts: int = 1


class Split:
    """Decides which nested types of one record are split, and makes them types of their own where they are not yet.

    `pinned`: the members of the structural field, in which the time and the account stand.
    """

    def __init__(self, record: Object, pinned: list[Path]) -> None:
        self.record, self.pinned = record, pinned
        self._forced = _along(record, pinned)
        self._leaves: dict[int, int] = {}
        self._delicate: dict[int, bool] = {}
        self._made = 0
        self._whole: set[int] = set()  # types that stand in more places than there may be types
        self._separate(record, {id(record)})

    def look_again(self) -> None:
        """Splitting for another record may have put other types in the way of the pinned members."""
        self._forced = _along(self.record, self.pinned)

    @property
    def exhausted(self) -> bool:
        return bool(self._whole)

    def is_split(self, node: Node) -> Object | None:
        found = inner(node)
        if found is None or id(found) in self._whole:
            return None
        return found if id(found) in self._forced or self._is_delicate(found) or self._count(found) > TOGETHER else None

    def _is_delicate(self, found: Object) -> bool:
        if id(found) not in self._delicate:
            self._delicate[id(found)] = any(
                self._is_delicate(below) if (below := inner(member.node)) else bool(delicate(name, member.node))
                for name, member in found.members.items()
            )
        return self._delicate[id(found)]

    def _count(self, found: Object) -> int:
        if id(found) not in self._leaves:
            parts = (inner(member.node) for member in found.members.values())
            self._leaves[id(found)] = sum(self._count(part) if part else 1 for part in parts)
        return self._leaves[id(found)]

    def _separate(self, holder: Object, seen: set[int]) -> None:
        for name, member in holder.members.items():
            found = self.is_split(member.node)
            if found is None:
                continue
            if id(found) in seen:
                if self._made >= _MOST_TYPES:
                    self._whole.add(id(found))
                    continue
                found = self._own(holder, name, member, found)
            seen.add(id(found))
            self._separate(found, seen)

    def _own(self, holder: Object, name: str, member: Member, found: Object) -> Object:
        self._made += 1
        own = Object(
            type_name(f"{holder.name} {name}"), {key: Member(m.node, m.said) for key, m in found.members.items()}
        )
        if id(found) in self._forced:
            self._forced.add(id(own))
        member.node = _with_inner(member.node, own)
        return own


def _with_inner(node: Node, own: Object) -> Node:
    return own if isinstance(node, PlainValue | Object) else type(node)(_with_inner(node.of, own))


def _along(record: Object, pinned: list[Path]) -> set[int]:
    """The types that a path goes through."""
    found = set()
    for path in pinned:
        holder: Object | None = record
        for name in path[:-1]:
            holder = inner(holder.members[name].node) if holder else None
            if holder is not None:
                found.add(id(holder))
    return found


def delicate(name: str, node: Node) -> str:
    """Why this value stands in a field of its own; empty: it does not."""
    value = within(node)[0]
    if not isinstance(value, PlainValue) or value.enough:
        return ""
    if value.word == "x":
        return "free text"
    if value.word == "p":
        return "an identifier, exchanged for one of the app's own"
    if value.word == "j":
        return "any JSON, given whole"
    return "an identifier" if value.kind in guesses.IDENTIFIERS else ""


def fields(split: Split, name: str, say: Say) -> list[FieldDraft]:
    """`name`: of the type of the records."""
    record, pinned = split.record, split.pinned
    split.look_again()
    if split.exhausted:
        say(
            Remark(
                name,
                f"nested types in more than {_MOST_TYPES} places",
                "some fields give a nested type whole, with its free text and identifiers: split them by hand",
            )
        )
    found = [FieldDraft(f"{snake(name)}.when", _found(record, pinned), structural=True)] if pinned else []
    found += _below(split, record, [], (), set(pinned), snake(name))
    taken: set[str] = set()
    for field in found:
        base, number = field.id, 2
        while field.id in taken:
            field.id, number = f"{base}_{number}", number + 1
        taken.add(field.id)
    return found


def _found(record: Object, pinned: list[Path]) -> list[Place]:
    places: dict[tuple[int, str], Place] = {}
    for path in pinned:
        holder: Object | None = record
        for name in path:
            if holder is not None:
                places[id(holder), name] = (holder, name)
                holder = inner(holder.members[name].node)
    return list(places.values())


def _below(
    split: Split, holder: Object, above: list[Place], path: Path, pinned: set[Path], start: str
) -> Iterator[FieldDraft]:
    together: list[tuple[str, Member]] = []
    alone = not path or sum(split.is_split(member.node) is None for member in holder.members.values()) > 12
    for name, member in holder.members.items():
        here = (*path, name)
        if here in pinned or _is_never(member.node):
            continue
        below = split.is_split(member.node)
        if below is not None:
            yield from _below(split, below, [*above, (holder, name)], here, pinned, start)
        elif alone or delicate(name, member.node):
            why = delicate(name, member.node)
            yield FieldDraft(_id(start, here), [*above, (holder, name)], delicate=why, said=member.said)
        else:
            together.append((name, member))
    if together:
        said = together[0][1].said if len(together) == 1 else ""
        places = [*above, *((holder, name) for name, _ in together)]
        yield FieldDraft(_id(start, path), places, said=said, parts=len(together))


def _is_never(node: Node) -> bool:
    value = within(node)[0]
    return isinstance(value, PlainValue) and value.word == "-"


def _id(start: str, path: Path) -> str:
    steps = [snake(step) for step in path]
    return ".".join([start, "_".join(steps[-3:])])
