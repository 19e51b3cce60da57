"""The searches an app may make: those of CARIN Blue Button, as far as they cannot widen what was agreed."""

import json

import pytest
from fhir.resources.R4B.bundle import Bundle
from format_documents import (
    ALWAYS,
    HEALTH,
    MINE,
    OTHER,
    TYPES,
    YEAR,
    asked,
    bundle,
    claim,
    granted,
    patient,
    plan,
    sent,
)

from gateway.formats.fhir.calls import FHIR_ID
from gateway.formats.model import Account, Denied, NotThere, Upstream
from gateway.formats.names import AccountNames

CLAIMS = "/ExplanationOfBenefit"
SPELT = MINE.ref.replace("_", "-")
MATE = Account("native-4712", "pairwise_ref-of-aliceC")
WHOSE = ("patient", MINE.native)


@pytest.mark.parametrize(
    ("query", "sent_on"),
    [
        ([("patient", SPELT)], [WHOSE]),
        ([("patient", f"Patient/{MINE.ref}")], [WHOSE]),
        ([("_id", "claim-1")], [WHOSE, ("_id", "claim-1")]),
        ([("_id", "claim-1,claim-2")], [WHOSE, ("_id", "claim-1,claim-2")]),
        ([("_id", f"eob-{SPELT}")], [WHOSE, ("_id", f"eob-{MINE.native}")]),
        ([("identifier", "https://x.example/ids|4711")], [WHOSE, ("identifier", "https://x.example/ids|4711")]),
        ([("type", "http://x.example/types|pharmacy,oral")], [WHOSE, ("type", "http://x.example/types|pharmacy,oral")]),
        ([("_lastUpdated", "ge2025-01-01")], [WHOSE, ("_lastUpdated", "ge2025-01-01")]),
        (
            [("_lastUpdated", "ge2025-01-01"), ("_lastUpdated", "lt2025-02-01T00:00:00Z")],
            [WHOSE, ("_lastUpdated", "ge2025-01-01"), ("_lastUpdated", "lt2025-02-01T00:00:00Z")],
        ),
        ([("_lastUpdated", "sa2025")], [WHOSE, ("_lastUpdated", "sa2025")]),
        ([("_count", "10")], [WHOSE, ("_count", "10")]),
        ([("_count", "1000")], [WHOSE, ("_count", "50")]),
        ([("_format", "application/fhir+json")], [WHOSE, ("_format", "application/fhir+json")]),
        ([("startIndex", "10")], [WHOSE, ("startIndex", "10")]),
    ],
)
def test_a_search_that_cannot_widen_is_taken(query, sent_on):
    call = sent(plan(granted("health.claims")), "health", CLAIMS, *query)
    assert sorted(call.query) == sorted(sent_on) and not call.continues


@pytest.mark.parametrize(
    ("query", "dates"),
    [
        ([], ["ge2025-01-01", "le2026-01-01"]),
        ([("service-date", "ge2025-03-01"), ("service-date", "lt2025-04-01")], ["ge2025-03-01", "le2025-03-31"]),
        ([("service-date", "ge1999-01-01"), ("service-date", "le2030-04-01")], ["ge2025-01-01", "le2026-01-01"]),
        ([("service-date", "2025-03")], ["ge2025-03-01", "le2025-03-31"]),
    ],
)
def test_dates_of_care_are_never_wider_than_the_agreed_period(query, dates):
    call = sent(plan(granted("health.claims")), "health", CLAIMS, *query, window=YEAR)
    assert [value for name, value in call.query if name == "service-date"] == dates


@pytest.mark.parametrize(
    ("query", "without", "reason", "term"),
    [
        ([("_lastUpdated", "ge2025")] * 3, (), "field", "query"),
        ([("_lastUpdated", "ge2025,lt2024")], (), "field", "_lastUpdated"),
        ([("_lastUpdated", "soon")], (), "field", "_lastUpdated"),
        ([("service-date", "ge2025")] * 3, (), "field", "query"),
        ([("service-date", "ge0001-01-01T00:00:00+23:00")], (), "period", "service-date"),
        ([("service-date", "ge2025-06-01"), ("service-date", "lt2025-05-01")], (), "period", "service-date"),
        ([("_id", "claim-1"), ("_id", "claim-2")], (), "field", "query"),
        ([("_id", "claim-1|x")], (), "field", "_id"),
        ([("_id", "claim-1")], ("claims.ids",), "field", "fields"),
        ([("identifier", "4711")], ("claims.ids",), "field", "fields"),
        ([("type", "pharmacy")], ("claims.type",), "field", "fields"),
        ([("type:not", "pharmacy")], (), "field", "query"),
        ([("patient:missing", "true")], (), "field", "query"),
        ([("patient", MINE.native)], (), "account", "accounts"),
        ([("patient", f"{SPELT},{OTHER.ref}")], (), "account", "accounts"),
        ([("patient", SPELT), ("patient", OTHER.ref)], (), "field", "query"),
        ([("patient.identifier", "4711")], (), "field", "query"),
        ([("_include", "ExplanationOfBenefit:provider")], (), "field", "query"),
        ([("_include", "*")], (), "field", "query"),
        ([("_revinclude", "Provenance:target")], (), "field", "query"),
        ([("_has:Coverage:beneficiary:status", "active")], (), "field", "query"),
        ([("_elements", "id")], (), "field", "query"),
        ([("_sort", "created")], (), "field", "query"),
        ([("_count", "many")], (), "field", "_count"),
    ],
)
def test_a_search_that_could_tell_or_bring_more_is_refused_with_the_term(query, without, reason, term):
    found = plan(granted("health.claims", without)).request(asked("health", CLAIMS, *query), YEAR)
    assert isinstance(found, Denied) and (found.reason, found.term) == (reason, term)


