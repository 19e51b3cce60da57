"""What an app may ask for: shape, registration, caps. A request above a cap is refused with what would be allowed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import Catalogue
from gateway.consent.facts import AppView
from gateway.consent.request import Ask, InvalidDetails, validate
from gateway.settings import shipped_policies
from tests.worlds.consent import (
    CITY_ENERGY,
    CLEAR_BUDGET,
    FOR,
    HARBOUR_BANK,
    MEADOW_HEALTH,
    START,
    URL,
    WATT_COACH,
    energy_details,
)

DIRECTORY = {one.id: one for one in (CITY_ENERGY, HARBOUR_BANK, MEADOW_HEALTH)}
USAGE_ONLY = {"datatypes": ["energy.electricity.usage"]}


@pytest.fixture
def check(catalogue: Catalogue) -> Callable[..., Ask]:
    def run(details: list[Any], app: AppView = WATT_COACH) -> Ask:
        return validate(details, app, DIRECTORY, catalogue, URL)

    return run


def test_a_request_within_everything_becomes_an_ask(check: Callable[..., Ask]) -> None:
    ask = check(energy_details())
    assert [item.dataset for item in ask.items] == [
        "energy.electricity.usage",
        "energy.electricity.summary",
        "energy.point",
    ]
    assert [item.necessity for item in ask.items] == ["required", "optional", "optional"]
    assert ask.items[0].reason == FOR


def test_an_ask_survives_being_written_down(check: Callable[..., Ask]) -> None:
    ask = check(energy_details())
    assert Ask.from_json(ask.as_json()) == ask


def test_structural_fields_come_along_unasked(check: Callable[..., Ask]) -> None:
    ask = check(energy_details(**USAGE_ONLY, fields=["interval.value"]))
    assert ask.items[0].fields == ("interval.start", "interval.value")


@pytest.mark.parametrize(
    ("change", "term", "allowed"),
    [
        ({"valid_for": "P13M"}, "valid_for", "P12M"),
        ({"retention": "P2Y"}, "retention", "P12M"),
        ({"period": {"history": "P37M"}}, "period.history", "P36M"),
        ({"frequency": {"times": 25, "per": "day"}}, "frequency", "24 per day"),
        ({"frequency": {"times": 30, "per": "hour"}}, "frequency", "24 per day"),
        ({"purpose": "world-domination"}, "purpose", "energy-advice health-records household-budget sign-in"),
    ],
)
def test_above_a_cap_is_refused_and_says_what_is_allowed(
    check: Callable[..., Ask], change: dict[str, Any], term: str, allowed: str
) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(**change))
    assert (refused.value.term, refused.value.allowed) == (term, allowed)


def test_at_the_cap_is_allowed(check: Callable[..., Ask]) -> None:
    at_cap = energy_details(
        valid_for="P12M", retention="P12M", period={"history": "P36M"}, frequency={"times": 24, "per": "day"}
    )
    assert check(at_cap).valid_for == "P12M"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "account_information"},
        {"actions": ["read", "write"]},
        {"actions": []},
        {"extra": True},
        {"locations": []},
        {"locations": ["https://elsewhere.example/data/city-energy"]},
        {"locations": [f"{URL}/data/nobody"]},
        {"datatypes": ["bank.accounts"]},
        {"datatypes": ["energy.electricity.usage"] * 2},
        {"period": {}},
        {"period": {"history": "P1M", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}},
        {"period": {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}},
        {"period": {"from": "2026-01-01T00:00:00", "to": "2026-02-01T00:00:00"}},
        {"period": {"from": "yesterday", "to": "today"}},
        {"frequency": {"times": 0, "per": "day"}},
        {"frequency": {"times": 1, "per": "second"}},
        {"valid_for": "for ever"},
        {"valid_for": "P\u0663M"},  # a digit, but not one of ISO 8601
        {"fields": ["interval.value", "no.such.field"]},
        {"max_records": 0},
        {"reason": {"fr": "x" * 141, "en": "x"}},
        {"reason": {"en": "only English"}},
        {"purpose": "household-budget"},
    ],
)
def test_bad_details_are_refused_with_a_reason_in_ascii(check: Callable[..., Ask], change: dict[str, Any]) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(**change))
    assert refused.value.why.isascii() and refused.value.why


@pytest.mark.parametrize(
    ("name", "told"),
    [("extra", "extra"), ("data-set_2", "data-set_2"), ("<b>", ""), ("\u00e9t\u00e9", ""), ("x" * 41, ""), ("", "")],
)
def test_a_member_that_is_not_known_is_named_if_its_name_can_be_told_back(
    check: Callable[..., Ask], name: str, told: str
) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(**{name: "secret"}))
    assert (refused.value.term, refused.value.asked) == ("[0]", told) and "accounts" in refused.value.allowed.split()
    with pytest.raises(InvalidDetails) as within:
        check(energy_details(period={"history": "P1M", name: True}))
    assert (within.value.term, within.value.asked) == ("[0].period", told)
    assert within.value.allowed == "history from to future"


def test_of_several_limits_the_first_is_asked_and_the_others_hold_anyway(check: Callable[..., Ask]) -> None:
    caps = {"times": 24, "per": "day"}
    ask = check(energy_details(frequency=[{"times": 100, "per": "week"}, caps]))
    assert {item.frequency for item in ask.items} == {(100, "week")}
    assert {item.frequency for item in check(energy_details(frequency=[])).items} == {None}
    for others in ([{"times": 23, "per": "day"}], [caps, {"times": 1, "per": "year"}], [{"times": 25, "per": "day"}]):
        with pytest.raises(InvalidDetails) as refused:
            check(energy_details(frequency=[{"times": 100, "per": "week"}, *others]))
        assert (refused.value.term, refused.value.allowed) == ("frequency", "24 per day")


@pytest.mark.parametrize(
    ("until", "asked"),
    [("2026-04-02T09:30:00Z", "P1D"), ("2026-05-01T09:29:59+00:00", "P29D"), ("2027-04-01T09:30:00+00:00", "P365D")],
)
def test_an_end_becomes_whole_days_that_end_no_later(catalogue: Catalogue, until: str, asked: str) -> None:
    details = energy_details(valid_until=until)
    del details[0]["valid_for"]
    assert validate(details, WATT_COACH, DIRECTORY, catalogue, URL, START).valid_for == asked


@pytest.mark.parametrize(
    "until",
    ["2026-04-02T09:29:59Z", "2026-05-01T09:30:00", "soon", "0001-01-01T00:00:00Z", "2027-04-03T09:30:00Z", 5, None],
)
def test_an_end_that_is_over_or_above_the_cap_is_refused(catalogue: Catalogue, until: object) -> None:
    details = energy_details(valid_until=until)
    with pytest.raises(InvalidDetails):  # both are said
        validate(details, WATT_COACH, DIRECTORY, catalogue, URL, START)
    del details[0]["valid_for"]
    with pytest.raises(InvalidDetails) as refused:
        validate(details, WATT_COACH, DIRECTORY, catalogue, URL, START)
    assert refused.value.term in ("valid_until", "[0].valid_until", "valid_for")


@pytest.mark.parametrize("details", [[], [None], ["data_access"], [[]], [{"type": "data_access"}]])
def test_what_is_no_request_at_all_is_refused(check: Callable[..., Ask], details: list[Any]) -> None:
    with pytest.raises(InvalidDetails):
        check(details)


def test_an_item_is_required_only_if_registered_so(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(necessity="required"))
    assert (refused.value.term, refused.value.allowed) == ("necessity", "optional")


def test_a_required_item_may_be_asked_as_optional(check: Callable[..., Ask]) -> None:
    assert {item.necessity for item in check(energy_details(necessity="optional")).items} == {"optional"}


def test_a_field_the_app_did_not_register_is_refused(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(**USAGE_ONLY, fields=["interval.cost"]))
    assert refused.value.term == "fields"


def test_data_the_app_did_not_register_is_refused(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check(energy_details(), replace(WATT_COACH, data=WATT_COACH.data[:1]))
    assert refused.value.term == "datatypes"


def test_a_purpose_the_app_is_not_registered_for_is_refused(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails):
        check(energy_details(), replace(CLEAR_BUDGET, data=WATT_COACH.data))


def test_one_request_carries_one_purpose(check: Callable[..., Ask]) -> None:
    first, second = energy_details(**USAGE_ONLY), energy_details(datatypes=["energy.point"], purpose="household-budget")
    with pytest.raises(InvalidDetails) as refused:
        check([*first, *second])
    assert refused.value.term == "purpose"


def test_the_same_data_twice_in_one_request_is_refused(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails):
        check([*energy_details(**USAGE_ONLY), *energy_details(**USAGE_ONLY)])


def test_two_objects_of_a_request_agree_on_how_long_and_how_kept(check: Callable[..., Ask]) -> None:
    with pytest.raises(InvalidDetails) as refused:
        check([*energy_details(**USAGE_ONLY), *energy_details(datatypes=["energy.point"], valid_for="P1M")])
    assert refused.value.term == "valid_for"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(energy_details()[0])), _json, max_size=4))
def test_whatever_is_sent_is_an_ask_or_refused_and_never_a_fault(change: dict[str, Any]) -> None:
    details = json.loads(json.dumps(energy_details(**change)))
    try:
        ask = validate(details, WATT_COACH, DIRECTORY, _CATALOGUE, URL)
    except InvalidDetails:
        return
    assert {item.dataset for item in ask.items} <= set(CITY_ENERGY.datasets)


_CATALOGUE = Catalogue(shipped_policies())
