"""The fixed rules of policies/, and that they fail closed."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.policy import Policies, PolicyError, PolicyFacts
from gateway.policy.cedar import REASON_OF

POLICIES = Path(__file__).parents[2] / "policies"

FINE = PolicyFacts(
    person="alice",
    minor=False,
    app="watt-coach",
    app_active=True,
    app_purposes=("energy-advice",),
    organisation="city-energy",
    organisation_active=True,
    purpose="energy-advice",
    sensitivity="none",
)


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(POLICIES)


def test_an_app_in_order_may_ask_and_read_and_a_person_may_agree(policies: Policies) -> None:
    assert [policies.decide(action, FINE).permitted for action in ("ask", "agree", "read")] == [True, True, True]


@pytest.mark.parametrize("action", ["ask", "agree", "read"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"app_active": False}, "suspended"),
        ({"organisation_active": False}, "suspended"),
        ({"purpose": "marketing"}, "purpose"),
    ],
)
def test_a_suspended_party_or_a_foreign_purpose_gets_nothing(policies, action, change, reason) -> None:
    decision = policies.decide(action, replace(FINE, **change), recent_sign_in=True)
    assert (decision.permitted, decision.reason) == (False, reason)


@pytest.mark.parametrize("sensitivity", ["sensitive", "special"])
def test_sensitive_data_needs_a_recent_sign_in(policies: Policies, sensitivity: str) -> None:
    sensitive = replace(FINE, sensitivity=sensitivity)
    assert policies.decide("agree", sensitive).reason == "strong_sign_in_needed"
    assert policies.decide("agree", sensitive, recent_sign_in=True).permitted
    assert policies.decide("read", sensitive).permitted, "an app reads while the person is away"


def test_an_under_age_account_needs_its_guardian_to_agree_and_to_be_read(policies: Policies) -> None:
    minor = replace(FINE, minor=True)
    assert not policies.decide("agree", minor, recent_sign_in=True).permitted
    assert not policies.decide("read", minor).permitted
    agreed = replace(minor, guardian_agreed=True)
    assert policies.decide("agree", agreed, recent_sign_in=True).permitted
    assert policies.decide("read", agreed).permitted


def test_a_condition_that_errs_refuses_instead_of_being_skipped(tmp_path: Path) -> None:
    for name in ("schema.cedarschema", "aval.cedar"):
        (tmp_path / name).write_text((POLICIES / name).read_text())
    overflow = "forbid (principal, action, resource is Sharing) when { 9223372036854775807 + 1 > 0 };"
    (tmp_path / "zz.cedar").write_text(f'@id("errs")\n{overflow}')
    decision = Policies(tmp_path).decide("read", FINE)
    assert not decision.permitted


def test_facts_that_do_not_fit_the_schema_refuse(policies: Policies) -> None:
    assert not policies.decide("read", replace(FINE, minor="yes")).permitted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "broken",
    [
        "permit (principal, action, resource",
        'permit (principal is Person, action, resource) when { principal.nmae == "x" };',
    ],
)
def test_the_gateway_does_not_start_with_policies_that_do_not_parse_or_fit(tmp_path: Path, broken: str) -> None:
    (tmp_path / "schema.cedarschema").write_text((POLICIES / "schema.cedarschema").read_text())
    (tmp_path / "broken.cedar").write_text(broken)
    with pytest.raises(PolicyError):
        Policies(tmp_path)


def test_every_forbidding_rule_has_a_reason_for_apps() -> None:
    text = (POLICIES / "aval.cedar").read_text()
    forbidding = [block.split('"')[0] for block in text.split('@id("')[1:] if "forbid (" in block]
    assert len(forbidding) == 5 and set(forbidding) == set(REASON_OF)
