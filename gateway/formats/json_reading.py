"""How the answers of one call are read, for one set of given members. People who agreed to the same fields share one.

The table of the format is followed along the place of the records: they are read as what they are, and whatever stands
beside them on the way as text, for `json_around`. The one pass over the records is written out as source: only what
this format needs is done for each.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from msgspec import UNSET, Raw

from gateway.catalogue.formats import Format, FormatCall, Path, Records, along
from gateway.catalogue.made import Made
from gateway.catalogue.shapes import NEVER, Table, inner, members, reached, written
from gateway.formats import stamps
from gateway.formats.drift import Seen, unheard
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import AS_TEXT, Member, Reader, attributes, coarsener, encode, pairwiser, remover

DECIMAL = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,9})?")  # a text of this form in a `d` is an amount and no identifier
Pass = Callable[..., int]


class JsonReading:
    def __init__(
        self,
        form: Format,
        call: FormatCall,
        governed: frozenset[str],
        given: frozenset[Member],
        withheld: frozenset[Member],
        coarse: Mapping[Member, Made],
    ) -> None:
        """`coarse`: given members of which something else is made before they leave."""
        kind = call.records
        self.at, self.single = form.place(call), form.single(call)
        self.lines = form.driver == "ndjson"
        instead = {member: Raw(encode(value)) for member, value in form.instead.items() if member in withheld}
        root, table = _followed(form, call, kind)
        self.beside = [] if not self.at else _beside(form, call, self.at, table)
        plain_root, plain = _followed(form, call, "Raw")
        self._answer = Reader(table, root, withheld, record=kind, unread=governed, neutral=instead, nulls=True)
        self._plain = Reader(plain, plain_root, nulls=True)
        self._record = Reader(form.shapes, kind, withheld, unread=governed, neutral=instead, nulls=True)
        self.attributes = _attributes_along(table, root, self.at)
        self._of = _attributes_along(form.shapes, kind, call.answer.of if call.answer is not None else ())
        self.pairwise = pairwiser(form.shapes, kind, withheld.union(coarse))
        self.coarse = sorted(coarse)
        always = frozenset(member for member, how in coarse.items() if how.word == "yes")
        self.coarsen = coarsener(form.shapes, kind, withheld, self.coarse, always) if coarse else None
        self.formal = dict.fromkeys(_amounts(form.shapes, kind), DECIMAL)
        remove = remover(form.shapes, kind, withheld, governed, instead)
        self.cut = _pass(form, form.records[kind], remove, given, ".".join(self.at))

    def answer(self, body: bytes, seen: Seen | None) -> tuple[Any, list[Any], list[int]]:
        """The answer, its records, and for each record how many members inside its elements were withheld.

        Raises UnknownShape. Only then the answer is searched for the wrong record.
        """
        if self.lines:
            body = b"[%b]" % b",".join(line for line in body.splitlines() if line.strip())
        try:
            found, inside = self._answer.read_each(body, "", seen)
        except UnknownShape:
            self._find_fault(body, None if seen is None else unheard())
            raise
        records = self._list(found)
        if not records and self.at and seen is not None:
            self._really_none(found, body)
        if len(inside) != len(records) + 1:  # the answer has its list twice
            raise UnknownShape(".".join(self.at))
        return found, records, inside

    def value(self, record: Any) -> str | None:
        """The text of the member of which the call gives an answer, as it is written; None: it is not there, or no
        text and no number."""
        for attribute in self._of:
            record = None if record is None or record is UNSET else getattr(record, attribute)
        try:
            return None if record is None or record is UNSET else stamps.text_of(record)
        except ValueError:
            return None

    def _find_fault(self, body: bytes, seen: Seen | None) -> None:
        found, _ = self._plain.read(body, "", seen)
        for index, record in enumerate(self._list(found)):
            self._record.read(record, f"{'.'.join(self.at)}[{index}]", seen)

    def _really_none(self, answer: Any, body: bytes) -> None:
        """Raises UnknownShape where the list is missing and something undeclared is there: it may have another name
        now, and that no record was given is not that there is none."""
        for attribute in self.attributes:
            answer = getattr(answer, attribute)
        if answer is UNSET:
            self._plain.read(body)

    def _list(self, answer: Any) -> list[Any]:
        for name, attribute in zip(self.at, self.attributes, strict=True):
            if answer is None or answer is UNSET:
                raise UnknownShape(name)
            answer = getattr(answer, attribute)
        if answer is UNSET or answer is None:
            return []
        return [answer] if self.single else answer


def _followed(form: Format, call: FormatCall, record: str) -> tuple[str, dict[str, str]]:
    """Root and table in which the records are of type `record`, and everything beside them is text."""
    at = form.place(call)
    word = record if form.single(call) else f"{record}*"
    if not at:
        return word, dict(form.shapes)
    table, kind = dict(form.shapes), call.envelope
    for depth, name in enumerate(at):
        known = members(form.shapes, kind)
        inside = word if depth == len(at) - 1 else f"{inner(known[name])}@{depth + 1}"
        words = {each: inside if each == name else _text_or_never(found) for each, found in known.items()}
        table[f"{kind}@{depth}"] = " ".join(written(each, found) for each, found in words.items())
        kind = inner(known[name])
    return f"{call.envelope}@0", table


def _text_or_never(word: str) -> str:
    return "!" if inner(word) == "!" else "Raw"


def _beside(form: Format, call: FormatCall, at: Path, table: Table) -> list[tuple[int, str, str, str]]:
    """What stands beside the records and may be written anew: (depth, type, member, attribute)."""
    found = []
    kind = call.envelope
    for depth, name in enumerate(at):
        known = members(form.shapes, kind)
        spelt = attributes(table, f"{kind}@{depth}")
        found += [(depth, kind, each, spelt[each]) for each, word in known.items()
                  if each != name and inner(word) not in NEVER]  # fmt: skip
        kind = inner(known[name])
    return found


def _attributes_along(table: Table, root: str, at: Path) -> tuple[str, ...]:
    found = []
    kind = root
    for name in at:
        found.append(attributes(table, kind)[name])
        kind = members(table, kind)[name]
    return tuple(found)


def _amounts(table: Table, kind: str) -> Iterator[bytes]:
    """The members that are an amount wherever they stand in a record, as they are written in JSON."""
    words: dict[str, set[str]] = {}
    below = [word for each in reached(table, kind) for word in members(table, each).values()]
    if any(inner(word) == "j" or ("{}" in word and inner(word) not in table) for word in below):
        return  # there any name may stand
    for each in reached(table, kind):
        for name, word in members(table, each).items():
            words.setdefault(name, set()).add(word)
    for name, found in words.items():
        if "d" in found and all(word == "d" or word in table for word in found):
            yield encode(name) + b":"


# ---- the pass over the records


def _pass(form: Format, records: Records, remove: Callable[[Any], int], given: frozenset[Member], where: str) -> Pass:
    table, kind = form.shapes, records.kind
    scope: dict[str, Any] = {
        "UNSET": UNSET, "UnknownShape": UnknownShape, "remove": remove, "stamp": stamps.stamp(records.time.written),
        "of_parts": stamps.of_parts, "length": stamps.length, "text_of": stamps.text_of,
        "empty": frozenset(records.time.empty),
    }  # fmt: skip
    lines = [
        "def cut(found, inside, low, high, refs, most, zone, kept, spans):",
        " fields = index = 0",
        " try:",
        "  for index, record in enumerate(found):",
        *_at(3, _judging(table, records, where)),
        "   fields += inside[index] + remove(record)",
        *_at(3, _only(form, kind, given, scope)),
        "   kept.append(record)",
        *(["   spans.append((start, end))"] if records.time.how not in ("none", "state") else []),
        " except (ValueError, OverflowError):",
        f"  raise UnknownShape({where!r} + f'[{{index}}]' + {_named(records)!r}) from None",
        " return fields",
    ]
    made: dict[str, Any] = {}
    exec("\n".join(lines), scope, made)
    return made["cut"]  # type: ignore[no-any-return]


def _at(depth: int, lines: list[str]) -> list[str]:
    return [" " * depth + line for line in lines]


def _named(records: Records) -> str:
    return "." + ".".join(records.time.paths[0]) if records.time.paths else ""


def _reached(table: Table, kind: str, path: Path, into: str) -> list[str]:
    """Statements that put what stands at a path of a record into a variable; None where it is not there."""
    lines, value = [], "record"
    for depth, name in enumerate(path):
        place = f"{value}.{attributes(table, kind)[name]}"
        kind = members(table, kind)[name]
        if depth == 0:
            lines.append(f"{into} = {place}")
        else:
            lines.append(f"{into} = {place} if {value} is not None and {value} is not UNSET else None")
        value = into
    lines.append(f"if {into} is UNSET: {into} = None")
    if kind in AS_TEXT:
        lines.append(f"if {into} is not None and bytes({into}) == b'null': {into} = None")
    return lines


def _said(table: Table, kind: str, path: Path, into: str) -> list[str]:
    """The same of a time: an empty text says nothing either."""
    *_, (owner, name) = along(table, kind, path) or []
    empty = f"bytes({into}) == b'\"\"'" if members(table, owner)[name] in AS_TEXT else f"not {into} and {into} == ''"
    return [*_reached(table, kind, path, into), f"if {into} is not None and {empty}: {into} = None"]


def _judging(table: Table, records: Records, where: str) -> list[str]:
    """Statements that go on to the next record unless this one is given."""
    lines = [*_timed(table, records), *_owned(table, records, where)]
    if not records.time.lenient:
        return lines
    return ["try:", *_at(1, lines), "except (ValueError, OverflowError): continue"]


def _timed(table: Table, records: Records) -> list[str]:
    """Statements that go on to the next record unless this one is inside the window."""
    time, kind = records.time, records.kind
    if time.how == "none":
        return []
    names = [f"t{number}" for number in range(len(time.paths))]
    lines = [line for name, path in zip(names, time.paths, strict=True) for line in _said(table, kind, path, name)]
    if time.empty:
        lines += [f"if {name} is not None and text_of({name}) in empty: {name} = None" for name in names]
    if time.how == "state":
        return [*lines, *_state(names)]
    if time.how == "instant":
        lines += [f"if t0 is None: t0 = {name}" for name in names[1:]]
        names = names[:1]
    lines += [f"if {' or '.join(f'{name} is None' for name in names)}: continue"]
    if time.how == "parts":
        lines += [f"start, end = of_parts(({', '.join(names)},), {time.months_from}, zone)"]
    elif time.how == "span" and len(names) == 2:
        lines += ["start, end = stamp(t0, zone)[0], stamp(t1, zone)[1]", "if end < start: raise ValueError"]
    else:
        lines += ["start, end = stamp(t0, zone)"]
    lines += _lasting(table, records)
    return [
        *lines,
        "if (low is not None and start < low) or (high is not None and (start >= high or end > high)): continue",
    ]


def _lasting(table: Table, records: Records) -> list[str]:
    time = records.time
    if not (time.length or time.length_path):
        return []
    lines = [f"lasts = length({str(time.length)!r})"]
    if time.length_path:
        lines = [*_said(table, records.kind, time.length_path, "lasts"), "if lasts is None: continue"]
        lines += ["lasts = length(lasts)"]
    # of a whole day the day counts as well
    return [*lines, "start = start - lasts" if time.ends else "end = max(end, start + lasts)"]


def _state(names: list[str]) -> list[str]:
    """A state from t0 to t1, either of which may be open: it is given if it overlaps the window. One that ends before
    it begins is not."""
    lines = ["start = None if t0 is None else stamp(t0, zone)[0]"]
    lines += ["end = None if t1 is None else stamp(t1, zone)[1]" if len(names) == 2 else "end = None"]
    return [
        *lines,
        "if start is not None and end is not None and end < start: continue",
        "if (high is not None and start is not None and start >= high) or "
        "(low is not None and end is not None and end <= low): continue",
    ]


def _owned(table: Table, records: Records, where: str) -> list[str]:
    """Statements that go on unless the record is of an account in `refs`, and replace that account's number."""
    if not records.account:
        return ["if len(kept) >= most: continue"]
    path, kind, owner = records.account, records.kind, "record"
    lines = _reached(table, kind, path, "owner")
    for name in path[:-1]:
        owner += f".{attributes(table, kind)[name]}"
        kind = members(table, kind)[name]
    place = f"{owner}.{attributes(table, kind)[path[-1]]}"
    wrong = f"{where!r} + f'[{{index}}]' + {'.' + '.'.join(path)!r}"
    return [
        *lines,
        "if owner is None: continue" if records.time.lenient else f"if owner is None: raise UnknownShape({wrong})",
        "ref = refs.get(owner if type(owner) is str else text_of(owner))",
        "if ref is None or len(kept) >= most: continue",
        f"{place} = ref",
    ]


