"""`--profile`: Aval under load in a profiler, and the functions in which its threads were, by own time.

A profiler makes every call of a function dearer, so this tells where to look, and the bench what was won.
"""

import os
import pstats
import signal
from collections.abc import Callable
from pathlib import Path

from tests.bench import load, stage
from tests.bench.load import Load
from tests.bench.processes import SERVER_CORE, Group
from tests.bench.stage import Say

SECONDS = 8
TOP = {"main": 40, "aval-writer": 20}  # thread → rows shown
TREE = 30  # rows of the event loop by what is below them


def run(group: Group, say: Say, kind: str) -> int:
    scene = stage.stage(group)
    gateway = scene.gateway("aval")
    written = group.folder / "profile"
    pid = gateway.serve(group, "aval", SERVER_CORE, profile=written)
    asked: Callable[[], Load] = stage.Proven(scene, gateway).load
    if kind != "dpop":
        bearer = stage.bearer(scene, gateway, kind)
        asked = lambda: bearer  # noqa: E731
    load.send(asked())
    os.kill(pid, signal.SIGUSR1)
    say(f"{SECONDS} s of load, {kind}")
    requests = sum(load.send(asked()).requests for _ in range(SECONDS))
    say(f"{requests} requests in a profiler")
    group.finish(pid)
    for name, rows in TOP.items():
        _print(written / f"{name}.prof", "tottime", rows, requests)
    _print(written / "main.prof", "cumtime", TREE, requests)
    return 0


def _print(path: Path, order: str, rows: int, requests: int) -> None:
    if not path.exists():
        print(f"{path.stem}: no profile was written")
        return
    stats = pstats.Stats(str(path))
    total = stats.total_tt  # type: ignore[attr-defined]
    print(f"\n{path.stem} by {order}: {total / max(requests, 1) * 1e6:.0f} µs for one request, in the profiler")
    print(f"{'part':>6} {'µs/request':>10} {'calls/request':>13}")
    found = stats.stats.items()  # type: ignore[attr-defined]
    at = {"tottime": 2, "cumtime": 3}[order]
    for (file, line, name), figures in sorted(found, key=lambda each: each[1][at], reverse=True)[:rows]:
        took, calls = figures[at], figures[1]
        where = f"{Path(file).name}:{line} " if line else ""
        print(f"{took / total:6.1%} {took / requests * 1e6:10.1f} {calls / requests:13.2f}  {where}{name}")
