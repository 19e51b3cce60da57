"""An authorization request, until its code is spent (RFC 6749 §4.1, RFC 9126, RFC 7636, RFC 9207).

    pushed ──► opened (by a person) ──► granted: a code for 60 s ──► redeemed
      90 s        up to an hour     └─► refused

The secret in `request_uri` and the code are stored as hashes only. The code is derived from
the request, so that loading the last page again gives the same code. It can be spent once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from sqlmodel import Session

from gateway.apps import addresses
from gateway.apps.registration import Registration, registration
from gateway.apps.tables import App
from gateway.authorization import checks, rules
from gateway.authorization.checks import Asking
from gateway.authorization.parameters import PARAMETERS
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent.request import Ask
from gateway.consent.tables import Consent
from gateway.ground.keys import KeyRing, hashed, same
from gateway.ground.store import Clash, found, raw, stored
from gateway.ground.store.rows import known, made
from gateway.ground.web.context import Caller
from gateway.house import House
from gateway.log import Log


@dataclass(frozen=True, slots=True)
class Checked:
    """The parameters of a valid request."""

    client_id: str
    redirect_uri: str
    state: str | None
    scope: str
    claims: str
    code_challenge: str
    nonce: str | None
    resource: str
    dpop_jkt: str
    response_mode: str
    ui_locales: str
    prompt: str
    max_age: int | None
    grant_management_action: str
    grant_id: str
    completion_mode: bool
    ask: Ask


_SPEND = """
    UPDATE authorizationrequest SET redeemed_at = ?, family_id = ?
     WHERE id = ? AND redeemed_at IS NULL AND code_expires_at > ?"""
# What a request has that did not come with a browser, in place of parameters that its endpoint does not know.
_WITHOUT: Mapping[str, Any] = {
    "redirect_uri": "",
    "state": None,
    "code_challenge": "",
    "nonce": None,
    "response_mode": "",
    "prompt": "consent",
    "max_age": None,
    "completion_mode": False,
}


def check(session: Session, house: House, app: App, endpoint: str, sent: Mapping[str, str]) -> Checked:
    """A valid request of this endpoint. Raises Refused with the error of the standard, for the first fault in the
    table's order."""
    asking = Asking(session, house, app, registration(app), sent)
    told = [one for one in PARAMETERS if one.check and endpoint in one.endpoints]
    found = {**_WITHOUT, **{one.name: one.check(sent.get(one.name, ""), asking) for one in told if one.check}}
    if found["grant_id"]:
        ask, action = found["authorization_details"], found["grant_management_action"]
        checks.may_change(asking, ask, action, found["grant_id"])
    found["scope"] = checks.standing_scope(found["scope"], asking)
    named = {name: found[name] for name in Checked.__slots__ if name in found}
    return Checked(client_id=app.client_id, ask=found["authorization_details"], **named)


def again(client_id: str, ask: Ask, scope: str, resource: str) -> Checked:
    """The request for what was agreed to before, of a person who is not there."""
    without = {name: value for name, value in _WITHOUT.items() if name in Checked.__slots__}
    nothing = dict.fromkeys(("claims", "dpop_jkt", "ui_locales", "grant_management_action", "grant_id"), "")
    return Checked(client_id=client_id, ask=ask, scope=scope, resource=resource, **{**without, **nothing})


def bound(checked: Checked, jkt: str) -> Checked:
    """The same request, its code bound to the key of this thumbprint."""
    return replace(checked, dpop_jkt=jkt)


# ---- the row


def push(session: Session, checked: Checked, secret: str, now: datetime, seconds: int) -> str:
    """Store a valid request for `seconds`. Returns its request_uri."""
    session.add(kept(checked, secret, now, seconds))
    session.flush()
    return rules.REQUEST_URI + secret


def kept(checked: Checked, secret: str, now: datetime, seconds: int) -> AuthorizationRequest:
    """The row of a valid request, not stored yet."""
    return made(
        AuthorizationRequest,
        id=hashed(secret),
        **{name: getattr(checked, name) for name in Checked.__slots__ if name not in ("ask", "completion_mode")},
        ask=checked.ask.as_json(),
        deferrable=checked.completion_mode,
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )


