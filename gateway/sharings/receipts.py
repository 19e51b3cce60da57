"""Receipts as files: one version of an agreement, or its end, in the shape of ISO/IEC TS 27560 with terms of DPV 2.3.

Everything in a receipt is read from the stored record: the terms of that version, the chain of events up to it,
and the evidence of what was shown. It is signed (compact JWS, ES256) with a key that is published at /jwks.json,
so that anybody can check it, without asking the gateway, for as long as the key is published.

It contains no value of the person's data and neither the person's name nor those of her accounts, so that she may
pass it on. It contains the terms and the events themselves, so that their hashes (SHA-256 over RFC 8785) can be
computed from the file alone. What the standard asks for but the record does not have is listed in `aval:notStated`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.consent import events
from gateway.consent.rules import VERSIONS, EndReason, State
from gateway.consent.tables import ConsentEvent, Terms
from gateway.ground.keys import KeyRing
from gateway.settings import Settings

TYP = "aval-receipt+jws"

CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
    "aval": "urn:aval:receipt:",
    **{
        name: {"@type": "@id"}  # the value is a term or an address, not a text
        for name in """dct:conformsTo schema:recipient schema:url dpv:hasConsentStatus dpv:hasLegalBasis
        dpv:hasNecessity dpv:hasProcessing dpv:isIndicatedBy dpv:isExercisedAt""".split()
    },
    **{
        name: {"@type": "@json"}  # parts of the record, unchanged
        for name in "aval:terms aval:events aval:period aval:frequency".split()
    },
}
_RECEIPT = "https://w3id.org/dpv/schema/dpv-27560#receipt"
_RECORD = "https://w3id.org/dpv/schema/dpv-27560#record"
_RECORD_EU = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"  # with content of the GDPR
# Reason of the end → status in DPV. A replaced agreement keeps its last status: the receipt of the newer one continues.
_ENDED = {
    EndReason.WITHDRAWN: "dpv:ConsentWithdrawn",
    EndReason.BY_APP: "dpv:ConsentRevoked",  # ended by another than the person; DPV 2.3 has no "terminated"
    EndReason.EXPIRED: "dpv:ConsentExpired",
    EndReason.USED_UP: "dpv:ConsentExpired",
    EndReason.REPLACED: "dpv:ConsentGiven",
    EndReason.INVALIDATED: "dpv:ConsentInvalidated",
    EndReason.UNCLAIMED: "dpv:ConsentExpired",
}
_SENSITIVE = {"sensitive": "dpv:SensitivePersonalData", "special": "dpv:SpecialCategoryPersonalData"}
_RIGHTS = ("eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A17", "eu-gdpr:A20")
_NOT_STATED = ("storage_locations", "processing_locations", "jurisdiction", "party_address", "authority_party")

Json = dict[str, Any]


def signed(receipt: Mapping[str, Any], keys: KeyRing) -> Json:
    """The file: the receipt in readable form and as the payload of a signature. Only the payload is to be trusted."""
    return {"receipt": dict(receipt), "jws": keys.sign(dict(receipt), typ=TYP)}


def of_version(
    settings: Settings,
    terms: Mapping[str, Any],
    row: Terms,
    chain: Sequence[ConsentEvent],
    shown: Mapping[str, Any] | None,
) -> Json:
    """The receipt of one version. It is the same whenever it is made. `chain`: all events of the consent, in order;
    `shown`: what was shown when it was agreed to (`evidence.shown`)."""
    made = next(event for event in chain if event.version == row.version and event.type in VERSIONS)
    status = {"dpv:hasConsentStatus": "dpv:ConsentGiven"}
    past = [event for event in chain if event.seq <= made.seq]
    return _receipt(settings, str(row.version), terms, row, past, shown, made.at, status)


def of_end(
    settings: Settings,
    terms: Mapping[str, Any],
    row: Terms,
    chain: Sequence[ConsentEvent],
    shown: Mapping[str, Any] | None,
    reason: str,
    ended_at: datetime,
    replaced_by: str | None,
) -> Json:
    """The receipt of the end: since when calls are refused, and why."""
    status: Json = {
        "dpv:hasConsentStatus": _ENDED[EndReason(reason)],
        "aval:state": str(State.ENDED),
        "aval:reason": reason,
        "aval:refusedFrom": ended_at.isoformat(),
    }
    if replaced_by:
        status["dct:isReplacedBy"] = replaced_by
    return _receipt(settings, "end", terms, row, chain, shown, ended_at, status)


def _receipt(
    settings: Settings,
    name: str,
    terms: Mapping[str, Any],
    row: Terms,
    chain: Sequence[ConsentEvent],
    shown: Mapping[str, Any] | None,
    at: datetime,
    status: Json,
) -> Json:
    publisher = {"@type": "dpv:LegalEntity", "dpv:hasName": settings.operator_name, "schema:url": settings.public_url}
    return {
        "@context": CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "iss": settings.public_url,
        "dct:conformsTo": _RECEIPT,
        "dct:identifier": f"{terms['consent']}:{name}",
        "dct:created": at.isoformat(),
        "dct:publisher": publisher,
        "schema:recipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": {**_record(settings, terms, shown), **status},
        "aval:terms": dict(terms),
        "aval:termsSha256": row.sha256,
        "aval:events": [_event(event) for event in chain],
        "aval:notStated": list(_NOT_STATED),
    }


def _record(settings: Settings, terms: Mapping[str, Any], shown: Mapping[str, Any] | None) -> Json:
    purpose, valid = terms["purpose"], terms["valid"]
    page = f"{settings.public_url}/sharings/{terms['consent']}"
    return {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": _RECORD_EU if "/gdpr#" in purpose["legal_basis"] else _RECORD,
        "dct:identifier": f"{terms['consent']}:{terms['version']}",
        "dct:replaces": terms["replaces"],
        "dct:language": terms["notice"]["language"],
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": terms["subject"]},
        "dpv:hasNotice": _notices(terms["notice"], shown),
        "dpv:hasDataController": [
            {"@type": "dpv:LegalEntity", "dpv:hasName": one["name"], "dpv:hasContact": one["contact"]}
            for one in terms["controllers"]
        ],
        "dpv:hasRecipient": [
            {"@type": "dpv:Recipient", "dpv:hasName": one["name"], "aval:role": one.get("role", ""),
             "dpv:hasLocation": one.get("country", "")}
            for one in terms["recipients"]
        ],
        "dpv:hasService": {
            "@type": "dpv:Service",
            "dct:identifier": terms["app"]["client_id"],
            "dpv:hasName": _said(terms["app"]["name"]),
        },
        "dpv:hasProcess": [_process(item, terms) for item in terms["items"]],
        "dpv:hasLegalBasis": [purpose["legal_basis"], "dpv:ExplicitlyExpressedConsent"],
        "dpv:isIndicatedAtTime": terms["indication"]["at"],
        "dpv:hasIndicationMethod": terms["indication"]["method"],
        "dpv:isIndicatedBy": [_who(acting["capacity"]) for acting in terms["acted_by"]],
        "dpv:hasDuration": {
            "@type": "dpv:UntilTimeDuration",
            "aval:from": valid["from"],
            "aval:until": valid["until"],
            "aval:uses": valid["max_uses"],
        },
        "dpv:hasConsentControl": [{"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": f"{page}/stop"}],
        "dpv:hasRight": [{"@id": right, "dpv:isExercisedAt": page} for right in _RIGHTS],
    }  # fmt: skip


def _process(item: Mapping[str, Any], terms: Mapping[str, Any]) -> Json:
    """One type of data at one organisation, whether agreed to or not."""
    purpose, retention = terms["purpose"], terms["retention"]["duration"]
    kinds = ["dpv:PersonalData", *([_SENSITIVE[item["sensitivity"]]] if item["sensitivity"] in _SENSITIVE else [])]
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": purpose["dpv"],
            "dct:identifier": purpose["code"],
            "dct:title": _said(purpose["title"]),
            "dct:description": _said(purpose["text"]),
        },
        "dpv:hasPersonalData": {
            "@type": kinds,
            "dct:identifier": item["dataset"],
            "aval:fields": item["fields"],
            "aval:accounts": item["accounts"],
        },
        "dpv:hasDataSource": {
            "@type": "dpv:ThirdPartyDataSource",
            "dct:identifier": item["organisation"],
            "dpv:hasName": _said(item["organisation_name"]),
        },
        "dpv:hasProcessing": "dpv:Obtain",
        "dpv:hasNecessity": "dpv:Required" if item["necessity"] == "required" else "dpv:Optional",
        "dpv:hasJustification": _said(item["reason"]),
        "dpv:hasConsentStatus": "dpv:ConsentGiven" if item["granted"] else "dpv:ConsentRefused",
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": retention},
            {"@type": "dpv:StorageDeletion", "dpv:hasDuration": retention},
        ],
        "aval:period": item["period"],
        "aval:frequency": item["frequency"],
        "aval:recordsMax": item["records_max"],
    }


def _notices(notice: Mapping[str, Any], shown: Mapping[str, Any] | None) -> list[Json]:
    text = {
        "@type": "dpv:ConsentNotice",
        "dct:identifier": notice["template"],
        "dct:language": notice["language"],
        "aval:textSha256": notice["text_sha256"],
        "aval:templateSha256": notice["template_sha256"],
    }
    policy = shown["app"]["privacy_policy"] if shown else ""
    return [text, *([{"@type": "dpv:PrivacyNotice", "schema:url": policy}] if policy else [])]


def _said(words: Mapping[str, str]) -> list[Json]:
    return [{"@language": language, "@value": text} for language, text in sorted(words.items())]


def _who(capacity: str) -> str:
    return "dpv:GuardianOfDataSubject" if capacity == "guardian" else "dpv:DataSubject"


def _event(event: ConsentEvent) -> Json:
    return {**events.hashed(event), "sha256": event.sha256}
