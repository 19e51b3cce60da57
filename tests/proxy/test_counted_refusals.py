"""Refusals that were only counted are written as soon as the log can be written again; none is forgotten."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from gateway.log import Log
from gateway.proxy.denials import EACH
from tests.proxy.bank import Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation


@pytest.mark.inside
def test_a_count_that_could_not_be_written_is_written_later(
    tmp_path: Path, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.proxy.call.FLUSH_SECONDS", 0.05)
    failed: list[int] = []

    def broken(*_: object) -> None:
        failed.append(1)
        raise Unavailable("database: disk full")

    organisation.reset()
    start = datetime.now(UTC)
    with World(tmp_path, log_fsync=False).serving() as world:
        bank = Bank(world, organisation)
        world.clock = lambda: start
        for _ in range(EACH + 4):
            assert bank.reads("/data/nowhere/x").status == 403
        with monkeypatch.context() as patched:
            patched.setattr(Log, "sealed", broken)
            world.clock = lambda: start + timedelta(seconds=61)
            until = time.monotonic() + 3
            while not failed and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(0.2)
        assert failed
        until = time.monotonic() + 3
        while bank.log()[-1].get("more") is None and time.monotonic() < until:
            time.sleep(0.05)
        assert bank.log()[-1]["more"] == 4
