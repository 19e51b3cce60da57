"""A house with nothing in it but store, keys and log, and a clock that tests move."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlmodel import SQLModel

from gateway.house import House
from gateway.keys import KeyRing
from gateway.log import Event, Log
from gateway.log.notes import VerifierKey
from gateway.log.sequencer import Sequencer, origin
from gateway.log.tables import LogChain, LogCheckpoint, LogEntry, LogLeaf
from gateway.settings import Settings
from gateway.store import Store
from gateway.web.translations import Translations

TABLES = [cast(Any, row).__table__ for row in (LogEntry, LogChain, LogLeaf, LogCheckpoint)]


@dataclass
class Clock:
    now: datetime = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
    passed: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, keys: KeyRing, clock: Clock) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path, public_url="https://gateway.example", default_language="en")
    store = Store(settings.database, fsync=False)
    SQLModel.metadata.create_all(store.engine, tables=TABLES)
    unused: Any = None
    yield House(settings, store, keys, Log(keys), unused, unused, unused, Translations(), clock)
    store.close()


@pytest.fixture
def sequencer(house: House) -> Iterator[Sequencer]:
    made = Sequencer(house)
    yield made
    made.stop()


@pytest.fixture
def vkey(house: House, keys: KeyRing) -> VerifierKey:
    return VerifierKey(origin(house.settings), keys.log.public_key().public_bytes_raw())


Recorded = Callable[..., int]


@pytest.fixture
def recorded(house: House, clock: Clock) -> Recorded:
    """Record events in one transaction: recorded("alice", "sign_in", …facts) or recorded("alice", count=10)."""

    def record(person: str, kind: str = "access", *, count: int = 1, actor: str = "app", **facts: Any) -> int:
        last = 0
        with house.store.write() as session:
            for number in range(count):
                given = facts or {"client": "watt-coach", "organisation": "city-energy", "records": number}
                last = house.log.record(session, Event(kind, person, clock.now, actor, given))
        return last

    return record
