"""`aval serve --processes`: several processes behind one port, and their parent."""

import contextlib
import errno
import importlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from cli_run import Aval, Gateway

from gateway.cli.processes import GaveUp, Processes
from tests.ports import free_port
from tests.postgres import children
from tests.postgres import until as wait_until

Run = Callable[..., Aval]
PATIENCE = 90  # a busy machine is no fault


def until(true: Callable[[], bool], gateway: Gateway) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end and gateway.process.poll() is None, gateway.log.read_text()
        time.sleep(0.1)


def started(gateway: Gateway) -> dict[str, list[int]]:
    """The number of a process → the process ids it has had, as the log tells them."""
    found: dict[str, list[int]] = {}
    for line in gateway.lines():
        if line["event"] == "starting":
            found.setdefault(str(line["process"]), []).append(int(str(line["pid"])))
    return found


def serving(gateway: Gateway) -> list[str]:
    return [str(line["process"]) for line in gateway.lines() if line["event"] == "Application startup complete."]


def answered(gateway: Gateway, path: str) -> set[str]:
    """Who has answered requests of this path: each has a line in the log."""
    return {str(line["process"]) for line in gateway.lines() if line.get("path") == path}


def runs(pid: int) -> bool:
    """Not one that has ended and that nobody has asked about yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def two(folder: Path, database: str, tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(folder, tmp_path / "serve.log", free_port(), "--processes", "2", AVAL_DATABASE_URL=database)
    try:
        until(lambda: any(line["event"] == "all processes serve" for line in made.lines()), made)
        yield made
    finally:
        made.ends()


def asked(gateway: Gateway, path: str, times: int = 1) -> None:
    """Each on a connection of its own."""
    for _ in range(times):
        assert gateway.get(path).status_code == 200


def test_both_answer_one_that_is_killed_comes_back_and_sigterm_ends_all(two: Gateway) -> None:
    def both(path: str) -> bool:
        asked(two, path, 5)
        return answered(two, path) == {"1", "2"}

    until(lambda: both("/sign-in"), two)
    assert two.get("/readyz").json()["ready"] is True

    [first], [second] = started(two)["1"], started(two)["2"]
    os.kill(first, signal.SIGKILL)
    until(lambda: not runs(first), two)
    until(lambda: any(line["event"] == "a process has ended" for line in two.lines()), two)
    asked(two, "/sign-in", 5)
    until(lambda: serving(two).count("1") == 2, two)
    until(lambda: both("/register"), two)
    assert started(two)["2"] == [second]

    pids = [two.process.pid, started(two)["1"][-1], second]
    two.process.send_signal(signal.SIGTERM)
    assert two.process.wait(15) == 0
    assert not [pid for pid in pids if runs(pid)]
    with pytest.raises(httpx2.TransportError):
        two.get("/healthz")


def test_none_outlives_its_parent(two: Gateway) -> None:
    [first], [second] = started(two)["1"], started(two)["2"]
    two.process.kill()
    two.process.wait()
    end = time.monotonic() + PATIENCE
    while runs(first) or runs(second):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert two.log.read_text().count("Application shutdown complete") == 2, "each in good order"


def test_a_free_port_is_chosen_once_for_all(folder: Path, database: str, tmp_path: Path) -> None:
    gateway = Gateway(folder, tmp_path / "serve.log", 0, AVAL_DATABASE_URL=database, AVAL_PROCESSES="2")
    try:
        until(lambda: any(line["event"] == "all processes serve" for line in gateway.lines()), gateway)
        [told] = [line for line in gateway.lines() if line["event"] == "all processes serve"]
        for _ in range(5):
            assert httpx2.get(f"http://127.0.0.1:{told['port']}/healthz", headers={"host": "localhost:0"}).is_success
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # under nohup it is no end
            gateway.process.send_signal(signal.SIGHUP)
            assert gateway.process.wait(60) == 0, "a terminal that is closed is an end in good order"
    finally:
        gateway.ends()


def test_a_port_that_is_taken_is_refused_before_any_process_starts(folder: Path, database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        gateway = Gateway(folder, tmp_path / "serve.log", port, "--processes", "2", AVAL_DATABASE_URL=database)
        assert gateway.process.wait(PATIENCE) == 2
        gateway.ends()
    said = gateway.log.read_text()
    assert "could not listen on 127.0.0.1" in said and "name another in AVAL_PORT" in said and "starting" not in said


def test_they_are_given_up_when_each_ends_at_once_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.processes.PAUSES", (0.01, 0.02))
    ends_at_once = [sys.executable, "-c", "raise SystemExit(3)"]
    with Processes(ends_at_once, 2, "127.0.0.1", 0) as parent, pytest.raises(GaveUp):
        parent.run()


def test_the_others_are_not_given_up_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.processes.PAUSES", (0.01, 0.02))
    first_ends = "import sys, time; sys.argv[1].startswith('1,') and sys.exit(3); time.sleep(600)"
    with Processes([sys.executable, "-c", first_ends], 2, "127.0.0.1", 0) as parent:
        threading.Timer(5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        parent.run()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("call", ["subprocess.Popen", "socket.socketpair", "gateway.cli.processes.bound"])
def test_a_machine_without_room_for_a_process_is_asked_again_later(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The parent stays, the others serve, and it is started when there is room."""
    monkeypatch.setattr("gateway.cli.processes.PAUSES", (0.01, 0.02))
    tries: list[int] = []
    left: list[int] = []

    def scarce(*given: object, **named: object) -> object:
        tries.append(descriptors())
        if 2 <= len(tries) <= 8:  # the second process has to wait
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return real(*given, **named)

    with Processes(["sh", "-c", "exec sleep 600"], 2, "127.0.0.1", 0) as parent:
        room, _, name = call.rpartition(".")
        real = getattr(importlib.import_module(room), name)
        monkeypatch.setattr(call, scarce)
        before = set(children(os.getpid()))

        def end() -> None:
            wait_until(lambda: len(set(children(os.getpid())) - before) == 2, "both run")
            left.extend(set(children(os.getpid())) - before)
            os.kill(os.getpid(), signal.SIGTERM)

        ending = threading.Thread(target=end)
        ending.start()
        parent.run()
        ending.join()
    assert len(tries) == 9 and max(tries[1:8]) < min(tries[1:8]) + 3, "no descriptor is lost with a try"
    assert len(left) == 2 and not [pid for pid in left if runs(pid)]


