"""Token keys as rows: how one follows another by the calendar, and what becomes of those before."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import Session

from gateway import retention
from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing
from gateway.ground.keys.jose import encoded
from gateway.ground.store import Store, open_store, pruning, signing_keys
from gateway.ground.store.signing_keys import AHEAD, KEPT, SIGNED, Rotated
from gateway.ground.store.tables import SigningKeyRow
from gateway.settings import Settings
from tests.databases import made

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTLE = timedelta(minutes=10)
DAYS = 90
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Rows:
    """The keys of one database, with their ring."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store: Store = open_store(self.settings)
        made(self.store)
        self.ring = KeyRing(folder / "keys", create=True)
        assert signing_keys.begin(self.store, self.ring, NOW)

    def all(self, at: datetime = NOW) -> dict[str, SigningKeyRow]:
        assert signing_keys.read(self.store, self.ring, at.timestamp()) == []
        with self.store.read() as session:
            return {row.kid: row for row in signing_keys.rows(session)}

    def led(self, at: datetime, days: int = DAYS) -> list[Rotated]:
        """What the leading process does now and then."""
        with self.store.read() as session:
            due = signing_keys.is_due(session, days, at)
        with self.store.write() as session:
            made = signing_keys.scheduled(session, self.ring, days, at, SETTLE)
            done = signing_keys.retire(session, at)
        assert due or not (made or done)
        self.all(at)
        return made

    def rotated(self, at: datetime, algorithm: str = "ES256") -> Rotated:
        with self.store.write() as session:
            done = signing_keys.rotate(session, self.ring, algorithm, at, SETTLE)
        self.all(at)
        return done

    def published(self) -> set[str]:
        return {key["kid"] for key in self.ring.jwks()["keys"]}


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    found = Rows(tmp_path / "data")
    with closing(found.store):
        yield found


def test_the_first_key_is_that_of_the_table_and_not_the_one_that_is_kept_nowhere(rows: Rows) -> None:
    [first] = rows.all()
    assert rows.published() == {first} and rows.ring.signer.kid == first
    again = KeyRing(rows.ring.folder)
    assert again.algorithms == ()
    assert signing_keys.begin(rows.store, again, NOW, make=False) and again.jwks() == rows.ring.jwks()


def test_by_the_calendar_the_next_key_is_published_ahead_and_signs_when_its_time_has_come(rows: Rows) -> None:
    [first] = rows.all()
    begins = NOW + DAYS * DAY
    assert rows.led(begins - AHEAD - SECOND) == []
    [next_] = rows.led(begins - AHEAD)
    assert next_.signs_from == begins and rows.published() == {first, next_.key}
    assert rows.led(begins - AHEAD + SECOND) == [], "one next is enough"
    for at, signer in ((begins - SECOND, first), (begins, next_.key)):
        assert rows.led(at) == [] and rows.ring.signer.kid == signer
    assert rows.all(begins)[first].accepted_until == begins + SIGNED
    rows.all(begins + SIGNED - SECOND)
    assert rows.published() == {first, next_.key}
    rows.led(begins + SIGNED)
    found = rows.all(begins + SIGNED)
    assert rows.published() == {next_.key} and found[first].sealed == b"" and found[first].public
    [third] = rows.led(begins + DAYS * DAY - AHEAD)
    assert third.signs_from == begins + DAYS * DAY


def test_a_calendar_that_nobody_looked_at_for_long_gives_the_next_key_time_to_settle(rows: Rows) -> None:
    late = NOW + 5 * DAYS * DAY
    [next_] = rows.led(late)
    assert next_.signs_from == late + SETTLE


def test_without_days_no_key_follows(rows: Rows) -> None:
    assert rows.led(NOW + 5000 * DAY, days=0) == [] and len(rows.all()) == 1


def test_each_algorithm_has_its_own_order(rows: Rows) -> None:
    [own] = rows.all()
    rsa = rows.rotated(NOW + 10 * DAY, "PS256")
    assert rsa.signs_from == NOW + 10 * DAY, "before it there was none that others could keep"
    next_ = rows.rotated(NOW + 20 * DAY)
    assert next_.signs_from == NOW + 20 * DAY + SETTLE
    rows.led(NOW + 21 * DAY)
    found = rows.all(NOW + 21 * DAY)
    assert [found[kid].accepted_until is None for kid in (own, rsa.key, next_.key)] == [False, True, True]
    assert rows.ring.signer_of("PS256").kid == rsa.key and rows.ring.signer.kid == next_.key


