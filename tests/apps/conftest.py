"""A world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from apps_world import World

from gateway.ground.keys import KeyRing


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def world(tmp_path: Path, ring: KeyRing) -> Iterator[World]:
    made = World(tmp_path, ring)
    yield made
    made.house.store.close()
