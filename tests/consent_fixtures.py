"""Fixtures of the rooms consent, screen and sharings: a place of its own for each test, and who comes there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from consent_cast import BANK, CLEAR_BUDGET, SECOND_APP, SUMMARY_BOX, TWO_TYPES, URL, energy_details
from consent_place import Place, Visitor, opened

from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.web.translations import Translations
from gateway.policy import Policies
from gateway.settings import shipped_policies


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(shipped_policies())


@pytest.fixture(scope="session")
def policies() -> Policies:
    return Policies(shipped_policies())


@pytest.fixture(scope="session")
def translations() -> Translations:
    return Translations()


@pytest.fixture
def place(
    tmp_path: Path, keys: KeyRing, catalogue: Catalogue, policies: Policies, translations: Translations
) -> Iterator[Place]:
    with opened(tmp_path, keys, catalogue, policies, translations, URL) as place:
        yield place


@pytest.fixture
def alice(place: Place) -> Visitor:
    """Alice owns the data."""
    return place.visitors["alice"]


@pytest.fixture
def mallory(place: Place) -> Visitor:
    """Mallory has no business here."""
    return place.visitors["mallory"]


@pytest.fixture
def chloe(place: Place) -> Visitor:
    """Chloé is under age; Alice is her guardian."""
    return place.visitors["chloe"]


@pytest.fixture
def consent(place: Place, alice: Visitor) -> str:
    """Watt Coach may read two types of data of Alice."""
    found = place.asks(alice)
    alice.allows(found, **{SUMMARY_BOX: "yes"})
    return found


@pytest.fixture
def several(place: Place, alice: Visitor, consent: str) -> dict[str, str]:
    """Watt Coach active, Clear Budget paused, Second App stopped."""
    budget = place.asks(alice, CLEAR_BUDGET)
    alice.allows(budget, **BANK, duration="d90")
    alice.does(budget, "pause")
    second = place.asks(alice, SECOND_APP, energy_details(**TWO_TYPES))
    alice.allows(second)
    place.clock.passes(minutes=5)
    place.reads(consent)
    alice.does(second, "stop")
    return {"watt": consent, "budget": budget, "second": second}
