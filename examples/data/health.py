"""Patient, Coverage and ExplanationOfBenefit of the people, FHIR R4 in the shape of CMS Blue Button 2.0.

    patient(person) · coverages(person) · claims(person, today)     claims: newest first, three years

Amounts are numbers with two decimals; dates are whole days. Every resource carries identifiers, names and codes that a
consent may withhold.
"""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from examples.data.health_tables import DRUGS, PHARMACY, VISITS, Drug, Visit
from examples.data.people import Person, digits, months_back

MONTHS = 36
SETTLED_AFTER = timedelta(days=9)
CURRENCY = "EUR"
BB2 = "https://bluebutton.cms.gov/resources"
CARIN = "http://hl7.org/fhir/us/carin-bb"
HL7 = "http://terminology.hl7.org/CodeSystem"
COVERED = {"professional": 70, "pharmacy": 65}  # part of the price that the insurer pays, in percent

Json = dict[str, Any]


def patient_id(person: Person) -> str:
    """Blue Button's synthetic patients have negative numbers."""
    return "-" + digits("patient", person.health, length=14)


def patient(person: Person) -> Json:
    member = {
        "type": {"coding": [_code(f"{HL7}/v2-0203", "MB", "Member Number")]},
        "system": f"{BB2}/variables/bene_id",
        "value": patient_id(person),
    }
    number = {
        "type": {"coding": [_code(f"{HL7}/v2-0203", "MC", "Patient's Medicare number")]},
        "system": "http://hl7.org/fhir/sid/us-mbi",
        "value": _member_number(person),
        "period": {"start": "2020-01-01"},
    }
    unknown = _code(f"{HL7}/v3-NullFlavor", "UNK", "Unknown")
    return {
        "resourceType": "Patient",
        "id": patient_id(person),
        "meta": _meta("C4BB-Patient", date(2024, 1, 8)),
        "extension": [
            {"url": f"{BB2}/variables/rfrnc_yr", "valueDate": "2024"},
            {
                "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                "extension": [
                    {"url": "ombCategory", "valueCoding": unknown},
                    {"url": "text", "valueString": "Unknown"},
                ],
            },
        ],
        "identifier": [member, number],
        "name": [{"use": "usual", "family": person.family, "given": [person.given]}],
        "telecom": [
            {"system": "phone", "value": person.phone, "use": "home"},
            {"system": "email", "value": person.email},
        ],
        "gender": person.gender,
        "birthDate": person.birth_date.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [person.homes[0].address.split(",")[0]],
                "city": person.town,
                "postalCode": person.postcode,
                "country": "FR",
            }
        ],
    }


def coverages(person: Person) -> list[Json]:
    return [_coverage(person, "part-b", "Part B", "EHCPOL"), _coverage(person, "part-d", "Part D", "DRUGPOL")]


def _coverage(person: Person, part: str, plan: str, kind: str) -> Json:
    def of_class(code: str, display: str, value: str) -> Json:
        return {"type": {"coding": [_code(f"{HL7}/coverage-class", code, display)]}, "value": value}

    return {
        "resourceType": "Coverage",
        "id": f"{part}-{patient_id(person)}",
        "meta": _meta("C4BB-Coverage", date(2024, 1, 8)),
        "extension": [{"url": f"{BB2}/variables/rfrnc_yr", "valueDate": "2024"}],
        "status": "active",
        "type": {"coding": [_code(f"{HL7}/v3-ActCode", kind)]},
        "subscriberId": _member_number(person),
        "beneficiary": {"reference": f"Patient/{patient_id(person)}"},
        "relationship": {"coding": [_code(f"{HL7}/subscriber-relationship", "self", "Self")]},
        "period": {"start": max(date(2015, 1, 1), person.birth_date).isoformat()},
        "payor": [{"identifier": {"value": "Meadow Health"}}],
        "class": [of_class("group", "Group", "Meadow"), of_class("plan", "Plan", plan)],
    }


@lru_cache(maxsize=16)
def claims(person: Person, today: date) -> tuple[Json, ...]:
    """Claims for care since the first of the month 36 months back that are settled: an insurer knows no others."""
    found: list[tuple[date, Json]] = []
    for back in range(MONTHS, -1, -1):
        month = months_back(today, back)
        found += [(day, claim) for day, claim in _month(person, month) if day + SETTLED_AFTER <= today]
    return tuple(claim for _, claim in sorted(found, key=lambda dated: (dated[0], dated[1]["id"]), reverse=True))


