"""Limits on what costs an organisation's customer: the same for all processes that serve one database."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import TooMany
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store, open_store
from gateway.organisations import throttle
from gateway.settings import Settings

pytestmark = pytest.mark.postgres


@pytest.fixture
def processes(migrated_database: str) -> Iterator[list[Store]]:
    """Two of them."""
    settings = Settings(database_url=migrated_database)
    with contextlib.ExitStack() as until:
        yield [until.enter_context(contextlib.closing(open_store(settings))) for _ in range(2)]


def test_of_many_links_at_once_no_more_begin_than_may(processes: list[Store]) -> None:
    def links(number: int) -> bool:
        try:
            throttle.once_more(processes[number % 2], "link", "alice")
        except TooMany as error:
            assert 0 < error.retry_after <= throttle.MINUTE
            return False
        return True

    with ThreadPoolExecutor(10) as crowd:
        assert sum(crowd.map(links, range(20))) == 5
    throttle.once_more(processes[1], "link", "bob")


def test_a_customer_number_counts_in_every_process_however_it_is_spelled(
    processes: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(throttle.LIMITS, "code_of_number", (throttle.AtMost(3, throttle.HOUR),))
    keys = KeyRing(tmp_path, create=True)
    for number, store in (("12-34 a", 0), ("1234A", 1), ("12 34 A", 0)):
        throttle.once_more_for(processes[store], keys, "code", "city", number)
    with pytest.raises(TooMany):
        throttle.once_more_for(processes[1], keys, "code", "city", "1234a")
    throttle.once_more_for(processes[1], keys, "code", "harbour", "1234a")
