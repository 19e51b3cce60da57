"""`aval demo` whose gateway keeps its data in PostgreSQL."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_run import ROOT

from gateway.cli.demo import _database
from gateway.cli.demo_setup import Demo


def apart(database: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The address without its password, and an environment that names the file with it."""
    word = str(urlsplit(database).password)
    file = folder / "password"
    file.touch(mode=0o600)
    file.write_text(word)
    return database.replace(f":{word}@", "@"), {**os.environ, "AVAL_DATABASE_PASSWORD_FILE": str(file)}


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
    url, environment = apart(database, tmp_path)
    command += ["--database-url", url, "--processes", processes]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and steps and all(step["ok"] for step in steps), (steps[-1:], done.stderr[-3000:])
    assert not (tmp_path / "d" / "gateway" / "aval.sqlite3").exists()

    command[command.index(str(tmp_path / "d"))] = str(tmp_path / "other")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert (
        done.returncode == 1 and "name an empty database, or the demo's folder with --dir" in done.stderr + done.stdout
    )


def test_several_processes_need_a_database() -> None:
    command = [sys.executable, "-m", "gateway", "demo", "--story", "--processes", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "--database-url" in done.stderr


def test_a_password_on_the_command_line_is_refused_and_not_repeated() -> None:
    command = [sys.executable, "-m", "gateway", "demo", "--story", "--database-url"]
    done = subprocess.run(
        [*command, "postgresql://aval:secret-word@127.0.0.1:1/aval"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "export AVAL_DATABASE_PASSWORD_FILE=FILE" in " ".join(done.stderr.split())
    assert "secret-word" not in done.stderr + done.stdout


def test_the_line_for_another_terminal_names_the_file_with_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Demo(tmp_path, {}, {}, "postgresql://aval@db/aval", 1)
    assert _database(demo) == " AVAL_DATABASE_URL='postgresql://aval@db/aval'"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", "word")
    assert _database(demo).endswith(f"@db/aval' AVAL_DATABASE_PASSWORD_FILE={tmp_path}/word")
