"""What a person can decide: agree, refuse, stop, pause, resume, remove data.

Each changes the consent and adds its event, evidence and log entry in one transaction, and decides in the turn of the
person whose consent it is: what it reads before, nobody else changes until the commit.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from gateway.consent import asking, ending, events, evidence, inbox, meanwhile, terms
from gateway.consent.actors import SYSTEM, Actor
from gateway.consent.agreement import Agreement
from gateway.consent.entries import about, asked, entry
from gateway.consent.meanwhile import Done
from gateway.consent.request import Ask
from gateway.consent.rules import CREATE, Act, EndReason, State
from gateway.consent.tables import Consent, Evidence, Terms
from gateway.errors import Refusal
from gateway.ground.keys import KeyRing
from gateway.ground.store import Connection, Store, raw, stored
from gateway.ground.store.rows import made
from gateway.ground.store.statements import ends
from gateway.house import House
from gateway.log import Log
from gateway.policy import Policies

READ_AT_ONCE = 1000  # of the ids of all sharings
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_TERMS = "SELECT json FROM terms WHERE consent_id = ? AND version = ?"


def agree(session: Session, house: House, agreement: Agreement, now: datetime) -> Refusal | None:
    """Make the consent active with version 1 of its terms. None: done, or it was answered before (a second click).

    Raises LogFrozen.
    """
    consent, actor = agreement.consent, agreement.decider.actor
    house.log.turn(session, consent.person_id)
    if consent.state != State.REQUESTED:
        return None
    house.log.require_whole()
    chosen = {organisation for organisation, _ in agreement.choices.granted}
    refusal = policy_refuses(house.policies, agreement, agreement.ask, chosen)
    if refusal:
        return refusal
    alone = consent.action == CREATE  # beside what the app has
    replaced = [] if alone else asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    before = None if alone else asking.before(session, consent)
    agreed = terms.build(
        agreement,
        house.catalogue,
        subject=house.keys.pairwise(consent.person_id, agreement.app.reader or consent.app_id),
        replaces=before,
        policy_sha256=house.policies.sha256,
        zone=house.settings.zone,
        until=terms.until(agreement.ask, agreement.choices.duration, now, agreement.decider.until),
        now=now,
    )
    consent.version = 1
    consent.granted_at = now
    consent.until = datetime.fromisoformat(agreed["valid"]["until"])
    consent.replaces = agreed["replaces"]
    store(session, consent, agreed, now)
    session.add(kept_evidence(house.keys, agreement, consent, now))
    events.change(session, consent, Act.GRANTED, actor, now)
    house.log.record(session, entry("consent_given", about(consent), agreed, actor, now))
    for old in replaced:
        end(session, house.log, old, actor, EndReason.REPLACED, now)
    inbox.ask_again(session, consent.person_id, consent.app_id, consent.purpose)
    return None


def refuse(session: Session, house: House, consent: Consent, actor: Actor, now: datetime) -> None:
    """Also for a while to come: see `inbox`."""
    log = house.log
    log.turn(session, consent.person_id)
    if consent.state != State.REQUESTED:
        return
    events.change(session, consent, Act.REFUSED, actor, now)
    consent.ended_at = now
    log.record(session, entry("consent_refused", about(consent), None, actor, now, **asked(consent)))
    inbox.silence(session, consent, house.settings.silence_days, now)


def record_service_refused(session: Session, log: Log, consent: Consent, reason: str, now: datetime) -> None:
    """Log that a rule of the service kept the person from agreeing. The request stays open: the rule may stop applying,
    as when a suspended app is resumed."""
    # The words for "app_not_allowed" speak of an app's calls. Here the person's age is the reason.
    reason = "policy" if reason == "app_not_allowed" else reason
    log.record(session, entry("consent_refused", about(consent), None, SYSTEM, now, **asked(consent), reason=reason))


def end(session: Session, log: Log, consent: Consent, actor: Actor, reason: EndReason, now: datetime) -> bool:
    """Stop the consent for good. False: it had already ended, and nothing changes."""
    log.turn(session, consent.person_id)
    if consent.state not in ending.CAN_END:
        return False
    since, more = now, dict[str, bool]()
    if is_over(consent, now):
        actor, reason, since = SYSTEM, EndReason.EXPIRED, consent.until or now
        more = {"of_age": True} if _came_of_age(session, consent) else {}
    else:
        meanwhile.keep(log, Done("consent", consent.id, Act.ENDED, actor, reason, now))
    session.flush()
    ended = ending.write(raw(session), consent.id, actor, reason, now, since=since, **more)
    session.refresh(consent)
    if ended is None:
        return False
    if reason != EndReason.EXPIRED:  # whoever judges a call looks at the date itself
        ends(raw(session))
    log.record(session, ended)
    return True


def _came_of_age(session: Session, consent: Consent) -> bool:
    """Whether a guardian's agreement ends because the person has come of age. The log entry then tells her so."""
    agreed = current(session, consent)
    return agreed is not None and agreed["acted_by"][0].get("until") == agreed["valid"]["until"]


