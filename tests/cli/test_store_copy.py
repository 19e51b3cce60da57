"""`aval store copy`: a stopped gateway moves from SQLite into PostgreSQL and back, whole or not at all."""

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cli_run import ROOT, Aval, Gateway

from gateway.ground.store.copying_postgres import BEFORE
from gateway.ground.store.postgres.bare import Bare
from gateway.ground.store.sqlite.engine import SqliteStore
from gateway.log import mark, verify
from gateway.settings import Settings
from tests.databases import opened
from tests.ports import free_port
from tests.postgres import Cluster

# Both engines are named by each test itself.
pytestmark = [pytest.mark.sqlite, pytest.mark.timeout(400)]
Run = Callable[..., Aval]
MONTH = 1 << 44


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo whose story was told: people, links, sharings, calls, a stop; 23 entries, signed."""
    folder = tmp_path_factory.mktemp("story")
    command = [sys.executable, "-m", "gateway", "demo", "--story", "--port", "0", "--dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def source(story: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway of the test's own with that data; the settings are its own."""
    shutil.copytree(story / "gateway", folder)
    shutil.copy(story / "gateway.high-water", folder.with_name(f"{folder.name}.high-water"))
    # The log keeps the name it began with.
    monkeypatch.setenv("AVAL_PUBLIC_URL", "http://localhost:8400")
    return folder


class Postgres:
    """An empty database: its address without a password, and the file that has it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.full = url
        self.password = folder / "password"
        self.password.write_text(urlsplit(url).password or "")
        self.url = url.replace(f":{self.password.read_text()}@", "@")

    def as_(self, option: str) -> list[str]:
        return [f"--{option}", self.url, f"--{option}-password-file", str(self.password)]

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.full, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def there(database: str, tmp_path: Path) -> Postgres:
    return Postgres(database, tmp_path)


def rows(folder: Path) -> dict[str, list[str]]:
    """All that the file holds, as SQLite has it."""
    with opened(folder / "aval.sqlite3") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"'))) for name in names}


def copied(aval: Run, *arguments: object) -> dict[str, Any]:
    done = aval("store", "copy", *map(str, arguments), "--json")
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def refused(aval: Run, code: int, *arguments: object) -> str:
    done = aval("store", "copy", *map(str, arguments))
    assert done.code == code and not done.out, done.out + done.err
    return done.err


def whole(there: Postgres) -> verify.Report:
    """Of PostgreSQL's log: every signature and payload."""
    from gateway.ground.keys import KeyRing
    from gateway.log import Log
    from gateway.log.signed import origin

    using = Settings()
    with psycopg.connect(there.full, autocommit=True) as raw:
        connection = Bare(raw)
        key = verify.public_key(using.keys, origin(connection, using))
        opener = Log(KeyRing(using.keys), using.mark)
        report = verify.check(connection, key=key, opener=opener, marked=mark.read(using.mark))
    assert report.whole and not report.unchecked, (report.findings, report.unchecked)
    return report


