"""Where in an answer the records stand, and how the next page is found."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.formats.drafting.nodes import (
    Keyed,
    Listed,
    Member,
    Node,
    Note,
    Object,
    Plain,
    Unreadable,
    ascii_words,
    singular,
    type_name,
)
from gateway.formats.drafting.reading import Answer, Reading

_LISTS = set("data items results records value values entries entry list content elements rows resources".split())
_WRAPS = set("data result response record item payload body content resource".split())
_BESIDE = set("links link errors error warnings meta metadata included facets messages issues filters sort".split())
_COUNTS = set("total count page size limit offset next previous prev first last pages records status self".split())
_DEEPEST = 4


@dataclass(slots=True)
class Found:
    answer: Answer
    record: Object
    steps: list[str]  # members from the answer to the records
    one: bool
    others: list[str]  # other lists of records in the same answer

    @property
    def at(self) -> str:
        return ".".join(self.steps)

    @property
    def envelope(self) -> Object | None:
        return self.answer.node if self.steps and isinstance(self.answer.node, Object) else None


def found(answer: Answer, wanted: str | None, where: str) -> Found:
    """`wanted`: the place the operator said. Raises Unreadable, which begins with `where`."""
    root = answer.node
    if wanted is not None:
        return _at(answer, wanted, where)
    if isinstance(root, Keyed):
        raise Unreadable(f"{where}: its records stand under keys that are data; the table knows records in a list")
    if isinstance(root, Listed):
        if not isinstance(root.of, Object):
            raise Unreadable(f"{where}: is a list of lists or of bare values; a record is an object")
        return Found(answer, root.of, [], False, [])
    if not isinstance(root, Object):
        raise Unreadable(f"{where}: is no object and no list of objects; a record is an object")
    lists = sorted(_lists(root), key=lambda each: -_score(each[0], each[1], answer))
    if lists and _leads(root, lists[0][0], lists[0][1], answer):
        steps, record = lists[0]
        others = [".".join(each) for each, _ in lists[1:] if _score(each, _, answer) > 0]
        return Found(answer, record, steps, False, others)
    steps, record = _wrapped(root)
    return Found(answer, record, steps, True, [])


def _at(answer: Answer, wanted: str, where: str) -> Found:
    steps = [step for step in wanted.split(".") if step]
    node: Node = answer.node
    for step in steps:
        known = node.members if isinstance(node, Object) else {}
        if step not in known:
            named = ", ".join(known) or "no members"
            raise Unreadable(f"{where}: --at {wanted}: there is no {step} there, but {named}")
        node = known[step].node
    record = node.of if isinstance(node, Listed) else node
    if not isinstance(record, Object):
        raise Unreadable(f"{where}: --at {wanted}: no records stand there; name the member that holds the list of them")
    return Found(answer, record, steps, not isinstance(node, Listed), [])


def _lists(root: Object, steps: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Object]]:
    for name, member in root.members.items():
        if isinstance(member.node, Listed) and isinstance(member.node.of, Object):
            yield [*steps, name], member.node.of
        elif isinstance(member.node, Object) and len(steps) < _DEEPEST:
            yield from _lists(member.node, (*steps, name))


def _key(name: str) -> str:
    return singular("".join(ascii_words(name)))


def _score(steps: list[str], record: Object, answer: Answer) -> float:
    words = {_key(word) for word in answer.path.split("/") if "{" not in word}
    named = {_key(step) for step in steps}
    score = -1.0 * len(steps) + min(2.0, len(record.members) / 5)
    score += 5 * bool(words & named)
    score += 4 * ("".join(ascii_words(steps[-1])) in _LISTS)
    return score - 20 * any(set(ascii_words(step)) & _BESIDE for step in steps)


def _leads(root: Object, steps: list[str], record: Object, answer: Answer) -> bool:
    """Whether the list is what the answer is about, and the root no record of its own that has a list in it."""
    if _score(steps, record, answer) < -10:
        return False
    if answer.path.rstrip("/").endswith("}"):  # one resource by its id
        return len(steps) == 1 and len(_own(root)) == 0
    if _score(steps, record, answer) >= 3:
        return True
    holders = [root]
    for step in steps[:-1]:
        node = holders[-1].members[step].node
        holders += [node] if isinstance(node, Object) else []
    return sum(len(_own(holder)) for holder in holders) <= 2 + len(steps)


def _own(root: Object) -> list[str]:
    """Members that a record would have, and an envelope has not."""
    return [
        name
        for name, member in root.members.items()
        if isinstance(member.node, Plain) and not set(ascii_words(name)) & (_COUNTS | _BESIDE)
    ]


def _wrapped(root: Object) -> tuple[list[str], Object]:
    """A record that stands alone, out of what is only around it."""
    steps: list[str] = []
    while not _own(root) and len(steps) < _DEEPEST:
        inside = {
            name: member.node
            for name, member in root.members.items()
            if isinstance(member.node, Object) and not set(ascii_words(name)) & _BESIDE
        }
        telling = [name for name in inside if "".join(ascii_words(name)) in _WRAPS] or list(inside)
        if len(telling) != 1:
            break
        steps.append(telling[0])
        root = inside[telling[0]]
    return steps, root


def named(record: Object, each: Found) -> str:
    """A name for the type of the records: its own, unless it only says that it is a record or an answer."""
    if record.name not in ("Record", "Answer", "Data", "Item", "Result", "Value", "Row", "Element", "Type"):
        return record.name
    words = [word for word in each.answer.path.split("/") if word and "{" not in word]
    outer = [step for step in each.steps if "".join(ascii_words(step)) not in _LISTS | _WRAPS]
    name = outer[-1] if outer else words[-1] if words else "Record"
    return type_name(singular(name))


@dataclass(slots=True)
class Pages:
    keys: dict[str, str | int]
    why: str


def pages(reading: Reading, all_found: list[Found]) -> Pages | None:
    """How pages follow, as the first answer with a sign of it says."""
    ways = {parameter.way: name for name, parameter in reading.parameters.items() if parameter.way}
    size = next((name for name, parameter in reading.parameters.items() if parameter.keys["as"] == "size"), "")
    sized: dict[str, str | int] = {"size": size} if size else {}
    links: list[str] = []
    cursors: list[str] = []
    for each in all_found:
        if each.envelope is not None and not each.one:
            for path in _leading(each.envelope, each.steps):
                (cursors if _is_cursor(path) else links).append(".".join(path))
    if cursors and ("cursor" in ways or not links):
        key: dict[str, str | int] = {"by": "cursor", "at": cursors[0], "parameter": ways.get("cursor", "TO FILL")}
        return Pages(key, "by its name")
    if links:
        return Pages({"by": "link", "at": links[0]}, "by its name")
    if reading.linked:
        return Pages({"by": "link-header"}, "an answer has a Link header")
    if "page" in ways:
        return Pages(
            {"by": "page", "parameter": ways["page"], **sized, "first": 1}, "by the parameter; is the first 1?"
        )
    if "offset" in ways:
        return Pages({"by": "offset", "parameter": ways["offset"], **sized}, "by the parameter")
    return None


def _leading(root: Object, avoid: list[str], steps: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, member in root.members.items():
        words = set(ascii_words(name))
        if isinstance(member.node, Plain) and member.node.word in ("s", "x", "p", "j", "-"):
            last = words if words != {"href"} else set(ascii_words(steps[-1])) if steps else set()
            if "next" in last:
                yield (*steps, name)
        elif isinstance(member.node, Object) and len(steps) < 3:
            yield from _leading(member.node, avoid, (*steps, name))


def _is_cursor(path: tuple[str, ...]) -> bool:
    return bool(set(ascii_words(path[-1])) & {"cursor", "token", "continuation"})


def around(each: Found) -> Iterator[tuple[Object, str, Member]]:
    """(type, member) of what stands beside the records."""

    def below(node: Object, steps: list[str], seen: set[int]) -> Iterator[tuple[Object, str, Member]]:
        if id(node) in seen:
            return
        seen.add(id(node))
        for name, member in node.members.items():
            if steps[:1] == [name] and len(steps) == 1:
                continue
            if isinstance(member.node, Object):
                yield from below(member.node, steps[1:] if steps[:1] == [name] else [], seen)
            elif isinstance(member.node, Plain) and member.node.word != "-":
                yield node, name, member

    if each.envelope is not None:
        yield from below(each.envelope, each.steps, set())


def tell_others(each: Found) -> Iterator[Note]:
    for other in each.others[:3]:
        yield Note(
            each.answer.path or each.answer.name,
            f"another list beside the records: {other}",
            f'a call of its own with at = "{other}", if it should be given',
        )
