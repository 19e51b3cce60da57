"""An earlier copy is put back: nothing is given or agreed until an operator has looked, and people can stop. And a file
that is damaged."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import Amiss
from tests.databases import opened
from tests.worlds.demo import READING, Resident, newcomer, relaunch, started

pytestmark = pytest.mark.sqlite

BANK = "/open-banking/v4.0/aisp/accounts"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Keys, and with them the mark of how far the log was signed, lie apart from the data, as in production."""
    folder = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AVAL_KEYS_DIR", str(folder / "keys"))
        demo = started(folder / "demo")
        end(demo, signal.SIGTERM)
        shutil.copytree(demo.gateway_dir, folder / "new" / "gateway")
        shutil.copytree(folder / "keys", folder / "new" / "keys")
        yield demo
        demo_setup.stop(demo)


@pytest.fixture
def demo(town: Demo) -> Demo:
    """Its gateway, with keys and data as they were when nobody had come yet; its neighbours went on meanwhile."""
    if town.processes["gateway"].poll() is None:
        end(town, signal.SIGKILL)
    new = town.folder.parent / "new"
    for kept, used in ((new / "gateway", town.gateway_dir), (new / "keys", Path(os.environ["AVAL_KEYS_DIR"]))):
        shutil.rmtree(used)
        shutil.copytree(kept, used)
    relaunch(town)
    return town


@pytest.fixture
def alice(demo: Demo) -> Resident:
    one = newcomer(demo)
    one.links("city-energy", "harbour-bank", "meadow-health")
    one.story.agree_energy()
    one.story.agree_budget()
    assert reads(one).status_code == 200
    return one


def reads(alice: Resident) -> httpx2.Response:
    return alice.story._call("watt-coach", "city-energy", READING)


def unlinks(alice: Resident, organisation: str) -> None:
    there = f"/organisations/{organisation}/unlink"
    page = alice.visitor.get(alice.gateway + there)
    assert alice.visitor.submit(page, page.form(there)).status == 200


def revokes(alice: Resident, app: str) -> None:
    """The app gives its refresh token up (RFC 7009)."""
    client, grant = alice.story._client(app), alice.story.grants[app]
    form = {**client["form"], "token": grant.refresh}
    answer = alice.story.http.post(f"{alice.gateway}/revoke", data=form, auth=client["auth"])
    assert answer.status_code == 200


def end(demo: Demo, how: signal.Signals) -> None:
    process = demo.processes["gateway"]
    process.send_signal(how)
    process.wait(20)


