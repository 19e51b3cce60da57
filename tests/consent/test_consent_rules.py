"""The life cycle as a table, durations and the choices a person is offered."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.consent import rules, terms
from gateway.consent.request import Ask
from gateway.consent.rules import Act, ImpossibleAct, State, advance
from gateway.ground.calendar import ages, durations
from gateway.ground.calendar.instants import local_day
from gateway.settings import Settings

NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)


def an_ask(valid_for: str, once: bool = False) -> Ask:
    return Ask("app", "ab", "purpose", 1, (), valid_for, once, "P1M")


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("act", Act)
def test_only_the_acts_of_the_table_move_a_consent(state: State, act: Act) -> None:
    if (state, act) in rules.NEXT:
        assert advance(state, act) == rules.NEXT[state, act]
    else:
        with pytest.raises(ImpossibleAct):
            advance(state, act)


def test_what_has_ended_or_was_refused_never_moves_again() -> None:
    assert not [act for state, act in rules.NEXT if state in (State.ENDED, State.REFUSED)]


def test_every_state_can_be_reached_from_requested() -> None:
    reached = {State.REQUESTED}
    for _ in State:
        reached |= {after for (before, _), after in rules.NEXT.items() if before in reached}
    assert reached == set(State)


@pytest.mark.parametrize(
    ("born", "grown_up"),
    [
        (date(2012, 5, 1), datetime(2027, 4, 30, 22, tzinfo=UTC)),  # midnight in Paris
        (date(2012, 2, 29), datetime(2027, 2, 28, 23, tzinfo=UTC)),  # no 29 February that year: the day after the 28th
        (date(2012, 12, 31), datetime(2027, 12, 30, 23, tzinfo=UTC)),
    ],
)
def test_a_person_comes_of_age_at_the_first_instant_of_her_birthday(born: date, grown_up: datetime) -> None:
    settings = Settings()
    assert ages.comes_of_age(born, settings) == grown_up
    assert not ages.minor_now(born, grown_up, settings)
    assert ages.minor_now(born, grown_up - timedelta(seconds=1), settings)


def test_at_half_past_eleven_in_the_evening_by_utc_it_is_tomorrow_in_paris() -> None:
    assert local_day(datetime(2026, 10, 30, 23, 30, tzinfo=UTC), "Europe/Paris") == date(2026, 10, 31)
    assert local_day(datetime(2026, 10, 30, 23, 30, tzinfo=UTC), "UTC") == date(2026, 10, 30)


@pytest.mark.parametrize(
    ("text", "months", "days"),
    [("P13M", 13, 0), ("P1Y", 12, 0), ("P1Y6M", 18, 0), ("P2W", 0, 14), ("P90D", 0, 90), ("P1M10D", 1, 10)],
)
def test_a_duration_of_calendar_parts_is_read(text: str, months: int, days: int) -> None:
    assert durations.parse(text) == durations.Duration(months, days)


@pytest.mark.parametrize("text", ["", "P", "P0D", "PT1H", "P1M ", "-P1M", "P1.5M", "P200Y", "1M", "P1D1M", "p1m"])
def test_anything_else_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError):
        durations.parse(text)


def test_a_month_before_the_31st_of_march_is_the_last_day_of_february() -> None:
    assert durations.parse("P1M").before(datetime(2026, 3, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)


@given(st.integers(1, 600), st.integers(0, 3000), st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))
def test_going_forward_moves_by_at_least_the_days_a_duration_surely_has(months: int, days: int, at: datetime) -> None:
    passed = durations.parse(f"P{months}M{days}D" if days else f"P{months}M").after(at) - at
    assert timedelta(days=28 * months + days) <= passed <= timedelta(days=31 * months + days)


@given(st.integers(1, 36525))
def test_at_most_four_durations_are_offered_once_among_them_and_none_beyond_what_was_asked(days: int) -> None:
    ask = an_ask(f"P{days}D")
    offered = terms.offered_durations(ask)
    assert offered[0] == "once"
    assert 2 <= len(offered) <= rules.OFFERED_DURATIONS
    for key in offered:
        assert terms.until(ask, key, NOW) <= NOW + timedelta(days=days)


def test_an_app_that_asks_for_one_use_offers_nothing_longer() -> None:
    assert terms.offered_durations(an_ask("P6M", once=True)) == ("once",)


def test_once_ends_after_a_day_even_if_unused() -> None:
    assert terms.until(an_ask("P6M"), "once", NOW) == NOW + timedelta(hours=24)


def test_there_is_no_for_ever() -> None:
    assert max(days for _, days in rules.DURATIONS if days) <= 366
