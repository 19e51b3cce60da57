"""A page of resources is read in one go; each of them is cut exactly as if it had come alone."""

import json
from collections.abc import Iterator

import pytest
from fhir.resources.R4B.coverage import Coverage
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit
from fhir.resources.R4B.patient import Patient
from format_documents import (
    ALWAYS,
    HEALTH,
    MINE,
    TYPES,
    YEAR,
    bundle,
    claim,
    coverage,
    free_fields,
    granted,
    plan,
    removals,
    sent,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.shapes import members
from gateway.formats.fhir.shapes import TABLE
from gateway.formats.model import Cut, NotThere, UnknownShape

NOTES = [{"url": "http://example.org/note", "valueString": "note-never"}]
OWNERS = {
    "ExplanationOfBenefit": ("health.claims", {"patient": {"reference": f"Patient/{MINE.native}"}}),
    "Coverage": ("health.coverage", {"beneficiary": {"reference": f"Patient/{MINE.native}"}}),
    "Patient": ("health.person", {"id": MINE.native}),
}
DATES = {"billablePeriod": {"start": "2025-06-15", "end": "2025-06-15"}}


def listed(body: bytes, dataset: str = "health.claims", without=(), window=ALWAYS) -> Cut:
    of = plan(granted(dataset, without), strict=True)
    return of.cut(sent(of, "health", HEALTH[dataset][0]), TYPES["health"], body, window)


def alone(record, without, window) -> Cut | None:
    of = plan(granted("health.claims", without))
    # claims are read by number only with claims.ids, so the call is that of a plan that has it
    call = sent(plan(granted("health.claims")), "health", "/ExplanationOfBenefit/claim-1")
    try:
        return of.cut(call, TYPES["health"], json.dumps(record).encode(), window)
    except NotThere:
        return None


@st.composite
def claims(draw):
    record = claim(start=draw(st.sampled_from(["2025-06-15", "2024-05-05"])), drug=draw(st.booleans()))
    for name in draw(st.sets(st.sampled_from(sorted(record.keys() - {"resourceType", "id", "patient"})))):
        del record[name]
    for name in draw(st.sets(st.sampled_from(["careTeam", "diagnosis", "item", "total"]))):
        for element in record.get(name, []):
            element |= {"id": "never", "extension": NOTES}
    return record


@given(
    records=st.lists(claims(), max_size=4),
    without=st.sets(st.sampled_from(free_fields("health.claims"))),
    window=st.sampled_from([ALWAYS, YEAR]),
)
def test_a_resource_is_cut_alike_in_a_list_and_alone(records, without, window):
    page = listed(bundle(records), without=without, window=window)
    each = [alone(record, without, window) for record in records]
    kept = [cut for cut in each if cut is not None]
    assert [entry["resource"] for entry in json.loads(page.body).get("entry", [])] == [
        json.loads(cut.body) for cut in kept
    ]
    assert page.counts.fields_withheld == sum(cut.counts.fields_withheld for cut in kept)
    assert (page.counts.records, page.counts.records_withheld) == (len(kept), len(each) - len(kept))
    assert b"never" not in page.body


def test_only_the_resource_from_which_something_was_taken_is_tagged():
    plain = coverage()
    del plain["extension"]
    found = json.loads(listed(bundle([plain, coverage(), plain]), "health.coverage").body)["entry"]
    assert ["tag" in entry["resource"]["meta"] for entry in found] == [False, True, False]


def test_what_a_key_says_twice_is_refused_or_said_once():
    one, two = json.dumps(claim()), json.dumps(claim() | {"status": "smuggled"})
    envelope = '{"resourceType":"Bundle","type":"searchset",%s}'
    for twice in (f'"entry":[{{"resource":{two},"resource":{one}}}]', f'"entry":[{{"resource":{two}}}],"entry":[]'):
        with pytest.raises(UnknownShape):
            listed((envelope % twice).encode())
    inside = one.replace('"status": "active"', '"status": "smuggled", "status": "active"')
    found = listed((envelope % f'"entry":[{{"resource":{inside}}}]').encode())
    assert b"smuggled" not in found.body and found.body.count(b'"status"') == 1


def paths_of_numbers(kind: str) -> Iterator[tuple[str, ...]]:
    for name, word in members(TABLE, kind).items():
        if word == "n":
            yield (name,)
        elif word.rstrip("*") in TABLE:
            many = ("*",) if word.endswith("*") else ()
            yield from ((name, *many, *path) for path in paths_of_numbers(word.rstrip("*")))


def nested(path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    inner = nested(path[1:], value)
    return [inner] if path[0] == "*" else {path[0]: inner}


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind in OWNERS for path in paths_of_numbers(kind)], ids=str
)
def test_wherever_the_format_has_a_number_nothing_else_is_one(kind, path):
    dataset, owner = OWNERS[kind]
    base = {"resourceType": kind, "id": "x"} | owner | (DATES if kind == "ExplanationOfBenefit" else {})
    assert b":1e-05" in listed(bundle([base | nested(path, 0.00001)]), dataset).body
    for other in ("7", True, None, {}, [1], {"extra": 1}):
        with pytest.raises(UnknownShape):
            listed(bundle([base | nested(path, other)]), dataset)


