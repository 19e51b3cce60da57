"""What an app asks of a person who is not there: it waits in her inbox, and the app polls for the answer (polling.py).

CIBA and deferred token responses are two doors to this one thing. The access request is the consent in state requested
(consent/inbox.py); its row here holds what the app is told in the end. Its address is made of the consent's id by a
keyed MAC, so that her page leads to it without anything secret being stored.

    put_off    of what she has opened herself: she decides later
    begin      ask; refused after a refusal of hers, or where too much waits
    open_      the way from her page of sharings into the request, for her and her guardian alone
    decided    she has answered: so has the app its answer
    tell       the answer is there: an app that registered an address for it is told once
    take_back  the app does not want it any more
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlmodel import Session
from starlette.responses import Response

from gateway.apps.registration import Registration, registration
from gateway.apps.tables import App
from gateway.apps.views import view
from gateway.authorization import polling, requests, rules
from gateway.authorization.openid import OPENID
from gateway.authorization.requests import Checked, kept, resume_path
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent import asking, inbox
from gateway.consent.actors import APP
from gateway.consent.facts import Facts
from gateway.consent.inbox import MayNotAsk
from gateway.consent.request import Ask
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.errors import NotFound
from gateway.ground.keys import KeyRing, fresh, hashed
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door
from gateway.house import House
from gateway.log import Log
from gateway.notices import outbox
from gateway.notices.sending import Message, NoticeKind
from gateway.notices.tables import AppNotice

KINDS = (polling.BACKCHANNEL, polling.DEFERRED)
# kind → what the app polls with is called so where it is told (CIBA Core §10.2; Deferred Token Response, callback)
_CALLED = {polling.BACKCHANNEL: "auth_req_id", polling.DEFERRED: "deferral_code"}
FETCH = timedelta(hours=1)  # an app has to fetch an answer, however late it came
_BEARER = re.compile(r"[A-Za-z0-9\-._~+/]{22,1024}=*")  # RFC 6750 §2.1, of 128 bits at least


@dataclass(frozen=True, slots=True)
class AskedOf:
    """Of whom a request is made, and how."""

    person: str
    kind: str  # of KINDS
    seconds: int  # to answer
    message: str = ""  # for her to recognise what it is about
    token: str = ""  # to show where the app is told of the answer


def begin(session: Session, house: House, app: App, checked: Checked, asked: AskedOf, now: datetime) -> str:
    """Put a valid request into her inbox. Returns what the app polls with. Raises Refused."""
    house.log.turn(session, asked.person)
    grant = session.get(Consent, checked.grant_id) if checked.grant_id else None
    if grant is not None and grant.person_id != asked.person:
        raise Refused("invalid_grant_id")
    try:
        inbox.check_may_ask(session, house, asked.person, app.client_id, checked.ask.purpose, now)
    except MayNotAsk as no:
        raise _may_not(no) from None
    until = now + timedelta(seconds=asked.seconds)
    consent = asking.open_ask(
        session,
        house,
        asked.person,
        view(app),
        checked.ask,
        now,
        fresh(),
        checked.grant_management_action,
        checked.grant_id or None,
        inbox=asking.Inbox(asked.kind, asked.message, until),
    )
    row = kept(replace(checked, prompt=""), _secret(house.keys, consent), now, asked.seconds)
    row.consent_id = consent.id
    code = polling.begin(row, asked.kind, house.keys, until)
    if asked.token:
        row.notify = house.keys.seal(asked.token.encode(), _context(row))
    session.add(row)
    session.flush()
    return code


def decided(keys: KeyRing, session: Session, consent: Consent, caller: Caller, now: datetime) -> None:
    """She, or her guardian, has answered on the screen: the app has its answer with the same transaction, even if the
    browser never comes back from it. Only whom a request signs in says yes to that part herself."""
    row = session.get(AuthorizationRequest, hashed(_secret(keys, consent))) if consent.via else None
    app = session.get(App, row.client_id) if row and not row.outcome else None
    if row is None or app is None:
        return
    agreed = consent.state == State.ACTIVE or consent.reason == EndReason.AMENDED
    if consent.state == State.REFUSED:
        requests.refuse(row, now, 0)
    elif agreed and (OPENID not in row.scope.split() or caller.person == consent.person_id):
        requests.grant(row, keys, caller, now, 0)
    else:
        return
    settled(session, app, row, consent, now)


def settled(session: Session, app: App, row: AuthorizationRequest, consent: Consent, now: datetime) -> None:
    """The app has its answer: it has time to fetch it, is told, and nothing waits in the inbox."""
    if not is_asked(row):
        return
    if row.outcome == "granted":
        row.code_expires_at = max(row.code_expires_at or now, now + FETCH)
        row.expires_at = max(row.expires_at, now + FETCH)
    session.add(row)
    consent.answer_by = None
    session.add(consent)
    tell(session, app, row, now)


def put_off(session: Session, house: House, row: AuthorizationRequest, consent: Consent, now: datetime) -> None:
    """She decides later about what she had opened: it waits in her inbox, and the app gets what to poll with in place
    of tokens (`waiting`)."""
    seconds = house.settings.answer_seconds
    until = now + timedelta(seconds=seconds)
    asking.put_off(session, consent, asking.Inbox(polling.DEFERRED, "", until))
    same = row.model_dump(
        include={"client_id", "scope", "claims", "nonce", "resource", "dpop_jkt", "ui_locales", "ask", "grant_id"}
        | {"grant_management_action", "prompt", "max_age"}
    )
    later = AuthorizationRequest(
        **same,
        id=hashed(_secret(house.keys, consent)),
        redirect_uri="",
        code_challenge="",
        created_at=now,
        expires_at=until,
        consent_id=consent.id,
        opened_by=row.opened_by,
    )
    polling.begin(later, polling.DEFERRED, house.keys, until)
    session.add(later)
    row.outcome = "later"
    session.add(row)


def waiting(session: Session, keys: KeyRing, row: AuthorizationRequest, jkt: str, token: str) -> tuple[str, datetime]:
    """What the app polls with for a request that was put off, and until when. From now on with this key alone; told
    with this token, if it is told."""
    consent = session.get_one(Consent, row.consent_id)
    later = session.get_one(AuthorizationRequest, hashed(_secret(keys, consent)))
    later.dpop_jkt = later.dpop_jkt or jkt
    if token:
        later.notify = keys.seal(token.encode(), _context(later))
    session.add(later)
    assert later.code_expires_at is not None
    return polling.code_of(later, later.kind, keys), later.code_expires_at


def _may_not(no: MayNotAsk) -> Refused:
    if no.until is None:
        return Refused("access_denied", "Too many requests to this person: let them be answered first.", status=403)
    why = "The person refused this. Until ask_again_from, ask only where she has begun."
    return Refused("access_denied", why, status=403, ask_again_from=no.until.isoformat(timespec="seconds"))


def is_token(text: str) -> bool:
    """Whether this can be shown as a bearer token, and not be guessed (CIBA Core §7.1)."""
    return bool(_BEARER.fullmatch(text)) and len(text) <= 1024


def _secret(keys: KeyRing, consent: Consent) -> str:
    """Of the request's request_uri."""
    return keys.mac("access request", consent.id)


