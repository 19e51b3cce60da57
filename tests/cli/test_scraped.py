"""`GET /metrics` of a gateway that serves: one process on SQLite, two on PostgreSQL, after Alice's whole story."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from cli_run import ROOT
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_story import Story
from gateway.cli.reference import every_door
from gateway.ground.ops.metrics import DATA, METRICS, NO_DOOR, OUTCOMES, PARTS
from gateway.settings import BESIDES

PATIENCE = 90  # a busy machine is no fault
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class Scraped:
    """A demo whose gateway is measured, and how often each outcome of a data call was seen from outside."""

    demo: Demo
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.story = Story(self.demo)
        self._call, self.story._call = self.story._call, self._counted  # type: ignore[method-assign]

    def _counted(self, app: str, organisation: str, path: str) -> httpx2.Response:
        answer = self._call(app, organisation, path)
        given = answer.status_code == 200
        self.seen[organisation if given else "", "given" if given else answer.json()["reason"]] += 1
        return answer

    def knocks(self, times: int) -> None:
        """Without a token, each time on a connection of its own."""
        for _ in range(times):
            assert httpx2.get(f"{self.demo.url('gateway')}/data/harbour-bank/secret-place").status_code == 401
            self.seen["", "token"] += 1

    def lines(self) -> Iterator[dict[str, Any]]:
        for line in (self.demo.folder / "gateway.log").read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)

    @property
    def url(self) -> str:
        [told] = [line for line in self.lines() if line["event"] == "metrics are scraped here"]
        return f"http://127.0.0.1:{told['port']}"

    def text(self) -> str:
        answer = httpx2.get(f"{self.url}/metrics", timeout=20)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return answer.text

    def samples(self) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def calls(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for (name, labels), value in self.samples().items():
            if name == "aval_data_calls_total" and value:
                found[dict(labels)["organisation"], dict(labels)["outcome"]] = int(value)
        return found

    def until(self, holds: Callable[[Samples], bool]) -> Samples:
        end = time.monotonic() + PATIENCE
        while not holds(found := self.samples()):
            assert time.monotonic() < end, found
            time.sleep(0.2)
        return found

    def pids(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for line in self.lines():
            if line["event"] == "starting":
                found.setdefault(str(line.get("process", "")), []).append(int(line["pid"]))
        return found


@contextlib.contextmanager
def scraped(folder: Path, database: str = "", processes: int = 1) -> Iterator[Scraped]:
    demo = demo_setup.prepare(folder, 0, database, processes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        demo_setup.start(demo, lambda _line: None)
    try:
        told = Scraped(demo)
        for name, step in told.story.steps():
            if name not in ("start", "verify the log offline"):
                step()
        told.knocks(20)
        yield told
        told.story.http.close()
        told.story.alice._client.close()
    finally:
        demo_setup.stop(demo)


@pytest.fixture(scope="module", autouse=True)
def measured() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVAL_METRICS_ADDRESS", "127.0.0.1:0")
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, measured: None) -> Iterator[Scraped]:
    with scraped(tmp_path_factory.mktemp("alone") / "demo") as told:
        yield told


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, postgres: Any, measured: None) -> Iterator[Scraped]:
    postgres.create("scraped")
    with scraped(tmp_path_factory.mktemp("two") / "demo", postgres.url("scraped"), 2) as told:
        yield told
    postgres.drop("scraped")


@pytest.fixture(params=["alone", pytest.param("two", marks=pytest.mark.postgres)])
def gateway(request: pytest.FixtureRequest) -> Scraped:
    made: Scraped = request.getfixturevalue(request.param)
    return made


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def test_data_calls_are_counted_as_they_were_answered(gateway: Scraped) -> None:
    assert gateway.seen["", "ended"] == 1 and gateway.seen["harbour-bank", "given"] > 2
    assert gateway.calls() == gateway.seen
    found = gateway.samples()
    timed = [
        value
        for (name, of), value in found.items()
        if name == "aval_http_request_duration_seconds_count" and dict(of)["door"] == DATA
    ]
    assert sum(timed) == sum(gateway.seen.values())
    for organisation in ("city-energy", "harbour-bank", "meadow-health"):
        waited = found["aval_organisation_wait_seconds_total", labels(organisation=organisation)]
        assert 0 < waited < PATIENCE


def test_everything_that_is_scraped_is_in_the_list_and_every_label_is_bounded(gateway: Scraped) -> None:
    doors = {door.path for door in every_door()} | {DATA, NO_DOOR, "/static"}
    known = {
        "door": doors,
        "status": {"none", "2xx", "3xx", "4xx", "5xx"},
        "outcome": set(OUTCOMES),
        "organisation": {"", *demo_setup.ORGANISATIONS},
        "kind": {"clash", "unavailable", "damaged"},
        "work": {"log", "common"},
        "part": set(PARTS),
    }
    families = list(text_string_to_metric_families(gateway.text()))
    total = {family.name + "_total" if family.type == "counter" else family.name: family for family in families}
    # of several processes only what was counted is there, and no example sends what it has not declared
    assert set(total) | {"aval_undeclared_answers_total"} == set(METRICS)
    for name, family in total.items():
        assert family.type == METRICS[name].kind and family.documentation == METRICS[name].help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name].labels)
            for label, value in sample.labels.items():
                assert value in known.get(label, {value}), (name, label, value)
    assert {value for (_, of) in gateway.samples() for label, value in of if label == "door"} >= {
        "/sign-in", "/token", "/par", "/consent/{id}", "/sharings/{id}/stop"
    }  # fmt: skip


def test_the_server_has_as_many_connections_as_is_said(two: Scraped) -> None:
    """Who has carried no data call yet does not write, so two connections of a process may be missing."""
    statement = (
        "SELECT application_name, count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() GROUP BY 1"
    )
    with psycopg.connect(two.demo.database_url) as connection:
        found = dict(connection.execute(statement).fetchall())
    count = two.demo.count
    assert count * (BESIDES - 2) < found["aval"] <= count * BESIDES, found
    assert set(found) == {"aval", "aval-pages"} and 0 < found["aval-pages"] <= count * 10, found


@pytest.mark.parametrize("document", ["gateway/docs/operating.md", "gateway/docs/reference.md"])
def test_that_number_stands_in_the_documents(document: str) -> None:
    text = (ROOT / document).read_text()
    assert f"P × (C + {BESIDES})" in text or f"pages; it has {BESIDES} more" in text
    assert not re.search(rf"\(C \+ (?!{BESIDES}\))", text)


def test_nothing_of_a_person_an_app_or_a_token_is_scraped(gateway: Scraped) -> None:
    people = "SELECT id FROM person UNION SELECT id FROM link UNION SELECT id FROM consent"
    if gateway.demo.database_url:
        with psycopg.connect(gateway.demo.database_url) as connection:
            ids = {str(id) for (id,) in connection.execute(people).fetchall()}
    else:
        with contextlib.closing(sqlite3.connect(gateway.demo.gateway_dir / "aval.sqlite3")) as connection:
            ids = {str(id) for (id,) in connection.execute(people).fetchall()}
    grants = gateway.story.grants
    planted = ids | {gateway.story.email, "Alice", "CE-1001", "HB-2001", "MH-3001", "secret-place", *grants}
    planted |= {part for grant in grants.values() for part in (grant.token, grant.refresh, grant.consent)}
    planted |= {account for grant in grants.values() for detail in grant.details for account in detail["accounts"]}
    assert len(planted) > 15 and all(grant.consent in ids for grant in grants.values())
    text = gateway.text()
    assert [found for found in planted if found and found in text] == []


def test_there_is_one_address_with_one_answer_and_the_public_port_knows_it_not(gateway: Scraped) -> None:
    assert httpx2.get(f"{gateway.demo.url('gateway')}/metrics").status_code == 404
    assert httpx2.get(f"{gateway.url}/").status_code == httpx2.get(f"{gateway.url}/healthz").status_code == 404
    for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS"):
        assert httpx2.request(method, f"{gateway.url}/metrics").status_code == 405


def test_the_log_the_database_and_the_processes_are_told(gateway: Scraped) -> None:
    count = gateway.demo.count
    each = 10 if gateway.demo.database_url else 64
    found = gateway.until(
        lambda found: (
            found["aval_database_connections_limit", ()] == each * count
            and found["aval_serving_processes", ()] == count
            and found["aval_leads", labels(work="log")] == found["aval_leads", labels(work="common")] == 1
            and found["aval_log_checkpoint_timestamp_seconds", ()] > 0
            and found["aval_log_waiting_entries", ()] == 0
        )
    )
    assert abs(time.time() - found["aval_log_beat_timestamp_seconds", ()]) < PATIENCE
    assert found["aval_log_frozen", ()] == 0
    assert found["aval_cpu_seconds_total", ()] > 0.1
    assert 2**25 * count < found["aval_resident_memory_bytes", ()] < 2**31
    later = gateway.until(
        lambda later: later["aval_log_beat_timestamp_seconds", ()] > found["aval_log_beat_timestamp_seconds", ()]
    )
    assert later["aval_cpu_seconds_total", ()] >= found["aval_cpu_seconds_total", ()]


@pytest.mark.postgres
def test_what_a_process_has_counted_outlives_it_and_is_counted_once(two: Scraped) -> None:
    limit = ("aval_database_connections_limit", ())
    two.until(lambda found: found[limit] == 20)
    for number in ("1", "2"):
        last = two.pids()[number][-1]
        before = two.seen.copy()
        os.kill(last, signal.SIGKILL)
        two.until(lambda found: found[limit] == 10)
        assert two.calls() == before, "while it is gone"
        two.until(lambda found: found[limit] == 20)
        assert two.calls() == before and two.pids()[number][-1] != last, "when it is back"
        two.knocks(20)
        assert two.calls() == two.seen


def test_an_address_that_is_taken_is_refused_at_the_start(alone: Scraped, tmp_path: Path) -> None:
    taken = alone.url.removeprefix("http://")
    given = {**os.environ, "AVAL_METRICS_ADDRESS": taken, "AVAL_DATA_DIR": str(tmp_path / "data"), "AVAL_PORT": "0"}
    done = subprocess.run([sys.executable, "-m", "gateway", "serve"], env=given, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"aval: metrics_address: could not listen on {taken}: Address already in use\n" in done.stderr


@pytest.mark.postgres
def test_an_address_that_is_taken_is_refused_before_any_process_starts(
    alone: Scraped, two: Scraped, tmp_path: Path
) -> None:
    taken = alone.url.removeprefix("http://")
    given = {**two.demo.environment(), "AVAL_METRICS_ADDRESS": taken, "AVAL_PORT": "0"}
    done = subprocess.run([sys.executable, "-m", "gateway", "serve"], env=given, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"aval: metrics_address: could not listen on {taken}: " in done.stderr and "starting" not in done.stderr


@pytest.mark.postgres
def test_nothing_is_left_in_the_folder_for_temporary_files(two: Scraped) -> None:
    """Each process has three files or four, and who is started again goes on in those."""
    environment = Path(f"/proc/{two.pids()['1'][-1]}/environ").read_bytes().decode()
    [folder] = re.findall(r"PROMETHEUS_MULTIPROC_DIR=([^\0]+)", environment)
    files = list(Path(folder).iterdir())
    assert {file.name.rpartition("_")[2] for file in files} == {"1.db", "2.db"} and len(files) <= 10
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    demo_setup.stop(two.demo)
    assert not Path(folder).exists()
