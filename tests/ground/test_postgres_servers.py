"""The servers that tests of the database stand on do what their names say."""

import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import postgres as servers
from tests.postgres import Bouncer, Cluster, Standby, TcpFaults, at_port, require, require_bouncer


@pytest.fixture
def durable() -> Iterator[Cluster]:
    require()
    with Cluster(durable=True) as cluster:
        yield cluster


@pytest.fixture
def faults(postgres: Cluster) -> Iterator[TcpFaults]:
    with TcpFaults(postgres.port) as faults:
        yield faults


def kept(cluster: Cluster, database: str = "postgres") -> list[int]:
    return [row[0] for row in cluster.execute("SELECT n FROM kept ORDER BY n", database)]


def test_where_postgresql_is_missing_a_test_is_skipped_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "programs", lambda: None)
    with pytest.raises(pytest.skip.Exception, match="As root: apt-get install postgresql"):
        require()


def test_a_test_gets_an_empty_database_of_its_own(postgres: Cluster, database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    assert postgres.execute("SELECT count(*) FROM pg_stat_user_tables", name) == [(0,)]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)


def test_nobody_comes_in_without_the_password(database: str) -> None:
    parts = urlsplit(database)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(database.replace(f":{parts.password}@", "@"))


def test_a_database_made_from_a_template_is_a_copy(postgres: Cluster) -> None:
    postgres.create("mould")
    postgres.execute("CREATE TABLE kept AS SELECT 7 AS n", "mould")
    postgres.create("cast", template="mould")
    postgres.execute("INSERT INTO kept VALUES (8)", "cast")
    assert kept(postgres, "cast") == [7, 8] and kept(postgres, "mould") == [7]
    postgres.drop("cast")
    postgres.drop("mould")
    assert postgres.execute("SELECT datname FROM pg_database WHERE datname IN ('cast', 'mould')") == []


def test_a_crash_loses_nothing_that_was_committed(durable: Cluster) -> None:
    before = durable.url("postgres")
    durable.execute("CREATE TABLE kept (n int)")
    for n in range(50):
        durable.execute("INSERT INTO kept VALUES (%s)", "postgres", n)
    with psycopg.connect(before) as connection:
        connection.execute("INSERT INTO kept VALUES (99)")  # never committed
        durable.restart("immediate")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    assert kept(durable) == list(range(50))
    assert durable.url("postgres") == before
    assert durable.execute("SHOW fsync") == [("on",)]


def test_a_paused_server_keeps_its_connections_and_answers_later(postgres: Cluster, database: str) -> None:
    with psycopg.connect(database) as connection:
        postgres.pause()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(database, connect_timeout=2)
        postgres.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_read_only_database_refuses_what_writes_until_it_is_open_again(postgres: Cluster, database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    with psycopg.connect(database) as connection:
        postgres.read_only(name, True)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        postgres.execute("CREATE TABLE kept (n int)", name)
    postgres.read_only(name, False)
    postgres.execute("CREATE TABLE kept (n int)", name)


def test_the_time_that_sessions_used_counts_also_when_they_are_gone(postgres: Cluster) -> None:
    before = postgres.cpu_seconds()
    postgres.execute("SELECT count(*) FROM generate_series(1, 1000000)")
    used = postgres.cpu_seconds()
    assert used > before
    postgres.restart()
    assert postgres.cpu_seconds() >= used


def test_a_role_of_the_cluster_may_log_in_and_no_more(postgres: Cluster, database: str) -> None:
    postgres.role("mallory")
    url = postgres.url(urlsplit(database).path.removeprefix("/"), user="mallory")
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE kept (n int)")
    postgres.execute("DROP ROLE mallory")


def test_what_was_closed_leaves_nothing_behind() -> None:
    require()
    with Cluster() as cluster:
        folder, pid = cluster.folder, cluster._pid()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists() and not cluster.running and pid


def test_an_address_is_moved_to_another_port() -> None:
    assert at_port("postgresql://a:b@127.0.0.1:1/x?y=z", 2) == "postgresql://a:b@127.0.0.1:2/x?y=z"


def test_a_promoted_standby_has_all_that_its_primary_committed() -> None:
    require()
    with Cluster() as primary, Standby(primary, synchronous=True) as standby:
        primary.execute("CREATE TABLE kept (n int)")
        for n in range(20):
            primary.execute("INSERT INTO kept VALUES (%s)", "postgres", n)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.execute("INSERT INTO kept VALUES (99)")
        primary.stop("immediate")
        standby.promote()
        standby.execute("INSERT INTO kept VALUES (20)")
        assert kept(standby) == list(range(21))


def test_a_primary_whose_standby_was_closed_commits_again() -> None:
    require()
    with Cluster() as primary:
        with Standby(primary, synchronous=True) as standby:
            assert standby.port != primary.port
        primary.execute("CREATE TABLE kept AS SELECT 1 AS n")
        assert kept(primary) == [1]


def test_a_bouncer_lends_one_connection_to_many_clients_in_turn(postgres: Cluster, database: str) -> None:
    require_bouncer()
    name = urlsplit(database).path.removeprefix("/")
    with Bouncer(postgres, default_pool_size=1) as bouncer:
        with psycopg.connect(bouncer.url(name)) as alice, psycopg.connect(bouncer.url(name)) as bob:
            seen = set()
            for client in (alice, bob, alice):
                seen.add(client.execute("SELECT pg_backend_pid()").fetchone())
                client.commit()
            assert len(seen) == 1
        bouncer.restart()
        with psycopg.connect(bouncer.url(name)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("passed_on", [True, False])
def test_a_client_that_is_cut_at_commit_cannot_know_whether_it_was(
    postgres: Cluster, database: str, faults: TcpFaults, passed_on: bool
) -> None:
    name = urlsplit(database).path.removeprefix("/")
    postgres.execute("CREATE TABLE kept (n int)", name)
    faults.cut_at_commit(passed_on=passed_on)
    with psycopg.connect(faults.url(database)) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    assert kept(postgres, name) == ([1] if passed_on else [])
    assert faults.commits_cut == 1
    with psycopg.connect(faults.url(database)) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    assert 2 in kept(postgres, name)


def test_a_cut_ends_every_connection_and_the_next_one_is_carried(database: str, faults: TcpFaults) -> None:
    with psycopg.connect(faults.url(database)) as connection:
        connection.execute("SELECT 1")
        faults.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with psycopg.connect(faults.url(database)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_is_held_arrives_when_it_is_released(database: str, faults: TcpFaults) -> None:
    with psycopg.connect(faults.url(database)) as connection:
        faults.hold()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(faults.url(database), connect_timeout=2)
        later = threading.Timer(0.2, faults.release)
        later.start()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        later.join()


def test_a_refused_client_is_told_so_and_open_connections_go_on(database: str, faults: TcpFaults) -> None:
    with psycopg.connect(faults.url(database)) as connection:
        faults.refuse()
        with pytest.raises(psycopg.OperationalError, match="[Cc]onnection refused"):
            psycopg.connect(faults.url(database))
        assert connection.execute("SELECT 1").fetchone() == (1,)
        faults.release()
        psycopg.connect(faults.url(database)).close()


def test_large_answers_are_carried_whole(database: str, faults: TcpFaults) -> None:
    with psycopg.connect(faults.url(database)) as connection:
        row = connection.execute("SELECT repeat('x', 5000000)").fetchone()
    assert row is not None and len(row[0]) == 5000000
