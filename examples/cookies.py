"""A visitor's cookie, read as the bytes that came.

A forgiving parser takes `\\xa0name` for `name`; whoever has a page beside this one could so plant a session of her own.
"""

from starlette.requests import Request


def cookie(request: Request, name: str) -> str:
    """The value; "" when there is none, or more than one whose name could be taken for this one."""
    pairs = [pair.partition("=") for field in request.headers.getlist("cookie") for pair in field.split(";")]
    found = [(given.strip(" "), value.strip(" ")) for given, _, value in pairs if _visible(given) == name]
    if len(found) != 1 or found[0][0] != name:
        return ""
    value = found[0][1]
    return value if value == _visible(value) else ""


def _visible(text: str) -> str:
    return "".join(char for char in text if "!" <= char <= "~")