def launch(demo: Demo) -> None:
    """Until it answers at all; a frozen log is never ready."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        demo_setup._launch(demo, "gateway", [sys.executable, "-m", "gateway", "serve"], demo.environment())
    for _ in range(200):
        try:
            if httpx2.get(f"{demo.url('gateway')}/healthz", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError("the gateway did not answer")


def put_back(demo: Demo, copy: Path) -> None:
    shutil.rmtree(demo.gateway_dir)
    shutil.copytree(copy, demo.gateway_dir)


def command(demo: Demo, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(words, capture_output=True, text=True, env=demo.environment(), timeout=60)


def restarts(demo: Demo, *more: str) -> str:
    """What the operator does: she is told how many entries there are, and accepts them."""
    told = command(demo, "log", "restart")
    assert told.returncode == 1 and "is frozen" in told.stdout
    accepted = told.stderr.rsplit("--accept ", 1)[1].split()[0]
    return demo_setup.aval(demo, "log", "restart", "--accept", accepted, *more)


def refreshes(alice: Resident) -> httpx2.Response:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": alice.story.grants["watt-coach"].refresh,
        "client_id": "watt-coach",
    }
    return alice.story.http.post(f"{alice.gateway}/token", data=form)


def test_the_whole_folder_put_back_gives_nothing_until_somebody_has_looked(alice: Resident, tmp_path: Path) -> None:
    demo, story = alice.demo, alice.story
    end(demo, signal.SIGTERM)
    shutil.copytree(demo.gateway_dir, tmp_path / "copy")
    relaunch(demo)
    story.stop_sharing()
    assert reads(alice).json()["reason"] == "ended"
    end(demo, signal.SIGTERM)
    put_back(demo, tmp_path / "copy")
    launch(demo)

    ready = httpx2.get(f"{alice.gateway}/readyz", timeout=30)
    assert ready.status_code == 503 and ready.json()["checks"]["log"] == "failed"
    refused = reads(alice)
    assert (refused.status_code, refused.json()["reason"]) == (503, "log_frozen")
    assert int(refused.headers["retry-after"]) > 0
    token = refreshes(alice)
    assert (token.status_code, token.json()["error"]) == (503, "temporarily_unavailable")
    assert alice.visitor.get(f"{alice.gateway}/log").status == 200
    page = alice.visitor.get(f"{alice.gateway}/organisations")
    assert alice.visitor.submit(page, page.form("/organisations/city-energy/refresh")).status == 503
    with pytest.raises(Amiss, match="503"):
        story.agree_energy()
    # what she can always do: here the sharing that she had stopped before runs again
    story.stop_sharing()

    end(demo, signal.SIGTERM)
    told = restarts(demo)
    assert "the pauses of 1 running sharings" in told
    relaunch(demo)
    assert reads(alice).json()["reason"] == "ended"
    paused = story._call("clear-budget", "harbour-bank", BANK)
    assert (paused.status_code, paused.json()["reason"]) == (403, "paused")
    consent = story.grants["clear-budget"].consent
    page = alice.visitor.get(f"{alice.gateway}/sharings/{consent}")
    assert "an earlier copy of our records had to be put back" in page.text
    assert "The operator of this service paused your sharing" in alice.visitor.get(f"{alice.gateway}/log").text
    alice.visitor.submit(page, page.form(f"/sharings/{consent}/resume"))
    assert story._call("clear-budget", "harbour-bank", BANK).status_code == 200
    end(demo, signal.SIGTERM)
    assert '"whole": true' in demo_setup.aval(demo, "log", "verify", "--json")


def test_nothing_is_given_when_the_write_ahead_log_was_lost(alice: Resident) -> None:
    def marked() -> int:
        found = Path(os.environ["AVAL_KEYS_DIR"]) / "log.high-water"
        return int(found.read_text().split("\n")[2]) if found.exists() else 0

    demo, before = alice.demo, marked()
    bob = newcomer(demo, "Bob Durand")
    bob.links("city-energy")
    for _ in range(150):  # signed once a second, so that the mark knows more than the file without its log
        if marked() > max(3, before):
            break
        time.sleep(0.2)
    end(demo, signal.SIGKILL)
    database = demo.gateway_dir / "aval.sqlite3"
    assert database.with_name(f"{database.name}-wal").stat().st_size > 0
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink()
    done = command(demo, "serve", "--port", "0") if not database.stat().st_size else None
    if done is not None:  # all was in the write-ahead log: then the keys are of another database, and it says so
        assert done.returncode == 2
        return
    launch(demo)
    assert httpx2.get(f"{alice.gateway}/readyz", timeout=30).status_code == 503
    assert reads(alice).status_code == 503  # also when the agreement is in what is missing: a 401 ends the token


def test_running_sharings_go_on_when_the_operator_knows_that_nobody_stopped_any(
    alice: Resident, tmp_path: Path
) -> None:
    demo = alice.demo
    end(demo, signal.SIGTERM)
    shutil.copytree(demo.gateway_dir, tmp_path / "copy")
    relaunch(demo)
    assert reads(alice).status_code == 200
    end(demo, signal.SIGTERM)
    put_back(demo, tmp_path / "copy")
    restarts(demo, "--sharings", "keep")
    relaunch(demo)
    assert reads(alice).status_code == 200


def test_what_is_ended_on_the_old_copy_stays_ended_when_the_newest_is_put_back(alice: Resident, tmp_path: Path) -> None:
    demo = alice.demo
    end(demo, signal.SIGTERM)
    shutil.copytree(demo.gateway_dir, tmp_path / "older")
    relaunch(demo)
    assert reads(alice).status_code == 200
    end(demo, signal.SIGTERM)
    shutil.copytree(demo.gateway_dir, tmp_path / "newest")
    put_back(demo, tmp_path / "older")
    launch(demo)
    assert reads(alice).json()["reason"] == "log_frozen"
    alice.story.stop_sharing()
    unlinks(alice, "meadow-health")
    revokes(alice, "clear-budget")
    end(demo, signal.SIGTERM)
    put_back(demo, tmp_path / "newest")
    for _ in range(2):
        relaunch(demo)
        assert reads(alice).json()["reason"] == "ended"
        assert not alice.story._linked("meadow-health") and alice.story._linked("harbour-bank")
        assert alice.story._call("clear-budget", "harbour-bank", BANK).status_code == 401
        end(demo, signal.SIGTERM)
    assert '"whole": true' in demo_setup.aval(demo, "log", "verify", "--json")


# ---- a file that is damaged


def damaged(database: Path, table: str) -> None:
    """The first page of the table. Nobody has the file open."""
    with opened(database) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)


def test_damaged_pages_are_503_to_everybody_and_not_ready(alice: Resident) -> None:
    """A page of the database's file that is no page any more: nothing is given, nothing promised."""
    demo = alice.demo
    end(demo, signal.SIGTERM)
    damaged(demo.gateway_dir / "aval.sqlite3", "consent")
    relaunch(demo)
    answer = reads(alice)
    assert answer.status_code == 503 and "IntervalReading" not in answer.text
    consent = alice.story.grants["watt-coach"].consent
    assert alice.visitor.get(f"{alice.gateway}/sharings/{consent}").status == 503
    ready = httpx2.get(f"{alice.gateway}/readyz", timeout=30)
    assert ready.status_code == 503 and ready.json()["checks"]["database"] == "failed"
    assert httpx2.get(f"{alice.gateway}/healthz", timeout=30).status_code == 200
    assert "a page of the file is damaged" in (demo.folder / "gateway.log").read_text()
