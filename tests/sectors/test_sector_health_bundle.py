"""A page of resources is read in one go; each of them is cut exactly as if it had come alone."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sector_world import ALWAYS, HEALTH, MINE, TYPES, YEAR, bundle, claim, coverage, free_fields, granted, plan, sent

from gateway.sectors.health.shapes import TABLE
from gateway.sectors.model import Cut, UnknownShape
from gateway.sectors.shapes import members

NOTES = [{"url": "http://example.org/note", "valueString": "note-never"}]
OWNERS = {
    "ExplanationOfBenefit": ("health.claims", {"patient": {"reference": f"Patient/{MINE.native}"}}),
    "Coverage": ("health.coverage", {"beneficiary": {"reference": f"Patient/{MINE.native}"}}),
    "Patient": ("health.person", {"id": MINE.native}),
}
DATES = {"billablePeriod": {"start": "2025-06-15", "end": "2025-06-15"}}


def listed(body: bytes, dataset: str = "health.claims", without=(), window=ALWAYS) -> Cut:
    of = plan(granted(dataset, without))
    return of.cut(sent(of, "health", HEALTH[dataset][0]), TYPES["health"], body, window)


def alone(record, without, window) -> Cut:
    of = plan(granted("health.claims", without))
    # claims are read by number only with claims.ids, so the call is that of a plan that has it
    call = sent(plan(granted("health.claims")), "health", "/ExplanationOfBenefit/claim-1")
    return of.cut(call, TYPES["health"], json.dumps(record).encode(), window)


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
    kept = [cut for cut in each if cut.counts.records]
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
