"""Small documents of the three formats, every member filled with a value of its own, and plans to cut them.

A value that stands for a field is called its canary: a string found nowhere else in the document.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.catalogue import fields as catalogue
from gateway.formats import registry
from gateway.formats.model import Account, Asked, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window

MINE = Account("native-4711", "pairwise_ref-of-aliceA")
OTHER = Account("native-0815", "pairwise_ref-of-aliceB")
FOREIGN = "native-6666"
YEAR = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
ALWAYS = Window(None, None)
DAY = "2025-06-15"

BASES = {"bank": "/open-banking/v4.0/aisp", "energy": "/espi/1_1/resource", "health": "/v2/fhir"}
FORMATS = {"bank": "uk-open-banking-4", "energy": "espi-4", "health": "fhir-r4"}
TYPES = {"bank": "application/json", "energy": "application/atom+xml", "health": "application/fhir+json"}

Json = dict[str, Any]


def source(sector: str) -> Source:
    return Source(
        f"{sector}-org", sector, "", "Europe/Paris", f"https://gw.example/data/{sector}-org", "https://org.example"
    )


def fields_of(dataset: str) -> list[str]:
    return list(catalogue.datasets(FORMATS[_sector(dataset)])[dataset].fields)


def free_fields(dataset: str) -> list[str]:
    """The fields a person may untick."""
    return [f.id for f in catalogue.datasets(FORMATS[_sector(dataset)])[dataset].fields.values() if not f.structural]


def granted(
    dataset: str,
    without: Iterable[str] = (),
    accounts: tuple[Account, ...] = (MINE,),
    most: int | None = None,
    others: tuple[str, ...] = (),
) -> Granted:
    return Granted(dataset, frozenset(fields_of(dataset)) - set(without), accounts, most, others)


def plan(*items: Granted, strict: bool = False) -> Plan:
    sector = _sector(items[0].dataset)
    whose = replace(source(sector), seen=lambda _: None) if strict else source(sector)
    return registry.plan(whose, FORMATS[sector], items)


def asked(sector: str, path: str, *query: tuple[str, str]) -> Asked:
    return Asked("GET", BASES[sector] + path, query)


def sent(of: Plan, sector: str, path: str, *query: tuple[str, str], window: Window = ALWAYS) -> Upstream:
    found = of.request(asked(sector, path, *query), window)
    assert isinstance(found, Upstream), found
    return found


def removals(dataset: str, pairs: bool) -> Iterator[tuple[str, ...]]:
    """Nothing, every field alone, everything; with pairs, every two as well."""
    fields = free_fields(dataset)
    yield ()
    yield from ((field,) for field in fields)
    if pairs:
        yield from itertools.combinations(fields, 2)
    yield tuple(fields)


def _sector(dataset: str) -> str:
    return {"energy": "energy", "bank": "bank", "health": "health"}[dataset.partition(".")[0]]


# ---- bank


def bank(member: str, records: list[Json], links: Json | None = None, meta: Json | None = None) -> bytes:
    found = {"Self": "https://org.example/open-banking/v4.0/aisp/x"} if links is None else links
    document: Json = {"Data": {member: records}, "Links": found, "Meta": {"TotalPages": 1} if meta is None else meta}
    return json.dumps(document).encode()


def account(native: str = MINE.native) -> Json:
    return {
        "AccountId": native,
        "Status": "Enabled",
        "StatusUpdateDateTime": "2025-01-01T06:06:06+00:00",
        "Currency": "EUR",
        "AccountCategory": "Personal",
        "AccountTypeCode": "CACC",
        "Description": "desc-canary",
        "Nickname": "nick-canary",
        "Account": [
            {"SchemeName": "UK.OBIE.IBAN", "Identification": "FR7630006000011234567890189", "Name": "Alice Martin"}
        ],
        "Servicer": {"SchemeName": "UK.OBIE.BICFI", "Identification": "SERVCANARYXX"},
        "StatementFrequencyAndFormat": [{"Frequency": "MNTH", "DeliveryAddress": {"StreetName": "street-never"}}],
    }


BANK_CANARIES = {
    "bank.accounts": {
        "account.kind": ["CACC", "2025-01-01T06:06:06"],
        "account.name": ["desc-canary", "nick-canary"],
        "account.number": ["FR7630006000011234567890189", "SERVCANARYXX"],
        "account.holder": ["Alice Martin"],
    },
    "bank.balances": {"balance.amount": ["1234.56"]},
    "bank.transactions": {
        "transaction.date": ["BookingDateTime", "ValueDateTime"],
        "transaction.amount": ["771.01", "0.37", "1.4142", "contract-canary"],
        "transaction.type": ["ICDT-canary", "own-canary", "ext-canary", "CASH", "BKFE"],
        "transaction.narrative": ["narrative-canary", "extended words"],
        "transaction.counterparty": [
            "Carol Creditor",
            "FR76creditor",
            "GB29agent",
            "Ulla",
            "proxy-canary",
        ],
        "transaction.merchant": ["Boots the Chemist", "5912", "Floor 5"],
        "transaction.running_balance": ["888.88"],
        "transaction.ids": ["tx-canary", "ref-canary", "statement-canary", "card-canary"],
    },
}
BANK_NEVER = ["street-never", "supplementary-never", "999999.99", "Dan Debtor", "Udo"]  # the payer of a debit is she


def balance(native: str = MINE.native, at: str = f"{DAY}T10:00:00+00:00") -> Json:
    return {
        "AccountId": native,
        "CreditDebitIndicator": "Credit",
        "Type": "CLBD",
        "DateTime": at,
        "Amount": {"Amount": "1234.56", "Currency": "EUR"},
        "CreditLine": [{"Included": False, "Type": "Pre-Agreed", "Amount": {"Amount": "500.00", "Currency": "EUR"}}],
    }


def _party(name: str) -> Json:
    return {"SchemeName": "UK.OBIE.BICFI", "Identification": f"id-{name}", "Name": name}


def transaction(native: str = MINE.native, at: str = f"{DAY}T10:00:00+00:00") -> Json:
    money = {"Amount": "771.01", "Currency": "EUR"}
    return {
        "AccountId": native,
        "TransactionId": "tx-canary",
        "TransactionReference": "ref-canary",
        "StatementReference": ["statement-canary"],
        "CreditDebitIndicator": "Debit",
        "Status": "BOOK",
        "TransactionMutability": "Immutable",
        "BookingDateTime": at,
        "ValueDateTime": at,
        "TransactionInformation": "narrative-canary",
        "AddressLine": "Floor 5",
        "Amount": money,
        "ChargeAmount": {"Amount": "0.37", "Currency": "EUR"},
        "CurrencyExchange": {
            "SourceCurrency": "EUR",
            "TargetCurrency": "GBP",
            "ExchangeRate": 1.4142,
            "ContractIdentification": "contract-canary",
        },
        "BankTransactionCode": {"Code": "ICDT-canary", "SubCode": "x"},
        "ProprietaryBankTransactionCode": {"Code": "own-canary"},
        "ExtendedProprietaryBankTransactionCodes": [{"Code": "ext-canary", "Description": "extended words"}],
        "Balance": {
            "CreditDebitIndicator": "Credit",
            "Type": "CLBD",
            "Amount": {"Amount": "888.88", "Currency": "EUR"},
        },
        "MerchantDetails": {"MerchantName": "Boots the Chemist", "MerchantCategoryCode": "5912"},
        "CreditorAgent": {"SchemeName": "UK.OBIE.BICFI", "Identification": "GB29agent"},
        "CreditorAccount": {
            "SchemeName": "UK.OBIE.IBAN",
            "Identification": "FR76creditor",
            "Name": "Carol Creditor",
            "Proxy": {"Identification": "proxy-canary", "Code": "TELE"},
        },
        "DebtorAgent": _party("agent of Dan Debtor"),
        "DebtorAccount": {"SchemeName": "UK.OBIE.IBAN", "Identification": "x", "Name": "Dan Debtor"},
        "UltimateCreditor": _party("Ulla"),
        "UltimateDebtor": _party("Udo"),
        "CardInstrument": {"CardSchemeName": "VISA", "Identification": "card-canary"},
        "SupplementaryData": {"any": "supplementary-never"},
        "CategoryPurposeCode": "CASH",
        "PaymentPurposeCode": "BKFE",
    }


# ---- health


def concept(code: str, system: str = "http://example.org/codes") -> Json:
    return {"coding": [{"system": system, "code": code, "display": f"{code} display"}]}


NDC = "http://hl7.org/fhir/sid/ndc"


def _patient(native: str) -> Json:
    return {"reference": f"Patient/{native}", "display": "Alice never-beside-a-reference"}


def patient(native: str = MINE.native) -> Json:
    return {
        "resourceType": "Patient",
        "id": native,
        "meta": {"lastUpdated": "2025-01-01T00:00:00Z", "profile": ["http://example.org/C4BB-Patient"]},
        "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>narrative-never</div>"},
        "extension": [
            {"url": "http://example.org/race", "extension": [{"url": "text", "valueString": "extension-canary"}]}
        ],
        "identifier": [{"value": "mbi-never"}],
        "name": [{"family": "Martin-canary", "given": ["Alice-canary"]}],
        "telecom": [{"system": "phone", "value": "+33-canary"}],
        "gender": "female",
        "birthDate": "1980-02-29",
        "maritalStatus": concept("marital-canary"),
        "address": [{"line": ["street-canary"], "city": "city-canary"}],
        "contact": [{"name": {"family": "kin-never"}}],
    }


def coverage(native: str = MINE.native, start: str = "2020-01-01", end: str | None = None) -> Json:
    return {
        "resourceType": "Coverage",
        "id": f"part-a-{native}",
        "meta": {"lastUpdated": "2025-01-01T00:00:00Z", "profile": ["http://example.org/C4BB-Coverage"]},
        "extension": [{"url": "http://example.org/dual", "valueCode": "extension-never"}],
        "identifier": [{"value": "coverage-number-canary"}],
        "status": "active",
        "type": concept("plan-type-canary"),
        "subscriberId": "subscriber-canary",
        "beneficiary": _patient(native),
        "relationship": concept("self"),
        "period": {"start": start} | ({"end": end} if end else {}),
        "payor": [{"display": "payor-canary"}],
        "class": [{"type": concept("plan"), "value": "class-canary"}],
        "costToBeneficiary": [{"type": concept("copay"), "valueMoney": {"value": 12.50, "currency": "EUR"}}],
    }


def claim(native: str = MINE.native, start: str = DAY, end: str = DAY, drug: bool = False) -> Json:
    product = concept("drug-canary", NDC) if drug else concept("service-canary")
    amount = {"value": 4242.10, "currency": "EUR"}
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": "claim-id-canary",
        "meta": {"lastUpdated": "2024-01-01T00:00:00Z", "profile": ["http://example.org/C4BB-EOB"]},
        "contained": [
            {
                "resourceType": "Organization",
                "id": "org1",
                "name": "contained-canary",
                "telecom": [{"value": "t-never"}],
            },
            {"resourceType": "Patient", "id": "pat1", "identifier": [{"value": "contained-never"}]},
        ],
        "extension": [{"url": "http://example.org/x", "valueString": "extension-never"}],
        "identifier": [{"value": "identifier-canary"}],
        "status": "active",
        "type": concept("type-canary"),
        "use": "claim",
        "patient": _patient(native),
        "billablePeriod": {"start": start, "end": end},
        "created": f"{end}T12:00:00+02:00",
        "insurer": {"display": "insurer-canary"},
        "provider": {"display": "provider-canary"},
        "facility": {"extension": [{"url": "http://example.org/y", "valueString": "extension-never"}]},
        "referral": {"reference": "#org1"},
        "payee": {"party": {"reference": "#pat1"}},
        "outcome": "complete",
        "careTeam": [{"sequence": 1, "provider": {"display": "team-canary"}}],
        "supportingInfo": [{"sequence": 1, "category": concept("info-canary"), "valueQuantity": {"value": 30}}],
        "diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": concept("diagnosis-canary")}],
        "procedure": [{"sequence": 1, "procedureCodeableConcept": concept("procedure-canary")}],
        "insurance": [
            {"focal": True, "coverage": {"reference": f"Coverage/part-a-{native}", "display": "cover-canary"}}
        ],
        "item": [
            {
                "sequence": 1,
                "careTeamSequence": [1],
                "diagnosisSequence": [1],
                "procedureSequence": [1],
                "informationSequence": [1],
                "productOrService": product,
                "servicedDate": start,
                "locationCodeableConcept": concept("place-canary"),
                "quantity": {"value": 7.70},
                "adjudication": [{"category": concept("adjudication-canary"), "amount": amount}],
            }
        ],
        "total": [{"category": concept("total-canary"), "amount": amount}],
        "payment": {"date": end, "amount": amount},
    }


HEALTH = {
    "health.person": ("/Patient", patient),
    "health.coverage": ("/Coverage", coverage),
    "health.claims": ("/ExplanationOfBenefit", claim),
}
HEALTH_CANARIES = {
    "health.person": {
        "person.demographics": ["female", "1980-02-29", "marital-canary"],
        "person.name": ["Martin-canary", "Alice-canary"],
        "person.contact": ["+33-canary", "street-canary", "city-canary"],
        "person.extensions": ["extension-canary"],
    },
    "health.coverage": {
        "coverage.plan": ["plan-type-canary", "payor-canary", "class-canary"],
        "coverage.ids": ["coverage-number-canary", "subscriber-canary", "part-a-"],
    },
    "health.claims": {
        "claims.dates": [DAY],
        "claims.type": ["type-canary"],
        "claims.providers": ["provider-canary", "contained-canary", "team-canary", "place-canary", "careTeamSequence"],
        "claims.diagnoses": ["diagnosis-canary", "service-canary", "info-canary", "diagnosisSequence"],
        "claims.procedures": ["procedure-canary", "service-canary", "procedureSequence"],
        "claims.drugs": ["drug-canary", "info-canary", "informationSequence"],
        "claims.amounts": ["4242.1", "adjudication-canary", "total-canary"],
        "claims.insurance": ["insurer-canary", "cover-canary", "Coverage/"],
        "claims.ids": ["claim-id-canary", "identifier-canary"],
    },
}
HEALTH_NEVER = ["-never", MINE.native, "C4BB"]


def bundle(resources: list[Json], links: list[Json] | None = None, total: int | None = None) -> bytes:
    entries = [
        {"fullUrl": f"https://org.example/v2/fhir/{r['resourceType']}/{r['id']}", "resource": r} for r in resources
    ]
    document = {
        "resourceType": "Bundle",
        "id": "b",
        "type": "searchset",
        "total": len(resources) if total is None else total,
    }
    return json.dumps(document | {"link": links or [], "entry": entries}).encode()


def later(moment: datetime, seconds: int) -> datetime:
    return moment + timedelta(seconds=seconds)
