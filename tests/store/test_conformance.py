"""What every store does, asked of both engines by the same tests."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel import select

from gateway.apps.tables import App
from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing
from gateway.ground.store import (
    Connection,
    Store,
    found,
    insert,
    instant,
    key_checks,
    migrate,
    open_store,
    raw,
    rows,
    stored,
    turn,
)
from gateway.ground.store.many import Rows
from gateway.ground.store.statements import snapshot, streamed
from gateway.ground.store.tables import Directory, KeyCheck, Try
from gateway.people.tables import Person, SignIn
from gateway.settings import Settings
from tests.databases import migrated

NOW = datetime(2026, 11, 29, 12, 30, 0, 123456, tzinfo=UTC)
Opens = Callable[[], Store]

pytestmark = pytest.mark.postgres  # and SQLite beside it


@pytest.fixture(params=["sqlite", "postgres"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opens]:
    """Opens the same new database once more, as another process would."""
    url = request.getfixturevalue("migrated_database") if request.param == "postgres" else ""
    settings = Settings(data_dir=tmp_path / "data", database_url=url)
    migrated(settings)
    opened: list[Store] = []

    def another() -> Store:
        opened.append(open_store(settings))
        return opened[-1]

    yield another
    for store in opened:
        store.close()


@pytest.fixture
def store(opens: Opens) -> Store:
    return opens()


def values(store: Store) -> dict[str, str]:
    with store.read() as session:
        return {row.file: row.value for row in session.exec(select(KeyCheck))}


def test_a_write_is_whole_and_others_see_it(opens: Opens) -> None:
    store, other = opens(), opens()
    with store.write() as session:
        session.add(KeyCheck(file="a", value="1"))
        session.flush()
        assert values(other) == {}
    assert values(other) == {"a": "1"}


def test_an_exception_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as session:
        session.add(KeyCheck(file="a", value="1"))
        session.flush()
        raise ZeroDivisionError
    assert values(store) == {}


def test_a_read_is_of_one_moment(opens: Opens) -> None:
    store, other = opens(), opens()
    with store.read() as session:
        assert session.exec(select(KeyCheck)).all() == []
        with other.write() as writing:
            writing.add(KeyCheck(file="a", value="1"))
        assert session.exec(select(KeyCheck)).all() == []
    assert values(store) == {"a": "1"}


def test_a_batch_is_whole(store: Store) -> None:
    connection = store.connect()
    put = "INSERT INTO keycheck (file, value) VALUES (?, ?)"
    store.batch(connection, lambda writing: writing.executemany(put, [("a", "1"), ("b", "2")]))
    with pytest.raises(Exception, match="(?i)unique"):
        store.batch(connection, lambda writing: writing.executemany(put, [("c", "3"), ("a", "4")]))
    assert values(store) == {"a": "1", "b": "2"}
    connection.close()


def test_bare_rows_are_the_same_everywhere(store: Store) -> None:
    """Instants, dates and JSON as text, bytes as bytes; `?` for values, and `%` is a letter like any other."""
    with store.write() as session:
        session.add(Person(id="alice", email="a@example.org", name="Älice 100%", created_at=NOW,
                           birth_date=date(1990, 2, 3), totp_sealed=b"\x00\xff"))  # fmt: skip
        session.add(App(client_id="app", metadata_={"name": {"fr": "é"}}, metadata_sha256="", auth_method="none",
                        registered_at=NOW, changed_at=NOW))  # fmt: skip
    connection = store.connect()
    row = connection.execute(
        "SELECT created_at, birth_date, totp_sealed, name, closed_at FROM person WHERE id = ? AND name LIKE '%100%'",
        ("alice",),
    ).fetchone()
    assert instant(row[0]) == NOW
    assert tuple(row[1:]) == ("1990-02-03", b"\x00\xff", "Älice 100%", None)
    (held,) = connection.execute("SELECT metadata FROM app").fetchone()
    assert json.loads(held) == {"name": {"fr": "é"}}
    later = datetime(2027, 1, 1, tzinfo=UTC)
    store.batch(connection, lambda writing: writing.execute("UPDATE person SET closed_at = ?", (stored(later),)))
    connection.close()
    with store.read() as session:
        assert session.get_one(Person, "alice").closed_at == later


def test_what_is_read_on_a_bare_connection_can_be_of_one_moment(opens: Opens) -> None:
    store, other = opens(), opens()
    connection = store.connect()
    with snapshot(connection):
        assert list(streamed(connection, "SELECT file FROM keycheck")) == []
        with other.write() as session:
            session.add(KeyCheck(file="a", value="1"))
        assert list(streamed(connection, "SELECT file FROM keycheck")) == []
    with snapshot(connection):
        assert [tuple(row) for row in streamed(connection, "SELECT file FROM keycheck")] == [("a",)]
    connection.close()


def test_many_rows_go_in_few_statements(store: Store) -> None:
    connection = store.connect()
    rows = Rows("INSERT INTO keycheck (file, value)", 2, "RETURNING value")
    told: list[str] = []

    def puts(writing: Connection) -> None:
        told.extend(value for (value,) in rows.put(writing, [(f"{n:03}", str(n)) for n in range(75)]))

    store.batch(connection, puts)
    assert told == [str(n) for n in range(75)] and len(values(store)) == 75
    connection.close()


def test_whoever_has_a_turn_has_it_alone(opens: Opens) -> None:
    """Read, think, write: with the turn of one key nobody's addition is lost, in whatever process."""
    stores = [opens(), opens()]
    with stores[0].write() as session:
        session.add(Directory(id=1, generation=0))

    def adds(number: int) -> None:
        with stores[number % 2].write() as session:
            before = session.get_one(Directory, 1).generation  # too early: it must be read again in the turn
            turn(session, "counter")
            row = session.get_one(Directory, 1)
            assert row.generation >= before
            time.sleep(0.002)
            row.generation += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(adds, range(40)))
    with stores[0].read() as session:
        assert session.get_one(Directory, 1).generation == 40


