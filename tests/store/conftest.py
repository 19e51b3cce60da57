"""A gateway's database on a primary and its one synchronous standby."""

from collections.abc import Iterator

import pytest

from gateway.ground.store import migrate
from gateway.settings import Settings
from tests.postgres import Cluster, Standby, require


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Cluster, Standby]]:
    require()
    with Cluster() as primary:
        primary.create("aval")
        migrate.upgrade(Settings(database_url=primary.url("aval")))
        with Standby(primary, synchronous=True) as standby:
            yield primary, standby
