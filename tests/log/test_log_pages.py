"""The log's pages: what the person reads, what nobody else reads, and that filters and pages keep their word."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from log_cast import Clock, Visitor

from gateway.house import House
from gateway.log import reading
from gateway.log.sequencer import Sequencer
from gateway.log.signed import leaf
from gateway.log.verify import open_read_only

Recorded = Callable[..., None]
Visits = Callable[..., Visitor]

USAGE = {
    "client": "watt-coach",
    "client_name": "Watt Coach",
    "organisation": "city-energy",
    "organisation_name": "City Energy",
    "datasets": ["energy.electricity.usage"],
    "consent": "c-1",
    "purpose": "energy-advice",
}
READ = {**USAGE, "records": 744, "outcome": "delivered", "fields_withheld": 3, "present": False, "request_id": "r-7"}


@pytest.fixture
def alice(recorded: Recorded, clock: Clock) -> None:
    """Alice's spring: an agreement and an access in March, a refusal, another app and an end in April."""
    clock.now = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)
    recorded("alice", "consent_given", actor="person", **USAGE, until="2026-09-30T00:00:00Z")
    clock.now = datetime(2026, 3, 31, 21, 59, tzinfo=UTC)
    recorded("alice", **READ)
    clock.now = datetime(2026, 3, 31, 22, 1, tzinfo=UTC)  # already April in Paris
    recorded("alice", "denied", **USAGE, reason="field", term="field", asked="interval.cost", status=403)
    clock.now = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
    other = {"client": "clear-budget", "client_name": "Clear Budget", "organisation": "harbour-bank"}
    recorded("alice", **other, records=3, datasets=["bank.balances"])
    recorded("alice", "consent_ended", actor="person", **USAGE, reason="withdrawn")
    recorded("bob", "sign_in")


def sentences(page: str) -> list[str]:
    return re.findall(r"<p class=\"what\">([^<]+)</p>", page)


def numbers(page: str) -> list[str]:
    return re.findall(r'Details <span class="hidden">of entry (\d+)', page)


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_alice_reads_what_happened_newest_first_by_month_and_day(alice: None, visits: Visits) -> None:
    page = visits("alice").sees("/log").text
    assert [said.split()[0] for said in sentences(page)] == ["You", "Clear", "Watt", "Watt", "You"]
    assert re.findall(r"<h[23]>([^<]+)</h[23]>", page) == [
        "April 2026",
        "Thursday, 2 April 2026",
        "Wednesday, 1 April 2026",
        "March 2026",
        "Tuesday, 31 March 2026",
        "Monday, 30 March 2026",
    ]


def test_the_three_badges_are_words_not_only_colours(alice: None, visits: Visits) -> None:
    page = visits("alice").sees("/log").text
    assert re.findall(r'class="badge (\w+)">([^<]+)<', page) == [
        ("agreement", "Agreement"),
        ("access", "Access"),
        ("refusal", "Refusal/alert"),
        ("access", "Access"),
        ("agreement", "Agreement"),
    ]


def test_what_is_no_agreement_carries_no_badge(recorded: Recorded, visits: Visits) -> None:
    for kind in ("registered", "sign_in", "linked", "consent_asked", "token_issued", "erasure_asked"):
        recorded("alice", kind, actor="person", **USAGE)
    recorded("alice", "consent_ended", actor="system", **USAGE, reason="lapsed")  # asked, never answered
    page = visits("alice").sees("/log").text
    assert len(sentences(page)) == 7 and 'class="badge' not in page
    assert 'class="badge' not in visits("alice").sees("/log/2").text
    assert sentences(visits("alice").sees("/log?badge=agreement").text) == []
    assert {row["badge"] for row in json.loads(visits("alice").sees("/log/export.json").text)} == {""}


def test_french_is_french_throughout(alice: None, visits: Visits) -> None:
    page = visits("alice", "fr").sees("/log").text
    assert '<html lang="fr"' in page and "Refus/alerte" in page and "Avril 2026" in page
    assert "Watt Coach a lu vos données chez City Energy" in page
    assert not re.search(r"\b(read your|agreed|Nothing was given|withheld)\b", page)


