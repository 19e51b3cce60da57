from collections.abc import Iterator
from pathlib import Path

import pytest
from web_world import Street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    yield made
    made.house.store.close()
