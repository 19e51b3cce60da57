"""The fortress as fixtures: one for a room's tests to share, one of its own for whoever breaks things."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fortress import Fort

from gateway.ground.keys import KeyRing


@pytest.fixture(scope="session")
def _ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def fort(tmp_path: Path, _ring: KeyRing) -> Iterator[Fort]:
    with Fort(tmp_path, _ring).serving() as built:
        yield built
