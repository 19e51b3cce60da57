"""The members of FHIR R4 as far as this gateway carries it: Patient, Coverage, ExplanationOfBenefit, searchset Bundle.

`-` marks known members that are never given, because no field of the catalogue has them: element ids, extensions inside
other elements, narrative and other free text, contained resources (see contained.py), people around the patient.
`implicitRules` and `modifierExtension` change the meaning of what stands beside them (`!`): where that would leave, the
answer is refused. Of an element that is withheld nothing leaves, so there they do not matter.
"""

_BASE = "id:- extension:-"
_PART = f"{_BASE} modifierExtension:!"  # a BackboneElement of R4
_RESOURCE = (
    "resourceType:s id:s meta:Meta implicitRules:! _implicitRules:! language:- text:- contained:- modifierExtension:!"
)

TABLE = {
    # The bundle is written again by the gateway. Its Raw members are skipped, except the resource.
    "Bundle": (
        "resourceType:s id:Raw meta:Raw implicitRules:! _implicitRules:! language:Raw identifier:Raw type:s"
        " timestamp:Raw total:Raw link:Link* entry:Entry* signature:Raw"
    ),
    "Link": "id:Raw extension:Raw modifierExtension:! relation:s url:s",
    "Entry": (
        "id:Raw extension:Raw modifierExtension:! link:Raw fullUrl:Raw resource:Raw search:Search request:Raw"
        " response:Raw"
    ),
    "Search": "id:Raw extension:Raw modifierExtension:! mode:s score:Raw",
    "Meta": f"{_BASE} versionId:s lastUpdated:s source:- profile:s* security:Coding* tag:Coding*",
    "Coding": f"{_BASE} system:s version:s code:s display:s userSelected:b",
    "CodeableConcept": f"{_BASE} coding:Coding* text:s",
    "Period": f"{_BASE} start:s end:s",
    "Identifier": f"{_BASE} use:s type:CodeableConcept system:s value:s period:Period assigner:-",
    "Reference": f"{_BASE} reference:s type:s identifier:Identifier display:s",
    "Quantity": f"{_BASE} value:n comparator:s unit:s system:s code:s",
    "Money": f"{_BASE} value:n currency:s",
    "Address": (f"{_BASE} use:s type:s text:s line:s* city:s district:s state:s postalCode:s country:s period:Period"),
    "HumanName": f"{_BASE} use:s text:s family:s given:s* prefix:s* suffix:s* period:Period",
    "ContactPoint": f"{_BASE} system:s value:s use:s rank:i period:Period",
    "Patient": (
        f"{_RESOURCE} extension:Raw* identifier:- active:b name:HumanName* telecom:ContactPoint* gender:s"
        " birthDate:s deceasedBoolean:b deceasedDateTime:s address:Address* maritalStatus:CodeableConcept"
        " multipleBirthBoolean:b multipleBirthInteger:i photo:- contact:- communication:Communication*"
        " generalPractitioner:- managingOrganization:- link:-"
    ),
    "Communication": f"{_PART} language:CodeableConcept preferred:b",
    "Coverage": (
        f"{_RESOURCE} extension:- identifier:Identifier* status:s type:CodeableConcept policyHolder:Reference"
        " subscriber:Reference subscriberId:s beneficiary:Reference dependent:s relationship:CodeableConcept"
        " period:Period payor:Reference* class:Class* order:i network:s costToBeneficiary:Cost* subrogation:-"
        " contract:Reference*"
    ),
    "Class": f"{_PART} type:CodeableConcept value:s name:s",
    "Cost": f"{_PART} type:CodeableConcept valueQuantity:Quantity valueMoney:Money exception:-",
    "ExplanationOfBenefit": (
        f"{_RESOURCE} extension:- identifier:Identifier* status:s type:CodeableConcept subType:CodeableConcept use:s"
        " patient:Reference billablePeriod:Period created:s enterer:Reference insurer:Reference provider:Reference"
        " priority:CodeableConcept fundsReserveRequested:CodeableConcept fundsReserve:CodeableConcept"
        " related:Related* prescription:Reference originalPrescription:Reference payee:Payee referral:Reference"
        " facility:Reference claim:Reference claimResponse:Reference outcome:s disposition:- preAuthRef:s*"
        " preAuthRefPeriod:Period* careTeam:CareTeam* supportingInfo:SupportingInfo* diagnosis:Diagnosis*"
        " procedure:Procedure* precedence:i insurance:Insurance* accident:Accident item:Item* addItem:-"
        " adjudication:Adjudication* total:Total* payment:Payment formCode:- form:- processNote:-"
        " benefitPeriod:Period benefitBalance:Balance*"
    ),
    "Related": f"{_PART} claim:Reference relationship:CodeableConcept reference:Identifier",
    "Payee": f"{_PART} type:CodeableConcept party:Reference",
    "CareTeam": (
        f"{_PART} sequence:i provider:Reference responsible:b role:CodeableConcept qualification:CodeableConcept"
    ),
    "SupportingInfo": (
        f"{_PART} sequence:i category:CodeableConcept code:CodeableConcept timingDate:s timingPeriod:Period"
        " valueBoolean:b valueString:- valueQuantity:Quantity valueAttachment:- valueReference:Reference reason:Coding"
    ),
    "Diagnosis": (
        f"{_PART} sequence:i diagnosisCodeableConcept:CodeableConcept diagnosisReference:Reference"
        " type:CodeableConcept* onAdmission:CodeableConcept packageCode:CodeableConcept"
    ),
    "Procedure": (
        f"{_PART} sequence:i type:CodeableConcept* date:s procedureCodeableConcept:CodeableConcept"
        " procedureReference:Reference udi:-"
    ),
    "Insurance": f"{_PART} focal:b coverage:Reference preAuthRef:s*",
    "Accident": f"{_PART} date:s type:CodeableConcept locationAddress:Address locationReference:Reference",
    "Item": (
        f"{_PART} sequence:i careTeamSequence:i* diagnosisSequence:i* procedureSequence:i* informationSequence:i*"
        " revenue:CodeableConcept category:CodeableConcept productOrService:CodeableConcept modifier:CodeableConcept*"
        " programCode:CodeableConcept* servicedDate:s servicedPeriod:Period locationCodeableConcept:CodeableConcept"
        " locationAddress:Address locationReference:Reference quantity:Quantity unitPrice:Money factor:n net:Money"
        " udi:- bodySite:CodeableConcept subSite:CodeableConcept* encounter:- noteNumber:- adjudication:Adjudication*"
        " detail:-"
    ),
    "Adjudication": f"{_PART} category:CodeableConcept reason:CodeableConcept amount:Money value:n",
    "Total": f"{_PART} category:CodeableConcept amount:Money",
    "Payment": (
        f"{_PART} type:CodeableConcept adjustment:Money adjustmentReason:CodeableConcept date:s amount:Money"
        " identifier:Identifier"
    ),
    "Balance": (
        f"{_PART} category:CodeableConcept excluded:b name:s description:- network:CodeableConcept"
        " unit:CodeableConcept term:CodeableConcept financial:Financial*"
    ),
    "Financial": (
        f"{_PART} type:CodeableConcept allowedUnsignedInt:i allowedString:- allowedMoney:Money usedUnsignedInt:i"
        " usedMoney:Money"
    ),
}

