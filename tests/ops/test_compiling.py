"""`aval compile`: it shows that it lives, and leaves nothing half done, however it ends."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import compiled

ROOT = Path(__file__).parents[2]
# `aval compile`, with the program named first in the place of the Python that builds.
SLOW = """
import signal, sys
from gateway import compiled
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has a job in the background ignore it
compiled.BEAT_SECONDS = 0.1
sys.executable = sys.argv[1]
from gateway.cli import app
app(["compile"], prog_name="aval")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    left_out = shutil.ignore_patterns("__pycache__", "__compiled__")
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=left_out)
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\necho $$ > builder\nsleep 600 &\necho $! > compiler\ntouch translated\nwait\n")
    endless.chmod(0o755)
    return tmp_path


@pytest.fixture
def compiling(tree: Path) -> Iterator["subprocess.Popen[str]"]:
    """`aval compile` with a build that never ends by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tree / "endless")],
        cwd=tree,
        env={**os.environ, compiled.INTERPRETED: "1", "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def until_told(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return
    assert process.stderr
    raise AssertionError(process.stderr.read())


def alive(pid: int) -> bool:
    """A process that has ended and was not waited for yet does no work any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_neither_files_nor_processes(
    tree: Path, compiling: "subprocess.Popen[str]", number: int
) -> None:
    until_told(compiling, "step 2 of 2, C to machine code")
    pids = [int(file.read_text()) for name in ("builder", "compiler") for file in tree.rglob(name)]
    assert len(pids) == 2 and all(map(alive, pids))
    compiling.send_signal(number)
    _, said = compiling.communicate(timeout=60)
    assert compiling.returncode == 2 and "interrupted" in said and "Traceback" not in said
    assert all(map(ended, pids)) and not list((tree / "gateway" / "__compiled__").iterdir())


def test_what_a_killed_one_left_is_swept_by_the_next(
    tree: Path, monkeypatch: pytest.MonkeyPatch, compiling: "subprocess.Popen[str]"
) -> None:
    until_told(compiling, "step ")
    compiling.kill()
    compiling.communicate()
    kept = tree / "gateway" / "__compiled__"
    for file in tree.rglob("builder"):
        os.killpg(int(file.read_text()), signal.SIGKILL)
    assert [each.suffix for each in kept.iterdir()] == [f".{compiling.pid}"]
    monkeypatch.setattr(compiled, "KEPT", kept)
    monkeypatch.setattr(compiled, "_make", lambda work, made, say: made.mkdir())
    made = compiled.compile_all(print)
    assert list(kept.iterdir()) == [made]
    (kept / f"{made.name}.1").mkdir()
    assert compiled.compile_all(print) == made and list(kept.iterdir()) == [made], "also when nothing is to be made"


def test_two_at_once_do_not_take_each_others_work_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "KEPT", tmp_path)
    (tmp_path / "under.way").mkdir()
    held = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(compiled.CannotCompile, match="another `aval compile`"):
            compiled.compile_all(print)
    finally:
        os.close(held)
    assert (tmp_path / "under.way").is_dir()
