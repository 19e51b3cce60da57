"""Side by side: one-second slices of each target in turn, so that what else the machine does falls on all of them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench import load
from tests.bench.load import Load, Sent
from tests.bench.processes import cpu_seconds

SLICES = 8
UNWELL_PART = 0.005


@dataclass
class Target:
    """A server under test. `load` is asked for before each slice; the slice before is None at first."""

    name: str
    pids: Sequence[int]
    load: Callable[[Sent | None], Load]
    last: Sent | None = None
    slices: list[tuple[Sent, float]] = field(default_factory=list)  # with the CPU seconds it took
    unwell: int = 0  # refused or broken requests

    def run(self, *, connections: int, counted: bool) -> None:
        asked = self.load(self.last)
        before = cpu_seconds(self.pids)
        sent = self.last = load.send(asked, connections=connections)
        took = cpu_seconds(self.pids) - before
        if counted:
            self.unwell += sent.refused + sent.broken
            if sent.served:
                self.slices.append((sent, took))

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
    """Figures by the target's name. One slice of each to warm up, then `slices` of each, in turn."""
    for target in targets:
        target.run(connections=connections, counted=False)
    for number in range(slices):
        for target in targets:
            target.run(connections=connections, counted=True)
        done = ", ".join(f"{t.name} {t.slices[-1][0].rate:.0f}" for t in targets if t.slices)
        say(f"  slice {number + 1} of {slices}, requests per second: {done}")
    return {target.name: target.figures() for target in targets}
