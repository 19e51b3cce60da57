"""Keeps a cut resource valid R4: neutral values for members that FHIR requires and that are not given.

"withheld" stands only for what the person or the catalogue withholds. What the insurer left out is not available.
"""

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from gateway.formats.fhir import contained
from gateway.formats.shapes import Member, encode

NDC = "http://hl7.org/fhir/sid/ndc"  # the code system of drugs; every other code of a line is of a service
EMPTY = b"{}"  # what an element leaves that was an extension alone

WITHHELD_CONCEPT = Raw(b'{"text":"withheld"}')
WITHHELD_REFERENCE = Raw(b'{"display":"withheld"}')
NEUTRAL = {  # member that R4 requires → its value if it is withheld
    ("ExplanationOfBenefit", "type"): WITHHELD_CONCEPT,
    ("ExplanationOfBenefit", "insurer"): WITHHELD_REFERENCE,
    ("ExplanationOfBenefit", "provider"): WITHHELD_REFERENCE,
    ("ExplanationOfBenefit", "insurance"): Raw(b'[{"focal":true,"coverage":{"display":"withheld"}}]'),
    ("Item", "productOrService"): WITHHELD_CONCEPT,
    ("Coverage", "payor"): Raw(b'[{"display":"withheld"}]'),
}
ABSENT = {  # → its value if it is granted and missing
    member: Raw(bytes(value).replace(b'"withheld"', b'"%b"' % contained.UNKNOWN.encode()))
    for member, value in NEUTRAL.items()
}
SUBSETTED = Raw(b'{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}')
_ONLY_SUBSETTED = (SUBSETTED,)
_META_OF_SUBSET = {"tag": _ONLY_SUBSETTED}


def neutral(withheld: AbstractSet[Member]) -> dict[Member, Raw]:
    """The value of each member that R4 requires, where there is none to give."""
    return {member: NEUTRAL[member] if member in withheld else ABSENT[member] for member in NEUTRAL}


def repaired(answer: Any, resources: list[Any], holes: bool) -> bytes:
    """The answer as JSON, without empty elements and dangling local references, which FHIR forbids.

    Both are rare, so the encoded text is searched for them instead of every value. Empty elements are only searched
    for if there may be some (`holes`: something was withheld inside elements).
    """
    text = encode(answer)
    if b"#" in text and b'"reference":"#' in text:
        for resource in resources:
            contained.drop(resource)
        text = encode(answer)
    if holes and EMPTY in text:
        for resource in resources:
            if EMPTY in encode(resource):
                _prune(resource)
        text = encode(answer)
    return text


def withhold_codes(resource: Any, drugs: bool, services: bool) -> int:
    """Withhold code and quantity of every line whose kind is not granted. Returns how many members were taken.

    The code of a drug tells the drug. Any other code tells what was done and why, so it needs both of these fields.
    """
    taken = 0
    for line in () if resource.item is UNSET else resource.item:
        product = line.productOrService
        if product is not WITHHELD_CONCEPT and not (drugs if _is_drug(product) else services):
            taken += 1 + (line.quantity is not UNSET)
            line.productOrService, line.quantity = WITHHELD_CONCEPT, UNSET
    return taken


def _is_drug(product: Any) -> bool:
    """A line without a code is taken for a service."""
    codings = UNSET if type(product) is Raw else product.coding
    if codings is UNSET or not codings:
        return False
    for coding in codings:  # a loop instead of all(…), which is slower, because this runs for every line
        if coding.system != NDC:
            return False
    return True


def mark_as_subset(resource: Any) -> None:
    """Add the SUBSETTED tag of R4 (Resource.meta.tag) and remove profile claims, which may no longer be true."""
    meta = resource.meta
    if meta is UNSET:
        resource.meta = _META_OF_SUBSET
        return
    meta.profile = UNSET
    if meta.tag is UNSET:
        meta.tag = _ONLY_SUBSETTED
    else:
        meta.tag = [*(tag for tag in meta.tag if tag.code != "SUBSETTED"), SUBSETTED]


def _prune(value: Any) -> bool:
    """Remove empty objects and lists, which FHIR forbids. Returns whether `value` itself is empty now."""
    if isinstance(value, list):
        value[:] = [each for each in value if not _prune(each)]
        return not value
    if not isinstance(value, msgspec.Struct):
        return False
    empty = True
    for name in value.__struct_fields__:
        member = getattr(value, name)
        if member is not UNSET and _prune(member):
            setattr(value, name, NEUTRAL.get((type(value).__name__, name), UNSET))
            empty = empty and getattr(value, name) is UNSET
        elif member is not UNSET:
            empty = False
    return empty
