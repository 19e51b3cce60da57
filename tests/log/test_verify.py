"""Mallory at the database: whatever she does to it is found, at the right index."""

import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_cast import Clock

from gateway.ground.keys import KeyRing
from gateway.house import House
from gateway.log import Log, mark, tree
from gateway.log.notes import Checkpoint, Signer, VerifierKey
from gateway.log.sequencer import Sequencer
from gateway.log.signed import leaf
from gateway.log.verify import Finding, Report, check, open_read_only

pytestmark = pytest.mark.sqlite  # by changing and putting back its file

Recorded = Callable[..., None]
BEATS = (7, 13, 1, 19, 20)  # entries per checkpoint: sizes 7, 20, 21, 40, 60
SIZES = (7, 20, 21, 40, 60)
TOTAL, WAITING = 60, 3
PEOPLE = ("alice", "bob", "chloe", "germaine", "otto")


class Copy:
    """A copy of the log that Mallory may write to, and what an auditor finds in it."""

    def __init__(self, base: sqlite3.Connection, marked: mark.Mark | None, key: VerifierKey, log: Log) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        base.backup(self.db)
        self.marked, self.key, self.log = marked, key, log

    def does(self, sql: str, *values: Any) -> "Copy":
        assert self.db.execute(sql, values).rowcount != 0, "this tampering changed nothing"
        return self

    def report(self, *, opened: bool = True, kept: tuple[str, ...] = ()) -> Report:
        try:
            return check(self.db, key=self.key, opener=self.log if opened else None, marked=self.marked, kept=kept)
        finally:
            self.db.close()


@pytest.fixture
def mallory(house: House, recorded: Recorded, vkey: VerifierKey) -> Iterator[Callable[[], Copy]]:
    chance = random.Random(6962)
    sequencer = Sequencer(house)
    for beat in BEATS:
        for _ in range(beat):
            recorded(chance.choice(PEOPLE))
        sequencer.integrate_once()
    sequencer.stop()
    for _ in range(WAITING):
        recorded(chance.choice(PEOPLE))
    base = open_read_only(house.settings.database)
    marked = mark.read(house.settings.mark)
    copies = []

    def make() -> Copy:
        copies.append(Copy(base, marked, vkey, house.log))
        return copies[-1]

    yield make
    base.close()
    for copy in copies:
        copy.db.close()


def names(findings: list[Finding], index: int) -> bool:
    return any(finding.index == index for finding in findings)


def spans(findings: list[Finding], index: int) -> bool:
    return any(finding.index <= index <= (finding.last or finding.index) for finding in findings)


def test_an_untouched_log_is_whole(mallory: Callable[[], Copy]) -> None:
    report = mallory().report()
    assert report.whole and not report.unchecked
    assert (report.entries, report.waiting, report.checkpoints, report.signed) == (TOTAL, WAITING, 5, TOTAL)
    assert (report.opened, report.people) == (TOTAL + WAITING, len(PEOPLE))


def test_without_the_payloads_keys_the_tree_is_still_checked_and_the_report_says_what_was_not(
    mallory: Callable[[], Copy],
) -> None:
    report = mallory().report(opened=False)
    assert report.whole and report.opened == 0 and report.signed == TOTAL
    assert report.unchecked == ["payloads were not opened: their keys are not at hand"]


