"""An answer beside what an app gets of it: every member is there, or has one reason why not.

The engine decides what leaves. Here its result is compared with the answer along the format's shapes, and what is
missing is looked up in the declaration. Nothing is cut here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.catalogue import shapes
from gateway.catalogue.datasets import Dataset, Member
from gateway.catalogue.formats import Format
from gateway.catalogue.made import Made
from gateway.catalogue.shapes import Table, inner, members
from gateway.formats.linting import is_identifier

SAME, CHANGED, WITHHELD, ADDED = "same", "changed", "withheld", "added"

# kind of reason → its sentence; {braces} are filled in
REASONS: Mapping[str, str] = {
    # a member does not leave
    "field": "field not chosen: {fields} would give it",
    "shared": "given only together with {fields}",
    "in-no-field": "in no field",
    "never": "declared as -, never given",
    "undeclared": "not declared",
    "only": "only where {member} is {values}",
    "no-rule": "beside the records, and no rule in [format.around]",
    "only-page": "a number of pages tells how much is withheld",
    "no-page": "leads to no page that the app may have",
    "no-date": "is no date, so it cannot be cut to the period",
    "null": "null, and nothing to write anew",
    "unmakeable": "nothing can be made of it by {how}",
    "coarse-beside": "made coarser in records alone ({how}), so beside them it is not given",
    # a record does not leave
    "period": "outside the period (its time: {time})",
    "timeless": "it has no time, so it cannot be inside a period",
    "account": "of an account that is not shared: {account}",
    "other-call": "of another account than the call is for: {account}",
    "limit": "above the limit of {limit} records",
    "short": "it has fewer cells than the first line has names",
    "drops": "without {fields} no record is given",
    "refused": "the call is refused",
    # an answer over records is given in their place
    "counted": "it counts, and does not leave itself",
    "not-over": "its {unit} is not over yet (its time: {time})",
    "cut-unit": "its {unit} is not wholly inside the period (its time: {time})",
    "other-part": "in another part of the period than its sample is asked for (its time: {time})",
    "read": "the answer is made of it, and it does not leave",
    "unread": "not read for the answer, and does not leave",
    "over": "{what}",
    "no-edge": "the period is open at this side",
    "nothing": "no record has it",
    # a member leaves, and is another
    "reference": "the app's own reference of the account",
    "pairwise": "the app's own identifier (p)",
    "instead": "required by the format: a neutral value in place of {fields}",
    "address": "an address at the gateway",
    "cut": "cut to the period",
    "number": "an account's number in it is replaced",
    "coarser": "made coarser: {how}",
    "coarser-or": "made coarser: {how}; where nothing can be made of it, the neutral value that the format requires",
    "presence": "made coarser: only whether it is there",
}


@dataclass(frozen=True, slots=True)
class Reason:
    kind: str  # of REASONS
    text: str

    @classmethod
    def of(cls, kind: str, **words: str) -> "Reason":
        return cls(kind, REASONS[kind].format(**words))


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One member of an answer. `left`: as the organisation sent it, `right`: as the app gets it, both as JSON."""

    path: str
    fate: str  # same | changed | withheld | added
    left: str = ""
    right: str = ""
    reason: Reason | None = None
    member: Member = ("", "")


class Number(str):
    """A number as it was written."""


def parsed(text: bytes) -> Any:
    """JSON in which numbers stay as they are written. Raises ValueError, RecursionError."""
    return json.loads(text, parse_float=Number, parse_int=Number)