def go_on(session: Session, log: Log, consent: Consent, earlier: Consent, actor: Actor, now: datetime) -> None:
    """The person answers the request `consent` by letting the app go on under the agreement `earlier`, which does not
    change. The request is closed with one log entry. Raises LogFrozen: she may have stopped it in what is missing."""
    log.require_whole()
    log.turn(session, consent.person_id)
    if consent.state == State.REQUESTED:
        events.change(session, consent, Act.CONTINUED, actor, now, EndReason.CONTINUED)
        consent.ended_at = now
    inbox.ask_again(session, consent.person_id, consent.app_id, consent.purpose)
    log.record(session, entry("consent_continued", about(earlier), current(session, earlier), actor, now))


def record_erasure_asked(session: Session, log: Log, consent: Consent, actor: Actor, now: datetime) -> None:
    log.record(session, entry("erasure_asked", about(consent), current(session, consent), actor, now))


def pause(session: Session, log: Log, consent: Consent, actor: Actor, now: datetime) -> bool:
    return _toggle(session, log, consent, (State.ACTIVE, Act.PAUSED, "consent_paused"), actor, now)


def pause_all(store: Store, log: Log, actor: Actor, reason: str, now: datetime) -> int:
    """Pause every running sharing of everybody, each in a transaction of its own. How many were paused. Broken off, it
    goes on when it is called again."""
    paused, last = 0, ""
    while running := _running(store, last):
        for consent_id in running:
            with store.write() as session:
                consent = session.get(Consent, consent_id)
                step = State.ACTIVE, Act.PAUSED, "consent_paused"
                paused += consent is not None and _toggle(session, log, consent, step, actor, now, reason)
        last = running[-1]
    return paused


def _running(store: Store, after: str) -> list[str]:
    """The next running sharings in the order of their ids."""
    next_few = select(Consent.id).where(Consent.state == State.ACTIVE, col(Consent.id) > after)
    with store.read() as session:
        return list(session.exec(next_few.order_by(col(Consent.id)).limit(READ_AT_ONCE)))


def paused_by(connection: Connection, actor: Actor, since: datetime | None) -> int:
    """How many pauses are by such an actor, of those since then; each is one entry of the log as well. On a bare
    connection."""
    counted = "SELECT count(*) FROM consentevent WHERE type = ? AND actor = ? AND at > ?"
    (found,) = connection.execute(counted, (Act.PAUSED, actor.kind, stored(since or BEGINNING))).fetchone()
    return int(found)


def resume(session: Session, log: Log, consent: Consent, actor: Actor, now: datetime) -> bool:
    """Raises LogFrozen: she may have stopped it in what is missing."""
    log.require_whole()
    return _toggle(session, log, consent, (State.PAUSED, Act.RESUMED, "consent_resumed"), actor, now)


def keep_only(
    session: Session,
    log: Log,
    consent: Consent,
    actor: Actor,
    keep: frozenset[tuple[str, str]],
    now: datetime,
    without: frozenset[tuple[str, str]] = frozenset(),
) -> bool:
    """Take out all items but those in `keep`, and the accounts in `without` (organisation, reference that the app
    sees). If nothing is left, the consent is stopped instead."""
    log.turn(session, consent.person_id)
    agreed = current(session, consent)
    if consent.state not in (State.ACTIVE, State.PAUSED) or agreed is None or is_over(consent, now):
        return False
    left = terms.narrowed(agreed, keep, without)
    before, after = terms.granted_items(agreed), terms.granted_items(left)
    if not after:
        return end(session, log, consent, actor, EndReason.WITHDRAWN, now)
    if after == before:
        return False
    log.require_whole()  # it would be lost when the newest database is put back; stopping is kept (`meanwhile`)
    previous = session.get_one(Terms, (consent.id, consent.version))
    consent.version += 1
    agreed = {**left, "version": consent.version, "previous": previous.sha256}
    store(session, consent, agreed, now)
    events.change(session, consent, Act.NARROWED, actor, now)
    ends(raw(session))
    gone = {terms.key(item) for item in before} - {terms.key(item) for item in after}
    held = {(item["organisation"], ref) for item in before for ref in item["accounts"]}
    said = {
        "removed": sorted(dataset for _, dataset in gone),
        "accounts_removed": sorted(ref for _, ref in without & held),
    }
    told = {name: found for name, found in said.items() if found}
    log.record(session, entry("consent_narrowed", about(consent), agreed, actor, now, **told))
    return True


