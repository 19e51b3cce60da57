"""What an insurer sends that the tables do not know: it never leaves and is told; what cannot be judged is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit
from fhir.resources.R4B.patient import Patient
from fhir_insurer import Insurer, resources
from format_documents import (
    FOREIGN,
    HEALTH,
    MINE,
    YEAR,
    bundle,
    claim,
    coverage,
    free_fields,
    patient,
)

from gateway.catalogue.shapes import inner, members
from gateway.formats.fhir.shapes import TABLE
from gateway.formats.model import UnknownShape

STRANGE = {"anything": ["strange-never", {"deep": "strange-never"}]}
SUBSETTED = '"code":"SUBSETTED"'

Plant = Callable[[dict], Any]
PLANTED: dict[str, Plant] = {
    "entry.resource.newMember": lambda r: r.update(newMember=STRANGE),
    "entry.resource.item.newMember": lambda r: r["item"][0].update(newMember=STRANGE),
    "entry.resource.item.adjudication.amount.newMember": lambda r: r["item"][0]["adjudication"][0]["amount"].update(
        newMember=STRANGE
    ),
    "entry.resource.diagnosis.diagnosisCodeableConcept.coding.newMember": lambda r: r["diagnosis"][0][
        "diagnosisCodeableConcept"
    ]["coding"][0].update(newMember=STRANGE),
    "entry.resource.meta.newMember": lambda r: r["meta"].update(newMember=STRANGE),
    "entry.resource._patient": lambda r: r.update(_patient=STRANGE),
    "entry.resource._resourceType": lambda r: r.update(_resourceType=STRANGE),
    "entry.resource.billablePeriod.newMember": lambda r: r["billablePeriod"].update(newMember=STRANGE),
    "entry.resource.provider.newMember": lambda r: r["provider"].update(newMember=STRANGE),
}


@pytest.mark.parametrize("place", PLANTED)
def test_an_unknown_member_anywhere_is_withheld_and_told(place):
    plain, record = claim(), json.loads(json.dumps(claim()))  # whose elements stand in one place each
    PLANTED[place](record)
    insurer = Insurer()
    before, found = insurer.gives(plain, plain), insurer.gives(plain, record)
    assert insurer.told == [place]
    assert b"strange-never" not in found.body and b"newMember" not in found.body
    Bundle.model_validate_json(found.body)
    assert found.counts.records == 2 and found.counts.fields_withheld == before.counts.fields_withheld + 1
    assert resources(found) == resources(before)


def test_a_resource_with_an_unknown_member_says_that_it_is_a_part_and_the_others_do_not():
    whole = coverage()
    del whole["extension"]
    insurer = Insurer("health.coverage")
    one, other = resources(insurer.gives(whole, whole | {"newMember": STRANGE}))
    assert "tag" not in one["meta"] and "profile" in one["meta"]
    assert SUBSETTED in json.dumps(other["meta"], separators=(",", ":")) and "profile" not in other["meta"]


def test_one_resource_with_an_unknown_member_is_given_without_it():
    insurer = Insurer()
    found = insurer.cut(json.dumps(claim() | {"newMember": STRANGE}).encode(), "/ExplanationOfBenefit/claim-1")
    ExplanationOfBenefit.model_validate_json(found.body)
    assert insurer.told == ["newMember"] and b"strange-never" not in found.body and SUBSETTED.encode() in found.body


def test_what_is_unknown_inside_what_is_withheld_leaves_no_more_than_that():
    insurer = Insurer(without=free_fields("health.claims"))
    record = claim()
    record["diagnosis"][0]["newMember"] = STRANGE
    record["total"] = {"of": "another type"}
    found = insurer.gives(record)
    assert found.counts.records == 1 and b"strange-never" not in found.body and insurer.told == []


def test_it_is_looked_for_again_while_it_comes_and_answers_without_it_stay_as_they_are():
    insurer = Insurer()
    plain = insurer.gives(claim())
    for _ in range(3):
        insurer.gives(claim() | {"newMember": STRANGE})
    assert insurer.told == ["entry.resource.newMember"] * 3
    assert insurer.gives(claim()) == plain


def test_a_name_that_could_be_data_is_not_told():
    insurer = Insurer()
    insurer.gives(claim() | {"+33612345678": 1, "alice 1980": 2, "m20140000010000": 3})
    assert set(insurer.told) == {"entry.resource.…"}


def test_values_with_extensions_and_unknown_members_in_one_answer():
    beside = {"extension": [{"url": "http://example.org/x", "valueString": "beside-never"}]}
    insurer = Insurer()
    plain = insurer.gives(claim()).counts.fields_withheld
    found = insurer.gives(claim() | {"_status": beside, "newMember": STRANGE})
    assert found.counts.fields_withheld == plain + 2
    assert insurer.told == ["entry.resource.newMember"] and b"never" not in found.body


def test_a_number_beyond_all_floats_hinders_nobody():
    insurer = Insurer()
    body = bundle([claim() | {"newMember": STRANGE}]).replace(b'"value": 4242.1', b'"value": 1e400')
    found = insurer.cut(body)
    assert found.body.count(b'"value":1e400') == 3 and insurer.told == ["entry.resource.newMember"]


def test_an_extension_that_cannot_be_read_is_left_out_and_told():
    odd, good = {"url": "x", "valueInteger64": "strange-never"}, {"url": "y", "valueString": "good"}
    insurer = Insurer("health.person")
    found = insurer.gives(patient() | {"extension": [odd, good]})
    assert resources(found)[0]["extension"] == [good] and insurer.told == ["entry.resource.extension.valueInteger64"]
    assert SUBSETTED.encode() in found.body


# ---- what is refused all the same


REFUSED: dict[str, Plant] = {
    "another type": lambda r: r["item"][0]["quantity"].update(value="7"),
    "another type beside it": lambda r: (r.update(newMember=1), r["item"][0].update(sequence="1")),
    "an object as a text": lambda r: r.update(status={"value": "active"}),
    "null": lambda r: r.update(provider=None),
    "no owner": lambda r: r.pop("patient"),
    "an owner of another type": lambda r: r.update(patient=f"Patient/{MINE.native}"),
    "an owner in an unknown member": lambda r: r.update(patient={"ref": f"Patient/{MINE.native}"}),
    "another person": lambda r: r.update(patient={"reference": f"Patient/{FOREIGN}"}),
    "a time that is none": lambda r: r["billablePeriod"].update(start="long ago"),
    "a time before all time": lambda r: r["billablePeriod"].update(start="0001-01-01"),
    "a time of another type": lambda r: r["billablePeriod"].update(start=2025),
    "no kind": lambda r: r.pop("resourceType"),
    "a kind of another type": lambda r: r.update(resourceType=["ExplanationOfBenefit"]),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_judged_refuses_the_whole_answer(fault):
    record = claim()
    REFUSED[fault](record)
    insurer = Insurer(window=YEAR)
    with pytest.raises(UnknownShape) as refused:
        insurer.gives(claim(), record)
    assert "long ago" not in refused.value.where
    for more in ({"newMember": STRANGE}, {"_use": {"id": "x"}}):
        with pytest.raises(UnknownShape):
            insurer.gives(claim(), record | more)


def places(kind: str) -> list[tuple[str, ...]]:
    """Every element of a resource that may be given, as the members that lead to it."""
    found: list[tuple[str, ...]] = [()]
    for name, word in members(TABLE, kind).items():
        if inner(word) in TABLE:
            found += [(name, *below) for below in places(inner(word))]
    return found


def planted(kind: str, path: tuple[str, ...], modifier: dict) -> dict:
    if not path:
        return modifier
    word = members(TABLE, kind)[path[0]]
    value = planted(inner(word), path[1:], modifier)
    return {path[0]: [value] if word.endswith("*") else value}


@pytest.mark.parametrize("modifier", [{"modifierExtension": []}, {"implicitRules": "http://x.example"}])
@pytest.mark.parametrize("make", [claim, coverage, patient])
def test_what_changes_a_meaning_is_refused_wherever_it_stands(make, modifier):
    kind = make()["resourceType"]
    insurer = Insurer(next(name for name, (_, other) in HEALTH.items() if other is make))
    plain = {name: value for name, value in make().items() if inner(members(TABLE, kind)[name]) not in ("-", "Raw")}
    for path in places(kind):
        record = plain | planted(kind, path, modifier)
        for each in (record, record | {"newMember": 1}):
            with pytest.raises(UnknownShape):
                insurer.gives(each)


def test_where_a_whole_element_is_withheld_what_changes_its_meaning_does_not_matter():
    record = claim()
    record["diagnosis"][0]["modifierExtension"] = [{"url": "x", "valueBoolean": True}]
    record["contained"][0]["modifierExtension"] = [{"url": "x", "valueBoolean": True}]
    record["addItem"] = [{"modifierExtension": []}]
    with pytest.raises(UnknownShape):
        Insurer().gives(record)
    found = Insurer(without=["claims.diagnoses"]).gives(record)
    assert found.counts.records == 1 and b"modifierExtension" not in found.body


def test_of_a_contained_resource_with_a_changed_meaning_nothing_is_told():
    record = claim() | {"provider": {"reference": "#one"}}
    record["contained"] = [{"resourceType": "Organization", "id": "one", "name": "Clinic", "modifierExtension": []}]
    (found,) = resources(Insurer().gives(record))
    assert found["provider"] == {"display": "not available"}


@pytest.mark.parametrize("parts", [{"implicitRules": "http://x"}, {"_implicitRules": {"id": "x"}},
                                   {"type": "history"}, {"resourceType": "Parameters"}, {"modifierExtension": []},
                                   {"entry": {}}, {"link": "x"}])  # fmt: skip
def test_another_root_or_one_with_a_changed_meaning_is_refused(parts):
    insurer = Insurer()
    for more in ({}, {"newMember": 1}):
        with pytest.raises(UnknownShape):
            insurer.gives(claim(), **parts, **more)


def test_what_stands_twice_is_refused_beside_unknown_members_too():
    one, two = json.dumps(claim()), json.dumps(claim() | {"status": "smuggled"})
    envelope = '{"resourceType":"Bundle","type":"searchset","newMember":1,%s}'
    for twice in (f'"entry":[{{"resource":{two},"resource":{one}}}]', f'"entry":[{{"resource":{two}}}],"entry":[]'):
        with pytest.raises(UnknownShape):
            Insurer().cut((envelope % twice).encode())


# ---- times


def test_a_claim_without_a_time_is_outside_and_counted_and_the_others_are_given():
    record = claim()
    del record["billablePeriod"], record["item"]
    found = Insurer(window=YEAR).gives(claim(), record)
    assert (found.counts.records, found.counts.records_withheld) == (1, 1)


@pytest.mark.parametrize(("start", "end", "inside"), [("2025-06-15", "2025-06-10", 1), ("2025-06-15", "2024-06-10", 0)])
def test_a_period_that_ends_before_it_starts_is_all_the_days_between(start, end, inside):
    found = Insurer(window=YEAR).gives(claim(start=start, end=end))
    assert (found.counts.records, found.counts.records_withheld) == (inside, 1 - inside)


def test_a_patient_of_a_link_is_valid_with_members_of_a_later_version():
    record = patient() | {"newMember": 1}
    record["communication"] = [{"language": {"text": "fr", "newMember": 1}, "preferred": True}]
    insurer = Insurer("health.person")
    (found,) = resources(insurer.gives(record))
    Patient.model_validate(found)
    assert found["communication"] == [{"language": {"text": "fr"}, "preferred": True}]
    assert set(insurer.told) == {"entry.resource.communication.language.newMember", "entry.resource.newMember"}