def _only(form: Format, kind: str, given: frozenset[Member], scope: dict[str, Any]) -> list[str]:
    """Statements that take out members that are given only where another has one of some values."""
    lines = []
    spelt = attributes(form.shapes, kind)
    for number, ((owner, name), only) in enumerate(form.only.items()):
        if owner == kind and (kind, name) in given:
            scope[f"values{number}"] = frozenset(only.values)
            place = f"record.{spelt[name]}"
            lines += [
                f"if {place} is not UNSET and record.{spelt[only.member]} not in values{number}:",
                f" {place}, fields = UNSET, fields + 1",
            ]
    return lines


_FORMS: dict[int, Format] = {}


@lru_cache(maxsize=512)
def _reading(
    form: int,
    call: str,
    governed: frozenset[str],
    given: frozenset[Member],
    withheld: frozenset[Member],
    coarse: frozenset[tuple[Member, Made]],
) -> JsonReading:
    return JsonReading(_FORMS[form], _FORMS[form].calls[call], governed, given, withheld, dict(coarse))


def reading(
    form: Format,
    call: str,
    governed: frozenset[str],
    given: frozenset[Member],
    withheld: frozenset[Member],
    coarse: Mapping[Member, Made],
) -> JsonReading:
    _FORMS[id(form)] = form
    return _reading(id(form), call, governed, given, withheld, frozenset(coarse.items()))
