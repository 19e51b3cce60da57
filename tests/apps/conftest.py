"""A store, the real catalogue, and two organisations that an app may name."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apps_world import NOW, World

from gateway import schema
from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.organisations.tables import Organisation
from gateway.policy import Policies
from gateway.settings import Settings

ORGANISATIONS = Path(__file__).parents[2] / "examples" / "organisations"


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def world(tmp_path: Path, ring: KeyRing) -> Iterator[World]:
    settings = Settings(data_dir=tmp_path)
    store = Store(settings.database, fsync=False)
    schema.metadata.create_all(store.engine)
    unused: Any = None
    house = House(
        settings=settings,
        store=store,
        keys=ring,
        log=Log(ring),
        catalogue=Catalogue(settings.policies),
        policies=Policies(settings.policies),
        connector=unused,
        translations=Translations(),
        clock=lambda: NOW,
    )
    with store.write() as session:
        for name in ("city-energy", "harbour-bank"):
            text = (ORGANISATIONS / f"{name}.toml").read_text(encoding="utf-8")
            declared = tomllib.loads(text)
            row = Organisation(id=name, declaration=declared, declaration_sha256=name, added_at=NOW, changed_at=NOW)
            session.add(row)
    yield World(house)
    store.close()