def test_another_key_encryption_key_is_no_finding_but_is_said(
    mallory: Callable[[], Copy], tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = mallory()
    copy.log = Log(KeyRing(other := tmp_path_factory.mktemp("other"), create=True), other / "mark")
    report = copy.report()
    assert report.whole and "another one" in report.unchecked[0]


def test_a_thousand_single_bits_are_each_found_at_their_index(mallory: Callable[[], Copy]) -> None:
    chance = random.Random(1)
    for _ in range(1000):
        copy = mallory()
        entry = chance.randrange(TOTAL + WAITING) + 1
        column = chance.choice(("salt", "sealed", "commitment"))
        [(value,)] = copy.db.execute(f"SELECT {column} FROM logentry WHERE id = ?", (entry,))
        bit = chance.randrange(len(value) * 8)
        bent = bytearray(value)
        bent[bit // 8] ^= 1 << bit % 8
        report = copy.does(f"UPDATE logentry SET {column} = ? WHERE id = ?", bytes(bent), entry).report()
        assert names(report.findings, entry - 1), (entry, column, bit)


def test_changed_commitments_are_found_without_any_key_of_payloads(mallory: Callable[[], Copy]) -> None:
    for index in range(TOTAL):
        copy = mallory().does("UPDATE logentry SET commitment = zeroblob(32) WHERE id = ?", index + 1)
        assert spans(copy.report(opened=False).findings, index)


@pytest.mark.parametrize("index", [0, 6, 7, 20, 33, 59])
@pytest.mark.parametrize("what", ["entry", "leaf", "both"])
def test_a_deleted_entry_is_named(mallory: Callable[[], Copy], index: int, what: str) -> None:
    copy = mallory()
    if what != "leaf":
        copy.does("DELETE FROM logentry WHERE id = ?", index + 1)
    if what != "entry":
        copy.does('DELETE FROM logleaf WHERE "index" = ?', index)
    findings = copy.report().findings
    assert names(findings, index) or spans(findings, index)


@pytest.mark.parametrize("index", [0, 6, 7, 20, 33, 58])
def test_a_deleted_entry_is_named_when_the_ones_after_it_move_up(mallory: Callable[[], Copy], index: int) -> None:
    copy = mallory().does("DELETE FROM logentry WHERE id = ?", index + 1)
    copy.does('DELETE FROM logleaf WHERE "index" = ?', index)
    copy.does('UPDATE logleaf SET "index" = -"index" WHERE "index" > ?', index)
    copy.does('UPDATE logleaf SET "index" = -"index" - 1 WHERE "index" < 0')
    assert spans(copy.report(opened=False).findings, index)


@pytest.mark.parametrize("index", [0, 6, 7, 20, 33, 59])
def test_an_inserted_entry_is_named(mallory: Callable[[], Copy], index: int) -> None:
    copy = mallory()
    copy.does('UPDATE logleaf SET "index" = -"index" - 1 WHERE "index" >= ?', index)
    copy.does('UPDATE logleaf SET "index" = -"index" WHERE "index" < 0')
    copy.does(
        "INSERT INTO logentry (id, person_id, seq, salt, sealed, commitment)"
        " SELECT 1000, person_id, 1000, salt, sealed, commitment FROM logentry WHERE id = ?",
        index + 1,
    )
    copy.does('INSERT INTO logleaf ("index", entry_id) VALUES (?, 1000)', index)
    assert names(copy.report().findings, index)


def test_a_forged_entry_that_waits_for_its_index_is_named(mallory: Callable[[], Copy]) -> None:
    copy = mallory().does(
        "INSERT INTO logentry (person_id, seq, salt, sealed, commitment)"
        " SELECT person_id, seq + 1, zeroblob(32), zeroblob(90), zeroblob(32) FROM logentry WHERE id = 63"
    )
    assert names(copy.report().findings, TOTAL + WAITING)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (6, 7), (20, 40), (33, 59)])
def test_two_swapped_entries_are_both_named(mallory: Callable[[], Copy], one: int, other: int) -> None:
    copy = mallory()
    for index, entry in ((one, -1), (other, one + 1), (one, other + 1)):
        copy.does('UPDATE logleaf SET entry_id = ? WHERE "index" = ?', entry, index)
    findings = copy.report().findings
    assert spans(findings, one) and spans(findings, other)


def test_swapped_contents_are_both_named(mallory: Callable[[], Copy]) -> None:
    copy = mallory()
    rows = copy.db.execute("SELECT salt, sealed, commitment, id FROM logentry WHERE id IN (5, 50)").fetchall()
    for row, other in zip(rows, reversed(rows), strict=True):
        copy.does("UPDATE logentry SET salt = ?, sealed = ?, commitment = ? WHERE id = ?", *row[:3], other[3])
    findings = copy.report().findings
    assert names(findings, 4) and names(findings, 49)


def test_an_entry_moved_to_another_person_is_named(mallory: Callable[[], Copy]) -> None:
    assert names(mallory().does("UPDATE logentry SET person_id = 'mallory' WHERE id = 30").report().findings, 29)


@pytest.mark.parametrize("kept", [0, 7, 39, 59])
def test_a_cut_tail_is_found_where_it_was_cut(mallory: Callable[[], Copy], kept: int) -> None:
    copy = mallory().does("DELETE FROM logentry WHERE id > ?", kept)
    copy.does('DELETE FROM logleaf WHERE "index" >= ?', kept)
    assert names(copy.report().findings, kept)