def _context(row: AuthorizationRequest) -> str:
    return f"authorizationrequest:{row.id}"


# ---- the person


def open_(facts: Facts, ctx: Context) -> Response:
    """From her inbox into the request; to the sharing that came of it, if it is answered."""
    consent = ctx.session.get(Consent, ctx.path["id"])
    person = facts.person(ctx.session, consent.person_id) if consent else None
    if consent is None or person is None or not consent.via or not person.decided_by(ctx.person.person):
        raise NotFound
    row = ctx.session.get(AuthorizationRequest, hashed(_secret(ctx.house.keys, consent)))
    app = ctx.session.get(App, consent.app_id)
    if row is None or row.outcome or app is None or consent.state in (State.REFUSED, State.ENDED):
        return ctx.go(f"/sharings/{consent.id}")
    if Ask.from_json(row.ask).app_metadata_sha256 != app.metadata_sha256:  # it says other things of itself by now
        asking.lapse(ctx.session, ctx.house.log, consent, ctx.now)
        return ctx.go(f"/sharings/{consent.id}")
    return ctx.go(resume_path(consent.app_id, rules.REQUEST_URI + _secret(ctx.house.keys, consent)))


def doors(facts: Facts) -> list[Door]:
    return [Door("/requests/{id}", partial(open_, facts), ("GET",), opens="write", person=True, name="access_request")]


# ---- the app


def tell(session: Session, app: App, row: AuthorizationRequest, now: datetime) -> None:
    """The answer is there: soon after this transaction the app is told, where it registered an address. Once."""
    if row.kind in KINDS and (address := _address(registration(app), row.kind)):
        outbox.put(session, f"{row.kind}:{row.id}", row.kind, row.client_id, address, {"request": row.id}, now)


def _address(client: Registration, kind: str) -> str:
    return client.ping_uri if kind == polling.BACKCHANNEL else client.deferred_uri


def take_back(session: Session, log: Log, code: str, client_id: str, now: datetime) -> bool:
    """The app has no use for the answer any more: it gets none, and an open request leaves her inbox. False: this is
    none of its open requests."""
    row = polling.find(session, log, KINDS, code, client_id)
    if row is None or row.redeemed_at is not None or row.code_expires_at is None or row.code_expires_at <= now:
        return False
    if row.grant_id and row.outcome == "granted":  # it has changed the grant: without these tokens the app has none
        return True
    row.outcome = "taken_back"
    session.add(row)
    consent = session.get(Consent, row.consent_id) if row.consent_id else None
    if consent is not None:
        asking.lapse(session, log, consent, now, APP, EndReason.TAKEN_BACK)
    return True


def kinds(keys: KeyRing) -> Mapping[str, NoticeKind]:
    """How apps are told. What a client answers to it changes nothing, so 401 and 403 end it too (CIBA Core §10.2)."""

    def make(session: Session, notice: AppNotice, now: datetime) -> Message | None:
        row = session.get(AuthorizationRequest, json.loads(notice.about)["request"])
        app = session.get(App, notice.client_id)
        over = row is None or row.redeemed_at is not None or row.outcome not in ("granted", "refused")
        if (
            row is None
            or app is None
            or app.status != "active"
            or over
            or row.code_expires_at is None
            or row.code_expires_at <= now
        ):
            return None
        if _address(registration(app), row.kind) != notice.address:
            return None
        body = {_CALLED[row.kind]: polling.code_of(row, row.kind, keys)}
        token = keys.open(row.notify, _context(row)) if row.notify else b""
        headers = ((b"authorization", b"Bearer " + token),) if token else ()
        return Message(json.dumps(body).encode(), "application/json", headers)

    patience = timedelta(hours=1)
    return dict.fromkeys(KINDS, NoticeKind(make, refused=frozenset((400, 401, 403)), patience=patience))


def is_asked(row: AuthorizationRequest) -> bool:
    """Whether it waits in the inbox of one person, and is no one else's."""
    return row.kind in KINDS