@pytest.mark.parametrize("text", [b'"\xff"', b'"\\ud800"', b"[1,]", b"[" * 100_000, b"NaN", b"01", b'{"a":1'])
def test_what_is_withheld_is_still_json(text):
    body = bundle([claim() | {"diagnosis": "PLACE"}])
    assert b"anything" not in listed(body.replace(b"PLACE", b"anything"), without=["claims.diagnoses"]).body
    with pytest.raises(UnknownShape):
        listed(body.replace(b'"PLACE"', text), without=["claims.diagnoses"])


# ---- extensions beside primitive values (R4 §2.6.2)

BESIDE = {"id": "beside", "extension": [{"url": "http://example.org/beside", "valueString": "beside-never"}]}
MODELS = {"ExplanationOfBenefit": ExplanationOfBenefit, "Coverage": Coverage, "Patient": Patient}


def extended(value: object, kind: str) -> object:
    """The same, with an extension beside every primitive value the format knows in it."""
    if isinstance(value, list):
        return [extended(each, kind) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, word in members(TABLE, kind).items():
        if name not in value:
            continue
        found[name] = extended(value[name], word.rstrip("*")) if word.rstrip("*") in TABLE else value[name]
        if word in ("s*",):
            found[f"_{name}"] = [BESIDE if index else None for index in range(len(value[name]))]
        elif word in ("s", "b", "i", "n") and name != "resourceType":
            found[f"_{name}"] = BESIDE
    return found


@pytest.mark.parametrize("dataset", HEALTH)
def test_an_extension_beside_a_value_never_leaves_and_what_is_left_is_as_without_it(dataset):
    make = HEALTH[dataset][1]
    kind = make()["resourceType"]
    plain = json.loads(json.dumps({name: make()[name] for name in members(TABLE, kind) if name in make()}))
    strange = extended(plain, kind)
    assert json.dumps(strange).count("beside-never") > 4
    for without in removals(dataset, pairs=False):
        whole, beside = (listed(bundle([record]), dataset, without) for record in (plain, strange))
        assert b"beside" not in beside.body and b'"_' not in beside.body
        found = [json.loads(cut.body)["entry"][0]["resource"] for cut in (whole, beside)]
        for each in found:
            each["meta"].pop("tag", None)
            each["meta"].pop("profile", None)
        assert found[0] == found[1]
        assert beside.counts.fields_withheld > whole.counts.fields_withheld
        MODELS[kind].model_validate_json(json.dumps(found[1]))


def test_an_extension_beside_a_value_is_counted_and_its_resource_tagged_and_no_other():
    plain, strange = claim(), claim() | {"_status": BESIDE}
    plain["billablePeriod"] = {"_start": BESIDE} | plain["billablePeriod"]
    ordinary = listed(bundle([claim()])).counts.fields_withheld
    found = listed(bundle([claim(), strange, plain]))
    assert found.counts.fields_withheld == 3 * ordinary + 2
    person = {"resourceType": "Patient", "id": MINE.native, "birthDate": "1980-02-29"}
    found = listed(bundle([person, person | {"_birthDate": BESIDE}]), "health.person")
    tags = ["meta" in entry["resource"] for entry in json.loads(found.body)["entry"]]
    assert tags == [False, True]


def test_a_value_of_which_only_the_extension_is_there_is_as_if_it_were_not():
    person = {"resourceType": "Patient", "id": MINE.native, "gender": "female", "_birthDate": BESIDE}
    found = json.loads(listed(bundle([person]), "health.person").body)["entry"][0]["resource"]
    assert found.keys() == {"resourceType", "id", "gender", "meta"}
    Patient.model_validate(found)


@pytest.mark.parametrize("name", ["_nowhere", "_patient", "_item", "_resourceType", "__status", "_"])
def test_what_is_beside_no_primitive_value_of_the_format_is_unknown(name):
    with pytest.raises(UnknownShape):
        listed(bundle([claim() | {name: BESIDE}]))
    one = claim()
    one["item"][0][name] = BESIDE
    with pytest.raises(UnknownShape):
        listed(bundle([one]))


def test_one_answer_with_extended_values_changes_nothing_for_those_before_and_after():
    of = plan(granted("health.claims", ["claims.amounts"]))
    call = sent(of, "health", HEALTH["health.claims"][0])
    bodies = [bundle([claim()]), bundle([claim() | {"_use": BESIDE}]), bundle([claim()])]
    found = [of.cut(call, TYPES["health"], body, ALWAYS) for body in bodies]
    assert found[0] == found[2] and found[0].body == found[1].body
