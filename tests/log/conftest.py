"""A house with nothing in it but store, keys and log, and a clock that tests move."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from log_cast import Clock, Visitor

from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Event, Log
from gateway.log.notes import VerifierKey
from gateway.log.sequencer import Sequencer
from gateway.log.signed import first_name
from gateway.settings import Settings, shipped_policies
from tests.databases import made, unsynced

CATALOGUE = Catalogue(shipped_policies())


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(tmp_path: Path, keys: KeyRing, clock: Clock) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path, public_url="https://gateway.example", default_language="en")
    store = unsynced(settings)
    made(store)
    unused: Any = None
    yield House(settings, store, keys, Log(keys, settings.mark), CATALOGUE, unused, unused, Translations(), clock)
    store.close()


@pytest.fixture
def sequencer(house: House) -> Iterator[Sequencer]:
    made = Sequencer(house)
    yield made
    made.stop()


@pytest.fixture
def vkey(house: House, keys: KeyRing) -> VerifierKey:
    return VerifierKey(first_name(house.settings), keys.log.public_key().public_bytes_raw())


Recorded = Callable[..., None]


@pytest.fixture
def recorded(house: House, clock: Clock) -> Recorded:
    """Record events in one transaction: recorded("alice", "sign_in", …facts) or recorded("alice", count=10)."""

    def record(person: str, kind: str = "access", *, count: int = 1, actor: str = "app", **facts: Any) -> None:
        plain = {"client": "watt-coach", "organisation": "city-energy"} if kind == "access" and not facts else facts
        with house.store.write() as session:
            for _ in range(count):
                house.log.record(session, Event(kind, person, clock.now, actor, plain))

    return record


@pytest.fixture
def visits(house: House) -> Callable[..., Visitor]:
    return lambda person, language="en": Visitor(house, person, language)
