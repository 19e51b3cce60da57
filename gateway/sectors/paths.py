"""Paths and queries of data calls, matched piece by piece; what is not on a list is refused.

A pattern is a path whose `{account}` is an account of the person, whose other `{name}` is one opaque segment, and
whose `…` at the end stands for anything below. Patterns come from the sector and from the organisation's declaration.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from gateway.sectors.model import Asked, Denied, Pairs, Source

SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_WORD = re.compile(r"\{([a-z_]+)\}|…$")
_PLAIN = re.compile(r"[A-Za-z0-9:,._~-]*")
_VALUE = re.compile(r"[A-Za-z0-9._~:+=|/,-]{1,256}")


@lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str]:
    """The compiled form of a path pattern; its groups are the words in braces."""
    parts, at = [], 0
    for word in _WORD.finditer(text):
        parts.append(re.escape(text[at : word.start()]))
        parts.append(f"(?P<{word[1]}>{SEGMENT})" if word[1] else ".*")
        at = word.end()
    parts.append(re.escape(text[at:]))
    return re.compile("".join(parts))


def declared(source: Source, dataset: str, path: str) -> bool:
    """Whether the organisation declares this path for the dataset. No declaration at all: the sector's paths hold."""
    if not source.paths:
        return True
    return any(pattern(text).fullmatch(path) for text in source.paths.get(dataset, ()))


def checked_query(asked: Asked, known: Collection[str]) -> dict[str, str] | Denied:
    """The query as a mapping, or the refusal of a parameter that is unknown, repeated or of another form.

    A parameter the sector does not know might widen the answer, so it is refused and not just left out.
    """
    found: dict[str, str] = {}
    for name, value in asked.query:
        if name not in known or name in found or not _VALUE.fullmatch(value):
            return Denied("field", "query", asked=name[:64], allowed=" ".join(sorted(known)))
        found[name] = value
    return found


def link(base: str, path: str, query: Pairs = ()) -> str:
    """An absolute address at the gateway."""
    tail = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    return f"{base}{path}?{tail}" if tail else f"{base}{path}"


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=":,-._~")


def query_of(address: str, path: str) -> dict[str, str] | None:
    """The query of a paging link, when the link is of the same path as the call; else None.

    A trailing slash more or less and a path prefix of the organisation's server are tolerated.
    """
    address, _, query = address.partition("?")
    if "#" in address + query or not address.rstrip("/").endswith(path.rstrip("/")):
        return None
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        value = unquote_plus(value) if "%" in value or "+" in value else value
        if name in found or not _VALUE.fullmatch(value):
            return None
        found[name] = value
    return found
