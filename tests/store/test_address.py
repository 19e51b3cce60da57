"""The address of the servers means the same to both drivers, whatever the servers do and however they were set up."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg
import pytest
from sqlalchemy import text

from gateway.ground.store import turn
from gateway.ground.store.postgres import address, native
from gateway.ground.store.postgres.address import BadAddress, parameters
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.postgres.patient import opened
from tests.postgres import Cluster, Standby, until

pytestmark = pytest.mark.postgres
BACKSLASH = "\\"


def by_pages(given: dict[str, Any], statement: str) -> Any:
    with opened(given, autocommit=True) as connection:
        return connection.execute(statement).fetchone()[0]


def by_data_plane(given: dict[str, Any], statement: str) -> Any:
    async def asked() -> Any:
        connection = await native.connected(given)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(asked())


BOTH = pytest.mark.parametrize("asked", [by_pages, by_data_plane])


# ---- several hosts


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "CONNECT_SECONDS", 2)  # the least that libpq takes


@pytest.fixture
def silent() -> Iterator[int]:
    """A host that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def before(url: str, *ports: int) -> str:
    """The same address with these hosts named first."""
    user, _, rest = url.partition("@")
    return f"{user}@{''.join(f'127.0.0.1:{port},' for port in ports)}{rest}"


@BOTH
def test_a_host_that_is_silent_does_not_hide_the_next(asked: Any, silent: int, database: str, hurried: None) -> None:
    assert asked(parameters(before(database, silent)), "SELECT 1") == 1


@BOTH
def test_a_server_that_stands_still_does_not_hide_the_next(asked: Any, database: str, hurried: None) -> None:
    with Cluster() as other:
        other.pause()
        try:
            assert asked(parameters(before(database, other.port)), "SELECT 1") == 1
        finally:
            other.resume()


@BOTH
def test_of_several_the_one_that_takes_writes_is_found(asked: Any, postgres: Cluster, database: str) -> None:
    with Standby(postgres) as standby:
        assert asked(parameters(before(database, standby.port)), "SHOW transaction_read_only") == "off"


@BOTH
def test_where_no_host_answers_that_is_told_after_each_had_its_time(asked: Any, silent: int, hurried: None) -> None:
    began = time.monotonic()
    with pytest.raises((psycopg.OperationalError, OSError)):
        asked(parameters(f"postgresql://aval@127.0.0.1:{silent},127.0.0.1:{silent}/aval"), "SELECT 1")
    assert time.monotonic() - began < 10


# ---- what else an address may say


