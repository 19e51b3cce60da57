"""Frequency, records and uses: Mallory's app counts along, and looks for the call that is not counted."""

from typing import Any

import pytest
from security_world import BASE, World, detail, transactions, with_alice

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def agreed(world: World, duration: str = "d30", **asked: Any) -> tuple[str, str, str]:
    """(person, token, reference of her first account)."""
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL, **asked)], duration=duration)
    return alice, body["access_token"], body["authorization_details"][0]["accounts"][0]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_app_may_call_as_often_a_day_as_was_agreed_beside_the_purposes_own_daily_cap(
    world: World, times: int
) -> None:
    _, token, ref = agreed(world, frequency={"times": times, "per": "day"})
    answers = [world.read(token, transactions(ref)).status_code for _ in range(times + 1)]
    assert answers == [200] * times + [429]


@pytest.mark.parametrize("asked", [{"times": 3, "per": "hour"}, {"times": 7, "per": "week"}])
def test_limits_of_different_windows_bind_beside_each_other(world: World, asked: dict[str, Any]) -> None:
    _, token, ref = agreed(world, frequency=asked)
    answers = [world.read(token, transactions(ref)).status_code for _ in range(asked["times"] + 1)]
    assert answers == [200] * asked["times"] + [429]


@pytest.mark.parametrize("query", ["?page=01", "?page=1&cursor=nothing", "?offset=00"])
def test_the_first_page_under_another_name_is_counted_again(world: World, query: str) -> None:
    _, token, ref = agreed(world, frequency={"times": 1, "per": "hour"})
    assert world.read(token, transactions(ref)).status_code == 200
    assert world.read(token, transactions(ref) + query).status_code == 429


def test_the_end_of_a_sharing_for_one_use_is_in_the_log_like_every_other_end(world: World) -> None:
    alice, token, ref = agreed(world, "once")
    assert world.read(token, transactions(ref)).status_code == 200
    assert world.read(token, transactions(ref)).json()["reason"] == "max_uses"
    assert [entry["event"] for entry in world.log(alice)][-3:] == ["access", "consent_ended", "denied"]


@pytest.mark.parametrize("clock", [-3600, -86400 * 40])
def test_a_clock_set_back_gives_no_second_quota_of_the_same_window_and_no_access_before_the_agreement(
    world: World, clock: int
) -> None:
    _, token, ref = agreed(world, frequency={"times": 1, "per": "week"})
    assert world.read(token, transactions(ref)).status_code == 200
    world.clock.passes(seconds=clock)
    assert world.read(token, transactions(ref)).status_code in (401, 403, 429)


def test_a_read_of_the_head_alone_is_a_read(world: World) -> None:
    _, token, ref = agreed(world, frequency={"times": 1, "per": "hour"})
    assert world.read(token, transactions(ref), "HEAD").status_code == 200
    assert world.read(token, transactions(ref)).status_code == 429


def test_what_the_organisation_failed_to_give_uses_nothing_up(world: World) -> None:
    _, token, ref = agreed(world, "once")
    good = world.organisations.responders["harbour-bank"]
    world.organisations.responders["harbour-bank"] = lambda *_: (500, "text/html", b"<h1>no</h1>")
    assert world.read(token, transactions(ref)).status_code == 502
    world.organisations.responders["harbour-bank"] = lambda *_: (200, "application/json", b'{"Data": {"Foo": 1}}')
    assert world.read(token, transactions(ref)).status_code == 502
    world.organisations.responders["harbour-bank"] = good
    assert world.read(token, transactions(ref)).status_code == 200
    assert world.read(token, f"/data/harbour-bank{BASE}/accounts").json()["reason"] == "max_uses"
