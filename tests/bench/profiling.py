"""`--profile`: Aval under load in a profiler, and the functions in which its threads were, by own time.

A profiler makes every call of a function dearer, so this tells where to look, and the bench what was won.
"""

import os
import pstats
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import load, stage
from tests.bench.database import STATEMENTS, Server, Statement
from tests.bench.load import Load
from tests.bench.processes import SERVER_CORE, Group
from tests.bench.stage import Say

SECONDS = 8
WARM_SECONDS = 5
NEIGHBOURS = 1000
DEAREST, WIDE = 25, 150  # statements shown, and how much of each
# heading → files of which threads, and rows shown
TOP = {
    "event loop": ("main.prof", 40),
    "disk": ("aval-disk.prof", 10),
    "workers": ("*_[0-9]*.prof", 20),
    "sequencer": ("sequencer.prof", 10),
}
TREE = 40  # rows of the event loop, and of the workers, by what is below them


def run(group: Group, say: Say, kind: str, engine: str) -> int:
    if engine == "sqlite":
        _profiled(group, say, kind)
        return 0
    with Server(**STATEMENTS) as server:
        server.create("profiled")
        server.execute("CREATE EXTENSION pg_stat_statements", "profiled")
        begun = lambda: server.execute("SELECT pg_stat_statements_reset()", "profiled")  # noqa: E731
        requests = _profiled(group, say, kind, server.url("profiled"), begun)
        _print_statements(server.dearest("profiled", DEAREST), requests)
    return 0


def _profiled(
    group: Group, say: Say, kind: str, database_url: str = "", begun: Callable[[], object] = lambda: None
) -> int:
    """How many requests were served in the profiler; `begun` is called before them."""
    scene = stage.stage(group)
    gateway = scene.gateway("aval", database_url=database_url, neighbours=NEIGHBOURS if kind == "neighbours" else 0)
    written = group.folder / "profile"
    pid = gateway.serve(group, "aval", SERVER_CORE, profile=written)
    asked: Callable[[], Load] = stage.Proven(scene, gateway).load
    if kind == "neighbours":
        street = stage.street(scene, gateway, "profiled")
        asked = lambda: street  # noqa: E731
    elif kind != "dpop":
        bearer = stage.bearer(scene, gateway, kind)
        asked = lambda: bearer  # noqa: E731
    load.send(asked(), seconds=WARM_SECONDS)
    begun()
    os.kill(pid, signal.SIGUSR1)
    say(f"{SECONDS} s of load, {kind}")
    requests = sum(load.send(asked()).requests for _ in range(SECONDS))
    say(f"{requests} requests in a profiler")
    group.finish(pid)
    tell(written, requests)
    return requests


def tell(written: Path, requests: int) -> None:
    """The profiles that a process has left there, by so many requests."""
    for heading, (files, rows) in TOP.items():
        _print(heading, sorted(written.glob(files)), "tottime", rows, requests)
    for heading in ("event loop", "workers"):
        _print(heading, sorted(written.glob(TOP[heading][0])), "cumtime", TREE, requests)


def _print(heading: str, paths: Sequence[Path], order: str, rows: int, requests: int) -> None:
    if not paths:
        return
    stats = pstats.Stats(*map(str, paths))
    total = stats.total_tt  # type: ignore[attr-defined]
    print(f"\n{heading} by {order}: {total / max(requests, 1) * 1e6:.0f} µs for one request, in the profiler")
    print(f"{'part':>6} {'µs/request':>10} {'calls/request':>13}")
    found = stats.stats.items()  # type: ignore[attr-defined]
    at = {"tottime": 2, "cumtime": 3}[order]
    for (file, line, name), figures in sorted(found, key=lambda each: each[1][at], reverse=True)[:rows]:
        took, calls = figures[at], figures[1]
        where = f"{Path(file).name}:{line} " if line else ""
        print(f"{took / total:6.1%} {took / requests * 1e6:10.1f} {calls / requests:13.2f}  {where}{name}")


def _print_statements(found: Sequence[Statement], requests: int) -> None:
    """Time is that on the clock: it includes waiting for locks, for the disk and for a core."""
    print(
        f"\n{'µs/request':>10} {'calls':>8} {'µs/call':>9} {'rows/call':>10} {'WAL/call':>9}  PostgreSQL's statements"
    )
    for each in found:
        a_call = [each.calls, each.micros / each.calls, each.rows / each.calls, each.wal_bytes / each.calls]
        print("{:10.1f} {:8} {:9.1f} {:10.1f} {:9.0f}".format(each.micros / requests, *a_call), "", each.text[:WIDE])
