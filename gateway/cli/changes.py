"""What a declaration changes of the one before it, in words that an operator can check."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

SHOWN = 80  # characters of a value; a logo alone has thousands
LEADING = 20  # of what two values have in common, before the first difference

Document = Mapping[str, Any]


def told(name: str, before: Document | None, after: Document, *, added: str, otherwise: Sequence[str] = ()) -> str:
    """One line, and one for each key that has another value. `added`: the word for what was not there `before`;
    `otherwise`: what else has changed, which no key says."""
    if before is None:
        return f"{name}: {added}"
    lines = [f"  {line}" for line in (*differences(before, after), *otherwise)]
    return "\n".join([f"{name}: {'changed' if lines else 'unchanged'}", *lines])


def differences(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """`key: old → new`, with the whole path of the key, as in a fault of a declaration."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from differences(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif _tables(before) and _tables(after) and before and after:
        for position, old, new in _rows(before, after):
            yield from differences(old, new, f"{key}[{position}]")
    elif before != after:
        yield f"{key}: {' → '.join(_side_by_side(_text(before), _text(after)))}"


def _side_by_side(old: str, new: str) -> tuple[str, str]:
    """Of long ones that begin alike, the part in which they differ."""
    alike = len(os.path.commonprefix([old, new]))
    if _cut(old, 0) != _cut(new, 0) and alike < SHOWN:
        return _cut(old, 0), _cut(new, 0)
    begin = max(0, alike - LEADING)
    return _cut(old, begin), _cut(new, begin)


def _cut(text: str, begin: int) -> str:
    more = "…" if len(text) > begin + SHOWN else ""
    return f"{'…' if begin else ''}{text[begin : begin + SHOWN]}{more}"


def _rows(before: list[Any], after: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """(position, old, new) of two lists of tables: where one has more, rows that both have stand beside each other, and
    None beside one that the other has not."""
    if len(before) == len(after):
        yield from ((at, old, new) for at, (old, new) in enumerate(zip(before, after, strict=True)))
        return
    olds, news = ([json.dumps(row, sort_keys=True) for row in rows] for rows in (before, after))
    for what, low, high, first, last in SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if what != "equal":
            for at, (old, new) in enumerate(zip_longest(before[low:high], after[first:last])):
                yield (first if new is not None else low) + at, old, new


def _tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "(nothing)"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