def test_an_insert_that_meets_another_decides_by_its_row_count(opens: Opens) -> None:
    stores = [opens(), opens()]
    start = threading.Barrier(8)

    def claims(number: int) -> int:
        start.wait(10)
        with stores[number % 2].write() as session:
            put = insert(session, KeyCheck).values(file="only", value=str(number)).on_conflict_do_nothing()
            return int(session.execute(put).rowcount)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claims, range(8))) == 1


def test_one_process_leads_and_another_takes_over_when_it_ends(opens: Opens) -> None:
    store = opens()
    store.claim()
    lead = store.lead("log")
    assert lead.taken() is not None and lead.taken() is not None
    other = opens()
    if other.alone:
        with pytest.raises(Unavailable, match="another gateway already serves"):
            other.claim()
        lead.close()
        return
    waiting = other.lead("log")
    assert waiting.taken() is None
    work = other.lead("work")
    assert work.taken() is not None, "another kind of work"
    work.close()
    lead.close()
    until = time.monotonic() + 5
    while waiting.taken() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    waiting.close()


def test_what_the_leader_writes_is_written_as_leader_or_not_at_all(
    opens: Opens, request: pytest.FixtureRequest
) -> None:
    store = opens()
    lead = store.lead("log")
    connection = lead.taken()
    assert connection is not None
    store.batch(connection, lambda writing: writing.execute("INSERT INTO keycheck (file, value) VALUES ('a', '1')"))
    if not store.alone:
        cluster = request.getfixturevalue("postgres")
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        with pytest.raises(Unavailable):
            store.batch(
                connection, lambda writing: writing.execute("INSERT INTO keycheck (file, value) VALUES ('b', '2')")
            )
    assert values(store) == {"a": "1"}
    lead.close()


def test_a_statement_that_is_wrong_is_no_fault_of_the_database(store: Store) -> None:
    assert store.can_write() and store.fault() == ""
    with pytest.raises(Exception) as wrong, store.write() as session:
        session.add(KeyCheck(file="a", value="1"))
        session.flush()
        session.execute(text("INSERT INTO keycheck (file, value) VALUES ('a', '2')"))
    assert not isinstance(wrong.value, Unavailable)
    assert values(store) == {}


