"""An organisation that gives files: each person's part passes exactly as agreed, and nothing of anybody else's."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import retention
from gateway.consent.rules import Act
from gateway.errors import Unavailable
from gateway.ground.keys import fresh
from gateway.ground.store import pruning
from gateway.organisations import declare, files, linking, links, views
from gateway.organisations.files import BadFile
from gateway.settings import Settings
from tests.databases import everything, migrated
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World
from tests.worlds import filed
from tests.worlds.filed import ALICE, BOB, ID, record, text

ROOT = Path(__file__).parents[2]
FIELDS = ["call.when", "call.length", "call.partner"]


class Subscriber:
    """A person linked as one customer, and the app she shares with."""

    def __init__(self, world: World, person: str, customer: str, lines: list[str] | None = None) -> None:
        self.world, self.person, self.customer = world, world.person(f"{person}-{fresh()[:6]}"), customer
        with world.house.store.write() as session:
            whose = links.whose(world.house.keys, ID, customer)
            link, _ = links.make(session, world.house.keys, self.person, ID, world.clock(), new_id=fresh(), whose=whose)
            session.flush()
            session.expunge(link)
        with world.house.store.read() as session:
            view = views.view(session, ID)
        assert view is not None
        self.unread = linking.read_accounts(world.house, view, link)
        with world.house.store.read() as session:
            self.known = links.known_to(session, world.house.keys, "calls-app", self.person, ID)
        line = (lines or [filed.LINES.get(customer, "+33699999999")])[0]
        self.ref = links.reference(world.house.keys, "calls-app", self.person, ID, line, whose)
        self.agrees(FIELDS)

    def agrees(self, fields: list[str], **item: Any) -> "Subscriber":
        found = self.world.item(ID, "telecom.calls", fields, [self.ref], **item)
        self.consent = self.world.consent(self.person, "calls-app", [found])
        self.token = self.world.token(self.consent, [ID], "calls-app")
        return self

    def reads(self, query: str = "") -> Answer:
        return Bank.reads(self, f"/data/{ID}/lines/{self.ref}/calls{query}")  # type: ignore[arg-type]

    def partners(self, query: str = "") -> list[str]:
        answer = self.reads(query)
        assert answer.status == 200, answer.body
        return [each["partner"] for each in answer.json["result"]["items"]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With a database that commands take for a gateway's."""
    folder = tmp_path_factory.mktemp("aval")
    migrated(Settings(data_dir=folder))
    with World(folder, total_seconds=6.0, answer_limit_bytes=2**18).serving() as made:
        yield made


@pytest.fixture
def axiome(world: World) -> Iterator[World]:
    filed.declared(world.house)
    world.app("calls-app")
    world.run("DELETE FROM filepart")
    world.run("DELETE FROM fileimport")
    before = world.clock
    yield world
    world.clock = before


def test_each_sees_her_own_records_and_no_others(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1), record(BOB, 1), record(ALICE, 2)))
    alice, bob = Subscriber(axiome, "alice", ALICE), Subscriber(axiome, "bob", BOB)
    assert [account.native for _, account in alice.known] == [filed.LINES[ALICE]]
    assert alice.partners() == ["canary-of-1001-1", "canary-of-1001-2"]
    assert bob.partners() == ["canary-of-1002-1"]
    said = alice.reads().body
    assert ALICE.encode() not in said and filed.LINES[ALICE].encode() not in said and b"C-1002" not in said
    entry = axiome.entries(alice.person)[-1]
    assert (entry["records"], entry["records_withheld"]) == (2, 0)