_PRIMITIVES = ("s", "b", "i", "n")
_ELEMENT_LESS = ("Bundle", "Link", "Entry", "Search")  # types of the bundle, whose members have no extensions


def with_extended_values(table: dict[str, str]) -> dict[str, str]:
    """The table with extensions of primitive values added (R4 §2.6.2, as in `_birthDate`).

    They are never given, like other extensions inside elements. The table has twice as many members and is slower, so
    it is only used for insurers whose answers have such extensions.
    """
    return {kind: line if kind in _ELEMENT_LESS else f"{line} {_beside(line)}" for kind, line in table.items()}


def _beside(line: str) -> str:
    words = (entry.partition(":") for entry in line.split())
    return " ".join(f"_{n}:-" for n, _, word in words if word.rstrip("*") in _PRIMITIVES and n != "resourceType")


MODIFIERS = ("modifierExtension", "implicitRules")


def with_modifiers(table: dict[str, str]) -> dict[str, str]:
    """The table for an answer with members that are not in it: those that change a meaning are refused in every type,
    also where R4 does not have them. Members come last, so that those before keep their place."""
    return {
        kind: " ".join([line, *(f"{name}:!" for name in MODIFIERS if f" {name}:" not in f" {line}")])
        for kind, line in table.items()
    }


# The members that linking needs. All others are skipped.
NEEDED = {
    "Bundle": "resourceType:s link:Link* entry:Entry*",
    "Link": "relation:s url:s",
    "Entry": "resource:Raw search:Search",
    "Search": "mode:s",
    "Patient": "resourceType:s id:s name:Raw",
    "HumanName": "family:s given:s*",
}

ENVELOPE = ("resourceType", "meta")  # given with every resource, whatever was granted


def bundle_of(kind: str, table: dict[str, str]) -> dict[str, str]:
    """The table for a bundle whose resources are all of this type, so that it is parsed at once."""
    return table | {"Entry": table["Entry"].replace("resource:Raw", f"resource:{kind}")}
