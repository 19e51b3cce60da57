"""Through pgBouncer in transaction pooling: a session there is anybody's, one transaction after the other."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.app import build_house
from gateway.ground.store import migrate
from gateway.house import House
from gateway.log import Event, reading
from gateway.settings import Settings
from tests.postgres import Bouncer, Cluster, require_bouncer

pytestmark = pytest.mark.postgres
SHOWN = (
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone", "datestyle",
    "client_min_messages", "client_encoding",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The server's own settings are of another place, and without limits."""
    require_bouncer()
    other = {"timezone": "America/New_York", "datestyle": "German", "default_transaction_isolation": "serializable"}
    other |= {"client_min_messages": "error", "client_encoding": "LATIN1"}
    with Cluster(**other) as cluster, Bouncer(cluster) as bouncer:
        cluster.create("pooled")
        folder: Path = tmp_path_factory.mktemp("pooled")
        settings = Settings(
            database_url=bouncer.url("pooled"), database_direct_url=cluster.url("pooled"), data_dir=folder
        )
        migrate.upgrade(settings)
        house = build_house(settings, create_keys=True)
        yield house
        house.store.close()


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_page_has_the_limits_and_the_zone_it_has_without_a_pooler(house: House, way: str) -> None:
    with getattr(house.store, way)() as session:
        found = [session.execute(text(f"SHOW {name}")).scalar() for name in SHOWN]
    assert found == ["15s", "5s", "20s", "UTC", "ISO, DMY", "warning", "UTF8"]


def test_what_a_page_writes_sees_what_was_committed_before_each_statement(house: House) -> None:
    with house.store.write() as session:
        assert session.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    with house.store.read() as session:
        assert session.execute(text("SHOW transaction_isolation")).scalar() == "repeatable read"


def test_nothing_of_it_stays_on_the_session_for_others(house: House) -> None:
    with house.store.write() as session:
        session.execute(text("SELECT 1"))
    raw = house.store.engine.raw_connection()
    try:
        assert raw.execute("SHOW lock_timeout").fetchone() == ("0",)  # type: ignore[attr-defined]
    finally:
        raw.close()


def test_entries_are_written_and_read(house: House) -> None:
    now = datetime.now(UTC)
    for _ in range(3):
        with house.store.write() as session:
            house.log.record(session, Event("clock_back", "alice", now, "system", {"clock_before": "then"}))
    with house.store.read() as session:
        assert [entry.seq for entry in reading.entries(session, house.log, "alice")] == [3, 2, 1]
