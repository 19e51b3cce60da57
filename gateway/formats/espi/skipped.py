"""What an answer held that the format does not know: counted by its place, for the operator, and never a value.

A place is a path in the format, with the numbers of entries left out: `entry/content/UsagePoint/other:zone` is an
element of another namespace, `…/@x` an attribute. Names of elements are the organisation's own words, so only plain
ones of ordinary length are told.
"""

import re

from gateway.formats.drift import Seen
from gateway.formats.model import UnknownShape

PLACES = 32  # told of one answer; what is skipped elsewhere is counted at ELSEWHERE
ELSEWHERE = "…"
ODD = "?"  # in place of a name that is not plain
_MOST = 1024  # kept while reading, where the numbers of entries still count as places of their own
_NAME = re.compile(r"[@A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_NUMBER = re.compile(r"\[[0-9]+\]")

Places = tuple[tuple[str, int], ...]  # (place, how often)


class Skipped:
    """Collects while one answer is read."""

    def __init__(self) -> None:
        self.elements = 0
        self._found: dict[tuple[str, str], int] = {}  # as it was read: an answer may hold very many

    def element(self, where: str, name: str) -> None:
        self.elements += 1
        self.place(where, name)

    def place(self, where: str, name: str) -> None:
        """An attribute or an entry: it is no element of a record, and counts as no field withheld."""
        found = self._found
        if (where, name) not in found and len(found) >= _MOST:
            where, name = ELSEWHERE, ""
        found[where, name] = found.get((where, name), 0) + 1

    def places(self) -> Places:
        told: dict[str, int] = {}
        for (where, name), count in self._found.items():
            place = where if not name else f"{_NUMBER.sub('', where)}/{name if _NAME.fullmatch(name) else ODD}"
            if place not in told and len(told) >= PLACES:
                place = ELSEWHERE
            told[place] = told.get(place, 0) + count
        return tuple(told.items())


def report(seen: Seen | None, skipped: Skipped) -> None:
    """Tell the operator of the places of one answer. Raises UnknownShape where nobody is to be told: a strict
    organisation's answer has nothing undeclared in it."""
    places = [place for place, _ in skipped.places()]
    if seen is not None:
        seen.note(places)
    elif places:
        raise UnknownShape(places[0])
