"""What a door has to have done first, which waits for another party: outside of its transaction, and once."""

import threading
from functools import partial

import pytest
from sqlmodel import select
from starlette.applications import Starlette
from starlette.responses import Response

from gateway.errors import TooMany
from gateway.ground.pools import Duty, Pools
from gateway.ground.store.tables import Lease
from gateway.ground.web.doors import Door, First, route
from tests.callers import TestClient


@pytest.fixture
def calls():
    return []


@pytest.fixture
def house(world):
    return world.house


def door(calls, work, *, what="it", also=None):
    def handler(ctx):
        ctx.session.add(Lease(id=f"{len(calls)}", holder="x", until=ctx.now))
        calls.append("handler")
        if what not in ctx.done:
            raise First(what, "app", "x", work)
        return Response("done", headers={"x-leases": str(len(ctx.session.exec(select(Lease)).all()))})

    return Door("/it", handler, ("POST",), "oauth", "write", csrf=False, also=also)


def client(house, made):
    app = Starlette(routes=[route(made, house, lambda *_: None)])
    return TestClient(app, base_url="http://localhost:8400")


def test_it_is_done_outside_of_the_transaction_and_the_door_begins_anew(house, calls):
    def work():
        with house.store.write():  # where one writer has the database this would wait for ever inside of the other
            calls.append(threading.current_thread().name)

    answer = client(house, door(calls, work, also=lambda ctx: {"x-also": "yes"})).post("/it")
    assert answer.text == "done" and answer.headers["x-also"] == "yes"
    assert calls[0] == calls[2] == "handler" and calls[1].startswith("aval-app-x") and len(calls) == 3
    assert answer.headers["x-leases"] == "1"  # what the first try wrote was undone


def test_what_it_raises_is_the_answer(house, calls):
    def work():
        raise TooMany("x", retry_after=7)

    answer = client(house, door(calls, work)).post("/it")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "7" and calls == ["handler"]


def test_where_there_is_no_room_the_door_answers_without_it(house, calls):
    object.__setattr__(house, "pools", Pools({"app": Duty(threads=1, line=0)}))
    begun, over = threading.Event(), threading.Event()
    house.pools.submit("app", "x", lambda: (begun.set(), over.wait(60)))
    assert begun.wait(60)
    try:
        answer = client(house, door(calls, partial(calls.append, "work"))).post("/it")
    finally:
        over.set()
    assert answer.text == "done" and calls == ["handler", "handler"]


def test_a_pool_that_has_nothing_to_do_is_closed_when_there_are_many():
    pools = Pools({"name": Duty(threads=1)})
    busy, over = threading.Event(), threading.Event()
    kept = pools.submit("name", "busy", lambda: (busy.set(), over.wait(60)))
    assert busy.wait(60)
    for number in range(600):
        pools.submit("name", f"host-{number}", int).result(60)
    alive = [one for one in threading.enumerate() if one.name.startswith("aval-name-")]
    assert len(alive) < 300
    over.set()
    assert kept.result(60) == (None, True)
    pools.close()