@contextlib.contextmanager
def serving(folder: Path, tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(folder, tmp_path / f"gateway-{free_port()}.log", free_port())
    try:
        yield gateway.until_ready()
    finally:
        gateway.ends()


def lives(aval: Run, folder: Path, tmp_path: Path, name: str) -> None:
    """A gateway is served from the settings' database, answers, and what is recorded meanwhile is numbered."""
    with serving(folder, tmp_path) as gateway:
        assert gateway.get("/.well-known/oauth-authorization-server").status_code == 200
        added = aval("people", "add", f"{name}@example.org", "--name", name, stdin="correct horse battery\n")
        assert added.code == 0, added.err


# ---- there and back


def test_there_and_back_every_row_is_as_it_was(aval: Run, source: Path, there: Postgres, tmp_path: Path) -> None:
    before = rows(source)
    done = copied(aval, "--from", source, *there.as_("to"))
    assert done["size"] == 23 and done["root"] and not done["resumed"]
    # everything but Alembic's own table and schema is counted
    assert done["rows"] == sum(map(len, before.values())) - 1 and done["tables"] == len(before) - 1
    assert whole(there).signed == 23
    assert there.execute("SELECT to_regclass('storecopy')") == [(None,)]
    back = tmp_path / "laptop"
    assert copied(aval, *there.as_("from"), "--to", back)["root"] == done["root"]
    assert rows(back) == before == rows(source)
    assert (back / "aval.sqlite3").stat().st_mode & 0o777 == 0o600
    said = aval("store", "copy", "--from", str(source), *there.as_("to"))
    assert said.code == 0 and "was this copy already; nothing was written" in said.out


def test_a_gateway_goes_on_from_the_copy_on_either_engine(
    aval: Run, source: Path, there: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(aval, "--from", source, *there.as_("to"))
    assert there.execute(f"SELECT count(*) FROM {BEFORE}") == [(23,)]
    with monkeypatch.context() as on_postgres:
        on_postgres.setenv("AVAL_DATABASE_URL", there.url)
        on_postgres.setenv("AVAL_DATABASE_PASSWORD_FILE", str(there.password))
        lives(aval, source, tmp_path, "paul")
        report = whole(there)
    assert report.signed == report.entries == 24 and not report.waiting
    [(newest,)] = there.execute('SELECT entry_id FROM logleaf ORDER BY "index" DESC LIMIT 1')
    assert newest & (MONTH - 1) == 24 and newest > MONTH, "its month, and the number behind SQLite's last"
    assert there.execute("SELECT count(*) FROM logentry_others") == [(0,)]
    # its last words are recorded as the gateway's own process, gone: nobody has served it when it is copied back
    there.execute("DELETE FROM process")

    back = tmp_path / "laptop"
    copied(aval, *there.as_("from"), "--to", back)
    shutil.copytree(source / "keys", back / "keys")
    shutil.copy(source.with_name("data.high-water"), tmp_path / "laptop.high-water")
    monkeypatch.setenv("AVAL_DATA_DIR", str(back))
    lives(aval, back, tmp_path, "zoe")
    checked = json.loads(aval("log", "verify", "--json").out)
    assert checked["whole"] and checked["signed"] == checked["opened"] == 25
    with opened(back / "aval.sqlite3") as connection:
        [(last,)] = connection.execute('SELECT entry_id FROM logleaf ORDER BY "index" DESC LIMIT 1').fetchall()
    assert last == newest + 1


# ---- killed

KILLED = """
import os, random, signal, sys
from gateway.ground.store import copying, copying_postgres, copying_sqlite
copying.BATCH = 3
left, spot = int(sys.argv[1]), sys.argv[2]
side = copying_postgres.PostgresSide if sys.argv[3] == "postgres" else copying_sqlite.SqliteSide
begun = side.transaction
class transaction:
    def __init__(self, side): self.inner = begun(side)
    def __enter__(self): return self.inner.__enter__()
    def __exit__(self, *error):
        global left
        left -= 1
        if left == 0 and spot == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = self.inner.__exit__(*error)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
side.transaction = lambda side: transaction(side)
sys.argv = ["aval", *sys.argv[4:]]
from gateway.cli import main
main()
"""


def killed(at: int, spot: str, to_postgres: bool, *arguments: object) -> int:
    """Kills itself with the target's transaction of this number, before or after its COMMIT."""
    side = "postgres" if to_postgres else "sqlite"
    command = [sys.executable, "-c", KILLED, str(at), spot, side, "store", "copy", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=200
    ).returncode


@pytest.mark.parametrize("to_postgres", [True, False], ids=["into PostgreSQL", "into SQLite"])
def test_killed_at_any_moment_it_goes_on_and_no_row_is_doubled(
    aval: Run, source: Path, there: Postgres, tmp_path: Path, to_postgres: bool
) -> None:
    back = tmp_path / "laptop"
    ways = ["--from", source, *(there.as_("to") if to_postgres else ("--to", back))]
    some = [(random.randint(2, 14), random.choice(["before", "after"])) for _ in range(3)]
    for at, spot in [(1, "before"), (1, "after"), *some]:
        assert killed(at, spot, to_postgres, *ways) == -signal.SIGKILL, "it was over before it was killed"
    done = copied(aval, *ways)
    assert done["resumed"] and done["rows"] == sum(map(len, rows(source).values())) - 1
    if to_postgres:
        copied(aval, *there.as_("from"), "--to", back)
    assert rows(back) == rows(source)


def test_killed_from_outside_wherever_it_is_the_same_command_says_done(
    aval: Run, source: Path, there: Postgres
) -> None:
    ways = ["--from", str(source), *there.as_("to")]
    for seconds in (random.uniform(1, 4), random.uniform(2, 8)):
        process = subprocess.Popen([sys.executable, "-m", "gateway", "store", "copy", *ways], cwd=ROOT)
        time.sleep(seconds)
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL)
    assert copied(aval, *ways)["size"] == 23
    assert whole(there).signed == 23


def test_nobody_serves_a_part_of_a_copy_and_no_other_gateway_goes_on_in_it(
    aval: Run, source: Path, there: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ["--from", source, *there.as_("to")]
    assert killed(4, "after", True, *ways) == -signal.SIGKILL
    with monkeypatch.context() as on_postgres:
        on_postgres.setenv("AVAL_DATABASE_URL", there.full)
        for command in ("serve", "migrate", "doctor"):
            done = aval(command)
            assert done.code in (1, 2) and "a part of a copy" in done.err + done.out, command
    added = aval("people", "add", "new@example.org", "--name", "New", stdin="correct horse battery\n")
    assert added.code == 0
    assert "a part of another gateway's copy, or of this one's before it went on" in refused(aval, 1, *ways)


# ---- refused


def test_what_postgres_cannot_hold_is_named_by_table_and_key_only(aval: Run, source: Path, there: Postgres) -> None:
    ways = ["--from", source, *there.as_("to")]
    with opened(source / "aval.sqlite3") as connection:
        [(key, name)] = connection.execute("SELECT id, name FROM person WHERE email LIKE 'bob%'").fetchall()
        connection.execute("UPDATE person SET name = 'Se' || char(0) || 'cret' WHERE id = ?", (key,))
    why = f"aval: table person, key '{key}': name holds a NUL, which PostgreSQL cannot hold in a text\n"
    assert refused(aval, 1, *ways) == why
    with opened(source / "aval.sqlite3") as connection:
        connection.execute("UPDATE person SET name = CAST(x'ff41' AS TEXT) WHERE id = ?", (key,))
    assert refused(aval, 1, *ways) == f"aval: table person, key '{key}': name is not UTF-8\n"
    with opened(source / "aval.sqlite3") as connection:
        connection.execute("UPDATE person SET name = ? WHERE id = ?", (name, key))
    assert copied(aval, *ways)["resumed"]


def test_a_row_that_was_changed_meanwhile_is_found(aval: Run, source: Path, there: Postgres) -> None:
    ways = ["--from", source, *there.as_("to")]
    assert killed(40, "before", True, *ways) == -signal.SIGKILL
    there.execute("UPDATE app SET status_reason = 'bent'")
    assert "table app: a row is not the same in the copy" in refused(aval, 1, *ways)
    there.execute("UPDATE app SET status_reason = ''")
    there.execute("DELETE FROM logname")
    assert "table logname: 1 rows, and 0 in the copy" in refused(aval, 1, *ways)


def test_a_log_that_is_not_whole_is_not_said_to_be(aval: Run, source: Path, there: Postgres) -> None:
    with opened(source / "aval.sqlite3") as connection:
        connection.execute("UPDATE logentry SET commitment = zeroblob(32) WHERE id = 7")
    assert "the log of the copy is not whole" in refused(aval, 1, "--from", source, *there.as_("to"))
    assert there.execute("SELECT to_regclass('storecopy') IS NULL") == [(False,)], "and nobody serves it"


def test_what_is_served_is_not_copied(aval: Run, source: Path, there: Postgres, tmp_path: Path) -> None:
    ways = ["--from", source, *there.as_("to")]
    serving_store = SqliteStore(source / "aval.sqlite3")
    serving_store.claim()
    try:
        assert "another gateway already serves" in refused(aval, 2, *ways)
    finally:
        serving_store.close()
    copied(aval, *ways)
    there.execute("INSERT INTO process VALUES ('p', '0', now())")
    back = ["--to", tmp_path / "laptop", *there.as_("from")]
    assert "a gateway has served it in the last 30 seconds" in refused(aval, 2, *back)
    there.execute("UPDATE process SET seen_at = now() - interval '31 seconds'")
    copied(aval, *back)


def test_what_is_not_empty_is_not_copied_into(aval: Run, source: Path, there: Postgres, tmp_path: Path) -> None:
    copied(aval, "--from", source, *there.as_("to"))
    there.execute("UPDATE person SET name = 'Another'")
    assert "is not empty (table app)" in refused(aval, 1, "--from", source, *there.as_("to"))
    assert there.execute("SELECT DISTINCT name FROM person") == [("Another",)]


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (("--from", "{data}", "--to", "postgresql://u:secret@h/d"), "--to-password-file FILE instead"),
        (("--from", "{data}", "--to", "mysql://h/d"), "write a folder, or postgresql://"),
        (("--from", "{data}", "--to", "{data}"), "name the same database"),
        (("--from", "{data}/nothing", "--to", "{data}/new"), "no gateway has its data there"),
        (("--from", "{data}", "--to", "x", "--to-password-file", "f"), "only an address has a password"),
        (
            ("--from", "{data}", "--to", "postgresql://u@127.0.0.1:1/d"),
            "no server listens there: start it, or correct --to\n",
        ),
        (("--from", "postgresql://u@127.0.0.1:1/d", "--to", "{data}"), "start it, or correct --from\n"),
    ],
)
def test_what_cannot_be_meant_is_told(aval: Run, source: Path, ends: tuple[str, ...], why: str) -> None:
    said = refused(aval, 2, *(part.format(data=source) for part in ends))
    assert why in said and "secret" not in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("option", ["to", "from"])
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            "word",
            'password authentication failed for user "{user}"; correct the password in the file that --{option}',
        ),
        ("no word", "--{option}-password-file names the file with the password"),
        ("name", 'database "nowhere" does not exist; createdb makes a database'),
    ],
)
def test_an_end_that_does_not_open_is_told_with_the_option_that_opens_it(
    aval: Run, source: Path, there: Postgres, tmp_path: Path, option: str, wrong: str, why: str
) -> None:
    end = there.as_(option)
    if wrong == "word":
        there.password.write_text("another word")
    elif wrong == "no word":
        end = end[:2]
    else:
        end[1] = there.url.rpartition("/")[0] + "/nowhere"
    other = ["--from", str(source)] if option == "to" else ["--to", str(tmp_path / "laptop")]
    said = refused(aval, 2, *end, *other)
    assert why.format(option=option, user=urlsplit(there.url).username) in said, said
    assert "AVAL_" not in said and len(said.splitlines()) == 1 and "another word" not in said


