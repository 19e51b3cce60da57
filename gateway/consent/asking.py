"""Asking: from a validated request to a consent that waits for the person's answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from gateway.consent import events
from gateway.consent.actors import APP, SYSTEM, Actor
from gateway.consent.entries import about, asked, entry
from gateway.consent.facts import AppView
from gateway.consent.request import Ask
from gateway.consent.rules import Act, EndReason, State
from gateway.consent.tables import Consent
from gateway.ground.store import found, raw
from gateway.ground.store.rows import made
from gateway.house import House
from gateway.log import Log
from gateway.policy import Decision, Policies, PolicyFacts
from gateway.settings import Settings

_SAME = "person_id = ? AND app_id = ? AND purpose = ?"
_BEFORE = f"SELECT id FROM consent WHERE {_SAME} AND version > 0 AND id <> ? ORDER BY granted_at DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Inbox:
    """How a request was made of a person who was not there: see the members of `Consent`."""

    via: str
    message: str
    answer_by: datetime


def requested(
    consent_id: str,
    person_id: str,
    app: AppView,
    ask: Ask,
    now: datetime,
    action: str = "",
    amends: str | None = None,
    subject: str = "",
) -> Consent:
    """A consent in state requested, not saved. `open_ask` saves it with its log entry; the preview uses it unsaved."""
    return made(
        Consent,
        id=consent_id,
        person_id=person_id,
        app_id=app.client_id,
        purpose=ask.purpose,
        state=State.REQUESTED,
        asked=ask.as_json(),
        created_at=now,
        action=action,
        amends=amends,
        subject=subject,
    )


def open_ask(
    session: Session,
    house: House,
    person_id: str,
    app: AppView,
    ask: Ask,
    now: datetime,
    new_id: str,
    action: str = "",
    amends: str | None = None,
    inbox: Inbox | None = None,
) -> Consent:
    """The person's new consent in state requested, saved with its log entry. `new_id`: 256 fresh bits. `action`,
    `amends`: see `Consent`. `inbox`: she was not there when it was made."""
    subject = house.keys.pairwise(person_id, app.reader or app.client_id)
    consent = requested(new_id, person_id, app, ask, now, action, amends, subject)
    if inbox:
        consent.via, consent.message, consent.answer_by = inbox.via, inbox.message, inbox.answer_by
    session.add(consent)
    session.flush()
    events.append(session, consent, Act.REQUESTED, APP, now)
    called = app.name[house.settings.default_language]
    house.log.record(
        session, entry("consent_asked", about(consent), None, APP, now, client_name=called, **asked(consent))
    )
    return consent


def lapse(
    session: Session,
    log: Log,
    consent: Consent,
    now: datetime,
    actor: Actor = SYSTEM,
    reason: EndReason = EndReason.LAPSED,
) -> None:
    """Close a request that was not answered in time, was answered by somebody else, cannot be answered any more, or was
    taken back by the app. The log entry tells the person, whose log would otherwise show the request as open for
    ever."""
    log.turn(session, consent.person_id)
    if consent.state != State.REQUESTED:
        return
    events.change(session, consent, Act.LAPSED, actor, now, reason)
    consent.ended_at = now
    ended = entry("consent_ended", about(consent), None, actor, now, **asked(consent), reason=str(reason))
    log.record(session, ended)


def put_off(session: Session, consent: Consent, inbox: Inbox) -> None:
    """She decides later: the request that she had opened waits in her inbox."""
    consent.via, consent.message, consent.answer_by = inbox.via, inbox.message, inbox.answer_by
    session.add(consent)


def answer_by(consent: Consent, settings: Settings) -> datetime:
    """Until when the person may answer."""
    return consent.answer_by or consent.created_at + timedelta(seconds=settings.ask_seconds)


def keep_draft(session: Session, consent: Consent, reader: str, marks: Mapping[str, Sequence[str]]) -> None:
    """Keep what `reader` has marked on the screen, while she has to do something else first. It decides nothing."""
    if consent.state == State.REQUESTED:
        kept = {"reader": reader, "marks": {name: list(values) for name, values in marks.items()}}
        consent.draft = json.dumps(kept)
        session.add(consent)


def draft(consent: Consent, reader: str) -> dict[str, list[str]]:
    """What this reader marked before; empty when nothing is kept. A guardian is not offered the marks of her child."""
    kept: dict[str, Any] = json.loads(consent.draft) if consent.draft else {}
    return dict(kept["marks"]) if kept.get("reader") == reader else {}


def knows(session: Session, app_id: str, person_id: str) -> bool:
    """Whether this person has ever agreed to anything with this app."""
    agreed = (Consent.app_id == app_id, Consent.person_id == person_id, Consent.version > 0)
    return session.exec(select(Consent.id).where(*agreed).limit(1)).first() is not None


def known_as(session: Session, app_id: str, subject: str) -> str | None:
    """The person whom this app knows by this identifier, because she has agreed to something with it."""
    agreed = (Consent.subject == subject, Consent.app_id == app_id, Consent.version > 0)
    return session.exec(select(Consent.person_id).where(*agreed).limit(1)).first() if subject else None


def apps_of(session: Session, person_id: str) -> list[str]:
    """Ids of the apps that have asked this person for anything, whatever became of it."""
    asked = select(Consent.app_id).where(Consent.person_id == person_id).distinct()
    return sorted(session.exec(asked))


def active_for(session: Session, person_id: str, app_id: str, purpose: str) -> list[Consent]:
    """Live consents of the same person, app and purpose (a new grant replaces them)."""
    live = person_id, app_id, purpose, State.ACTIVE, State.PAUSED
    return found(session, Consent, f"{_SAME} AND state IN (?, ?)", live)


def before(session: Session, consent: Consent) -> str | None:
    """The id of the last agreement of the same person, app and purpose, running or ended, to which the new terms of
    `consent` refer. The link is for the history only: what was stopped or has run out is agreed to again on the full
    screen."""
    others = consent.person_id, consent.app_id, consent.purpose, consent.id
    session.flush()
    row = raw(session).execute(_BEFORE, others).fetchone()
    return row[0] if row else None


def may_ask(policies: Policies, app: AppView, ask: Ask, organisations_active: Mapping[str, bool]) -> Decision:
    """Whether the policies allow this app to ask at all. Asked for each organisation; the first refusal is returned."""
    decision = Decision(False, ())
    for organisation in ask.organisations():
        decision = policies.decide(
            "ask", sharing(app, organisation, organisations_active[organisation], ask, person="nobody", minor=False)
        )
        if not decision.permitted:
            return decision
    return decision


def sharing(
    app: AppView,
    organisation: str,
    organisation_active: bool,
    ask: Ask,
    *,
    person: str,
    minor: bool,
    guardian_agreed: bool = False,
) -> PolicyFacts:
    """The facts for one organisation of a request, as policies see them."""
    ranks = ("none", "sensitive", "special")
    concerned = [item.sensitivity for item in ask.items if item.organisation == organisation]
    return PolicyFacts(
        person=person,
        minor=minor,
        app=app.client_id,
        app_active=app.active,
        app_purposes=app.purposes,
        organisation=organisation,
        organisation_active=organisation_active,
        purpose=ask.purpose,
        sensitivity=max(concerned, key=ranks.index),
        guardian_agreed=guardian_agreed,
    )
