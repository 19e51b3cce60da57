"""A copy's values, numbers and order, whatever the tables hold."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway import schema
from gateway.errors import Unavailable
from gateway.ground.store.copying import BATCH, Side, StoreCopy
from gateway.ground.store.copying_postgres import UNLIMITED, PostgresSide
from gateway.ground.store.copying_rows import Digest, NotCopied, shapes
from gateway.ground.store.copying_sqlite import SqliteSide
from gateway.ground.store.postgres import months
from gateway.ground.store.postgres.address import parameters
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.sqlite.engine import SqliteStore
from gateway.settings import Settings
from tests.databases import migrated
from tests.postgres import until

pytestmark = pytest.mark.sqlite  # each test names both engines itself
MONTH = 1 << months.BITS
AT = "2026-02-03 04:05:06.000007"
APP = (
    "INSERT INTO app (client_id, metadata, metadata_sha256, auth_method, verified, status, status_reason, came_by,"
    f" registered_at, changed_at) VALUES ('c', ?, 'h', 'm', 1, 's', '', 'file', '{AT}', '{AT}')"
)
JSON = '{"b": [1, 2.50, 1e400, 18446744073709551616, "\\u0000 \\ud83d\\ude00 é"],  "a": null, "a": {}}'


class Ends:
    """Two data folders, and a database between them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        for name in ("one", "two"):
            migrated(self.settings(name))

    def settings(self, name: str) -> Settings:
        return Settings().model_copy(update={"data_dir": self.folder / name, "database_url": ""})

    def sqlite(self, name: str) -> SqliteSide:
        return SqliteSide(SqliteStore(self.settings(name).database))

    def postgres(self) -> PostgresSide:
        return PostgresSide("there", parameters(self.url, None, **UNLIMITED))


@pytest.fixture
def ends(tmp_path: Path, migrated_database: str) -> Ends:
    return Ends(tmp_path, migrated_database)


def copied(source: Side, target: Side) -> StoreCopy:
    try:
        source.claim()
        target.claim()
        copy = StoreCopy(source, target, schema.metadata, "test", lambda _what, _rows: None)
        copy.begin()
        copy.copy()
        copy.compare()
        copy.end()
        return copy
    finally:
        source.close()
        target.close()


@pytest.fixture
def one(ends: Ends) -> Iterator[Any]:
    store = SqliteStore(ends.settings("one").database)
    connection = store.connect()
    yield connection
    connection.close()
    store.close()


def all_rows(ends: Ends, name: str) -> dict[str, list[tuple[Any, ...]]]:
    side = ends.sqlite(name)
    side.claim()
    try:
        return {
            shape.name: side.connection.execute(f"SELECT {shape.listed} FROM {shape.table} ORDER BY 1, 2").fetchall()
            for shape in shapes(schema.metadata)
            if len(shape.columns) > 1
        }
    finally:
        side.close()


PERSON = "INSERT INTO person VALUES (?, ?, ?, NULL, ?, ?, 'fr', ?, ?, ?, NULL)"


def test_every_kind_of_value_comes_back_as_it_was(ends: Ends, one: Any) -> None:
    one.execute("PRAGMA foreign_keys=OFF")  # Chloe comes before her guardian, by her key
    one.execute(PERSON, ("a", "chloe@example.org", "Chloé 🙂 \t\\N", bytes(range(256)), -1, "2015-02-28", "z", AT))
    one.execute(PERSON, ("z", "alice@example.org", "", b"", 2**31 - 1, None, None, "1999-12-31 23:59:59.999999"))
    one.execute(APP, (JSON,))
    one.execute("INSERT INTO spentproof VALUES (?, ?)", (b"\x00\xff", AT))
    one.execute("INSERT INTO logcheckpoint VALUES (5, x'00', ?, 'note', x'')", (2**63 - 1,))
    one.execute("INSERT INTO try VALUES (41, 'k', ?, ?)", (AT, AT))
    copied(ends.sqlite("one"), ends.postgres())
    with psycopg.connect(ends.url) as connection:
        found = connection.execute("SELECT metadata::text, verified, registered_at FROM app").fetchone()
        assert found == (JSON, True, datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC))
        assert connection.execute("SELECT birth_date FROM person WHERE id = 'a'").fetchone() == (date(2015, 2, 28),)
        # a new row is numbered behind the copied ones, and keys hold again
        next_try = "INSERT INTO try (key, at, until) VALUES ('k', now(), now()) RETURNING id"
        assert connection.execute(next_try).fetchone() == (42,)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("UPDATE person SET guardian_id = 'nobody' WHERE id = 'a'")
        connection.rollback()
    copied(ends.postgres(), ends.sqlite("two"))
    assert all_rows(ends, "two") == all_rows(ends, "one")


