"""Answers too large to be held: bounded memory, one entry before and one after, cut when the sharing ends."""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.consent.rules import Act
from gateway.errors import Unavailable
from gateway.formats import registry
from gateway.formats.model import Asked, Counts, Cut, Granted, Source, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window
from gateway.proxy.admit import Admission
from tests.proxy.bank import NOON, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation
from tests.proxy.supplier import Supplier, feed

MEGABYTE = 2**20
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"

# ---- a sector made for streams: every byte of the answer is agreed to, and large answers are cut as they come


class Cutter:
    def __init__(self) -> None:
        self.size = 0

    def feed(self, chunk: bytes) -> bytes:
        if b"POISON" in chunk:
            raise UnknownShape("entry")
        self.size += len(chunk)
        return chunk

    def close(self) -> bytes:
        return b""

    def counts(self) -> Counts:
        return Counts(records=self.size)


class Plan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self.granted = list(granted)

    def request(self, asked: Asked, window: Window) -> Upstream:
        found = self.granted[0]
        return Upstream(found.dataset, asked.path, asked.query, "application/octet-stream", found.accounts)

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window, link: str = "") -> Cut:
        if body == b"BUG":
            raise ZeroDivisionError("a fault of the filter itself")
        return Cut(body, media_type, Counts(records=len(body)))

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter:
        return Cutter()


