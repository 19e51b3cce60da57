"""Which entry belongs to which usage point: by links, and by the path of an address where it tells.

Both must agree. An entry that two usage points claim is a shape we do not know; one that none claims is nobody's.
"""

import re
from collections.abc import Iterable

from gateway.sectors.energy.feed import Entry
from gateway.sectors.model import UnknownShape

_POINT = re.compile(r"/UsagePoint/([A-Za-z0-9._-]{1,128})(?:/|$)")
_METER = re.compile(r"^(.*/MeterReading/[A-Za-z0-9._-]{1,128})/IntervalBlock(?:/|$)")


class Family:
    """Learns entries and answers whose they are. Parents may be learned in any order before the question."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.points: dict[str, str] = {}  # path of a usage point → its native id
        self.claims: dict[str, set[str]] = {}  # path → paths of the usage points or meter readings that link to it
        self.meters: dict[str, Entry] = {}
        self._seen: set[str] = set()
        for entry in entries:
            self.learn(entry)

    def learn(self, entry: Entry) -> None:
        if entry.self in self._seen:
            raise UnknownShape(f"entry[{entry.kind}]/link")
        self._seen.add(entry.self)
        if entry.kind == "UsagePoint":
            if entry.name in self.points.values():
                raise UnknownShape("entry[UsagePoint]/link")
            self.points[entry.self] = entry.name
        elif entry.kind == "MeterReading":
            self.meters[entry.self] = entry
        self.claim(entry)

    def claim(self, entry: Entry) -> None:
        """What a usage point or meter reading links to."""
        if entry.kind in ("UsagePoint", "MeterReading"):
            for path in entry.related:
                self.claims.setdefault(path, set()).add(entry.self)

    def meter(self, block: Entry) -> str | None:
        """The path of the meter reading a block belongs to."""
        by_path = _METER.match(block.self)
        linked = {path for path in self._claiming(block) if path in self.meters}
        if by_path:
            linked.add(by_path[1])
        return _one(linked, block)

    def point(self, entry: Entry) -> str | None:
        """The native id of the usage point an entry belongs to; None: nobody's."""
        if entry.kind == "UsagePoint":
            return entry.name
        by_path = _POINT.search(entry.self)
        owners = {by_path[1]} if by_path else set()
        owners |= {self.points[path] for path in self._claiming(entry) if path in self.points}
        if entry.kind == "IntervalBlock":
            meter = self.meters.get(self.meter(entry) or "")
            above = self.point(meter) if meter is not None else None
            owners |= {above} if above is not None else set()
        return _one(owners, entry)

    def _claiming(self, entry: Entry) -> set[str]:
        """Who links to the entry, or to the feed it stands in."""
        return self.claims.get(entry.self, set()) | self.claims.get(entry.up, set())


def _one(owners: set[str], entry: Entry) -> str | None:
    if len(owners) > 1:
        raise UnknownShape(f"entry[{entry.kind}]/link")
    return next(iter(owners), None)
