"""An organisation as a row of the directory, for tests that reach none."""

from collections.abc import Sequence
from datetime import datetime

from gateway.ground.keys import fresh
from gateway.organisations.tables import Organisation


def organisation_row(name: str, sector: str, datasets: Sequence[str], at: datetime) -> Organisation:
    document = {
        "id": name,
        "name": {"fr": name.title(), "en": name.title()},
        "legal_entity": f"{name} SA",
        "sector": sector,
        "zone": "Europe/Paris",
        "website": "https://organisation.example",
        "contact": {"privacy": "privacy@organisation.example", "support": "help"},
        "connection": {
            "kind": "assertion",
            "base_url": "https://organisation.example",
            "link": {
                "start": "/s",
                "confirm": "/c",
                "unlink": "/u",
                "number_label": {"fr": "Pour vous.", "en": "For you."},
            },
        },
        "datasets": [{"id": dataset, "paths": ["/x"]} for dataset in datasets],
    }
    return Organisation(id=name, declaration=document, declaration_sha256=fresh(), added_at=at, changed_at=at)