def _month(person: Person, month: date) -> Iterator[tuple[date, Json]]:
    """One or two visits in three months of four, and the drugs of the month."""
    rng = random.Random(f"meadow/{person.health}/{month.isoformat()}")
    visits = VISITS[person.key]
    for n in range(rng.choices((0, 1, 2), (25, 60, 15))[0]):
        visit = rng.choices(visits, [v.weight for v in visits])[0]
        day = month + timedelta(days=rng.randrange(28))
        yield day, _carrier(person, day, n, visit)
    drug = rng.choice(DRUGS[person.key])
    day = month + timedelta(days=rng.randrange(28))
    yield day, _pharmacy(person, day, drug)


# ---- explanations of benefit


def _carrier(person: Person, day: date, n: int, visit: Visit) -> Json:
    number = digits("carrier", person.health, day.isoformat(), str(n), length=11)
    npi = digits("npi", visit.provider, length=10)
    item = {
        "sequence": 1,
        "careTeamSequence": [1],
        "diagnosisSequence": [1],
        "productOrService": {
            "coding": [_code(f"{BB2}/codesystem/hcpcs", visit.procedure, visit.procedure_text)],
        },
        "servicedPeriod": {"start": day.isoformat(), "end": day.isoformat()},
        "locationCodeableConcept": {"coding": [_code(f"{BB2}/variables/line_place_of_srvc_cd", visit.place)]},
        "quantity": {"value": 1},
        "adjudication": _adjudication(visit.cents, COVERED["professional"]),
    }
    procedure_code = {"coding": [_code(f"{BB2}/codesystem/hcpcs", visit.procedure, visit.procedure_text)]}
    diagnosis_code = _code("http://hl7.org/fhir/sid/icd-10-cm", visit.diagnosis, visit.diagnosis_text)
    return _explanation(person, day, "carrier", number, visit.cents) | {
        "provider": {"identifier": _npi(npi), "display": visit.provider},
        "careTeam": [
            {
                "sequence": 1,
                "provider": {"identifier": _npi(npi), "display": visit.provider},
                "role": {"coding": [_code(f"{CARIN}/CodeSystem/C4BBClaimCareTeamRole", "performing", "Performing")]},
                "qualification": {
                    "coding": [_code(f"{BB2}/variables/prvdr_spclty", visit.specialty_code, visit.specialty)]
                },
            }
        ],
        "diagnosis": [
            {
                "sequence": 1,
                "diagnosisCodeableConcept": {"coding": [diagnosis_code]},
                "type": [{"coding": [_code(f"{HL7}/ex-diagnosistype", "principal", "Principal Diagnosis")]}],
            }
        ],
        "procedure": [
            {"sequence": 1, "date": f"{day.isoformat()}T00:00:00+00:00", "procedureCodeableConcept": procedure_code}
        ],
        "insurance": _insurance(person, "part-b"),
        "item": [item],
    }


def _pharmacy(person: Person, day: date, drug: Drug) -> Json:
    number = digits("pde", person.health, day.isoformat(), drug.ndc, length=11)
    prescriber, prescriber_npi = (
        VISITS[person.key][0].provider,
        digits("npi", VISITS[person.key][0].provider, length=10),
    )
    info_type = f"{CARIN}/CodeSystem/C4BBSupportingInfoType"
    item = {
        "sequence": 1,
        "careTeamSequence": [1],
        "informationSequence": [1, 2],
        "productOrService": {"coding": [_code("http://hl7.org/fhir/sid/ndc", drug.ndc, drug.name)]},
        "servicedDate": day.isoformat(),
        "quantity": {"value": drug.days},
        "adjudication": _adjudication(drug.cents, COVERED["pharmacy"]),
    }
    return _explanation(person, day, "pde", number, drug.cents) | {
        "provider": {"identifier": _npi(PHARMACY[1]), "display": PHARMACY[0]},
        "facility": {"identifier": _npi(PHARMACY[1]), "display": PHARMACY[0]},
        "careTeam": [
            {
                "sequence": 1,
                "provider": {"identifier": _npi(prescriber_npi), "display": prescriber},
                "role": {
                    "coding": [
                        _code(f"{CARIN}/CodeSystem/C4BBClaimCareTeamRole", "prescribing", "Prescribing provider")
                    ]
                },
            }
        ],
        "supportingInfo": [
            {
                "sequence": 1,
                "category": {"coding": [_code(info_type, "dayssupply", "Days Supply")]},
                "valueQuantity": {"value": drug.days},
            },
            {
                "sequence": 2,
                "category": {"coding": [_code(info_type, "refillnum", "Refill Number")]},
                "valueQuantity": {"value": day.month % 6},
            },
        ],
        "insurance": _insurance(person, "part-d"),
        "item": [item],
    }


