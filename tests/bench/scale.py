"""Aval on PostgreSQL beside Aval on SQLite: what a call costs the gateway, and what it costs the database.

The gateways under test share one core, also where they are several processes; PostgreSQL, load and data server have
the other. Slices follow each other, and ratios are of neighbours. Each target has a database of its own, so that no
process works for another target (one of all that serve a database numbers the log).
"""

import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import compiled
from tests.bench import aval, figures, measure, postgres_crowd, processes, stage, tools
from tests.bench.aval import Prepared
from tests.bench.database import Server, sync_us
from tests.bench.dataplane import FEED_CONNECTIONS
from tests.bench.load import CONNECTIONS, Load
from tests.bench.measure import Target
from tests.bench.processes import SERVER_CORE, Group
from tests.bench.scale_figures import Found, Part
from tests.bench.stage import Say
from tests.ports import free_port

TEMPLATE = "street"
SETTLE_SECONDS = 1.5  # in which what was left of a slice is done


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    slices: int = 16
    few: int = 8  # slices of what needs less
    neighbours: int = 1000
    people: int = 1_000_000
    entries: int = 1_000_000


QUICK = Plan(slices=3, few=2, neighbours=200, people=10_000, entries=100_000)


@dataclass
class Running:
    """One target: a gateway of one or more processes, and its loads."""

    name: str
    gateway: Prepared
    pids: list[int]
    ports: tuple[int, ...]
    database: str = ""  # "": SQLite

    def target(self, load: Load, server: Server, connections: int | None = None) -> Target:
        shown = replace(load, ports=self.ports if len(self.ports) > 1 else ())
        database = server.pids if self.database else ()
        # Every process has answered every caller before it is measured; they do not come in exact turns.
        warm = int(1.3 * len(self.gateway.neighbours) * len(self.pids)) if load.calls else 0
        return Target(self.name, self.pids, lambda _: shown, connections=connections, database=database, warm=warm)


class Bench:
    def __init__(self, group: Group, say: Say, plan: Plan, kept: Path | None) -> None:
        self._group, self._say, self._plan = group, say, plan
        self.server = Server(kept / "postgres" if kept else None)
        self._kept = kept
        self.scene = stage.stage(group)
        self.found = Found(plan.people, plan.entries, plan.neighbours, load_before=os.getloadavg()[0])

    # ---- what is there

    def prepare(self) -> None:
        say = self._say
        self.server.start()
        say(f"two gateways with {self._plan.neighbours:,} neighbours each")
        self._sqlite = self.scene.gateway("sqlite", neighbours=self._plan.neighbours)
        folder = (self._kept or self._group.folder) / f"gateway-{self._design}"
        if not (folder / "people.json").exists():
            self.server.drop(self._street)
        if not self.server.has(self._street):
            shutil.rmtree(folder, ignore_errors=True)
            self.server.create(self._street)
        url = self.server.url(self._street)
        self._first = aval.prepare(
            folder, free_port(), self.scene.data_url, database_url=url, neighbours=self._plan.neighbours
        )

    @property
    def _design(self) -> str:
        return f"{postgres_crowd.design()}_{self._plan.neighbours}"

    @property
    def _street(self) -> str:
        return f"{TEMPLATE}_{self._design}"

    def sqlite(self) -> Running:
        pid = self._sqlite.serve(self._group, "sqlite", SERVER_CORE)
        return Running("SQLite", self._sqlite, [pid], (self._sqlite.settings.port,))

    def postgres(self, name: str, database: str, count: int = 1) -> Running:
        """`count` processes on a new copy of the database."""
        self.server.drop(database)
        self.server.create(database, self._street)
        folder = self._group.folder / database
        gateway = aval.copied(self._first, folder, free_port(), self.server.url(database))
        return self._served(name, gateway, database, count)

    def _served(self, name: str, gateway: Prepared, database: str, count: int = 1) -> Running:
        # Each on a port of its own, so that each gets its part of the calls.
        ports = (gateway.settings.port, *(free_port() for _ in range(count - 1)))
        pids = [gateway.serve(self._group, f"{database}-{port}", SERVER_CORE, port=port) for port in ports]
        return Running(name, gateway, pids, ports, database)

    def crowd(self, name: str) -> Running:
        """A database with everybody in it, made unless it was kept."""
        plan = self._plan
        database = f"crowd_{self._design}_{plan.people}_{plan.entries}"
        folder = (self._kept or self._group.folder) / database
        if not (folder / "done").exists():
            self.server.drop(database)
            shutil.rmtree(folder, ignore_errors=True)
            self.server.create(database, self._street)
            gateway = aval.copied(self._first, folder, free_port(), self.server.url(database))
            postgres_crowd.fill(gateway, self.server, database, plan.people, plan.entries, self._say)
            (folder / "done").touch()
        gateway = aval.taken_up(self._first, folder, free_port(), self.server.url(database))
        return self._served(name, gateway, database)

    def end(self, running: Running) -> None:
        for pid in running.pids:
            self._group.finish(pid)

    # ---- measuring

    def part(
        self,
        title: str,
        targets: Sequence[tuple[Running, Load]],
        slices: int,
        connections: int = CONNECTIONS,
        each: Callable[[Running], int] | None = None,
    ) -> Part:
        """Slices of these in turn. The database's work between the slices is counted too, over the whole part."""
        self._say(title)
        made = []
        for running, load in targets:
            stage.fetched(load)
            made.append(running.target(load, self.server, each(running) if each else None))
        for target in made:
            target.warm_up(connections=connections)
        time.sleep(SETTLE_SECONDS)
        warm = sum(target.served for target in made if target.database)
        since = {r.name: self.server.newest(r.database) for r, _ in targets if r.database}
        before = processes.cpu_seconds(self.server.pids)
        shown = measure.side_by_side(made, self._say, slices=slices, connections=connections)
        time.sleep(SETTLE_SECONDS)
        served = sum(target.served for target in made if target.database) - warm
        whole = (processes.cpu_seconds(self.server.pids) - before) / max(served, 1) * 1e6
        commits = {r.name: self.server.entries_of_a_commit(r.database, since[r.name]) for r, _ in targets if r.database}
        part = self.found.parts[title] = Part({t.name: t for t in made}, shown, commits, whole)
        print(part.shown(title), flush=True)
        return part


