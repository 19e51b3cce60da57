"""Where in an answer the records stand, and how the next page is found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from gateway.formats.drafting import times
from gateway.formats.drafting.nodes import (
    Keyed,
    Listed,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    ascii_words,
    singular,
    type_name,
)
from gateway.formats.drafting.reading import AnswerShape, Reading

_LISTS = set("data items results records value values entries entry list content elements rows resources".split())
_WRAPS = set("data result response record item payload body content resource".split())
_BESIDE = set("links link errors error warnings meta metadata included facets messages issues filters sort".split())
_COUNTS = set("total count page size limit offset next previous prev first last pages records status self".split())
_TOTALS = {"total", "count", "size", "pages", "records", "number"}
_TELL_NOTHING = ("Record", "Answer", "Data", "Item", "Result", "Value", "Row", "Element", "Type")
_DEEPEST = 4
_BESIDE_SCORE = -10  # of a list of links, errors or the like
_VERSION = re.compile(r"[vV]\d+(\.\d+)*")


@dataclass(slots=True)
class Found:
    answer: AnswerShape
    record: Object
    steps: list[str]  # members from the answer to the records
    one: bool
    others: list[str]  # other lists of records in the same answer
    around: bool = False  # what stands around the records could be a record of its own
    call: str = ""  # the name of its call

    @property
    def at(self) -> str:
        return ".".join(self.steps)

    @property
    def envelope(self) -> Object | None:
        return self.answer.node if self.steps and isinstance(self.answer.node, Object) else None


def found(answer: AnswerShape, wanted: str | None, where: str) -> Found:
    """`wanted`: the place the operator said. Raises Unreadable, which begins with `where`."""
    root = answer.node
    if wanted is not None:
        return _at(answer, wanted, where)
    if isinstance(root, Keyed) or (isinstance(root, Listed) and isinstance(root.of, Keyed)):
        raise Unreadable(
            f"{where}: its records, or their members, stand under keys that are data; the table knows records in a "
            "list and members by name, so have the organisation answer so"
        )
    if isinstance(root, Listed):
        if not isinstance(root.of, Object):
            raise Unreadable(f"{where}: is a list of lists or of bare values; a record is an object")
        return Found(answer, root.of, [], False, [])
    if not isinstance(root, Object):
        raise Unreadable(f"{where}: is no object and no list of objects; a record is an object")
    lists = sorted(islice(_lists(root), 500), key=lambda each: -_score(each, answer))
    timed = _timed(root, lists, answer)
    leading = lists[0] if lists and _leads(root, lists[0], answer) else timed
    if leading is not None:
        others = [".".join(each.steps) for each in lists if each is not leading and _score(each, answer) > 0]
        return Found(answer, leading.record, leading.steps, False, others, bool(_own(root)))
    steps, record = _wrapped(root)
    inside = [".".join(each.steps) for each in lists if _score(each, answer) > _BESIDE_SCORE]
    return Found(answer, record, steps, True, inside)


def _timed(root: Object, lists: list["_List"], answer: AnswerShape) -> "_List | None":
    """The list whose records say when they were, where what is around it does not: data are mostly of a time."""
    if times.found(root) is not None or answer.path.rstrip("/").endswith("}"):
        return None
    found = [each for each in lists if _score(each, answer) > _BESIDE_SCORE and not each.own]
    dated = [each for each in found if times.found(each.record) is not None]
    return dated[0] if len(dated) == 1 else None


def found_in_document(answer: AnswerShape, wanted: str | None, where: str) -> Found:
    """The same in XML, where an answer has one member, its outermost element; `wanted` may begin with that."""
    assert isinstance(answer.node, Object)
    ((outermost, member),) = answer.node.members.items()
    if "." in outermost:
        raise Unreadable(
            f"{where}: the name of its outermost element has a dot, and `at` has dots between names; have the "
            "organisation answer without it"
        )
    if wanted is not None and wanted.partition(".")[0] == outermost:
        wanted = wanted.partition(".")[2]
    below = found(replace(answer, node=member.node), wanted, where)
    others = [f"{outermost}.{other}" for other in below.others]
    return Found(answer, below.record, [outermost, *below.steps], below.one, others, below.around)


def _at(answer: AnswerShape, wanted: str, where: str) -> Found:
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


@dataclass(slots=True)
class _List:
    steps: list[str]
    record: Object
    own: int  # members of a record's kind in the objects around it, below the root


def _lists(root: Object, steps: tuple[str, ...] = (), own: int = 0) -> Iterator[_List]:
    for name, member in root.members.items():
        if "." in name:  # `at` has dots between members, so it cannot name this one
            continue
        if isinstance(member.node, Listed) and isinstance(member.node.of, Object):
            yield _List([*steps, name], member.node.of, own)
        elif isinstance(member.node, Object) and len(steps) < _DEEPEST:
            yield from _lists(member.node, (*steps, name), own + len(_own(member.node)))


def _key(name: str) -> str:
    return singular("".join(ascii_words(name)))


def _score(each: _List, answer: AnswerShape) -> float:
    """How likely it is what the answer is about."""
    words = {_key(word) for word in answer.path.split("/") if "{" not in word}
    telling = each.steps[-1:] if each.own else each.steps  # {"party": {"name": …, "addresses": []}} is about the party
    score = -1.0 * len(each.steps) + min(2.0, len(each.record.members) / 5)
    score += 5 * bool(words & {_key(step) for step in telling})
    score += 4 * ("".join(ascii_words(each.steps[-1])) in _LISTS)
    return score - 20 * any(set(ascii_words(step)) & _BESIDE for step in each.steps)


def _leads(root: Object, each: _List, answer: AnswerShape) -> bool:
    """Whether the list is what the answer is about, and the root no record of its own that has a list in it."""
    score = _score(each, answer)
    own = each.own + len(_own(root))
    if score < _BESIDE_SCORE:
        return False
    if answer.path.rstrip("/").endswith("}"):  # one resource by its id
        return own == 0
    return own <= 2 or (score >= 3 and each.own <= 2)


def _own(root: Object) -> list[str]:
    """Members that a record would have, and an envelope has not."""
    return [
        name
        for name, member in root.members.items()
        if isinstance(member.node, PlainValue) and not set(ascii_words(name)) & (_COUNTS | _BESIDE)
    ]


def _wrapped(root: Object) -> tuple[list[str], Object]:
    """A record that stands alone, out of what is only around it."""
    steps: list[str] = []
    while not _own(root) and len(steps) < _DEEPEST:
        inside = {
            name: member.node
            for name, member in root.members.items()
            if isinstance(member.node, Object) and not set(ascii_words(name)) & _BESIDE and "." not in name
        }
        telling = [name for name in inside if "".join(ascii_words(name)) in _WRAPS] or list(inside)
        if len(telling) != 1:
            break
        steps.append(telling[0])
        root = inside[telling[0]]
    return steps, root


def named(record: Object, each: Found) -> str:
    """A name for the type of the records: its own, unless it only says that it is a record or an answer."""
    if record.name not in _TELL_NOTHING and not _VERSION.fullmatch(record.name):
        return record.name
    words = [word for word in each.answer.route.split("/") if word and "{" not in word and not _VERSION.fullmatch(word)]
    outer = [step for step in each.steps if "".join(ascii_words(step)) not in _LISTS | _WRAPS]
    name = outer[-1] if outer else words[-1] if words else "Record"
    return type_name(singular(name))


@dataclass(slots=True)
class PagesGuess:
    keys: dict[str, str | int]
    why: str


def pages(reading: Reading, all_found: list[Found]) -> PagesGuess | None:
    """How pages follow, as the first answer with a sign of it says."""
    ways = {parameter.way: name for name, parameter in reading.parameters.items() if parameter.way}
    size = next((name for name, parameter in reading.parameters.items() if parameter.keys["as"] == "size"), "")
    sized: dict[str, str | int] = {"size": size} if size else {}
    links: list[str] = []
    cursors: list[str] = []
    for each in all_found:
        if each.envelope is not None and not each.one:
            for path in islice(_leading(each.envelope), 20):
                (cursors if _is_cursor(path) else links).append(".".join(path))
    if cursors and ("cursor" in ways or not links):
        key: dict[str, str | int] = {"by": "cursor", "at": cursors[0], "parameter": ways.get("cursor", "TO FILL")}
        return PagesGuess(key, "by its name")
    if links:
        return PagesGuess({"by": "link", "at": links[0]}, "by its name")
    if reading.linked:
        return PagesGuess({"by": "link-header"}, "an answer has a Link header")
    if "page" in ways:
        return PagesGuess(
            {"by": "page", "parameter": ways["page"], **sized, "first": 1}, "by the parameter; is the first 1?"
        )
    if "offset" in ways:
        return PagesGuess({"by": "offset", "parameter": ways["offset"], **sized}, "by the parameter")
    return None


def _leading(root: Object, steps: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, member in root.members.items():
        words = set(ascii_words(name))
        if isinstance(member.node, PlainValue) and member.node.word in ("s", "x", "p", "j", "-"):
            last = words if words != {"href"} else set(ascii_words(steps[-1])) if steps else set()
            if "next" in last:
                yield (*steps, name)
        elif isinstance(member.node, Object) and len(steps) < 3:
            yield from _leading(member.node, (*steps, name))


def _is_cursor(path: tuple[str, ...]) -> bool:
    return bool(set(ascii_words(path[-1])) & {"cursor", "token", "continuation"})


def around(each: Found) -> Iterator[tuple[Object, str]]:
    """(type, member) beside the records that counts them, as far as its name says so."""
    waiting, seen = [each.envelope] if each.envelope is not None else [], {id(each.record)}
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        for name, member in holder.members.items():
            if isinstance(member.node, Object):
                waiting.append(member.node)
            elif isinstance(member.node, PlainValue) and member.node.word in "in" and set(ascii_words(name)) & _TOTALS:
                yield holder, name


def tell_others(each: Found) -> Iterator[Remark]:
    if each.one:
        return  # those inside it are members of the record
    for other in each.others[:3]:
        yield Remark(
            each.answer.path or each.answer.name,
            f"another list beside the records: {other}",
            f'a call of its own with at = "{other}", if it should be given',
        )