def test_a_session_and_its_bare_connection_are_one_transaction(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as session:
        raw(session).execute("INSERT INTO keycheck (file, value) VALUES (?, ?)", ("a", "1"))
        assert session.get_one(KeyCheck, "a").value == "1"
        raise ZeroDivisionError
    assert values(store) == {}


def test_the_schema_is_that_of_this_version_and_made_once(store: Store) -> None:
    with store.read() as session:
        assert raw(session).execute("SELECT version_num FROM alembic_version").fetchone()[0] == migrate.HEAD
        assert raw(session).execute("SELECT oldest FROM schemaserves").fetchone()[0] <= migrate.HEAD


def test_of_two_machines_with_different_keys_under_one_name_one_is_told(opens: Opens) -> None:
    one, two = opens(), opens()
    assert key_checks.claim(one, {"kek.hex": "k", "token-0001.pem": "a"}) == []
    assert key_checks.claim(one, {"kek.hex": "k", "token-0002.pem": "b"}) == []
    assert key_checks.claim(two, {"kek.hex": "k", "token-0002.pem": "b"}) == [], "the same one"
    assert key_checks.claim(two, {"kek.hex": "k", "token-0002.pem": "c"}) == ["token-0002.pem"]
    assert key_checks.claim(two, {"kek.hex": "other", "token-0003.pem": "d"}) == ["kek.hex"]
    assert key_checks.claim(two, {"kek.hex": "other", "token-0004.pem": "e"}) == ["kek.hex"], "and none of it is kept"
    assert values(one) == {"kek.hex": "k", "token-0001.pem": "a", "token-0002.pem": "b"}


@pytest.mark.parametrize("have", [True, False], ids=["with keys of their own", "with empty folders"])
def test_of_machines_that_begin_one_database_at_the_same_moment_one_pins_its_keys(
    opens: Opens, tmp_path: Path, have: bool
) -> None:
    stores = [opens() for _ in range(4)]
    for number in range(10):
        folders = [tmp_path / f"{number}" / f"{each}" for each in range(len(stores))]
        if have:
            for folder in folders:
                KeyRing(folder, create=True)
        barrier = threading.Barrier(len(stores))

        def begin(
            store: Store, folder: Path, barrier: threading.Barrier = barrier
        ) -> key_checks.Pinned | None:  # None: there are no keys, and none may be made
            barrier.wait(10)
            try:
                return key_checks.pin(store, lambda _, known: KeyRing(folder, create=not known).checks)
            except Unavailable as error:
                assert error.detail.startswith("keys:")
                return None

        with ThreadPoolExecutor(len(stores)) as threads:
            ended = list(threads.map(begin, stores, folders))
        [winner] = [at for at, found in enumerate(ended) if found is not None and found.first]
        assert ended[winner] == key_checks.Pinned([], first=True)
        assert values(stores[0]) == KeyRing(folders[winner]).checks
        for at, folder in enumerate(folders):
            loser = ended[at]
            if at != winner and have:
                assert loser is not None and sorted(loser.foreign) == sorted(values(stores[0]))
            elif at != winner:
                assert loser is None and not folder.exists(), "who loses has made none"
        with stores[0].write() as session:
            session.execute(text("DELETE FROM keycheck"))


def test_nothing_is_pinned_of_keys_that_could_not_be_read(opens: Opens, tmp_path: Path) -> None:
    store = opens()
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="none can be made there"):
        key_checks.pin(store, lambda _, known: KeyRing(tmp_path / "file", create=True).checks)
    assert values(store) == {}
    assert key_checks.pin(store, lambda _, known: KeyRing(tmp_path / "keys", create=True).checks).first


# ---- rows


def person(name: str, **more: object) -> Person:
    return Person(id=name, email=f"{name}@example.org", name=name, created_at=NOW, **more)


def test_a_row_is_read_as_it_was_added(store: Store) -> None:
    given = {"birth_date": date(2010, 2, 3), "totp_sealed": b"\0\1", "closed_at": NOW, "totp_last_step": 7}
    with store.write() as session:
        session.add_all([person("alice"), person("kid", guardian_id="alice", **given)])
    with store.read() as session:
        kid = session.get_one(Person, "kid")
        assert {name: getattr(kid, name) for name in given} == given
        assert kid.password_hash is None and kid.guardian_id == "alice" and not session.dirty
        assert session.exec(select(Person).where(Person.id == "kid")).one() is kid
        assert session.get(Person, "nobody") is None


def test_texts_truths_and_documents_are_read_as_they_were_added(store: Store) -> None:
    document = {"name": {"fr": "É", "en": "E"}, "data": []}
    values = {"metadata_": document, "metadata_sha256": "", "auth_method": "none", "verified": True}
    with store.write() as session:
        session.add(App(client_id="app", registered_at=NOW, changed_at=NOW, **values))
    with store.read() as session:
        app = session.get_one(App, "app")
        assert (app.metadata_, app.jwks_read, app.verified) == (document, None, True)
        assert found(session, App, "verified AND registered_at <= ?", (NOW,)) == [app]


