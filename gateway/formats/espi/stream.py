"""The same cut for answers above the limit: entry by entry, in bounded memory.

An entry is decided when it is met, if what it hangs from has come before it or is told by its own address; else it
waits for the end, as far as there is room. What comes later may not make it another's: then the stream ends.
Links to feeds stay by what is granted, not by what is found: it is not known yet. Reading types and time parameters
are small and wait for the end.
"""

import re

from gateway.formats.espi.cutting import Cutting
from gateway.formats.espi.feed import FeedEntry, FeedHead, feed_head, parsed, read_entry
from gateway.formats.espi.shapes import ATOM, SHARED
from gateway.formats.espi.skipped import Skipped, report
from gateway.formats.model import LIMIT, Counts, TooLarge, UnknownShape

_OPEN = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?entry[\s>]")
_BLANK = re.compile(rb"[ \t\r\n]+")
_CLOSE = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?entry\s*>")
_MOST_SHARED = 1024  # parts held back; a feed has one or two


class EnergyStream:
    def __init__(self, cutting: Cutting) -> None:
        self._cutting = cutting
        self._buffer = bytearray()
        self._from = 0  # where the search for the end of the entry goes on
        self._head: bytes | None = None  # everything before the first entry
        self._told = FeedHead()
        self._shared: list[FeedEntry] = []  # wait for the end
        self._early: list[bytes] = []  # entries that came before what they hang from, as text
        self._early_size = 0
        self._skipped = Skipped()

    def feed(self, chunk: bytes) -> bytes:
        self._buffer += chunk
        out: list[bytes] = []
        if self._head is None:
            out.append(self._opened())
        while self._head is not None and (piece := self._next_entry()) is not None:
            out.append(self._entry(piece))
        if len(self._buffer) > LIMIT:
            raise TooLarge("one entry")
        return b"".join(out)

    def close(self) -> bytes:
        if self._head is None:
            raise UnknownShape("feed")
        root, _ = parsed(self._head + bytes(self._buffer))  # the end of the feed, and nothing unknown before it
        found = feed_head(root, self._skipped)
        if root.find(f"{{{ATOM}}}entry") is not None:
            raise UnknownShape("feed")
        after = {rel: href for rel, href in found.pages.items() if rel not in self._told.pages}
        self._cutting.family.recheck_all()
        early = (self._read(piece, Skipped()) for piece in self._early)
        out = [self._decided(entry) for entry in early if entry is not None]
        out += [text for _, text in self._cutting.shared(self._shared, found.pages)]
        report(self._cutting.terms.source.seen(self._cutting.dataset), self._skipped)
        return b"".join([*out, self._linked(self._cutting.paging(after)), b"</feed>\n"])

    def counts(self) -> Counts:
        return self._cutting.counts()

    def _opened(self) -> bytes:
        first = _OPEN.search(self._buffer)
        if first is None:
            return b""
        head = bytes(self._buffer[: first.start()])
        root, _ = parsed(head + self._end_of(head))
        if root.tag != f"{{{ATOM}}}feed":
            raise UnknownShape("feed")
        self._told = feed_head(root, Skipped())  # noted at the end, with what comes after the entries
        self._head = head
        del self._buffer[: first.start()]
        return self._linked(self._cutting.opening(self._told))

    def _linked(self, text: bytes) -> bytes:
        """Raises UnknownShape where a whole answer would tell in its head that the next page cannot be used."""
        if self._cutting.notice:
            raise UnknownShape("feed/link[next]")
        return text

    def _end_of(self, head: bytes) -> bytes:
        prefix = re.search(rb"<((?:[A-Za-z_][\w.-]*:)?)feed[\s>]", head)
        if prefix is None:
            raise UnknownShape("feed")
        return b"</" + prefix[1] + b"feed>"

    def _next_entry(self) -> bytes | None:
        blank = _BLANK.match(self._buffer)
        if blank is not None:
            del self._buffer[: blank.end()]
        if _OPEN.match(self._buffer) is None:
            return None
        end = _CLOSE.search(self._buffer, self._from)
        if end is None:
            self._from = max(0, len(self._buffer) - 64)
            return None
        piece = bytes(self._buffer[: end.end()])
        del self._buffer[: end.end()]
        self._from = 0
        return piece

    def _entry(self, piece: bytes) -> bytes:
        entry = self._read(piece, self._skipped)
        if entry is None:
            self._cutting.drop(1)
            return b""
        family = self._cutting.family
        if not family.learn(entry):
            return b""
        family.recheck(entry)
        if entry.kind in SHARED:
            self._shared.append(entry)
            if len(self._shared) > _MOST_SHARED:
                raise TooLarge("shared parts")
            return b""
        if family.point(entry) is None or (entry.kind == "IntervalBlock" and family.meter(entry) is None):
            self._early.append(piece)
            self._early_size += len(piece)
            if self._early_size > LIMIT:
                raise TooLarge("entries before what they hang from")
            return b""
        family.settle(entry)
        return self._decided(entry)

    def _read(self, piece: bytes, skipped: Skipped) -> FeedEntry | None:
        head = self._head or b""
        root, runs = parsed(head + piece + self._end_of(head))
        feed_head(root, Skipped())
        found = list(root.iterchildren(f"{{{ATOM}}}entry"))
        if len(found) != 1:
            raise UnknownShape("entry")
        return read_entry(found[0], runs, self._told.base, "entry", skipped)

    def _decided(self, entry: FeedEntry) -> bytes:
        if entry.kind in ("UsagePoint", "MeterReading"):
            owner = self._cutting.owner(entry)
            return self._cutting.part(entry, owner, None) if owner else b""
        return self._cutting.record(entry) or b""
