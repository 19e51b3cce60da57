"""Deciding: agree, refuse, stop, pause, resume, remove. Each is one transaction: record, event, evidence, log entry."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from gateway.consent import asking, events, evidence, terms
from gateway.consent.facts import AppView, OrganisationFacts
from gateway.consent.request import Ask
from gateway.consent.rules import Act, EndReason, State
from gateway.consent.tables import Consent, Evidence, Terms
from gateway.errors import Refusal
from gateway.house import House
from gateway.log import Event


@dataclass(frozen=True, slots=True)
class Notice:
    """What was on the screen (A37): rendered again from `shown`, the same template gives the same `text_sha256`."""

    language: str
    template: str
    template_sha256: str
    shown: Mapping[str, Any]
    text_sha256: str
    shown_at: datetime


@dataclass(frozen=True, slots=True)
class Decider:
    """Who says yes: the person, or her guardian for her."""

    person: str
    minor: bool
    guardian: str | None  # the guardian who is signed in and decides; None: the person herself
    auth_time: datetime
    methods: tuple[str, ...]
    recent_sign_in: bool


def agree(
    session: Session,
    house: House,
    consent: Consent,
    app: AppView,
    directory: Mapping[str, OrganisationFacts],
    choices: terms.Choices,
    decider: Decider,
    notice: Notice,
    now: datetime,
) -> Refusal | None:
    """Make the consent active with version 1 of its terms. None: done, now or before (a second click adds nothing)."""
    if consent.state != State.REQUESTED:
        return None
    ask = Ask.from_json(consent.asked)
    refusal = _policy_refuses(house, app, directory, ask, decider)
    if refusal:
        return refusal
    replaced = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    before = asking.before(session, consent)
    agreed = terms.build(
        consent=consent.id,
        version=1,
        previous=None,
        replaces=before.id if before else None,
        subject=house.keys.pairwise(consent.person_id, consent.app_id),
        guardian=decider.guardian,
        ask=ask,
        app=app,
        directory=directory,
        catalogue=house.catalogue,
        policy_sha256=house.policies.sha256,
        choices=choices,
        indication={
            "method": "button",
            "at": now.isoformat(),
            "auth": {"amr": list(decider.methods), "auth_time": decider.auth_time.isoformat()},
        },
        notice={
            "template": notice.template,
            "template_sha256": notice.template_sha256,
            "language": notice.language,
            "text_sha256": notice.text_sha256,
        },
        zone=house.settings.zone,
        now=now,
        latest=asking.latest_end(session, house, consent, decider.guardian is not None),
    )
    consent.version = 1
    consent.granted_at = now
    consent.until = datetime.fromisoformat(agreed["valid"]["until"])
    consent.replaces = agreed["replaces"]
    _store(session, consent, agreed, now)
    session.add(_evidence(house, consent, ask, choices, notice, now))
    actor, by = _by(decider.guardian)
    events.change(session, consent, Act.GRANTED, actor, now)
    _record(session, house, "consent_given", consent, agreed, now, actor, by)
    for old in replaced:
        end(session, house, old, "person", EndReason.REPLACED, now)
    return None


def refuse(session: Session, house: House, consent: Consent, now: datetime, guardian: str | None = None) -> None:
    """`guardian`, here and below: the person who decided for her; None: she herself did."""
    if consent.state != State.REQUESTED:
        return
    actor, by = _by(guardian)
    events.change(session, consent, Act.REFUSED, actor, now)
    consent.ended_at = now
    ask = Ask.from_json(consent.asked)
    facts = {"organisations": list(ask.organisations()), "datasets": [item.dataset for item in ask.items]}
    _record(session, house, "consent_refused", consent, None, now, actor, facts | by)


def record_service_refused(session: Session, house: House, consent: Consent, reason: str, now: datetime) -> None:
    """Somebody wanted to agree and a rule of the service forbids it. The request stays open: an app may be resumed."""
    reason = "policy" if reason == "app_not_allowed" else reason  # of an app's calls; here it is the age that forbids
    ask = Ask.from_json(consent.asked)
    facts = {"organisations": list(ask.organisations()), "datasets": [item.dataset for item in ask.items]}
    _record(session, house, "consent_refused", consent, None, now, "system", {**facts, "reason": reason})


def end(
    session: Session,
    house: House,
    consent: Consent,
    actor: str,
    reason: EndReason,
    now: datetime,
    guardian: str | None = None,
) -> bool:
    """Stop for good. False: it had ended before (then nothing changes and the earlier end stands)."""
    if consent.state not in (State.ACTIVE, State.PAUSED):
        return False
    actor, by = _by(guardian) if guardian else (actor, {})
    if is_over(consent, now):
        actor, by, reason = "system", {}, EndReason.EXPIRED
    events.change(session, consent, Act.ENDED, actor, now, reason)
    consent.ended_at = min(now, consent.until) if consent.until and reason == EndReason.EXPIRED else now
    facts: dict[str, Any] = {"reason": str(reason), **by}
    agreed = current(session, consent)
    if agreed and reason == EndReason.EXPIRED and _came_of_age(session, house, consent, agreed):
        facts["of_age"] = True
    _record(session, house, "consent_ended", consent, agreed, now, actor, facts)
    return True


def _came_of_age(session: Session, house: House, consent: Consent, agreed: Mapping[str, Any]) -> bool:
    """What her guardian had agreed to ended because she decides herself from now on: she is told so."""
    by_guardian = agreed["acted_by"][0]["capacity"] == "guardian"
    return by_guardian and consent.until == asking.latest_end(session, house, consent, by_guardian)


def record_continued(
    session: Session, house: House, consent: Consent, now: datetime, guardian: str | None = None
) -> None:
    """She let the app go on under this agreement: nothing of it changes, and it is written down (checklist A32)."""
    actor, by = _by(guardian)
    _record(session, house, "consent_continued", consent, current(session, consent), now, actor, by)


def record_erasure_asked(
    session: Session, house: House, consent: Consent, now: datetime, guardian: str | None = None
) -> None:
    actor, by = _by(guardian)
    _record(session, house, "erasure_asked", consent, current(session, consent), now, actor, by)


def pause(session: Session, house: House, consent: Consent, now: datetime, guardian: str | None = None) -> bool:
    return _toggle(session, house, consent, State.ACTIVE, Act.PAUSED, "consent_paused", now, guardian)


def resume(session: Session, house: House, consent: Consent, now: datetime, guardian: str | None = None) -> bool:
    return _toggle(session, house, consent, State.PAUSED, Act.RESUMED, "consent_resumed", now, guardian)


def keep_only(
    session: Session,
    house: House,
    consent: Consent,
    keep: frozenset[tuple[str, str]],
    now: datetime,
    guardian: str | None = None,
) -> bool:
    """Narrow to the items in `keep`. With none of them left the consent is stopped instead."""
    agreed = current(session, consent)
    if consent.state not in (State.ACTIVE, State.PAUSED) or agreed is None or is_over(consent, now):
        return False
    before = {(item["organisation"], item["dataset"]) for item in terms.granted_items(agreed)}
    if not before & keep:
        return end(session, house, consent, "person", EndReason.WITHDRAWN, now, guardian)
    if before <= keep:
        return False
    previous = session.get_one(Terms, (consent.id, consent.version))
    consent.version += 1
    agreed = terms.narrowed(agreed, consent.version, previous.sha256, keep)
    _store(session, consent, agreed, now)
    actor, by = _by(guardian)
    events.change(session, consent, Act.NARROWED, actor, now)
    gone = sorted(dataset for _, dataset in before - keep)
    _record(session, house, "consent_narrowed", consent, agreed, now, actor, {"removed": gone, **by})
    return True


def current(session: Session, consent: Consent) -> dict[str, Any] | None:
    """The terms in force; None while only asked."""
    row = session.get(Terms, (consent.id, consent.version)) if consent.version else None
    return json.loads(row.json_) if row else None


def is_over(consent: Consent, now: datetime) -> bool:
    """The end date has passed, whether or not anybody has written it down yet."""
    return consent.until is not None and now >= consent.until


def is_live(consent: Consent, now: datetime) -> bool:
    return consent.state == State.ACTIVE and not is_over(consent, now)


def _toggle(
    session: Session,
    house: House,
    consent: Consent,
    needed: State,
    act: Act,
    kind: str,
    now: datetime,
    guardian: str | None,
) -> bool:
    if consent.state != needed or is_over(consent, now):
        return False
    actor, by = _by(guardian)
    events.change(session, consent, act, actor, now)
    _record(session, house, kind, consent, current(session, consent), now, actor, by)
    return True


def _by(guardian: str | None) -> tuple[str, dict[str, Any]]:
    """The actor of an event, and whom the log names with it."""
    return ("guardian", {"guardian": guardian}) if guardian else ("person", {})


def _policy_refuses(
    house: House, app: AppView, directory: Mapping[str, OrganisationFacts], ask: Ask, decider: Decider
) -> Refusal | None:
    for organisation in ask.organisations():
        facts = asking.sharing(
            app,
            organisation,
            directory[organisation].active,
            ask,
            person=decider.person,
            minor=decider.minor,
            guardian_agreed=decider.guardian is not None,
        )
        decision = house.policies.decide("agree", facts, recent_sign_in=decider.recent_sign_in)
        if not decision.permitted:
            return Refusal(decision.reason, term=",".join(decision.policies))
    return None


def _store(session: Session, consent: Consent, agreed: dict[str, Any], now: datetime) -> None:
    text = terms.canonical(agreed)
    session.add(
        Terms(
            consent_id=consent.id,
            version=agreed["version"],
            json_=text,
            sha256=terms.sha256(text),
            previous=agreed["previous"],
            created_at=now,
        )
    )


def _evidence(
    house: House, consent: Consent, ask: Ask, choices: terms.Choices, notice: Notice, now: datetime
) -> Evidence:
    chosen = {
        "granted": sorted(choices.granted),
        "accounts": {name: list(refs) for name, refs in sorted(choices.accounts.items())},
        "duration": choices.duration,
    }
    return Evidence(
        consent_id=consent.id,
        version=1,
        language=notice.language,
        template=notice.template,
        template_sha256=notice.template_sha256,
        shown_sealed=evidence.sealed(notice.shown, house.keys, consent.id, 1),
        text_sha256=notice.text_sha256,
        offered_json=ask.as_json(),
        chosen_json=json.dumps(chosen, ensure_ascii=False, sort_keys=True),
        shown_at=notice.shown_at,
        decided_at=now,
    )


def _record(
    session: Session,
    house: House,
    kind: str,
    consent: Consent,
    agreed: Mapping[str, Any] | None,
    now: datetime,
    actor: str,
    more: Mapping[str, Any] | None = None,
) -> None:
    facts: dict[str, Any] = {
        "consent": consent.id,
        "version": consent.version,
        "generation": consent.generation,
        "client": consent.app_id,
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
    house.log.record(session, Event(kind, consent.person_id, now, actor, {**facts, **(more or {})}))
