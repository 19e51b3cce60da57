"""Load: one run of wrk, pinned beside the data server, and what it says."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.processes import OTHER_CORE, core, pinned

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 32
GRACE_SECONDS = 20


class LoadFailed(Exception):
    """wrk did not run, or said nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One slice as the clients saw it. Latencies in µs."""

    requests: int
    seconds: float
    bytes: int
    refused: int  # answered with a status above 399
    broken: int  # connection, read, write errors and timeouts
    p50: float
    p99: float

    @property
    def served(self) -> int:
        return self.requests - self.refused

    @property
    def rate(self) -> float:
        return self.served / self.seconds


@dataclass(frozen=True, slots=True)
class Load:
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    proofs: Path | None = None  # a DPoP proof a line, each used once
    calls: Path | None = None  # path and token a line, gone round
    ports: tuple[int, ...] = ()  # of the processes that serve the address, where it is not the address's own


def available() -> bool:
    return shutil.which("wrk") is not None


def send(load: Load, *, connections: int = CONNECTIONS, seconds: int = 1) -> Sent:
    """Raises LoadFailed."""
    threads = max(1, len(load.ports))
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT)]
    for name, value in load.headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [load.url]
    command += ["--", "proofs", str(load.proofs)] if load.proofs else []
    command += ["--", "calls", str(load.calls)] if load.calls else []
    try:
        done = subprocess.run(
            pinned(command, core(OTHER_CORE)),
            env={**os.environ, "BENCH_PORTS": " ".join(map(str, load.ports))},
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed("wrk did not end in time") from None
    for line in done.stdout.splitlines():
        if line.startswith("FIGURES "):
            return _read(line.split()[1:])
    raise LoadFailed(f"wrk: {done.stderr or done.stdout}"[-500:])


def _read(words: list[str]) -> Sent:
    requests, micros, size, connect, read, write, timeout, status, p50, p99 = map(float, words)
    broken = int(connect + read + write + timeout)
    return Sent(int(requests), micros / 1e6, int(size), int(status), broken, p50, p99)
