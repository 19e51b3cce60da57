"""Cookies: `__Host-`, Secure, HttpOnly, SameSite=Lax (ASVS 3.3). Browsers accept these on http://localhost too."""

import re
from collections.abc import Iterator

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.settings import Settings

SIGN_IN = "__Host-aval-sign-in"
VISIT = "__Host-aval-visit"
LANGUAGE = "__Host-aval-language"
THEME = "__Host-aval-theme"
KNOWN = "__Host-aval-known"  # a person has signed in with this browser before (people/throttle)

YEAR = 365 * 24 * 3600
_VALUE = re.compile(rb"[!#-+\--:<-\[\]-~]{0,512}")  # cookie-octets (RFC 6265 §4.1.1); ours are never longer
_INVISIBLE = bytes((*range(33), *range(127, 256)))


def read(request: HTTPConnection, name: str, settings: Settings) -> str:
    """The value, or "" if the browser sent none, one that cannot be ours, or more than one of that name.

    Only our own host can set a `__Host-` cookie of exactly that name (RFC 6265bis §4.1.3.2). But another host of the
    same domain can set `\\xa0__Host-…` for the whole domain, and a lenient parser takes it for the same name. So the
    bytes are compared as received, and if there is also such a disguised cookie, neither is used (ASVS 7.2.4).
    """
    given = list(_given(request, name.encode()))
    if len(given) != 1 or given[0][0] != name.encode() or not _VALUE.fullmatch(given[0][1]):
        return ""
    return given[0][1].decode("ascii")


def _given(request: HTTPConnection, name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every cookie whose name a lenient parser could take for `name`: its name and value as received."""
    for field, value in request.scope["headers"]:
        if field == b"cookie":
            for pair in value.split(b";"):
                spelled, _, content = pair.partition(b"=")
                if spelled.translate(None, _INVISIBLE) == name:
                    yield spelled.strip(b" "), content.strip(b" ")


def write(response: Response, name: str, value: str, age: int | None, settings: Settings) -> None:
    """`age` in seconds; None: until the browser closes; 0: forget it."""
    response.set_cookie(name, value, max_age=age, path="/", secure=True, httponly=True, samesite="lax")