@pytest.fixture
def stream(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setattr(registry, "plan", lambda source, _, granted: Plan(source, granted))
    return bank


def endless(
    organisation: RawOrganisation, pieces: int, pause: float = 0.0, last: bytes = b"", size: int = 65536
) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.say(OK + b"Content-Length: %d\r\n\r\n" % (pieces * size + len(last)))
        with contextlib.suppress(ConnectionError):
            for _ in range(pieces):
                await exchange.say(b"x" * size, *((pause,) if pause else ()))
            await exchange.say(last)

    organisation.behaviour = behave


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def opened(bank: Bank) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", bank.world.port), timeout=10)
    connection.sendall(
        f"GET {bank.path} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nConnection: close\r\n"
        f"Authorization: Bearer {bank.token}\r\n\r\n".encode()
    )
    return connection


def drained(connection: socket.socket) -> int:
    size = 0
    while piece := connection.recv(2**20):
        size += len(piece)
    return size


def outcomes(bank: Bank) -> list[tuple[str, str]]:
    return [(entry["event"], entry.get("outcome")) for entry in bank.log()]


def eventually(bank: Bank, expected: tuple[str, str], seconds: float = 3.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and expected not in outcomes(bank):
        time.sleep(0.05)
    assert expected in outcomes(bank)


def test_a_large_answer_is_carried_whole_in_little_memory(stream: Bank) -> None:
    endless(stream.organisation, 1)
    stream.reads()
    endless(stream.organisation, 1024)
    before, most, size = resident(), 0, 0
    with opened(stream) as connection:
        while piece := connection.recv(2**18):
            size += len(piece)
            most = max(most, resident())
    assert size > 64 * MEGABYTE
    assert most - before < 16 * MEGABYTE
    eventually(stream, ("access_outcome", "delivered"))
    assert outcomes(stream)[-2] == ("access", "begun")
    assert stream.log()[-1]["records"] == 64 * MEGABYTE
    assert stream.world.row("SELECT count(*) FROM openstream") == (0,)


def test_a_reader_that_does_not_read_holds_up_the_organisation_and_no_memory(
    stream: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ground.http.listener.WRITE_SECONDS", 1.5)
    endless(stream.organisation, 1024)
    before = resident()
    with opened(stream) as connection:
        connection.recv(1000)
        time.sleep(1.0)
        assert resident() - before < 16 * MEGABYTE
        time.sleep(2.0)
    eventually(stream, ("access_outcome", "cut"))


@pytest.mark.parametrize("act", [Act.ENDED, Act.PAUSED])
def test_a_running_stream_is_cut_within_a_second_when_alice_stops(stream: Bank, act: Act) -> None:
    endless(stream.organisation, 400, pause=0.02)
    with opened(stream) as connection:
        connection.recv(1000)
        stream.world.change(stream.consent, act, "withdrawn" if act is Act.ENDED else "")
        stopped = time.monotonic()
        size = drained(connection)
        assert time.monotonic() - stopped < 1.0
    assert size < 400 * 65536
    eventually(stream, ("access_outcome", "stopped"))
    assert stream.log()[-1]["records"] >= size - 1000  # of the streaming sector a record is a byte; 1000: the head


def test_a_stream_of_somebody_else_goes_on_when_the_directory_changes(stream: Bank) -> None:
    endless(stream.organisation, 60, pause=0.02)
    with opened(stream) as connection:
        connection.recv(1000)
        stream.world.app("another-app")
        drained(connection)
    eventually(stream, ("access_outcome", "delivered"))


def test_a_running_stream_is_cut_when_the_processor_that_reads_it_is_suspended(stream: Bank) -> None:
    world, bills = stream.world, f"{stream.app}-bills"
    named = [{"name": "Bills Ltd", "role": "printing", "country": "FR", "client_id": bills}]
    world.app(bills)
    world.app(stream.app, recipients=named)
    items = [world.item(stream.id, "bank.transactions", ["transaction.date"], [stream.ref])]
    consent = world.consent(stream.person, stream.app, items, recipients=named)
    actor = {"act": {"sub": bills}, "grant_client": stream.app}
    stream.token = world.token(consent, [stream.id], bills, **actor)
    endless(stream.organisation, 400, pause=0.02)
    with opened(stream) as connection:
        connection.recv(1000)
        world.run("UPDATE app SET status = 'suspended' WHERE client_id = :id", id=bills)
        size = drained(connection)
    assert size < 400 * 65536
    eventually(stream, ("access_outcome", "stopped"))
    assert all(entry["processor"] == bills for entry in stream.log())


def test_a_stream_for_one_use_is_carried_to_its_end(stream: Bank) -> None:
    stream.agrees(once=True)
    endless(stream.organisation, 60, pause=0.02)
    with opened(stream) as connection:
        drained(connection)
    eventually(stream, ("access_outcome", "delivered"))
    assert stream.reads().reason == "max_uses"


def test_an_app_that_goes_away_ends_the_call_to_the_organisation(stream: Bank) -> None:
    endless(stream.organisation, 400, pause=0.02)
    with opened(stream) as connection:
        connection.recv(1000)
    eventually(stream, ("access_outcome", "cut"))


def test_a_stream_that_breaks_is_not_passed_as_whole(stream: Bank) -> None:
    endless(stream.organisation, 100, last=b"POISON" * 10)
    with opened(stream) as connection:
        said = b""
        while piece := connection.recv(2**20):
            said += piece
    assert b"POISON" not in said and not said.endswith(b"0\r\n\r\n")
    eventually(stream, ("access_outcome", "cut"))


def test_an_organisation_that_breaks_off_is_an_incomplete_answer(stream: Bank) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.say(OK + b"Content-Length: 9000000\r\n\r\n" + b"x" * 500_000)
        await exchange.close()

    stream.organisation.behaviour = behave
    with opened(stream) as connection:
        size = drained(connection)
    assert size < 9_000_000
    eventually(stream, ("access_outcome", "cut"))
    assert stream.log()[-1]["records"] >= size - 1000


def given(supplier: Supplier) -> tuple[int, dict[str, Any]]:
    """The readings that an app holds of a stream that ends before its time, and the entry of the outcome."""
    with opened(supplier) as connection:
        said = b""
        while piece := connection.recv(2**20):
            said += piece
    eventually(supplier, ("access_outcome", "cut"))
    return said.count(b"</IntervalReading>"), supplier.log()[-1]


@pytest.mark.parametrize("last", [b"", b"<secret/>"], ids=["broken off", "of a shape that is not known"])
def test_the_outcome_of_a_stream_that_is_cut_says_no_less_than_the_app_holds(supplier: Supplier, last: bytes) -> None:
    body = feed(8, 720).removesuffix(b"</feed>") + last

    async def behave(exchange: Exchange) -> None:
        await exchange.say(OK.replace(b"octet-stream", b"atom+xml") + b"Content-Length: 9000000\r\n\r\n" + body)
        await exchange.close()

    supplier.organisation.behaviour = behave
    held, entry = given(supplier)
    assert held > 0 and entry["records"] >= held
    assert entry["period_from"] < entry["period_to"]


def test_what_breaks_before_the_first_byte_is_answered_as_an_error(stream: Bank) -> None:
    stream.organisation.says(OK + b"Content-Length: 9000000\r\n\r\nPOISON" + b"x" * 500_000)
    assert stream.reads().status == 502
    assert stream.log()[-2]["records"] == 0


def test_head_of_a_large_answer_carries_nothing(stream: Bank) -> None:
    endless(stream.organisation, 100)
    found = stream.reads(method="HEAD")
    assert found.status == 200 and found.body == b""


def test_a_fault_of_the_filter_gives_nothing(stream: Bank) -> None:
    stream.organisation.says(OK + b"Content-Length: 3\r\n\r\nBUG")
    found = stream.reads()
    assert (found.status, found.reason) == (502, "filter_failed")
    assert stream.world.kinds(stream.person) == ["denied"]


def meanwhile(bank: Bank, happens: Callable[[], object]) -> None:
    """A large answer, before whose first byte something happens here."""

    async def behave(exchange: Exchange) -> None:
        happens()
        await exchange.say(OK + b"Content-Length: 500000\r\n\r\n" + b"x" * 500_000)

    bank.organisation.behaviour = behave


def test_a_stream_whose_last_use_another_takes_first_is_told_as_used_up(stream: Bank) -> None:
    stream.agrees(frequency=[{"times": 2, "per": "day", "zone": NOON}])
    assert stream.reads().status == 200
    with contextlib.closing(stream.world.house.store.connect()) as other:
        taken = 'UPDATE "use" SET used = used + 1 WHERE consent_id = ?'
        meanwhile(stream, lambda: other.execute(taken, (stream.consent,)))
        found = stream.reads()
    assert (found.status, found.reason) == (429, "frequency")
    assert int(found.headers["retry-after"]) > 0
    assert stream.world.kinds(stream.person) == ["access", "denied"]


def test_a_stream_whose_sharing_is_stopped_before_its_first_byte_is_told_as_ended(stream: Bank) -> None:
    meanwhile(stream, lambda: stream.world.change(stream.consent, Act.ENDED, "withdrawn"))
    found = stream.reads()
    assert (found.status, found.reason) == (403, "ended")


def test_a_stream_that_another_change_met_is_fetched_again(stream: Bank) -> None:
    changes = iter([lambda: stream.world.app("one-more-app")])
    meanwhile(stream, lambda: next(changes, int)())
    assert stream.reads().status == 200
    assert len(stream.organisation.seen) == 2


@pytest.mark.sqlite
def test_a_stream_whose_entry_cannot_be_written_leaves_no_call_open(
    stream: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.sqlite.BUSY_SECONDS", 0.1)
    over = threading.Event()

    async def behave(exchange: Exchange) -> None:
        other.execute("BEGIN IMMEDIATE")
        await exchange.say(OK + b"Content-Length: 99000000\r\n\r\n" + b"x" * 500_000)
        with contextlib.suppress(ConnectionError):
            while True:
                await exchange.say(b"x" * 65536, 0.01)
        over.set()

    with contextlib.closing(stream.world.house.store.connect()) as other:
        stream.organisation.behaviour = behave
        found = stream.reads()
        other.execute("ROLLBACK")
    assert found.status == 503 and found.headers["retry-after"]
    assert over.wait(3)


@pytest.mark.inside
@pytest.mark.parametrize("once", [False, True])
def test_a_stream_of_which_nobody_knows_whether_it_may_go_on_is_not_called_ended(
    stream: Bank, monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    stream.agrees(once=once)

    async def unknown(*_: object) -> bool:
        raise Unavailable("database: no connection")

    async def behave(exchange: Exchange) -> None:
        await exchange.say(OK + b"Content-Length: 900000\r\n\r\n" + b"x" * 400_000)
        await asyncio.sleep(1)

    monkeypatch.setattr(Cutter, "feed", lambda self, chunk: b"")  # nothing is given before the end
    monkeypatch.setattr(Admission, "still", unknown)
    stream.organisation.behaviour = behave
    assert stream.reads().status == 503
    eventually(stream, ("access_outcome", "cut"))
    assert stream.world.row("SELECT count(*) FROM openstream") == (0,)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def test_a_stream_that_the_process_did_not_survive_has_an_unknown_outcome(
    folder: Path, organisation: RawOrganisation
) -> None:
    world = World(folder)
    organisation.reset()
    with world.serving():
        bank = Bank(world, organisation)
        bank.reads()
    connection = World(folder, port=world.port).house.store.connect()
    connection.execute(
        "INSERT INTO openstream (id, person_id, process, facts, begun_at) VALUES (?, ?, ?, ?, ?)",
        ("request-1", bank.person, "ended", '{"organisation": "bank"}', "2026-01-01 10:00:00.000000"),
    )
    connection.close()
    again = World(folder, port=world.port)
    with again.serving():
        again.recover(again.house.store.process, "ended")
        assert again.row("SELECT count(*) FROM openstream") == (1,)  # its process lives
        again.recover(again.house.store.process)
        entry = again.entries(bank.person)[-1]
    assert (entry["event"], entry.get("outcome"), entry["request_id"]) == ("access_outcome", "unknown", "request-1")


def test_a_stream_whose_process_was_only_slow_gets_no_second_outcome(stream: Bank) -> None:
    endless(stream.organisation, 40, pause=0.05)
    with opened(stream) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        stream.world.recover()  # another process takes this one for ended
        assert outcomes(stream)[-2:] == [("access", "begun"), ("access_outcome", "unknown")]
        assert drained(connection) > 2 * MEGABYTE
    assert stream.reads().status == 200  # its outcome stands behind that of the first, if that has any
    eventually(stream, ("access_outcome", "delivered"))
    assert [outcome for _, outcome in outcomes(stream)] == ["begun", "unknown", "begun", "delivered"]
    assert stream.world.row("SELECT count(*) FROM openstream") == (0,)