def test_the_command_does_not_wait_for_the_calendar_and_does_not_pile_up(rows: Rows) -> None:
    begins = NOW + DAYS * DAY
    [next_] = rows.led(begins - AHEAD)
    soon = rows.rotated(begins - AHEAD + 60 * SECOND)
    assert (soon.key, soon.signs_from) == (next_.key, begins - AHEAD + SETTLE), "as soon as it has settled"
    assert rows.rotated(begins - AHEAD + 120 * SECOND) == soon


def test_in_an_emergency_all_end_and_new_ones_sign_at_once(rows: Rows) -> None:
    [own] = rows.all()
    rsa, next_ = rows.rotated(NOW, "RS256"), rows.rotated(NOW)
    at = NOW + DAY / 24
    token = rows.ring.sign({"sub": "alice"}, typ="at+jwt")
    with rows.store.write() as session:
        done = signing_keys.end_at_once(session, rows.ring, [], at)
    assert {each.algorithm: set(each.ended) for each in done} == {"ES256": {own, next_.key}, "RS256": {rsa.key}}
    found = rows.all(at)
    assert rows.published() == {each.key for each in done} and token
    assert all(found[kid].sealed == b"" and found[kid].ended_at == at for kid in (own, next_.key, rsa.key))
    with rows.store.read() as session:
        assert signing_keys.emergency(session) == at
    with rows.store.write() as session:
        signing_keys.emergency_over(session, at, at)
    with rows.store.read() as session:
        assert signing_keys.emergency(session) is None


def test_a_key_that_was_ended_stays_so_whoever_takes_the_mark_away(rows: Rows) -> None:
    [own] = rows.all()
    with rows.store.write() as session:
        signing_keys.end_at_once(session, rows.ring, [], NOW)
        session.get_one(SigningKeyRow, own).ended_at = None
    rows.all()
    assert own not in rows.published()


def test_a_row_that_somebody_brings_is_not_accepted(rows: Rows, tmp_path: Path) -> None:
    other = Rows(tmp_path / "other")
    with closing(other.store):
        [foreign] = other.all().values()
    before = rows.published()
    with rows.store.write() as session:
        session.add(SigningKeyRow(**foreign.model_dump()))
    assert signing_keys.read(rows.store, rows.ring, NOW.timestamp()) == [foreign.kid]
    assert rows.published() == before
    with pytest.raises(Unavailable, match=f"token key {foreign.kid} is not sealed for its row"):
        signing_keys.begin(rows.store, KeyRing(rows.ring.folder), NOW)


def test_rows_leave_when_nobody_needs_them_for_a_receipt_any_more(rows: Rows) -> None:
    [own] = rows.all()
    rows.rotated(NOW)
    rows.led(NOW + DAY)
    over = NOW + DAY + SIGNED
    for at, there in ((over + KEPT, True), (over + KEPT + SECOND, False)):
        pruning.prune(rows.store, retention.LEAVING, at)
        assert (own in rows.all(at)) is there


def test_who_begin_one_database_at_the_same_moment_begin_with_one_key(rows: Rows) -> None:
    rings = [KeyRing(rows.ring.folder) for _ in range(4)]
    for _ in range(5):
        with rows.store.write() as session:
            for row in signing_keys.rows(session):
                session.delete(row)
        barrier = threading.Barrier(len(rings))

        def begin(ring: KeyRing, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(10)
            return signing_keys.begin(rows.store, ring, NOW)

        with ThreadPoolExecutor(len(rings)) as threads:
            assert all(threads.map(begin, rings))
        assert len(rows.all()) == 1 and len({str(ring.jwks()) for ring in rings}) == 1


def test_two_who_rotate_at_once_make_one_next_key(rows: Rows) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: rows.rotated(NOW + DAY), range(4)))
    assert len({each.key for each in found}) == 1 and len(rows.all()) == 2


def test_what_is_kept_of_a_key_is_not_its_private_part(rows: Rows) -> None:
    [(kid, row)] = rows.all().items()
    private = rows.ring.unsealed(signing_keys._kept(row)).private.private_numbers().private_value.to_bytes(32, "big")
    with rows.store.read() as session:
        stored = b" ".join(
            value if isinstance(value, bytes) else str(value).encode()
            for value in session.connection().exec_driver_sql("SELECT * FROM signingkey").one()
        )
    assert kid.encode() in stored and row.sealed in stored
    assert not any(each in stored for each in (private, encoded(private).encode(), private.hex().encode()))


def test_a_transaction_that_fails_makes_no_key(rows: Rows) -> None:
    class Broken(Exception):
        pass

    def fails(session: Session) -> None:
        signing_keys.rotate(session, rows.ring, "ES256", NOW, SETTLE)
        raise Broken

    with pytest.raises(Broken), rows.store.write() as session:
        fails(session)
    assert len(rows.all()) == 1
