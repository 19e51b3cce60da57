"""Paths and queries of data calls, matched piece by piece; what is not on a list is refused.

A pattern is a path whose `{account}` is an account of the person, whose other `{name}` is one opaque segment, and
whose `…` at the end stands for anything below. Patterns come from the sector and from the organisation's declaration.
"""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlsplit

from gateway.sectors.model import Asked, Denied, Pairs, Source

SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_WORD = re.compile(r"\{([a-z_]+)\}|…$")
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
    tail = "&".join(f"{quote(name, safe='')}={quote(value, safe=':,-._~')}" for name, value in query)
    return f"{base}{path}?{tail}" if tail else f"{base}{path}"


def query_of(address: str, path: str) -> Mapping[str, str] | None:
    """The query of a paging link, when the link is of the same path as the call; else None.

    A trailing slash more or less and a path prefix of the organisation's server are tolerated.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if not parts.path.rstrip("/").endswith(path.rstrip("/")) or parts.fragment:
        return None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    found = dict(pairs)
    return found if len(found) == len(pairs) and all(_VALUE.fullmatch(value) for value in found.values()) else None
