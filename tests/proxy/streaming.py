"""A sector made for streams: every byte of the answer is agreed to, and large answers are cut as they come."""

from collections.abc import Iterable

from gateway.ground.calendar.instants import Window
from gateway.sectors.model import Asked, Counts, Cut, Granted, Source, UnknownShape, Upstream


class Cutter:
    def __init__(self) -> None:
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        if b"POISON" in chunk:
            raise UnknownShape("entry")
        self.size += len(chunk)
        return chunk

    def close(self) -> bytes:
        return b""

    def counts(self) -> Counts:
        return Counts(records=self.size)


class Plan:
    def __init__(self, granted: Iterable[Granted]) -> None:
        self.granted = list(granted)

    def request(self, asked: Asked, window: Window) -> Upstream:
        found = self.granted[0]
        return Upstream(found.dataset, asked.path, asked.query, "application/octet-stream", found.accounts)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        if body == b"BUG":
            raise ZeroDivisionError("a fault of the filter itself")
        return Cut(body, media_type, Counts(records=len(body)))

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter:
        return Cutter()


def plan(source: Source, granted: Iterable[Granted]) -> Plan:
    return Plan(granted)
