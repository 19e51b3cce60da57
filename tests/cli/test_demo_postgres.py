"""`aval demo` whose gateway keeps its data in PostgreSQL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_run import ROOT


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_story_is_the_same(database: str, tmp_path: Path, processes: str) -> None:
    command = [
        sys.executable,
        "-m",
        "gateway",
        "demo",
        "--story",
        "--port",
        "0",
        "--json",
        "--dir",
        str(tmp_path / "d"),
    ]
    command += ["--database-url", database, "--processes", processes]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=300)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and steps and all(step["ok"] for step in steps), (steps[-1:], done.stderr[-3000:])
    assert not (tmp_path / "d" / "gateway" / "aval.sqlite3").exists()

    command[command.index(str(tmp_path / "d"))] = str(tmp_path / "other")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (
        done.returncode == 1 and "name an empty database, or the demo's folder with --dir" in done.stderr + done.stdout
    )


def test_several_processes_need_a_database() -> None:
    command = [sys.executable, "-m", "gateway", "demo", "--story", "--processes", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--database-url" in done.stderr
