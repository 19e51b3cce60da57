"""Terms: one immutable version of what was agreed, built from the ask, the person's choices and the catalogue.

The members and their meaning: reference "consent record", section 1.1. Written once as
canonical JSON; the hash of each version is in the next.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.consent.actors import Actor
from gateway.consent.catalogue import Catalogue, Purpose
from gateway.consent.durations import parse as parse_duration
from gateway.consent.facts import AppView, OrganisationFacts
from gateway.consent.request import Ask, AskItem
from gateway.consent.rules import DURATIONS, OFFERED_DURATIONS, ONCE_HOURS

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> str:
    """RFC 8785 for what terms hold: ASCII member names, strings, integers, booleans, null, lists and objects."""
    return _encoder.encode(value).decode()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person chose. Nothing in it can be more than was offered: `parse` in choices.py sees to that."""

    granted: frozenset[tuple[str, str]]  # (organisation, dataset)
    accounts: Mapping[str, tuple[str, ...]]  # organisation → pairwise references
    duration: str  # key of rules.DURATIONS
    fields: Mapping[tuple[str, str], frozenset[str]] | None = None  # narrower fields; None: all that was asked


def offered_durations(ask: Ask) -> tuple[str, ...]:
    """Keys of rules.DURATIONS the person may choose from: "once", and what lies within the time asked for."""
    if ask.once:
        return ("once",)
    longest = parse_duration(ask.valid_for).length
    lasting = [key for key, days in DURATIONS if days is not None and days <= longest + 5]
    return ("once", *(lasting or ["d30"])[-(OFFERED_DURATIONS - 1) :])


def until(ask: Ask, duration: str, now: datetime, latest: datetime | None = None) -> datetime:
    """The end of the sharing, never after the end the app asked for, nor after `latest` (a child comes of age)."""
    asked_end = parse_duration(ask.valid_for).after(now)
    days = dict(DURATIONS)[duration]
    chosen = now + (timedelta(hours=ONCE_HOURS) if days is None else timedelta(days=days))
    return min(chosen, asked_end, latest or asked_end)


def build(
    *,
    consent: str,
    version: int,
    previous: str | None,
    replaces: str | None,
    subject: str,
    actor: Actor,
    ask: Ask,
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    catalogue: Catalogue,
    policy_sha256: str,
    choices: Choices,
    indication: Mapping[str, Any],
    notice: Mapping[str, Any],
    zone: str,
    now: datetime,
    latest: datetime | None = None,
) -> dict[str, Any]:
    """The terms as a JSON-ready dict. `subject` is the app's pairwise identifier of the person."""
    purpose = catalogue.purposes[ask.purpose]
    once = choices.duration == "once"
    return {
        "consent": consent,
        "version": version,
        "previous": previous,
        "replaces": replaces,
        "subject": subject,
        "acted_by": [{"capacity": actor.capacity}],
        "app": {
            "client_id": app.client_id,
            "name": dict(app.name),
            "legal_entity": app.legal_entity,
            "on_behalf_of": app.on_behalf_of,
            "metadata_sha256": app.metadata_sha256,
        },
        "controllers": [{"name": app.legal_entity, "contact": app.deletion_contact, "role": "controller"}],
        "recipients": [dict(recipient) for recipient in app.recipients],
        "purpose": _purpose(purpose),
        "items": [_item(item, directory, catalogue, purpose, choices, zone) for item in ask.items],
        "valid": {
            "from": now.isoformat(),
            "until": until(ask, choices.duration, now, latest).isoformat(),
            "max_uses": 1 if once else None,
            "duration": choices.duration,
        },
        "retention": {"duration": ask.retention, "then": "delete"},
        "indication": dict(indication),
        "notice": dict(notice),
        "caps": {"template_sha256": purpose.sha256, "policy_sha256": policy_sha256},
    }


def _purpose(purpose: Purpose) -> dict[str, Any]:
    return {
        "code": purpose.code,
        "version": purpose.version,
        "dpv": purpose.dpv,
        "title": dict(purpose.title),
        "text": dict(purpose.text),
        "legal_basis": purpose.legal_basis,
        "consent_type": "explicitly-expressed",
    }


def _item(
    item: AskItem,
    directory: Mapping[str, OrganisationFacts],
    catalogue: Catalogue,
    purpose: Purpose,
    choices: Choices,
    zone: str,
) -> dict[str, Any]:
    key = (item.organisation, item.dataset)
    granted = key in choices.granted
    chosen = choices.fields.get(key) if choices.fields else None
    structural = catalogue.datasets[item.dataset].structural()
    fields = [name for name in item.fields if chosen is None or name in chosen or name in structural]
    tightest: dict[str, int] = {}  # per window, so that no call is counted twice in one
    for times, per in [*([item.frequency] if item.frequency else []), *purpose.caps.frequency]:
        tightest[per] = min(int(times), tightest.get(per, int(times)))
    return {
        "organisation": item.organisation,
        "organisation_name": dict(directory[item.organisation].name),
        "dataset": item.dataset,
        "accounts": list(choices.accounts.get(item.organisation, ())) if granted else [],
        "fields": fields if granted else [],
        "period": {
            "history": item.period.history,
            "from": item.period.start,
            "to": item.period.end,
            "future": item.period.future,
        },
        "frequency": [{"times": times, "per": per, "zone": zone} for per, times in tightest.items()],
        "records_max": item.records_max,
        "necessity": item.necessity,
        "reason": dict(item.reason),
        "sensitivity": item.sensitivity,
        "asked": {"fields": list(item.fields)},
        "granted": granted,
    }


def granted_items(terms: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [item for item in terms["items"] if item["granted"]]


def narrowed(terms: Mapping[str, Any], version: int, previous: str, keep: frozenset[tuple[str, str]]) -> dict[str, Any]:
    """The next version with only the items in `keep` still granted. Nothing else changes."""
    items = [
        item
        if (item["organisation"], item["dataset"]) in keep or not item["granted"]
        else {**item, "granted": False, "accounts": [], "fields": []}
        for item in terms["items"]
    ]
    return {**terms, "version": version, "previous": previous, "items": items}
