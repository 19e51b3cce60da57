"""An organisation that can send fewer members is asked for those that are given, and for what judges records."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.proxy.blurred import ALL, Blurred, call, page
from tests.proxy.raw import Exchange, answer

GIVEN = ["call.line", "call.month", "call.price", "call.noted"]


def asked(blurred: Blurred) -> list[list[str]]:
    """The members that were asked for, call by call."""
    return [parse_qs(urlsplit(each.target).query)["fields"][0].split(",") for each in blurred.organisation.seen]


def says_what_is_asked(blurred: Blurred, **beside: str) -> None:
    """As an organisation that does send no more than is asked for."""

    async def behave(exchange: Exchange) -> None:
        names = parse_qs(urlsplit(exchange.target).query)["fields"][0].split(",")
        more = beside if "cursor" not in exchange.target else {}
        await exchange.say(answer(page({name: value for name, value in call().items() if name in names}, **more)))

    blurred.organisation.behaviour = behave


def test_no_more_than_was_agreed_leaves_the_organisation(blurred: Blurred) -> None:
    says_what_is_asked(blurred)
    given = blurred.agrees("blurred.calls", GIVEN).reads()
    assert given.status == 200, given.body
    assert asked(blurred) == [["at", "line", "price", "tax", "note"]]
    [record] = given.json["items"]
    assert record == {"at": "2026-10", "line": blurred.ref, "price": 0.1234, "tax": "0.3737", "note": True}


def test_an_app_may_choose_and_never_away_what_records_are_judged_by(blurred: Blurred) -> None:
    says_what_is_asked(blurred)
    given = blurred.agrees("blurred.calls", GIVEN).reads(query="?fields=price")
    assert asked(blurred) == [["price", "at", "line", "note"]], "that there is no note could not be told else"
    [record] = given.json["items"]
    assert record == {"at": "2026-10", "line": blurred.ref, "price": 0.1234, "note": True}


@pytest.mark.parametrize(
    "wrong", ["partner", "price,partner", "place", "Place/latitude", "*", "price,,..", "%2A", ",", ",,"]
)
def test_an_app_chooses_among_what_is_given_and_nothing_else(blurred: Blurred, wrong: str) -> None:
    refused = blurred.agrees("blurred.calls", GIVEN).reads(query=f"?fields={wrong}")
    assert (refused.status, refused.reason) == (403, "field") and not blurred.organisation.seen


def test_what_an_organisation_sends_beyond_what_it_was_asked_for_stays_here(blurred: Blurred) -> None:
    blurred.says(call())
    [record] = blurred.agrees("blurred.calls", GIVEN).reads(query="?fields=price").json["items"]
    assert "partner" not in record and "place" not in record


def test_following_pages_have_what_was_chosen_as_far_as_it_is_still_given(blurred: Blurred) -> None:
    says_what_is_asked(blurred, next="key-2")
    first = blurred.agrees("blurred.calls", GIVEN).reads(query="?fields=price,tax")
    token = urlsplit(first.headers["link"].split(">")[0].removeprefix("<")).query
    assert "price" not in token
    second = blurred.reads(query=f"?{token}")
    assert second.status == 200, second.body
    assert list(map(sorted, asked(blurred))) == [["at", "line", "note", "price", "tax"]] * 2
    blurred.agrees("blurred.calls", ["call.line", "call.month"])
    third = blurred.reads(query=f"?{token}")
    assert third.status == 200 and asked(blurred)[-1] == ["at", "line"]
    assert blurred.reads(query=f"?{token}&fields=at").status == 403


def test_for_an_answer_only_what_it_is_made_of_is_asked_for(blurred: Blurred) -> None:
    says_what_is_asked(blurred)
    [total] = blurred.agrees("blurred.monthly", ALL).reads("monthly").json
    assert total["sum"] == "0.1234" and asked(blurred) == [["at", "line", "price"]]
    refused = blurred.reads("monthly", "?fields=price")
    assert (refused.status, refused.reason) == (403, "field")
