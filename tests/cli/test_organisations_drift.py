"""What an organisation sends undeclared is told to whoever runs the gateway: where, how often, since when."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import shapes
from gateway.cli.opening import opened
from gateway.organisations.undeclared import BESIDE_MOST, PLACES_MOST, Undeclareds, said

FILE = Path(__file__).parents[1] / "proxy" / "declared.toml"
AT = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


@pytest.fixture
def cap(aval: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A gateway that knows cap-mobile."""
    monkeypatch.setenv("CAP_MOBILE_SECRET", "s")
    added = aval("organisations", "add", str(FILE), "--base-url", "http://localhost:9999")
    assert added.code == 0, added.err
    return aval


def tells(*places: str, answers: int = 1, later: int = 0, organisation: str = "cap-mobile") -> None:
    found = Undeclareds()
    found._told(organisation, "telecom.calls", places, answers, AT + timedelta(minutes=later))
    with opened() as house:
        found.write(house.store)


def test_places_are_listed_with_how_often_and_the_line_to_add(cap: Callable[..., Any]) -> None:
    assert "nothing else" in cap("organisations", "drift").out
    tells("result.items.roaming", "result.items.place.floor", answers=3)
    tells("result.items.roaming", answers=2, later=5)
    rows = json.loads(cap("organisations", "drift", "cap-mobile", "--json").out)
    assert [(row["place"], row["answers"], row["line to add"]) for row in rows] == [
        ("result.items.place.floor", 3, "Place: floor:-"),
        ("result.items.roaming", 5, "PhoneCall: roaming:-"),
    ]
    told = cap("organisations", "drift", "cap-mobile").out
    assert "in [format.shapes], at the end of Place: floor:-" in told
    assert (rows[1]["since"], rows[1]["last"]) == ("2026-11-30 09:00", "2026-11-30 09:05")
    [listed] = json.loads(cap("organisations", "list", "--json").out)
    assert listed["undeclared"] == 2
    assert "in 2 places" in cap("doctor").out


def test_a_name_that_needs_quotes_is_told_as_each_kind_of_line_takes_it() -> None:
    told = said(f"Reading: {shapes.written('Code fuite', '-')}")
    assert told.startswith('in [format.shapes], at the end of Reading: "Code fuite":-')
    assert told.endswith('(or \\"Code fuite\\":- if that line is in double quotes)')
    assert said("") == ""


def test_what_was_seen_to_is_forgotten(cap: Callable[..., Any]) -> None:
    tells("result.items.roaming")
    assert "1 place forgotten" in cap("organisations", "drift", "cap-mobile", "--forget").out
    assert json.loads(cap("organisations", "drift", "--json").out) == []
    assert cap("organisations", "drift", "--forget").code == 2
    assert cap("organisations", "drift", "nobody").code != 0


def test_an_organisation_that_sends_ever_new_names_fills_no_table(cap: Callable[..., Any]) -> None:
    for begin in range(0, PLACES_MOST + 40, 20):
        tells(*(f"items.of{number}.new" for number in range(begin, begin + 20)))
    rows = json.loads(cap("organisations", "drift", "--json").out)
    assert len(rows) <= PLACES_MOST + 1 and {row["place"] for row in rows} >= {"…", "items.of0.new"}


def test_ever_new_names_in_one_object_may_be_data_and_are_not_all_told(cap: Callable[..., Any]) -> None:
    """An address book with its people's names for members, as its declaration did not say."""
    people = [f"contacts.person{chr(97 + number)}" for number in range(20)]
    for person in people:
        tells(person)
    tells("items.new", "new")
    places = [row["place"] for row in json.loads(cap("organisations", "drift", "--json").out)]
    assert sorted(places) == sorted([*people[:BESIDE_MOST], "contacts.…", "items.new", "new"])
    assert (
        next(row for row in json.loads(cap("organisations", "drift", "--json").out) if row["place"] == "contacts.…")[
            "answers"
        ]
        == len(people) - BESIDE_MOST
    )


def test_what_refuses_answers_keeps_its_name_and_types_of_data_do_not_share_the_limit(cap: Callable[..., Any]) -> None:
    tells(*(f"items.new{chr(97 + number)}" for number in range(BESIDE_MOST)))
    found = Undeclareds()
    found.refused("cap-mobile", "telecom.calls", "items.length")
    found._told("cap-mobile", "telecom.bills", ("items.other",), 1, AT)
    with opened() as house:
        found.write(house.store)
    places = {row["place"] for row in json.loads(cap("organisations", "drift", "--json").out)}
    assert {"items.length", "items.other"} <= places and "items.…" not in places


def test_of_an_organisation_that_has_gone_nothing_is_kept(cap: Callable[..., Any]) -> None:
    tells("items.new", organisation="nobody")
    assert json.loads(cap("organisations", "drift", "--json").out) == []


def test_answers_that_were_refused_are_listed_by_the_place_they_were_refused_for(cap: Callable[..., Any]) -> None:
    found = Undeclareds()
    for position in range(3):
        found.refused("cap-mobile", "telecom.calls", f"result.items[{position}].length")
    found.refused("cap-mobile", "telecom.calls", "")
    with opened() as house:
        found.write(house.store)
    tells("result.items.roaming")
    rows = {row["place"]: row for row in json.loads(cap("organisations", "drift", "--json").out)}
    assert rows["result.items.length"]["answers"] == 3 and rows["result.items.length"]["line to add"] == ""
    assert {place: row["then"] for place, row in rows.items()} == {
        "result.items.length": "the answer is refused",
        "the whole answer": "the answer is refused",
        "result.items.roaming": "it is left out",
    }
    assert "nothing else" not in cap("organisations", "drift").out


def test_the_organisations_contact_is_written_to_in_both_languages(cap: Callable[..., Any]) -> None:
    assert "nothing else" in cap("organisations", "drift", "cap-mobile", "--letter").out
    tells("result.items.roaming", answers=3)
    found = Undeclareds()
    found.refused("cap-mobile", "telecom.calls", "result.items[7].length")
    with opened() as house:
        found.write(house.store)
    said = cap("organisations", "drift", "cap-mobile", "--letter").out
    assert said.startswith("privacy@cap-mobile.example\n")
    assert "result.items.roaming (telecom.calls) : 3 réponses, depuis le 30/11/2026" in said
    assert "result.items.roaming (telecom.calls): 3 answers, since 30 November 2026" in said
    assert "result.items.length (telecom.calls): 1 answer," in said and "[7]" not in said
    assert cap("organisations", "drift", "--letter").code == 2