def test_a_person_is_searched_by_her_reference_and_nobody_else_is():
    of = plan(granted("health.person", (), (MINE, MATE)))
    assert sent(of, "health", "/Patient").query == (("_id", f"{MINE.native},{MATE.native}"),), "either of them"
    for spelling in (MINE.ref, SPELT):
        call = sent(of, "health", "/Patient", ("_id", spelling))
        assert call.query == (("_id", MINE.native),) and call.accounts == (MINE,)
    alone = sent(plan(granted("health.person")), "health", "/Patient")
    assert alone.query == (("_id", MINE.native),)
    for wrong in (MINE.native, OTHER.ref, f"{SPELT},{OTHER.ref}", ""):
        assert isinstance(of.request(asked("health", "/Patient", ("_id", wrong)), ALWAYS), Denied)
    for name in ("identifier", "name", "birthdate"):
        assert isinstance(of.request(asked("health", "/Patient", (name, "x")), ALWAYS), Denied)
    found = of.cut(call, TYPES["health"], bundle([patient()]), ALWAYS)
    Bundle.model_validate_json(found.body)
    assert json.loads(found.body)["entry"][0]["resource"]["id"] == SPELT


def test_a_plan_is_searched_by_its_number_only_where_numbers_are_given():
    call = sent(plan(granted("health.coverage")), "health", "/Coverage", ("_id", f"part-a-{SPELT}"))
    assert call.query == (("beneficiary", MINE.native), ("_id", f"part-a-{MINE.native}"))
    query = asked("health", "/Coverage", ("_id", "part-a-1"))
    found = plan(granted("health.coverage", ["coverage.ids"])).request(query, ALWAYS)
    assert isinstance(found, Denied) and found.asked == "coverage.ids"


@pytest.mark.parametrize("dataset", HEALTH)
def test_both_ends_of_a_time_of_change_are_taken_in_every_search(dataset):
    query = (("_lastUpdated", "ge2025-01-01"), ("_lastUpdated", "le2025-02-01"))
    found = plan(granted(dataset)).request(asked("health", HEALTH[dataset][0], *query), ALWAYS)
    assert isinstance(found, Upstream) and set(query) <= set(found.query)


def test_a_search_says_as_what_it_was_understood():
    of = plan(granted("health.claims"))
    call = sent(of, "health", CLAIMS, ("_count", "1000"), ("service-date", "ge1999-01-01"), window=YEAR)
    (own,) = {link["url"] for link in json.loads(of.cut(call, TYPES["health"], bundle([claim()]), YEAR).body)["link"]}
    assert own.endswith(f"?service-date=ge2025-01-01&service-date=le2026-01-01&patient={SPELT}&_count=50")


def test_two_persons_are_searched_together_and_each_alone():
    of = plan(granted("health.claims", (), (MINE, MATE)))
    both = sent(of, "health", CLAIMS, ("patient", f"{MINE.ref},{MATE.ref}"))
    assert both.accounts == (MINE, MATE) and ("patient", f"{MINE.native},{MATE.native}") in both.query
    assert ("patient", MATE.native) in sent(of, "health", CLAIMS, ("patient", f"Patient/{MATE.ref}")).query


def test_no_reference_begins_or_ends_with_what_no_path_may():
    for ref in ("_begins", "ends_", "_"):
        names = AccountNames((Account("native", ref),), spell=FHIR_ID)
        assert names.ref["native"].strip("-").strip(".") == ref.strip("_") and "." not in names.ref["native"]


@pytest.mark.parametrize("path", ["/_search", "/_history", "/$everything", "/a_b"])
def test_what_is_no_id_is_not_asked_for(path):
    of = plan(granted("health.claims"))
    assert isinstance(of.request(asked("health", CLAIMS + path), ALWAYS), Denied)


def test_a_claim_of_another_person_is_not_there():
    """Else whether a number is a claim of somebody's could be found out."""
    of = plan(granted("health.claims"))
    call = sent(of, "health", f"{CLAIMS}/eob-1")
    body = json.dumps(claim() | {"patient": {"reference": "Patient/somebody-else"}}).encode()
    with pytest.raises(NotThere):
        of.cut(call, TYPES["health"], body, ALWAYS)


def test_a_slash_behind_a_search_is_no_other_search():
    of = plan(granted("health.claims"))
    assert sent(of, "health", f"{CLAIMS}/").path == sent(of, "health", CLAIMS).path


def test_the_number_of_all_is_not_told():
    refused = plan(granted("health.claims")).request(asked("health", CLAIMS, ("_count", "0")), ALWAYS)
    assert isinstance(refused, Denied) and refused.term == "_count"
