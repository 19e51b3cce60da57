"""The demo's story is the shortest proof that the main job works: run as a stranger would run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sqlite

ROOT = Path(__file__).parents[2]


def aval(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", *arguments, "--dir", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("story") / "demo"


@pytest.fixture(scope="module")
def told(folder: Path) -> subprocess.CompletedProcess[str]:
    """The first start in that folder."""
    return aval("demo", "--story", "--json", "--port", "0", folder=folder)


def test_the_story_holds_from_sign_in_to_the_verified_log(told: subprocess.CompletedProcess[str]) -> None:
    steps = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.returncode == 0, (told.stdout[-3000:], told.stderr[-3000:])
    assert [step["step"] for step in steps if not step["ok"]] == []
    assert steps[0]["step"] == "start" and steps[-1]["step"] == "verify the log offline" and len(steps) == 15


def test_a_second_start_finds_the_data_and_the_story_holds_again(
    folder: Path, told: subprocess.CompletedProcess[str]
) -> None:
    assert told.returncode == 0
    again = aval("demo", "--story", "--port", "0", folder=folder)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    assert "linked before" in again.stdout


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = aval("demo", "--story", "--port", str(taken.getsockname()[1]), folder=tmp_path / "demo")
    assert told.returncode == 2
    assert "taken" in told.stderr and "Traceback" not in told.stderr
