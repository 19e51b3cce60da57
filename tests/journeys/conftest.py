"""One running town for all journeys: gateway, three organisations, two apps, each a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder: Path = tmp_path_factory.mktemp("town")
    demo = demo_setup.prepare(folder, 0)
    demo_setup.start(demo, lambda _line: None)
    yield demo
    demo_setup.stop(demo)
