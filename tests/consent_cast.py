"""Who asks and who holds: apps, organisations and requests of the consent room's tests, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.consent.facts import AppView, DeclaredData

URL = "http://localhost:8400"
START = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
FOR = {"fr": "Pour calculer votre consommation.", "en": "To work out how much you use."}


@dataclass(frozen=True)
class Organisation:
    id: str
    name: Mapping[str, str]
    legal_entity: str
    datasets: tuple[str, ...]
    zone: str = "Europe/Paris"
    active: bool = True


CITY_ENERGY = Organisation(
    "city-energy",
    {"fr": "Énergie de la Ville", "en": "City Energy"},
    "City Energy SA",
    ("energy.electricity.usage", "energy.electricity.summary", "energy.point"),
)
HARBOUR_BANK = Organisation(
    "harbour-bank",
    {"fr": "Banque du Port", "en": "Harbour Bank"},
    "Harbour Bank plc",
    ("bank.accounts", "bank.balances", "bank.transactions"),
)
MEADOW_HEALTH = Organisation(
    "meadow-health",
    {"fr": "Santé des Prés", "en": "Meadow Health"},
    "Meadow Health",
    ("health.person", "health.coverage", "health.claims"),
)


def an_app(client_id: str, name: str, purposes: tuple[str, ...], *data: DeclaredData, **more: Any) -> AppView:
    site = f"https://{client_id}.example"
    facts: dict[str, Any] = {
        "client_id": client_id,
        "name": {"fr": name, "en": name},
        "legal_entity": f"{name} SAS",
        "on_behalf_of": "",
        "website": site,
        "privacy_policy": f"{site}/privacy",
        "terms_url": f"{site}/terms",
        "deletion_contact": f"delete@{client_id}.example",
        "redirect_uris": (f"{site}/callback",),
        "auth_method": "none",
        "purposes": purposes,
        "data": data,
        "recipients": (),
        "verified": True,
        "active": True,
        "status_reason": "",
        "registered_at": START - timedelta(days=400),
        "metadata_sha256": "ab" * 32,
        "has_logo": False,
    }
    return AppView(**{**facts, **more})


USAGE = DeclaredData("city-energy", "energy.electricity.usage", ("interval.start", "interval.value"), "required", FOR)
SUMMARY = DeclaredData(
    "city-energy", "energy.electricity.summary", ("summary.period", "summary.amounts"), "optional", FOR
)
POINT = DeclaredData("city-energy", "energy.point", ("point.location",), "optional", FOR)
WATT_COACH = an_app("watt-coach", "Watt Coach", ("energy-advice",), USAGE, SUMMARY, POINT)
CLEAR_BUDGET = an_app(
    "clear-budget",
    "Clear Budget",
    ("household-budget",),
    DeclaredData("harbour-bank", "bank.accounts", ("account.kind", "account.name"), "required", FOR),
    DeclaredData("harbour-bank", "bank.transactions", ("transaction.date", "transaction.amount"), "optional", FOR),
    DeclaredData("meadow-health", "health.claims", ("claims.dates", "claims.amounts"), "optional", FOR),
)


def energy_details(url: str = URL, **more: Any) -> list[dict[str, Any]]:
    detail = {
        "type": "data_access",
        "locations": [f"{url}/data/city-energy"],
        "datatypes": ["energy.electricity.usage", "energy.electricity.summary", "energy.point"],
        "actions": ["read"],
        "purpose": "energy-advice",
        "period": {"history": "P13M", "future": True},
        "frequency": {"times": 4, "per": "day"},
        "valid_for": "P6M",
        "retention": "P1M",
    }
    return [{**detail, **more}]


def budget_details(url: str = URL) -> list[dict[str, Any]]:
    bank = {
        "type": "data_access",
        "locations": [f"{url}/data/harbour-bank"],
        "datatypes": ["bank.accounts", "bank.transactions"],
        "actions": ["read"],
        "purpose": "household-budget",
        "period": {"history": "P12M", "future": True},
        "frequency": {"times": 4, "per": "day"},
        "valid_for": "P3M",
        "retention": "P1M",
    }
    health = {**bank, "locations": [f"{url}/data/meadow-health"], "datatypes": ["health.claims"]}
    return [bank, {**health, "period": {"history": "P6M"}}]


SECOND_APP = an_app("second", "Second App", ("energy-advice",), USAGE, SUMMARY)
TWO_TYPES = {"datatypes": ["energy.electricity.usage", "energy.electricity.summary"]}
# form fields
SUMMARY_BOX = "item:city-energy:energy.electricity.summary"
BANK = {"accounts:harbour-bank": ["ref-current"], "item:harbour-bank:bank.transactions": "yes"}
