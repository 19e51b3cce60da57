"""JSON as strictly as a security decision needs it: no repeated members, no NaN, no lone surrogates, limited depth.

If two parsers read different values from one text, one can be used to get around a check made with the other. Here a
text that can be read in two ways is refused.
"""

import json
import math
import re
from typing import Any

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)  # the last quote is optional, which keeps the time linear
_BRACKETS = re.compile(r"[\[\]{}]")


class Malformed(ValueError):
    """Not strict JSON, or not a valid token. The message names the broken rule, never the content."""


def loads(text: str | bytes, *, depth: int) -> Any:
    """The one value of `text` (bytes: UTF-8), nested no deeper than `depth`. Raises Malformed."""
    try:
        read = text.decode() if isinstance(text, bytes) else text
        if not _is_shallow(read, depth):
            raise Malformed(f"nested deeper than {depth}")
        value = _DECODER.decode(read)
        if "\\u" in read or not read.isascii():  # otherwise there can be no lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise Malformed("holds half a character, or is not UTF-8") from None
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    return value


def is_text(text: str) -> bool:
    """Whether every database keeps it: no NUL, which PostgreSQL refuses, and no half of a character."""
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeError:
        return False


def _is_shallow(text: str, depth: int) -> bool:
    """Whether brackets outside of strings are nested no deeper than `depth`. Checked before the parser recurses. A text
    with few brackets passes without looking for strings."""
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
