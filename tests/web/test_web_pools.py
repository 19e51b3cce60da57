"""Pools: what waits for one party takes no thread from the doors, and none from whoever waits for another."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.responses import Response
from web_world import ALICE, World

from gateway.ground.pools import Duty, Full, Pools, acquired, left, within
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, Later, route

SECONDS = 20  # more than any of this takes on a busy machine


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def pools(**duty: float) -> Pools:
    return Pools({"wait": Duty(threads=int(duty.pop("threads", 2)), **duty), "other": Duty(threads=1)})


def test_who_comes_too_many_for_one_party_is_told_at_once_and_others_find_their_places_free(gate) -> None:  # type: ignore[no-untyped-def]
    made = pools(threads=2, line=1)
    stuck = [made.submit("wait", "slow", lambda: gate.wait(SECONDS)) for _ in range(3)]
    with pytest.raises(Full):
        made.submit("wait", "slow", lambda: True)
    assert made.submit("wait", "healthy", lambda: "answer").result(SECONDS) == "answer"
    assert made.submit("other", "slow", lambda: "answer").result(SECONDS) == "answer"
    gate.set()
    assert [each.result(SECONDS) for each in stuck] == [True] * 3


def test_a_place_is_free_again_however_the_work_ended(gate) -> None:  # type: ignore[no-untyped-def]
    made = pools(threads=1, line=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            made.submit("wait", "one", lambda: 1 / 0).result(SECONDS)
    at_work = made.submit("wait", "one", lambda: gate.wait(SECONDS))
    for _ in range(3):
        assert made.submit("wait", "one", lambda: True).cancel()  # it stood in the line
    gate.set()
    wait([at_work], SECONDS)
    assert made.submit("wait", "one", lambda: True).result(SECONDS)


def test_work_knows_how_long_it_may_take_its_time_in_the_line_included() -> None:
    made = pools(threads=1, seconds=50)
    assert left() > 10**6
    first = made.submit("wait", "one", lambda: (time.sleep(0.2), left())[1])
    second = made.submit("wait", "one", left)
    assert second.result(SECONDS) < first.result(SECONDS) + 0.1 < 50
    with within(5):
        assert made.submit("wait", "one", left).result(SECONDS) <= 5  # never more than the work it is a part of
        with within(10):
            assert left() <= 5


def test_a_lock_is_waited_for_no_longer_than_the_work_may_take() -> None:
    lock = threading.Lock()
    assert acquired(lock)
    with within(0.05):
        assert not acquired(lock)
    with within(-1):
        assert not acquired(lock)


def test_a_closed_pool_begins_nothing_more(gate) -> None:  # type: ignore[no-untyped-def]
    made = pools(threads=1)
    at_work = made.submit("wait", "one", lambda: gate.wait(SECONDS))
    in_line = made.submit("wait", "one", lambda: True)
    made.close()
    assert in_line.cancelled()
    gate.set()
    assert at_work.result(SECONDS)


# ---- behind doors


def test_pages_are_answered_while_more_wait_than_there_are_threads(tmp_path: Path, gate) -> None:  # type: ignore[no-untyped-def]
    world = World(tmp_path)
    world.house.pools._duties = {"wait": Duty(threads=4, line=0)}
    waiting: list[str] = []

    def waits(ctx: Context) -> Later:
        def rest() -> Response:
            waiting.append(ctx.person.person)
            assert gate.wait(SECONDS)
            return Response("waited")

        return Later("wait", ctx.path["party"], rest)

    door = Door("/waits/{party}", waits, opens="write", person=True)
    world.app.router.routes.append(route(door, world.house, lambda *_: ALICE))
    with world.visitor("alice") as visitor, ThreadPoolExecutor(60) as crowd:  # one loop for all of them
        stuck = [crowd.submit(visitor.get, "/waits/slow") for _ in range(60)]
        while sum(each.done() for each in stuck) < 56:
            time.sleep(0.01)
        assert len(waiting) == 4
        assert visitor.get("/says").status_code == 200
        assert world.house.store.engine.pool.checkedout() == 0, "a transaction is open while somebody is waited for"
        with world.house.store.write() as session:
            session.execute(text("INSERT INTO note VALUES ('written meanwhile')"))
        gate.set()
        answers = [each.result() for each in stuck]
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [503] * 56
    full = next(answer for answer in answers if answer.status_code == 503)
    assert full.headers["retry-after"] and 'lang="fr"' in full.text and "cannot" not in full.text
