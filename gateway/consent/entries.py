"""Log entries about consents, all built alike."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from gateway.consent import terms
from gateway.consent.actors import Actor
from gateway.consent.request import Ask
from gateway.consent.tables import Consent
from gateway.log import Event


class About(NamedTuple):
    """The columns of a consent that its log entries contain."""

    id: str
    person: str
    app: str
    purpose: str
    version: int
    generation: int


def about(consent: Consent) -> About:
    return About(consent.id, consent.person_id, consent.app_id, consent.purpose, consent.version, consent.generation)


def asked(consent: Consent) -> dict[str, list[str]]:
    """What the app asked for. In entries about a consent without terms, because nobody has agreed to it."""
    ask = Ask.from_json(consent.asked)
    return {"organisations": list(ask.organisations()), "datasets": [item.dataset for item in ask.items]}


def entry(
    kind: str, consent: About, agreed: Mapping[str, Any] | None, actor: Actor, now: datetime, **more: Any
) -> Event:
    """`agreed`: the terms in force; None when nobody has agreed yet. `more`: facts that only this kind of entry has."""
    facts: dict[str, Any] = {
        "consent": consent.id,
        "version": consent.version,
        "generation": consent.generation,
        "client": consent.app,
        "purpose": consent.purpose,
    }
    if agreed:
        items = terms.granted_items(agreed)
        facts |= {
            "client_name": agreed["app"]["name"],
            "organisations": list(dict.fromkeys(item["organisation"] for item in items)),
            "datasets": list(dict.fromkeys(item["dataset"] for item in items)),
            "until": agreed["valid"]["until"],
        }
    return Event(kind, consent.person, now, actor.kind, {**facts, **actor.named, **more})
