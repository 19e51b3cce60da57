"""`aval serve`: what it refuses to start with, and a whole life from start to SIGTERM."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from cli_run import ORGANISATIONS, ROOT, Aval, Gateway

from gateway.cli.demo_visitor import Visitor
from gateway.ground.store.sqlite.engine import OLDEST_SQLITE
from tests.ports import free_port

Run = Callable[..., Aval]


@pytest.mark.parametrize("name", ["public_url", "operator_contact", "keys_dir"])
def test_unsafe_production_settings_are_refused_each_with_its_reason(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("AVAL_MODE", "production")
    done = aval("serve")
    assert done.code == 2 and f"aval: {name}: " in done.err and not folder.exists()


PRODUCTION = {
    "AVAL_MODE": "production",
    "AVAL_PUBLIC_URL": "https://gateway.example",
    "AVAL_OPERATOR_CONTACT": "+33 1 00 00 00 00",
    "AVAL_TRUSTED_PROXIES": '["127.0.0.1/32"]',
}


@pytest.mark.skipif(sqlite3.sqlite_version_info >= OLDEST_SQLITE, reason="this Python's own SQLite is new enough")
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_without_the_newer_sqlite_production_is_refused_and_development_warned(
    folder: Path, tmp_path: Path, command: str
) -> None:
    without = "import sys; sys.modules['pysqlite3'] = None; from gateway.cli import main; main()"
    environment = {**os.environ, **PRODUCTION, "AVAL_KEYS_DIR": str(tmp_path / "keys")}
    done = subprocess.run(
        [sys.executable, "-c", without, command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == (2 if command == "serve" else 1) and not folder.exists()
    assert f"SQLite {sqlite3.sqlite_version} can damage" in done.stderr + done.stdout
    assert "install pysqlite3" in done.stderr + done.stdout
    if command == "doctor":
        developing = {**os.environ}
        done = subprocess.run([sys.executable, "-c", without, command], env=developing, cwd=ROOT, capture_output=True)
        assert done.returncode == 0 and b"warn  sqlite: " in done.stdout


def test_key_files_that_others_can_read_are_refused(aval: Run, folder: Path, begun: Path) -> None:
    (folder / "keys" / "kek.hex").chmod(0o644)
    done = aval("serve")
    assert done.code == 2 and f"chmod 600 {folder / 'keys' / 'kek.hex'}" in done.err


def test_a_database_that_others_can_read_is_refused_in_production(
    aval: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = folder / "aval.sqlite3"
    for variable, value in {**PRODUCTION, "AVAL_KEYS_DIR": str(tmp_path / "keys")}.items():
        monkeypatch.setenv(variable, value)
    aval("migrate")
    aval("people", "list")  # makes the keys
    database.chmod(0o640)
    assert f"chmod 600 {database}" in aval("doctor").out
    done = aval("serve")
    assert done.code == 2 and f"{database}: others can read it; chmod 600" in done.err


def test_the_database_is_private_also_in_a_folder_that_is_not(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    gateway = Gateway(folder, tmp_path / "serve.log", free_port(), umask=0o022)
    try:
        gateway.until_ready()
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("aval.sqlite3*")}
    finally:
        gateway.ends()
    assert modes == dict.fromkeys(("aval.sqlite3", "aval.sqlite3-wal", "aval.sqlite3-shm"), 0o600)


@pytest.mark.parametrize(
    "command, used",
    [
        *(((name,), used) for name in ("serve", "migrate") for used in (False, True)),
        *((("organisations", "add", ORGANISATIONS / "harbour-bank.toml"), used) for used in (False, True)),
        (("people", "list"), True),
    ],
)
def test_a_data_folder_that_cannot_be_written_is_told_in_a_sentence(
    aval: Run, folder: Path, command: tuple[str | Path, ...], used: bool
) -> None:
    if used:
        assert aval("migrate").code == 0 and aval("people", "list").code == 0
    folder.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "--bind", folder, folder]).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        done = aval(*command)
        doctor = aval("doctor")
    finally:
        subprocess.run(["umount", folder], check=True)
    assert done.code == 2 and str(folder) in done.err and "must be a folder that can be written" in done.err
    assert len(done.err.splitlines()) == 1
    assert doctor.code == 1 and f"{folder} cannot be written" in doctor.out


@pytest.fixture
def gateway(folder: Path, tmp_path: Path) -> Iterator[Gateway]:
    started = Gateway(folder, tmp_path / "serve.log", free_port())
    yield started.until_ready()
    started.ends()


def test_a_life_from_first_start_to_sigterm(gateway: Gateway, folder: Path, tmp_path: Path) -> None:
    live, ready = gateway.get("/healthz"), gateway.get("/readyz")
    assert live.json() == {"status": "ok"}
    assert ready.json() == {
        "ready": True,
        "checks": dict.fromkeys(("database", "schema", "log", "keys", "policies", "data", "log_lines"), "ok"),
    }
    assert "server" not in live.headers and "date" in live.headers

    for beside in folder.glob("*.lock"):  # no file that could be deleted apart keeps a second one away
        beside.unlink()
    second = Gateway(folder, tmp_path / "second.log", free_port())
    assert second.process.wait(30) == 2 and "another gateway already serves" in second.log.read_text()
    second.ends()

    given = gateway.get("/sign-in?code=not-to-be-written", **{"X-Request-Id": "forged", "Accept": "text/html"})
    assert given.status_code == 200 and given.headers["x-request-id"] != "forged"
    assert gateway.ends() == 0
    text = gateway.log.read_text()
    assert "not-to-be-written" not in text and "forged" not in text
    assert "plugin" not in text, "Alembic lists its own at INFO"
    [line] = [line for line in gateway.lines() if line.get("path") == "/sign-in"]
    assert line["status"] == 200 and line["request_id"] == given.headers["x-request-id"]


def test_killed_it_starts_again_and_is_ready(folder: Path, tmp_path: Path) -> None:
    first = Gateway(folder, tmp_path / "first.log", free_port()).until_ready()
    first.ends(signal.SIGKILL)
    again = Gateway(folder, tmp_path / "again.log", free_port())
    assert again.until_ready().ends() == 0


@pytest.mark.parametrize("keys", ["in the data folder", "apart"])
def test_a_whole_data_folder_put_back_is_noticed_and_the_newest_one_is_welcome(
    aval: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    if keys == "apart":
        monkeypatch.setenv("AVAL_KEYS_DIR", str(tmp_path / "keys"))

    def lives(name: str, ready: bool = True) -> str:
        """One life with one more person's entry. Returns what it logged."""
        aval("people", "add", f"{name}@example.org", "--name", name, stdin="correct horse battery\n")
        gateway = Gateway(folder, tmp_path / f"{name}.log", free_port()).until_alive()
        assert gateway.get("/readyz").json()["checks"]["log"] == ("ok" if ready else "failed")
        assert gateway.ends() == 0
        return gateway.log.read_text()

    lives("alice")
    shutil.copytree(folder, tmp_path / "copy")
    lives("bob")
    folder.rename(tmp_path / "newest")
    shutil.copytree(tmp_path / "copy", folder)
    assert "a tree of 2 was signed; the database only knows one of 1" in lives("mallory", ready=False)
    shutil.rmtree(folder)
    (tmp_path / "newest").rename(folder)
    assert "frozen" not in lives("chloe")


