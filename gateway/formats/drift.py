"""What an organisation sends that its declaration does not know: which places, and how often. Never a value.

A member that is not declared does not leave. Somebody has to hear of it, or what the organisation added last year would
be withheld for ever: each place is told, as a path of member names. A name that could itself be data (the members of an
object may be telephone numbers) is not repeated.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from gateway.catalogue.shapes import NEVER, Table, members
from gateway.formats import json_values

FIRST = 8  # answers with such members that are all looked through; after that one in so many, counted so often
MOST = 32  # places told of one answer
OTHER = "…"  # in place of a name that could be data, and of whatever is more
COLUMN = re.compile(r"[^\W\d][\w .:/()€$£%°'-]{0,63}")  # in a header line organisations write words for people
_NAME = re.compile(r"[A-Za-z_@$][A-Za-z0-9_.:@$-]{0,63}")
_LONG_NUMBER = re.compile(r"[0-9]{4}")
_FEW_DIGITS = 5
Tell = Callable[[tuple[str, ...], int, datetime], None]  # places, of how many answers, when


class Listening(Protocol):
    """Somebody who hears of all organisations."""

    def of(self, organisation: str, dataset: str) -> "Seen": ...


class Seen:
    """Of one type of data at one organisation. `any`: there was such a member, so it is looked for from now on."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._answers = 0
        self.any = False

    def look(self, table: Table, root: str, text: bytes, where: str = "") -> None:
        """Go through an answer that was read, and tell of what is not in the table."""
        if not self._looks():
            return
        try:
            read = json_values.value(text)
        except ValueError:
            self._told((OTHER,))
        else:
            self._told(unknown(table, root, read, where))

    def note(self, places: Iterable[str]) -> None:
        """Tell of the places of one answer that a reader came upon."""
        if self._looks():
            self._told(places)

    def _looks(self) -> bool:
        self._answers += 1
        return self._answers <= FIRST or not self._answers % FIRST

    def _told(self, places: Iterable[str]) -> None:
        found = tuple(_unlike(dict.fromkeys(places)))
        if found:
            self.any = True
            self._tell(found, 1 if self._answers <= FIRST else FIRST, datetime.now(UTC))


def unheard() -> Seen:
    """One whom nobody listens to: members that are not declared are withheld, and not told again."""
    return Seen(lambda *_: None)


def _unlike(places: dict[str, None]) -> list[str]:
    found = list(places)
    return found if len(found) <= MOST else [*found[:MOST], OTHER]


def unknown(table: Table, word: str, value: Any, where: str = "") -> Iterator[str]:
    """The places of the members that are not in the table, without positions in lists: "items.details.colour"."""
    if value is None or word in ("Raw", "j") or word.rstrip("*{}") in NEVER:
        return
    if word.endswith("*"):
        for each in value if isinstance(value, list) else ():
            yield from unknown(table, word[:-1], each, where)
    elif word.endswith("{}"):
        for each in value.values() if isinstance(value, dict) else ():
            yield from unknown(table, word[:-2], each, where)
    elif word in table and isinstance(value, dict):
        known = members(table, word)
        for name, inside in value.items():
            place = f"{where}.{told(name)}" if where else told(name)
            if name not in known:
                yield place
            else:
                yield from unknown(table, known[name], inside, place)


def told(name: str, form: re.Pattern[str] = _NAME) -> str:
    """The name of a member as it may be told."""
    numbered = _LONG_NUMBER.search(name) or sum(map(str.isdecimal, name)) > _FEW_DIGITS
    return name if form.fullmatch(name) and not numbered and "@" not in name[1:] else OTHER
