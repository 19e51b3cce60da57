"""Where apps are registered, and a good declaration to start from."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.apps import declare, verbs
from gateway.apps.tables import App
from gateway.house import House

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


def faults(**changes: Any) -> list[str]:
    """Keys of what is wrong with the good declaration after the changes."""
    return [fault.key for fault in declare.check(good(**changes))]


@dataclass
class World:
    house: House

    def register(self, **changes: Any) -> tuple[App, str | None]:
        with self.house.store.write() as session:
            return verbs.register(session, self.house.catalogue, parsed(**changes), NOW)

    def generation(self) -> int:
        with self.house.store.read() as session:
            rows = session.connection().exec_driver_sql("SELECT generation FROM directory").scalars().all()
            return int(rows[0]) if rows else 0