def entry(connection: Any, entry_id: int, person: str = "p", seq: int | None = None, mark: str = "?") -> None:
    values = ", ".join([mark] * 6)
    row = (entry_id, person, seq or entry_id & (MONTH - 1), b"s", b"e", b"c" * 32)
    connection.execute(f"INSERT INTO logentry (id, person_id, seq, salt, sealed, commitment) VALUES ({values})", row)


def test_entries_wait_once_and_triggers_work_again(ends: Ends, one: Any) -> None:
    for number in range(1, 4):
        entry(one, number)
    one.execute("DELETE FROM logwaiting WHERE entry_id < 3")
    copied(ends.sqlite("one"), ends.postgres())
    with psycopg.connect(ends.url, autocommit=True) as connection:
        assert connection.execute("SELECT entry_id FROM logwaiting").fetchall() == [(3,)]
        new = "INSERT INTO logentry (person_id, seq, salt, sealed, commitment) VALUES ('p', 4, '', '', '')"
        connection.execute(new)
        [(first,), (second,)] = connection.execute("SELECT entry_id FROM logwaiting ORDER BY 1").fetchall()
        assert first == 3 and second & (MONTH - 1) == 4 and second >> months.BITS
        with pytest.raises(psycopg.errors.UniqueViolation):
            entry(connection, 9, seq=2, mark="%s")
    copied(ends.postgres(), ends.sqlite("two"))
    two = ends.sqlite("two")
    two.claim()
    try:
        two.connection.execute(new)
        ids = [number for (number,) in two.connection.execute("SELECT entry_id FROM logwaiting ORDER BY 1")]
    except Exception as error:
        assert "UNIQUE" in str(error)  # the index of person and number is there, too
        two.connection.execute(new.replace("4", "5", 1))
        ids = [number for (number,) in two.connection.execute("SELECT entry_id FROM logwaiting ORDER BY 1")]
    finally:
        two.close()
    assert ids == [3, second, second + 1]


def test_no_trigger_works_on_copied_rows_and_each_is_put_back_as_it_was(ends: Ends, one: Any) -> None:
    """One of a table has a clone on each of its partitions; one may be of a partition alone, or be off already."""
    entry(one, 1)
    entry(one, MONTH + 2)
    one.execute(PERSON, ("a", "a@example.org", "A", b"", 1, None, None, AT))
    fires = "FOR EACH ROW EXECUTE FUNCTION fires()"
    states = (
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE tgconstraint = 0 ORDER BY 1, 2"
    )
    with psycopg.connect(ends.url, autocommit=True) as connection:
        for statement in (
            "CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it works'; END $$",
            f"CREATE TRIGGER each_entry AFTER INSERT ON logentry {fires}",
            f"CREATE TRIGGER of_others AFTER INSERT ON logentry_others {fires}",
            f'CREATE TRIGGER "is Off" AFTER INSERT ON person {fires}',
            'ALTER TABLE person DISABLE TRIGGER "is Off"',
            f"CREATE TRIGGER always AFTER INSERT ON person {fires}",
            "ALTER TABLE person ENABLE ALWAYS TRIGGER always",
            "CREATE TRIGGER for_a_replica AFTER INSERT ON person FOR EACH ROW EXECUTE FUNCTION fires()",
            "ALTER TABLE person ENABLE REPLICA TRIGGER for_a_replica",
        ):
            connection.execute(statement)
        before = connection.execute(states).fetchall()
        copied(ends.sqlite("one"), ends.postgres())
        after = connection.execute(states).fetchall()
        assert set(before) <= set(after) and {row[2] for row in before} == {"O", "D", "A", "R"}
        room = ("logentry_before", "logentry_2020_02")
        assert {row for row in after if row not in before} == {(table, "each_entry", "O") for table in room}