def test_what_is_made_is_what_its_class_makes(store: Store) -> None:
    values = {"id": "alice", "email": "alice@example.org", "name": "Alice", "created_at": NOW}
    with store.write() as session:
        session.add(alice := rows.made(Person, **values))
        assert alice.language == "en" and alice.model_dump() == Person(**values).model_dump()
        alice.name = "Alix"
    with store.read() as session:
        assert session.get_one(Person, "alice").name == "Alix"


def test_what_is_changed_of_a_row_is_written_and_nothing_else(store: Store) -> None:
    with store.write() as session:
        session.add(person("alice"))
    with store.write() as session:
        alice = session.get_one(Person, "alice")
        raw(session).execute("UPDATE person SET language = 'fr' WHERE id = 'alice'")
        alice.name = "Alix"
    with store.write() as session:
        alice = session.get_one(Person, "alice")
        assert (alice.name, alice.language) == ("Alix", "fr")
        rows.known(alice, name="Alice")
        assert alice.name == "Alice" and not session.dirty
        session.refresh(alice)
        assert alice.name == "Alix"


def test_a_row_that_has_gone_is_not_changed_unseen(store: Store) -> None:
    with store.write() as session:
        session.add(person("alice"))
    with pytest.raises(StaleDataError), store.write() as session:
        alice = session.get_one(Person, "alice")
        raw(session).execute("DELETE FROM person WHERE id = 'alice'")
        alice.name = "Alix"


def test_a_row_waits_for_whom_it_refers_to(store: Store) -> None:
    with store.write() as session:
        session.add(SignIn(id="1", person_id="alice", at=NOW, methods="pwd", seen_at=NOW, ends_at=NOW))
        session.add(person("alice"))
    with store.write() as session:
        session.delete(session.get_one(SignIn, "1"))
        session.flush()
        session.delete(session.get_one(Person, "alice"))
    with store.read() as session:
        assert session.get(SignIn, "1") is None and found(session, Person, "id = ?", ("alice",)) == []


def test_what_is_changed_makes_room_for_what_is_added(store: Store) -> None:
    with store.write() as session:
        session.add(person("alice"))
    with store.write() as session:
        session.get_one(Person, "alice").email = "another@example.org"
        session.add(Person(id="alix", email="alice@example.org", name="Alix", created_at=NOW))
    with store.read() as session:
        assert [one.id for one in found(session, Person, "email = ?", ("alice@example.org",))] == ["alix"]


def test_an_instant_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="without a zone"), store.write() as session:
        session.add(Person(id="alice", email="alice@example.org", name="Alice", created_at=NOW.replace(tzinfo=None)))


def test_a_row_that_the_database_numbers_is_added(store: Store) -> None:
    with store.write() as session:
        session.add(row := Try(key="a", at=NOW, until=NOW))
        session.flush()
        assert row.id is not None and session.get(Try, row.id) is row


def test_what_was_read_before_a_turn_is_read_again(store: Store) -> None:
    with store.write() as session:
        session.add(person("alice"))
    with store.write() as session:
        alice = session.get_one(Person, "alice")
        session.expire_all()
        raw(session).execute("UPDATE person SET name = 'Alix' WHERE id = 'alice'")
        assert session.get(Person, "alice") is alice and alice.name == "Alix"
        session.expire_all()
        raw(session).execute("UPDATE person SET name = 'Alice' WHERE id = 'alice'")
        assert [one.name for one in found(session, Person, "id = ?", ("alice",))] == ["Alice"]
        held = session.get(Person, "alice", with_for_update=True, populate_existing=True)
        assert held is alice


def test_what_is_set_after_a_turn_is_written_though_nothing_has_been_read_again(store: Store) -> None:
    with store.write() as session:
        session.add(person("alice"))
    with store.write() as session:
        alice = session.get_one(Person, "alice")
        session.expire_all()
        alice.name = "Alix"
        assert (alice.id, alice.language, alice.name) == ("alice", "en", "Alix")
    with store.read() as session:
        assert session.get_one(Person, "alice").name == "Alix"
