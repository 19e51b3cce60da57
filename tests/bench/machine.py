"""The machine under the measurement: pinned processes, their CPU time to the nanosecond, load by wrk."""

import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 32


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found(*programs: str) -> list[str]:
    """Those of `programs` that are not here."""
    return [name for name in programs if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]


@dataclass
class Process:
    """A child of ours on one core, with everything it starts."""

    command: Sequence[str]
    core: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                ["taskset", "-c", self.core, *self.command],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **self.environment},
            )

    @property
    def pids(self) -> list[int]:
        pids, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            pids.append(pid)
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
        return pids

    def cpu(self) -> float:
        """Seconds on a core so far, all threads and children."""
        total = 0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    with contextlib.suppress(OSError):
                        total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory(self) -> float:
        """Resident megabytes."""
        total = 0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return total * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        self.child.terminate()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


@dataclass
class Stack:
    """A server under test: what runs, where it listens, and a script of the requests to send."""

    name: str
    processes: list[Process]
    port: int
    script: Path
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)

    def cpu(self) -> float:
        return sum(process.cpu() for process in self.processes)

    def memory(self) -> float:
        return sum(process.memory() for process in self.processes)

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


@dataclass(frozen=True)
class Slice:
    rate: float  # answers per second
    cpu: float  # microseconds of the server per answer
    p50: float  # milliseconds
    p99: float
    failed: int


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def load(stack: Stack, seconds: float, connections: int = CONNECTIONS) -> Slice:
    """One run of wrk against a stack."""
    before = stack.cpu()
    said = subprocess.run(
        ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency",
         "-s", str(stack.script), f"http://127.0.0.1:{stack.port}"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    spent = stack.cpu() - before
    answers = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Slice(rate, spent / max(1, answers) * 1e6, _latency(said, "50%"), _latency(said, "99%"),
                 int(bad[1]) if bad else 0)  # fmt: skip


def _latency(said: str, which: str) -> float:
    value, unit = re.search(rf"{which}\s+([\d.]+)(us|ms|s|m)\b", said).groups()  # type: ignore[union-attr]
    return float(value) * _UNITS[unit]


@dataclass(frozen=True)
class Measured:
    """Medians of the slices of one stack."""

    rate: float
    cpu: float
    p50: float
    p99: float


def compare(stacks: Sequence[Stack], slices: int, connections: int = CONNECTIONS) -> dict[str, Measured]:
    """Alternating slices, so that whatever disturbs the machine disturbs all of them."""
    for stack in stacks:
        warm = load(stack, 1, connections)
        if warm.failed:
            raise RuntimeError(f"{stack.name}: {warm.failed} answers were not 2xx")
    taken: dict[str, list[Slice]] = {stack.name: [] for stack in stacks}
    for _ in range(slices):
        for stack in stacks:
            taken[stack.name].append(load(stack, 1, connections))
    return {name: _median(each) for name, each in taken.items()}


def _median(slices: Sequence[Slice]) -> Measured:
    if failed := sum(each.failed for each in slices):
        raise RuntimeError(f"{failed} answers were not 2xx")
    return Measured(*(statistics.median(getattr(each, name) for each in slices) for name in ("rate", "cpu", "p50", "p99")))


def until_answered(url: str, headers: dict[str, str] | None = None, seconds: float = 30.0) -> float:
    """Seconds until the first 200."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5) as found:
                if found.status == 200:
                    return time.perf_counter() - begun
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"no answer from {url}")


def script(folder: Path, name: str, requests: Sequence[tuple[str, dict[str, str]]]) -> Path:
    """A wrk script that sends these requests in turn."""
    table = ",\n".join(
        '{"%s",{%s}}' % (path, ",".join(f'["{key}"]="{value}"' for key, value in headers.items()))
        for path, headers in requests
    )
    text = f"""local all = {{{table}}}
local sent = {{}}
local at = 0
init = function(args)
  for i, one in ipairs(all) do sent[i] = wrk.format("GET", one[1], one[2]) end
end
request = function()
  at = at % #sent + 1
  return sent[at]
end
"""
    path = folder / f"{name}.lua"
    path.write_text(text)
    return path