def test_mallory_gets_nothing_of_a_customer_she_is_not(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    mallory = Subscriber(axiome, "mallory", "C-9999", [filed.LINES[ALICE]])
    assert mallory.known == []
    refused = mallory.reads()
    assert refused.status == 403 and b"canary" not in refused.body
    alice = Subscriber(axiome, "alice", ALICE)
    assert alice.partners() and Bank.reads(alice, f"/data/{ID}/lines/{mallory.ref}/calls").status == 403  # type: ignore[arg-type]


def test_fields_and_period_are_cut_as_of_an_answer(axiome: World, tmp_path: Path) -> None:
    filed.given(
        axiome.house, tmp_path, text(record(ALICE, 1, days=2), record(ALICE, 2, days=20), record(ALICE, 3, days=900))
    )
    alice = Subscriber(axiome, "alice", ALICE)
    assert len(alice.partners()) == 2  # thirteen months were agreed
    since = (datetime.now(UTC) - timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert alice.partners(f"?since={since}") == ["canary-of-1001-1"]  # nobody else narrows it to what was asked
    assert alice.reads("?until=2001-01-01").reason == "period"
    [first, _] = alice.agrees(["call.when"]).reads().json["result"]["items"]
    assert first.keys() == {"timestamp", "msisdn"}


def in_xml(*records: dict[str, Any]) -> bytes:
    rows = ["".join(f"<{name}>{value}</{name}>" for name, value in each.items()) for each in records]
    return f"<result>{''.join(f'<items>{row}</items>' for row in rows)}</result>".encode()


def in_csv(*records: dict[str, Any]) -> bytes:
    lines = [list(records[0]), *([str(value) for value in each.values()] for each in records)]
    return "\r".join(";".join(line) for line in lines).encode()


def in_lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


@pytest.mark.parametrize(
    ("driver", "write", "changes"),
    [
        ("xml", in_xml, {}),
        ("csv", in_csv, {"csv": {"separator": ";"}}),
        ("ndjson", in_lines, {}),
    ],
)
def test_each_driver_gives_her_records_of_the_period_asked_for(
    axiome: World, tmp_path: Path, driver: str, write: Callable[..., bytes], changes: dict[str, Any]
) -> None:
    filed.declared(axiome.house, filed.written(driver, **changes))
    filed.given(
        axiome.house,
        tmp_path,
        write(record(ALICE, 1), record(BOB, 2), record(ALICE, 3, days=20), record(ALICE, 4, days=900)),
    )
    alice = Subscriber(axiome, "alice", ALICE)
    since = (datetime.now(UTC) - timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    every, some = alice.reads(), alice.reads(f"?since={since}")
    assert (every.status, some.status) == (200, 200), (every.body, some.body)
    assert re.findall(rb"canary-of-[0-9-]+[0-9]", every.body) == [b"canary-of-1001-1", b"canary-of-1001-3"]
    assert re.findall(rb"canary-of-[0-9-]+[0-9]", some.body) == [b"canary-of-1001-1"]
    without = alice.agrees(["call.when", "call.length"]).reads()
    assert without.status == 200 and b"canary" not in without.body and ALICE.encode() not in without.body
    assert axiome.entries(alice.person)[-1]["records"] == 2


def test_lines_of_which_none_has_come_or_none_has_its_time_are_refused(axiome: World, tmp_path: Path) -> None:
    filed.declared(axiome.house, filed.written("ndjson"))
    filed.given(axiome.house, tmp_path, in_lines(record(ALICE, 1)))
    alice = Subscriber(axiome, "alice", ALICE)
    for body, told in (
        (b"", "nothing in it"),
        (b"\n", "nothing in it"),
        (in_lines(record(ALICE, timestamp=None)), "no record has its timestamp"),
    ):
        with pytest.raises(BadFile, match=told):
            filed.given(axiome.house, tmp_path, body)
    assert b"canary-of-1001-1" in alice.reads().body
    filed.given(axiome.house, tmp_path, b"", sum=hashlib.sha256(b"").hexdigest())
    assert alice.reads().body == b""


def test_a_declared_column_that_is_not_in_a_table_is_told(axiome: World, tmp_path: Path) -> None:
    """An organisation that writes another name over it gives nothing of it any more."""
    filed.declared(axiome.house, filed.written("csv"))
    assert filed.given(axiome.house, tmp_path, in_csv(record(ALICE)).replace(b";", b",")).missing == ()
    renamed = filed.given(axiome.house, tmp_path, in_csv(record(ALICE)).replace(b";", b",").replace(b"length", b"Dur"))
    assert (renamed.missing, renamed.undeclared) == (("length",), ("Dur",))
    assert "declared, and not in it: length" in files.told("axiome", renamed)


def test_accounts_of_one_customer_are_told_apart(axiome: World, tmp_path: Path) -> None:
    other = record(ALICE, 2, msisdn="+33600000011")
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1), other))
    alice = Subscriber(axiome, "alice", ALICE)
    assert len(alice.known) == 2 and alice.partners() == ["canary-of-1001-1"]


