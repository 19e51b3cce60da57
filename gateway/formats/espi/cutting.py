"""The cut of one answer: which entries leave, and their text, written anew."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from uuid import uuid5

from gateway.formats.espi.calls import (
    CALLS,
    MEDIA_TYPE,
    MINE,
    PAGING,
    POINT,
    SUMMARY,
    UPDATED,
    USAGE,
    base,
    links,
    outer_path,
    own_address,
)
from gateway.formats.espi.family import Family
from gateway.formats.espi.feed import Feed, FeedEntry, FeedHead
from gateway.formats.espi.readings import EARLIEST, LATEST, Run
from gateway.formats.espi.resources import count_withheld, integers, written_children
from gateway.formats.espi.shapes import ATOM, ESPI, SHARED, SUMMARIES, TITLES
from gateway.formats.espi.terms import EnergyTerms
from gateway.formats.model import Counts, NotThere, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
FOREVER = 1 << 48  # beyond every count and second
NEEDS = {  # kind → the datasets of which one must be granted for its usage point
    "UsagePoint": (USAGE, SUMMARY, POINT),
    "MeterReading": (USAGE,),
    "IntervalBlock": (USAGE,),
    "UsageSummary": (SUMMARY,),
    "ElectricPowerUsageSummary": (SUMMARY,),
}


class Cutting:
    """Learn every entry, then write. A stream learns and writes entry by entry."""

    def __init__(self, terms: EnergyTerms, sent: Upstream, window: Window) -> None:
        self.terms = terms
        self.following = self.notice = ""  # address of the next page; what the answer cannot say itself
        self.family = Family()
        self.needed: set[str] = set()  # addresses that entries given link to: reading types, time parameters
        self._outward = terms.names.outward_text
        self._whole = CALLS[sent.operation].kind  # "" for a batch: what belongs together is all in this document
        self._sent, self.dataset = sent, sent.dataset
        self._mine = {account.native for account in sent.accounts}
        self._low = EARLIEST if window.start is None else _ceil(window.start)
        self._high = LATEST if window.end is None else int(window.end.timestamp())
        self._left = FOREVER if terms.records_max is None else terms.records_max
        self._records = self._withheld = self._fields = 0
        self._first, self._last = FOREVER, -FOREVER
        self._meters: set[str] = set()  # of which readings are given
        self._metered: set[str] = set()  # usage points of which readings are given
        self._shown: dict[tuple[str, str], str] = {}  # kind and address in which an id was changed → whose it is
        self._wanted: list[set[str]] = []  # of each meter reading given, what of `needed` it links to
        self._entries: list[FeedEntry] = []

    def learn(self, entry: FeedEntry) -> None:
        if self.family.learn(entry):
            self._entries.append(entry)

    def drop(self, entries: int) -> None:
        """Entries of resources that are never given."""
        self._withheld += entries

    def counts(self) -> Counts:
        start, end = (None, None) if self._first > self._last else (_at(self._first), _at(self._last))
        return Counts(self._records, self._withheld, self._fields, start, end)

    def document(self, found: Feed) -> bytes:
        """The whole answer. The order of entries stays. Raises NotThere for the one entry that is withheld."""
        self.drop(found.dropped)
        opening = b"" if found.is_entry else self.opening(found.head)
        bodies: dict[int, bytes] = {}
        later: list[tuple[int, FeedEntry, str]] = []
        for index, entry in enumerate(self._entries):
            if entry.kind in (*SHARED, "UsagePoint", "MeterReading"):
                later.append((index, entry, self.owner(entry) or ""))
            else:
                self._place(bodies, index, self.record(entry))
        present = set(bodies)
        targets = {t for i in present for t in (self._entries[i].self, self._entries[i].up)}
        for kind in ("MeterReading", "UsagePoint"):
            for index, entry, owner in later:
                if entry.kind == kind and self.is_given(entry, owner):
                    self._place(bodies, index, self.part(entry, owner, None if self._whole else targets))
                    targets |= {entry.self, entry.up}
        shared = {entry.self: index for index, entry, _ in later if entry.kind in SHARED}
        for path, text in self.shared([self._entries[index] for index in shared.values()], found.head.pages):
            bodies[shared[path]] = text
        if found.is_entry:
            return self._single(bodies)
        return opening + b"".join(bodies[i] for i in sorted(bodies)) + b"</feed>\n"

    def _place(self, bodies: dict[int, bytes], index: int, text: bytes | None) -> None:
        if text is not None:
            bodies[index] = text

    def _single(self, bodies: dict[int, bytes]) -> bytes:
        """A document of one entry. Raises NotThere when it is withheld."""
        if not bodies:
            raise NotThere
        return HEAD.encode() + bodies[0].replace(b"<entry>", f'<entry xmlns="{ATOM}">'.encode(), 1)

    def opening(self, head: FeedHead) -> bytes:
        """The feed's head: our title and address, an id of this view."""
        path = outer_path(self.terms, self._sent)
        kind = f"espi-feed/{self._whole}" if self._whole else "espi-entry/Subscription"
        return (
            f'{HEAD}<feed xmlns="{ATOM}"><id>urn:uuid:{uuid5(self.terms.namespace, "feed/" + path)}</id>'
            f"<title>Green Button</title><updated>{head.updated or '1970-01-01T00:00:00Z'}</updated>"
            f'<link rel="self" href="{_attribute(own_address(self.terms, self._sent))}" type="{kind}"/>'
        ).encode() + self.paging(head.pages)

    def paging(self, found: Mapping[str, str]) -> bytes:
        """The links to other pages of this answer."""
        there, notice = links(self.terms, self._sent, found)
        self.following = there.get("next", self.following)
        self.notice = notice or self.notice
        return "".join(
            f'<link rel="{rel}" href="{_attribute(address)}" type="{MEDIA_TYPE}"/>' for rel, address in there.items()
        ).encode()

    # ---- whose

    def owner(self, entry: FeedEntry) -> str | None:
        """The native id of the usage point, when some dataset that gives this kind is granted for it.

        Raises UnknownShape when nothing tells whose the entry is.
        """
        if entry.kind in SHARED:
            return ""
        native = self.family.point(entry)
        needs = NEEDS.get(entry.kind, ())
        if native is None and needs:
            raise UnknownShape(f"entry[{entry.kind}]/link")  # withheld it would pass for another's
        if native is None or native not in self._mine:
            return None
        return native if any(native in self.terms.accounts.get(name, ()) for name in needs) else None

    def shared(self, parts: list[FeedEntry], others: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """(path, text) of the reading types and time parameters that leave, once all that may link to them is learned.

        Raises UnknownShape when a meter reading misses its type beside one that nothing links to: what its numbers mean
        would go without a word. Time parameters that nothing links to say nothing of anyone, and leave.
        `others`: the other pages of this answer, by relation.
        """
        self._require({part.self for part in parts if part.kind == "ReadingType"}, others)
        here = {part.self for part in parts}
        lost = {part.self for part in parts if part.self not in self.family.claims}
        if any(part.kind == "ReadingType" and part.self in lost for part in parts):
            if any(here.isdisjoint(wanted) for wanted in self._wanted):
                raise UnknownShape("entry[ReadingType]/link")
        for part in parts:
            unbound = part.kind == "LocalTimeParameters" and part.self in lost
            if part.self in self.needed or self._whole == part.kind or unbound:
                yield part.self, self.part(part, "", None)

    def _require(self, types: set[str], others: Mapping[str, str]) -> None:
        """Raises UnknownShape when an answer that should hold everything lacks what its readings need to be understood:
        whose they are, and in which unit. A page of several, or only what has changed, may leave that to another.
        """
        asked = {name for name, _ in self._sent.query}
        reached = ("previous",) if self.notice else ("previous", "next")
        is_part = self._sent.continues or not asked.isdisjoint(UPDATED + PAGING)
        if self._whole or is_part or not others.keys().isdisjoint(reached):
            return
        meters = [self.family.meters.get(path) for path in self._meters]
        if not self._metered <= set(self.family.points.values()):
            raise UnknownShape("feed/without[UsagePoint]")
        if None in meters:
            raise UnknownShape("feed/without[MeterReading]")
        if any(meter is not None and types.isdisjoint(meter.related) for meter in meters):
            raise UnknownShape("feed/without[ReadingType]")

    def is_given(self, entry: FeedEntry, owner: str) -> bool:
        """Whether a part that carries no record leaves: only as far as something else hangs from it."""
        if not owner:
            return False
        if entry.kind == "MeterReading" and not self._whole:
            return entry.self in self._meters  # an empty meter reading leaves no trace: neither it nor the link to it
        return True

    # ---- records

    def record(self, entry: FeedEntry) -> bytes | None:
        """A block or summary as it may leave; None when it is withheld."""
        owner = self.owner(entry)
        if entry.kind == "IntervalBlock":
            return self._block(entry, owner)
        if entry.kind in SUMMARIES:
            return self._summary(entry, owner)
        self._withheld += 1
        return None

    def _block(self, entry: FeedEntry, owner: str | None) -> bytes | None:
        held = sum(len(run) for run in entry.runs) + entry.timeless
        kept: list[Run] = []
        if owner is not None and self.terms.readings:
            for run in entry.runs:
                inside = run.within(self._low, self._high)
                inside = inside.at_most(self._left) if inside and self._left < FOREVER else inside
                if inside is not None:
                    kept.append(inside)
                    self._left -= len(inside)
        given = sum(len(run) for run in kept)
        self._withheld += held - given
        if owner is None or not kept:
            return None
        self._records += given
        self._meters |= {meter} if (meter := self.family.meter(entry)) is not None else set()
        self._metered.add(owner)
        start, lasts = min(run.first for run in kept), sum(sum(run.durations) for run in kept)
        self._seen(start, max(run.end for run in kept))
        texts, taken = [], 0
        for run in kept:
            plain, count = run.without(self.terms.reading_withheld)
            texts.append(plain.text)
            taken += count
        taken += entry.unknown
        self._fields += taken
        head = f"<interval><duration>{lasts}</duration><start>{start}</start></interval>".encode()
        cut = f"/{start}/{lasts}/{self.terms.signature}" if taken or given < held else ""
        return self._entry(entry, owner, head + b"".join(texts), (), cut)

    def _summary(self, entry: FeedEntry, owner: str | None) -> bytes | None:
        where = f"entry[{entry.kind}]/content"
        period = entry.content.find(f"{{{ESPI}}}billingPeriod")
        if owner is None or period is None or not self.terms.summaries or self._left <= 0:
            self._withheld += 1
            return None
        times = integers(period, ("duration", "start"), where)
        if len(times) < 2 or times[1] < self._low or sum(times) > self._high:
            self._withheld += 1
            return None
        lasts, start = times
        self._records += 1
        self._left -= 1
        self._seen(start, start + lasts)
        taken = count_withheld(entry.content, entry.kind, self.terms.withheld) + entry.unknown
        self._fields += taken
        body = written_children(entry.content, entry.kind, self.terms.withheld, self._outward).encode()
        return self._entry(entry, owner, body, (), f"/{self.terms.signature}" if taken else "")

    def part(self, entry: FeedEntry, owner: str, targets: set[str] | None) -> bytes:
        """A usage point, meter reading, reading type or time parameters. `targets`: what it may link to, if known."""
        withheld = self.terms.withheld
        if entry.kind == "UsagePoint" and owner not in self.terms.accounts.get(POINT, ()):
            withheld = self.terms.without_location
        self._fields += count_withheld(entry.content, entry.kind, withheld) + entry.unknown
        if entry.kind == "UsagePoint" and owner in self.terms.accounts.get(POINT, ()):
            self._records += 1
        body = written_children(entry.content, entry.kind, withheld, self._outward).encode()
        related = [(path, self._related(path, owner)) for path in entry.related]
        links = tuple(to for path, to in related if to and (targets is None or path in targets or _is_shared(path)))
        needed = {path for path, to in related if to and _is_shared(path)}
        self.needed |= needed
        if entry.kind == "MeterReading":
            self._wanted.append(needed)
        return self._entry(entry, owner, body, links, "")

    # ---- addresses

    def _address(self, entry: FeedEntry, owner: str) -> tuple[str, str]:
        """(self, up) of an entry, below the base, as the app sees them. Raises UnknownShape when two look the same."""
        own, up = self._located(entry, owner)
        if not own.endswith(f"/{entry.name}") and self._shown.setdefault((entry.kind, own), entry.self) != entry.self:
            raise UnknownShape(f"entry[{entry.kind}]/link[id]")
        return own, up

    def _located(self, entry: FeedEntry, owner: str) -> tuple[str, str]:
        name = self.terms.ids.shown(entry.name)
        if entry.kind in SHARED:
            return f"/{entry.kind}/{name}", f"/{entry.kind}"
        points = f"/Subscription/{MINE}/UsagePoint"
        point = f"{points}/{self.terms.names.ref[owner]}"
        if entry.kind == "UsagePoint":
            return point, points
        if entry.kind == "IntervalBlock":
            meter = self.family.meter(entry)
            if meter is None:
                raise UnknownShape("entry[IntervalBlock]/link")
            above = f"{point}/MeterReading/{self.terms.ids.shown(meter.rsplit('/', 1)[-1])}/IntervalBlock"
        else:
            above = f"{point}/{'UsageSummary' if entry.kind in SUMMARIES else entry.kind}"
        return f"{above}/{name}", above

    def _related(self, path: str, owner: str) -> tuple[str, str] | None:
        """(address, link type) of a related link of a usage point or meter reading; None: it leads to nothing given."""
        segments = path.split("/")
        for kind in SHARED:
            if len(segments) > 1 and segments[-2] == kind:
                return f"/{kind}/{self.terms.ids.shown(segments[-1])}", f"espi-entry/{kind}"
        kinds = {"MeterReading": USAGE, "IntervalBlock": USAGE, **dict.fromkeys(SUMMARIES, SUMMARY)}
        for depth in (1, 2):  # a feed ends with the kind, an entry with its id
            kind = segments[-depth] if len(segments) >= depth else ""
            if kind in kinds and owner in self.terms.accounts.get(kinds[kind], ()):
                shown = "UsageSummary" if kind in SUMMARIES else kind
                above = f"/Subscription/{MINE}/UsagePoint/{self.terms.names.ref[owner]}"
                if kind == "IntervalBlock":
                    meter = segments[-depth - 1] if len(segments) > depth else ""
                    above += f"/MeterReading/{self.terms.ids.shown(meter)}"
                tail = "" if depth == 1 else f"/{self.terms.ids.shown(segments[-1])}"
                return f"{above}/{shown}{tail}", f"espi-{'feed' if depth == 1 else 'entry'}/{shown}"
        return None

    def _entry(
        self, entry: FeedEntry, owner: str, body: bytes, related: tuple[tuple[str, str], ...], cut: str
    ) -> bytes:
        own, up = self._address(entry, owner)
        root = self.terms.source.gateway_url + base(self.terms.source)
        kind = "UsageSummary" if entry.kind in SUMMARIES else entry.kind
        links = [("self", own, f"espi-entry/{kind}"), ("up", up, f"espi-feed/{kind}")]
        links += [("related", path, to) for path, to in related]
        text = "".join(f'<link rel="{rel}" href="{_attribute(root + path)}" type="{to}"/>' for rel, path, to in links)
        name = uuid5(self.terms.namespace, entry.id + cut)
        head = f"<entry><id>urn:uuid:{name}</id>{text}<title>{TITLES[entry.kind]}</title><content>"
        foot = f"</content><published>{entry.published}</published><updated>{entry.updated}</updated></entry>\n"
        content = f'<{entry.kind} xmlns="{ESPI}">'.encode() + body + f"</{entry.kind}>".encode()
        return head.encode() + content + foot.encode()

    def _seen(self, start: int, end: int) -> None:
        self._first, self._last = min(self._first, start), max(self._last, end)


def _is_shared(path: str) -> bool:
    return path.rsplit("/", 2)[-2:-1] in ([kind] for kind in SHARED)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _ceil(moment: datetime) -> int:
    return -int(-moment.timestamp() // 1)
