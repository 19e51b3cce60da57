"""A world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from security_world import World

from gateway.ground.keys import KeyRing


@pytest.fixture(scope="session")
def _ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def world(tmp_path: Path, _ring: KeyRing) -> Iterator[World]:
    with World(tmp_path, _ring).serving() as built:
        yield built