def test_a_file_in_which_she_has_nothing_and_no_file_are_told_apart(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    alice = Subscriber(axiome, "alice", ALICE)
    filed.given(axiome.house, tmp_path, text(record(BOB, 1)))
    assert alice.partners() == []
    axiome.run("DELETE FROM filepart")
    axiome.run("DELETE FROM fileimport")
    none = alice.reads()
    assert (none.status, none.reason) == (404, "no_data")
    assert Subscriber(axiome, "late", ALICE).unread == "no_data"


def test_a_reader_sees_the_old_file_whole_or_the_new_one_whole(axiome: World, tmp_path: Path) -> None:
    def version(number: int) -> bytes:
        return text(*(record(ALICE, number) for _ in range(40)), *(record(BOB, number) for _ in range(40)))

    filed.given(axiome.house, tmp_path, version(1))
    alice, stop, wrong = Subscriber(axiome, "alice", ALICE), threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = alice.partners()
            if len(found) != 40 or len(set(found)) != 1:
                wrong.append(found)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for number in range(2, 10):
            filed.given(axiome.house, tmp_path, version(number))
    finally:
        stop.set()
        thread.join()
    assert not wrong and set(alice.partners()) == {"canary-of-1001-9"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (text(record(ALICE, 2))[:-9], "no JSON"),
        (b'{"result": {"records": []}}', "result.items"),
        (text(record(ALICE, 2), {**record(BOB), "contractId": None}), "record 2: contractId must be there"),
        (text(record(ALICE, 2), {**record(BOB), "contractId": ["C-1001"]}), "record 2: contractId must be there"),
        (text(record(ALICE, 2), record(BOB, length="canary")), "record 2: what stands at result.items.length"),
        (text(record(ALICE, 2), record(BOB, timestamp="canary")), "record 2: what stands at result.items.timestamp"),
        (text(*(record(ALICE, 2) for _ in range(3000))), "larger than 200000 bytes"),
        ("canary-é".encode("latin-1"), "UTF-8"),
    ],
    ids=["breaks off", "elsewhere", "no customer", "many customers", "type", "time", "huge", "encoding"],
)
def test_a_wrong_file_is_refused_and_the_old_one_stays(axiome: World, tmp_path: Path, body: bytes, told: str) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    alice = Subscriber(axiome, "alice", ALICE)
    with pytest.raises(BadFile, match=told) as wrong:
        filed.given(axiome.house, tmp_path, body)
    assert "canary" not in str(wrong.value) and ALICE not in str(wrong.value)
    assert alice.partners() == ["canary-of-1001-1"]


@pytest.mark.parametrize("at", ["turn", "_over"])
def test_an_import_that_breaks_off_leaves_the_old_file(
    axiome: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    alice = Subscriber(axiome, "alice", ALICE)

    def breaks(*given: object) -> None:
        raise Unavailable("the power went")

    with monkeypatch.context() as patched, pytest.raises(Unavailable):
        patched.setattr(files, at, breaks)
        filed.given(axiome.house, tmp_path, text(record(ALICE, 2)))
    assert alice.partners() == ["canary-of-1001-1"]
    axiome.clock = lambda: datetime.now(UTC) + timedelta(days=2)
    while pruning.prune(axiome.house.store, retention.LEAVING, axiome.clock()):
        pass
    assert axiome.row("SELECT count(*) FROM fileimport")[0] == axiome.row("SELECT count(*) FROM filepart")[0] == 1


def test_what_a_file_has_undeclared_is_told_and_never_leaves(axiome: World, tmp_path: Path) -> None:
    body = text(record(ALICE, 1, colour="canary-colour", **{"0612345678": 1}))
    done = filed.given(axiome.house, tmp_path, body)
    assert done.undeclared == ("result.items.colour", "result.items.…")
    assert b"colour" not in Subscriber(axiome, "alice", ALICE).reads().body
    strict = {**filed.document(), "strict": True}
    filed.declared(axiome.house, strict)
    with pytest.raises(BadFile, match="record 1"):
        filed.given(axiome.house, tmp_path, body)


def test_at_rest_nothing_of_it_can_be_read(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1), record(BOB, 2)))
    stored = everything(axiome.house.store)
    for canary in ("canary-of", ALICE, BOB, *filed.LINES.values()):
        assert canary.encode() not in stored