@pytest.mark.parametrize("kept", SIZES[:-1])
def test_a_tail_cut_with_its_checkpoints_and_chains_is_found_by_the_mark(
    mallory: Callable[[], Copy], kept: int
) -> None:
    copy = mallory().does("DELETE FROM logentry WHERE id > ?", kept)
    copy.does('DELETE FROM logleaf WHERE "index" >= ?', kept)
    copy.does("DELETE FROM logcheckpoint WHERE size > ?", kept)
    copy.db.execute("DELETE FROM logchain WHERE person_id NOT IN (SELECT person_id FROM logentry)")
    copy.does(
        "UPDATE logchain SET seq = (SELECT max(seq) FROM logentry e WHERE e.person_id = logchain.person_id), head ="
        " (SELECT commitment FROM logentry e WHERE e.person_id = logchain.person_id ORDER BY seq DESC LIMIT 1)"
    )
    findings = copy.report().findings
    assert names(findings, kept)
    assert any("high-water mark" in finding.what for finding in findings)


def test_a_waiting_entry_that_was_deleted_shows_in_its_persons_chain(mallory: Callable[[], Copy]) -> None:
    findings = mallory().does("DELETE FROM logentry WHERE id = 63").report().findings
    assert any("of a person's chain" in finding.what for finding in findings)


def test_an_entry_left_out_of_the_tree_is_named(mallory: Callable[[], Copy]) -> None:
    copy = mallory().does('DELETE FROM logleaf WHERE "index" = 30')
    copy.does('UPDATE logleaf SET "index" = -"index" WHERE "index" > 30')
    copy.does('UPDATE logleaf SET "index" = -"index" - 1 WHERE "index" < 0')
    assert any(finding.index == 30 and "left out" in finding.what for finding in copy.report().findings)


def resigned(copy: Copy, signer: Signer) -> None:
    """All checkpoints made anew over what is there now."""
    grown = tree.Range()
    for index, (commitment,) in enumerate(copy.db.execute("SELECT commitment FROM logentry ORDER BY id").fetchall()):
        grown.append(leaf(commitment))
        if index + 1 in SIZES:
            note = signer.sign(Checkpoint(signer.name, grown.size, grown.root()).text())
            copy.does(
                "UPDATE logcheckpoint SET root = ?, note = ?, frontier = ? WHERE size = ?",
                *(grown.root(), note, bytes(grown), grown.size),
            )


def test_a_history_signed_again_with_mallorys_key_is_refused_at_every_checkpoint(
    mallory: Callable[[], Copy], vkey: VerifierKey
) -> None:
    copy = mallory().does("UPDATE logentry SET commitment = zeroblob(32) WHERE id = 10")
    resigned(copy, Signer(vkey.name, Ed25519PrivateKey.generate()))
    findings = copy.report(opened=False).findings
    assert all(names(findings, size - 1) for size in SIZES)


def test_a_history_signed_again_with_the_logs_own_key_is_found_by_the_mark(
    mallory: Callable[[], Copy], keys: KeyRing, vkey: VerifierKey
) -> None:
    copy = mallory().does("UPDATE logentry SET commitment = zeroblob(32) WHERE id = 10")
    resigned(copy, Signer(vkey.name, keys.log))
    findings = copy.report(opened=False).findings
    assert [finding.what for finding in findings] == [
        "the high-water mark of 60 has another root: the history before it was rewritten"
    ]


def test_a_rewritten_history_with_its_mark_is_found_by_a_checkpoint_somebody_kept(
    mallory: Callable[[], Copy], keys: KeyRing, vkey: VerifierKey
) -> None:
    copy = mallory()
    [(kept,)] = copy.db.execute("SELECT note FROM logcheckpoint WHERE size = 40")
    assert copy.report(kept=(kept,)).whole
    copy = mallory().does("UPDATE logentry SET commitment = zeroblob(32) WHERE id = 10")
    resigned(copy, Signer(vkey.name, keys.log))
    [(root,)] = copy.db.execute("SELECT root FROM logcheckpoint WHERE size = 60")
    copy.marked = mark.Mark(60, root)
    assert names(copy.report(opened=False, kept=(kept,)).findings, 39)


