"""Cookies: `__Host-`, Secure, HttpOnly, SameSite=Lax (ASVS 3.3). Browsers accept these on http://localhost too."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gateway.settings import Settings

SIGN_IN = "__Host-aval-sign-in"
VISIT = "__Host-aval-visit"
LANGUAGE = "__Host-aval-language"
THEME = "__Host-aval-theme"
KNOWN = "__Host-aval-known"  # this browser has signed in as someone before (people/throttle)

YEAR = 365 * 24 * 3600
_LONGEST = 512  # characters of a value we would ever have set


def read(request: HTTPConnection, name: str, settings: Settings) -> str:
    """The value, or "" when the browser sent none, or one that cannot be ours."""
    value = request.cookies.get(name, "")
    return value if len(value) <= _LONGEST and value.isascii() and value.isprintable() else ""


def write(response: Response, name: str, value: str, age: int | None, settings: Settings) -> None:
    """`age` in seconds; None: until the browser closes; 0: forget it."""
    response.set_cookie(name, value, max_age=age, path="/", secure=True, httponly=True, samesite="lax")
