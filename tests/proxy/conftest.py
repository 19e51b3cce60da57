"""The data plane behind a real server, in front of an organisation that answers whatever a test tells it to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.organisations.undeclared import Undeclareds
from tests.proxy.bank import Bank
from tests.proxy.blurred import NOW, Blurred
from tests.proxy.clerk import Clerk
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation
from tests.proxy.supplier import Supplier


@pytest.fixture(scope="session")
def organisation() -> Iterator[RawOrganisation]:
    with RawOrganisation.running() as running:
        yield running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, organisation: RawOrganisation) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("aval")
    made = World(folder, total_seconds=6.0, answer_limit_bytes=2**18)
    with made.serving():
        yield made


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    """A bank that asks for proof, of this test alone."""
    with Clerk().running() as running:
        yield running


@pytest.fixture
def bank(world: World, organisation: RawOrganisation) -> Bank:
    """Alice's account at a bank of this test alone, shared with an app."""
    organisation.reset()
    return Bank(world, organisation)


@pytest.fixture
def supplier(world: World, organisation: RawOrganisation) -> Supplier:
    """Alice's usage point at an energy supplier of this test alone, shared with an app."""
    organisation.reset()
    return Supplier(world, organisation)


@pytest.fixture
def blurred(world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blurred]:
    """Alice's line at an organisation whose data leave coarser than they are, shared with an app."""
    organisation.reset()
    monkeypatch.setenv("BLURRED_SECRET", "s")
    object.__setattr__(world.house, "undeclared", Undeclareds())
    before, world.clock = world.clock, lambda: NOW
    try:
        yield Blurred(world, organisation)
    finally:
        world.clock = before