def find(session: Session, request_uri: str, app: App, now: datetime) -> AuthorizationRequest | None:
    """The request of a request_uri. None: unknown, expired, another client's, or the registration has changed since."""
    secret = _secret(request_uri)
    if secret == request_uri or len(secret) != 43:
        return None
    row = session.get(AuthorizationRequest, hashed(secret))
    if row is None or row.client_id != app.client_id or now >= row.expires_at or finished(row, now):
        return None
    # The registration has changed: redirect address or data of this request may not be registered any more.
    if Ask.from_json(row.ask).app_metadata_sha256 != app.metadata_sha256 or not _still_returns(row, registration(app)):
        return None
    return row


def _still_returns(row: AuthorizationRequest, client: Registration) -> bool:
    """Whether the address of its answer is registered; a device has none."""
    uri = row.redirect_uri
    return not uri or addresses.matches(uri, client.redirect_uris, native=client.native)


def _secret(request_uri: str) -> str:
    return request_uri.removeprefix(rules.REQUEST_URI)


def held(session: Session, log: Log, request_uri: str, app: App, now: datetime) -> AuthorizationRequest | None:
    """The same, to go on with it: nobody else does until the transaction ends.

    First the turn of the person who was asked, then the row: in this order everywhere, so that two people who open one
    request wait for one another. Raises Clash if it became another person's meanwhile: then it is to be read again.
    """
    row = find(session, request_uri, app, now)
    consent_id = row.consent_id if row else None
    consent = session.get(Consent, consent_id) if consent_id else None
    if consent:
        log.turn(session, consent.person_id)
    if row:
        session.get(AuthorizationRequest, hashed(_secret(request_uri)), with_for_update=True, populate_existing=True)
        row = find(session, request_uri, app, now)
    if row and row.consent_id != consent_id:
        raise Clash("this request became another person's")
    return row


def finished(row: AuthorizationRequest, now: datetime) -> bool:
    """Whether its code has been spent or has expired. Until then the last page may be loaded again."""
    return row.redeemed_at is not None or (row.code_expires_at is not None and now >= row.code_expires_at)


def open_(row: AuthorizationRequest, now: datetime, seconds: int) -> None:
    """Note that a person has opened the request. The time to answer runs from the first opening, so that loading the
    page again changes nothing (RFC 9126 §7.3); where the app polls it runs already."""
    if row.opened_at is None:
        row.opened_at = now
        row.expires_at = now + timedelta(seconds=seconds) if row.kind == "code" else row.expires_at


def resume_path(client_id: str, request_uri: str) -> str:
    """The path to which every step of this request returns."""
    return "/authorize?" + urlencode({"client_id": client_id, "request_uri": request_uri}, quote_via=quote)


def grant(row: AuthorizationRequest, keys: KeyRing, caller: Caller, now: datetime, seconds: int) -> str:
    """The code. The first call makes it valid for `seconds`; later calls return the same code."""
    code = keys.mac("code", row.id)
    if not row.outcome:
        row.outcome, row.auth_time = "granted", int(caller.auth_time.timestamp())
        row.amr, row.sign_in = " ".join(caller.methods), caller.in_series
    if row.code_sha256 is None:
        row.code_sha256, row.code_expires_at = hashed(code), now + timedelta(seconds=seconds)
    return code


def spend(session: Session, row: AuthorizationRequest, now: datetime, family_id: str | None = None) -> bool:
    """Spend its code, for the tokens of a family or for something else. False: it was spent or is over; of many at once
    one is first."""
    session.flush()
    values = stored(now), family_id, row.id, stored(now)
    spent: bool = raw(session).execute(_SPEND, values).rowcount == 1
    if spent:
        known(row, redeemed_at=now, family_id=family_id)
    else:
        session.expire(row)
    return spent


def refuse(row: AuthorizationRequest, now: datetime, seconds: int) -> None:
    if not row.outcome:
        row.outcome = "refused"
        row.code_expires_at = row.code_expires_at or now + timedelta(seconds=seconds)


def by_code(session: Session, code: str, client_id: str) -> AuthorizationRequest | None:
    """The request that this client's code was issued for, spent or not."""
    rows = found(session, AuthorizationRequest, "code_sha256 = ?", (hashed(code),))
    return next((row for row in rows if row.kind == "code" and same(row.client_id, client_id)), None)
