"""JSON as strictly as a security decision needs it: no member twice, no NaN, no half characters, bounded depth.

Two readers that take different values from one text are a way around a check (negative
cases D17, H15); here there is one value or none.
"""

import json
import math
import re
from typing import Any

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # an unclosed one runs to the end: linear time
_BRACKETS = re.compile(r"[\[\]{}]")


class Malformed(ValueError):
    """Not JSON of the strict kind, or not a token of it. The message names the rule, never the content."""


def loads(text: str | bytes, *, depth: int) -> Any:
    """The one value of `text` (bytes: UTF-8), nested no deeper than `depth`. Raises Malformed."""
    try:
        read = text.decode() if isinstance(text, bytes) else text
        if not _is_shallow(read, depth):
            raise Malformed(f"nested deeper than {depth}")
        value = _DECODER.decode(read)
        if "\\u" in read or not read.isascii():  # nothing else can bring half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise Malformed("holds half a character, or is not UTF-8") from None
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    return value


def _is_shallow(text: str, depth: int) -> bool:
    """Counted outside strings, before any parser recurses. Few brackets need no look at where they stand."""
    if text.count("[") + text.count("{") <= depth:
        return True
    level = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        level += 1 if bracket in "[{" else -1
        if level > depth:
            return False
    return True


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


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)  # made once