def test_a_missing_mark_is_told(mallory: Callable[[], Copy]) -> None:
    copy = mallory()
    copy.marked = None
    assert names(copy.report().findings, TOTAL)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE logentry SET salt = 'text' WHERE id = 30",
        "UPDATE logentry SET salt = CAST(x'fffe' AS TEXT) WHERE id = 30",
        "UPDATE logentry SET commitment = x'00' WHERE id = 30",
        "UPDATE logentry SET seq = 'one' WHERE id = 30",
        "UPDATE logentry SET sealed = zeroblob(0) WHERE id = 30",
    ],
)
def test_what_is_not_even_of_the_right_form_is_a_finding_and_no_crash(
    mallory: Callable[[], Copy], tampering: str
) -> None:
    assert names(mallory().does(tampering).report().findings, 29)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE logcheckpoint SET root = zeroblob(32) WHERE size = 21",
        "UPDATE logcheckpoint SET frontier = zeroblob(96) WHERE size = 21",
        "UPDATE logcheckpoint SET frontier = 'text' WHERE size = 21",
        "UPDATE logcheckpoint SET note = x'00' WHERE size = 21",
        "UPDATE logcheckpoint SET note = replace(note, '21', '22') WHERE size = 21",
    ],
)
def test_a_changed_checkpoint_is_named_and_the_others_still_hold(mallory: Callable[[], Copy], tampering: str) -> None:
    report = mallory().does(tampering).report()
    assert names(report.findings, 20) and report.signed == TOTAL


@pytest.mark.parametrize("column", ["head", "seq"])
def test_a_changed_end_of_a_chain_is_told(mallory: Callable[[], Copy], column: str) -> None:
    value = {"head": "zeroblob(32)", "seq": "seq - 1"}[column]
    assert not mallory().does(f"UPDATE logchain SET {column} = {value} WHERE person_id = 'bob'").report().whole


def test_a_person_whose_key_was_bent_is_told_once(mallory: Callable[[], Copy]) -> None:
    copy = mallory().does("UPDATE logchain SET key_sealed = zeroblob(60) WHERE person_id = 'bob'")
    findings = copy.report().findings
    assert [finding.what for finding in findings] == ["the key of its person cannot be opened"]


def test_erased_people_leave_a_log_that_is_whole(mallory: Callable[[], Copy]) -> None:
    copy = mallory().does("UPDATE logchain SET key_sealed = NULL WHERE person_id = 'bob'")
    copy.does("UPDATE logentry SET salt = x'', sealed = x'' WHERE person_id = 'bob'")
    report = copy.report()
    assert report.whole and report.erased > 0 and report.erased + report.opened == TOTAL + WAITING


def test_one_bent_entry_is_told_once_and_the_next_one_is_still_found(mallory: Callable[[], Copy]) -> None:
    copy = mallory().does("UPDATE logentry SET commitment = zeroblob(32) WHERE id IN (3, 50)")
    findings = copy.report(opened=False).findings
    assert [(finding.index, finding.last) for finding in findings] == [(0, 6), (40, 59)]


def test_a_log_with_nothing_in_it_is_whole(house: House, vkey: VerifierKey) -> None:
    connection = open_read_only(house.settings.database)
    report = check(connection, key=vkey, opener=house.log, marked=None)
    connection.close()
    assert report.whole and report.entries == 0


def test_the_check_writes_nothing(house: House, recorded: Recorded, vkey: VerifierKey, tmp_path: Path) -> None:
    recorded("alice", count=3)
    house.store.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    connection = open_read_only(house.settings.database)
    check(connection, key=vkey, opener=house.log, marked=None)
    connection.close()
    assert {path: before.get(path) for path in tmp_path.iterdir() if path.read_bytes() != before.get(path)} == {}


def test_times_that_go_back_are_said_and_are_no_tampering(
    house: House, recorded: Recorded, vkey: VerifierKey, clock: Clock
) -> None:
    sequencer = Sequencer(house)
    for jump in (timedelta(0), timedelta(days=3653), -timedelta(days=3653)):
        clock.now += jump
        recorded("alice")
        sequencer.integrate_once()
    sequencer.stop()
    base = open_read_only(house.settings.database)
    report = Copy(base, mark.read(house.settings.mark), vkey, house.log).report()
    base.close()
    assert report.whole
    back = "the time goes back, from 2036-04-01 09:30 to 2026-04-01 09:30"
    assert report.notes == [f"index 2: {back}", f"checkpoint 4: {back}"]


def test_a_checkpoint_that_was_dated_back_is_said(mallory: Callable[[], Copy]) -> None:
    report = mallory().does("UPDATE logcheckpoint SET at_ms = at_ms - 86400000 WHERE size = 40").report()
    assert any(note.startswith("checkpoint 40") for note in report.notes)


@pytest.mark.parametrize("none", ["then", 10**18, 0.5])
def test_a_checkpoint_whose_time_is_none_is_found(mallory: Callable[[], Copy], none: object) -> None:
    report = mallory().does("UPDATE logcheckpoint SET at_ms = ? WHERE size = 40", none).report()
    assert names(report.findings, 39) and "its time is none" in str(report.findings)