def test_without_keys_it_is_said_that_no_signature_was_checked(aval: Run, source: Path, there: Postgres) -> None:
    ways = ["--from", source, *there.as_("to")]
    assert copied(aval, *ways)["unchecked"] == ""
    (source / "keys").rename(source / "elsewhere")
    assert copied(aval, *ways)["unchecked"] == f"signatures not checked: no keys in {source / 'keys'}"
    done = aval("store", "copy", *map(str, ways))
    assert done.code == 0 and f"signatures not checked: no keys in {source / 'keys'}; `aval log verify`" in done.out


def test_keys_of_another_gateway_are_told_as_such_and_the_log_is_not_blamed(
    aval: Run, source: Path, there: Postgres, tmp_path: Path
) -> None:
    from gateway.ground.keys import KeyRing

    ways = ["--from", source, *there.as_("to")]
    (source / "keys").rename(tmp_path / "own")
    KeyRing(source / "keys", create=True)
    said = refused(aval, 1, *ways)
    assert f"{source / 'keys' / 'log.pem'}: the key of another gateway" in said and "not whole" not in said
    shutil.rmtree(source / "keys")
    (tmp_path / "own").rename(source / "keys")
    assert copied(aval, *ways)["size"] == 23


@pytest.mark.parametrize("at_the_end", [False, True])
def test_interrupted_it_says_how_to_go_on_without_a_traceback(
    aval: Run, source: Path, there: Postgres, at_the_end: bool
) -> None:
    command = [sys.executable, "-m", "gateway", "store", "copy", "--from", str(source), *there.as_("to")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    if at_the_end:
        assert process.stdout.readline().startswith("done: ")
    else:
        while there.execute("SELECT to_regclass('storecopy')") == [(None,)]:
            assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # A signal that arrives inside a weak reference's callback is told by Python itself, and nobody can catch it.
    tracebacks = err.count("Traceback") - err.count("Exception ignored in")
    assert tracebacks <= 0 and (at_the_end or process.returncode == 0 or "run the same command again" in err)
    assert copied(aval, *command[5:])["size"] == 23


def test_a_server_that_goes_away_is_told_and_the_copy_goes_on_afterwards(
    aval: Run, source: Path, there: Postgres, postgres: Cluster
) -> None:
    ways = ["--from", source, *there.as_("to")]
    assert killed(5, "after", True, *ways) == -signal.SIGKILL
    postgres.stop("immediate")
    assert "no server listens there: start it, or correct --to" in refused(aval, 2, *ways)
    postgres.start()
    assert copied(aval, *ways)["resumed"]
