"""PostgreSQL for the bench: on the disk, with fsync, beside the load and not on the core of the gateway."""

import contextlib
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import processes
from tests.postgres import Cluster, hand_over, write_for_server

# What else is set is the default. Each gateway keeps ten connections, and up to seven of them run at once.
SETTINGS: dict[str, str | int] = {"shared_buffers": "256MB", "max_connections": 200}
BUILDING = {"max_wal_size": "8GB", "synchronous_commit": "off"}  # while a crowd is made
STATEMENTS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
_ENTRIES = "SELECT coalesce(max(id), 0) FROM logentry"
# The number of the transaction that wrote a row is a column of each (PostgreSQL, "System Columns").
_COMMITS = "SELECT count(*), count(DISTINCT xmin::text) FROM logentry WHERE id > %s"
_KEPT_BY = ("logentry", "logleaf", "logchain")
_SIZE = """
    SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
     WHERE c.oid = ANY(%s::regclass[]) OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%s::regclass[]))
"""  # noqa: E501
_DEAREST = """
    SELECT total_exec_time * 1000, calls, rows, wal_bytes, regexp_replace(query, '\\s+', ' ', 'g')
      FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT %s
"""
SYNCS = 200


class Server(Cluster):
    """`kept`: a folder in which its data stay for the next run."""

    def __init__(self, kept: Path | None = None, **settings: str | int) -> None:
        super().__init__(durable=True, **(SETTINGS | settings))
        self.kept = kept
        if kept is not None:
            self.folder.rmdir()
            self._live_in(kept)

    def _live_in(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log, self.data = folder, folder / "log", folder / "data"
        secret = folder / "secret"
        if not secret.exists():
            write_for_server(secret, self.password)
        self.password = secret.read_text()
        hand_over(folder)

    def close(self) -> None:
        if self.kept is None:
            super().close()
        else:
            self.stop("fast")

    @property
    def pids(self) -> Sequence[int]:
        """The first of its processes; the others are its children."""
        return [self._pid()]

    def has(self, database: str) -> bool:
        return bool(self.execute("SELECT 1 FROM pg_database WHERE datname = %s", "postgres", database))

    @contextlib.contextmanager
    def building(self) -> "contextlib._GeneratorContextManager[None]":
        """For writing much at once, what a run may lose."""
        for name, value in BUILDING.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            for name in BUILDING:
                self.execute(f"ALTER SYSTEM RESET {name}")
            self.execute("SELECT pg_reload_conf()")

    # ---- what it says

    def newest(self, database: str) -> int:
        return int(self.execute(_ENTRIES, database)[0][0])

    def entries_of_a_commit(self, database: str, since: int) -> float:
        entries, commits = self.execute(_COMMITS, database, since)[0]
        return entries / commits if commits else float("nan")

    def bytes_of_an_entry(self, database: str) -> float:
        """On the disk, with its place in the tree, the chains and all indexes."""
        names = list(_KEPT_BY)
        size = self.execute(_SIZE, database, names, names)[0][0]
        return float(size) / self.execute("SELECT count(*) FROM logentry", database)[0][0]

    def dearest(self, database: str, count: int) -> list["Statement"]:
        return [Statement(*row) for row in self.execute(_DEAREST, database, count)]

    def memory_mb(self) -> float:
        """Its share of what its processes use: pages that several of them use are counted once."""
        total = 0
        for pid in processes.family(self.pids):
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class Statement:
    micros: float
    calls: int
    rows: int
    wal_bytes: int
    text: str


def sync_us(folder: Path) -> float:
    """What it takes to get 8 kB on this disk, the median: every commit waits for it once."""
    took = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(8192))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1e6)
    path.unlink()
    return statistics.median(took)
