"""Data that is of the person as a whole, and of none of her accounts: there is none to choose."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import Dataset
from gateway.consent.facts import AppView, DeclaredData, Offered
from gateway.organisations import owned
from tests.worlds.consent import CITY_ENERGY, FOR, Visitor, World, an_app, energy_details

FILE = Path(__file__).parents[2] / "examples/organisations/panel/cap-mobile.toml"
CALLS, BILLS = "energy.point", "energy.electricity.usage"  # those that the purpose covers
NAMES = {"telecom.calls": CALLS, "telecom.bills": BILLS}
SAID = {
    "en": "This does not depend on your choice below.",
    "fr": "Le choix ci-dessous n’y change rien.",
}
NONE = {"en": "there is none to choose", "fr": "aucun n’est à choisir"}


def own() -> Mapping[str, Dataset]:
    text = FILE.read_text(encoding="utf-8")
    for name, instead in NAMES.items():
        text = text.replace(f'"{name}"', f'"{instead}"')
    return owned.read(tomllib.loads(text))[1]


@pytest.fixture
def two_lines(world: World) -> World:
    """Alice has two lines there."""
    world.rooms.organisations["city-energy"] = replace(CITY_ENERGY, own=own())
    world.rooms.held["city-energy"] = [Offered(f"ref-{number}", f"•••• 471{number}", "line", True) for number in (1, 2)]
    return world


def the_app() -> AppView:
    calls = DeclaredData("city-energy", CALLS, ("call.when", "call.length"), "optional", FOR)
    return an_app("lines", "Lines", ("energy-advice",), calls, BILL)


BILL = DeclaredData("city-energy", BILLS, ("telecom_bill.date", "telecom_bill.amount"), "optional", FOR)
BOX = f"item:city-energy:{BILLS}"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_where_nothing_depends_on_the_account_there_is_none_to_choose(
    two_lines: World, alice: Visitor, language: str
) -> None:
    alice.language = language
    consent = two_lines.asks(alice, the_app(), energy_details(datatypes=[BILLS]))
    page = alice.sees(consent)
    assert NONE[language] in page.text and "•••• 4711" not in page.text and SAID[language] not in page.text
    alice.allows(consent, **{BOX: "yes"})
    shared = alice.gets(f"/sharings/{consent}").text
    assert "•••• 4711" not in shared


@pytest.mark.parametrize("language", ["en", "fr"])
def test_beside_data_of_accounts_it_says_that_the_choice_changes_nothing(
    two_lines: World, alice: Visitor, language: str
) -> None:
    alice.language = language
    consent = two_lines.asks(alice, the_app(), energy_details(datatypes=[CALLS, BILLS]))
    page = alice.sees(consent)
    assert page.text.count(SAID[language]) == 1 and "•••• 4711" in page.text and NONE[language] not in page.text
    refused = alice.answers(consent, "allow", page, **{f"item:city-energy:{CALLS}": "yes"})
    assert refused.status != 303, "calls are of a line, and none was chosen"
    alice.allows(consent, **{BOX: "yes"})  # the bills alone are of none
