"""References to contained resources (R4 §2.3.5). `contained` itself is never given.

An insurer may put a doctor or a plan into `contained` and only "#doctor" into the field. If the field is granted, the
name and number of the organisation, place or professional are written into the reference itself; where the field is the
illness, the procedure or the drug, the words for it are. A contained patient or coverage has numbers of the person, so
for these and all others only the kind of resource is told.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway.formats import json_values
from gateway.formats.fhir.shapes import TABLE
from gateway.formats.model import UnknownShape
from gateway.formats.shapes import Reader

NAMED = ("Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService", "CareTeam")
_DRUG = ("Medication", "MedicationRequest", "MedicationDispense", "MedicationStatement")
CODED: Mapping[tuple[str, str], tuple[str, ...]] = {  # reference → the resources whose code is what its field means
    ("Diagnosis", "diagnosisReference"): ("Condition",),
    ("Procedure", "procedureReference"): ("Procedure",),
    ("ExplanationOfBenefit", "prescription"): _DRUG,
    ("ExplanationOfBenefit", "originalPrescription"): _DRUG,
}
UNKNOWN = "not available"  # where R4 requires a reference but the contained resource has nothing that may be told

_reader = Reader(
    TABLE
    | {
        "Contained": (
            "resourceType:s id:s name:Raw identifier:Identifier* practitioner:Reference organization:Reference code:Raw"
            " medicationCodeableConcept:Raw modifierExtension:! implicitRules:!"
        )
    },
    "Contained",
    strict=False,
)
_human = Reader(TABLE, "HumanName", strict=False)
_concept = Reader(TABLE, "CodeableConcept", strict=False)


def inline(resource: Any, text: Raw) -> None:
    """Write name and number of the contained resource into every local reference. `text`: `contained`, a JSON list."""
    held: dict[str, Any] = {}
    for each in _list(text):
        try:
            found, _ = _reader.read(each)
        except UnknownShape:  # references to it are treated as unknown
            continue
        if found.id is not UNSET:
            held[f"#{found.id}"] = found
    _inline(resource, held)


def drop(value: Any) -> None:
    """Remove the address of local references to nothing known. Their other members stay."""
    _inline(value, {})


def _inline(value: Any, held: dict[str, Any], place: tuple[str, str] = ("", "")) -> None:
    """`place`: type and member in which the value stands."""
    if isinstance(value, list):
        for each in value:
            _inline(each, held, place)
    elif isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        if "reference" in fields and isinstance(value.reference, str) and value.reference.startswith("#"):  # type: ignore[attr-defined]  # compiled from the table
            _resolve(value, held, place)
        for name in fields:
            _inline(getattr(value, name), held, (type(value).__name__, name))


def _resolve(reference: Any, held: dict[str, Any], place: tuple[str, str]) -> None:
    target = held.get(reference.reference)
    reference.reference = UNSET
    if target is not None and target.resourceType is not UNSET:
        if reference.type is UNSET:
            reference.type = target.resourceType
        if target.resourceType in CODED.get(place, ()) and reference.display is UNSET:
            reference.display = _coded(target) or UNSET
        if target.resourceType in NAMED:
            if reference.display is UNSET:
                reference.display = _name(target, held) or UNSET
            if reference.identifier is UNSET and target.identifier:
                reference.identifier = target.identifier[0]
    if reference.type is UNSET and reference.display is UNSET and reference.identifier is UNSET:
        reference.display = UNKNOWN


def _name(target: Any, held: dict[str, Any]) -> str:
    """The name of an organisation, place or person; for a role, that of the person or organisation in it."""
    if target.name is not UNSET:
        return _spoken(target.name)
    for whose in (target.practitioner, target.organization):
        if whose is not UNSET:
            other = held.get(whose.reference) if isinstance(whose.reference, str) else None
            name = _spoken(other.name) if other is not None and other.name is not UNSET else ""
            if whose.display is not UNSET or name:
                return name if whose.display is UNSET else str(whose.display)
    return ""


def _coded(target: Any) -> str:
    """The words for what a resource is about, or else its code."""
    for text in (target.medicationCodeableConcept, target.code):
        try:
            concept = None if text is UNSET else _concept.read(text)[0]
        except UnknownShape:
            continue
        if concept is not None:
            codings = [] if concept.coding is UNSET else concept.coding
            words = [concept.text, *(each.display for each in codings), *(each.code for each in codings)]
            return next((str(word) for word in words if word is not UNSET), "")
    return ""


def _spoken(name: Raw) -> str:
    try:
        found = json_values.value(name)
        if isinstance(found, str):
            return found
        human, _ = _human.read(_list(name)[0])
    except (UnknownShape, ValueError, IndexError):
        return ""
    if human.text is not UNSET:
        return str(human.text)
    given = [] if human.given is UNSET else human.given
    return " ".join([*given, *([] if human.family is UNSET else [human.family])])


def _list(text: Raw) -> list[Raw]:
    try:
        return msgspec.json.decode(text, type=list[Raw])
    except msgspec.MsgspecError:
        return []
