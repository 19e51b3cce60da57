"""A world for each test."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from authorization_world import World

from gateway.authorization import rules
from gateway.ground.keys import KeyRing
from gateway.ground.keys.algorithms import SigningKey


@pytest.fixture(scope="session")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    ring = KeyRing(tmp_path_factory.mktemp("keys"), create=True)
    ring.take([ring.kept(SigningKey.made(name), signs_from=0) for name in rules.SIGNS], time.time())
    return ring


@pytest.fixture
def world(tmp_path: Path, _keys: KeyRing) -> Iterator[World]:
    made = World(tmp_path, _keys)
    yield made
    made.plain_calls.stop()
    made.house.store.close()
