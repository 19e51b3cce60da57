"""The classic Blue Button text (v2.0), from FHIR resources: rules of 32 dashes, `Key: Value` lines, LF.

A section without records is left out. The head lists what the file contains (DOWNLOAD REQUEST SUMMARY of the veterans'
variant). Its time is that of the newest record, so that the text depends on the data alone. What is of another type
than R4 has it is read as if it were not there: the bundle beside this text has everything as it is.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

RULE = "-" * 32
SOURCE = "Source: Health insurer (FHIR R4)"
FLOATS = 10**15  # from here on a number is written as it is
NDC = "http://hl7.org/fhir/sid/ndc"

Json = dict[str, Any]
Record = list[tuple[str, str]]


def written(held: Iterable[Json]) -> bytes:
    """The file of these resources, as UTF-8 (plain ASCII when the data is)."""
    by_kind: dict[str, list[Json]] = {"Patient": [], "Coverage": [], "ExplanationOfBenefit": []}
    for resource in held:
        by_kind.setdefault(resource["resourceType"], []).append(resource)
    claims = sorted(by_kind["ExplanationOfBenefit"], key=lambda claim: _start(claim), reverse=True)
    lines = _head(by_kind, claims)
    lines += _section("Demographic", [_demographic(each) for each in by_kind["Patient"]])
    lines += _section("Drugs", list(_drugs(claims)))
    lines += _section("Providers", list(_providers(claims)))
    lines += _section("Plans", [_plan(each) for each in by_kind["Coverage"]])
    for number, claim in enumerate(claims):
        lines += _section("Claim Summary", [_summary(claim)]) if not number else _records([_summary(claim)])
        lines += [RULE, f"Claim Lines for Claim Number: {_number(claim)}", "", RULE, "", "", ""]
        lines += _records([_line(claim, line) for line in _objects(claim, "item")])
    return ("\n".join(lines) + "\n").encode()


def _head(by_kind: dict[str, list[Json]], claims: list[Json]) -> list[str]:
    stamps = [_text(_object(each, "meta"), "lastUpdated") for found in by_kind.values() for each in found]
    days = [_start(claim) for claim in claims if _start(claim)]
    covered = f"{_us(min(days))} - {_us(max(days))}" if days else "All"
    return [
        RULE, "MYMEDICARE.GOV PERSONAL HEALTH INFORMATION", "", RULE, "**********CONFIDENTIAL***********", "",
        "Produced by the Blue Button (v2.0)", "", _us_time(max(stamps, default="")), "", "", "", "",
        RULE, "DOWNLOAD REQUEST SUMMARY", "", RULE, "", SOURCE, "", "", "",
        "File Name: bluebutton.txt", "", f"Date Range Selected: {covered}", "",
        f"Data Types Selected: {', '.join(kind for kind, found in by_kind.items() if found)}", "", "", "",
    ]  # fmt: skip


def _section(title: str, records: list[Record]) -> list[str]:
    return [RULE, title, "", RULE, "", SOURCE, "", "", "", *_records(records)] if records else []


def _records(records: list[Record]) -> list[str]:
    lines: list[str] = []
    for record in records:
        for key, value in record:
            lines += [f"{key}: {_one_line(value)}", ""]
        lines += ["", ""]
    return lines


def _one_line(value: str) -> str:
    """The value on one line. Otherwise a line break in it could make a false section or key."""
    return " ".join(value.split())


def _demographic(patient: Json) -> Record:
    name, address = _first(patient, "name"), _first(patient, "address")
    lines = [*_texts(address, "line"), "", ""]
    contact = {_text(each, "system"): _text(each, "value") for each in _objects(patient, "telecom")}
    return [
        ("Name", " ".join([*_texts(name, "given"), _text(name, "family")]).upper()),
        ("Date of Birth", _us(_text(patient, "birthDate"))),
        ("Address Line 1", lines[0]),
        ("Address Line 2", lines[1]),
        ("City", _text(address, "city")),
        ("State", _text(address, "state")),
        ("Zip", _text(address, "postalCode")),
        ("Phone Number", contact.get("phone", "")),
        ("Email", contact.get("email", "")),
    ]


def _drugs(claims: list[Json]) -> Iterator[Record]:
    seen: set[str] = set()
    for claim in claims:
        for line in _objects(claim, "item"):
            name = _drug(line)
            if name and name not in seen:
                seen.add(name)
                yield [
                    ("Drug Name", name),
                    ("Supply", _number_text(_object(line, "quantity"))),
                    ("Orig Drug Entry", name),
                ]


def _providers(claims: list[Json]) -> Iterator[Record]:
    seen: set[str] = set()
    for claim in claims:
        name = _reference(_object(claim, "provider"))
        if name and name not in seen:
            seen.add(name)
            yield [
                ("Provider Name", name),
                ("Provider Address", ""),
                ("Type", _concept(_object(claim, "type"))),
                ("Specialty", _concept(_object(_first(claim, "careTeam"), "qualification"))),
                ("Medicare Provider", "Not Available"),
            ]


def _plan(coverage: Json) -> Record:
    period = _object(coverage, "period")
    names = [_text(each, "name") or _text(each, "value") for each in _objects(coverage, "class")]
    return [
        ("Contract ID/Plan ID", _text(coverage, "id")),
        ("Plan Period", f"{_us(_text(period, 'start'))} - {_us(_text(period, 'end')) or 'current'}"),
        ("Plan Name", " ".join(names)),
        ("Marketing Name", _reference(_first(coverage, "payor"))),
        ("Plan Address", ""),
        ("Plan Type", _concept(_object(coverage, "type"))),
    ]


def _summary(claim: Json) -> Record:
    period = _object(claim, "billablePeriod")
    totals = _amounts(_objects(claim, "total"))
    codes = [_concept(_object(each, "diagnosisCodeableConcept"), "code") for each in _objects(claim, "diagnosis")]
    return [
        ("Claim Number", _number(claim)),
        ("Provider", _reference(_object(claim, "provider")) or "No Information Available"),
        ("Provider Billing Address", ""),
        ("Service Start Date", _us(_text(period, "start"))),
        ("Service End Date", _us(_text(period, "end"))),
        ("Amount Charged", totals.get("submitted", "")),
        ("Medicare Approved", totals.get("eligible", "")),
        ("Provider Paid", totals.get("benefit", "")),
        ("You May be Billed", totals.get("paidbypatient", "")),
        ("Claim Type", _concept(_object(claim, "type"))),
        *((f"Diagnosis Code {number}", code) for number, code in enumerate(codes, 1)),
    ]


def _line(claim: Json, line: Json) -> Record:
    serviced = _object(line, "servicedPeriod")
    day = _text(line, "servicedDate") or _text(serviced, "start")
    if _drug(line):
        return [
            ("Claim Type", "Part D"),
            ("Claim Number", _number(claim)),
            ("Claim Service Date", _us(day)),
            ("Pharmacy / Service Provider", _reference(_object(claim, "facility"))),
            ("Pharmacy Name", _reference(_object(claim, "facility"))),
            ("Drug Code", _concept(_object(line, "productOrService"), "code")),
            ("Drug Name", _drug(line)),
            ("Fill Number", ""),
            ("Days' Supply", _number_text(_object(line, "quantity"))),
        ]
    product = _object(line, "productOrService")
    amounts = _amounts(_objects(line, "adjudication"))
    end = _text(serviced, "end") or day
    return [
        ("Line number", _text(line, "sequence")),
        ("Date of Service From", _us(day)),
        ("Date of Service To", _us(end)),
        ("Procedure Code/Description", f"{_concept(product, 'code')} - {_concept(product)}"),
        ("Quantity Billed/Units", _number_text(_object(line, "quantity"))),
        ("Submitted Amount/Charges", amounts.get("submitted", "")),
        ("Allowed Amount", amounts.get("eligible", "")),
        ("Non-Covered", amounts.get("noncovered", "")),
        ("Place of Service/Description", _concept(_object(line, "locationCodeableConcept"))),
    ]


def _object(owner: Json, name: str) -> Json:
    found = owner.get(name)
    return found if isinstance(found, dict) else {}


def _objects(owner: Json, name: str) -> list[Json]:
    found = owner.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _first(owner: Json, name: str) -> Json:
    return next(iter(_objects(owner, name)), {})


def _text(owner: Json, name: str) -> str:
    """A text, or a number as text."""
    found = owner.get(name)
    return str(found) if isinstance(found, str | int | float) else ""


def _texts(owner: Json, name: str) -> list[str]:
    found = owner.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _drug(line: Json) -> str:
    product = _object(line, "productOrService")
    drugs = [each for each in _objects(product, "coding") if each.get("system") == NDC]
    return _concept(product) if drugs else ""


def _number(claim: Json) -> str:
    return _text(_first(claim, "identifier"), "value") or _text(claim, "id")


def _start(claim: Json) -> str:
    return _text(_object(claim, "billablePeriod"), "start")


def _concept(concept: Json, part: str = "display") -> str:
    """The text of a code, which a person can read; without one, the code itself."""
    codings = _objects(concept, "coding")
    found = [_text(each, name) for name in (part, "code") for each in reversed(codings) if name in each]
    return found[0] if found else _text(concept, "text")


def _amounts(found: list[Json]) -> dict[str, str]:
    """Code of the category → amount."""
    return {
        _text(_first(_object(each, "category"), "coding"), "code"): _money(_object(each, "amount")) for each in found
    }


def _reference(reference: Json) -> str:
    return _text(reference, "display") or _text(_object(reference, "identifier"), "value")


def _money(amount: Json) -> str:
    text, currency = _written(amount, ".2f"), _text(amount, "currency") or "USD"
    if not text:
        return ""
    return f"${text}" if currency == "USD" else f"{text} {currency}"


def _number_text(quantity: Json) -> str:
    return _written(quantity, "g")


def _written(quantity: Json, form: str) -> str:
    value = quantity.get("value")
    if not isinstance(value, int | float):
        return ""
    return format(value, form) if abs(value) < FLOATS else str(value)


def _us(day: str) -> str:
    """MM/DD/YYYY. A date without a day stays as it is."""
    parts = day[:10].split("-")
    return f"{parts[1]}/{parts[2]}/{parts[0]}" if len(parts) == 3 else day


def _us_time(stamp: str) -> str:
    """MM/DD/YYYY h:mm AM, in the time zone of the timestamp."""
    if not re.match("[0-9-]{10}T[0-9]{2}:[0-9]{2}", stamp):
        return ""
    hour = int(stamp[11:13])
    return f"{_us(stamp)} {hour % 12 or 12}:{stamp[14:16]} {'AM' if hour < 12 else 'PM'}"
