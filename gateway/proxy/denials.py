"""Refusals in the person's log: each one for a while, then how many more there were.

A looping app must not fill the disk, and must not be able to hide in the flood: after `EACH`
entries of one consent in a minute the rest is counted by reason, and the counts are an entry too.
It carries what all of them had in common, and nothing of a single one.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.errors import Refusal
from gateway.ledger.contract import Item
from gateway.ledger.writer import Writer
from gateway.log import Event
from gateway.proxy.admit import Judged

EACH = 20  # entries of one consent in one minute
MINUTE = 60.0
SHOWN = 200  # characters of a term's sides


@dataclass(slots=True)
class _Minute:
    until: float
    written: int = 0
    last: Event | None = None  # of those that were only counted
    reasons: dict[str, int] = field(default_factory=dict)  # how many of each
    common: dict[str, Any] = field(default_factory=dict)  # the facts of all of them

    def count(self, event: Event) -> None:
        reason = str(event.facts["reason"])
        if self.last is None:
            self.common = dict(event.facts)
        self.last = event
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.common = {name: value for name, value in self.common.items() if event.facts.get(name) == value}


class Denials:
    """Of the event loop."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._minutes: dict[str, _Minute] = {}  # by consent

    async def record(self, judged: Judged, refusal: Refusal, now: datetime, request_id: str, status: int) -> None:
        """On the disk, or counted, when this returns. Raises Unavailable."""
        event = Event("denied", judged.person, now, "app", _facts(judged, refusal, request_id, status))
        epoch, consent = now.timestamp(), str(judged.facts["consent"])
        minute = self._minutes.get(consent)
        if minute is None or minute.until <= epoch:
            if minute is not None:
                await self._sum_up(minute)
            minute = self._minutes[consent] = _Minute(epoch + MINUTE)
        if minute.written < EACH:
            minute.written += 1
            await self._writer.commit(Item(event))
        else:
            minute.count(event)

    async def flush(self, epoch: float) -> None:
        """Write what was counted in the minutes that are over at `epoch`."""
        for consent, minute in list(self._minutes.items()):
            if minute.until <= epoch:
                await self._sum_up(minute)
                if self._minutes.get(consent) is minute:
                    del self._minutes[consent]

    async def _sum_up(self, minute: _Minute) -> None:
        last, told = minute.last, minute.reasons
        if last is None or not told:
            return
        minute.reasons = {}
        facts = {**minute.common, "more": sum(told.values()), "reasons": told}
        try:
            await self._writer.commit(Item(Event("denied", last.person, last.at, last.actor, facts)))
        except BaseException:  # they were not told yet
            for reason, count in told.items():
                minute.reasons[reason] = minute.reasons.get(reason, 0) + count
            raise


def _facts(judged: Judged, refusal: Refusal, request_id: str, status: int) -> dict[str, Any]:
    told = {"term": refusal.term, "asked": refusal.asked, "allowed": refusal.allowed}
    return {
        **judged.facts,
        "reason": refusal.reason,
        "status": status,
        "request_id": request_id,
        **{name: shown(value) for name, value in told.items() if value},
    }


def shown(text: str) -> str:
    """What an app wrote, fit to be read by the person: bounded, visible characters."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in text[:SHOWN])
