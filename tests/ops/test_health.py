"""Ready means ready: each part that is not is named, and nothing else is told to whoever asks."""

import ctypes
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from gateway.app import build_house, watched
from gateway.errors import Unavailable
from gateway.ground.ops import health
from gateway.ground.store.sqlite.engine import sqlite3  # type: ignore[attr-defined]  # whichever module the store took
from gateway.ground.web.doors import route
from gateway.house import House
from gateway.log import Event, mark
from gateway.log.mark import Mark
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import migrated


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.0)
    settings = Settings(data_dir=tmp_path)
    migrated(settings)
    made = build_house(settings, create_keys=True)
    watched(made)
    yield made
    made.store.close()


@pytest.fixture
def visitor(house: House) -> TestClient:
    return TestClient(Starlette(routes=[route(door, house, lambda *_: None) for door in health.DOORS]))


def failed(visitor: TestClient) -> list[str]:
    answer = visitor.get("/readyz")
    body = answer.json()
    found = [name for name, state in body["checks"].items() if state != "ok"]
    assert (answer.status_code, body["ready"]) == ((503, False) if found else (200, True))
    assert set(body["checks"].values()) <= {"ok", "failed"}
    return found


def test_a_sound_house_is_ready(visitor: TestClient) -> None:
    assert failed(visitor) == []
    assert visitor.get("/healthz").json() == {"status": "ok"}


def test_a_frozen_log_is_not_ready_but_alive(house: House, visitor: TestClient) -> None:
    mark.write(house.settings.mark, Mark(7, bytes(32)))
    assert failed(visitor) == ["log"]
    assert visitor.get("/healthz").status_code == 200


def test_a_checkpoint_that_was_changed_is_not_ready(house: House, visitor: TestClient) -> None:
    sequencer = Sequencer(house)
    with house.store.write() as session:
        house.log.record(session, Event("sign_in", "alice", datetime.now(UTC)))
    sequencer.integrate_once()
    sequencer.stop()
    assert failed(visitor) == []
    with house.store.write() as session:
        session.connection().exec_driver_sql("UPDATE logcheckpoint SET root = zeroblob(32)")
    assert failed(visitor) == ["log"]


def test_another_schema_is_not_ready(house: House, visitor: TestClient) -> None:
    with house.store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert failed(visitor) == ["schema"]


def test_whoever_asks_makes_no_store_of_its_own(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open_store", "bare"):
        monkeypatch.delattr(f"gateway.ground.store.migrate.{name}")
    assert failed(visitor) == []


@pytest.fixture
def read_only(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's file as it is on a disk that was mounted read-only."""
    house.store.connect().close()
    path = house.settings.database
    monkeypatch.setattr(
        house.store, "connect", lambda: sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    )


def test_a_database_that_cannot_be_written_is_not_ready(visitor: TestClient, read_only: None) -> None:
    assert failed(visitor) == ["database"]


def test_a_full_disk_is_not_ready(visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DISK_BYTES", 2**62)
    assert failed(visitor) == ["database"]


# ---- threads of the process


@pytest.fixture
def sequencer(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sequencer]:
    monkeypatch.setattr("gateway.log.sequencer.BEAT_SECONDS", 0.05)
    made = Sequencer(house)
    made.start()
    health.watch(house, log=made.fault)
    yield made
    made.stop()


def thread_of(sequencer: Sequencer) -> threading.Thread:
    found = sequencer._thread
    assert found is not None
    return found


def signs_in(house: House) -> None:
    with house.store.write() as session:
        house.log.record(session, Event("sign_in", "alice", datetime.now(UTC)))


def eventually(visitor: TestClient, expected: list[str]) -> None:
    until = time.monotonic() + 5
    while (found := failed(visitor)) != expected and time.monotonic() < until:
        time.sleep(0.05)
    assert found == expected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sequencer_whose_thread_was_killed_is_not_ready(visitor: TestClient, sequencer: Sequencer) -> None:
    eventually(visitor, [])
    ended = ctypes.c_ulong(thread_of(sequencer).ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ended, ctypes.py_object(SystemExit))
    thread_of(sequencer).join(5)
    eventually(visitor, ["log"])


def test_a_sequencer_that_cannot_write_is_not_ready_and_recovers(
    house: House, visitor: TestClient, sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = house.store.batch

    def full(*_: Any) -> None:
        raise Unavailable("database or disk is full")

    logging.getLogger("aval.log").disabled = True
    monkeypatch.setattr(house.store, "batch", full)
    signs_in(house)
    eventually(visitor, ["database", "log"])
    monkeypatch.setattr(house.store, "batch", real)
    eventually(visitor, [])
    logging.getLogger("aval.log").disabled = False


def test_a_log_that_freezes_while_serving_is_not_ready(house: House, visitor: TestClient, sequencer: Sequencer) -> None:
    signs_in(house)
    sequencer.integrate_once()
    eventually(visitor, [])
    with house.store.write() as session:
        session.connection().exec_driver_sql("DELETE FROM logcheckpoint")
    eventually(visitor, ["log"])


def test_a_sequencer_that_hangs_is_not_ready(
    house: House, visitor: TestClient, sequencer: Sequencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.log.readiness.LAG_SECONDS", 0.2)
    with sequencer._one:  # its beat waits for ever
        signs_in(house)
        eventually(visitor, ["log"])
    eventually(visitor, [])


# ---- asked by anyone


def test_a_thousand_questions_are_one_look(house: House, visitor: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 1000.0)
    looks = []
    real = house.store.batch
    monkeypatch.setattr(house.store, "batch", lambda *given: (looks.append(1), real(*given)))
    for _ in range(50):
        assert failed(visitor) == []
    assert len(looks) == 1


def test_questions_do_not_pile_up_behind_a_writer_that_hangs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.2)
    readiness = health.Readiness(house)
    assert not any(readiness.found(0.0).values())
    with house.store.write():
        looking = threading.Thread(target=readiness.found, args=(10.0,))
        looking.start()
        while readiness._began is None:
            time.sleep(0.01)
        began = time.monotonic()
        assert not any(readiness.found(10.1).values())  # what was found before
        assert readiness.found(11.0)["database"]
        assert time.monotonic() - began < 4.0  # and the writer hangs as long as this block lasts
    looking.join(5)
    assert not any(readiness.found(20.0).values())


def test_a_stranger_is_told_names_and_nothing_else(house: House, visitor: TestClient) -> None:
    mark.write(house.settings.mark, Mark(7, bytes(32)))
    text = visitor.get("/readyz").text
    assert str(house.settings.data_dir) not in text and "signed" not in text and "mark" not in text


def test_a_broken_part_never_makes_an_error_of_the_question(
    house: House, visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gateway.log.sequencer.mark.read", broken)
    assert failed(visitor) == ["log"]
