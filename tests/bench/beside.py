"""This checkout beside another one, in one run: whether a change has made a call dearer.

Figures of two runs differ by more than most changes do, and figures of two machines say nothing. Here slices of both
follow each other, and what is told is the ratio of neighbours: its median, and the quartiles to judge that by.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench import measure, stage
from tests.bench.database import Server
from tests.bench.dataplane import FEED_CONNECTIONS, answers
from tests.bench.load import CONNECTIONS, Load
from tests.bench.measure import Target
from tests.bench.processes import SERVER_CORE, Group, NotStarted, memory_mb
from tests.bench.stage import Say
from tests.ports import free_port

HERE = Path(__file__).parents[2]
SLICES = {"bank": 24, "claims": 12, "everything": 12, "usage": 6}  # kind of load → seconds of each
ON_POSTGRES = {"bank": 16, "neighbours": 16, "usage": 4}
NEIGHBOURS = 500
STARTS = 7


@dataclass(frozen=True)
class Side:
    """One of the two checkouts, with a data folder of its own."""

    name: str
    checkout: Path
    port: int
    environment: Mapping[str, str]
    loads: Mapping[str, Load]

    @property
    def serve(self) -> list[str]:
        return [str(self.checkout / ".venv/bin/python"), "-P", "-m", "gateway", "serve"]


def run(group: Group, say: Say, other: Path, engine: str) -> int:
    if engine == "sqlite":
        return _beside(group, say, other, None)
    with Server() as server:
        return _beside(group, say, other, server)


def _beside(group: Group, say: Say, other: Path, server: Server | None) -> int:
    scene = stage.stage(group)
    both = (("other", other), ("here", HERE))
    sides = [prepared(group, scene, name, checkout, server) for name, checkout in both]
    pids = {
        side.name: group.start(side.name, side.serve, on=SERVER_CORE, port=side.port, environment=side.environment).pid
        for side in sides
    }
    print(f"{'':12}{'CPU µs, other':>15}{'here':>10}   here / other, quartiles")
    for kind, slices in (SLICES if server is None else ON_POSTGRES).items():
        say(kind)
        targets = [_target(side, pids[side.name], kind, server) for side in sides]
        connections = FEED_CONNECTIONS if kind == "usage" else CONNECTIONS
        found = measure.side_by_side(targets, say, slices=slices, connections=connections)
        before, now = found["other"], found["here"]
        unsound = "" if before.sound and now.sound else "   NOT SOUND"
        print(f"{kind:12}{before.cpu_us:15.1f}{now.cpu_us:10.1f}   {_ratio(*targets)}{unsound}", flush=True)
        if server is not None:
            ratio = measure.ratio(targets[1].database_cpu, targets[0].database_cpu)
            print(f"{'  PostgreSQL':12}{before.database_us:15.1f}{now.database_us:10.1f}   {ratio}", flush=True)
    sizes = {side.name: memory_mb([pids[side.name]]) for side in sides}
    for pid in pids.values():
        group.finish(pid)
    say("starting each anew, in turn")
    took = starts(group, sides)
    print(f"{'memory, MB':12}{sizes['other']:15.0f}{sizes['here']:10.0f}")
    middle = {name: statistics.median(each) * 1000 for name, each in took.items()}
    print(
        f"{'start, ms':12}{middle['other']:15.0f}{middle['here']:10.0f}   {measure.ratio(took['here'], took['other'])}"
    )
    return 0


def prepared(group: Group, scene: stage.Stage, name: str, checkout: Path, server: Server | None) -> Side:
    """By the checkout's own code and interpreter. Raises NotStarted."""
    port = free_port()
    python = checkout / ".venv/bin/python"
    if not python.exists():
        raise NotStarted(f"{checkout}: no .venv there; `make compiled` in it")
    words = [str(python), "-P", str(Path(__file__).with_name("prepared.py"))]
    words += [str(group.folder / name), str(port), str(scene.port)]
    if server is not None:
        server.create(name)
        words += [server.url(name), str(NEIGHBOURS)]
    made = subprocess.run(
        words,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise NotStarted(f"{checkout}: {made.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    environment = {**found["environment"], "PYTHONPATH": str(checkout)}
    side = Side(name, checkout, port, environment, {kind: Load(**given) for kind, given in found["loads"].items()})
    return side


def starts(group: Group, sides: Sequence[Side]) -> dict[str, list[float]]:
    """Seconds from exec to the first data. Raises NotStarted."""
    took: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(STARTS):
        for side in sides:
            name, begun = f"{side.name}-{number}", time.monotonic()
            process = group.launch(name, side.serve, on=SERVER_CORE, environment=side.environment)
            while not answers(side.loads["bank"]):
                if process.poll() is not None:
                    raise NotStarted(group.output(name)[-1000:])
                time.sleep(0.005)
            took[side.name].append(time.monotonic() - begun)
            group.stop(process)
    return took


def _target(side: Side, pid: int, kind: str, server: Server | None) -> Target:
    load = side.loads[kind]
    if load.calls:
        load = replace(load, calls=Path(load.calls))
    stage.fetched(load)
    database = server.pids if server is not None else ()
    return Target(side.name, [pid], lambda _: load, database=database, warm=2 * NEIGHBOURS if load.calls else 0)


def _ratio(before: Target, now: Target) -> measure.Ratio:
    return measure.ratio(now.cpu, before.cpu)
