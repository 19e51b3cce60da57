"""What a declaration changes of the one before it, in words that an operator can check."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 80  # characters of a value; a logo alone has thousands

Document = Mapping[str, Any]


def told(name: str, before: Document | None, after: Document, *, added: str, otherwise: str = "") -> str:
    """One line, and one for each key that has another value. `added`: the word for what was not there `before`;
    `otherwise`: what has changed although no key did; empty: nothing."""
    if before is None:
        return f"{name}: {added}"
    lines = [f"  {line}" for line in differences(before, after)] or ([f"  {otherwise}"] if otherwise else [])
    return "\n".join([f"{name}: {'changed' if lines else 'unchanged'}", *lines])


def differences(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """`key: old → new`, with the whole path of the key, as in a fault of a declaration."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from differences(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif _tables(before) and _tables(after) and len(before) == len(after):
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{key}[{position}]")
    elif before != after:
        old, new = _shown(before), _shown(after)
        yield f"{key}: {old} → {new}" if old != new else f"{key}: another value that begins alike"


def _tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "(nothing)"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
