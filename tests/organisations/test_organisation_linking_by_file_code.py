"""Linking where the organisation gives files: by the customer number and the code that it has given her."""

import re
from pathlib import Path

import pytest
from organisations_world import Browser, World

from gateway.formats.filed import BadFile
from gateway.organisations import file_codes, files, given_files, links, views
from tests.databases import everything
from tests.worlds import filed
from tests.worlds.filed import ALICE, BOB, ID, record, text

CODE, OTHER = "K7QX-M2PD", "ZZ99-88AA"


def codes(world: World, folder: Path, *rows: str, head: str = "customer,code") -> files.Imported:
    path = folder / "codes-given.csv"
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    with world.house.store.read() as session:
        view = views.view(session, ID)
    assert view is not None and view.files is not None
    with given_files.opened(path) as file:
        return file_codes.bring(world.house, view, given_files.GivenFile(file, "", view.files.most_bytes), world.now)


@pytest.fixture
def axiome(world: World, tmp_path: Path) -> World:
    filed.declared(world.house)
    filed.given(world.house, tmp_path, text(record(ALICE, 1), record(BOB, 1)))
    codes(world, tmp_path, f"{ALICE},{CODE}", f"{BOB},{OTHER}")
    return world


def links_as(browser: Browser, number: str, code: str) -> tuple[int, str]:
    answer = browser.tries(ID, browser.starts(ID, number), code)
    return answer.status_code, answer.text


def accounts(world: World, browser: Browser) -> list[str]:
    with world.house.store.read() as session:
        return [each.native for each in links.found_accounts(session, world.house.keys, browser.person, ID)]


def test_alice_and_bob_link_and_each_sees_her_own_line(axiome: World, alice: Browser) -> None:
    bob = axiome.person("Bob")
    assert links_as(alice, ALICE, CODE)[0] == 303 and links_as(bob, BOB, OTHER)[0] == 303
    assert accounts(axiome, alice) == [filed.LINES[ALICE]] and accounts(axiome, bob) == [filed.LINES[BOB]]
    page = alice.get("/organisations").text
    assert "•••• 0001" in page and ALICE not in page
    assert not axiome.connector.calls  # nobody is asked


def test_spelling_does_not_matter(axiome: World, alice: Browser) -> None:
    assert links_as(alice, " c-1001", "k7qx m2pd")[0] == 303
    assert accounts(axiome, alice) == [filed.LINES[ALICE]]


@pytest.mark.parametrize(
    ("number", "code"), [(ALICE, OTHER), ("C-7777", CODE), (BOB, CODE), (ALICE, "AAAAAAAA")], ids=str
)
def test_mallory_is_not_linked(axiome: World, mallory: Browser, number: str, code: str) -> None:
    status, page = links_as(mallory, number, code)
    assert status == 400 and "This code is not right" in page and "4 tries are left" in page
    assert axiome.link(mallory, ID) is None


def test_tries_are_limited(axiome: World, mallory: Browser) -> None:
    attempt = mallory.starts(ID, ALICE)
    for _ in range(4):
        assert mallory.tries(ID, attempt, "AAAAAAAA").status_code == 400
    last = mallory.tries(ID, attempt, "AAAAAAAA")
    assert last.status_code == 403 and "Start again with the code of Axiome" in last.text
    assert mallory.tries(ID, attempt, CODE).status_code == 403 and axiome.link(mallory, ID) is None


def test_a_code_links_once_also_when_it_comes_again_in_a_file(
    axiome: World, alice: Browser, mallory: Browser, tmp_path: Path
) -> None:
    assert links_as(alice, ALICE, CODE)[0] == 303
    assert links_as(mallory, ALICE, CODE)[0] == 400
    codes(axiome, tmp_path, f"{ALICE},{CODE}")
    assert links_as(mallory, ALICE, CODE)[0] == 400 and axiome.link(mallory, ID) is None
    codes(axiome, tmp_path, f"{ALICE},NEW0-NEW0")
    codes(axiome, tmp_path, f"{ALICE},{CODE}")  # the old one once more, behind a new one
    assert links_as(mallory, ALICE, CODE)[0] == 400 and axiome.link(mallory, ID) is None
    codes(axiome, tmp_path, f"{ALICE},NEW0-NEW0")
    assert links_as(mallory, ALICE, "NEW0NEW0")[0] == 303  # whoever has the new code is a customer, too


