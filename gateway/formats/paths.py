"""Paths and queries of data calls, matched part by part. Whatever is not listed is refused.

In a pattern, `{account}` stands for an account of the person, any other `{name}` for one segment, and `…` at the end
for anything below. Patterns come from the sector and from the organisation's declaration.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote

from gateway.formats.model import Asked, Denied, Source
from gateway.ground.calendar.instants import Window, narrowed, window_text
from gateway.ground.http.connector import Pairs

K = TypeVar("K")
V = TypeVar("V")

SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_WORD = re.compile(r"\{([a-z_]+)\}|…$")
_PLAIN = re.compile(r"[A-Za-z0-9:,._~-]*")
_VALUE = re.compile(r"[A-Za-z0-9._~:+=|/,-]{1,256}")
PAGES_HELD = 8  # recent pages of one granted dataset for which the JSON around the records is cached


@lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str]:
    """A path pattern as a regular expression, with the names in braces as its groups."""
    parts, at = [], 0
    for word in _WORD.finditer(text):
        parts.append(re.escape(text[at : word.start()]))
        parts.append(f"(?P<{word[1]}>{SEGMENT})" if word[1] else ".*")
        at = word.end()
    parts.append(re.escape(text[at:]))
    return re.compile("".join(parts))


def declared(source: Source, dataset: str, path: str) -> bool:
    """Whether the organisation declares this path for the dataset. Where it declares none, all of the format's do."""
    if not source.paths:
        return True
    texts = source.paths.get(dataset)
    return texts is not None and (not texts or any(pattern(text).fullmatch(path) for text in texts))


def checked_query(asked: Asked, known: Collection[str]) -> dict[str, str] | Denied:
    """The query as a mapping, or a refusal if a parameter is unknown, repeated or malformed.

    An unknown parameter might widen the answer, so it is refused rather than passed on or dropped.
    """
    found: dict[str, str] = {}
    for name, value in asked.query:
        if name not in known or name in found or not _VALUE.fullmatch(value):
            return Denied("field", "query", asked=name[:64], allowed=" ".join(sorted(known)))
        found[name] = value
    return found


def asked_period(
    names: Sequence[str], query: Mapping[str, str], window: Window, read: Callable[[str], datetime]
) -> Window | Denied:
    """What of the window was asked for. Denied if that is nothing, or a time is malformed (`read`: ValueError).

    `names`: the parameters of its beginning and its end, then others that are times, too.
    """
    asked: list[datetime | None] = []
    for name in names:
        try:
            asked.append(read(query[name]) if name in query else None)
        except ValueError:
            return Denied("period", name, asked="malformed", allowed=window_text(window))
    start, end = asked[:2]
    kept = narrowed(window, start, end)
    return kept or Denied("period", "period", asked=window_text(Window(start, end)), allowed=window_text(window))


def link(base: str, path: str, query: Pairs = ()) -> str:
    """An absolute address at the gateway."""
    tail = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    return f"{base}{path}?{tail}" if tail else f"{base}{path}"


def remember(held: dict[K, V], key: K, made: V) -> V:
    """Cache what was made for a page, above all its links: it is the same when the page is read again.

    `key`: everything that the value depends on besides the grant and the organisation, which `held` belongs to.
    """
    if len(held) >= PAGES_HELD:
        held.clear()
    held[key] = made
    return made


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe=":,-._~")
