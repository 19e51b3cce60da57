"""JSON as strictly as a security decision needs it: no duplicate keys, no NaN, no lone surrogates, bounded depth.

Two readers that take different values from one text are a way around a check (negative
cases D17, H15); here there is one value or none.
"""

import json
import math
import re
from typing import Any

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # an unclosed one runs to the end: linear time


class Malformed(ValueError):
    """Not JSON of the strict kind. The message names the rule, never the content."""


def loads(text: str, *, depth: int) -> Any:
    if _depth(text) > depth:
        raise Malformed(f"nested deeper than {depth}")
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Malformed("holds half a character") from None
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    return value


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings, found before any parser recurses."""
    deepest = level = 0
    for char in _STRINGS.sub("", text):
        if char in "[{":
            level += 1
            deepest = max(deepest, level)
        elif char in "]}":
            level -= 1
    return deepest


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("the same key twice in one object")
    return members


def _constant(_: str) -> Any:
    raise Malformed("NaN and Infinity are not JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Malformed("a number out of range")
    return value
