"""Which entry belongs to which usage point: by links, and by the path of an address where it tells.

Both must agree. An entry that two usage points claim is a shape we do not know; so is one that none claims, once
everything is learned: withheld, it would pass for another's.
"""

import re
from collections.abc import Iterable

from gateway.formats.espi.feed import FeedEntry, FeedPlace
from gateway.formats.espi.resources import written_children
from gateway.formats.espi.shapes import SHARED
from gateway.formats.model import UnknownShape

_POINT = re.compile(r"/UsagePoint/([^/]+)(?:/|$)")
_METER = re.compile(r"^(.*/MeterReading/[^/]+)/IntervalBlock(?:/|$)")


class Family:
    """Learns entries and answers whose they are. Parents may be learned in any order before the question."""

    def __init__(self, entries: Iterable[FeedEntry] = ()) -> None:
        self.points: dict[str, str] = {}  # path of a usage point → its native id
        self.claims: dict[str, set[str]] = {}  # path → paths of the usage points or meter readings that link to it
        self.meters: dict[str, FeedEntry] = {}
        self._seen: dict[str, str] = {}  # path of an entry → what it says, of one that is told for every usage point
        # (path of an entry or of its feed, whether it is a block) → entries that have left, and whose they were
        self._settled: dict[tuple[str, bool], list[tuple[FeedPlace, str | None]]] = {}
        for entry in entries:
            self.learn(entry)

    def learn(self, entry: FeedEntry) -> bool:
        """Whether it is new: a reading type or time parameters may be told again, in the same words.

        Raises UnknownShape for anything else that is told twice.
        """
        said = ""
        if entry.kind in SHARED:
            said = f"{entry.kind} {written_children(entry.content, entry.kind, frozenset(), str)}"
            if self._seen.get(entry.self) == said:
                return False
        if entry.self in self._seen:
            raise UnknownShape(f"entry[{entry.kind}]/link")
        self._seen[entry.self] = said
        if entry.kind == "UsagePoint":
            if entry.name in self.points.values() or not entry.self.endswith(f"/UsagePoint/{entry.name}"):
                raise UnknownShape("entry[UsagePoint]/link")
            self.points[entry.self] = entry.name
        elif entry.kind == "MeterReading":
            self.meters[entry.self] = entry
        self.claim(entry)
        return True

    def claim(self, entry: FeedEntry) -> None:
        """What a usage point or meter reading links to."""
        if entry.kind in ("UsagePoint", "MeterReading"):
            for path in entry.related:
                self.claims.setdefault(path, set()).add(entry.self)

    def settle(self, entry: FeedEntry) -> None:
        """The entry leaves now, as whose it is by what has been learned; `recheck` and `recheck_all` see to that."""
        if entry.kind == "UsagePoint":
            return  # its own: nothing can claim it
        settled = FeedPlace(entry.kind, entry.self, entry.up), self.point(entry)
        for path in {entry.self, entry.up}:
            self._settled.setdefault((path, entry.kind == "IntervalBlock"), []).append(settled)

    def recheck(self, parent: FeedEntry) -> None:
        """Raises UnknownShape when a usage point or meter reading makes an entry that has left another's."""
        blocks = {"UsagePoint": (True, False), "MeterReading": (True,)}.get(parent.kind, ())
        for path in set(parent.related):
            for is_block in blocks:  # looked at once only: a second parent of the same path is a conflict
                self._hold(self._settled.get((path, is_block), ()))

    def recheck_all(self) -> None:
        """The same when everything has been learned."""
        for settled in self._settled.values():
            self._hold(settled)

    def _hold(self, settled: Iterable[tuple[FeedPlace, str | None]]) -> None:
        for place, owner in settled:
            if self.point(place) != owner:
                raise UnknownShape(f"entry[{place.kind}]/link")

    def meter(self, block: FeedPlace) -> str | None:
        """The path of the meter reading a block belongs to."""
        by_path = _METER.match(block.self)
        linked = {path for path in self._claiming(block) if path in self.meters}
        if by_path:
            linked.add(by_path[1])
        return _one(linked, block)

    def point(self, entry: FeedPlace) -> str | None:
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

    def _claiming(self, entry: FeedPlace) -> set[str]:
        """Who links to the entry, or to the feed it stands in."""
        return self.claims.get(entry.self, set()) | self.claims.get(entry.up, set())


def _one(owners: set[str], entry: FeedPlace) -> str | None:
    if len(owners) > 1:
        raise UnknownShape(f"entry[{entry.kind}]/link")
    return next(iter(owners), None)
