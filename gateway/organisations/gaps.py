"""Faults as they are told: what a draft has left open is told once, and what only follows from a fault is not.

Only the keys of a file and its own words are looked at.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from gateway.errors import Fault
from gateway.formats.linting import TO_FILL

STILL = f"is still {TO_FILL}"
_LEADS = re.compile(rf".*{TO_FILL}.* leads to no member of (.+)")
_OF_CALL = re.compile(r"format\.calls\.([^.]+)\.dataset")
_FOLLOWS = re.compile(r"datasets\[([0-9]+)\]\.(?:calls|time: find)")


def told(faults: list[Fault], document: Mapping[str, Any], *, unfilled: bool = True) -> Iterator[Fault]:
    """In the order of `faults`; then, if `unfilled`, what is not filled in and is no fault by itself."""
    gaps = dict(_gaps("", document))
    for fault in _without_following(faults, document):
        key = fault.key.replace(": ", ".")
        if key not in gaps:
            yield fault
        elif gaps[key] is not None:
            yield Fault(key, gaps[key], _LEADS.sub(r"write a member of \1", fault.right) or "write it")
            gaps[key] = None
    if not unfilled:
        return
    yield from (Fault(key, told, "write both" if "(" in told else "write it") for key, told in gaps.items() if told)


def _gaps(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(key, what is told) of the texts that a draft has left open; of words in all languages together."""
    if isinstance(value, str) and TO_FILL in value:
        yield key, STILL
    elif isinstance(value, dict):
        open_ = [name for name, inside in value.items() if isinstance(inside, str) and TO_FILL in inside]
        if key and len(open_) > 1 and all(len(name) == 2 for name in open_):
            yield key, f"{STILL} ({', '.join(open_)})"
            return
        for name, inside in value.items():
            yield from _gaps(f"{key}.{name}" if key else name, inside)
    elif isinstance(value, list):
        for position, row in enumerate(value):
            yield from _gaps(_of_row(key, position, row), row)


def _of_row(key: str, position: int, row: Any) -> str:
    """A row of a list as faults name it: types of data by their position, others by what they are called."""
    name = row.get("id", row.get("name")) if isinstance(row, dict) else None
    if key == "datasets" or not isinstance(name, str) or TO_FILL in name:
        return f"{key}[{position}]"
    return f"{key.rpartition('.')[0]}.{name}" if "id" in row else f"{key}.{name}"


# ---- a call of a type of data that is not there


def _without_following(faults: list[Fault], document: Mapping[str, Any]) -> Iterator[Fault]:
    """A name mistyped in a call leaves a type of data without a call, and so without a time: one fault, not three."""
    ids, named = _ids(document), _named(document)
    mistyped = {call: name for call, name in named.items() if name and name not in ids and TO_FILL not in name}
    wrong = {found[1] for fault in faults if (found := _OF_CALL.fullmatch(fault.key))} & mistyped.keys()
    uncalled = {position for position, name in enumerate(ids) if name not in named.values()} if wrong else set()
    for fault in faults:
        call, follows = _OF_CALL.fullmatch(fault.key), _FOLLOWS.fullmatch(fault.key)
        if call is not None and call[1] in wrong:
            name = mistyped[call[1]]
            close = get_close_matches(name, ids, 1)
            right = f"did you mean {close[0]}?" if close else f"one of {', '.join(ids)}"
            yield Fault(fault.key, f"{name!r} is no type of data of this file", right)
        elif follows is None or int(follows[1]) not in uncalled:
            yield fault


def _ids(document: Mapping[str, Any]) -> list[str]:
    """Of the types of data, "" for one without; in the order of the file."""
    rows = document.get("datasets")
    return [str(row.get("id", "")) if isinstance(row, dict) else "" for row in rows] if isinstance(rows, list) else []


def _named(document: Mapping[str, Any]) -> dict[str, str]:
    """Call → the type of data that it names."""
    form = document.get("format")
    calls = form.get("calls") if isinstance(form, dict) else None
    rows = [row for row in calls if isinstance(row, dict)] if isinstance(calls, list) else []
    return {str(row.get("name")): str(row.get("dataset", "")) for row in rows}