def written(value: Any) -> str:
    """The value as JSON again, in one line."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {written(each)}" for name, each in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Explains(Protocol):
    """What a comparison asks where the two sides differ."""

    def missing(self, kind: str, name: str) -> Reason:
        """Why a declared member is not there."""

    def changed(self, member: Member, word: str) -> Reason:
        """Why a member is another, or is there though the organisation sent none."""

    def replaced(self, member: Member) -> bool:
        """Whether the member is another as a whole, whatever is in it."""

    def emptied(self, member: Member) -> bool:
        """Whether no text in its place is the member withheld, as of an element of XML that stays for what it holds."""


def rows(
    table: Table, word: str, left: Any, right: Any, why: Explains, path: str = "", at: Member = ("", "")
) -> Iterator[ComparedRow]:
    """What has become of every member of a value of this word."""
    if why.replaced(at):
        yield ComparedRow(path, CHANGED, written(left), written(right), why.changed(at, word), at)
    elif isinstance(left, dict) and isinstance(right, dict) and (word in table or word.endswith("{}")):
        yield from _of_object(table, word, left, right, why, path, at)
    elif isinstance(left, list) and isinstance(right, list) and word.endswith("*") and len(left) == len(right) > 0:
        for number, (each, given) in enumerate(zip(left, right, strict=True)):
            yield from rows(table, word[:-1], each, given, why, f"{path}[{number}]", at)
    elif _same(left, right):
        yield ComparedRow(path, SAME, written(left), written(right), None, at)
    else:
        yield ComparedRow(path, CHANGED, written(left), written(right), why.changed(at, word), at)


def _of_object(
    table: Table, word: str, left: dict[str, Any], right: dict[str, Any], why: Explains, path: str, at: Member
) -> Iterator[ComparedRow]:
    known = members(table, word) if word in table else dict.fromkeys(left, word[:-2])
    if not left and not right:
        yield ComparedRow(path, SAME, "{}", "{}", None, at)
    for name, value in left.items():
        member = (word, name) if word in table else at
        inside = f"{path}.{name}" if path else name
        if name in right and name in known and not (right[name] == "" != value and why.emptied(member)):
            yield from rows(table, known[name], value, right[name], why, inside, member)
        else:
            reason = why.missing(word, name) if name in known else Reason.of("undeclared")
            yield ComparedRow(inside, WITHHELD, written(value), "", reason, member)
    for name, value in right.items():
        if name not in left:
            inside = f"{path}.{name}" if path else name
            yield ComparedRow(
                inside, ADDED, "", written(value), why.changed((word, name), known.get(name, "")), (word, name)
            )


def _same(left: Any, right: Any) -> bool:
    """Equal, and of the same kind: "1" is not 1."""
    return written(left) == written(right)


class Reasons:
    """Why members of one type of data are not given, or are others, for one set of granted fields."""

    def __init__(
        self,
        form: Format,
        dataset: Dataset,
        granted: frozenset[str],
        withheld: frozenset[Member],
        coarse: Mapping[Member, Made],
    ) -> None:
        """`coarse`: of those that are withheld, what is made of them in records."""
        self._form, self._dataset, self.withheld, self.coarse = form, dataset, withheld, coarse
        self._left_out = [field for field in dataset.fields.values() if field.id not in dataset.given(granted)]
        self._owners = {(kind, path[-1]) for kind, path in _ends(form)}

    def missing(self, kind: str, name: str) -> Reason:
        """Of a member of a record that is declared, and does not leave."""
        if inner(members(self._form.shapes, kind)[name]) in shapes.NEVER:
            return Reason.of("never")
        if (kind, name) in self.coarse:
            return Reason.of("unmakeable", how=self.coarse[kind, name].text)
        if (kind, name) in self.withheld:
            return self.left_out((kind, name))
        only = self._form.only.get((kind, name))
        if only is not None:
            return Reason.of("only", member=only.member, values=" or ".join(only.values))
        return Reason.of("null")

    def left_out(self, member: Member) -> Reason:
        naming = [field for field in self._dataset.fields.values() if member in field.find | field.shared]
        if not naming:
            return Reason.of("in-no-field")
        chosen = [field.made for field in naming if field not in self._left_out and field.made is not None]
        if chosen:
            return Reason.of("unmakeable", how=chosen[0].text)
        shared = [field.id for field in self._left_out if member in field.shared]
        if shared:
            return Reason.of("shared", fields=" and ".join(shared))
        return Reason.of("field", fields=" or ".join(field.id for field in naming))

    def changed(self, member: Member, word: str) -> Reason:
        if member in self.coarse:
            return self._coarser(member)
        if member in self.withheld and member in self._form.instead:
            return Reason.of("instead", fields=" or ".join(self._naming(member)) or "what is in no field")
        if member in self._owners:
            return Reason.of("reference")
        return Reason.of("pairwise" if inner(word) == "p" else "number")

    def _coarser(self, member: Member) -> Reason:
        how = self.coarse[member]
        if how.word == "yes":
            return Reason.of("presence")
        return Reason.of("coarser-or" if member in self._form.instead else "coarser", how=how.text)

    def _naming(self, member: Member) -> list[str]:
        return [field.id for field in self._dataset.fields.values() if member in field.find | field.shared]

    def replaced(self, member: Member) -> bool:
        return member in self.withheld and member in self._form.instead and member not in self.coarse

    def emptied(self, member: Member) -> bool:
        return self._form.driver == "xml" and member in self.withheld and member not in self._form.instead


class Beside:
    """The same of what stands beside the records. `rules`: those of the format, for members and for paging."""

    def __init__(self, form: Format, reasons: Reasons, rules: Mapping[Member, str]) -> None:
        self._form, self._reasons, self._rules = form, reasons, rules

    def missing(self, kind: str, name: str) -> Reason:
        if inner(members(self._form.shapes, kind)[name]) in shapes.NEVER:
            return Reason.of("never")
        if (kind, name) in self._reasons.coarse:
            return Reason.of("coarse-beside", how=self._reasons.coarse[kind, name].text)
        if (kind, name) in self._reasons.withheld:
            return self._reasons.left_out((kind, name))
        return Reason.of(_BESIDE.get(self._rules.get((kind, name), ""), "no-rule"))

    def changed(self, member: Member, word: str) -> Reason:
        return Reason.of(_BESIDE_CHANGED.get(self._rules.get(member, ""), "address"))

    def replaced(self, member: Member) -> bool:
        return False

    def emptied(self, member: Member) -> bool:
        return self._reasons.emptied(member)


_BESIDE = {"only-page": "only-page", "own": "no-page", "start": "no-page", "before": "no-page", "next": "no-page",
           "not-before": "no-date", "not-after": "no-date", "same": "null", "account": "null"}  # fmt: skip
_BESIDE_CHANGED = {"not-before": "cut", "not-after": "cut", "account": "reference", "same": "number"}


def _ends(form: Format) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(type, path) of the member that names the account, in each type of record."""
    for kind, records in form.records.items():
        if records.account:
            for name in records.account[:-1]:
                kind = inner(members(form.shapes, kind)[name])
            yield kind, records.account


