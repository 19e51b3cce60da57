"""A world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from authorization_world import World

from gateway.ground.keys import KeyRing


@pytest.fixture(scope="session")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def world(tmp_path: Path, _keys: KeyRing) -> Iterator[World]:
    made = World(tmp_path, _keys)
    yield made
    made.house.store.close()
