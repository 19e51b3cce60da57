"""The writer's one thread: when it has ended, calls are told so at once and readiness says it; nobody waits for it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import sqlite
from tests.proxy.bank import Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation

pytestmark = [pytest.mark.sqlite, pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")]


def test_a_call_is_refused_when_the_disks_thread_has_ended(tmp_path: Path, organisation: RawOrganisation) -> None:
    organisation.reset()
    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation)
        plane: Any = world.plane
        assert bank.reads().status == 200 and plane.fault() == ""
        disk = plane.writer.ledger._disk
        disk._jobs.put(lambda: 1 / 0)
        disk._runner.join(5)
        assert plane.fault()
        found = bank.reads()
        assert found.status == 503 and found.headers["retry-after"] and b"Amount" not in found.body


def test_a_disk_that_failed_is_said_until_the_restart(
    tmp_path: Path, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_file: int) -> None:
        raise OSError(5, "Input/output error")

    organisation.reset()
    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation)
        plane: Any = world.plane
        assert bank.reads().status == 200
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, "_fdatasync", broken)
            assert bank.reads().status == 503
        assert plane.fault()
