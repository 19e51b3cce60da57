"""A whole application that nobody has used yet, in a folder of its own; nothing serves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Application, build_house
from gateway.settings import Settings
from tests.databases import migrated


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    migrated(settings)
    made = Application(build_house(settings, create_keys=True))
    yield made
    made.house.store.close()
