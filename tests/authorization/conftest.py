"""The small gateway as fixtures; what it is made of is in authorization_world.py."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from authorization_world import (
    BUDGET,
    ISSUER,
    Clock,
    Gateway,
    Rooms,
    declaration,
    link_row,
    organisation_row,
    people_rows,
    registered,
)
from starlette.applications import Starlette

from gateway import schema
from gateway.app import PROTOCOL
from gateway.apps import pages as app_pages
from gateway.authorization import api, pages
from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.store import Store
from gateway.ground.web.context import Caller
from gateway.ground.web.doors import route
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.policy import Policies
from gateway.screen import pages as consent_pages
from gateway.settings import Settings


@pytest.fixture(scope="session")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture
def gateway(tmp_path: Path, _keys: KeyRing) -> Iterator[Gateway]:
    settings = Settings(public_url=ISSUER, data_dir=tmp_path)
    clock = Clock()
    store = Store(settings.database, fsync=False)
    schema.metadata.create_all(store.engine)
    house = House(
        settings=settings,
        store=store,
        keys=_keys,
        log=Log(_keys),
        catalogue=Catalogue(settings.policies),
        policies=Policies(settings.policies),
        connector=None,  # type: ignore[arg-type]
        translations=Translations(),
        clock=clock,
    )
    callers: dict[str, Caller] = {}
    rooms = Rooms(house)
    doors = [
        *api.doors(PROTOCOL),
        *pages.doors(rooms, partial(consent_pages.screen, rooms)),
        *consent_pages.doors(rooms),
        *app_pages.DOORS,
    ]
    routes = [route(door, house, lambda _session, cookie, _now: callers.get(cookie)) for door in doors]
    made = Gateway(house, clock, Starlette(routes=routes), callers=callers)
    with store.write() as session:
        session.add_all(people_rows(clock.now))
        energy = [name for name in house.catalogue.datasets if name.startswith("energy.")]
        money = [name for name in house.catalogue.datasets if name.startswith("bank.")]
        session.add(organisation_row("city-energy", "energy", energy, clock.now))
        session.add(organisation_row("harbour-bank", "bank", money, clock.now))
        session.flush()
        for person in ("alice", "bob", "mallory", "chloe"):
            link_row(session, house, person, "city-energy", ["point-1", "point-2"], clock.now)
            link_row(session, house, person, "harbour-bank", ["account-1"], clock.now)
        for document in (declaration("meter"), declaration("budget", **BUDGET), declaration("other")):
            made.secrets |= registered(session, house, document, clock.now)
    yield made
    store.close()


@pytest.fixture
def register(gateway: Gateway) -> Any:
    """Register one more app: register("native", application_type="native", …)."""

    def add(client_id: str, **changes: Any) -> None:
        with gateway.house.store.write() as session:
            gateway.secrets.update(
                registered(session, gateway.house, declaration(client_id, **changes), gateway.clock.now)
            )

    return add
