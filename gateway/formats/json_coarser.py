"""Values of JSON made coarser: a number stays a number where it is rounded or cut, everything else becomes a string."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway.catalogue.made import Made
from gateway.formats.coarser import Make, stays_number
from gateway.formats.stamps import text_of

_BLANKS = b" \t\r\n"
_NOTHING = (b"null", b"[]", b"{}")


def changed(how: Made, make: Make | None, otherwise: Any) -> Callable[[Any], Any]:
    """The function for one member, of a decoded value. `make` of its text; None: whether it is there. `otherwise`:
    where nothing can be made of it; an exception is raised."""
    if make is None:
        return _is_there
    numeric = stays_number(how)

    def change(value: Any) -> Any:
        if isinstance(value, Raw):
            if bytes(value) == b"null":
                return value
            if bytes(value)[:1] == b'"':
                value = msgspec.json.decode(value, type=str)
        try:
            made = make(text_of(value))
        except ValueError:
            made = None
        if made is None:
            if isinstance(otherwise, Exception):
                raise otherwise
            return otherwise
        return Raw(made.encode()) if numeric and not isinstance(value, str) else made

    return change


def _is_there(value: Any) -> bool:
    if isinstance(value, Raw):
        text = bytes(value)
        if text[:1] != b'"':
            return text.translate(None, _BLANKS) not in _NOTHING
        value = msgspec.json.decode(value, type=str)
    if isinstance(value, str):
        return bool(value.strip())
    return value is not UNSET and value is not None and value != [] and value != {}