def test_a_new_code_takes_the_place_of_the_unused_one_and_others_keep_theirs(
    axiome: World, alice: Browser, tmp_path: Path
) -> None:
    codes(axiome, tmp_path, f"{ALICE},NEW0-NEW0")
    assert links_as(alice, ALICE, CODE)[0] == 400
    assert links_as(axiome.person("Bob"), BOB, OTHER)[0] == 303


def test_a_code_is_good_for_as_long_as_its_file(axiome: World, alice: Browser) -> None:
    axiome.passes(days=41)
    assert links_as(alice, ALICE, CODE)[0] == 400


def test_unlinked_she_needs_another_code_and_nobody_is_told(axiome: World, alice: Browser) -> None:
    links_as(alice, ALICE, CODE)
    page = alice.post(f"/organisations/{ID}/unlink")
    assert "is not told: it gives files" in page.text and axiome.link(alice, ID) is None
    assert links_as(alice, ALICE, CODE)[0] == 400 and not axiome.connector.calls


def test_a_link_without_a_file_says_that_there_is_no_data(world: World, alice: Browser, tmp_path: Path) -> None:
    filed.declared(world.house)
    codes(world, tmp_path, f"{ALICE},{CODE}")
    status, page = links_as(alice, ALICE, CODE)
    assert status == 200 and "is linked, but your accounts there could not be read yet" in page
    refreshed = alice.post(f"/organisations/{ID}/refresh")
    assert "has given no data at the moment" in refreshed.text
    filed.given(world.house, tmp_path, text(record(ALICE, 1)))
    assert alice.post(f"/organisations/{ID}/refresh").status_code == 303
    assert accounts(world, alice) == [filed.LINES[ALICE]]


def test_her_own_copy_has_her_records_and_nobody_elses(axiome: World, alice: Browser) -> None:
    links_as(alice, ALICE, CODE)
    copy = alice.post(f"/organisations/{ID}/download")
    assert copy.status_code == 200, copy.text
    assert b"canary-of-1001-1" in copy.content and b"1002" not in copy.content


def test_her_own_copy_has_each_record_once(axiome: World, alice: Browser, tmp_path: Path) -> None:
    filed.given(axiome.house, tmp_path, text(record(ALICE, 1), record(ALICE, 2, msisdn="+33600000011")))
    links_as(alice, ALICE, CODE)
    copy = alice.post(f"/organisations/{ID}/download")
    assert copy.content.count(b"canary-of-1001-1") == copy.content.count(b"canary-of-1001-2") == 1


def test_codes_at_rest_are_keyed(axiome: World) -> None:
    stored = everything(axiome.house.store)
    for secret in (CODE, "K7QXM2PD", OTHER, ALICE, BOB):
        assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("head", "rows", "told"),
    [
        ("name,code", (), "line 1: it must be customer,code"),
        ("customer,code", ("C-1,canary",), "row 2: write a customer number and a code"),
        ("customer,code", ("C-1,AAAAAAAA", "C-1,BBBBBBBB"), "row 3: this customer has a code before"),
        ("customer,code", ('"C-1,AAAAAAAA',), "quotation mark"),
    ],
)
def test_a_wrong_file_of_codes_changes_nothing(
    axiome: World, alice: Browser, tmp_path: Path, head: str, rows: tuple[str, ...], told: str
) -> None:
    with pytest.raises(BadFile, match=told) as wrong:
        codes(axiome, tmp_path, *rows, head=head)
    assert "canary" not in str(wrong.value)
    assert links_as(alice, ALICE, CODE)[0] == 303


def test_the_pages_say_it_in_both_languages(axiome: World, alice: Browser) -> None:
    page = alice.get(f"/organisations/{ID}/link").text
    assert "the code that Axiome has given you" in page and "keeps no copy" not in page
    alice.language = "fr"
    french = alice.get(f"/organisations/{ID}/link").text
    assert "le code remis par Axiome" in french and "Numéro de client" in french
    form = alice.get(f"/organisations/{ID}/link/code?attempt={alice.starts(ID, ALICE)}").text
    assert re.search(r"Il marche une seule fois", form) and "••• 001" in form
    assert alice.tries(ID, alice.starts(ID, ALICE), "123456").status_code == 400
