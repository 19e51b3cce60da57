"""Values of JSON that is of no known shape, or of more than is read of it, with whatever numbers stand there.

JSON has no largest number, and Python's readers have: a number beyond all floats is infinite here, so that one that
nobody asked for stops nothing, and one that somebody did is no text and no whole number.
"""

import json
from typing import Any

import msgspec
from msgspec import Raw

from gateway.catalogue.formats import Path

_decode = msgspec.json.Decoder(float_hook=float).decode


def value(text: bytes | Raw) -> Any:
    """Raises ValueError for what is no JSON, or stands too deep."""
    try:
        try:
            return _decode(text)
        except msgspec.ValidationError:  # a whole number of thousands of digits
            found = json.loads(bytes(text).decode(), parse_int=_whole, parse_constant=_refused)
            json.dumps(found, ensure_ascii=False).encode()  # half a character, written as an escape, is no text
            return found
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ValueError("no JSON") from None


def members(text: bytes | Raw) -> dict[str, Any]:
    """Of an object. Raises ValueError for anything else."""
    found = value(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def stands_twice(text: bytes, path: Path) -> bool:
    """Whether a name on a path into an object, which was read as one, stands twice where it should stand."""
    if b"\\" not in text and all(text.count(b'"%b"' % name.encode()) < 2 for name in path):
        return False
    try:
        found = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    except RecursionError:
        return True
    for name in path:
        inside = [each for key, each in found if key == name] if isinstance(found, tuple) else []
        if len(inside) != 1:
            return len(inside) > 1
        found = inside[0]
    return False


def _whole(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _refused(_: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")
