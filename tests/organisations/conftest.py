"""One listening gateway and two example organisations for the whole run; a world for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from organisations_world import Browser, Running, Server, World, running

from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.web.translations import Translations
from gateway.settings import shipped_policies


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(KeyRing(tmp_path_factory.mktemp("keys"), create=True))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def texts() -> tuple[Catalogue, Translations]:
    return Catalogue(shipped_policies()), Translations()


@pytest.fixture
def world(server: Server, texts: tuple[Catalogue, Translations], tmp_path: Path) -> Iterator[World]:
    made = World(server, texts, tmp_path)
    yield made
    made.house.store.close()


@pytest.fixture(scope="session")
def bank_process(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("harbour_bank", server, tmp_path_factory.mktemp("harbour_bank")) as process:
        yield process


@pytest.fixture(scope="session")
def energy_process(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running("city_energy", server, tmp_path_factory.mktemp("city_energy")) as process:
        yield process


@pytest.fixture
def bank(world: World, bank_process: Running) -> Iterator[Running]:
    world.add(bank_process)
    bank_process.forgets_messages()
    yield bank_process
    bank_process.fault("none")


@pytest.fixture
def energy(world: World, energy_process: Running) -> Iterator[Running]:
    world.add(energy_process)
    yield energy_process
    energy_process.fault("none")


@pytest.fixture
def alice(world: World) -> Browser:
    return world.person("Alice")


@pytest.fixture
def mallory(world: World) -> Browser:
    return world.person("Mallory")
