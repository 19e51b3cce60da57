"""What is measured: the list, its labels, and that nothing of it is there when it is off."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from gateway.app import Application, build_house
from gateway.errors import REASONS, Unavailable
from gateway.ground.http.connector import ConnectorError, OutboundRequest, Target
from gateway.ground.http.transport import Transport
from gateway.ground.ops import scrapes
from gateway.ground.ops.metrics import CALLED, METRICS, OUTCOMES, PARTS, Measured, Metrics, Sample
from gateway.settings import Settings
from tests.databases import migrated

ROOT = Path(__file__).parents[2]
UNITS = (
    "_seconds",
    "_bytes",
    "_total",
    "_info",
    "_entries",
    "_processes",
    "_connections",
    "_limit",
    "_frozen",
    "_degraded",
    "_leads",
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3", compiled=False)


def values(metrics: Metrics) -> dict[tuple[Any, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_names_and_texts_are_as_prometheus_wants_them() -> None:
    for name, found in METRICS.items():
        assert name.startswith("aval_") and name.endswith(UNITS)
        assert (found.kind == "counter") == name.endswith("_total")
        assert (found.kind == "gauge") == bool(found.of_all), "what several processes together say"
        assert found.help.endswith(".") and "\n" not in found.help
        assert set(found.labels) <= {
            "door",
            "status",
            "outcome",
            "organisation",
            "kind",
            "work",
            "part",
            "version",
            "compiled",
        }
    assert set(REASONS) <= set(OUTCOMES) >= CALLED


def test_the_operators_page_says_what_each_is_for() -> None:
    page = (ROOT / "gateway" / "docs" / "operating.md").read_text(encoding="utf-8")
    section = page.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    assert [name for name in METRICS if f"`{name}`" not in section] == []


def test_off_means_that_the_library_is_not_even_loaded() -> None:
    code = (
        "import sys, gateway.cli, gateway.app, gateway.cli.serve, gateway.cli.processes, gateway.ground.ops.scrapes;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_off_means_that_nothing_stands_between(application: Application) -> None:
    assert application.sequencer._watch is None and not isinstance(application._app, Measured)
    connector: Any = application.house.connector
    assert connector.told is None


@pytest.mark.parametrize("address", ["", "127.0.0.1:9400", "0.0.0.0:0", "[::1]:9400", "[::]:65535"])
def test_an_address_is_an_ip_address_and_a_port(address: str) -> None:
    assert Settings(metrics_address=address).metrics_address == address
    if address:
        assert scrapes.parts(address)[1] <= 65535


@pytest.mark.parametrize(
    "address",
    [":9400", "9400", "127.0.0.1", "localhost:9400", "::1:9400", "[127.0.0.1]:9400", "127.0.0.1:65536", "1.2.3:1",
     "127.0.0.1:9400/metrics", "[::1%lo]:1", "127.0.0.1: 1"],
)  # fmt: skip
def test_any_other_address_is_refused_with_how_to_write_it(address: str) -> None:
    with pytest.raises(ValidationError, match=r"write it as 127\.0\.0\.1:9400 or \[::1\]:9400"):
        Settings(metrics_address=address)


# ---- requests


def test_a_name_that_a_caller_has_made_up_is_no_label(metrics: Metrics) -> None:
    for number in range(50):
        metrics.called(f"/data/made-up-{number}/x", 403, "dataset")
        metrics.called(f"/data/made-up-{number}", 400, None)
        metrics.called(f"/data/made-up-{number}/x", 414, None)
        metrics.called("/data/", 401, None)
    metrics.called("/data/city-energy/x/y", 404, "organisation_refused")
    metrics.called("/data/city-energy/x/y", 200, None)
    text = metrics.text().decode()
    assert "made-up" not in text
    found = values(metrics)
    assert found["aval_data_calls_total", "", "dataset"] == found["aval_data_calls_total", "", "token"] == 50
    assert found["aval_data_calls_total", "", "malformed"] == 100
    assert found["aval_data_calls_total", "city-energy", "organisation_refused"] == 1
    assert found["aval_data_calls_total", "city-energy", "given"] == 1


def asked(metrics: Metrics, path: str, status: int, *, leaves: bool = False, **scope: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = app if path == "/known/7" else None
        if leaves:
            raise asyncio.CancelledError
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    measured = Measured(app, metrics, {app: "/known/{number}"})
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(measured({"type": "http", "path": path, **scope}, app, send))
    assert len(sent) == (0 if leaves else 2)


def test_requests_are_told_by_their_door_and_their_hundred(metrics: Metrics) -> None:
    name = "aval_http_request_duration_seconds_count"
    asked(metrics, "/known/7", 302)
    asked(metrics, "/unknown/alice@example.org", 404)
    asked(metrics, "/data/bank/x", 200)
    asked(metrics, "/data/bank/x", 403, **{"aval.refused": "ended"})
    asked(metrics, "/data/bank/x", 0, leaves=True)
    found = values(metrics)
    assert found[name, "/known/{number}", "3xx"] == found[name, "none", "4xx"] == 1
    door = "/data/{organisation}/{path}"
    assert found[name, door, "2xx"] == found[name, door, "4xx"] == found[name, door, "none"] == 1
    assert found["aval_data_calls_total", "bank", "given"] == found["aval_data_calls_total", "", "ended"] == 1
    assert found["aval_data_calls_total", "", "gone"] == 1
    assert "alice" not in metrics.text().decode()


def test_the_time_of_an_organisation_that_does_not_answer_counts_too(metrics: Metrics) -> None:
    async def waits(silent: socket.socket) -> None:
        transport = Transport(Settings(), look_up=None)
        transport.told = metrics.waited
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectorError):
            target = Target("city-energy", base, ("127.0.0.0/8",), timeout_seconds=0.05)
            await transport.get(OutboundRequest(target, "GET", "/", []))
        await transport.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(waits(silent))
    assert values(metrics)["aval_organisation_wait_seconds_total", "city-energy"] >= 0.05


# ---- now and then


def test_a_process_that_does_not_lead_tells_nothing_of_the_log(metrics: Metrics) -> None:
    metrics.sampled(Sample(True, True, 2, False, (3, 10), waiting=7, beat=1_000.5, checkpoint=900.25))
    found = values(metrics)
    assert found["aval_leads", "log"] == found["aval_leads", "common"] == 1
    assert found["aval_log_waiting_entries",] == 7 and found["aval_serving_processes",] == 2
    assert (found["aval_database_connections",], found["aval_database_connections_limit",]) == (3, 10)
    metrics.sampled(Sample(False, False, 2, True, (0, 10)))
    found = values(metrics)
    assert found["aval_leads", "log"] == found["aval_log_waiting_entries",] == 0 and found["aval_log_frozen",] == 1
    assert found["aval_log_beat_timestamp_seconds",] == 1_000.5, "as far as this one knows"
    assert found["aval_log_checkpoint_timestamp_seconds",] == 900.25
    assert found["aval_cpu_seconds_total",] > 0 and found["aval_build_info", "no", "1.2.3"] == 1


def test_what_is_degraded_is_told_until_it_is_not(metrics: Metrics) -> None:
    assert [values(metrics)["aval_degraded", part] for part in PARTS] == [0, 0, 0]
    metrics.sampled(Sample(True, True, 1, False, (0, 10), degraded=frozenset({"keys"})))
    assert [values(metrics)["aval_degraded", part] for part in PARTS] == [0, 1, 0]
    metrics.sampled(Sample(True, True, 1, False, (0, 10)))
    assert values(metrics)["aval_degraded", "keys"] == 0


def test_a_fault_of_the_database_is_counted(tmp_path: Path, metrics: Metrics) -> None:
    settings = Settings(data_dir=tmp_path)
    migrated(settings)
    house = build_house(settings, create_keys=True)
    try:
        Application(house, metrics)
        for _ in range(3):
            with pytest.raises(Unavailable), house.store.write():
                raise OperationalError("SELECT 1", {}, _locked())
        with pytest.raises(ZeroDivisionError), house.store.write():
            raise ZeroDivisionError
        assert values(metrics)["aval_database_failures_total", "unavailable"] == 3
        with house.store.read() as session:
            session.connection()
            assert house.store.connections() == (1, 64)
        assert house.store.connections() == (0, 64)
    finally:
        house.store.close()


def _locked() -> Exception:
    from gateway.ground.store.sqlite.engine import sqlite3

    return sqlite3.OperationalError("database is locked")  # type: ignore[no-any-return]


# ---- scrapes


@pytest.fixture(params=["127.0.0.1", "[::1]"])
def address(request: pytest.FixtureRequest, metrics: Metrics) -> Iterator[str]:
    if request.param == "[::1]" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with scrapes.listening(f"{request.param}:0", metrics.text) as port:
        yield f"{request.param}:{port}"


def test_it_is_scraped_on_either_kind_of_address(address: str, metrics: Metrics) -> None:
    answer = httpx2.get(f"http://{address}/metrics?anything")
    assert answer.status_code == 200 and answer.headers["server"] == "aval"
    assert "aval_build_info" in answer.text
    with pytest.raises(OSError, match="in use"), scrapes.listening(address, metrics.text):
        raise AssertionError("two listen on one address")


def test_who_asks_slowly_holds_nobody_up(address: str) -> None:
    host, port = scrapes.parts(address)
    with contextlib.ExitStack() as stack:
        for _ in range(scrapes.AT_ONCE - 1):
            slow = stack.enter_context(socket.create_connection((host, port)))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nx: ")
        assert httpx2.get(f"http://{address}/metrics").status_code == 200


def test_no_more_threads_than_a_few_answer_scrapes(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes._Handler, "timeout", 90.0)  # a busy machine is no fault
    host, port = scrapes.parts(address)
    with contextlib.ExitStack() as stack:
        for _ in range(4 * scrapes.AT_ONCE):
            slow = stack.enter_context(socket.create_connection((host, port)))
            with contextlib.suppress(OSError):  # refused already
                slow.sendall(b"GET ")
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"http://{address}/metrics")
        assert len([one for one in threading.enumerate() if "process_request_thread" in one.name]) <= scrapes.AT_ONCE


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_folder_for_several_processes_is_private_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(scrapes, "_places", lambda _: iter([tmp_path / "first", tmp_path / "second"]))
    left = tmp_path / place / f"{scrapes.PREFIX}of-one-that-was-killed"
    left.mkdir(parents=True)
    with scrapes.several(tmp_path) as found:
        [folder] = (tmp_path / place).iterdir()
        assert folder != left and folder.stat().st_mode & 0o777 == 0o700 and found.text() == b""
        with scrapes.several(tmp_path):
            assert len(list((tmp_path / place).iterdir())) == 2, "what is held is left alone"
    assert list((tmp_path / place).iterdir()) == []
    monkeypatch.setattr(scrapes, "_places", lambda _: iter([tmp_path / "third"]))
    with pytest.raises(OSError, match="Read-only"), scrapes.several(tmp_path):
        raise AssertionError


def test_it_is_in_memory_or_among_temporary_files_or_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert list(scrapes._places(tmp_path / "data")) == [Path("/dev/shm"), tmp_path, tmp_path / "data"]

    def nowhere() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert list(scrapes._places(tmp_path / "other")) == [Path("/dev/shm"), tmp_path / "other"]
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700
