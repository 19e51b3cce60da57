"""Meadow Health, as the gateway meets it: Blue Button paths, search, paged bundles."""

import pytest

FHIR = "/v2/fhir"
ALICE, MALLORY = "a" * 43, "m" * 43


@pytest.fixture(scope="module")
def meadow(start):
    running = start("meadow_health")
    running.link(ALICE, "MH-3001")
    return running


@pytest.fixture(scope="module")
def patient(meadow):
    bundle = meadow.get(f"{FHIR}/Patient", ALICE).json()
    assert bundle["total"] == 1
    return bundle["entry"][0]["resource"]["id"]


def pages(meadow, **query):
    """Resources of every page, following next."""
    found, path, params = [], f"{FHIR}/ExplanationOfBenefit", query
    while path:
        bundle = meadow.http.get(path, params=params or None, headers=meadow.signed(ALICE)).json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        path, params = following[0].removeprefix(meadow.url) if following else "", None
    return bundle, found


def test_next_links_lead_through_every_claim_once(meadow, patient):
    bundle, found = pages(meadow, patient=patient)
    assert len({r["id"] for r in found}) == len(found) == bundle["total"] > 50
    dates = [r["billablePeriod"]["start"] for r in found]
    assert dates == sorted(dates, reverse=True)


def test_count_is_bounded_and_start_index_moves(meadow):
    bundle = meadow.get(f"{FHIR}/ExplanationOfBenefit", ALICE, _count="500", startIndex="3").json()
    assert len(bundle["entry"]) == 50
    relations = {link["relation"] for link in bundle["link"]}
    assert relations == {"first", "self", "last", "next", "previous"}


def test_service_date_and_type_narrow_the_search(meadow):
    _, found = pages(meadow, **{"service-date": ["ge2026-01-01", "lt2026-07-01"], "type": "pde"})
    assert found
    assert all("2026-01-01" <= r["billablePeriod"]["start"] < "2026-07-01" for r in found)
    assert {r["type"]["coding"][0]["code"] for r in found} == {"PDE"}


def test_reading_by_id_and_a_stranger_s_record_is_unknown(meadow, patient):
    from examples.data import health, people

    assert meadow.get(f"{FHIR}/Patient/{patient}", ALICE).json()["id"] == patient
    assert meadow.get(f"{FHIR}/Coverage/part-b-{patient}", ALICE).json()["status"] == "active"
    strangers = health.patient_id(people.BY_HEALTH["MH-3002"])
    for path in (f"Patient/{strangers}", "ExplanationOfBenefit/pde--1", "Observation/1"):
        answer = meadow.get(f"{FHIR}/{path}", ALICE)
        assert (answer.status_code, answer.json()["resourceType"]) == (404, "OperationOutcome")
    assert meadow.get(f"{FHIR}/ExplanationOfBenefit", ALICE, patient=strangers).status_code == 404


@pytest.mark.parametrize(
    "query", [{"_include": "x"}, {"service-date": "ge-soon"}, {"startIndex": "-1"}, {"_count": "many"}, {"name": "a"}]
)
def test_an_unknown_or_bad_parameter_is_an_operation_outcome(meadow, query):
    answer = meadow.get(f"{FHIR}/ExplanationOfBenefit", ALICE, **query)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


def test_mallory_reads_nothing(meadow):
    assert meadow.get(f"{FHIR}/Patient", MALLORY).status_code == 403
    answer = meadow.http.get(f"{FHIR}/Patient")
    assert answer.status_code == 401 and answer.json()["issue"][0]["code"] == "login"
    assert meadow.http.get(f"{FHIR}/metadata").json()["fhirVersion"] == "4.0.1"