@BOTH
def test_an_address_in_figures_is_gone_to(asked: Any, postgres: Cluster, database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    url = f"postgresql://postgres@/{name}?hostaddr=127.0.0.1&port={postgres.port}"
    assert asked({**parameters(url), "password": postgres.password}, "SELECT current_database()") == name


@BOTH
@pytest.mark.parametrize(
    "options",
    ["-cwork_mem=7MB", "-c work_mem=7MB", "-c  work_mem=7MB -cDateStyle=German", "--work-mem=7MB"],
)
def test_options_are_read_by_the_server_however_they_are_written(asked: Any, options: str, database: str) -> None:
    given = parameters(f"{database}?{urlencode({'options': options}, quote_via=quote)}")
    assert asked(given, "SHOW work_mem") == "7MB"
    assert asked(given, "SHOW lock_timeout") == "5s"


@BOTH
def test_a_value_with_a_blank_arrives_whole(asked: Any, database: str) -> None:
    url = f"{database}?{urlencode({'options': f'-c search_path=one,{BACKSLASH} two'}, quote_via=quote)}"
    assert asked(parameters(url), "SHOW search_path") == "one, two"


@pytest.mark.parametrize(
    "more, why",
    [
        ("host=db.example&hostaddr=127.0.0.1", "name the servers by one of the two"),
        ("service=aval", "write out what it stands for"),
        ("channel_binding=require", "sslmode=verify-full is for both"),
        ("require_auth=scram-sha-256", "sslmode=verify-full is for both"),
    ],
)
def test_what_one_driver_alone_reads_is_refused(more: str, why: str) -> None:
    with pytest.raises(BadAddress, match=why):
        parameters(f"postgresql://aval@/aval?{more}")


def test_a_parameter_that_is_nearly_one_is_told_without_what_was_typed() -> None:
    with pytest.raises(BadAddress) as told:
        parameters("postgresql://aval@db/aval?sslmod=require")
    assert str(told.value) == "one of its parameters is unknown; is sslmode meant?"
    with pytest.raises(BadAddress, match="in a password :") as told:
        parameters("postgresql://aval:p/w?secret=word@db/aval")
    assert "secret" not in str(told.value)


def test_what_asks_nothing_of_the_server_is_let_be() -> None:
    assert parameters("postgresql://aval@db/aval?channel_binding=prefer&gssencmode=disable")["host"] == "db"


# ---- what a role, a database or a server was set to


STRICTER = ["repeatable read", "serializable"]


@BOTH
@pytest.mark.parametrize("level", STRICTER)
def test_each_statement_sees_what_was_committed_before_it(
    asked: Any, level: str, postgres: Cluster, database: str
) -> None:
    name = urlsplit(database).path.removeprefix("/")
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    for more in ("", f"?{urlencode({'options': '-c default_transaction_isolation=serializable'}, quote_via=quote)}"):
        assert asked(parameters(database + more), "SHOW transaction_isolation") == "read committed"


@BOTH
def test_warnings_arrive_and_text_is_text_whatever_was_set(
    asked: Any, postgres: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = urlsplit(database).path.removeprefix("/")
    postgres.role("silent")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    other = {"client_min_messages": "error", "client_encoding": "LATIN1"}
    options = {"options": " ".join(f"-c {setting}={value}" for setting, value in other.items())}
    for setting, value in other.items():
        postgres.execute(f"ALTER ROLE silent SET {setting} = '{value}'")
    try:
        url = postgres.url(name, user="silent")
        for more in ("", f"?{urlencode({**options, 'client_encoding': 'LATIN1'}, quote_via=quote)}"):
            given = parameters(url + more)
            assert asked(given, "SHOW client_min_messages") == "warning"
            assert asked(given, "SHOW client_encoding") in ("UTF8", "utf-8")
            assert asked(given, "SELECT '☀ Zoë'::text") == "☀ Zoë"
    finally:
        postgres.execute("DROP ROLE silent")


@pytest.mark.parametrize("level", STRICTER)
def test_whoever_waited_for_a_turn_sees_what_was_written_in_it(level: str, postgres: Cluster, database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    postgres.role("strict")
    postgres.execute(f"ALTER ROLE strict SET default_transaction_isolation = '{level}'")
    postgres.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1); GRANT ALL ON kept TO strict", name)
    store = PostgresStore("here", parameters(postgres.url(name, user="strict")))
    seen: list[int] = []

    def waits() -> None:
        with store.write() as session:
            turn(session, "directory")
            seen.append(session.execute(text("SELECT n FROM kept")).scalar_one())

    def waits_in_a_batch() -> None:
        def work(connection: Any) -> None:
            connection.turns(["directory"])
            seen.append(connection.execute("SELECT n FROM kept").fetchone()[0])

        with contextlib.closing(store.connect()) as connection:
            store.batch(connection, work)

    try:
        with ThreadPoolExecutor(2) as pool:
            with store.write() as session:
                turn(session, "directory")
                waiting = [pool.submit(waits), pool.submit(waits_in_a_batch)]
                held = "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                until(lambda: postgres.execute(held, name) == [(True,)], "both wait for the turn")
                session.execute(text("UPDATE kept SET n = 2"))
            for each in waiting:
                each.result()
        assert seen == [2, 2]
    finally:
        store.close()
        postgres.execute("DROP OWNED BY strict; DROP ROLE strict", name)
