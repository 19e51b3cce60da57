"""The recipe of operating.md, "From nothing", followed on a server with nothing on it, machine after machine."""

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cli_run import ROOT, Aval, Gateway
from psycopg.conninfo import conninfo_to_dict

from gateway.settings import Settings, unsafe
from tests.ports import free_port
from tests.postgres import Cluster, tool

Run = Callable[..., Aval]


def recipe() -> list[str]:
    """Its twelve lines: of each the first thing to type."""
    text = (ROOT / "gateway/docs/operating.md").read_text().partition("## From nothing")[2].partition("\n## ")[0]
    return [" ".join(line.split()) for line in re.findall(r"^\d+\. `([^`]*)`", text, re.MULTILINE)]


def test_the_dependencies_that_it_installs_are_those_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for part in ("--require-hashes --no-deps -r requirements.lock", "--no-deps --no-build-isolation "):
        assert part in recipe()[0] and part in makefile


def test_its_settings_are_safe_for_production_and_keep_the_mark_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    command, *pairs = shlex.split(recipe()[5])
    assert command == "export"
    for name, _, value in (pair.partition("=") for pair in pairs):
        monkeypatch.setenv(name, value.replace("$HOME", "/home/aval"))
    using = Settings(database_url="postgresql://aval@db.example/aval?sslmode=verify-full")
    assert list(unsafe(using)) == [] and using.processes == 2 and len(using.trusted_proxies) == 1
    assert using.mark.parent not in (using.keys, using.data_dir), "the keys are copied, the mark is not"


def test_a_newcomer_who_follows_it_serves_on_two_machines(
    aval: Run, database: str, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = recipe()
    assert len(lines) == 12
    given = conninfo_to_dict(database)
    user, name, word = f"u{secrets.token_hex(4)}", f"n{secrets.token_hex(4)}", secrets.token_hex(8)
    as_administrator = {
        **os.environ, "PGHOST": str(given["host"]), "PGPORT": str(given["port"]), "PGUSER": str(given["user"]),
        "PGPASSWORD": str(given["password"]),
    }  # fmt: skip

    def typed(line: str, said: str = "", **environment: str) -> None:
        done = subprocess.run(
            ["setsid", "bash", "-c", line], input=said, text=True, capture_output=True, timeout=60, cwd=tmp_path,
            env={**as_administrator, "PATH": f"{tool('createdb').parent}:{os.environ['PATH']}", **environment},
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)

    typed(lines[1].replace("aval", user), f"{word}\n{word}\n")
    typed(lines[2].replace("--owner aval aval", f"--owner {user} {name}"))
    try:
        typed(lines[3], word, HOME=str(tmp_path))
        file = tmp_path / "database-password"
        assert file.read_text() == word and file.stat().st_mode & 0o777 == 0o600
        assert lines[4].startswith("export AVAL_DATABASE_URL=postgresql://aval@db.example/aval AVAL_DATABASE_PASSWORD_")
        monkeypatch.setenv("AVAL_DATABASE_URL", f"postgresql://{user}@{given['host']}:{given['port']}/{name}")
        monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", str(file))
        for line in lines[6:8]:
            done = aval(*line.split()[1:])
            assert done.code == 0 and "FAIL" not in done.out, done.out + done.err
        assert lines[8] == "aval serve"
        monkeypatch.setenv("AVAL_PROCESSES", "2")
        machines = [tmp_path / "one", tmp_path / "two"]
        running: list[Gateway] = []
        try:
            for machine in machines:
                machine.mkdir()
                if machine != machines[0]:
                    shutil.copytree(machines[0] / "keys", machine / "keys")
                own = {"AVAL_KEYS_DIR": str(machine / "keys"), "AVAL_MARK_FILE": str(machine / "mark")}
                port = free_port()
                running.append(Gateway(machine, machine / "log", port, **own).until_ready())
            assert lines[9].startswith("export CITY_ENERGY_CLIENT_SECRET=")
            monkeypatch.setenv("AVAL_KEYS_DIR", str(machines[1] / "keys"))
            done = aval("organisations", "add", ROOT / lines[10].split()[-1])
            assert done.code == 0, done.err
            assert lines[11].endswith("/readyz")
            assert [gateway.get("/readyz").status_code for gateway in running] == [200, 200]
            alone = tmp_path / "three"
            done_alone = subprocess.run(
                [sys.executable, "-m", "gateway", "serve"], capture_output=True, text=True, timeout=60, cwd=ROOT,
                env={**os.environ, "AVAL_KEYS_DIR": str(alone), "AVAL_PORT": str(free_port())},
            )  # fmt: skip
            assert done_alone.returncode == 2 and "put the key files back" in done_alone.stderr, "no copy, no start"
        finally:
            assert [gateway.ends() for gateway in running] == [0] * len(running)
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            connection.execute(f"DROP ROLE {user}".encode())