def test_a_program_that_is_not_there_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.processes.PAUSES", (0.01, 0.02))
    with Processes(["/nowhere/aval"], 2, "127.0.0.1", 0) as parent, pytest.raises(GaveUp):
        parent.run()


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.13, 0.21, 0.34])
def test_a_stop_while_processes_are_being_started_again_ends_all(
    monkeypatch: pytest.MonkeyPatch, moment: float
) -> None:
    monkeypatch.setattr("gateway.cli.processes.PAUSES", (0.03, 0.05))
    before = set(children(os.getpid()))
    first_ends = ["sh", "-c", 'case "$0" in 1,*) exec sleep 0.02;; esac; exec sleep 600']
    with Processes(first_ends, 3, "127.0.0.1", 0) as parent:
        threading.Timer(0.2 + moment, os.kill, (os.getpid(), signal.SIGTERM)).start()
        began = time.monotonic()
        parent.run()
        assert time.monotonic() - began < 5
    assert set(children(os.getpid())) <= before


def test_sqlite_is_for_one(aval: Run, folder: Path) -> None:
    done = aval("serve", "--processes", "2")
    assert done.code == 2 and not folder.exists()
    assert done.err == (
        "aval: processes: 2 cannot share SQLite, which is for one; "
        "name a PostgreSQL database, as in AVAL_DATABASE_URL=postgresql://user@host/name\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
def test_no_other_user_can_listen_on_the_port_while_none_of_ours_does() -> None:
    with Processes(["false"], 1, "127.0.0.1", 0) as processes:
        os.seteuid(65534)
        try:
            with socket.socket() as stranger:  # is whose it is from now on
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                with pytest.raises(OSError):
                    stranger.bind(("127.0.0.1", processes.port))
        finally:
            os.seteuid(0)
