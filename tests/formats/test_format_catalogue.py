"""The catalogue and the formats say the same, and say it plainly."""

import tomllib

import pytest
from energy_documents import ATOM
from format_documents import FORMATS, fields_of

from gateway.catalogue import fields as catalogue
from gateway.catalogue.datasets import member
from gateway.catalogue.shapes import NEVER, members
from gateway.formats.espi.shapes import CHILDREN
from gateway.formats.fhir.shapes import ENVELOPE
from gateway.formats.fhir.shapes import TABLE as HEALTH
from gateway.settings import shipped_policies

BANK = catalogue.shipped().formats["uk-open-banking-4"].shapes

KNOWN = {
    "bank": {kind: set(members(BANK, kind)) for kind in BANK},
    "health": {kind: set(members(HEALTH, kind)) for kind in HEALTH},
    "energy": {kind: set(children) for kind, children in CHILDREN.items()},
}
WORDS_MOST = 20
STRUCTURAL = {
    "energy.electricity.usage": {"interval.start"},
    "energy.electricity.summary": {"summary.period"},
    "energy.point": set(),
    "bank.accounts": {"account.kind"},
    "bank.balances": {"balance.amount"},
    "bank.transactions": {"transaction.date"},
    "health.person": set(),
    "health.coverage": {"coverage.plan"},
    "health.claims": {"claims.dates"},
}


def document(sector: str) -> dict:
    return tomllib.loads((shipped_policies() / f"datasets/{sector}.toml").read_text())


@pytest.mark.parametrize("sector", FORMATS)
def test_every_selector_names_a_member_of_the_format(sector):
    for dataset in catalogue.datasets(FORMATS[sector]).values():
        for field in dataset.fields.values():
            assert field.find, field.id
            for kind, name in field.find | field.shared:
                assert name in KNOWN[sector][kind], (field.id, kind, name)


@pytest.mark.parametrize("sector", FORMATS)
def test_no_member_known_as_never_given_is_in_a_field(sector):
    table = {"bank": BANK, "health": HEALTH}.get(sector)
    for dataset in catalogue.datasets(FORMATS[sector]).values():
        for kind, name in {m for field in dataset.fields.values() for m in field.find | field.shared}:
            word = members(table, kind)[name] if table else CHILDREN[kind][name]
            assert word not in NEVER, (kind, name)


@pytest.mark.parametrize("sector", FORMATS)
def test_every_member_that_could_leave_is_in_a_field(sector):
    """What is governed and named by no field would be silently withheld for ever."""
    fields = [field for dataset in catalogue.datasets(FORMATS[sector]).values() for field in dataset.fields.values()]
    named = {member for field in fields for member in field.find | field.shared}
    table = {"bank": BANK, "health": HEALTH}.get(sector)
    for kind in catalogue.governed(FORMATS[sector]):
        for name in KNOWN[sector][kind]:
            word = members(table, kind)[name] if table else CHILDREN[kind][name]
            envelope = sector == "health" and (name in ENVELOPE or (kind, name) == ("Patient", "id"))
            assert word in NEVER or envelope or (kind, name) in named, (kind, name)


def test_the_datasets_and_what_always_comes_with_them_are_fixed():
    for dataset, structural in STRUCTURAL.items():
        found = catalogue.datasets(FORMATS[dataset.partition(".")[0]])[dataset]
        assert {field.id for field in found.fields.values() if field.structural} == structural
        assert found.given(frozenset(["no.such.field"])) == set() and found.given(structural) == structural
    assert sum(len(catalogue.datasets(FORMATS[sector])) for sector in FORMATS) == len(STRUCTURAL)
    assert ATOM and fields_of("energy.point") == ["point.location"]


@pytest.mark.parametrize("sector", FORMATS)
def test_every_text_stands_in_both_languages_in_short_sentences(sector):
    def texts(entry: dict):
        for key in ("label", "short", "long", "account", "time", "comes_with"):
            if key in entry:
                yield key, entry[key]

    for dataset in document(sector)["dataset"]:
        assert {"label", "short", "long", "account", "time", "sensitivity", "category"} <= dataset.keys()
        assert dataset["sensitivity"] in ("none", "sensitive", "special")
        for entry in (dataset, *dataset["field"]):
            assert {"label", "short"} <= entry.keys(), entry["id"]
            for key, words in texts(entry):
                for language in ("fr", "en"):
                    for sentence in words[language].replace(" :", ".").split("."):
                        assert len(sentence.split()) <= WORDS_MOST, (entry["id"], key, sentence)
                if key != "label":
                    assert words["fr"] != words["en"], (entry["id"], key)


def test_a_selector_of_another_form_is_refused():
    for text in ("Transaction", "Transaction/", "/Amount"):
        with pytest.raises(ValueError, match="selector"):
            member(text)
