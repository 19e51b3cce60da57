"""Parsers for the answers, one for each set of granted members. People who agreed to the same fields share one."""

from functools import lru_cache
from typing import Any

from msgspec import UNSET

from gateway.formats.bank.shapes import TABLE, answer_of
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import Member, Reader, remover, withheld_members

answer_reader = Reader(TABLE, "Answer")


class BankReading:
    """Of records of one kind. What a reading has read, `remove` of the same reading takes the withheld out of."""

    def __init__(self, kind: str, governed: frozenset[str], given: frozenset[Member]) -> None:
        withheld = withheld_members(TABLE, governed, given)
        self._kind = kind
        self._answer = Reader(answer_of(kind), "Answer", withheld, record=kind, unread=governed)
        self._record = Reader(TABLE, kind, withheld, unread=governed)
        self.remove = remover(TABLE, kind, withheld, governed)

    def answer(self, body: bytes) -> tuple[Any, list[Any], list[int]]:
        """The answer, its records, and for each record how many members inside its elements were withheld.

        Raises UnknownShape. Only then the answer is searched for the wrong record.
        """
        try:
            found, inside = self._answer.read_each(body)
        except UnknownShape:
            self._find_fault(body)
            raise
        records = the_list(found, self._kind)
        if len(inside) != len(records) + 1:  # the answer has its list twice
            raise UnknownShape(f"Data.{self._kind}")
        return found, records, inside

    def _find_fault(self, body: bytes) -> None:
        found, _ = answer_reader.read(body)
        for index, record in enumerate(the_list(found, self._kind)):
            self._record.read(record, f"Data.{self._kind}[{index}]")


@lru_cache(maxsize=128)
def reading(kind: str, governed: frozenset[str], given: frozenset[Member]) -> BankReading:
    return BankReading(kind, governed, given)


def the_list(answer: Any, member: str) -> list[Any]:
    """The records of the answer. Raises UnknownShape if there is another list, too: that is not what was asked for."""
    if answer.Data is UNSET:
        raise UnknownShape("Data")
    for name in ("Account", "Balance", "Transaction"):
        if name != member and getattr(answer.Data, name) is not UNSET:
            raise UnknownShape(f"Data.{name}")
    found = getattr(answer.Data, member)
    return [] if found is UNSET else found