# ---- members that nobody has declared


@dataclass(slots=True)
class Unknown:
    """A member that is in no line of shapes, and what could be written for it."""

    kind: str
    name: str
    where: str
    times: int
    word: str
    types: dict[str, str]  # further lines of shapes that the word needs


def undeclared(table: Table, word: str, value: Any) -> list[Unknown]:
    found: dict[Member, list[Any]] = {}
    places: dict[Member, str] = {}
    _look(table, word, value, "", found, places)
    made = []
    known = dict(table)
    for (kind, name), values in found.items():
        types: dict[str, str] = {}
        proposed = proposal(name, values, known, types)
        known |= types
        made.append(Unknown(kind, name, places[kind, name], len(values), proposed, types))
    return made


def merged(first: list[Unknown], second: list[Unknown]) -> list[Unknown]:
    """Of two answers. What both have is proposed as in the first."""
    found = {(each.kind, each.name): each for each in first}
    for each in second:
        known = found.setdefault((each.kind, each.name), each)
        if known is not each:
            known.times += each.times
    return list(found.values())


def _look(
    table: Table, word: str, value: Any, where: str, found: dict[Member, list[Any]], places: dict[Member, str]
) -> None:
    if word.endswith("*") and isinstance(value, list):
        for each in value:
            _look(table, word[:-1], each, where, found, places)
    elif word.endswith("{}") and isinstance(value, dict):
        for each in value.values():
            _look(table, word[:-2], each, where, found, places)
    elif word in table and isinstance(value, dict):
        known = members(table, word)
        for name, inside in value.items():
            place = f"{where}.{name}" if where else name
            if name in known:
                _look(table, known[name], inside, place, found, places)
            else:
                found.setdefault((word, name), []).append(inside)
                places.setdefault((word, name), place)


