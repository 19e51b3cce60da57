"""A person's own copy: everything, in native formats, or a page that says what is missing."""

import contextlib
import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from organisations_world import Browser, Running, World

from examples.data.people import PEOPLE
from gateway import exports
from gateway.errors import Unavailable
from gateway.formats.model import Download
from gateway.organisations import declare, downloads, linking, links, moving, pages, views
from gateway.organisations.tables import Organisation
from gateway.organisations.views import OrganisationView
from tests.databases import unsynced

DOOR = "/organisations/harbour-bank/download"


def opened(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_alice_downloads_all_her_bank_holds_of_her(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    page = alice.get(DOOR).text
    assert "without keeping a copy" in page and "Transactions" in page
    answer = alice.post(DOOR)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="harbour-bank-20')
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
    files = opened(answer.content)
    assert {"README.txt", "LISEZMOI.txt", "manifest.json"} < set(files)
    manifest = json.loads(files["manifest.json"])
    assert (manifest["complete"], manifest["missing"]) == (True, [])
    assert {entry["dataset"] for entry in manifest["files"]} == {"bank.accounts", "bank.balances", "bank.transactions"}
    for entry in manifest["files"]:
        body = files[entry["path"]]
        assert (len(body), hashlib.sha256(body).hexdigest()) == (entry["bytes"], entry["sha256"])
        assert entry["path"].startswith("data/harbour-bank/")
    transactions = json.loads(files["data/harbour-bank/transactions.json"])["Data"]["Transaction"]
    assert len(transactions) > 1000  # all pages, not the first


def test_the_readme_speaks_both_languages(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    files = opened(alice.post(DOOR).content)
    english, french = (files[name].decode("utf-8-sig") for name in ("README.txt", "LISEZMOI.txt"))
    assert "Your data at Harbour Bank" in english and "Nothing is missing." in english
    assert "Vos données chez Banque du Port" in french and "Il ne manque rien." in french
    assert "Banque du Port" not in english and "Your data" not in french


def test_dates_are_in_the_language_of_the_text_and_never_american(world: World) -> None:
    first, last = datetime(2025, 3, 4, 12, tzinfo=UTC), datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    file = Download("a.json", "application/json", b"{}", "bank.accounts", 1, first, last)
    copy = downloads.Copy(organisation("bank.accounts"), (file,), (), AT)
    english, french = (downloads.readme(copy, world.house.translations.of(name), name, {}) for name in ("en", "fr"))
    assert "From 4 March 2025 to 23 November 2026." in english  # the day it is where the organisation is
    assert "Read on 23 November 2026, 13:00:00 CET" in english
    assert "4 mars 2025" in french and "23 novembre 2026" in french


HOSTILE = {
    '=HYPERLINK("https://evil.example")': '\'=HYPERLINK("https://evil.example")',
    "+1+1": "'+1+1",
    "-2+3": "'-2+3",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t=1",
    "\r=1": "'=1",
    "bill\r=1+1": "bill=1+1",  # no row of its own
    "\u202e\u2066=1\u2069": "'=1",  # what hides in front of a formula goes first
    "plain \u202etxt.exe": "plain txt.exe",
    'two\nlines, "quoted"': 'two\nlines, "quoted"',
}


def test_no_cell_of_her_tables_runs_as_a_formula(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others wrote into her transactions is text in a spreadsheet, whatever it begins with (D18)."""
    alice.links_by_number(bank, "HB-2001")
    hostile = iter(HOSTILE)

    def hide(found: Any) -> None:
        for row in found["Data"].get("Transaction", ()):
            row.pop("MerchantDetails", None)
            row["TransactionInformation"] = next(hostile, "end")

    answers_with(world, monkeypatch, hide)
    files = opened(alice.post(DOOR).content)
    tables = {name: list(csv.reader(io.StringIO(body.decode(), newline=""))) for name, body in files.items()
              if name.endswith(".csv")}  # fmt: skip
    cells = [cell for rows in tables.values() for row in rows for cell in row]
    assert tables and set(HOSTILE.values()) <= set(cells)
    number = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
    assert [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell and not number.fullmatch(cell)] == []
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "".join(cells))


def answers_with(world: World, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Any], object]) -> None:
    """From now on every answer of the bank's data has this done to it."""
    ask = world.connector.ask

    def planted(*call: Any) -> Any:
        status, headers, body = ask(*call)
        found = json.loads(body)
        if "Data" in found:
            plant(found)
        return status, headers, json.dumps(found).encode()

    monkeypatch.setattr(world.connector, "ask", planted)


def test_what_linking_and_the_copy_do_not_need_may_be_of_any_shape(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def more(found: Any) -> None:
        for rows in found["Data"].values():
            for row in rows:
                row |= {"NewInVersion5": {"a": [1]}, "Servicer": ["odd"], "ChargeAmount": 1.5}
        found |= {"Extra": 1, "Meta": {"TotalRecords": "2"}}
        found["Links"] = {"Next": None, "Sideways": "x"} | found["Links"]

    answers_with(world, monkeypatch, more)
    alice.links_by_number(bank, "HB-2001")
    found = world.link(alice, "harbour-bank")
    assert found and len(links.accounts_of(world.house.keys, found)) == 2
    files = opened(alice.post(DOOR).content)
    rows = json.loads(files["data/harbour-bank/transactions.json"])["Data"]["Transaction"]
    assert rows and all(row["NewInVersion5"] == {"a": [1]} for row in rows)


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (
            lambda found: found["Data"]["Account"][0].update(AccountId=["canary"]),
            "unknown shape at Data.Account.AccountId",
        ),
        (lambda found: found["Data"]["Account"][0].pop("AccountId"), "unknown shape at Data.Account.AccountId"),
        (lambda found: found["Links"].update(Next="https://canary.example/"), "unknown shape at Links.Next"),
        (lambda found: found["Data"]["Account"].append(found["Data"]["Account"][0]), "an account stands twice"),
    ],
)
def test_an_answer_that_cannot_be_read_at_linking_is_in_the_operators_log(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, caplog: Any, plant: Any, told: str
) -> None:
    answers_with(world, monkeypatch, plant)
    with caplog.at_level("INFO", "gateway.organisations"):
        attempt = alice.starts("harbour-bank", "HB-2001")
        page = alice.tries("harbour-bank", attempt, bank.newest_code("HB-2001"))
    assert "could not be read yet" in page.text
    (line,) = caplog.messages
    assert line.startswith(f"organisation harbour-bank: organisation_answer_invalid, {told}, call ")
    assert "canary" not in line


@pytest.mark.parametrize("mode", ["down", "html", "truncated"])
def test_trouble_in_a_download_is_in_the_operators_log(
    world: World, bank: Running, alice: Browser, caplog: Any, mode: str
) -> None:
    alice.links_by_number(bank, "HB-2001")
    bank.fault(mode)
    with caplog.at_level("INFO", "gateway.organisations"):
        alice.post(DOOR)
    (line,) = caplog.messages
    assert line.startswith("organisation harbour-bank: organisation_") and "HB-2001" not in line


def test_a_fault_of_our_own_in_a_download_is_a_page_and_a_line_without_a_value(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    alice.links_by_number(bank, "HB-2001")
    monkeypatch.setattr(exports, "download", lambda *_: {}["canary"])
    with caplog.at_level("INFO", "gateway.organisations"):
        assert "No download from Harbour Bank this time" in alice.post(DOOR).text
    assert "KeyError in <lambda>" in caplog.text and "canary" not in caplog.text


def test_it_is_written_into_her_log_before_it_leaves(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    answer = alice.post(DOOR)
    event = world.events(alice)[0]
    assert (event.kind, event.actor) == ("download", "person")
    assert event.facts["organisation"] == "harbour-bank" and event.facts["bytes"] == len(answer.content)
    assert event.facts["datasets"] == ["bank.accounts", "bank.balances", "bank.transactions"]
    assert event.facts["records"] > 1000
    assert "No data has been shared or downloaded from here yet" not in alice.get("/organisations").text


def test_an_older_sign_in_is_asked_for_again(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    world.connector.calls.clear()
    world.passes(minutes=11)
    answer = alice.post(DOOR)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?again=1&next=%2Forganisations%2Fharbour-bank%2Fdownload",
    )
    assert not world.connector.calls


@pytest.mark.parametrize(("mode", "status"), [("down", 502), ("html", 502), ("truncated", 502), ("wrong_type", 502)])
def test_trouble_gives_a_page_that_names_what_is_missing_and_no_file(
    world: World, bank: Running, alice: Browser, mode: str, status: int
) -> None:
    alice.links_by_number(bank, "HB-2001")
    bank.fault(mode)
    answer = alice.post(DOOR)
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"].startswith("text/html")
    assert "No download from Harbour Bank this time" in answer.text and "Transactions" in answer.text
    assert [event.kind for event in world.events(alice)] == ["linked"]


def test_trouble_on_a_later_page_is_no_shorter_file(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    seen: list[str] = []

    def fail_on_third_page(path: str) -> None:
        seen.append(path)
        if sum("/transactions" in one for one in seen) == 3:
            bank.fault("down")

    world.connector.before = fail_on_third_page
    answer = alice.post(DOOR)
    assert answer.status_code == 502 and "You get everything or nothing" in answer.text


@pytest.mark.inside
def test_a_log_that_cannot_be_written_gives_no_data(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.errors import Unavailable

    alice.links_by_number(bank, "HB-2001")

    def full(*_: object) -> int:
        raise Unavailable("disk full")

    monkeypatch.setattr(world.house.log, "record", full)
    answer = alice.post(DOOR)
    assert answer.status_code == 503 and answer.headers["content-type"].startswith("text/html")


def test_mallory_downloads_her_own_account_only(world: World, bank: Running, alice: Browser, mallory: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    mallory.links_by_number(bank, "HB-2002")
    hers, others = (
        {native for native in opened(browser.post(DOOR).content)["data/harbour-bank/accounts.json"].split(b'"')}
        for browser in (alice, mallory)
    )
    with world.house.store.read() as session:
        found = links.found_accounts(session, world.house.keys, alice.person, "harbour-bank")
    assert found and all(account.native.encode() in hers and account.native.encode() not in others for account in found)


def test_energy_comes_as_green_button(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(PEOPLE[0].energy, PEOPLE[0].energy_password)
    world.connector.calls.clear()
    files = opened(alice.post("/organisations/city-energy/download").content)
    assert "data/city-energy/GreenButtonDownload.xml" in files
    assert json.loads(files["manifest.json"])["missing"] == []


def test_a_token_that_dies_on_the_way_is_renewed(world: World, energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(PEOPLE[0].energy, PEOPLE[0].energy_password)
    link = world.link(alice, "city-energy")
    assert link
    held = links.credentials(world.house.keys, link)
    assert held
    with world.house.store.write() as session:  # the organisation forgot the access token, its date still says live
        dead = links.Credentials("dead", held.refresh_token, held.expires_at, held.scope, held.resource)
        links.store_credentials(session, world.house.keys, link.id, held, dead)
    world.connector.calls.clear()
    assert alice.post("/organisations/city-energy/download").status_code == 200
    assert world.connector.calls.count("POST /oauth/token") == 1


def test_every_list_on_the_page_stands_below_a_heading_of_its_own(energy: Running, alice: Browser) -> None:
    alice.links_by_oauth(PEOPLE[0].energy, PEOPLE[0].energy_password)
    page = alice.get("/organisations/city-energy/download")
    before_lists = re.split("<ul>|<dl", page.text.partition("<main")[2])[:-1]
    assert len(before_lists) == 3 and all("<h2>" in part for part in before_lists)


# ---- what ends on the way


def on_third_page(world: World, happens: Callable[[], object]) -> None:
    """From now on this happens while the bank is asked for the third page of transactions; the calls are counted from
    there."""
    seen: list[str] = []

    def before(path: str) -> None:
        seen.append(path)
        if "/transactions" in path and sum("/transactions" in one for one in seen) == 3:
            world.connector.calls.clear()
            happens()

    world.connector.before = before


def unlinks_by_her_page(world: World, alice: Browser) -> None:
    assert alice.post("/organisations/harbour-bank/unlink").status_code == 200


def unlinks_through_another_process(world: World, alice: Browser) -> None:
    with contextlib.closing(unsynced(world.house.settings)) as store:
        other = replace(world.house, store=store)
        with store.read() as session:
            view = views.view(session, "harbour-bank")
        assert view
        ended = linking.unlink(other, alice.person, view, world.now)
        assert ended and linking.tell_end(other, ended, world.now) is linking.Ending.TOLD


def is_suspended(world: World, alice: Browser) -> None:
    with world.house.store.write() as session:
        declare.suspend(session, "harbour-bank", "Its certificate has expired.", world.now)


def is_replaced(world: World, alice: Browser) -> None:
    with world.house.store.write() as session:
        moving.replaced(session, world.house.log, "harbour-bank", "Harbour Bank", world.now)


def moves(world: World, alice: Browser) -> None:
    with world.house.store.write() as session:
        row = session.get_one(Organisation, "harbour-bank")
        connection = {**row.declaration["connection"], "base_url": "https://elsewhere.example"}
        row.declaration, row.declaration_sha256 = {**row.declaration, "connection": connection}, "moved"
        session.add(row)


@pytest.mark.parametrize(
    ("happens", "told", "status", "sentence"),
    [
        (unlinks_by_her_page, ["POST /aval/link/end"], 409, "Your account at Harbour Bank is not linked any more."),
        (
            unlinks_through_another_process,
            ["POST /aval/link/end"],
            409,
            "Your account at Harbour Bank is not linked any more.",
        ),
        (is_replaced, [], 409, "Your account at Harbour Bank is not linked any more."),
        (is_suspended, [], 403, "Harbour Bank is suspended here at the moment"),
        (moves, [], 502, "Harbour Bank did not answer."),
    ],
)
def test_nothing_more_is_asked_for_a_copy_once_its_link_has_ended(
    world: World, bank: Running, alice: Browser, happens: Any, told: list[str], status: int, sentence: str
) -> None:
    alice.links_by_number(bank, "HB-2001")
    on_third_page(world, lambda: happens(world, alice))
    answer = alice.post(DOOR)
    assert world.connector.calls == told
    assert answer.status_code == status and answer.headers["content-type"].startswith("text/html")
    assert sentence in answer.text and "You get everything or nothing" in answer.text
    assert "download" not in [event.kind for event in world.events(alice)]


def test_who_has_linked_again_meanwhile_gets_no_copy_of_two_links(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")

    def links_again() -> None:
        unlinks_by_her_page(world, alice)
        alice.links_by_number(bank, "HB-2002")

    on_third_page(world, links_again)
    assert alice.post(DOOR).status_code == 409
    assert alice.post(DOOR).status_code == 200


def test_another_persons_end_ends_no_copy_of_hers(
    world: World, bank: Running, alice: Browser, mallory: Browser
) -> None:
    alice.links_by_number(bank, "HB-2001")
    mallory.links_by_number(bank, "HB-2002")
    on_third_page(world, lambda: unlinks_by_her_page(world, mallory))
    assert alice.post(DOOR).status_code == 200


def test_no_page_is_asked_for_when_it_cannot_be_known_whether_the_link_stands(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.links_by_number(bank, "HB-2001")

    def away() -> Any:
        raise Unavailable("database: away")

    on_third_page(world, lambda: monkeypatch.setattr(world.house.store, "read", away))
    answer = alice.post(DOOR)
    assert (answer.status_code, world.connector.calls) == (503, [])


# ---- the archive alone

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def organisation(*datasets: str) -> OrganisationView:
    return OrganisationView(
        id="o", name={"fr": "Ô", "en": "O"}, legal_entity="O SA", sector="bank", zone="Europe/Paris", website="",
        contact={}, datasets={name: ("/a",) for name in datasets}, kind="assertion", base_url="https://o.example",
        networks=(), timeout_seconds=1, max_calls=1, oauth=None, link=None, declaration_sha256="",
    )  # fmt: skip


def test_one_file_of_one_dataset_needs_no_archive(world: World) -> None:
    file = Download("a.json", "application/json", b"{}", "bank.accounts", 1)
    copy = downloads.Copy(organisation("bank.accounts"), (file,), (), AT)
    assert downloads.packed(copy, {}, {}) == b"{}"
    assert downloads.file_name(copy) == "a.json"


def test_the_archive_bears_the_day_that_its_readme_says(world: World) -> None:
    files = tuple(Download(f"{name}.json", "application/json", b"{}", f"bank.{name}", 1) for name in ("a", "b"))
    copy = downloads.Copy(organisation("bank.a", "bank.b"), files, (), datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    assert downloads.file_name(copy) == "o-2026-11-23.zip"
    assert "Read on 23 November 2026" in downloads.readme(copy, world.house.translations.of("en"), "en", {})


def test_what_is_missing_is_said_in_every_place(world: World) -> None:
    file = Download("a.json", "application/json", b"{}", "bank.accounts", 1)
    copy = downloads.Copy(organisation("bank.accounts", "bank.balances"), (file,), ("bank.balances",), AT)
    words = {name: world.house.translations.of(name) for name in downloads.README}
    files = opened(downloads.packed(copy, words, {"bank.balances": {"en": "Balances", "fr": "Soldes"}}))
    manifest = json.loads(files["manifest.json"])
    assert manifest["complete"] is False
    assert manifest["missing"] == [{"organisation": "o", "dataset": "bank.balances"}]
    assert "Missing: Balances." in files["README.txt"].decode("utf-8-sig")
    assert "Il manque\u00a0: Soldes." in files["LISEZMOI.txt"].decode("utf-8-sig")


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\evil.csv", "evil.csv"),
        ("/abs.json", "abs.json"),
        (".htaccess", "htaccess"),
        ("con.txt", "file-con.txt"),
        ("", "file-"),
        ("..", "file-"),
        ("relevé n°1.csv", "relev-n-1.csv"),
        ("a\x00b\r\n.json", "a-b-.json"),
        ("x" * 300 + ".csv", "x" * 96 + ".csv"),
    ],
)
def test_names_inside_the_archive_are_safe(given: str, safe: str) -> None:
    assert downloads.safe_name(given) == safe


def test_names_that_fall_together_are_told_apart(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    found = [Download(name, "text/csv", b"x", "bank.accounts", 1) for name in ("a.csv", "A.csv", "x/a.csv", "b", "b")]

    monkeypatch.setattr(exports, "download", lambda *_: found)
    line: Any = type("Line", (), {"organisation": organisation("bank.accounts"), "house": world.house, "fetch": None})
    copy = downloads.read(line, [], AT)
    assert [file.name for file in copy.files] == ["a.csv", "A_2.csv", "a_3.csv", "b", "b_2"]


def test_every_door_of_the_room_is_listed_once() -> None:
    assert len({(door.path, door.methods) for door in pages.doors(lambda *_: None)}) == len(
        pages.doors(lambda *_: None)
    )
