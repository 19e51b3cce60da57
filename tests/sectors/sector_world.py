"""Small documents of the three formats, every member filled with a value of its own, and plans to cut them.

A value that stands for a field is called its canary: a string found nowhere else in the document.
"""

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sectors import catalogue
from gateway.sectors.model import Account, Asked, Granted, Plan, Source, Upstream, Window
from gateway.sectors.registry import SECTORS

MINE = Account("native-4711", "pairwise_ref-of-aliceA")
OTHER = Account("native-0815", "pairwise_ref-of-aliceB")
FOREIGN = "native-6666"
YEAR = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
ALWAYS = Window(None, None)
DAY = "2025-06-15"

BASES = {"bank": "/open-banking/v4.0/aisp", "energy": "/espi/1_1/resource", "health": "/v2/fhir"}
TYPES = {"bank": "application/json", "energy": "application/atom+xml", "health": "application/fhir+json"}

Json = dict[str, Any]


def source(sector: str) -> Source:
    return Source(
        f"{sector}-org", sector, "", "Europe/Paris", f"https://gw.example/data/{sector}-org", "https://org.example"
    )


def fields_of(dataset: str) -> list[str]:
    return list(catalogue.datasets(_sector(dataset))[dataset].fields)


def free_fields(dataset: str) -> list[str]:
    """The fields a person may untick."""
    return [f.id for f in catalogue.datasets(_sector(dataset))[dataset].fields.values() if not f.structural]


def granted(
    dataset: str, without: Iterable[str] = (), accounts: tuple[Account, ...] = (MINE,), most: int | None = None
) -> Granted:
    return Granted(dataset, frozenset(fields_of(dataset)) - set(without), accounts, most)


def plan(*items: Granted) -> Plan:
    sector = _sector(items[0].dataset)
    return SECTORS[sector].plan(source(sector), items)


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
            "Dan Debtor",
            "GB29agent",
            "Ulla",
            "Udo",
            "proxy-canary",
        ],
        "transaction.merchant": ["Boots the Chemist", "5912", "Floor 5"],
        "transaction.running_balance": ["888.88"],
        "transaction.ids": ["tx-canary", "ref-canary", "statement-canary", "card-canary"],
    },
}
BANK_NEVER = ["street-never", "supplementary-never", "999999.99"]


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
        "contained": [{"resourceType": "Organization", "id": "org1", "name": "contained-never"}],
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
        "claims.providers": ["provider-canary", "team-canary", "place-canary", "careTeamSequence"],
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


# ---- energy

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
HOUR = 3600
START = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())

ENERGY_CANARIES = {
    "energy.electricity.usage": {
        "interval.start": ["<start>", "<duration>"],
        "interval.value": ["<value>"],
        "interval.quality": ["<quality>"],
        "interval.cost": ["<cost>", "<currency>", "<tou>"],
    },
    "energy.electricity.summary": {
        "summary.period": ["<billingPeriod>"],
        "summary.consumption": ["overallConsumptionLastPeriod", "606060"],
        "summary.amounts": ["505050", "line-canary", "tariff-canary"],
        "summary.comparisons": ["707070", "previousDayOverallConsumption"],
    },
    "energy.point": {"point.location": ["street-canary", "agreement-canary"]},
}
ENERGY_NEVER = ["never", MINE.native, "9B6C7070", "rgb-street"]


def reading(start: int, value: int = 450, lasts: int = HOUR) -> str:
    return (
        f"<IntervalReading><cost>12</cost><ReadingQuality><quality>0</quality></ReadingQuality><timePeriod>"
        f"<duration>{lasts}</duration><start>{start}</start></timePeriod><value>{value}</value><tou>1</tou>"
        f"</IntervalReading>"
    )


def hours(start: int, count: int, lasts: int = HOUR) -> str:
    rng = random.Random(start)
    return "".join(reading(start + i * lasts, rng.randrange(10_000), lasts) for i in range(count))


def block(readings: str, start: int = START, lasts: int = HOUR) -> str:
    span = f"<interval><duration>{lasts}</duration><start>{start}</start></interval>"
    return f'<IntervalBlock xmlns="{ESPI}">{span}{readings}</IntervalBlock>'


