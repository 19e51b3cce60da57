"""A running gateway lets go of what has expired by itself, while it works."""

import threading
from pathlib import Path

import pytest
from bank import BASE, with_alice
from fortress import Fort, detail

from gateway.ground.keys import KeyRing

_OLD = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
    INSERT INTO spentchallenge (id, expires_at)
    SELECT 'old-' || i, '2020-01-01 00:00:00.000000' FROM n"""


def test_hundreds_of_expired_rows_leave_while_an_app_reads_and_nothing_else_does(
    tmp_path: Path, _ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.PRUNE_SECONDS", 0.05)
    with Fort(tmp_path, _ring).serving() as fort:
        _, alice = with_alice(fort)
        body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ["bank.accounts"])])
        fort.rows(_OLD)
        for _ in range(600):
            assert fort.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts").status_code == 200
            if fort.rows("SELECT count(*) FROM spentchallenge") == [(0,)]:
                break
            threading.Event().wait(0.02)
        assert fort.rows("SELECT count(*) FROM spentchallenge") == [(0,)]
        assert fort.rows("SELECT count(*), min(state) FROM consent") == [(1, "active")]
        assert fort.rows("SELECT count(*) FROM refreshtoken") == [(1,)]
        assert fort.refresh(body["refresh_token"], "budget").status_code == 200
