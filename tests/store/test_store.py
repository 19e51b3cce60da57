"""The store: one writer at a time, committed means on the disk, faults are 503 and never a verdict."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from gateway.errors import Unavailable
from gateway.ground.store import raw
from gateway.ground.store.sqlite.engine import SqliteStore, sqlite_version


@pytest.fixture
def store(tmp_path: Path):
    store = SqliteStore(tmp_path / "aval.sqlite3")
    with store.write() as session:
        session.execute(text("CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT NOT NULL)"))
    yield store
    store.close()


def notes(store: SqliteStore) -> list[str]:
    with store.read() as session:
        return [row[0] for row in session.execute(text("SELECT words FROM note ORDER BY id"))]


def add(session: Session, words: str) -> None:
    session.execute(text("INSERT INTO note (words) VALUES (:words)"), {"words": words})


def test_sqlite_is_a_version_without_the_wal_reset_fault() -> None:
    assert tuple(int(part) for part in sqlite_version().split(".")) >= (3, 51, 3)


def test_a_commit_is_synced_to_the_disk(store: SqliteStore) -> None:
    with store.read() as session:
        assert raw(session).execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert raw(session).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_exception_leaves_nothing_behind(store: SqliteStore) -> None:
    with pytest.raises(RuntimeError), store.write() as session:
        add(session, "half")
        raise RuntimeError
    assert notes(store) == []


def test_a_bare_insert_and_the_orm_share_one_transaction(store: SqliteStore) -> None:
    with pytest.raises(RuntimeError), store.write() as session:
        raw(session).execute("INSERT INTO note (words) VALUES ('bare')")
        add(session, "orm")
        raise RuntimeError
    assert notes(store) == []


def test_a_reader_keeps_its_snapshot_while_another_writes(store: SqliteStore) -> None:
    with store.read() as reading:
        assert reading.execute(text("SELECT count(*) FROM note")).scalar() == 0
        with store.write() as writing:
            add(writing, "new")
        assert reading.execute(text("SELECT count(*) FROM note")).scalar() == 0
    assert notes(store) == ["new"]


def test_many_threads_write_one_after_the_other_and_none_is_lost(store: SqliteStore) -> None:
    def work(name: int) -> None:
        for turn in range(20):
            with store.write() as session:
                add(session, f"{name}-{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(notes(store))) == 160


def test_a_batch_is_one_transaction_and_rolls_back_whole(store: SqliteStore) -> None:
    connection = store.connect()

    def two_then_fail(bare) -> None:
        bare.execute("INSERT INTO note (words) VALUES ('one')")
        raise ValueError

    with pytest.raises(ValueError):
        store.batch(connection, two_then_fail)
    store.batch(connection, lambda bare: bare.execute("INSERT INTO note (words) VALUES ('two')"))
    connection.close()
    assert notes(store) == ["two"]


def test_a_second_serving_process_on_the_same_file_is_refused(store: SqliteStore) -> None:
    store.claim()
    second = SqliteStore(store.path)
    with pytest.raises(Unavailable):
        second.claim()
    second.close()


FILES = ["aval.sqlite3", "aval.sqlite3-wal", "aval.sqlite3-shm"]


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


@pytest.mark.parametrize("gone", [removed, replaced])
@pytest.mark.parametrize("name", FILES)
def test_a_serving_process_whose_file_is_gone_writes_nothing_more_and_says_so(
    store: SqliteStore, name: str, gone: Callable[[Path], None]
) -> None:
    store.claim()
    connection = store.connect()
    with store.write() as session:
        add(session, "before")
    assert store.check_files() == ""
    gone(store.path.with_name(name))
    with pytest.raises(Unavailable, match=name), store.write() as session:
        add(session, "never")
    with pytest.raises(Unavailable, match=name):
        store.batch(connection, lambda bare: bare.execute("INSERT INTO note (words) VALUES ('never')"))
    with pytest.raises(Unavailable, match=name):
        store.connect()
    assert name in store.check_files()
    connection.close()


@pytest.mark.parametrize("name", FILES)
def test_what_was_committed_while_a_file_went_is_not_acknowledged(store: SqliteStore, name: str) -> None:
    store.claim()
    with pytest.raises(Unavailable, match=name), store.write() as session:
        add(session, "perhaps")
        store.path.with_name(name).unlink()


def test_files_that_are_written_to_and_reset_are_still_the_same(store: SqliteStore) -> None:
    store.claim()
    with store.write() as session:
        add(session, "one")
    connection = store.connect()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("VACUUM")
    connection.close()
    assert store.check_files() == ""
    with store.write() as session:
        add(session, "two")
    assert notes(store) == ["one", "two"]


def test_a_database_that_cannot_be_written_is_unavailable_not_wrong(store: SqliteStore) -> None:
    with pytest.raises(Unavailable), store.write() as session:
        raw(session).execute("PRAGMA query_only=ON")
        try:
            add(session, "never")
        finally:
            raw(session).execute("PRAGMA query_only=OFF")
    assert notes(store) == []


def test_every_commit_of_anybody_shows_and_nothing_else_does(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.sqlite3")
    mine = store.connect()
    mine.execute("CREATE TABLE t (x)")
    commits = store.commits()
    before = commits()
    assert commits() == before
    mine.execute("SELECT count(*) FROM t").fetchone()
    mine.execute("BEGIN IMMEDIATE")
    mine.execute("INSERT INTO t VALUES (1)")
    mine.execute("ROLLBACK")
    assert commits() == before
    for process in ("this", "another"):
        before = commits()
        if process == "this":
            other = store.connect()
            other.execute("INSERT INTO t VALUES (2)")
            other.close()
        else:
            inserts = "import sys, pathlib; from gateway.ground.store.sqlite.engine import connect;" + (
                "connect(pathlib.Path(sys.argv[1])).execute('INSERT INTO t VALUES (3)')"
            )
            subprocess.run([sys.executable, "-c", inserts, str(store.path)], check=True)
        assert commits() != before
    mine.close()
    store.close()


def test_commits_show_also_after_the_last_connection_was_closed_and_another_opened(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "x.sqlite3")
    first = store.connect()
    first.execute("CREATE TABLE t (x)")
    store.commits()
    first.close()
    second = store.connect()
    second.execute("INSERT INTO t VALUES (1)")
    commits = store.commits()
    before = commits()
    second.execute("INSERT INTO t VALUES (2)")
    assert commits() != before
    second.close()
    store.close()


def test_a_log_that_a_long_read_let_grow_is_short_again_afterwards(store: SqliteStore) -> None:
    with store.read() as reading:
        reading.execute(text("SELECT count(*) FROM note")).scalar()
        with store.write() as session:
            session.execute(text("INSERT INTO note (words) VALUES (zeroblob(50000000))"))
    assert store.wal.stat().st_size > 50_000_000
    for words in ("copies the pages into the database", "begins the log anew"):
        with store.write() as session:
            add(session, words)
    assert store.wal.stat().st_size <= 33_554_432


def test_the_data_planes_writer_waits_for_another_writer_while_it_starts_and_never_after(store: SqliteStore) -> None:
    other = store.connect()
    other.execute("BEGIN IMMEDIATE")
    begun = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    begun.start()
    writer = store.connect_unsynced()
    begun.join()
    assert writer.execute("PRAGMA busy_timeout").fetchone() == (0,)
    other.close()
    writer.close()
