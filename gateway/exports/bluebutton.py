"""The classic Blue Button text (v2.0), from FHIR resources: rules of 32 dashes, `Key: Value` lines, LF.

A section without records is left out. The head lists what the file contains (DOWNLOAD REQUEST SUMMARY of the veterans'
variant). Its time is that of the newest record, so that the text depends on the data alone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

RULE = "-" * 32
SOURCE = "Source: Health insurer (FHIR R4)"
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
        lines += _records([_line(claim, line) for line in claim.get("item", [])])
    return ("\n".join(lines) + "\n").encode()


def _head(by_kind: dict[str, list[Json]], claims: list[Json]) -> list[str]:
    stamps = [each.get("meta", {}).get("lastUpdated", "") for found in by_kind.values() for each in found]
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
    name, address = _first(patient.get("name")), _first(patient.get("address"))
    lines = [*address.get("line", []), "", ""]
    contact = {each.get("system"): each.get("value", "") for each in patient.get("telecom", [])}
    return [
        ("Name", " ".join([*name.get("given", []), name.get("family", "")]).upper()),
        ("Date of Birth", _us(patient.get("birthDate", ""))),
        ("Address Line 1", lines[0]),
        ("Address Line 2", lines[1]),
        ("City", address.get("city", "")),
        ("State", address.get("state", "")),
        ("Zip", address.get("postalCode", "")),
        ("Phone Number", contact.get("phone", "")),
        ("Email", contact.get("email", "")),
    ]


def _drugs(claims: list[Json]) -> Iterator[Record]:
    seen: set[str] = set()
    for claim in claims:
        for line in claim.get("item", []):
            name = _drug(line)
            if name and name not in seen:
                seen.add(name)
                yield [
                    ("Drug Name", name),
                    ("Supply", _number_text(line.get("quantity", {}))),
                    ("Orig Drug Entry", name),
                ]


def _providers(claims: list[Json]) -> Iterator[Record]:
    seen: set[str] = set()
    for claim in claims:
        name = _reference(claim.get("provider", {}))
        if name and name not in seen:
            seen.add(name)
            yield [
                ("Provider Name", name),
                ("Provider Address", ""),
                ("Type", _concept(claim.get("type", {}))),
                ("Specialty", _concept(_first(claim.get("careTeam")).get("qualification", {}))),
                ("Medicare Provider", "Not Available"),
            ]


def _plan(coverage: Json) -> Record:
    period = coverage.get("period", {})
    names = [each.get("name") or each.get("value", "") for each in coverage.get("class", [])]
    return [
        ("Contract ID/Plan ID", coverage.get("id", "")),
        ("Plan Period", f"{_us(period.get('start', ''))} - {_us(period.get('end', '')) or 'current'}"),
        ("Plan Name", " ".join(names)),
        ("Marketing Name", _reference(_first(coverage.get("payor")))),
        ("Plan Address", ""),
        ("Plan Type", _concept(coverage.get("type", {}))),
    ]


def _summary(claim: Json) -> Record:
    period = claim.get("billablePeriod", {})
    totals = {_code(total.get("category", {})): _money(total.get("amount", {})) for total in claim.get("total", [])}
    codes = [_concept(each.get("diagnosisCodeableConcept", {}), "code") for each in claim.get("diagnosis", [])]
    return [
        ("Claim Number", _number(claim)),
        ("Provider", _reference(claim.get("provider", {})) or "No Information Available"),
        ("Provider Billing Address", ""),
        ("Service Start Date", _us(period.get("start", ""))),
        ("Service End Date", _us(period.get("end", ""))),
        ("Amount Charged", totals.get("submitted", "")),
        ("Medicare Approved", totals.get("eligible", "")),
        ("Provider Paid", totals.get("benefit", "")),
        ("You May be Billed", totals.get("paidbypatient", "")),
        ("Claim Type", _concept(claim.get("type", {}))),
        *((f"Diagnosis Code {number}", code) for number, code in enumerate(codes, 1)),
    ]


def _line(claim: Json, line: Json) -> Record:
    day = line.get("servicedDate") or line.get("servicedPeriod", {}).get("start", "")
    if _drug(line):
        return [
            ("Claim Type", "Part D"),
            ("Claim Number", _number(claim)),
            ("Claim Service Date", _us(day)),
            ("Pharmacy / Service Provider", _reference(claim.get("facility", {}))),
            ("Pharmacy Name", _reference(claim.get("facility", {}))),
            ("Drug Code", _concept(line.get("productOrService", {}), "code")),
            ("Drug Name", _drug(line)),
            ("Fill Number", ""),
            ("Days' Supply", _number_text(line.get("quantity", {}))),
        ]
    product = line.get("productOrService", {})
    amounts = {_code(each.get("category", {})): _money(each.get("amount", {})) for each in line.get("adjudication", [])}
    end = line.get("servicedPeriod", {}).get("end", "") or day
    return [
        ("Line number", str(line.get("sequence", ""))),
        ("Date of Service From", _us(day)),
        ("Date of Service To", _us(end)),
        ("Procedure Code/Description", f"{_concept(product, 'code')} - {_concept(product)}"),
        ("Quantity Billed/Units", _number_text(line.get("quantity", {}))),
        ("Submitted Amount/Charges", amounts.get("submitted", "")),
        ("Allowed Amount", amounts.get("eligible", "")),
        ("Non-Covered", amounts.get("noncovered", "")),
        ("Place of Service/Description", _concept(line.get("locationCodeableConcept", {}))),
    ]


def _first(found: list[Json] | None) -> Json:
    return found[0] if found else {}


def _drug(line: Json) -> str:
    product = line.get("productOrService", {})
    drugs = [each for each in product.get("coding", []) if each.get("system") == NDC]
    return _concept(product) if drugs else ""


def _number(claim: Json) -> str:
    return str(_first(claim.get("identifier")).get("value") or claim.get("id", ""))


def _start(claim: Json) -> str:
    return str(claim.get("billablePeriod", {}).get("start", ""))


def _concept(concept: Json, part: str = "display") -> str:
    """The text of a code, which a person can read; without one, the code itself."""
    codings = concept.get("coding", [])
    found = [each[part] for each in codings if part in each] or [each["code"] for each in codings if "code" in each]
    return str(found[-1] if found else concept.get("text", ""))


def _code(concept: Json) -> str:
    return next((each.get("code", "") for each in concept.get("coding", [])), "")


def _reference(reference: Json) -> str:
    return str(reference.get("display") or reference.get("identifier", {}).get("value", ""))


def _money(amount: Json) -> str:
    if "value" not in amount:
        return ""
    currency = amount.get("currency", "USD")
    return f"${amount['value']:.2f}" if currency == "USD" else f"{amount['value']:.2f} {currency}"


def _number_text(quantity: Json) -> str:
    return f"{quantity['value']:g}" if "value" in quantity else ""


def _us(day: str) -> str:
    """MM/DD/YYYY. A date without a day stays as it is."""
    parts = day[:10].split("-")
    return f"{parts[1]}/{parts[2]}/{parts[0]}" if len(parts) == 3 else day


def _us_time(stamp: str) -> str:
    """MM/DD/YYYY h:mm AM, in the time zone of the timestamp."""
    if len(stamp) < 16:
        return ""
    hour = int(stamp[11:13])
    return f"{_us(stamp)} {hour % 12 or 12}:{stamp[14:16]} {'AM' if hour < 12 else 'PM'}"
