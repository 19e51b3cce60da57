"""Whoever ends something waits until all have heard of it, for as long as anybody may believe otherwise."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gateway.ground.store.postgres import notices

BELIEVED = 0.4


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A server that takes connections and answers nothing. How many asked at a time, each time that one more did."""
    monkeypatch.setattr(notices, "BELIEVED_SECONDS", BELIEVED)
    over, guard, found = threading.Event(), threading.Lock(), [0]

    @contextlib.contextmanager
    def opened(*_: object, **__: object) -> Iterator[None]:
        with guard:
            found.append(found[-1] + 1)
        over.wait(20)
        with guard:
            found.append(found[-1] - 1)
        raise psycopg.OperationalError("the server does not answer")
        yield

    monkeypatch.setattr(notices, "opened", opened)
    yield found
    over.set()
    while found[-1]:
        time.sleep(0.01)


def test_however_many_stop_at_once_few_ask_and_all_of_them_wait(silent: list[int]) -> None:
    def waited(_: int) -> float:
        began = time.monotonic()
        notices.heard({}, "this")
        return time.monotonic() - began

    with ThreadPoolExecutor(20) as pool:
        took = list(pool.map(waited, range(20)))
    assert max(silent) == notices.ASKING
    assert min(took) >= BELIEVED - 0.01


def test_where_no_thread_is_to_be_had_everybody_waits_and_no_place_is_lost(
    silent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    for _ in range(notices.ASKING + 1):
        began = time.monotonic()
        notices.heard({}, "this")
        assert time.monotonic() - began >= BELIEVED - 0.01
    assert [notices._places.acquire(blocking=False) for _ in range(notices.ASKING + 1)] == [
        *[True] * notices.ASKING,
        False,
    ]
    for _ in range(notices.ASKING):
        notices._places.release()
