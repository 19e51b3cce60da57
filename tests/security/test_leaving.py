"""A running gateway lets go of what has expired by itself, while it works."""

import threading
from pathlib import Path

import pytest
from security_world import BASE, World, detail, with_alice

from gateway.ground.keys import KeyRing

_OLD = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
    INSERT INTO spentchallenge (id, expires_at)
    SELECT 'old-' || i, '2020-01-01 00:00:00.000000' FROM n"""


def test_hundreds_of_expired_rows_leave_while_an_app_reads_and_nothing_else_does(
    tmp_path: Path, _ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.PRUNE_SECONDS", 0.05)
    with World(tmp_path, _ring).serving() as world:
        _, alice = with_alice(world)
        body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ["bank.accounts"])])
        world.rows(_OLD)
        for _ in range(120):
            assert world.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts").status_code == 200
            if world.rows("SELECT count(*) FROM spentchallenge") == [(0,)]:
                break
            threading.Event().wait(0.25)  # so seldom that the app stays within its 600 calls a minute
        assert world.rows("SELECT count(*) FROM spentchallenge") == [(0,)]
        assert world.rows("SELECT count(*), min(state) FROM consent") == [(1, "active")]
        assert world.rows("SELECT count(*) FROM refreshtoken") == [(1,)]
        assert world.refresh(body["refresh_token"], "budget").status_code == 200