def espi_entry(path: str, content: str, related: Iterable[str] = (), title: str = "rgb-street 7") -> str:
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{path.rsplit("/", 1)[0]}"/>'
    links += "".join(f'<link rel="related" href="{to}"/>' for to in related)
    return (
        f"<entry><id>urn:uuid:{abs(hash(path)):032x}</id>{links}<title>{title}</title><content>{content}</content>"
        "<published>2025-07-01T00:00:00Z</published><updated>2025-07-01T00:00:00Z</updated></entry>"
    )


def espi_feed(*entries: str) -> bytes:
    head = f'<feed xmlns="{ATOM}"><id>urn:uuid:0</id><title>rgb-street</title><updated>2025-07-01T00:00:00Z</updated>'
    return f'{DECLARATION}\n{head}<link rel="self" href="/x/9B6C7070"/>{"".join(entries)}</feed>'.encode()


ROOT = "/espi/1_1/resource/RetailCustomer/9B6C7070/UsagePoint"


def usage_point(native: str, *blocks: str, summaries: Iterable[str] = (), shared: bool = True) -> list[str]:
    """The entries of one usage point: parts with relative links, blocks and summaries numbered from 0."""
    point = f"{ROOT}/{native}"
    meter = f"{point}/MeterReading/01"
    times, kind = "/espi/1_1/resource/LocalTimeParameters/01", "/espi/1_1/resource/ReadingType/07"
    location = (
        "<serviceDeliveryPoint><name>street-canary</name><tariffProfile>x</tariffProfile>"
        "<customerAgreement>agreement-canary</customerAgreement></serviceDeliveryPoint>"
    )
    entries = [
        espi_entry(
            point,
            f'<UsagePoint xmlns="{ESPI}"><roleFlags>01</roleFlags><ServiceCategory><kind>0</kind></ServiceCategory>'
            f"{location}<readRoute>route-never</readRoute></UsagePoint>",
            [f"{point}/MeterReading", f"{point}/UsageSummary", times],
        ),
        espi_entry(meter, f'<MeterReading xmlns="{ESPI}"/>', [f"{meter}/IntervalBlock", kind]),
        *(espi_entry(f"{meter}/IntervalBlock/{n}", text) for n, text in enumerate(blocks)),
        *(espi_entry(f"{point}/UsageSummary/{n}", text) for n, text in enumerate(summaries)),
    ]
    return entries + ([local_time(times), reading_type(kind)] if shared else [])


def local_time(path: str) -> str:
    inner = "<dstEndRule>B40E2000</dstEndRule><dstOffset>3600</dstOffset><dstStartRule>360E2000</dstStartRule>"
    return espi_entry(
        path, f'<LocalTimeParameters xmlns="{ESPI}">{inner}<tzOffset>3600</tzOffset></LocalTimeParameters>'
    )


def reading_type(path: str) -> str:
    inner = (
        "<accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity><currency>978</currency>"
        "<flowDirection>1</flowDirection><intervalLength>3600</intervalLength><kind>12</kind>"
        "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>"
    )
    return espi_entry(path, f'<ReadingType xmlns="{ESPI}">{inner}</ReadingType>')


def summary(start: int = START, lasts: int = 30 * 86400) -> str:
    def measured(name: str, value: int) -> str:
        return f"<{name}><powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom><value>{value}</value></{name}>"

    return (
        f'<UsageSummary xmlns="{ESPI}"><billingPeriod><duration>{lasts}</duration><start>{start}</start>'
        "</billingPeriod><billLastPeriod>505050</billLastPeriod><costAdditionalDetailLastPeriod><amount>1</amount>"
        "<note>line-canary</note><itemKind>5</itemKind></costAdditionalDetailLastPeriod><currency>978</currency>"
        + measured("overallConsumptionLastPeriod", 606060)
        + measured("previousDayOverallConsumption", 707070)
        + f"<statusTimeStamp>{start + lasts}</statusTimeStamp><tariffProfile>tariff-canary</tariffProfile>"
        "<readCycle>cycle-never</readCycle></UsageSummary>"
    )


def city(*extra: str) -> bytes:
    """A feed of one usage point with a day of hours and a bill, and what is planted."""
    entries = usage_point(MINE.native, block(hours(START, 24), START, 24 * HOUR), summaries=[summary()])
    return espi_feed(*entries, *extra)


def later(moment: datetime, seconds: int) -> datetime:
    return moment + timedelta(seconds=seconds)
