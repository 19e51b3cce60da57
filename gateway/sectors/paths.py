"""Paths and queries of data calls, matched piece by piece; what is not on a list is refused.

A pattern is a path whose `{account}` is an account of the person, whose other `{name}` is one opaque segment, and
whose `…` at the end stands for anything below. Patterns come from the sector and from the organisation's declaration.
"""

import re
from collections import OrderedDict
from collections.abc import Collection
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote, unquote_plus

from gateway.ground.http.connector import Pairs
from gateway.sectors.model import Asked, Denied, Source

K = TypeVar("K")
V = TypeVar("V")

SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_WORD = re.compile(r"\{([a-z_]+)\}|…$")
_PLAIN = re.compile(r"[A-Za-z0-9:,._~-]*")
_VALUE = re.compile(r"[A-Za-z0-9._~:+=|/,-]{1,256}")
LINKS_HELD = 1024  # following pages remembered of one granted dataset
PAGES_HELD = 8  # of one granted dataset: what stands around the records of its last pages


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


class Following:
    """The following pages to which answers have linked: a call to one of them belongs to a use that was counted.

    How a page is spelt is the organisation's choice, and what it ignores leads to the first page again. So no spelling
    proves a following page but an address that we gave. A link that is not remembered is a call like the first.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, frozenset[tuple[str, str]]], None] = OrderedDict()

    def linked(self, path: str, query: Pairs) -> None:
        self._held[path, frozenset(query)] = None
        if len(self._held) > LINKS_HELD:
            self._held.popitem(last=False)

    def __contains__(self, asked: Asked) -> bool:
        return (asked.path, frozenset(asked.query)) in self._held


def remember(held: dict[K, V], key: K, made: V) -> V:
    """What stands around the records of a page, links above all, is the same when the page is read again.

    `key`: everything it depends on beside the grant and the organisation of `held`.
    """
    if len(held) >= PAGES_HELD:
        held.clear()
    held[key] = made
    return made


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
