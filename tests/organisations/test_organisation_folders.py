"""Folders into which an organisation drops its files: what is taken, what waits, what is refused, what is left."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from organisations_world import World

from gateway.organisations import files, folders, given_files
from gateway.organisations.folders import Folders
from tests.worlds import filed
from tests.worlds.filed import ALICE, ID, record, text


class Dropped:
    def __init__(self, world: World, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.world, self.folder, self._patch = world, folder, patch
        folder.mkdir()
        filed.declared(world.house, filed.document(folder=str(folder)))
        self.folders = Folders(world.house)

    def put(self, name: str, body: bytes, *, sum: str | None = "") -> Path:
        """`sum`: beside it; "": the right one; None: none."""
        path = self.folder / name
        path.write_bytes(body)
        if sum is not None:
            (self.folder / f"{name}.sha256").write_text(f"{sum or hashlib.sha256(body).hexdigest()}  {name}\n")
        return path

    def still(self) -> None:
        """Nothing has changed for long enough."""
        self._patch.setattr(folders, "STILL_SECONDS", 0)

    def names(self, below: str = "") -> list[str]:
        """Without the moments before them."""
        folder = self.folder / below
        return (
            sorted(name.partition("-")[2] if below else name for name in os.listdir(folder)) if folder.is_dir() else []
        )

    def kept(self) -> list[tuple[str, int]]:
        with self.world.house.store.read() as session:
            return [(row.call, row.records) for row in files.all_of(session, ID, self.world.now)]


@pytest.fixture
def dropped(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dropped:
    return Dropped(world, tmp_path / "in", monkeypatch)


def test_a_whole_file_is_taken_and_only_a_receipt_stays(dropped: Dropped) -> None:
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)]
    assert dropped.names() == ["done"] and dropped.names("done") == ["calls-1.json.txt"]
    [receipt] = (dropped.folder / "done").iterdir()
    assert "1 record of 1 customer," in receipt.read_text() and "canary" not in receipt.read_text()


def test_codes_come_the_same_way(dropped: Dropped) -> None:
    dropped.put("codes-1.csv", f"customer,code\n{ALICE},AAAA-BBBB\n".encode())
    dropped.folders.look()
    assert dropped.names("done") == ["codes-1.csv.txt"]


def test_a_half_written_file_waits_until_it_is_still(dropped: Dropped) -> None:
    whole = text(record(ALICE, 1))
    path = dropped.put("calls-1.json", whole[:30], sum=None)
    dropped.folders.look()
    assert dropped.kept() == [] and dropped.names() == ["calls-1.json"]
    path.write_bytes(whole)
    dropped.folders.look()
    assert dropped.kept() == []
    dropped.still()
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)] and dropped.names() == ["done"]


def test_what_is_wrong_is_refused_with_its_reason_and_the_old_one_stays(dropped: Dropped) -> None:
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.put("calls-2.json", text(record(ALICE, 1), record(ALICE, 2, length="canary-9")))
    dropped.put("calls-3.json", text(record(ALICE, 1)), sum="0" * 64)
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)] and dropped.names() == ["done", "refused"]
    assert dropped.names("refused") == [
        "calls-2.json", "calls-2.json.sha256", "calls-2.json.why",
        "calls-3.json", "calls-3.json.sha256", "calls-3.json.why",
    ]  # fmt: skip
    [second, third] = sorted(each.read_text() for each in (dropped.folder / "refused").glob("*.why"))
    assert second.startswith("its checksum is another") and third.startswith("record 2:") and "canary" not in third


def test_a_refused_file_does_not_stay_longer_than_one_that_was_taken(dropped: Dropped) -> None:
    dropped.put("calls-2.json", b"canary")
    dropped.folders.look()
    dropped.world.passes(days=39)
    dropped.folders.look()
    assert len(dropped.names("refused")) == 3
    dropped.world.passes(days=2)
    dropped.folders.look()
    assert dropped.names("refused") == []


def test_links_folders_pipes_and_other_names_are_left(
    dropped: Dropped, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(text(record(ALICE, 1)))
    (dropped.folder / "calls-link.json").symlink_to(secret)
    (dropped.folder / "calls-link.json.sha256").symlink_to(secret)
    os.link(secret, dropped.folder / "calls-hard.json")
    os.mkfifo(dropped.folder / "calls-pipe.json")
    (dropped.folder / "calls-folder.json").mkdir()
    dropped.put("canary-dupont.json", b"x")
    dropped.still()
    with caplog.at_level(logging.WARNING, "gateway.organisations"):
        dropped.folders.look()
        dropped.folders.look()
    assert dropped.kept() == [] and "done" not in dropped.names() and "refused" not in dropped.names()
    told = [line for line in caplog.messages if "no declared name" in line]
    assert len(told) == 1 and "canary" not in caplog.text


def test_a_checksum_that_is_a_link_is_not_read(dropped: Dropped, tmp_path: Path) -> None:
    body = text(record(ALICE, 1))
    elsewhere = tmp_path / "sum"
    elsewhere.write_text(hashlib.sha256(body).hexdigest())
    dropped.put("calls-1.json", body, sum=None)
    (dropped.folder / "calls-1.json.sha256").symlink_to(elsewhere)
    dropped.folders.look()
    assert dropped.kept() == [] and "calls-1.json.why" in dropped.names("refused")


def test_a_fault_of_ours_with_one_file_does_not_keep_others_from_being_taken(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.put("codes-1.csv", f"customer,code\n{ALICE},AAAA-BBBB\n".encode())

    def fails(*given: object) -> None:
        raise ZeroDivisionError("canary")

    monkeypatch.setattr(files, "bring", fails)
    dropped.folders.look()
    assert dropped.names("done") == ["codes-1.csv.txt"] and "calls-1.json" in dropped.names()
    assert "ZeroDivisionError" in caplog.text and "canary" not in caplog.text


def test_of_a_folder_of_two_organisations_nothing_is_taken(
    dropped: Dropped, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "same").symlink_to(dropped.folder)
    filed.declared(dropped.world.house, {**filed.document(folder=str(tmp_path / "same")), "id": "other"})
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.folders.look()
    assert dropped.names() == ["calls-1.json", "calls-1.json.sha256"]
    assert caplog.text.count("another organisation's as well") == 2


def test_receipts_are_not_written_through_a_link(
    dropped: Dropped, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (dropped.folder / "done").symlink_to(outside)
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.folders.look()
    assert list(outside.iterdir()) == [] and "its folder cannot be used" in caplog.text


def test_a_folder_that_is_not_there_is_told_once(
    dropped: Dropped, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dropped.folder.rename(tmp_path / "gone")
    dropped.folders.look()
    dropped.folders.look()
    assert caplog.text.count("its folder cannot be used") == 1


@pytest.mark.parametrize("grows", [True, False])
def test_a_file_that_is_written_while_it_is_read_is_refused(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch, grows: bool
) -> None:
    """Also one that becomes larger than any may be, which is noticed before its end."""
    path = dropped.put("calls-1.json", text(record(ALICE, 1)), sum=None)
    init = given_files.GivenFile.__post_init__

    def then(given: given_files.GivenFile) -> None:
        init(given)
        more = b" " * 300_000 if grows else b" "
        path.write_bytes(path.read_bytes() + more)

    monkeypatch.setattr(given_files.GivenFile, "__post_init__", then)
    dropped.still()
    dropped.folders.look()
    assert dropped.kept() == [] and dropped.names("refused") == ["calls-1.json.why"]
    why = next((dropped.folder / "refused").glob("*.why")).read_text()
    assert ("larger than 200000 bytes" if grows else "changed while it was read") in why


def test_a_declaration_that_changes_meanwhile_refuses_the_file(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = files._Importing.read

    def meanwhile(importing: Any, progress: Any) -> None:
        read(importing, progress)
        filed.declared(dropped.world.house, filed.document(folder=str(dropped.folder), kept="P39D"))

    monkeypatch.setattr(files._Importing, "read", meanwhile)
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.folders.look()
    assert dropped.kept() == []
    assert "declaration was changed" in next((dropped.folder / "refused").glob("*.why")).read_text()


def test_what_comes_under_its_name_while_a_file_is_read_is_taken_next(
    dropped: Dropped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer.json"
    newer.write_bytes(text(record(ALICE, 1), record(ALICE, 2)))
    path = dropped.put("calls-1.json", text(record(ALICE, 1)), sum=None)
    bring = files.bring

    def slowly(*given: Any) -> files.Imported:
        found = bring(*given)
        if newer.exists():
            newer.rename(path)
        return found

    monkeypatch.setattr(files, "bring", slowly)
    dropped.still()
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)] and dropped.names() == ["calls-1.json", "done"]
    dropped.folders.look()
    assert dropped.kept() == [("calls", 2)] and dropped.names() == ["done"]


def test_what_comes_under_the_name_of_a_refused_file_is_not_put_away_with_it(
    dropped: Dropped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "newer.json"
    newer.write_bytes(text(record(ALICE, 1)))
    path = dropped.put("calls-1.json", b"{", sum=None)
    bring = files.bring

    def slowly(*given: Any) -> files.Imported:
        if newer.exists():
            newer.rename(path)
        return bring(*given)

    monkeypatch.setattr(files, "bring", slowly)
    dropped.still()
    dropped.folders.look()
    assert dropped.kept() == [] and "calls-1.json" in dropped.names()
    assert dropped.names("refused") == ["calls-1.json.why"]
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)] and dropped.names() == ["done", "refused"]


def test_a_name_of_any_length_is_taken_or_refused(dropped: Dropped) -> None:
    for number, body in enumerate([text(record(ALICE, 1)), b"{"]):
        (dropped.folder / f"calls-{'long-' * 48}{number}.json").write_bytes(body)  # 252 bytes: no room for an ending
    dropped.put("calls-1.json", text(record(ALICE, 1), record(ALICE, 2)))
    dropped.still()
    dropped.folders.look()
    assert dropped.names() == ["done", "refused"] and len(os.listdir(dropped.folder / "done")) == 2
    assert len(os.listdir(dropped.folder / "refused")) == 2


def test_a_folder_in_the_place_of_a_checksum_refuses_that_file_alone(dropped: Dropped) -> None:
    dropped.put("calls-1.json", text(record(ALICE, 1)), sum=None)
    (dropped.folder / "calls-1.json.sha256").mkdir()
    dropped.put("codes-1.csv", f"customer,code\n{ALICE},AAAA-BBBB\n".encode())
    dropped.still()
    dropped.folders.look()
    assert dropped.names("done") == ["codes-1.csv.txt"]
    assert dropped.names("refused") == ["calls-1.json", "calls-1.json.why"]
    assert "its .sha256" in next((dropped.folder / "refused").glob("*.why")).read_text()


def test_a_checksum_that_is_not_written_yet_is_waited_for(dropped: Dropped) -> None:
    body = text(record(ALICE, 1))
    dropped.put("calls-1.json", body, sum=None)
    beside = dropped.folder / "calls-1.json.sha256"
    for half in ("", "3f"):
        beside.write_text(half)
        dropped.folders.look()
        assert dropped.kept() == [] and "refused" not in dropped.names()
    beside.write_text(hashlib.sha256(body).hexdigest())
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)]


def test_where_no_receipt_can_be_written_nothing_is_taken(dropped: Dropped, caplog: pytest.LogCaptureFixture) -> None:
    (dropped.folder / "done").write_text("no folder")
    dropped.put("calls-1.json", text(record(ALICE, 1)))
    dropped.folders.look()
    assert dropped.kept() == [] and "done in its folder cannot be used" in caplog.text
    (dropped.folder / "done").unlink()
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)]


def test_a_customer_is_never_taken_for_another_whose_number_is_nearly_hers(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped.put("calls-1.json", text(record("kab", 1), record("KAB", 2)))
    dropped.folders.look()
    monkeypatch.setattr(files, "SEALED_AT_ONCE", 1)  # far from each other, in pieces of their own
    dropped.put("calls-2.json", text(record("k 1", 1), *(record(f"m{number}") for number in range(600)), record("k1")))
    dropped.folders.look()
    assert dropped.kept() == []
    assert all("capital letters or blanks" in each.read_text() for each in (dropped.folder / "refused").glob("*.why"))
    dropped.put("calls-3.json", text(record("kab", 1), record("kab ", 2)))
    dropped.folders.look()
    assert dropped.kept() == [("calls", 2)]
    # nor for one of another file, or of codes
    dropped.put("calls-4.json", text(record("KAB", 1), record("m", 2)))
    dropped.put("codes-1.csv", b"customer,code\nKab,AAAA-BBBB\n")
    dropped.put("codes-2.csv", b"customer,code\nkab,AAAA-BBBB\nZed,AAAA-CCCC\n")
    dropped.put("codes-3.csv", b"customer,code\nzed,AAAA-CCCC\n")
    dropped.put("codes-4.csv", b"customer,code\nkab,AAAA-DDDD\n")
    dropped.folders.look()
    assert dropped.names("done") == ["calls-3.json.txt", "codes-2.csv.txt", "codes-4.csv.txt"]
    dropped.put("calls-5.json", text(record("ZED", 1)))
    dropped.folders.look()
    assert dropped.kept() == [("calls", 2)]
    assert "than in what is kept" in sorted((dropped.folder / "refused").glob("*.why"))[-1].read_text()


def test_what_cannot_be_put_away_is_not_taken_again_every_minute(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*given: Any, **more: Any) -> None:
        raise PermissionError(1, "Operation not permitted", "calls-1.json")

    dropped.put("calls-1.json", text(record(ALICE, 1)))
    with monkeypatch.context() as patched:
        patched.setattr(folders.os, "unlink", fails)
        for _ in range(3):
            dropped.folders.look()
        assert len(dropped.names("done")) == 1 and "cannot be taken or put away" in caplog.text
        dropped.put("calls-2.json", text(record(ALICE, 1), record(ALICE, 2)))
        dropped.world.passes(hours=2)
        dropped.folders.look()
        assert dropped.kept() == [("calls", 2)], "the old one is not taken in again"
    dropped.folders.look()
    assert dropped.names() == ["done"] and dropped.kept() == [("calls", 2)] and len(dropped.names("done")) == 2


def test_a_checksum_that_was_put_right_is_looked_at_though_the_file_could_not_be_put_away(dropped: Dropped) -> None:
    body = text(record(ALICE, 1))
    dropped.put("calls-1.json", body, sum="0" * 64)
    (dropped.folder / "refused").write_text("no folder")
    dropped.folders.look()
    (dropped.folder / "refused").unlink()
    (dropped.folder / "calls-1.json.sha256").write_text(hashlib.sha256(body).hexdigest())
    dropped.folders.look()
    assert dropped.kept() == [("calls", 1)] and dropped.names() == ["done"]