# eob-type of Blue Button, claim-type of HL7, profile of CARIN
_TYPES = {
    "carrier": ("CARRIER", "professional", "Professional", "C4BB-ExplanationOfBenefit-Professional-NonClinician"),
    "pde": ("PDE", "pharmacy", "Pharmacy", "C4BB-ExplanationOfBenefit-Pharmacy"),
}


def _explanation(person: Person, day: date, kind: str, number: str, cents: int) -> Json:
    """What every kind of claim has."""
    ours, theirs, display, profile = _TYPES[kind]
    paid = day + SETTLED_AFTER
    unique = {"coding": [_code(f"{CARIN}/CodeSystem/C4BBIdentifierType", "uc", "Unique Claim ID")]}
    variable = "pde_id" if kind == "pde" else "clm_id"
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": f"{kind}--{number}",
        "meta": _meta(profile, paid),
        "identifier": [
            {"type": unique, "system": f"{BB2}/variables/{variable}", "value": f"-{number}"},
            {"type": unique, "system": f"{BB2}/identifier/claim-group", "value": digits("group", number, length=11)},
        ],
        "status": "active",
        "type": {"coding": [_code(f"{BB2}/codesystem/eob-type", ours), _code(f"{HL7}/claim-type", theirs, display)]},
        "use": "claim",
        "patient": {"reference": f"Patient/{patient_id(person)}"},
        "billablePeriod": {"start": day.isoformat(), "end": day.isoformat()},
        "created": f"{paid.isoformat()}T06:00:00+00:00",
        "insurer": {"identifier": {"value": "Meadow Health"}},
        "outcome": "complete",
        "total": [
            {
                "category": {"coding": [_code(f"{HL7}/adjudication", "submitted", "Submitted Amount")]},
                "amount": _money(cents),
            },
            {
                "category": {"coding": [_code(f"{HL7}/adjudication", "benefit", "Benefit Amount")]},
                "amount": _money(_benefit(cents, COVERED[theirs])),
            },
        ],
        "payment": {"date": paid.isoformat(), "amount": _money(_benefit(cents, COVERED[theirs]))},
    }


def _adjudication(cents: int, percent: int) -> list[Json]:
    benefit = _benefit(cents, percent)
    c4bb = f"{CARIN}/CodeSystem/C4BBAdjudication"
    amounts = (
        (f"{HL7}/adjudication", "submitted", "Submitted Amount", cents),
        (f"{HL7}/adjudication", "benefit", "Benefit Amount", benefit),
        (c4bb, "paidbypatient", "Paid by patient", cents - benefit),
    )
    return [
        {"category": {"coding": [_code(system, code, display)]}, "amount": _money(amount)}
        for system, code, display, amount in amounts
    ]


def _insurance(person: Person, part: str) -> list[Json]:
    return [{"focal": True, "coverage": {"reference": f"Coverage/{part}-{patient_id(person)}"}}]


def _npi(number: str) -> Json:
    kind = _code(f"{CARIN}/CodeSystem/C4BBIdentifierType", "npi", "National Provider Identifier")
    return {"type": {"coding": [kind]}, "value": number}


def _benefit(cents: int, percent: int) -> int:
    return cents * percent // 100


def _money(cents: int) -> Json:
    return {"value": cents / 100, "currency": CURRENCY}


def _member_number(person: Person) -> str:
    return "1S00" + digits("mbi", person.health, length=7)


def _code(system: str, code: str, display: str = "") -> Json:
    return {"system": system, "code": code} | ({"display": display} if display else {})


def _meta(profile: str, updated: date) -> Json:
    at = datetime.combine(updated, time(4), UTC).isoformat()
    return {"lastUpdated": at, "profile": [f"{CARIN}/StructureDefinition/{profile}"]}
