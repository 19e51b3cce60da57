"""`--profile`: Aval under load in a profiler, and the functions in which its threads were, by own time.

A profiler makes every call of a function dearer, so this tells where to look, and the bench what was won.
"""

import io
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
TOP = {"main": 40, "aval-writer": 25}  # thread → rows shown


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
        _print(written / f"{name}.prof", rows, requests)
    return 0


def _print(path: Path, rows: int, requests: int) -> None:
    if not path.exists():
        print(f"{path.stem}: no profile was written")
        return
    text = io.StringIO()
    stats = pstats.Stats(str(path), stream=text)
    stats.strip_dirs()
    print(f"\n{path.stem}: {stats.total_tt:.2f} s, {stats.total_tt / max(requests, 1) * 1e6:.0f} µs for one request")
    stats.sort_stats("tottime").print_stats(rows)
    lines = text.getvalue().splitlines()
    start = next(at for at, line in enumerate(lines) if "ncalls" in line)
    print("\n".join(lines[start:]))
