"""What comes with the matches of a search: warnings, included resources, and members of the page that mean nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir_insurer import Insurer, resources
from format_documents import ALWAYS, FOREIGN, HEALTH, MINE, TYPES, claim, coverage, granted, patient, plan, sent

from gateway.formats.model import Cut, UnknownShape

SPELT = MINE.ref.replace("_", "-")
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "warning", "code": "not-supported", "diagnostics": "outcome-never"}],
}
DOCTOR = {
    "resourceType": "Practitioner",
    "id": "d1",
    "name": [{"family": "included-never"}],
    "modifierExtension": [],
    "photo": [{"title": "included-never"}],
}


def match(record: dict, **more: Any) -> dict:
    return {"resource": record, "search": {"mode": "match", "score": 1}} | more


def with_mode(record: dict, mode: str) -> dict:
    return {"resource": record, "search": {"mode": mode}}


def cut(*entries: dict, dataset: str = "health.claims", **parts: Any) -> Cut:
    """By an insurer that is strict."""
    document = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": list(entries)} | parts
    of = plan(granted(dataset), strict=True)
    call = sent(of, "health", HEALTH[dataset][0])
    return of.cut(call, TYPES["health"], json.dumps(document).encode(), ALWAYS)


@pytest.mark.parametrize(
    "other",
    [
        with_mode(OUTCOME, "outcome"),
        {"resource": OUTCOME},
        with_mode(DOCTOR, "include"),
        with_mode({"resourceType": "Organization", "id": "o", "type": [{"text": "included-never"}]}, "include"),
        with_mode(patient(FOREIGN), "include"),
        with_mode(claim(FOREIGN), "include"),
        {"response": {"status": "200"}},
    ],
)
def test_what_is_no_match_is_dropped_and_counted(other):
    found = cut(other, match(claim()), other)
    Bundle.model_validate_json(found.body)
    assert (found.counts.records, found.counts.records_withheld) == (1, 2)
    document = json.loads(found.body)
    assert document["total"] == 1 and document["entry"][0]["search"] == {"mode": "match"}
    assert resources(found) == resources(cut(match(claim())))
    assert b"outcome-never" not in found.body and b"included-never" not in found.body
    assert FOREIGN.encode() not in found.body


def test_nothing_but_warnings_is_a_page_without_entries():
    found = cut(with_mode(OUTCOME, "outcome"))
    Bundle.model_validate_json(found.body)
    assert "entry" not in json.loads(found.body) and found.counts.records_withheld == 1


@pytest.mark.parametrize("mode", [None, "match"])
def test_a_resource_that_nobody_asked_for_is_dropped_and_its_kind_told_and_nothing_of_it(mode):
    insurer = Insurer()
    other = {"resource": DOCTOR} | ({"search": {"mode": mode}} if mode else {})
    found = insurer.gives(entry=[other, match(claim())])
    assert (found.counts.records, found.counts.records_withheld) == (1, 1)
    assert insurer.told == ["entry.resource.Practitioner"] and b"included-never" not in found.body
    with pytest.raises(UnknownShape):  # a strict one is taken at its word
        cut(other, match(claim()))


@pytest.mark.parametrize("mode", ["match", "elsewhere"])
def test_a_match_of_another_person_refuses_the_answer_whatever_comes_with_it(mode):
    for others in ([], [with_mode(OUTCOME, "outcome")]):
        with pytest.raises(UnknownShape) as refused:
            cut(match(claim()), *others, with_mode(claim(FOREIGN), mode))
        assert refused.value.where == f"entry[{1 + len(others)}].resource.patient"


ENVELOPE: dict[str, Callable[[dict], Any]] = {
    "response": lambda d: d["entry"][0].update(response={"status": "200 never", "etag": "never"}),
    "request": lambda d: d["entry"][0].update(request={"method": "GET", "url": "never"}),
    "search.extension": lambda d: d["entry"][0]["search"].update(extension=[{"url": "x", "valueCode": "never"}]),
    "search.id": lambda d: d["entry"][0]["search"].update(id="never"),
    "entry.link": lambda d: d["entry"][0].update(link=[{"relation": "self", "url": "never"}]),
    "entry.id": lambda d: d["entry"][0].update(id="never", extension=[{"url": "never"}]),
    "link.id": lambda d: d.update(link=[{"id": "never", "relation": "self", "url": "https://never.example"}]),
    "language": lambda d: d.update(language="never"),
    "signature": lambda d: d.update(signature={"data": "never"}),
    "total of another type": lambda d: d.update(total="1"),
    "identifier": lambda d: d.update(identifier={"value": "never"}, timestamp="2025-01-01T00:00:00Z"),
}


@pytest.mark.parametrize("name", ENVELOPE)
def test_what_a_page_says_of_itself_is_read_over(name):
    document = {"entry": [match(claim())], "link": []}
    plain = cut(**document)
    ENVELOPE[name](document)
    found = cut(**document)
    assert found.body == plain.body and found.counts == plain.counts


def test_an_unknown_member_of_the_page_is_told():
    insurer = Insurer()
    found = insurer.gives(claim(), newMember={"a": "never"}, link=[{"relation": "self", "url": "x", "newMember": 1}])
    assert found.counts.records == 1 and b"never" not in found.body.replace(b"-never", b"")
    assert set(insurer.told) == {"newMember", "link.newMember"}
    with pytest.raises(UnknownShape):
        cut(match(claim()), newMember=1)


@pytest.mark.parametrize(
    ("dataset", "make", "member"),
    [("health.claims", claim, "patient"), ("health.coverage", coverage, "beneficiary")],
)
@pytest.mark.parametrize("before", ["", "https://org.example/v2/fhir/"])
def test_a_reference_to_a_version_of_the_person_is_to_her(dataset, make, member, before):
    record = make() | {member: {"reference": f"{before}Patient/{MINE.native}/_history/1"}}
    assert resources(cut(match(record), dataset=dataset))[0][member] == {"reference": f"Patient/{SPELT}"}
    for wrong in (f"Patient/{FOREIGN}/_history/1", f"Patient/{MINE.native}/_history", f"Patient/{MINE.native}/x/1",
                  f"Patient/{MINE.native}/_history/1/2", f"Group/{MINE.native}/_history/1"):  # fmt: skip
        with pytest.raises(UnknownShape):
            cut(match(make() | {member: {"reference": before + wrong}}), dataset=dataset)


def test_only_so_many_records_are_given_whatever_comes_with_them():
    of = plan(granted("health.claims", most=1))
    entries = [with_mode(OUTCOME, "outcome"), match(claim()), match(claim())]
    document = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    call = sent(of, "health", "/ExplanationOfBenefit")
    counts = of.cut(call, TYPES["health"], json.dumps(document).encode(), ALWAYS).counts
    assert (counts.records, counts.records_withheld) == (1, 2)


# ---- granted, and not there


CONDITION = {"resourceType": "Condition", "code": {"coding": [{"code": "E11", "display": "Diabetes"}]}}
DRUG = {"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": "Metformin"}}


def in_diagnosis(record: dict) -> None:
    record["diagnosis"] = [{"sequence": 1, "diagnosisReference": {"reference": "#one"}}]


def as_provider(record: dict) -> None:
    record["provider"] = {"reference": "#one"}


def as_prescription(record: dict) -> None:
    record["prescription"] = {"reference": "#one"}


@pytest.mark.parametrize(
    ("held", "plant", "given"),
    [
        (CONDITION, in_diagnosis, {"type": "Condition", "display": "Diabetes"}),
        (DRUG, as_prescription, {"type": "MedicationRequest", "display": "Metformin"}),
        (DRUG | {"medicationCodeableConcept": ["odd"]}, as_prescription, {"type": "MedicationRequest"}),
        (CONDITION, as_provider, {"type": "Condition"}),  # an illness is not what providers mean
        (DRUG, in_diagnosis, {"type": "MedicationRequest"}),
    ],
)
def test_a_reference_into_the_resource_says_what_its_field_means(held, plant, given):
    record = claim() | {"contained": [held | {"id": "one", "subject": {"display": "more-never"}}]}
    del record["referral"], record["payee"]
    plant(record)
    found = cut(match(record))
    Bundle.model_validate_json(found.body)
    (one,) = resources(found)
    where = one["diagnosis"][0]["diagnosisReference"] if plant is in_diagnosis else None
    assert (where or one["prescription" if plant is as_prescription else "provider"]) == given
    assert b"more-never" not in found.body and b'"withheld"' not in found.body


def test_what_is_granted_and_missing_is_not_called_withheld():
    record = claim()
    for name in ("type", "insurer", "provider", "insurance"):
        del record[name]
    del record["item"][0]["productOrService"]
    found = cut(match(record))
    Bundle.model_validate_json(found.body)
    assert b"withheld" not in found.body and resources(found)[0]["provider"] == {"display": "not available"}
    assert resources(found)[0]["item"][0]["productOrService"] == {"text": "not available"}
    of = plan(granted("health.claims", ["claims.providers", "claims.drugs"]))
    document = {"resourceType": "Bundle", "type": "searchset", "entry": [match(record)]}
    call = sent(of, "health", "/ExplanationOfBenefit")
    (one,) = resources(of.cut(call, TYPES["health"], json.dumps(document).encode(), ALWAYS))
    assert one["provider"] == {"display": "withheld"} and one["insurer"] == {"display": "not available"}