def test_a_refused_call_is_shown_with_its_reason(alice: None, visits: Visits) -> None:
    page = visits("alice").sees("/log?badge=refusal").text
    [said] = sentences(page)
    assert said.endswith("Nothing was given: it asked for details that you did not agree to.")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("badge=access", 2),
        ("badge=agreement", 2),
        ("app=watt-coach", 4),
        ("app=clear-budget", 1),
        ("organisation=city-energy", 4),
        ("organisation=nobody", 0),
        ("consent=c-1", 4),
        ("from=2026-04-01", 3),
        ("to=2026-03-31", 2),
        ("from=2026-03-31&to=2026-03-31", 1),
        ("badge=access&app=watt-coach&from=2026-03-01&to=2026-03-31", 1),
        ("badge=nonsense&from=yesterday&to=9999-99-99", 5),
        ("from=0001-01-01&to=9999-12-31", 5),
        ("before=4", 3),
        ("before=1", 0),
        ("before=-1", 5),
        ("before=99999999999999999999999", 5),
        ("before=²", 5),
    ],
)
def test_filters_are_in_the_address_and_keep_what_they_say(alice: None, visits: Visits, query: str, count: int) -> None:
    assert len(sentences(visits("alice").sees(f"/log?{query}").text)) == count


def test_the_filter_shows_what_was_chosen(alice: None, visits: Visits) -> None:
    page = visits("alice").sees("/log?badge=access&from=2026-03-01").text
    assert '<option value="access" selected>' in page and 'name="from" value="2026-03-01"' in page
    assert '<details class="filters wide no-print" open>' in page


def test_what_is_written_in_the_address_is_never_markup(alice: None, visits: Visits) -> None:
    page = visits("alice").sees('/log?from="><script>alert(1)</script>&consent="><img>').text
    assert "<script" not in page and "<img>" not in page


def test_pages_are_cut_at_a_number_so_that_new_entries_shift_nothing(recorded: Recorded, visits: Visits) -> None:
    recorded("alice", "sign_in", count=120)
    first = visits("alice").sees("/log").text
    [older] = re.findall(r'href="(/log\?before=\d+)">Older', first)
    recorded("alice", "sign_in", count=7)
    seen = numbers(first)
    while older:
        page = visits("alice").sees(older).text
        seen += numbers(page)
        older = next(iter(re.findall(r'href="(/log\?before=\d+)">Older', page)), "")
    assert seen == [str(number) for number in range(120, 0, -1)]


