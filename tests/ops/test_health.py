"""Ready means ready: each part that is not is named, and nothing else is told to whoever asks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway import ops
from gateway.app import build_house
from gateway.house import House
from gateway.log import Event, mark
from gateway.log.mark import Mark
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from gateway.store import Store, migrate
from gateway.web.doors import route


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path)
    migrate.upgrade(settings)
    made = build_house(settings, create_keys=True)
    yield made
    made.store.close()


@pytest.fixture
def visitor(house: House) -> TestClient:
    return TestClient(Starlette(routes=[route(door, house, lambda *_: None) for door in ops.DOORS]))


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
    mark.write(house.settings.data_dir / mark.FILE, Mark(7, bytes(32)))
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


def test_a_database_that_cannot_be_written_is_not_ready(
    house: House, visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "writable", lambda self: False)
    assert failed(visitor) == ["database"]


def test_a_broken_part_never_makes_an_error_of_the_question(
    house: House, visitor: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gateway.ops.mark.read", broken)
    monkeypatch.setattr("gateway.log.sequencer.mark.read", broken)
    assert failed(visitor) == ["log"]
