"""A run of like accesses is one line on the page; nothing that differs is swallowed, and files stay single."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import lxml.html
import pytest
from log_cast import Clock, Visitor

Recorded = Callable[..., None]
Visits = Callable[..., Visitor]

READ = {
    "client": "clear-budget",
    "client_name": "Clear Budget",
    "organisation": "harbour-bank",
    "organisation_name": "Harbour Bank",
    "datasets": ["bank.transactions"],
    "consent": "c-1",
    "outcome": "delivered",
}
OTHERS = (
    {"client": "watt-coach", "client_name": "Watt Coach"},
    {"organisation": "city-energy", "organisation_name": "City Energy"},
    {"datasets": ["bank.balances"]},
    {"datasets": ["bank.transactions", "bank.balances"]},
    {"outcome": "partly"},
    {"outcome": "begun"},
    {"consent": "c-2"},
    {"present": False},
    {"fields_withheld": 2},
)


class Line:
    """One line of the log as it is read while the disclosures are closed."""

    def __init__(self, item: Any) -> None:
        self.said = _words(item.xpath("./p[contains(@class,'what')]")[0])
        self.time = _words(item.xpath("./p[contains(@class,'when')]")[0])
        self.singles = [_words(one) for one in item.xpath("./details//p[@class='what']")]
        self.entries = [int(href.rpartition("/")[2]) for href in item.xpath(".//a[starts-with(@href,'/log/')]/@href")]
        self.sharings = set(item.xpath(".//a[starts-with(@href,'/sharings/')]/@href"))
        self.more = [_words(one) for one in item.xpath("./details/summary")]


def _words(element: Any) -> str:
    return " ".join(element.text_content().split())


def lines(visitor: Visitor, path: str = "/log") -> list[Line]:
    page = lxml.html.fromstring(visitor.sees(path).text)
    return [Line(item) for item in page.xpath("//section[@class='month']/ul/li")]


def evening(recorded: Recorded, clock: Clock, pages: int = 24) -> None:
    """Clear Budget reads a paged list: 1,114 records, one page a second, 50 to a page but the last."""
    clock.now = datetime(2026, 4, 1, 18, 59, 50, tzinfo=UTC)
    for number in range(pages):
        records = 50 if number < pages - 1 else 1114 - 50 * (pages - 1)
        day = 1 + number
        recorded("alice", **READ, records=records, period_from=f"2026-03-{day:02}T10:00:00.000Z",
                 period_to=f"2026-03-{day:02}T11:00:00.000Z", accounts=[f"a-{number % 2}"])  # fmt: skip
        clock.now += timedelta(seconds=1)


def test_the_pages_of_one_reading_are_one_line_with_each_below_it(
    recorded: Recorded, clock: Clock, visits: Visits
) -> None:
    evening(recorded, clock)
    [line] = lines(visits("alice"))
    assert line.said == (
        "Clear Budget read your data at Harbour Bank (transactions), 1 March 2026 to 24 March 2026: 24 times, 1,114"
        " records."
    )
    assert line.time == "Access 20:59–21:00"
    assert line.entries == list(range(24, 0, -1)) and line.sharings == {"/sharings/c-1"}
    assert len(line.singles) == 24 and line.singles[-1].endswith("1 March 2026: 50 records.")
    assert line.more == ["Each access of entries 1 to 24"]


def test_the_line_is_french_in_french(recorded: Recorded, clock: Clock, visits: Visits) -> None:
    evening(recorded, clock)
    [line] = lines(visits("alice", "fr"))
    assert line.said == (
        "Clear Budget a lu vos données chez Harbour Bank (opérations), du 1er mars 2026 au 24 mars 2026 : 24 fois,"
        " 1 114 enregistrements."
    )
    assert line.more == ["Chaque accès des entrées 1 à 24"]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_whatever_differs_stands_on_its_own_line(recorded: Recorded, visits: Visits, other: dict[str, Any]) -> None:
    recorded("alice", count=2, **READ, records=1)
    recorded("alice", **{**READ, **other}, records=1)
    recorded("alice", count=3, **READ, records=1)
    assert [line.entries for line in lines(visits("alice"))] == [[6, 5, 4], [3], [2, 1]]


@pytest.mark.parametrize("kind", ["denied", "access_outcome", "download", "log_read", "sign_in", "consent_paused"])
def test_only_accesses_fold_and_nothing_between_them_is_swallowed(
    recorded: Recorded, visits: Visits, kind: str
) -> None:
    facts = {**READ, "outcome": "cut"} if kind == "access_outcome" else {"client": "clear-budget"}
    recorded("alice", count=2, **READ, records=1)
    recorded("alice", kind, count=2, **facts)
    recorded("alice", count=2, **READ, records=1)
    assert [line.entries for line in lines(visits("alice"))] == [[6, 5], [4], [3], [2, 1]]


def test_a_run_ends_at_the_persons_midnight(recorded: Recorded, clock: Clock, visits: Visits) -> None:
    clock.now = datetime(2026, 4, 1, 21, 59, tzinfo=UTC)
    recorded("alice", count=2, **READ, records=1)
    clock.now = datetime(2026, 4, 1, 22, 1, tzinfo=UTC)  # the second of April in Paris
    recorded("alice", count=2, **READ, records=1)
    assert [line.entries for line in lines(visits("alice"))] == [[4, 3], [2, 1]]


def test_what_was_withheld_is_added_up_too(recorded: Recorded, visits: Visits) -> None:
    partly = {**READ, "outcome": "partly"}
    recorded("alice", **partly, records=3, records_withheld=2, fields_withheld=1)
    recorded("alice", **partly, records=4, records_withheld=5, fields_withheld=1)
    [line] = lines(visits("alice"))
    assert line.said == (
        "Clear Budget read your data at Harbour Bank (transactions): 2 times, 7 records. 1 kind of details was"
        " withheld: you did not agree to it. 7 records outside what you agreed to were withheld."
    )


def test_a_count_that_one_entry_lacks_is_not_said_of_all(recorded: Recorded, visits: Visits) -> None:
    recorded("alice", **READ, records=3, period_from="2026-03-01T00:00:00Z", period_to="2026-03-02T00:00:00Z")
    recorded("alice", **READ)
    [line] = lines(visits("alice"))
    assert line.said == "Clear Budget read your data at Harbour Bank (transactions): 2 times."


def test_of_an_app_and_data_nobody_knows_any_more_the_count_is_still_told(recorded: Recorded, visits: Visits) -> None:
    recorded("alice", count=3, client="gone-app", records=1)
    assert [line.said for line in lines(visits("alice"))] == ["Gone-app read data about you: 3 times, 3 records."]


def test_one_access_is_told_as_before(recorded: Recorded, visits: Visits) -> None:
    recorded("alice", **READ, records=3)
    [line] = lines(visits("alice"))
    assert line.said == "Clear Budget read your data at Harbour Bank (transactions): 3 records." and not line.more


def test_files_and_pages_count_single_entries(recorded: Recorded, clock: Clock, visits: Visits) -> None:
    evening(recorded, clock)
    recorded("alice", count=60, **READ, records=1)
    alice, address, seen = visits("alice"), "/log", []
    for size in (50, 34):
        found = [number for line in lines(alice, address) for number in line.entries]
        rows = json.loads(alice.sees(address.replace("/log", "/log/export.json")).text)
        assert [row["number"] for row in rows] == found and len(found) == size
        assert not any("times" in row["what"] for row in rows)
        seen += found
        address = next(iter(re.findall(r'href="(/log\?before=\d+)">Older', alice.sees(address).text)), "")
    assert seen == list(range(84, 0, -1)) and not address
