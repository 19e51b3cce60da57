"""Frequency, records and uses: Mallory's app counts along, and looks for the call that is not counted."""

from typing import Any

import pytest
from bank import BASE, transactions, with_alice
from fortress import Fort, detail

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def agreed(fort: Fort, duration: str = "d30", **asked: Any) -> tuple[str, str, str]:
    """(person, token, reference of her first account)."""
    _, alice = with_alice(fort)
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL, **asked)], duration=duration)
    return alice, body["access_token"], body["authorization_details"][0]["accounts"][0]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_app_may_call_as_often_a_day_as_was_agreed_beside_the_purposes_own_daily_cap(fort: Fort, times: int) -> None:
    _, token, ref = agreed(fort, frequency={"times": times, "per": "day"})
    answers = [fort.read(token, transactions(ref)).status_code for _ in range(times + 1)]
    assert answers == [200] * times + [429]


@pytest.mark.parametrize("asked", [{"times": 3, "per": "hour"}, {"times": 7, "per": "week"}])
def test_limits_of_different_windows_bind_beside_each_other(fort: Fort, asked: dict[str, Any]) -> None:
    _, token, ref = agreed(fort, frequency=asked)
    answers = [fort.read(token, transactions(ref)).status_code for _ in range(asked["times"] + 1)]
    assert answers == [200] * asked["times"] + [429]


@pytest.mark.parametrize("query", ["?page=01", "?page=1&cursor=nothing", "?offset=00"])
def test_the_first_page_under_another_name_is_counted_again(fort: Fort, query: str) -> None:
    _, token, ref = agreed(fort, frequency={"times": 1, "per": "hour"})
    assert fort.read(token, transactions(ref)).status_code == 200
    assert fort.read(token, transactions(ref) + query).status_code == 429


def test_the_end_of_a_sharing_for_one_use_is_in_the_log_like_every_other_end(fort: Fort) -> None:
    alice, token, ref = agreed(fort, "once")
    assert fort.read(token, transactions(ref)).status_code == 200
    assert fort.read(token, transactions(ref)).json()["reason"] == "max_uses"
    assert [entry["event"] for entry in fort.log(alice)][-3:] == ["access", "consent_ended", "denied"]


@pytest.mark.parametrize("clock", [-3600, -86400 * 40])
def test_a_clock_set_back_gives_no_second_quota_of_the_same_window_and_no_access_before_the_agreement(
    fort: Fort, clock: int
) -> None:
    _, token, ref = agreed(fort, frequency={"times": 1, "per": "week"})
    assert fort.read(token, transactions(ref)).status_code == 200
    fort.clock.passes(seconds=clock)
    assert fort.read(token, transactions(ref)).status_code in (401, 403, 429)


def test_a_read_of_the_head_alone_is_a_read(fort: Fort) -> None:
    _, token, ref = agreed(fort, frequency={"times": 1, "per": "hour"})
    assert fort.read(token, transactions(ref), "HEAD").status_code == 200
    assert fort.read(token, transactions(ref)).status_code == 429


def test_what_the_organisation_failed_to_give_uses_nothing_up(fort: Fort) -> None:
    _, token, ref = agreed(fort, "once")
    good = fort.organisations.responders["harbour-bank"]
    fort.organisations.responders["harbour-bank"] = lambda *_: (500, "text/html", b"<h1>no</h1>")
    assert fort.read(token, transactions(ref)).status_code == 502
    fort.organisations.responders["harbour-bank"] = lambda *_: (200, "application/json", b'{"Data": {"Foo": 1}}')
    assert fort.read(token, transactions(ref)).status_code == 502
    fort.organisations.responders["harbour-bank"] = good
    assert fort.read(token, transactions(ref)).status_code == 200
    assert fort.read(token, f"/data/harbour-bank{BASE}/accounts").json()["reason"] == "max_uses"