def test_a_taken_port_ends_2(gateway: Gateway, tmp_path: Path) -> None:
    other = Gateway(tmp_path / "elsewhere", tmp_path / "other.log", int(gateway.url.rpartition(":")[2]))
    code = other.process.wait(30)
    other.ends()
    assert code == 2 and "could not listen" in (said := other.log.read_text()) and "AVAL_PORT" in said


# ---- log lines that cannot be written


def full() -> tuple[int, int | None]:
    return os.open("/dev/full", os.O_WRONLY), None


def without_reader() -> tuple[int, int | None]:
    read, write = os.pipe()
    os.close(read)
    return write, None


def never_read() -> tuple[int, int | None]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(write, b"x" * 4096):
            pass
    os.set_blocking(write, True)
    return write, read


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("output", [full, without_reader, never_read])
def test_log_lines_that_cannot_be_written_cost_nothing_but_themselves(
    folder: Path, tmp_path: Path, output: Callable[[], tuple[int, int | None]]
) -> None:
    written, read = output()
    gateway = Gateway(folder, tmp_path / "serve.log", free_port(), stderr=written)
    os.close(written)
    try:
        gateway.until_ready()
        for _ in range(20):
            assert gateway.get("/sign-in", Accept="text/html").status_code == 200
        alice = Visitor(gateway.url)
        page = alice.get(f"{gateway.url}/register")
        form = {"name": "Alice", "email": "alice@example.org", "password": "correct horse battery"}
        page = alice.submit(page, page.form("/register"), **form)
        page = alice.submit(page, page.form("/sign-in"), email=form["email"], password=form["password"])
        assert page.status == 200 and "Alice" in page.text
        alice._client.close()
        assert httpx2.post(f"{gateway.url}/par", data={"client_id": "nobody"}).status_code in (400, 401)
        ready = gateway.get("/readyz")
        assert ready.status_code == 200 and ready.json()["checks"]["log_lines"] == "degraded"
        assert ready.json()["ready"] is True
    finally:
        code = gateway.ends()
        if read is not None:
            os.close(read)
    assert code == 0


def test_lines_go_on_when_they_can_be_written_again_and_say_how_many_are_missing(folder: Path, tmp_path: Path) -> None:
    written, read = never_read()
    assert read is not None
    gateway = Gateway(folder, tmp_path / "serve.log", free_port(), stderr=written)
    os.close(written)
    try:
        gateway.until_ready()
        gateway.get("/sign-in")
        os.set_blocking(read, False)
        with contextlib.suppress(BlockingIOError):
            while os.read(read, 65536):
                pass
        gateway.get("/register")
        first, *_, last = [json.loads(line) for line in os.read(read, 65536).splitlines()]
        assert first["event"] == "log lines lost" and first["count"] >= 2 and last["path"] == "/register"
        assert gateway.get("/readyz").json()["checks"]["log_lines"] == "ok"
    finally:
        gateway.ends()
        os.close(read)