def test_a_rare_entry_far_back_is_found_in_several_pages(
    recorded: Recorded, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SCAN", 30)
    recorded("alice", "consent_paused", **USAGE)
    recorded("alice", "sign_in_failed", count=70)
    address, pages = "/log?badge=agreement", 0
    while address and not sentences(page := visits("alice").sees(address).text):
        pages += 1
        assert "There are older ones" in page
        address = re.findall(r'href="(/log\?[^"]+)">Older', page)[0].replace("&amp;", "&")
    assert pages == 2 and sentences(page) == ["You paused the sharing with Watt Coach."]


def test_an_empty_log_explains_itself(visits: Visits) -> None:
    assert "Nothing yet. When you agree to a sharing" in visits("alice").sees("/log").text


def test_nobody_reads_a_log_without_signing_in(visits: Visits) -> None:
    for path in ("/log", "/log/1", "/log/export.csv", "/log/export.json"):
        answer = visits("").sees(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")


def test_mallory_sees_nothing_of_alices_log(alice: None, visits: Visits) -> None:
    mallory = visits("mallory")
    assert sentences(mallory.sees("/log").text) == []
    assert sentences(mallory.sees("/log?consent=c-1").text) == []
    assert mallory.sees("/log/2").status_code == 404
    assert json.loads(mallory.sees("/log/export.json").text) == []


# ---- one entry


def test_an_entry_says_everything_in_words(alice: None, visits: Visits) -> None:
    html = visits("alice").sees("/log/2").text
    assert "<code>r-7</code>" in html
    page = text(html)
    for said in (
        "App Watt Coach",
        "Organisation City Energy",
        "Records given 744",
        "Details withheld 3",
        "Outcome delivered",
        "Were you there? no, this happened while you were away",
        "Reference of the request r-7",
    ):
        assert said in page
    assert "Done by" not in page  # the sentence and the line "App" say it


def test_a_refused_entry_names_the_term_what_was_asked_and_what_was_agreed(alice: None, visits: Visits) -> None:
    page = text(visits("alice").sees("/log/3").text)
    assert "What was refused details" in page
    assert "The app asked for cost" in page.replace("Cost", "cost")


@pytest.mark.sqlite
def test_an_entry_shows_its_place_once_it_has_one(alice: None, visits: Visits, house: House) -> None:
    assert "not yet given" in visits("alice").sees("/log/1").text
    sequencer = Sequencer(house)
    sequencer.integrate_once()
    sequencer.stop()
    page = visits("alice").sees("/log/1").text
    connection = open_read_only(house.settings.database)
    [(commitment,)] = connection.execute("SELECT commitment FROM logentry WHERE id = 1").fetchall()
    connection.close()
    assert leaf(commitment).hex() in page and "a tree of 6 entries" in page and commitment.hex() in page


@pytest.mark.sqlite
def test_an_entry_that_cannot_be_opened_does_not_hide_the_others(alice: None, visits: Visits, house: House) -> None:
    with house.store.write() as session:
        session.connection().exec_driver_sql("UPDATE logentry SET sealed = zeroblob(90) WHERE id = 2")
    page = visits("alice").sees("/log").text
    assert len(sentences(page)) == 5 and "This entry cannot be opened" in page
    assert visits("alice").sees("/log/2").status_code == 200


@pytest.mark.parametrize("path", ["/log/0", "/log/6", "/log/99999999999999999999", "/log/-1", "/log/x"])
def test_an_entry_that_is_not_there_is_not_found(alice: None, visits: Visits, path: str) -> None:
    assert visits("alice").sees(path).status_code == 404


# ---- as a file


@pytest.mark.parametrize("query", ["", "?badge=access", "?app=watt-coach&to=2026-03-31", "?before=3"])
def test_the_files_hold_exactly_what_is_shown(alice: None, visits: Visits, query: str) -> None:
    shown = [int(number) for number in numbers(visits("alice").sees(f"/log{query}").text)]
    as_json = json.loads(visits("alice").sees(f"/log/export.json{query}").text)
    as_csv = list(csv.DictReader(io.StringIO(visits("alice").sees(f"/log/export.csv{query}").text)))
    assert [row["number"] for row in as_json] == shown == [int(row["number"]) for row in as_csv]
    assert [row["what"] for row in as_json] == [row["what"] for row in as_csv]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "\u202e=HYPERLINK(1)", "\u200f\u2066@SUM(1)"])
def test_an_apps_name_is_no_formula_in_a_spreadsheet(recorded: Recorded, visits: Visits, name: str) -> None:
    recorded("alice", client="evil", client_name=name)
    [row] = csv.DictReader(io.StringIO(visits("alice").sees("/log/export.csv").text))
    assert row["what"].startswith(("'=HYPERLINK", "'@SUM"))


def test_files_are_attachments_and_never_kept_by_anybody_on_the_way(alice: None, visits: Visits) -> None:
    for form in ("csv", "json"):
        headers: Any = visits("alice").sees(f"/log/export.{form}").headers
        assert headers["content-disposition"] == f'attachment; filename="access-log.{form}"'
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"


# ---- counting


def test_accesses_are_counted_per_sharing_and_only_since_then(
    alice: None, house: House, recorded: Recorded, clock: Clock
) -> None:
    with house.store.read() as session:
        since = datetime(2026, 3, 1, tzinfo=UTC)
        assert reading.accesses(session, house.log, "alice", since) == {"c-1": 1, "": 1}
        assert reading.accesses(session, house.log, "alice", datetime(2026, 4, 1, tzinfo=UTC)) == {"": 1}
        assert not reading.accesses(session, house.log, "bob", since)