def test_months_that_are_over_have_their_partition_in_the_copy(ends: Ends, one: Any) -> None:
    over = months.number(date(2024, 7, 1))
    for number, month in enumerate((0, over, over + 1), 1):
        entry(one, (month << months.BITS) + number)
    copied(ends.sqlite("one"), ends.postgres())
    with psycopg.connect(ends.url) as connection:
        placed = connection.execute("SELECT tableoid::regclass::text FROM logentry ORDER BY id").fetchall()
        assert placed == [("logentry_before",), ("logentry_2024_07",), ("logentry_2024_08",)]
        assert connection.execute("SELECT nextval('logentry_id_seq')").fetchone() == (4,)


def test_what_waits_and_would_come_behind_later_entries_is_numbered_first(ends: Ends, one: Any) -> None:
    """Around the end of a month a transaction of the old one may have taken a running number after one of the new."""
    later = months.number(datetime.now(UTC).date())
    entry(one, ((later - 1) << months.BITS) + 9)
    entry(one, (later << months.BITS) + 8)
    with pytest.raises(NotCopied, match="start the gateway there once more"):
        copied(ends.sqlite("one"), ends.sqlite("two"))
    one.execute("DELETE FROM logwaiting")
    copied(ends.sqlite("one"), ends.sqlite("two"))


def test_more_rows_than_a_batch_are_all_there(ends: Ends, one: Any) -> None:
    one.execute("BEGIN")
    rows = [(f"{number:07}", AT) for number in range(2 * BATCH)]
    one.executemany("INSERT INTO spentassertion VALUES (?, ?)", rows)
    one.executemany('INSERT INTO logleaf ("index", entry_id) VALUES (?, ?)', [(n, n * 3) for n in range(BATCH + 1)])
    one.execute("COMMIT")
    copy = copied(ends.sqlite("one"), ends.postgres())
    assert copy.rows == 3 * BATCH + 2  # and the oldest revision that serves it
    with psycopg.connect(ends.url) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM spentassertion").fetchone() == (8000, 8000)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("INSERT INTO directory VALUES (1, 3000000000)", "table directory, key 1: generation is too large"),
        ("INSERT INTO directory VALUES (1, 'x')", "table directory, key 1: generation is not of its column's type"),
        (f"INSERT INTO lease VALUES (x'6b', 'h', '{AT}')", "table lease, key 6b: id is not of its column's type"),
        ("INSERT INTO lease VALUES ('k', 'h', 'soon')", "table lease, key 'k': until is not of its column's type"),
        (
            f"INSERT INTO recoverycode VALUES ('k', 'nobody', '{AT}')",
            r"table recoverycode: a row refers to one that is not there: Key \(person_id\)=\(nobody\) is not present",
        ),
        (APP.replace("?", "'x'"), "metadata is not JSON"),
    ],
)
def test_what_only_sqlite_holds_is_named(ends: Ends, one: Any, statement: str, why: str) -> None:
    one.execute("PRAGMA foreign_keys=OFF")
    one.execute(statement)
    with pytest.raises(NotCopied, match=why):
        copied(ends.sqlite("one"), ends.postgres())


def test_a_digest_knows_rows_from_one_another_and_not_their_order() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows: list[tuple[Any, ...]] = [(1, "a", None), (1, "a", b""), ("1", "a", ""), (True, at), (1, at)]
    rows.append((True, at + timedelta(microseconds=1)))
    digests = set()
    for row in rows:
        digest = Digest()
        digest.add([row])
        digests.add(digest.total)
    assert len(digests) == len(rows)
    there, back, twice = Digest(), Digest(), Digest()
    there.add(rows)
    back.add(rows[::-1])
    twice.add([*rows[:-1], rows[0]])
    assert there == back != twice


def test_nobody_begins_to_serve_a_database_that_is_being_copied(ends: Ends) -> None:
    store = PostgresStore("there", parameters(ends.url))
    source = ends.postgres()
    source.claim()
    with pytest.raises(Unavailable, match="store copy"):
        store.claim()
    source.close()
    until(lambda: not store_is_claimed(store), "the copy's connection has ended")
    store.close()


def store_is_claimed(store: PostgresStore) -> bool:
    try:
        store.claim()
    except Unavailable:
        return True
    return False
