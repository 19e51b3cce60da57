"""Runs of IntervalReading as bytes: a year of hours is thousands, and none of them becomes an object.

    lifted(body)       → the body with a mark in place of every run it recognised, and the runs
    Run.within(...)    → the readings inside the window
    Run.without(...)   → the same readings with elements taken out

A run is recognised by one regular expression of exactly the schema's order, digits only, no attributes, no character
or entity references, and of so many readings that memory stays small. Everything else is left in the document for the
XML parser. A run is well balanced, so taking it out cannot change how the rest is parsed; where a mark ends up inside a
comment, it is dropped with the comment.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property, lru_cache

MARK = b"aval-run"
OPEN, CLOSE = b"<IntervalReading>", b"</IntervalReading>"
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # the seconds that have a date: years 1 to 9999

# No possessive quantifier: Python before 3.11.5 goes on from the wrong place after one whose last round failed (CPython
# gh-106052), and what stands there would leave unread. None is needed: the next element decides everywhere, so there
# is nothing to go back for, and every repetition is bounded, so neither time nor memory grows with what is sent.
_BLANK = rb"[ \t\r\n]{0,256}"
_ONE_COMMENT = rb"<!--[^-]*(?:-[^-]+){0,64}-->"
_MOST = 512  # readings of one run: the matcher keeps a note of some kilobytes for each until the run ends

_PREFIX = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.-]{0,31}:)?IntervalReading>")
_COMMENT = re.compile(_ONE_COMMENT)
_START = re.compile(rb"<start>(-?[0-9]+)</start>")
_DURATION = re.compile(rb"<duration>([0-9]+)</duration>\s*<start>")
_TAKEN = {
    "cost": re.compile(rb"<cost>-?[0-9]+</cost>\s*"),
    "ReadingQuality": re.compile(rb"<ReadingQuality>\s*<quality>[0-9]+</quality>\s*</ReadingQuality>\s*"),
    "value": re.compile(rb"<value>-?[0-9]+</value>\s*"),
    "consumptionTier": re.compile(rb"<consumptionTier>-?[0-9]+</consumptionTier>\s*"),
    "tou": re.compile(rb"<tou>-?[0-9]+</tou>\s*"),
    "cpp": re.compile(rb"<cpp>-?[0-9]+</cpp>\s*"),
}


@lru_cache(maxsize=16)
def _grammar(prefix: bytes, comments: bool) -> re.Pattern[bytes]:
    p = re.escape(prefix)
    s = b"%b(?:%b%b){0,16}" % (_BLANK, _ONE_COMMENT, _BLANK) if comments else _BLANK

    def leaf(name: bytes, digits: bytes = rb"-?[0-9]{1,15}") -> bytes:
        return b"<%b%b>%b</%b%b>%b" % (p, name, digits, p, name, s)

    period = b"<%btimePeriod>%b%b%b</%btimePeriod>%b" % (p, s, leaf(b"duration", rb"[0-9]{1,10}"), leaf(b"start"), p, s)
    quality = b"(?:<%bReadingQuality>%b%b</%bReadingQuality>%b){0,8}" % (p, s, leaf(b"quality", rb"[0-9]{1,3}"), p, s)
    rest = b"".join(b"(?:%b)?" % leaf(name) for name in (b"value", b"consumptionTier", b"tou", b"cpp"))
    head = b"(?:%b)?" % leaf(b"cost")
    reading = b"<%bIntervalReading>%b%b%b%b%b</%bIntervalReading>%b" % (p, s, head, quality, period, rest, p, s)
    return re.compile(b"(?:%b){1,%d}" % (reading, _MOST))


def declares(body: bytes, what: bytes, start: int = 0) -> bool:
    """Whether `<!` and what follows it stands in a document. One character is found thirty times as fast as a word."""
    return body.find(b"!", start) >= 0 and body.find(what, start) >= 0


def lifted(body: bytes) -> tuple[bytes, list[bytes]]:
    """The body with `<p:aval-run>n</p:aval-run>` in place of run n, and the runs without prefixes and comments.

    The caller has made sure that the mark does not stand in the body already.
    """
    found = _PREFIX.search(body)
    if found is None:
        return body, []
    prefix = found[1] or b""
    grammar = _grammar(prefix, declares(body, b"<!--", found.start()))
    pieces: list[bytes] = []
    runs: list[bytes] = []
    at = 0
    for run in grammar.finditer(body):
        pieces += (body[at : run.start()], b"<%b%b>%d</%b%b>" % (prefix, MARK, len(runs), prefix, MARK))
        runs.append(_plain(run[0], prefix))
        at = run.end()
    pieces.append(body[at:])
    return b"".join(pieces), runs


def _plain(run: bytes, prefix: bytes) -> bytes:
    if b"<!--" in run:
        run = _COMMENT.sub(b"", run)
    return run.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</") if prefix else run


@dataclass(frozen=True)
class Run:
    """Readings in plain form, as text between `<IntervalReading>` and `</IntervalReading>`."""

    text: bytes

    @cached_property
    def starts(self) -> list[int]:
        return list(map(int, _START.findall(self.text)))

    @cached_property
    def durations(self) -> list[int]:
        found = _DURATION.findall(self.text)
        same = set(found)
        return [int(found[0])] * len(found) if len(same) == 1 else list(map(int, found))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def is_timed(self) -> bool:
        """Whether every reading has its start and duration. Those of the grammar have; one from the tree may not."""
        return bool(self.starts) and len(self.durations) == len(self.starts)

    @cached_property
    def first(self) -> int:
        return min(self.starts)

    @cached_property
    def end(self) -> int:
        """The end of the reading that ends last."""
        longest = max(self.durations)
        if min(self.durations) == longest:
            return max(self.starts) + longest
        return max(start + lasts for start, lasts in zip(self.starts, self.durations, strict=True))

    def within(self, low: int, high: int) -> "Run | None":
        """The readings that lie wholly in [low, high); None when there are none."""
        if not self.starts or (self.first >= low and self.end <= high):
            return self if self.starts else None
        starts, durations = self.starts, self.durations
        if starts == sorted(starts) and len(set(durations)) == 1:
            return self._picked(slice(bisect_left(starts, low), bisect_left(starts, high - durations[0] + 1)))
        kept = [i for i, start in enumerate(starts) if start >= low and start + durations[i] <= high]
        pieces = self._pieces()
        return Run(b"".join(pieces[i] for i in kept)) if kept else None

    def at_most(self, count: int) -> "Run | None":
        return self if len(self) <= count else self._picked(slice(0, max(count, 0)))

    def without(self, elements: tuple[str, ...]) -> tuple["Run", int]:
        """Without these elements, and how many were taken."""
        text, taken = self.text, 0
        for name in elements:
            if b"<%b>" % name.encode() in text:
                text, count = _TAKEN[name].subn(b"", text)
                taken += count
        return (Run(text), taken) if taken else (self, 0)

    def _picked(self, which: slice) -> "Run | None":
        pieces = self._pieces()[which]
        return Run(b"".join(pieces)) if pieces else None

    def _pieces(self) -> list[bytes]:
        return [piece + CLOSE for piece in self.text.split(CLOSE)[:-1]]