def test_a_file_is_given_for_as_long_as_it_is_kept_and_the_link_stays(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    filed.given(axiome.house, tmp_path, text(record(ALICE, 2)))
    alice = Subscriber(axiome, "alice", ALICE)
    assert alice.partners() == ["canary-of-1001-2"]
    axiome.clock = lambda: datetime.now(UTC) + timedelta(days=41)
    alice.agrees(FIELDS)
    none = alice.reads()
    assert (none.status, none.reason) == (404, "no_data")
    entry = axiome.entries(alice.person)[-1]
    assert entry["reason"] == "no_data"
    while pruning.prune(axiome.house.store, retention.LEAVING, axiome.clock()):
        pass
    assert axiome.row("SELECT count(*) FROM filepart")[0] == axiome.row("SELECT count(*) FROM fileimport")[0] == 0
    with axiome.house.store.read() as session:
        assert links.is_linked(session, alice.person, ID)


def test_the_file_before_leaves_once_it_is_replaced_and_the_one_that_counts_stays(
    axiome: World, tmp_path: Path
) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    filed.given(axiome.house, tmp_path, text(record(ALICE, 2)))
    axiome.clock = lambda: datetime.now(UTC) + timedelta(minutes=1)
    while pruning.prune(axiome.house.store, retention.LEAVING, axiome.clock()):
        pass
    assert axiome.row("SELECT count(*) FROM filepart")[0] == 1
    assert Subscriber(axiome, "alice", ALICE).partners() == ["canary-of-1001-2"]


def test_a_sharing_that_stops_while_a_file_is_read_gives_nothing(
    axiome: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    alice, asked = Subscriber(axiome, "alice", ALICE), files.asked

    def meanwhile(*given: Any) -> tuple[str, bytes]:
        found = asked(*given)
        axiome.change(alice.consent, Act.ENDED)
        return found

    monkeypatch.setattr(files, "asked", meanwhile)
    stopped = alice.reads()
    assert (stopped.status, stopped.reason) == (403, "ended") and b"canary" not in stopped.body


def test_suspended_or_unlinked_it_gives_nothing(axiome: World, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1)))
    alice, bob = Subscriber(axiome, "alice", ALICE), Subscriber(axiome, "bob", ALICE)
    with axiome.house.store.write() as session:
        declare.suspend(session, ID, "tests", axiome.clock())
    assert alice.reads().reason == "suspended"
    with axiome.house.store.write() as session:
        declare.resume(session, ID, axiome.clock())
        link = links.current(session, alice.person, ID)
        assert link is not None and links.end(session, link.id, axiome.clock())
    assert alice.reads().reason == "not_linked" and bob.partners()


def test_the_command_beside_a_serving_gateway(axiome: World, tmp_path: Path) -> None:
    path = tmp_path / "calls-2026-11.json"
    path.write_bytes(text(record(ALICE, 7), record(BOB, 8)))
    using = axiome.settings
    environment = {
        **os.environ,
        "AVAL_DATA_DIR": str(using.data_dir),
        "AVAL_PUBLIC_URL": using.public_url,
        **({"AVAL_DATABASE_URL": using.database_url} if using.database_url else {}),
    }

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "gateway", "organisations", "import", ID, *words]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100)

    done = run(str(path))
    assert done.returncode == 0, done.stderr
    assert "calls: 2 records of 2 customers" in done.stdout and "canary" not in done.stdout + done.stderr
    alice = Subscriber(axiome, "alice", ALICE)
    assert alice.partners() == ["canary-of-1001-7"]
    refused = run(str(path), "--sha256", "0" * 64)
    assert refused.returncode == 1 and "its checksum is another" in refused.stderr
    assert alice.partners() == ["canary-of-1001-7"]
