"""What the data server answers: three fixed documents in the shapes of the three sectors, made by examples/data.

They are as young as today, so that nothing of them lies outside the period that a consent covers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from examples.data import bank, energy, espi, health
from examples.data.people import PEOPLE, months_back

ALICE = PEOPLE[0]
ACCOUNT = bank.ACCOUNTS[ALICE.bank][0]
POINT = energy.POINTS[ALICE.energy][0]
PATIENT = health.patient_id(ALICE)
SUBSCRIPTION = "alice-subscription"

AISP = "/open-banking/v4.0/aisp"
FHIR = "/v2/fhir"
CLAIMS = 25  # of some 4 kB each
MONTHS = 6  # of hourly readings of some 200 bytes each


@dataclass(frozen=True, slots=True)
class Document:
    path: str  # at the organisation
    media_type: str
    body: bytes


def documents(base: str, today: date) -> dict[str, Document]:
    """By name. `base`: the data server's address, which their links carry."""
    path = f"{AISP}/accounts/{ACCOUNT.id}/transactions"
    batch = f"Batch/Subscription/{SUBSCRIPTION}"
    return {
        "bank": Document(path, "application/json", _json(_transactions(f"{base}{path}", today))),
        "claims": Document(
            f"{FHIR}/ExplanationOfBenefit", "application/fhir+json", _json(_claims(f"{base}{FHIR}", today))
        ),
        "usage": Document(f"{espi.RESOURCE}/{batch}", "application/atom+xml", _usage(base, batch, today)),
    }


def write(folder: Path, found: Mapping[str, Document]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in found.items():
        (folder / name).write_bytes(document.body)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _transactions(address: str, today: date) -> Any:
    """One page of 2 kB: the two newest booked transactions."""
    booked = [row for row in bank.transactions(ACCOUNT, today) if row["Status"] == "BOOK"]
    return {
        "Data": {"Transaction": booked[:2]},
        "Links": {"Self": f"{address}?page=1", "First": f"{address}?page=1", "Last": f"{address}?page=1"},
        "Meta": {
            "TotalPages": 1,
            "FirstAvailableDateTime": f"{months_back(today, bank.MONTHS)}T00:00:00+01:00",
            "LastAvailableDateTime": f"{today}T00:00:00+01:00",
        },
    }


def _claims(base: str, today: date) -> Any:
    """One page of 100 kB, every claim within the last year."""
    newest = health.claims(ALICE, today)[:CLAIMS]
    oldest = date.fromisoformat(newest[-1]["billablePeriod"]["start"])
    if oldest < today - timedelta(days=390):
        raise ValueError("the example insurer knows too few claims of the last 13 months")
    return {
        "resourceType": "Bundle",
        "id": "6b1c7a55-5a55-4a55-8a55-0a5a5a5a5a5a",
        "meta": {"lastUpdated": f"{today.isoformat()}T04:00:00+00:00"},
        "type": "searchset",
        "total": len(newest),
        "link": [{"relation": "self", "url": f"{base}/ExplanationOfBenefit?startIndex=0&_count=50"}],
        "entry": [{"resource": claim} for claim in newest],
    }


def _usage(base: str, batch: str, today: date) -> bytes:
    window = espi.Window(start=energy.midnight(months_back(today, MONTHS)))
    entries = espi.entries([POINT], SUBSCRIPTION, today, window)
    return espi.feed(base, batch, "City Energy", energy.midnight(today), entries)
