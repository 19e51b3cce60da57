"""Readiness of the whole application: the threads it started are asked too."""

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import Application, build_house
from gateway.ground.ops import health as ops
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import migrated

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Application, TestClient]]:
    monkeypatch.setattr(ops, "LOOK_SECONDS", 0.0)
    settings = Settings(data_dir=tmp_path)
    migrated(settings)
    application = Application(build_house(settings, create_keys=True))
    with TestClient(application, base_url=settings.public_url) as visitor:
        yield application, visitor
    application.house.store.close()


def test_every_part_of_a_sound_process_is_ready(served: tuple[Application, TestClient]) -> None:
    answer = served[1].get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert {"database", "log", "data"} <= answer.json()["checks"].keys()


def test_a_process_whose_sequencer_was_killed_is_not_ready(served: tuple[Application, TestClient]) -> None:
    application, visitor = served
    thread = application.sequencer._thread
    assert thread is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    thread.join(5)
    until = time.monotonic() + 5
    while (answer := visitor.get("/readyz")).status_code == 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert answer.status_code == 503
    assert [name for name, state in answer.json()["checks"].items() if state != "ok"] == ["log"]
