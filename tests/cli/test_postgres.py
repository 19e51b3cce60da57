"""Every command on PostgreSQL, and what it says where there is none, or not the one that was meant."""

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cli_run import APPS, ORGANISATIONS, ROOT, Aval, Gateway

from gateway.app import build_house
from gateway.cli import opening
from gateway.consent import deciding
from gateway.consent.rules import State
from gateway.consent.tables import Consent
from gateway.ground.keys import KeyRing
from gateway.ground.store import Connection
from gateway.ground.store.migrate import OWNER
from gateway.ground.store.postgres import faults
from gateway.house import House
from gateway.log import Event, restart
from gateway.log.reading import entries
from gateway.log.sequencer import Sequencer
from gateway.log.signed import Frozen
from gateway.settings import Settings, unsafe
from tests.databases import migrated
from tests.ports import free_port
from tests.postgres import Bouncer, Cluster, TcpFaults, at_port, require_bouncer, until

Run = Callable[..., Aval]
PRODUCTION = {
    "AVAL_MODE": "production",
    "AVAL_PUBLIC_URL": "https://gateway.example",
    "AVAL_OPERATOR_CONTACT": "+33 1 00 00 00 00",
}


@pytest.fixture
def at(folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database, which the settings name."""
    monkeypatch.setenv("AVAL_DATABASE_URL", database)
    return database


@pytest.fixture(scope="module")
def of_alice(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a gateway with three entries of Alice, all of them signed; its database is `of_alice`."""
    folder = tmp_path_factory.mktemp("alice") / "data"
    postgres.start()
    postgres.create("of_alice")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AVAL_DATA_DIR", str(folder))
        patched.setenv("AVAL_DATABASE_URL", postgres.url("of_alice"))
        _three_entries()
    yield folder
    postgres.start()
    postgres.drop("of_alice")


def _three_entries() -> None:
    assert Aval("migrate").code == 0
    assert Aval("people", "add", "alice@example.org", "--name", "Alice", stdin="correct horse battery\n").code == 0
    house = build_house(Settings())
    with house.store.write() as session:
        (person,) = session.connection().exec_driver_sql("SELECT id FROM person").one()
        for _ in range(2):
            house.log.record(session, Event("log_read", person, datetime.now(UTC), "operator"))
    sequencer = Sequencer(house)
    sequencer.integrate_once()
    sequencer.stop()
    house.store.close()


@pytest.fixture
def log(of_alice: Path, at: str, folder: Path, postgres: Cluster) -> str:
    """Alice's log, in a copy of the test's own."""
    name = urlsplit(at).path[1:]
    postgres.drop(name)
    postgres.create(name, "of_alice")
    shutil.copytree(of_alice, folder)
    shutil.copy(of_alice.with_name("data.high-water"), folder.with_name("data.high-water"))
    return at


def executed(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_the_tables_are_made_once(aval: Run, at: str) -> None:
    first, again = aval("migrate"), aval("migrate")
    assert first.code == again.code == 0
    assert "made, empty, with schema" in first.out and "nothing to do" in again.out
    assert first.out.startswith("postgresql://127.0.0.1:")


def test_of_several_who_make_them_at_once_one_says_so(at: str, folder: Path) -> None:
    command = [sys.executable, "-m", "gateway", "migrate"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    said = sorted(process.communicate(timeout=100)[0].partition(": ")[2] for process in running)
    assert ["made, empty" in each for each in said] == [False, False, True], said
    assert said[0] == said[1] and "of this version; nothing to do" in said[0]


def test_a_state_that_is_not_known_asks_for_an_empty_database_and_no_folder(aval: Run, at: str) -> None:
    assert aval("migrate").code == 0
    executed(at, "UPDATE alembic_version SET version_num = '0001'")
    done = aval("migrate")
    assert done.code == 2 and "begin with an empty database" in done.err and "folder" not in done.err
    assert "begin with an empty database" in aval("doctor").out


def test_a_database_where_no_gateway_has_begun_is_left_as_it_is(aval: Run, at: str, folder: Path) -> None:
    for command in (("people", "list"), ("log", "verify"), ("log", "restart")):
        done = aval(*command)
        assert done.code == 2 and "no gateway has its data there; nothing was made" in done.err, command
    assert not folder.exists()


def test_organisations_apps_people_and_keys_are_the_same_commands(aval: Run, at: str) -> None:
    assert aval("migrate").code == 0
    assert aval("organisations", "add", ORGANISATIONS / "city-energy.toml").code == 0
    assert "city-energy" in aval("organisations", "list").out
    assert aval("people", "add", "alice@example.org", "--name", "Alice", stdin="correct horse battery\n").code == 0
    assert "alice@example.org" in aval("people", "list").out
    assert "localhost/log+" in aval("keys", "list").out
    assert "Alice" not in aval("apps", "list").out


def test_no_other_keys_are_taken(aval: Run, log: str, folder: Path) -> None:
    key = folder / "keys" / "kek.hex"
    key.write_text("00" * 32)
    done = aval("people", "list")
    assert done.code == 2 and f"{key}: {opening.FOREIGN_KEY}" in done.err


# ---- a new database, and two machines

ENERGY = ORGANISATIONS / "city-energy.toml"
WON, LOST = "a new gateway was begun", "copy the keys folder of the machine that began to"


def machine(folder: Path, log: Path) -> Gateway:
    return Gateway(folder, log, free_port())


def test_a_second_machine_without_the_keys_makes_none_and_does_not_serve(
    aval: Run, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aval("migrate").code == 0
    first = machine(tmp_path / "one", tmp_path / "one.log").until_ready()
    try:
        [kid] = [key["kid"] for key in first.get("/jwks.json").json()["keys"]]
        second = machine(tmp_path / "two", tmp_path / "two.log")
        assert second.process.wait(60) == second.ends() == 2
        said = (tmp_path / "two.log").read_text()
        assert f"whose newest token key is {kid} in its /jwks.json" in said and LOST in said
        assert not (tmp_path / "two").exists()
        monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / "two"))
        assert aval("organisations", "add", ORGANISATIONS / "city-energy.toml").code == 2
        assert not (tmp_path / "two").exists()
        assert {path.stat().st_mode & 0o777 for path in [tmp_path / "one", tmp_path / "one" / "keys"]} == {0o700}

        (tmp_path / "two").mkdir(mode=0o700)
        shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
        second = machine(tmp_path / "two", tmp_path / "two.log").until_ready()
        try:
            assert second.get("/jwks.json").json() == first.get("/jwks.json").json()
            assert aval("doctor").out.count("FAIL  keys") == 0
        finally:
            assert second.ends() == 0
    finally:
        assert first.ends() == 0


@pytest.mark.parametrize("have", [True, False], ids=["with keys of their own", "with empty folders"])
def test_of_two_machines_that_start_at_the_same_moment_one_serves(at: str, tmp_path: Path, have: bool) -> None:
    names = ("one", "two")
    if have:
        for name in names:
            KeyRing(tmp_path / name / "keys", create=True)
    machines = [machine(tmp_path / name, tmp_path / f"{name}.log") for name in names]
    try:
        until = time.monotonic() + 90
        while not (ended := [each for each in machines if each.process.poll() is not None]):
            assert time.monotonic() < until
            time.sleep(0.05)
        [loser], [winner] = ended, [each for each in machines if each not in ended]
        assert loser.process.returncode == 2
        winner.until_ready()
        assert WON in winner.log.read_text() and LOST not in winner.log.read_text()
        said = loser.log.read_text()
        assert LOST in said and WON not in said
        assert said.count(opening.FOREIGN_KEY) == (3 if have else 0)
        assert (tmp_path / names[machines.index(loser)]).exists() is have
    finally:
        assert sorted(each.ends() for each in machines) == [0, 2]


def test_a_process_in_whose_place_another_database_was_put_gives_nothing(aval: Run, log: str, tmp_path: Path) -> None:
    house = build_house(Settings())
    sequencer = Sequencer(house)
    try:
        sequencer.start()
        assert house.log.frozen == ""
        executed(log, "UPDATE keycheck SET value = 'another' WHERE file = 'kek.hex'")
        with pytest.raises(Frozen, match="used with other keys than kek.hex here"):
            sequencer.integrate_once()
        until = time.monotonic() + 30
        while not sequencer.fault() and time.monotonic() < until:
            time.sleep(0.05)
        assert "other keys than kek.hex" in house.log.frozen and "other keys" in sequencer.fault()
    finally:
        sequencer.stop()
        house.store.close()


# ---- no database, or not that one


@pytest.mark.parametrize(
    "change, said",
    [
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist; createdb'),
        ({"port": "1"}, "no server listens there"),
        ({"host": "nowhere.invalid"}, "correct the host"),
        ({"password": "wrong-word"}, "correct the password in the file that AVAL_DATABASE_PASSWORD_FILE names"),
    ],
)
@pytest.mark.parametrize("command", [("migrate",), ("serve",), ("people", "list"), ("log", "verify"), ("keys", "list")])
def test_a_database_that_is_not_there_is_told_in_one_line(
    aval: Run, at: str, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str, command: tuple[str, ...]
) -> None:
    known = psycopg.conninfo.conninfo_to_dict(at)
    given = {name: str(known[name]) for name in ("host", "port", "user", "password", "dbname")} | change
    url = f"postgresql://{given['user']}:{given['password']}@{given['host']}:{given['port']}/{given['dbname']}"
    monkeypatch.setenv("AVAL_DATABASE_URL", url)
    done = aval(*command)
    assert done.code == 2 and len(done.err.splitlines()) == 1 and said in done.err
    assert given["password"] not in done.err + done.out


def test_a_message_of_the_server_is_told_from_where_it_matters() -> None:
    error = psycopg.OperationalError(
        'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
        'FATAL:  password authentication failed for user "aval"'
    )
    assert faults.sentence("postgresql://db:5432/aval", error) == (
        'postgresql://db:5432/aval: password authentication failed for user "aval"; '
        "correct the password in the file that AVAL_DATABASE_PASSWORD_FILE names"
    )


def test_a_password_file_that_is_empty_is_named(
    aval: Run, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "word").write_text("\n")
    monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", str(tmp_path / "word"))
    assert f"{tmp_path / 'word'}: cannot be read (it is empty)" in aval("migrate").err


@pytest.mark.parametrize("word", ["p/w", "p?w", "p%w", "p#w", "p@w", "p w[", "p]w"])
def test_a_password_that_was_not_escaped_is_never_shown(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("AVAL_DATABASE_URL", f"postgresql://aval:{word}@127.0.0.1:1/aval")
    for command in (("migrate",), ("settings",), ("doctor",)):
        done = aval(*command)
        assert word not in done.out + done.err and word[-1] + "@" not in done.out + done.err, (command, done.out)


def test_a_server_that_is_too_old_is_refused(aval: Run, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "OLDEST", 990000)
    done = aval("serve")
    assert done.code == 2 and "is too old; 99 or newer is needed" in done.err


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_write_every_name_is_refused(
    aval: Run, at: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"e{secrets.token_hex(4)}"
    executed(at, f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    other = urlsplit(at)._replace(path=f"/{name}")
    monkeypatch.setenv("AVAL_DATABASE_URL", other.geturl())
    (tmp_path / "word").write_text(str(other.password))
    to = other._replace(netloc=f"postgres@{other.netloc.rpartition('@')[2]}").geturl()
    copy = ("store", "copy", "--from", str(tmp_path / "one"), "--to", to, "--to-password-file", str(tmp_path / "word"))
    said = f"/{name}: its encoding is {encoding}; make one with createdb --encoding UTF8 --template template0 --owner"
    try:
        migrated(Settings(data_dir=tmp_path / "one").model_copy(update={"database_url": ""}))
        for command in (("migrate",), ("serve",), ("people", "list"), copy):
            done = aval(*command)
            assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1, done.err
        done = aval("doctor")
        assert done.code == 1 and done.out.count(said) == 1 and "Traceback" not in done.err, done.out
    finally:
        executed(at, f"DROP DATABASE {name} WITH (FORCE)")


# ---- settings


def test_the_address_is_listed_without_its_password(aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://aval:secret-word@db1,db2:5433/aval?sslmode=require&sslpassword=other-word"
    monkeypatch.setenv("AVAL_DATABASE_URL", url)
    for done in (aval("settings"), aval("settings", "--json")):
        assert "postgresql://aval@db1,db2:5433/aval?sslmode=require" in done.out
        assert "secret-word" not in done.out and "other-word" not in done.out


@pytest.mark.parametrize(
    "url, refused",
    [
        ("postgresql://aval@db.example/aval", True),
        ("postgresql://aval@db.example/aval?sslmode=prefer", True),
        ("postgresql://aval@db.example/aval?sslmode=require", False),
        ("postgresql://aval@db.example,db2.example/aval?sslmode=verify-full", False),
        ("postgresql://aval@localhost,db2.example/aval", True),
        ("postgresql://aval@127.0.0.1/aval", False),
        ("postgresql://aval@[::1]/aval", False),
        ("postgresql:///aval?host=/run/postgresql", False),
        ("postgresql:///aval?host=localhost&hostaddr=192.0.2.1", True),
        ("postgresql:///aval", False),
    ],
)
def test_production_refuses_a_connection_in_the_clear(url: str, refused: bool) -> None:
    found = [why for name, why in unsafe(Settings(mode="production", database_url=url)) if name == "database_url"]
    assert bool(found) is refused
    assert not found or "sslmode=require" in found[0]


def test_production_refuses_a_server_that_forgets_what_it_acknowledged(
    aval: Run, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(at)["dbname"]
    executed(at, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    production = PRODUCTION | {"AVAL_KEYS_DIR": str(tmp_path / "keys")}
    for variable, value in production.items():
        monkeypatch.setenv(variable, value)
    done = aval("serve")
    assert done.code == 2 and "synchronous_commit: off: an access could be lost" in done.err
    assert not (tmp_path / "data").exists(), "no folder of data is needed"
    assert "FAIL  postgresql.synchronous_commit" in aval("doctor").out


@pytest.mark.parametrize("before", [(), (("organisations", "add", ENERGY),)])
def test_a_server_that_takes_no_writes_is_not_served(
    aval: Run, at: str, before: tuple[tuple[str | Path, ...], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(at)["dbname"]
    monkeypatch.setenv("CITY_ENERGY_CLIENT_SECRET", "a-secret")
    for command in before:
        assert aval(*command).code == 0
    executed(at, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    done = aval("serve")
    assert done.code == 2 and "this server takes no writes; name the primary in AVAL_DATABASE_URL" in done.err
    assert "Traceback" not in done.err + done.out


# ---- doctor, verify, backup


def test_before_the_tables_are_made_doctor_says_what_makes_them(aval: Run, at: str) -> None:
    told = aval("doctor").out
    assert "there are no tables yet" in told and "`aval migrate` makes them" in told and "AVAL_DATA_DIR" not in told


def test_a_mark_that_is_not_there_is_told(aval: Run, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_MARK_FILE", str(tmp_path / "elsewhere"))
    told = aval("doctor").out
    assert f"warn  mark: {tmp_path / 'elsewhere'} is not there: this machine has not served with it yet" in told


def test_doctor_says_how_the_server_does_and_changes_nothing(aval: Run, log: str) -> None:
    found = {check["name"]: check for check in map(json.loads, aval("doctor", "--json").out.splitlines())}
    assert found["postgresql"]["status"] == "ok" and found["postgresql"]["found"].split(".")[0].isdecimal()
    assert " ms, on this server; no standby is waited for" in found["commit"]["found"]
    for name in ("encryption", "connections", "schema", "partitions", "clock", "log", "mark"):
        assert found[name]["status"] == "ok", found[name]
    assert "sqlite" not in found and "clocks" not in found


def test_doctor_says_when_no_server_is_there(aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_DATABASE_URL", "postgresql://aval@127.0.0.1:1/aval")
    done = aval("doctor")
    assert done.code == 1 and "FAIL  postgresql: postgresql://127.0.0.1:1/aval: " in done.out
    assert done.out.count("FAIL") == 1


def test_doctor_tests_both_addresses_and_names_each(
    aval: Run, log: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(log)["dbname"])
    with TcpFaults(postgres.port) as way:
        monkeypatch.setenv("AVAL_DATABASE_URL", way.url(log))
        monkeypatch.setenv("AVAL_DATABASE_DIRECT_URL", log)
        told = aval("doctor").out
        assert f"ok    pooler: answers at postgresql://127.0.0.1:{way.port}/{name}\n" in told
        assert f" at postgresql://127.0.0.1:{postgres.port}/{name}\n" in told
    done = aval("doctor")
    assert done.code == 1 and f"FAIL  pooler: postgresql://127.0.0.1:{way.port}/{name}: " in done.out
    assert "ok    postgresql: " in done.out
    monkeypatch.setenv("AVAL_DATABASE_URL", log)
    monkeypatch.setenv("AVAL_DATABASE_DIRECT_URL", way.url(log))
    done = aval("doctor")
    assert "ok    pooler: " in done.out
    assert f"FAIL  postgresql: postgresql://127.0.0.1:{way.port}/{name}: " in done.out
    assert "or correct AVAL_DATABASE_DIRECT_URL" in done.out


def test_a_pooler_needs_the_address_of_the_server_itself_and_no_settings(
    aval: Run, log: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_bouncer()
    with Bouncer(postgres) as bouncer:
        monkeypatch.setenv("AVAL_DATABASE_URL", at_port(log, bouncer.port))
        alone = aval("doctor")
        monkeypatch.setenv("AVAL_DATABASE_DIRECT_URL", log)
        done = aval("doctor")
    assert alone.code != 0 and "that is a pgBouncer: AVAL_DATABASE_DIRECT_URL names the server itself" in (
        alone.out + alone.err
    )
    assert "ok    pooler: " in done.out and "FAIL" not in done.out, done.out


def test_a_user_who_may_make_no_tables_is_told_to_own_the_database(
    aval: Run, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "may not make any" not in aval("doctor").out
    user, word = f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    executed(at, f"CREATE ROLE {user} LOGIN PASSWORD '{word}'")
    executed(at, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # as it is from PostgreSQL 15 on
    try:
        url = urlsplit(at)
        monkeypatch.setenv("AVAL_DATABASE_URL", f"postgresql://{user}:{word}@{url.netloc.rpartition('@')[2]}{url.path}")
        for command in ("migrate", "serve"):
            done = aval(command)
            said = [line for line in done.err.splitlines() if line.startswith("aval: ")]
            assert done.code == 2 and len(said) == 1 and "LINE 2" not in done.err, done.err
            assert "permission denied for schema public; the database must belong to the user: createdb" in said[0]
        done = aval("doctor")
        assert done.code == 1 and "FAIL  tables: this user may not make any in this database\n" in done.out
        assert (
            "→ the database must belong to the user: createdb --encoding UTF8 --template template0 --owner aval aval"
            in done.out
        )
    finally:
        executed(at, f"DROP ROLE {user}")


@pytest.mark.parametrize("hidden", ["tables", "schema"])
def test_a_user_who_may_not_read_the_tables_is_told_in_one_line(
    aval: Run, log: str, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, word = f"u{secrets.token_hex(4)}", secrets.token_hex(8)
    executed(log, f"CREATE ROLE {user} LOGIN PASSWORD '{word}'")
    if hidden == "schema":
        executed(log, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    try:
        url = urlsplit(log)
        netloc = f"{user}:{word}@{url.netloc.rpartition('@')[2]}"
        monkeypatch.setenv("AVAL_DATABASE_URL", url._replace(netloc=netloc).geturl())
        for command in (("migrate",), ("serve",), ("people", "list"), ("log", "verify")):
            done = aval(*command)
            said = [line for line in done.err.splitlines() if not line.startswith('{"event":"')]
            assert done.code == 2 and len(said) == 1 and said[0].startswith("aval: "), done.err
            if hidden == "tables" or command[0] == "migrate":
                assert f"; {OWNER}" in done.err
        done = aval("doctor")
        assert done.code == 1 and "the database must belong to the user" in done.out and "Traceback" not in done.err
    finally:
        executed(log, f"DROP ROLE {user}")


def test_a_password_in_the_address_or_open_to_others_is_told(
    aval: Run, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = str(urlsplit(log).password)
    told = aval("doctor").out
    assert "warn  settings.database_url: holds the password" in told and "AVAL_DATABASE_PASSWORD_FILE" in told
    assert word not in told
    file = tmp_path / "word"
    file.write_text(word)
    file.chmod(0o640)
    monkeypatch.setenv("AVAL_DATABASE_URL", log.replace(f":{word}@", "@"))
    monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", str(file))
    told = aval("doctor").out
    assert f"warn  settings.database_password_file: {file} is open to other users\n" in told
    assert f"chmod 600 {file}" in told and "holds the password" not in told
    with monkeypatch.context() as production:
        for variable, value in PRODUCTION.items():
            production.setenv(variable, value)
        production.setenv("AVAL_KEYS_DIR", str(tmp_path / "keys"))
        (Settings().data_dir / "keys").rename(tmp_path / "keys")
        done = aval("serve")
        assert done.code == 2 and f"{file}: others can read it; chmod 600 {file}" in done.err
        (tmp_path / "keys").rename(Settings().data_dir / "keys")
    file.chmod(0o600)
    assert "database_password_file" not in aval("doctor").out


def test_doctor_names_the_months_without_a_partition(aval: Run, log: str) -> None:
    with psycopg.connect(log, autocommit=True) as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^logentry_20[0-9_]+$' ORDER BY 1")
        last = rows.fetchall()[-1][0]
        connection.execute(f"DROP TABLE {last}".encode())
    assert f"warn  partitions: missing: {last}" in aval("doctor").out


def test_a_whole_log_is_verified_and_a_changed_entry_found(aval: Run, log: str, folder: Path) -> None:
    done = aval("log", "verify")
    assert done.code == 0 and "3 payloads opened" in done.out and done.out.endswith("whole: signed up to 3\n")
    executed(log, "UPDATE logentry SET salt = decode(repeat('00', 32), 'hex') WHERE seq = 2")
    done = aval("log", "verify")
    assert done.code == 1 and "index 1: its payload does not fit its commitment" in done.out
    executed(log, "DELETE FROM logentry WHERE seq = 3")
    assert "index 2: the entry is missing" in aval("log", "verify").out


def test_on_a_machine_that_has_no_mark_yet_it_says_so(aval: Run, log: str) -> None:
    Settings().mark.unlink()
    done = aval("log", "verify")
    assert done.code == 0 and "the high-water mark is not at hand" in done.out


def test_a_persons_entries_are_shown(aval: Run, log: str) -> None:
    done = aval("log", "show", "--person", "alice@example.org")
    assert done.code == 0 and len(done.out.splitlines()) == 4, "with the reading itself"


def test_a_log_is_ended_only_where_nobody_serves(aval: Run, log: str) -> None:
    executed(log, "DELETE FROM logcheckpoint")
    done = aval("log", "restart")
    assert done.code == 1 and "--accept 3" in done.err
    house = build_house(Settings())
    lead = house.store.lead("log")
    assert lead.taken() is not None
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 2 and "stop all its processes first, on every machine" in done.err
    lead.close()
    house.store.close()
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 0 and "localhost/log/2 begins with these 3 entries" in done.out


def slows(url: str, statement: str, what: str = "PERFORM pg_sleep(1.5)") -> None:
    """From now on this kind of statement takes longer than the server gives it, as with millions of rows."""
    body = f"$$BEGIN {what}; RETURN NULL; END$$"
    executed(url, f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS {body}")
    executed(url, f"CREATE TRIGGER slow BEFORE {statement} FOR EACH STATEMENT EXECUTE FUNCTION slow()")


@pytest.fixture
def frozen(aval: Run, log: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A frozen log with three entries, and five running sharings, on a server that gives a statement half a second."""
    executed(log, "DELETE FROM logcheckpoint")
    assert aval("organisations", "add", ORGANISATIONS / "city-energy.toml").code == 0
    assert aval("apps", "add", APPS / "watt-coach.toml").code == 0
    house = build_house(Settings())
    with house.store.write() as session:
        (person,) = session.connection().exec_driver_sql("SELECT id FROM person").one()
        for number in range(5):
            more: dict[str, Any] = {"person_id": person, "app_id": "watt-coach", "purpose": "energy-advice"}
            session.add(Consent(id=f"c{number}", state=State.ACTIVE, asked="[]", created_at=house.clock(), **more))
    house.store.close()
    monkeypatch.setattr(deciding, "READ_AT_ONCE", 2)
    monkeypatch.setenv("AVAL_DATABASE_URL", f"{log}?options=-c%20statement_timeout%3D500")
    return log


def told_of_the_restart(house: House) -> dict[str, Any]:
    with house.store.read() as session:
        [entry] = [each for each in entries(session, house.log, "operator") if each.kind == "log_restarted"]
    return {name: entry.facts[name] for name in ("held", "paused", "ended")}


def paused(url: str) -> int:
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT 1 FROM consent WHERE state = 'paused'").fetchall())


def test_a_log_is_ended_however_long_its_entries_take(aval: Run, frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look = restart.looked_at

    def slowly(connection: Connection, *given: Any, **more: Any) -> restart.Ended:
        connection.execute("SELECT pg_sleep(0.8)")  # as if it counted ten million entries
        return look(connection, *given, **more)

    monkeypatch.setattr(restart, "looked_at", slowly)
    slows(frozen, "DELETE ON logleaf")
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 0, done.err
    assert "localhost/log/2 begins with these 3 entries, and the pauses of 5 running sharings" in done.out
    house = build_house(Settings())
    assert told_of_the_restart(house) == {"held": 8, "paused": 5, "ended": "localhost/log"}
    house.store.close()
    assert paused(frozen) == 5


@pytest.mark.parametrize("when", ["while they are paused", "at the end"])
def test_a_restart_that_was_broken_off_goes_on_with_the_same_number(aval: Run, frozen: str, when: str) -> None:
    stopped = "RAISE EXCEPTION 'no' USING ERRCODE = 'query_canceled'"
    if when == "at the end":
        slows(frozen, "DELETE ON logleaf", stopped)
    else:
        slows(
            frozen,
            "UPDATE ON consent",
            f"IF (SELECT count(*) FROM consent WHERE state = 'paused') > 2 THEN {stopped}; END IF",
        )
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 2 and done.err.count("\n") == 1, done.err
    assert "QueryCanceled 57014; the restart of localhost/log was broken off" in done.err
    before = paused(frozen)
    assert before == (5 if when == "at the end" else 3)

    executed(frozen, "DROP FUNCTION slow CASCADE")
    asked = aval("log", "restart")
    assert f"the database holds 3, 0 of them signed, and {before} pauses by a restart that was broken off" in asked.out
    assert "aval log restart --accept 3" in asked.err
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 0, done.err
    assert "begins with these 3 entries, and the pauses of 5 running sharings" in done.out
    house = build_house(Settings())
    assert told_of_the_restart(house) == {"held": 8, "paused": 5, "ended": "localhost/log"}
    sequencer = Sequencer(house)
    assert sequencer.integrate_once() == 9
    sequencer.stop()
    house.store.close()
    assert "whole" in aval("log", "verify").out


@pytest.mark.parametrize("seconds", [0.0, 1.5], ids=["before that was noticed", "and that was noticed"])
def test_a_log_is_not_ended_when_another_process_may_have_led_meanwhile(
    aval: Run, frozen: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    pause_all = deciding.pause_all

    def loses_the_lead(*given: Any) -> int:
        executed(
            frozen,
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        time.sleep(seconds)
        return pause_all(*given)

    monkeypatch.setattr(deciding, "pause_all", loses_the_lead)
    done = aval("log", "restart", "--accept", "3")
    assert done.code == 2 and "keeps gateways from serving it was lost meanwhile" in done.err, done.err
    assert done.err.count("\n") == 1
    with psycopg.connect(frozen) as connection:
        assert connection.execute("SELECT origin FROM logname").fetchall() == [("localhost/log",)]
    monkeypatch.setattr(deciding, "pause_all", pause_all)
    assert aval("log", "restart", "--accept", "3").code == 0


def test_the_copy_of_such_a_database_is_made_by_postgresql(aval: Run, log: str, tmp_path: Path) -> None:
    done = aval("backup", tmp_path / "copy")
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert "pg_basebackup or pg_dump" in done.err and "operating.md" in done.err


def test_one_process_serves_it_without_a_folder_of_data(at: str, folder: Path, tmp_path: Path) -> None:
    gateway = Gateway(folder, tmp_path / "serve.log", free_port(), AVAL_KEYS_DIR=str(tmp_path / "keys"))
    try:
        gateway.until_ready()
        assert gateway.get("/readyz").json()["ready"] is True
        [started] = [line for line in gateway.lines() if line["event"] == "starting"]
        assert str(started["database"]).startswith("PostgreSQL ") and "process" not in started
        assert started["where"] == opening.where(Settings()) and "postgres@" not in str(started["where"])
    finally:
        assert gateway.ends() == 0
    assert not folder.exists()


def test_a_server_that_goes_away_is_told_once_and_when_it_is_back(
    at: str, postgres: Cluster, folder: Path, tmp_path: Path
) -> None:
    gateway = Gateway(folder, tmp_path / "serve.log", free_port(), AVAL_KEYS_DIR=str(tmp_path / "keys"))
    try:
        gateway.until_ready()
        postgres.stop("immediate")
        time.sleep(5)  # beats of one second
        away = [line for line in gateway.lines() if line["level"] in ("warning", "error")]
        assert "Traceback" not in gateway.log.read_text() and not [line for line in away if "exception" in line]
        for begins in ("log: not signed: ", "this process cannot say that it lives: "):
            assert len([line for line in away if str(line["event"]).startswith(begins)]) == 1, away
        assert len({line["event"] for line in away}) == len(away), away
        postgres.start()
        gateway.until_ready()
        until(lambda: "log: signed again" in gateway.log.read_text(), "the log is signed again")
        assert "this process can say again that it lives" in gateway.log.read_text()
    finally:
        assert gateway.ends() == 0
