"""Servers as processes: started on one core, in one process group, counted by /proc, and always stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVER_CORE = 0  # the server under test
OTHER_CORE = 1  # load generator and data server
READY_SECONDS = 60.0
STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))  # as we were started: later we keep to one of them ourselves


class NotStarted(Exception):
    """A server did not come up; says which, and its last lines."""


def core(wanted: int) -> int:
    """The wanted core, or the last one there is."""
    return CORES[min(wanted, len(CORES) - 1)]


@dataclass
class Group:
    """All processes of one run of the bench. `close` ends every one of them, whatever happened."""

    folder: Path  # of their outputs
    core_of: Mapping[int, int] = field(default_factory=lambda: {n: core(n) for n in (SERVER_CORE, OTHER_CORE)})
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _group: int = 0  # of processes; its leader only sleeps

    def start(
        self, name: str, command: Sequence[str], *, on: int, port: int, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Running, and listening on `port`. Raises NotStarted."""
        process = self.launch(name, command, on=on, environment=environment)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if listens(port):
                return process
            time.sleep(0.02)
        self.stop(process)
        raise NotStarted(f"{name}: {self.output(name)[-1500:]}")

    def launch(
        self, name: str, command: Sequence[str], *, on: int, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        if not self._group:
            keeper = subprocess.Popen(["sleep", "3600"], process_group=0)
            self._processes.append(keeper)
            self._group = keeper.pid
        with (self.folder / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                pinned(command, self.core_of[on]),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(environment) if environment is not None else None,
                process_group=self._group,
            )
        self._processes.append(process)
        return process

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        if process in self._processes:
            self._processes.remove(process)
        _ended([process])

    def finish(self, pid: int) -> None:
        """End one process that `start` returned, and wait for its end."""
        for process in [each for each in self._processes if each.pid == pid]:
            self.stop(process)

    def close(self) -> None:
        _ended(self._processes[::-1])
        if self._group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
        self._processes.clear()
        self._group = 0


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pinned(command: Sequence[str], on: int) -> list[str]:
    return ["taskset", "-c", str(on), *command]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def python(*module: str) -> list[str]:
    return [sys.executable, "-m", *module]


# ---- what /proc says


def family(pids: Sequence[int]) -> list[int]:
    """The processes and all their descendants."""
    found = list(pids)
    for pid in found:
        found += [child for child in _children(pid) if child not in found]
    return found


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                yield from map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time of the processes, their threads, and their children, living and dead.

    By the scheduler's own count in nanoseconds where the kernel keeps one, since a slice is only a hundred clock
    ticks long; else, and for the dead, by the ticks of proc(5), stat.
    """
    return sum(_cpu(pid) for pid in family(pids))


def lasting_cpu_seconds(pids: Sequence[int]) -> float:
    """The same with the threads that have ended, in clock ticks: for slices of more than a second, and servers whose
    threads come and go."""
    return sum(sum(_by_ticks(pid)) for pid in family(pids))


def _by_ticks(pid: int) -> tuple[float, float]:
    """Of the process with all its threads, and of its dead children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    own, of_the_dead = (sum(map(int, fields[at : at + 2])) / _TICKS for at in (11, 13))
    return own, of_the_dead


def _cpu(pid: int) -> float:
    own, of_the_dead = _by_ticks(pid)
    counted = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            counted += int(thread.read_text().split()[0])
    return (counted / 1e9 or own) + of_the_dead


def memory_mb(pids: Sequence[int]) -> float:
    """Resident memory now, MB of 10^6 bytes."""
    total = 0
    for pid in family(pids):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return total * 1024 / 1e6
