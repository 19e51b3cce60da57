"""The database's file belongs to SQLite: nothing else in the serving process opens or closes it.

Closing any descriptor of a file drops all locks its process has on it (POSIX, fcntl). Without them the next program
that opens and closes the database takes itself for the last one, and removes the write-ahead log under the gateway
(SQLite, "How To Corrupt An SQLite Database File", 2.2).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway import app
from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import Amiss
from gateway.settings import Settings
from tests.worlds.demo import READING, Resident, newcomer, relaunch, started

LOCKS = Path("/proc/locks")
pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(not LOCKS.exists(), reason="this system does not tell which locks are held"),
]

# A program with an SQLite of its own, whichever Python came with: opens for writing, reads, closes.
STRANGER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM consent").fetchall()
connection.close()
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = started(tmp_path_factory.mktemp("file"))
    yield demo
    demo_setup.stop(demo)


@pytest.fixture(scope="module")
def alice(demo: Demo) -> Resident:
    one = newcomer(demo)
    one.links("city-energy")
    one.story.agree_energy()
    return one


def files(demo: Demo) -> dict[str, int]:
    """name → inode, of the database and what SQLite keeps beside it."""
    return {path.name: path.stat().st_ino for path in demo.gateway_dir.glob("aval.sqlite3*")}


def locked(demo: Demo) -> set[str]:
    """Which of those files the gateway's process holds a lock on."""
    pid, names = demo.processes["gateway"].pid, {number: name for name, number in files(demo).items()}
    rows = [line.split() for line in LOCKS.read_text().splitlines()]
    held = {int(row[5].rsplit(":", 1)[1]) for row in rows if row[1] == "POSIX" and row[4] == str(pid)}
    return {names[number] for number in held & names.keys()}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every door that can be opened by GET; where it names a thing, there is none of that name."""
    house = app.build_house(Settings(data_dir=tmp_path_factory.mktemp("doors")), create_keys=True)
    found = [door.path.replace("{", "").replace("}", "") for door in app.doors(house) if "GET" in door.methods]
    house.store.close()
    assert {"/readyz", "/healthz", "/sharings", "/jwks.json"} <= set(found)
    return found


def test_no_door_lets_go_of_the_database(alice: Resident, addresses: list[str]) -> None:
    held, there = locked(alice.demo), files(alice.demo)
    assert held >= {"aval.sqlite3", "aval.sqlite3-shm"}
    for address in ("/readyz", *addresses, "/readyz"):
        alice.visitor.get(alice.gateway + address)
        assert (locked(alice.demo), files(alice.demo)) == (held, there), address
    alice.story.read_energy()
    assert (locked(alice.demo), files(alice.demo)) == (held, there)


@pytest.mark.parametrize(
    "command", ["doctor", "migrate", "people list", "apps list", "organisations list", "log verify"]
)
def test_no_command_beside_it_takes_the_database_away(alice: Resident, command: str) -> None:
    held, there = locked(alice.demo), files(alice.demo)
    demo_setup.aval(alice.demo, *command.split())
    assert (locked(alice.demo), files(alice.demo)) == (held, there)


def test_a_stop_outlives_every_program_that_looks_at_the_database_and_a_kill(alice: Resident) -> None:
    database = alice.demo.gateway_dir / "aval.sqlite3"
    assert httpx2.get(f"{alice.gateway}/readyz", timeout=30).status_code == 200
    there = files(alice.demo)
    subprocess.run([sys.executable, "-c", STRANGER, str(database)], check=True)
    assert files(alice.demo) == there, "the write-ahead log was removed under the gateway"
    for _ in range(5):
        assert alice.story._call("watt-coach", "city-energy", READING).status_code == 200
    alice.story.stop_sharing()
    os.kill(alice.demo.processes["gateway"].pid, 9)
    alice.demo.processes["gateway"].wait(10)
    relaunch(alice.demo)
    assert alice.story._call("watt-coach", "city-energy", READING).json()["reason"] == "ended"
    page = alice.visitor.get(f"{alice.gateway}/log?badge=access")
    assert page.status == 200 and "Watt Coach" in page.text
    assert '"whole": true' in demo_setup.aval(alice.demo, "log", "verify", "--json")


def test_when_its_log_is_removed_all_the_same_no_data_leaves_and_nothing_is_promised(alice: Resident) -> None:
    """As by `rm`, or by a program that asks for no locks."""
    bob = newcomer(alice.demo, "Bob Leroy")
    bob.links("city-energy")
    bob.story.agree_energy()
    assert bob.story._call("watt-coach", "city-energy", READING).status_code == 200
    (bob.demo.gateway_dir / "aval.sqlite3-wal").unlink()
    for _ in range(3):
        answer = bob.story._call("watt-coach", "city-energy", READING)
        assert answer.status_code == 503 and "IntervalReading" not in answer.text
    with pytest.raises(Amiss, match="the receipt page"):
        bob.story.stop_sharing()
    ready = httpx2.get(f"{bob.gateway}/readyz", timeout=30)
    assert ready.status_code == 503
    assert {name for name, state in ready.json()["checks"].items() if state != "ok"} >= {"database", "data"}
    assert httpx2.get(f"{bob.gateway}/healthz", timeout=30).status_code == 200
    assert "aval.sqlite3-wal was removed or replaced" in (bob.demo.folder / "gateway.log").read_text()
