"""Where apps are registered, and a good declaration to start from."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.apps import declare, verbs
from gateway.apps.tables import App
from gateway.ground.keys import KeyRing
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.organisations.tables import Organisation
from gateway.settings import Settings
from tests.databases import made, unsynced
from tests.worlds.policies import read

ORGANISATIONS = Path(__file__).parents[2] / "examples" / "organisations"
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
WORDS = {"fr": "Pour vous aider.", "en": "To help you."}


def good(**changes: Any) -> dict[str, Any]:
    document = {
        "client_id": "watt-coach",
        "name": {"fr": "Watt Coach", "en": "Watt Coach"},
        "legal_entity": "Watt Coach SAS",
        "website": "https://watt-coach.example",
        "privacy_policy": "https://watt-coach.example/privacy",
        "terms": "https://watt-coach.example/terms",
        "deletion_contact": "delete@watt-coach.example",
        "redirect_uris": ["https://watt-coach.example/callback"],
        "token_endpoint_auth_method": "none",
        "purposes": ["energy-advice"],
        "recipients": [],
        "data": [item()],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


def item(**changes: Any) -> dict[str, Any]:
    return {
        "organisation": "city-energy",
        "dataset": "energy.electricity.usage",
        "fields": ["interval.start", "interval.value"],
        "necessity": "required",
        "reason": WORDS,
        **changes,
    }


def parsed(**changes: Any) -> declare.AppDeclaration:
    return declare.parse(good(**changes), Path("app.toml"))


class World:
    """The real catalogue, and two organisations that an app may name."""

    def __init__(self, folder: Path, ring: KeyRing) -> None:
        settings = Settings(data_dir=folder)
        store = unsynced(settings)
        made(store)
        unused: Any = None
        catalogue, policies = read(settings.policies)
        self.house = House(
            settings=settings,
            store=store,
            keys=ring,
            log=Log(ring, settings.mark),
            catalogue=catalogue,
            policies=policies,
            connector=unused,
            translations=Translations(),
            clock=lambda: NOW,
        )
        with store.write() as session:
            for name in ("city-energy", "harbour-bank"):
                declared = tomllib.loads((ORGANISATIONS / f"{name}.toml").read_text(encoding="utf-8"))
                row = Organisation(id=name, declaration=declared, declaration_sha256=name, added_at=NOW, changed_at=NOW)
                session.add(row)

    def register(self, **changes: Any) -> tuple[App, str | None]:
        with self.house.store.write() as session:
            return verbs.register(session, self.house.catalogue, self.house.settings, parsed(**changes), NOW)

    def generation(self) -> int:
        with self.house.store.read() as session:
            rows = session.connection().exec_driver_sql("SELECT generation FROM directory").scalars().all()
            return int(rows[0]) if rows else 0
