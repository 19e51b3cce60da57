"""The extensions of a resource, if the person granted them: all types of value of R4 (R4 §2.4.1, value[x]).

An extension may contain anything. So each is parsed by itself, and taken out if its value has no type of R4. The
others stay.
"""

from typing import Any

from msgspec import UNSET, Raw

from gateway.formats.fhir.shapes import TABLE, with_extended_values
from gateway.formats.model import DEPTH, UnknownShape
from gateway.formats.shapes import Reader

_BASE = "id:- extension:-"
_TEXTS = "Base64Binary Canonical Code Date DateTime Id Instant Markdown Oid String Time Uri Url Uuid".split()
_INTEGERS = "Integer PositiveInt UnsignedInt".split()
_QUANTITIES = "Age Count Distance Duration Quantity".split()
_LIKE_THEIR_NAME = (
    "Address Annotation Attachment CodeableConcept Coding ContactDetail ContactPoint Contributor DataRequirement Dosage"
    " Expression HumanName Identifier Meta Money ParameterDefinition Period Range Ratio Reference RelatedArtifact"
    " SampledData Signature Timing TriggerDefinition UsageContext"
).split()
VALUES = {
    "Boolean": "b",
    "Decimal": "n",
    **dict.fromkeys(_TEXTS, "s"),
    **dict.fromkeys(_INTEGERS, "i"),
    **dict.fromkeys(_QUANTITIES, "Quantity"),
    **{name: name for name in _LIKE_THEIR_NAME},
}

_TABLE = TABLE | {
    "Extension": " ".join(["id:- url:s extension:Raw*", *(f"value{name}:{word}" for name, word in VALUES.items())]),
    "Annotation": f"{_BASE} authorReference:Reference authorString:s time:s text:s",
    "Attachment": f"{_BASE} contentType:s language:s data:s url:s size:i hash:s title:s creation:s",
    "ContactDetail": f"{_BASE} name:s telecom:ContactPoint*",
    "Contributor": f"{_BASE} type:s name:s contact:ContactDetail*",
    "DataRequirement": (
        f"{_BASE} type:s profile:s* subjectCodeableConcept:CodeableConcept subjectReference:Reference mustSupport:s*"
        " codeFilter:CodeFilter* dateFilter:DateFilter* limit:i sort:Sort*"
    ),
    "CodeFilter": f"{_BASE} path:s searchParam:s valueSet:s code:Coding*",
    "DateFilter": f"{_BASE} path:s searchParam:s valueDateTime:s valuePeriod:Period valueDuration:Quantity",
    "Sort": f"{_BASE} path:s direction:s",
    "Dosage": (
        f"{_BASE} sequence:i text:s additionalInstruction:CodeableConcept* patientInstruction:s timing:Timing"
        " asNeededBoolean:b asNeededCodeableConcept:CodeableConcept site:CodeableConcept route:CodeableConcept"
        " method:CodeableConcept doseAndRate:DoseAndRate* maxDosePerPeriod:Ratio maxDosePerAdministration:Quantity"
        " maxDosePerLifetime:Quantity"
    ),
    "DoseAndRate": (
        f"{_BASE} type:CodeableConcept doseRange:Range doseQuantity:Quantity rateRatio:Ratio rateRange:Range"
        " rateQuantity:Quantity"
    ),
    "Expression": f"{_BASE} description:s name:s language:s expression:s reference:s",
    "ParameterDefinition": f"{_BASE} name:s use:s min:i max:s documentation:s type:s profile:s",
    "Range": f"{_BASE} low:Quantity high:Quantity",
    "Ratio": f"{_BASE} numerator:Quantity denominator:Quantity",
    "RelatedArtifact": f"{_BASE} type:s label:s display:s citation:s url:s document:Attachment resource:s",
    "SampledData": f"{_BASE} origin:Quantity period:n factor:n lowerLimit:n upperLimit:n dimensions:i data:s",
    "Signature": f"{_BASE} type:Coding* when:s who:Reference onBehalfOf:Reference targetFormat:s sigFormat:s data:s",
    "Timing": f"{_BASE} event:s* repeat:Repeat code:CodeableConcept",
    "Repeat": (
        f"{_BASE} boundsDuration:Quantity boundsRange:Range boundsPeriod:Period count:i countMax:i duration:n"
        " durationMax:n durationUnit:s frequency:i frequencyMax:i period:n periodMax:n periodUnit:s dayOfWeek:s*"
        " timeOfDay:s* when:s* offset:i"
    ),
    "TriggerDefinition": (
        f"{_BASE} type:s name:s timingTiming:Timing timingReference:Reference timingDate:s timingDateTime:s"
        " data:DataRequirement* condition:Expression"
    ),
    "UsageContext": (
        f"{_BASE} code:Coding valueCodeableConcept:CodeableConcept valueQuantity:Quantity valueRange:Range"
        " valueReference:Reference"
    ),
}
KNOWN = with_extended_values(_TABLE)
_reader = Reader(KNOWN, "Extension")


def reduce(owner: Any, strange: list[Raw], deep: int = 0) -> int:
    """Parse `owner.extension`, a list of JSON texts, and keep the valid ones. Returns how many members were taken.

    `strange` gets the texts of those that could not be read.
    """
    if owner.extension is UNSET:
        return 0
    kept, taken = [], 0
    for text in owner.extension:
        try:
            found, inside = _reader.read(text)
        except UnknownShape:
            strange.append(text)
            taken += 1
            continue
        has_nested = found.extension is not UNSET
        if has_nested and deep == DEPTH:
            taken += 1
            continue
        taken += inside + reduce(found, strange, deep + 1)
        if not has_nested or found.extension is not UNSET:  # an extension has a value or extensions (R4, ext-1)
            kept.append(found)
    owner.extension = kept or UNSET
    return taken
