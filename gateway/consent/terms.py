"""Terms: one immutable version of what was agreed, built from the ask, the person's choices and the catalogue.

Each version is stored once as canonical JSON and contains the hash of the version before it.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.catalogue import Catalogue, Purpose
from gateway.catalogue.datasets import ACCOUNT
from gateway.consent.agreement import Agreement, Decider
from gateway.consent.facts import AppView
from gateway.consent.request import Ask, AskItem
from gateway.consent.rules import DURATIONS, OFFERED_DURATIONS, ONCE_HOURS
from gateway.ground.calendar.durations import parse as parse_duration

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> str:
    """Canonical JSON (RFC 8785). Only for what terms contain: ASCII member names, strings, integers, booleans, null,
    lists and objects; not for floats, which RFC 8785 writes differently."""
    return _encoder.encode(value).decode()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def offered_durations(ask: Ask) -> tuple[str, ...]:
    """Keys of rules.DURATIONS the person may choose from: "once", and those no longer than what the app asked for."""
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
    agreement: Agreement,
    catalogue: Catalogue,
    *,
    subject: str,
    replaces: str | None,
    policy_sha256: str,
    zone: str,
    until: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Version 1 of the terms, as a JSON-ready dict. `subject` is the app's pairwise identifier of the person."""
    ask, app, choices = agreement.ask, agreement.app, agreement.choices
    decider, notice = agreement.decider, agreement.notice
    purpose = catalogue.purposes[ask.purpose]
    return {
        "consent": agreement.consent.id,
        "version": 1,
        "previous": None,
        "replaces": replaces,
        "subject": subject,
        "acted_by": [_acting(decider)],
        "app": {
            "client_id": app.client_id,
            "name": dict(app.name),
            "legal_entity": app.legal_entity,
            "on_behalf_of": app.on_behalf_of,
            "metadata_sha256": app.metadata_sha256,
        },
        "controllers": [{"name": _controller(app), "contact": app.deletion_contact, "role": "controller"}],
        "recipients": [dict(recipient) for recipient in app.recipients],
        "purpose": _purpose(purpose),
        "items": [_item(item, agreement, catalogue, purpose, zone) for item in ask.items],
        "valid": {
            "from": now.isoformat(),
            "until": until.isoformat(),
            "max_uses": 1 if choices.duration == "once" else None,
            "duration": choices.duration,
        },
        "retention": {"duration": ask.retention, "then": "delete"},
        "indication": {
            "method": "button",
            "at": now.isoformat(),
            "auth": {"amr": list(decider.methods), "auth_time": decider.auth_time.isoformat()},
        },
        "notice": {
            "template": notice.template,
            "template_sha256": notice.template_sha256,
            "language": notice.language,
            "text_sha256": notice.text_sha256,
        },
        "caps": {"template_sha256": purpose.sha256, "policy_sha256": policy_sha256},
    }


def _controller(app: AppView) -> str:
    """Of an app that did not tell which company it is there is only its name."""
    return app.legal_entity or next(iter(app.name.values()))


def _acting(decider: Decider) -> dict[str, str]:
    """Who said yes, in which role, and when this person's right to act in that role ends."""
    until = {"until": decider.until.isoformat()} if decider.until else {}
    return {"capacity": decider.actor.capacity, **until}


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


def _item(item: AskItem, agreement: Agreement, catalogue: Catalogue, purpose: Purpose, zone: str) -> dict[str, Any]:
    choices = agreement.choices
    key = (item.organisation, item.dataset)
    granted = key in choices.granted
    chosen = choices.fields.get(key) if choices.fields else None
    known = catalogue.at(agreement.directory.get(item.organisation), item.dataset)
    structural = known.structural()
    fields = [name for name in item.fields if chosen is None or name in chosen or name in structural]
    tightest: dict[str, int] = {}  # only the lowest limit per window counts: two would count each call twice
    own = [limit for limit in (item.frequency, known.frequency) if limit is not None]
    capped = purpose.caps.frequency if known.format != ACCOUNT else ()  # nobody is asked for what we have ourselves
    for times, per in [*own, *capped]:
        tightest[per] = min(int(times), tightest.get(per, int(times)))
    made = known.made(fields) if granted else {}
    return {
        "organisation": item.organisation,
        "organisation_name": dict(agreement.directory[item.organisation].name),
        "dataset": item.dataset,
        "accounts": list(choices.accounts.get(item.organisation, ())) if granted else [],
        "fields": fields if granted else [],
        **({"made": made} if made else {}),
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


def key(item: Mapping[str, Any]) -> tuple[str, str]:
    """The organisation and the type of data of an item."""
    return item["organisation"], item["dataset"]


def granted_items(terms: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [item for item in terms["items"] if item["granted"]]


def processors(terms: Mapping[str, Any], app: AppView) -> frozenset[str]:
    """The apps that may read in place of `app`: recipients that it names by `client_id` today, as it did in what the
    person agreed to."""
    agreed, today = (
        {one["client_id"] for one in rows if one.get("client_id")}
        for rows in (terms.get("recipients", ()), app.recipients)
    )
    return frozenset(agreed & today)


def narrowed(
    terms: Mapping[str, Any], keep: frozenset[tuple[str, str]], without: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, Any]:
    """These terms with nothing granted but the items in `keep`, and none of them of an account in `without`
    (organisation, reference). What is left without any account is not granted. Nothing else changes."""
    items = []
    for item in terms["items"]:
        accounts = [ref for ref in item["accounts"] if (item["organisation"], ref) not in without]
        stays = key(item) in keep and (accounts or not item["accounts"])
        less = {"accounts": accounts} if stays else {"granted": False, "accounts": [], "fields": []}
        items.append({**item, **less} if item["granted"] else item)
    return {**terms, "items": items}
