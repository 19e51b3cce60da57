"""Side by side: one-second slices of each target in turn, so that what else the machine does falls on all of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench import load
from tests.bench.load import Load, Sent
from tests.bench.processes import cpu_seconds

SLICES = 8
UNWELL_PART = 0.005
WARM_SECONDS = 30


@dataclass
class Target:
    """A server under test. `load` is asked for before each slice; the slice before is None at first."""

    name: str
    pids: Sequence[int]
    load: Callable[[Sent | None], Load]
    last: Sent | None = None
    slices: list[tuple[Sent, float]] = field(default_factory=list)  # with the CPU seconds it took
    unwell: int = 0  # refused or broken requests
    connections: int | None = None  # its own number of them
    is_warm: bool = False
    warm: int = 0  # requests that are served before the first slice, however long that takes
    database: Sequence[int] = ()  # processes of its database server
    database_seconds: list[float] = field(default_factory=list)  # the CPU seconds these took, of each slice
    served: int = 0  # also in slices that are not counted

    def run(self, *, connections: int, counted: bool) -> None:
        asked = self.load(self.last)
        before, database = cpu_seconds(self.pids), cpu_seconds(self.database)
        sent = self.last = load.send(asked, connections=self.connections or connections)
        took, database = cpu_seconds(self.pids) - before, cpu_seconds(self.database) - database
        self.served += sent.served
        if counted:
            self.unwell += sent.refused + sent.broken
            if sent.served:
                self.slices.append((sent, took))
                self.database_seconds.append(database)

    def warm_up(self, *, connections: int) -> None:
        """The first requests are dearer: what they need is read, compiled and remembered. At least one slice."""
        self.is_warm = True
        until = time.monotonic() + WARM_SECONDS
        before = self.served
        while True:
            self.run(connections=connections, counted=False)
            if self.served - before >= self.warm or time.monotonic() > until:
                return

    @property
    def cpu(self) -> list[float]:
        """µs of one request, by slice."""
        return [took / sent.served * 1e6 for sent, took in self.slices]

    @property
    def database_cpu(self) -> list[float]:
        pairs = zip(self.slices, self.database_seconds, strict=True)
        return [took / sent.served * 1e6 for (sent, _), took in pairs]

    @property
    def rates(self) -> list[float]:
        return [sent.rate for sent, _ in self.slices]

    def figures(self) -> "Figures":
        def middle(of: Callable[[Sent, float], float]) -> float:
            return statistics.median([of(sent, took) for sent, took in self.slices] or [float("nan")])

        return Figures(
            rps=middle(lambda sent, took: sent.rate),
            cpu_us=middle(lambda sent, took: took / sent.served * 1e6),
            busy=middle(lambda sent, took: took / sent.seconds),
            p50_ms=middle(lambda sent, took: sent.p50 / 1e3),
            p99_ms=middle(lambda sent, took: sent.p99 / 1e3),
            bytes=middle(lambda sent, took: sent.bytes / sent.requests),
            requests=sum(sent.served for sent, _ in self.slices),
            unwell=self.unwell,
            database_us=statistics.median(self.database_cpu or [float("nan")]),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the slices."""

    rps: float
    cpu_us: float  # of the server under test, for one request
    busy: float  # part of its core that it used
    p50_ms: float
    p99_ms: float  # reported only: noise here
    bytes: float  # of one answer, with its head
    requests: int  # served
    unwell: int
    database_us: float = 0.0  # CPU of its database server's processes, for one request

    @property
    def sound(self) -> bool:
        """Whether it measures what it says: a server that refuses a part is not as fast as it looks."""
        return self.requests > 0 and self.unwell <= UNWELL_PART * self.requests


def side_by_side(
    targets: Sequence[Target],
    say: Callable[[str], None],
    *,
    slices: int = SLICES,
    connections: int = load.CONNECTIONS,
) -> dict[str, Figures]:
    """Figures by the target's name. Each is warmed up, then `slices` of each, in turn."""
    for target in targets:
        if not target.is_warm:
            target.warm_up(connections=connections)
    for number in range(slices):
        for target in targets:
            target.run(connections=connections, counted=True)
        done = ", ".join(f"{t.name} {t.slices[-1][0].rate:.0f}" for t in targets if t.slices)
        say(f"  slice {number + 1} of {slices}, requests per second: {done}")
    return {target.name: target.figures() for target in targets}


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of slices that were neighbours: the median, and the quartiles to judge it by."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.3f}  ({self.low:.3f} to {self.high:.3f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Slice by slice."""
    found = [here / there for here, there in zip(ours, theirs, strict=False) if there]
    return Ratio(*statistics.quantiles(found)) if len(found) > 1 else Ratio(*[float("nan")] * 3)
