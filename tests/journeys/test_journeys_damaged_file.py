"""A page of the database's file that is no page any more: nothing is given, nothing promised, and readiness says so."""

from pathlib import Path

import httpx2
import pytest

from gateway.cli import demo_setup
from tests.databases import opened
from tests.worlds.demo import READING, newcomer, relaunch, started

pytestmark = pytest.mark.sqlite


def damaged(database: Path, table: str) -> None:
    """The first page of the table. Nobody has the file open."""
    with opened(database) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)


def test_damaged_pages_are_503_to_everybody_and_not_ready(tmp_path: Path) -> None:
    demo = started(tmp_path)
    try:
        alice = newcomer(demo)
        alice.links("city-energy")
        alice.story.agree_energy()
        assert alice.story._call("watt-coach", "city-energy", READING).status_code == 200
        demo.processes["gateway"].terminate()
        assert demo.processes["gateway"].wait(20) == 0
        damaged(demo.gateway_dir / "aval.sqlite3", "consent")
        relaunch(demo)
        answer = alice.story._call("watt-coach", "city-energy", READING)
        assert answer.status_code == 503 and "IntervalReading" not in answer.text
        consent = alice.story.grants["watt-coach"].consent
        assert alice.visitor.get(f"{alice.gateway}/sharings/{consent}").status == 503
        ready = httpx2.get(f"{alice.gateway}/readyz", timeout=30)
        assert ready.status_code == 503 and ready.json()["checks"]["database"] == "failed"
        assert httpx2.get(f"{alice.gateway}/healthz", timeout=30).status_code == 200
        assert "a page of the file is damaged" in (demo.folder / "gateway.log").read_text()
    finally:
        demo_setup.stop(demo)