_DECIMAL = re.compile(r"-?[0-9]{1,17}\.[0-9]{1,9}")


def proposal(name: str, values: list[Any], table: Table, types: dict[str, str]) -> str:
    """A word for a member with these values; `types` gets the lines that it needs besides."""
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    if all(isinstance(value, list) for value in there):
        return proposal(name, [each for value in there for each in value], table, types).replace("-", "s") + "*"
    if all(isinstance(value, dict) for value in there):
        return _type(name, there, table, types)
    words = {_word(name, value) for value in there}
    if len(words) == 1:
        return words.pop()
    return "n" if words == {"i", "n"} else "x" if "x" in words and words <= {"x", "s", "d", "p"} else (
        "s" if words <= {"s", "d", "p"} else "v" if not words & {"j"} else "j"
    )  # fmt: skip


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, Number):
        return "p" if value.isdigit() and is_identifier(name) else "i" if value.lstrip("-").isdigit() else "n"
    if isinstance(value, str):
        if is_identifier(name) and " " not in value:
            return "p"
        return "d" if _DECIMAL.fullmatch(value) else "x" if " " in value.strip() else "s"
    return "j"


def _type(name: str, values: list[dict[str, Any]], table: Table, types: dict[str, str]) -> str:
    kind = re.sub(r"[^A-Za-z0-9]", "", name[:1].upper() + name[1:]) or "Inside"
    kind = kind if kind[0].isalpha() and len(kind) > 1 else f"Type{kind}"
    while kind in table or kind in types:
        kind += "2"
    types[kind] = ""
    inside: dict[str, list[Any]] = {}
    for value in values:
        for each, held in value.items():
            inside.setdefault(each, []).append(held)
    line = [shapes.written(each, proposal(each, held, table, types)) for each, held in inside.items() if each]
    types[kind] = " ".join(line)
    return kind


# ---- where an answer is of another shape than declared

_SAID = {"s": "a text", "x": "a text", "d": "a text", "p": "a text or a whole number", "b": "true or false",
         "i": "a whole number", "n": "a number", "v": "a text, a number, true or false"}  # fmt: skip


def unlike(table: Table, word: str, value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(place, what is declared and what is there) of every value that is not of its word."""
    if value is None or word == "j" or word == "-":
        return
    if word == "!":
        yield where, "is declared as !: where it stands nothing is given"
    elif word.endswith("*"):
        if not isinstance(value, list):
            yield where, f"is declared as a list ({word}), and is {_kind(value)}"
            return
        for number, each in enumerate(value):
            yield from unlike(table, word[:-1], each, f"{where}[{number}]")
    elif word.endswith("{}") or word in table:
        if not isinstance(value, dict):
            yield where, f"is declared as an object ({word}), and is {_kind(value)}"
            return
        known = members(table, word) if word in table else dict.fromkeys(value, word[:-2])
        for name, inside in value.items():
            if name in known:
                yield from unlike(table, known[name], inside, f"{where}.{name}" if where else name)
    elif not _fits(word, value):
        yield where, f"is declared as {_SAID.get(word, word)} ({word}), and is {_kind(value)}"


def _fits(word: str, value: Any) -> bool:
    if word in ("s", "x", "d"):
        return isinstance(value, str) and not isinstance(value, Number)
    if word == "b":
        return isinstance(value, bool)
    if word == "i":
        return isinstance(value, Number) and value.lstrip("-").isdigit()
    if word == "n":
        return isinstance(value, Number)
    if word == "p":
        return isinstance(value, str) and (not isinstance(value, Number) or value.lstrip("-").isdigit())
    return isinstance(value, str | bool)


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        return "a number"
    return {bool: "true or false", str: "a text", list: "a list", dict: "an object"}.get(type(value), "null")