def current(session: Session, consent: Consent) -> dict[str, Any] | None:
    """The terms in force; None when nobody has agreed yet."""
    if not consent.version:
        return None
    if session.autoflush:  # terms are never changed, but they may be new
        session.flush()
    row = raw(session).execute(_TERMS, (consent.id, consent.version)).fetchone()
    return json.loads(row[0]) if row else None


def is_over(consent: Consent, now: datetime) -> bool:
    """Whether the end date has passed, even if `expiry` has not recorded the end yet."""
    return consent.until is not None and now >= consent.until


def is_live(consent: Consent, now: datetime) -> bool:
    return consent.state == State.ACTIVE and not is_over(consent, now)


def running(connection: Connection, consents: Collection[str], now: datetime) -> set[str]:
    """Those of these consents that are agreed to and not over, paused or not. On a bare connection."""
    asked = "SELECT 1 FROM consent WHERE id = ? AND state IN (?, ?) AND until > ?"
    given = State.ACTIVE, State.PAUSED, stored(now)
    return {one for one in consents if connection.execute(asked, (one, *given)).fetchone()}


def holding(session: Session, consent: Consent, now: datetime) -> Consent:
    """The agreement that holds in place of `consent`: the one that it has changed, or the one that replaced it, if it
    was replaced and that one runs.

    A person may answer two requests of an app at once, in two windows. She agreed to both, so both have the answer yes.
    """
    if consent.reason == EndReason.AMENDED and consent.amends:
        return session.get_one(Consent, consent.amends)
    if consent.reason != EndReason.REPLACED:
        return consent
    running = asking.active_for(session, consent.person_id, consent.app_id, consent.purpose)
    return next((one for one in running if one.action != CREATE and is_live(one, now)), consent)


def _toggle(
    session: Session,
    log: Log,
    consent: Consent,
    step: tuple[State, Act, str],
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> bool:
    """Pause or resume. `step`: the state the consent must be in, the act, and the kind of its log entry."""
    needed, act, kind = step
    log.turn(session, consent.person_id)
    if consent.state != needed or is_over(consent, now):
        return False
    if act == Act.PAUSED and actor.person:
        meanwhile.keep(log, Done("consent", consent.id, act, actor, "", now))
    events.change(session, consent, act, actor, now)
    if act == Act.PAUSED and actor.person:
        ends(raw(session))
    said = {"reason": reason} if reason else {}
    log.record(session, entry(kind, about(consent), current(session, consent), actor, now, **said))
    return True


def policy_refuses(policies: Policies, agreement: Agreement, ask: Ask, chosen: Collection[str]) -> Refusal | None:
    """The first refusal of what is agreed to, at the `chosen` organisations. What was only asked, and not chosen, is no
    part of it."""
    decider = agreement.decider
    for organisation in filter(chosen.__contains__, ask.organisations()):
        facts = asking.sharing(
            agreement.app,
            organisation,
            agreement.directory[organisation].active,
            ask,
            person=agreement.consent.person_id,
            minor=decider.minor,
            guardian_agreed=decider.actor.capacity == "guardian",
        )
        decision = policies.decide("agree", facts, recent_sign_in=decider.recent_sign_in)
        if not decision.permitted:
            return Refusal(decision.reason, term=",".join(decision.policies))
    return None


def store(session: Session, consent: Consent, agreed: dict[str, Any], now: datetime) -> None:
    text = terms.canonical(agreed)
    session.add(
        made(
            Terms,
            consent_id=consent.id,
            version=agreed["version"],
            json_=text,
            sha256=terms.sha256(text),
            previous=agreed["previous"],
            created_at=now,
        )
    )


def kept_evidence(keys: KeyRing, agreement: Agreement, consent: Consent, now: datetime) -> Evidence:
    """Of the present version of `consent`, which she has agreed to."""
    choices, notice = agreement.choices, agreement.notice
    chosen = {
        "granted": sorted(choices.granted),
        "accounts": {name: list(refs) for name, refs in sorted(choices.accounts.items())},
        "duration": choices.duration,
    }
    return made(
        Evidence,
        consent_id=consent.id,
        version=consent.version,
        language=notice.language,
        template=notice.template,
        template_sha256=notice.template_sha256,
        shown_sealed=evidence.sealed(notice.shown, keys, consent.id, consent.version),
        text_sha256=notice.text_sha256,
        offered_json=agreement.ask.as_json(),
        chosen_json=json.dumps(chosen, ensure_ascii=False, sort_keys=True),
        shown_at=notice.shown_at,
        decided_at=now,
    )
