"""Samples of answers, in the format that they are in."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.formats.drafting import columns, elements, files, guesses
from gateway.formats.drafting.nodes import UNKNOWN, Keyed, Listed, Member, Object, PlainValue, Unreadable, inner, many
from gateway.formats.drafting.reading import Reading
from gateway.formats.drafting.seen import SeenValues, Settled


def read(paths: list[Path]) -> Reading:
    """Raises Unreadable."""
    bodies = [(path, files.read(path)) for path in paths]
    drivers = {_driver(path, body) for path, body in bodies}
    if len(drivers) > 1:
        raise Unreadable(
            f"{', '.join(map(str, paths))}: are of several formats ({', '.join(sorted(drivers))}); one at a time"
        )
    return _READERS[drivers.pop()](bodies)


def _driver(path: Path, body: bytes) -> str:
    """The word of `driver`. Raises Unreadable for what is none of them."""
    suffix = path.suffix.lower()
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if suffix == ".csv" or suffix == ".tsv":
        return "csv"
    if start == b"<":
        return "xml"
    if suffix in (".ndjson", ".jsonl"):
        return "ndjson"
    if body[:2] in files.MARKS:
        files.text(path, body)
    lines = [line for line in body.splitlines() if line.strip()][:2]
    if start not in (b"{", b"[", b'"') and not start.isdigit():
        raise Unreadable(f"{path}: is neither JSON nor XML, nor called .csv; for CSV write --csv {path}")
    if len(lines) == 2 and all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return "ndjson"
    return "json"


_NO_SAMPLES = {  # option → what it is for, and the members by which that is known
    "--openapi": ("an OpenAPI description", {"openapi", "swagger"}),
    "--schema": ("a JSON Schema", {"$schema", "$defs"}),
}


def _json(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("json", seen=True)
    calls = _calls([(path, _answer(path, body)) for path, body in bodies])
    for call in calls:
        seen = SeenValues()
        for path, value in call:
            _add(path, seen, value)
        paths = [path for path, _ in call]
        if len(seen.kinds) > 1:
            raise Unreadable(f"{paths[0]}: and others are lists here and objects there; draft from one kind at a time")
        _settled(reading, seen, paths)
    if len(calls) > 1:
        each = "; ".join(" and ".join(str(path) for path, _ in call) for call in calls)
        reading.told.append(f"they look like answers of {len(calls)} calls, so one is drafted for each: {each}")
    return reading


def _answer(path: Path, body: bytes) -> dict[str, Any] | list[Any]:
    value = files.json_value(path, body)
    for option, (what, keys) in _NO_SAMPLES.items():
        if isinstance(value, dict) and keys & value.keys():
            raise Unreadable(f"{path}: is {what}; write {option} {path}")
    if not isinstance(value, dict | list):
        raise Unreadable(f"{path}: is one bare value; a record is an object, so give an answer with objects in it")
    if isinstance(value, list) and not any(isinstance(each, dict) for each in value):
        what = "is an empty list" if not value else "is a list of bare values or of lists"
        raise Unreadable(f"{path}: {what}; records are objects, so give an answer that holds at least one")
    return value


_ALIKE = 0.4  # of the names of the smaller of two answers, so many stand in the other if they are of one call
_DEEP = 3  # names of members inside each other, that are compared
Answered = tuple[Path, Any]


def _calls(answers: list[Answered]) -> list[list[Answered]]:
    """The answers that look like those of one call, together: most of their names are the same."""
    calls: list[tuple[set[str], list[Answered]]] = []
    for answer in answers:
        names = set(_names(answer[1]))
        alike = (call for call in calls if len(call[0] & names) >= _ALIKE * min(len(call[0]), len(names)))
        found = next(alike, None)
        if found is None:
            calls.append((names, [answer]))
        else:
            found[0].update(names)
            found[1].append(answer)
    return [call for _, call in calls]


def _names(value: Any, around: str = "", depth: int = _DEEP) -> Iterator[str]:
    """With the names around them; of lists those of their objects."""
    if isinstance(value, list):
        for each in value:
            yield from _names(each, around, depth)
    elif isinstance(value, dict) and depth:
        for name, inside in value.items():
            if not guesses.is_data(name):
                yield f"{around}.{name}"
                yield from _names(inside, f"{around}.{name}", depth - 1)


def _ndjson(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("ndjson", seen=True)
    seen = SeenValues()
    for path, body in bodies:
        for number, line in enumerate(files.text(path, body).splitlines(), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                raise Unreadable(f"{path}: line {number} is not JSON; every line holds one record of its own") from None
            if not isinstance(value, dict):
                raise Unreadable(f"{path}: line {number} is no object; every line holds one record of its own")
            _add(path, seen, [value])
    return _settled(reading, seen, [path for path, _ in bodies])


def _add(path: Path, seen: SeenValues, value: Any) -> None:
    try:
        seen.add(value)
    except Unreadable as problem:
        raise Unreadable(f"{path}: {problem}") from None


def _settled(reading: Reading, seen: SeenValues, paths: list[Path]) -> Reading:
    node = Settled(reading.notes).node(seen, "Record", "")
    if inner(node) is None and not isinstance(node, Keyed):
        raise Unreadable(f"{paths[0]}: has no member with a name; give an answer with records in it")
    records = many(seen.items.count if seen.items else seen.count, "value")
    told = f"{reading.driver.upper()}: {many(len(paths), 'file')}, {records} at the outermost place"
    return reading.of_records(node, told)


def _csv(bodies: list[tuple[Path, bytes]]) -> Reading:
    reading = Reading("csv", seen=True)
    seen, names, line = SeenValues(), list[str](), 1
    for path, body in bodies:
        found = columns.read(path, body)
        if reading.csv and (found.keys, found.names) != (reading.csv, names):
            raise Unreadable(f"{path}: is written otherwise than the file before (separator, encoding or columns)")
        reading.csv, names, line = found.keys, found.names, found.line
        reading.notes += found.notes
        told = columns.number_reader(found.keys["decimal"])
        for row in found.rows:
            _add_row(seen, names, map(told, row))
        if not found.rows:
            _add_row(seen, names, ("" for _ in names))
    members = {
        name: Member(Settled(reading.notes, text_only=True).node(seen.members[name], name, f"/{name}"))
        for name in names
        if name.strip()
    }
    for member in members.values():
        if isinstance(member.node, PlainValue) and member.node.word == UNKNOWN:
            member.node = PlainValue("s")  # a column without a value is a text, and empty
    counted = f"{many(len(bodies), 'file')}, {len(members)} columns, {many(seen.count, 'record')}"
    return reading.of_records(Listed(Object("Record", members)), f"CSV: {counted}, names from line {line}")


def _add_row(seen: SeenValues, names: Iterable[str], cells: Iterable[str]) -> None:
    """Not as an object: names of columns are names, whatever they look like."""
    seen.count += 1
    for name, cell in zip(names, cells, strict=False):
        seen.members.setdefault(name, SeenValues()).add(cell or None)


Reader = Callable[[list[tuple[Path, bytes]]], Reading]
_READERS: dict[str, Reader] = {"json": _json, "ndjson": _ndjson, "csv": _csv, "xml": elements.read}


def read_csv(paths: list[Path]) -> Reading:
    """The same for files that are CSV whatever they are called. Raises Unreadable."""
    return _csv([(path, files.read(path)) for path in paths])
