"""A world for each test, with the gateway's background work running."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from signals_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path).serving() as made:
        yield made
