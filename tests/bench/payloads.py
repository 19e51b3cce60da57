"""The three answers: 2 KB of JSON from a bank, a 100 KB FHIR bundle, 1 MB of ESPI, in the formats' own shapes."""

import json
from dataclasses import dataclass
from datetime import date

from examples.data import energy, espi, health, people

BASE = "/open-banking/v4.0/aisp"
TODAY = date(2026, 11, 20)
NATIVE = "00012345"


@dataclass(frozen=True)
class Payload:
    """One answer and who gives it. `account`: its owner, as the organisation calls her."""

    name: str
    sector: str
    dataset: str
    fields: tuple[str, ...]
    account: str
    path: str  # at the organisation
    media_type: str
    body: bytes
    resource: str = ""


def bank() -> Payload:
    """An account's transactions, of which date and amount are agreed to."""
    records = [
        {
            "AccountId": NATIVE,
            "TransactionId": f"T{number:06d}",
            "CreditDebitIndicator": "Debit",
            "Status": "BOOK",
            "BookingDateTime": f"2026-11-{number + 1:02d}T10:00:00+00:00",
            "ValueDateTime": f"2026-11-{number + 1:02d}T10:00:00+00:00",
            "TransactionInformation": "Card payment at the harbour, receipt kept by the shop, no fee",
            "Amount": {"Amount": f"{10 + number}.50", "Currency": "EUR"},
            "MerchantDetails": {"MerchantName": f"Shop {number}", "MerchantCategoryCode": "5411"},
        }
        for number in range(5)
    ]
    body = {"Data": {"Transaction": records}, "Links": {"Self": f"{BASE}/accounts/{NATIVE}/transactions"}, "Meta": {}}
    return Payload(
        name="2 KB JSON",
        sector="bank",
        dataset="bank.transactions",
        fields=("transaction.date", "transaction.amount"),
        account=NATIVE,
        path=f"{BASE}/accounts/{NATIVE}/transactions",
        media_type="application/json",
        body=json.dumps(body, separators=(",", ":")).encode(),
    )


def fhir() -> Payload:
    """A page of explanations of benefit, of which dates and amounts are agreed to."""
    alice = people.PEOPLE[0]
    patient = health.patient_id(alice)
    entries, size = [], 0
    for claim in health.claims(alice, TODAY):
        entries.append({"fullUrl": f"https://health.example/v2/fhir/ExplanationOfBenefit/{claim['id']}", "resource": claim})
        size += len(json.dumps(claim, separators=(",", ":")))
        if size > 100_000:
            break
    path = "/v2/fhir/ExplanationOfBenefit"
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": f"https://health.example{path}?patient={patient}"}],
        "entry": entries,
    }
    return Payload(
        name="100 KB FHIR",
        sector="health",
        dataset="health.claims",
        fields=("claims.dates", "claims.amounts"),
        account=patient,
        path=path,
        media_type="application/fhir+json",
        body=json.dumps(bundle, separators=(",", ":")).encode(),
    )


def green_button() -> Payload:
    """A subscription's feed of hourly readings, of which the values are agreed to."""
    points = energy.POINTS[:1] if hasattr(energy, "POINTS") else list(energy.points(people.PEOPLE[0]))[:1]
    subscription = "s1"
    path = f"/espi/1_1/resource/Batch/Subscription/{subscription}"
    base = "https://energy.example"
    found = list(espi.entries(points, subscription, TODAY))
    body = espi.feed(base, path, "Energy", energy.midnight(TODAY), found)
    return Payload(
        name="1 MB ESPI",
        sector="energy",
        dataset="energy.electricity.usage",
        fields=("interval.start", "interval.value"),
        account=points[0].id,
        path=path,
        media_type="application/atom+xml",
        body=body,
        resource=subscription,
    )
