"""The cast: Alice owns the account, Bob has one of his own, Mallory has no business with either."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from people_world import Browser, World

from gateway.people.tables import Person


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.house.store.close()


@pytest.fixture
def alice(world: World) -> Person:
    return world.person("Alice Martin")


@pytest.fixture
def bob(world: World) -> Person:
    return world.person("Bob Leroy")


@pytest.fixture
def browser(world: World) -> Browser:
    return world.browser()


@pytest.fixture
def signed_in(world: World, alice: Person) -> Browser:
    """Alice's browser, signed in."""
    browser = world.browser()
    assert browser.signs_in(alice).status_code == 303
    return browser
