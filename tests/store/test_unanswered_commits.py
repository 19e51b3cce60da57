"""A commit that waits for a synchronous standby which is away: nothing waits for ever, and nothing wrong is told."""

import contextlib
import errno
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.responses import Response

from gateway.app import build_house
from gateway.errors import NotKnownYet, Unavailable
from gateway.ground.store.postgres import patient
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.postgres.patient import Patient
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door, route
from gateway.house import House
from gateway.log import Event
from gateway.settings import Settings
from tests.callers import TestClient
from tests.postgres import Cluster, Standby, until

pytestmark = pytest.mark.postgres
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
SECONDS = 0.5


def event(person: str) -> Event:
    return Event("clock_back", person, datetime.now(UTC), "system", {"clock_before": "then"})


@pytest.fixture
def house(pair: tuple[Cluster, Standby], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """On a primary whose standby is away from now to the end of the test."""
    made = build_house(
        Settings(database_url=pair[0].url("aval"), data_dir=tmp_path, keys_dir=tmp_path.parent / "keys"),
        create_keys=True,
    )
    monkeypatch.setattr(patient, "COMMIT_SECONDS", SECONDS)
    monkeypatch.setattr("gateway.ground.store.postgres.engine.RESOLVE_SECONDS", 2.0)
    pair[1].stop("immediate")
    yield made
    pair[1].start()
    made.store.close()


@pytest.fixture
def page(house: House) -> TestClient:
    def write(ctx: Context) -> Response:
        house.log.record(ctx.session, event(ctx.query["who"]))
        return Response("done")

    def look(ctx: Context) -> Response:
        found = ctx.session.connection().exec_driver_sql(
            "SELECT count(*) FROM logentry WHERE person_id = %s", (ctx.query["who"],)
        )
        return Response(str(found.scalar_one()))

    doors = [Door("/write", write, kind="api", opens="write"), Door("/look", look, kind="api")]
    return TestClient(Starlette(routes=[route(door, house, lambda *_: None) for door in doors]))


def test_a_page_is_told_in_time_that_nobody_knows_yet(
    pair: tuple[Cluster, Standby], house: House, page: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    primary, standby = pair
    began = time.monotonic()
    first = page.get("/write?who=alice")
    assert time.monotonic() - began < SECONDS + 2
    assert (first.status_code, first.json()["type"]) == (503, "/problems/not_known_yet")
    assert int(first.headers["retry-after"]) > 0
    assert [line.levelname for line in caplog.records if "synchronous_standby_names" in line.message] == ["ERROR"]
    # Who comes next is told at once that nothing has happened, and at the server no more commits wait.
    began = time.monotonic()
    for _ in range(20):
        answer = page.get("/write?who=bob")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/temporarily_unavailable")
    assert time.monotonic() - began < 2
    assert primary.execute(WAITING) == [(1,)]
    # Nobody is shown what the standby may never have; what is read goes on, and no connection of the pool is lost.
    assert (page.get("/look?who=alice").text, page.get("/look?who=bob").text) == ("0", "0")
    assert house.store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert not house.store.can_write()
    standby.start()
    until(lambda: page.get("/write?who=bob").status_code == 200, "commits are answered again")
    assert (page.get("/look?who=alice").text, page.get("/look?who=bob").text) == ("1", "1")


def test_many_at_once_all_come_back(house: House, page: TestClient) -> None:
    with contextlib.ExitStack() as done:
        for number in range(20):
            thread = threading.Thread(target=page.get, args=(f"/write?who=carol-{number}",))
            thread.start()
            done.callback(thread.join, 10)
    assert house.store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_batch_is_not_known_yet_either_and_the_lead_is_tried_for_anew(house: House) -> None:
    lead = house.store.lead("test")
    connection = lead.taken()
    assert connection is not None
    with pytest.raises(NotKnownYet):
        house.store.batch(connection, lambda writing: house.log.append(writing, event("dora")))
    with pytest.raises(Unavailable, match="earlier commit"):
        house.store.batch(connection, lambda writing: house.log.append(writing, event("dora")))
    assert lead.taken() is None  # the server has not ended that session yet
    lead.close()


def test_a_commit_that_an_operator_tells_not_to_wait_is_not_told_as_done(
    pair: tuple[Cluster, Standby], house: House, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is on the primary alone, and gone when the standby takes over."""
    primary, _ = pair
    monkeypatch.setattr(patient, "COMMIT_SECONDS", 3.0)

    def cancels() -> None:
        until(lambda: primary.execute(WAITING) != [(0,)], "a commit waits")
        primary.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")

    operator = threading.Thread(target=cancels)
    operator.start()
    answer = page.get("/write?who=erin")
    operator.join()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not_known_yet")


def test_a_server_that_stands_still_is_not_waited_for_for_ever(
    pair: tuple[Cluster, Standby], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, _ = pair
    house = build_house(
        Settings(database_url=primary.url("aval"), data_dir=tmp_path, keys_dir=tmp_path.parent / "keys"),
        create_keys=True,
    )
    assert isinstance(house.store, PostgresStore)
    monkeypatch.setattr(Patient, "patience", SECONDS)
    with house.store.read() as session:
        session.connection().exec_driver_sql("SELECT 1")
        primary.pause()
        try:
            began = time.monotonic()
            with pytest.raises(Exception, match="does not answer"):
                session.connection().exec_driver_sql("SELECT 1")
            assert time.monotonic() - began < SECONDS + 2
        finally:
            primary.resume()
            session.close()
    house.store.close()


def test_a_commit_that_cannot_be_waited_for_is_not_known_yet(
    pair: tuple[Cluster, Standby], house: House, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent, and then this machine has no descriptor left to wait with."""
    pair[1].start()
    wait = psycopg.Connection.wait

    def scarce(self: patient.Patient, *given: Any, **more: Any) -> Any:
        if self._commits:
            wait(self, *given, **more)
            raise OSError(errno.EMFILE, "Too many open files")
        return wait(self, *given, **more)

    monkeypatch.setattr(psycopg.Connection, "wait", scarce)
    answer = page.get("/write?who=emma")
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not_known_yet")
    until(lambda: page.get("/look?who=emma").text == "1", "it was committed")