def run(group: Group, say: Say, plan: Plan, kept: Path | None) -> int:
    for why in tools.missing(say, *tools.ESSENTIAL, "postgresql").values():
        say(f"nothing can be measured: {why}")
        return 2
    bench = Bench(group, say, plan, kept)
    try:
        _all(bench, say, plan)
    finally:
        try:
            print(bench.found.table(), flush=True)
        finally:
            bench.server.close()
    say(f"written: {figures.written('processes', bench.found.document() | _about(bench))}")
    return 0


def _all(bench: Bench, say: Say, plan: Plan) -> None:
    scene, found = bench.scene, bench.found
    bench.prepare()
    found.versions["postgresql"] = str(bench.server.execute("SHOW server_version")[0][0])
    found.single["disk, 8 kB written and synced, µs"] = sync_us(bench.server.folder)
    small, one = bench.sqlite(), bench.postgres("PostgreSQL", "one")
    stage.check_cut(scene, small.gateway)
    stage.check_cut(scene, one.gateway)
    both = (small, one)
    found.one = bench.part("one consent", [(r, stage.bearer(scene, r.gateway, "bank")) for r in both], plan.slices)
    found.street = bench.part("neighbours", [(r, stage.street(scene, r.gateway, r.name)) for r in both], plan.slices)
    loads = [(r, stage.bearer(scene, r.gateway, "bank")) for r in both]
    found.lone = bench.part("a lone call", loads, plan.few, connections=1)
    loads = [(r, stage.bearer(scene, r.gateway, "usage")) for r in both]
    found.stream = bench.part("1 MB as a stream", loads, plan.few, connections=FEED_CONNECTIONS)
    found.single["memory of the gateway on SQLite, MB"] = processes.memory_mb(small.pids)
    found.single["memory of the gateway on PostgreSQL, MB"] = processes.memory_mb(one.pids)
    found.single["memory of PostgreSQL, MB"] = bench.server.memory_mb()
    found.single["bytes of an entry on disk"] = bench.server.bytes_of_an_entry("one")
    bench.end(small)
    _processes(bench, one, plan)
    _sizes(bench, one, plan)


def _processes(bench: Bench, one: Running, plan: Plan) -> None:
    """Each process with 32 connections, as one has them: more processes carry more."""
    several = [replace(one, name="1 process")]
    several += [bench.postgres(f"{count} processes", f"of_{count}", count) for count in (2, 4)]
    loads = [(r, stage.street(bench.scene, r.gateway, r.name)) for r in several]
    bench.found.processes = bench.part(
        "processes, 32 connections each", loads, plan.slices, each=lambda running: CONNECTIONS * len(running.pids)
    )
    loads = [(r, stage.street(bench.scene, r.gateway, r.name)) for r in several]
    bench.part("processes, 32 connections in all", loads, plan.few)
    for running in several[1:]:
        bench.end(running)


def _sizes(bench: Bench, one: Running, plan: Plan) -> None:
    few, many = replace(one, name="few"), bench.crowd("many")
    both = (few, many)
    found = bench.found
    loads = [(r, stage.bearer(bench.scene, r.gateway, "bank")) for r in both]
    found.sizes_one = bench.part("few and many, one consent", loads, plan.slices)
    loads = [(r, stage.street(bench.scene, r.gateway, r.name)) for r in both]
    found.sizes_street = bench.part("few and many, neighbours", loads, plan.slices)
    found.single["bytes of an entry on disk, among many"] = bench.server.bytes_of_an_entry(many.database)
    found.single["memory of the gateway among many, MB"] = processes.memory_mb(many.pids)


def _about(bench: Bench) -> dict[str, object]:
    found = bench.found
    aval_is = f"{figures.commit()}, {'compiled' if compiled.wanted() else 'interpreted'}"
    return {
        "versions": found.versions | {"aval": aval_is, "python": platform.python_version()},
        "machine": figures.machine() | {"load_before": found.load_before, "load_after": os.getloadavg()[0]},
    }
