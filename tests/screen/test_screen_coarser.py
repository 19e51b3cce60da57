"""What the consent screen says of data made coarser and of answers: what they still reveal, and how often."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import Dataset
from gateway.consent.facts import AppView, DeclaredData
from gateway.consent.request import InvalidDetails
from gateway.organisations import owned
from tests.worlds.consent import CITY_ENERGY, FOR, Visitor, World, an_app, energy_details, facts

FILE = Path(__file__).parents[1] / "proxy/coarser.toml"
CALLS, TOTALS, MUCH = "energy.point", "energy.electricity.usage", "energy.electricity.summary"
NAMES = {"blurred.calls": CALLS, "blurred.monthly": TOTALS, "blurred.much": MUCH}  # those that the purpose covers
BOTH = pytest.mark.parametrize("language", ["en", "fr"])
ALL = {"datatypes": [CALLS, TOTALS, MUCH]}
ASKED = {"times": 2, "per": "day"}


def own() -> Mapping[str, Dataset]:
    text = FILE.read_text()
    for name, instead in NAMES.items():
        text = text.replace(f'"{name}"', f'"{instead}"')
    return owned.read(tomllib.loads(text))[1]


@pytest.fixture
def blurred(world: World) -> World:
    world.rooms.organisations["city-energy"] = replace(CITY_ENERGY, own=own())
    return world


def the_app(*fields: str) -> AppView:
    declared = {
        CALLS: ("call.line", "call.month", *fields),
        TOTALS: ("month.which", "month.price", "month.about"),
        MUCH: ("much.yes",),
    }
    data = [DeclaredData("city-energy", name, its, "optional", FOR) for name, its in declared.items()]
    return an_app("coarse", "Coarse", ("energy-advice",), *data)


@BOTH
def test_beneath_each_field_stands_what_it_still_reveals(blurred: World, alice: Visitor, language: str) -> None:
    alice.language = language
    details = [
        {**row, "frequency": frequency}
        for names, frequency in (([CALLS, TOTALS], ASKED), ([MUCH], {"times": 1, "per": "month"}))
        for row in energy_details(datatypes=names)
    ]
    page = alice.sees(blurred.asks(alice, the_app("call.area", "call.code", "call.band", "call.noted"), details))
    said = {
        "en": (
            "Only the month. An app that reads often also sees when new data arrives.",
            "Cut, decimals kept: 2. What is left is exact.",
            "A code of this app’s own: it sees what comes back and how often, and not the value.",
            "Only a band, between these limits: 600000; 6000000.",
            "Yes or no, and nothing else. Several answers over time show when it changes.",
            "A total, without the data. The total of a single one reveals it.",
            "Rounded to the nearest 10: how large it is can still be seen.",
        ),
        "fr": (
            "Seulement le mois. Une application qui lit souvent voit aussi quand une donnée nouvelle arrive.",
            "Coupé, décimales gardées : 2. Ce qui reste est exact.",
            "Un code propre à cette application : elle voit ce qui revient et combien de fois, pas la valeur.",
            "Seulement une tranche, entre ces limites : 600000 ; 6000000.",
            "Oui ou non, rien d’autre. Plusieurs réponses dans le temps montrent quand cela change.",
            "Un total, sans les données. Le total d’une seule donnée la révèle.",
            "Arrondi à 10 près : l’ordre de grandeur se voit encore.",
        ),
    }
    text = page.text.replace("\xa0", " ")
    assert [each for each in said[language] if each not in text] == []
    assert not [each for each in said["fr" if language == "en" else "en"] if each in text]


def test_an_exact_field_says_nothing_of_the_kind(blurred: World, alice: Visitor) -> None:
    details = energy_details(datatypes=[CALLS], fields=["call.price"], frequency=ASKED)
    page = alice.sees(blurred.asks(alice, the_app("call.price"), details))
    assert "The price." in page.text and "Rounded" not in page.text and "A total" not in page.text


@BOTH
def test_the_limit_of_a_yes_or_no_stands_among_the_limits_and_in_the_terms(
    blurred: World, alice: Visitor, language: str
) -> None:
    alice.language = language
    details = energy_details(datatypes=[MUCH])
    del details[0]["frequency"]
    consent = blurred.asks(alice, the_app(), details)
    page = alice.sees(consent)
    often = {"en": "at most 24 times a day and 2 times a month", "fr": "au plus 24 fois par jour et 2 fois par mois"}[
        language
    ]
    assert facts(page.main)[{"en": "How often", "fr": "Fréquence"}[language]] == often
    alice.allows(consent, **{f"item:city-energy:{MUCH}": "yes", "accounts:city-energy": ["ref-home"]})
    [item] = blurred.terms(consent)["items"]
    assert {"times": 2, "per": "month", "zone": "Europe/Paris"} in item["frequency"]


def test_whoever_asks_more_often_than_the_data_allow_is_refused_with_the_term(blurred: World, alice: Visitor) -> None:
    with pytest.raises(InvalidDetails) as refused:
        blurred.asks(alice, the_app(), energy_details(datatypes=[MUCH], frequency={"times": 3, "per": "month"}))
    assert (refused.value.term, refused.value.allowed) == ("frequency", "2 per month")


def test_the_terms_keep_how_coarse_the_data_were_agreed_to_be(blurred: World, alice: Visitor) -> None:
    consent = blurred.asks(alice, the_app("call.area", "call.price"), energy_details(datatypes=[CALLS]))
    alice.allows(consent, **{f"item:city-energy:{CALLS}": "yes", "accounts:city-energy": ["ref-home"]})
    [item] = blurred.terms(consent)["items"]
    assert item["made"] == {"call.month": "date month", "call.area": "cut 2"}
