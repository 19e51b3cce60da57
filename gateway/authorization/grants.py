"""Steps of the endpoints at which an app sees and ends what was granted to it (Grant Management for OAuth 2.0, §6).

The grant is the consent itself. The app calls with a token of its own (client_tokens.py): no person need be there. A
grant of another app, one that is over and one that never was get the same answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from gateway.authorization import access_tokens, openid, rules
from gateway.authorization.calls import EndpointCall
from gateway.authorization.rules import Refused
from gateway.consent import deciding, granting
from gateway.consent.actors import APP
from gateway.consent.itself import ITSELF, USERINFO, location
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent
from gateway.ground.web import answers

_UK_STATUS = {State.ACTIVE: "AUTH", State.PAUSED: "AUTH"}  # it has no word for a pause
_CDR_UNKNOWN = {
    "code": "urn:au-cds:error:cds-all:Authorisation/InvalidArrangement",
    "title": "Invalid Consent Arrangement",
    "detail": "There is no such arrangement of this client.",
}


def load_client_token(call: EndpointCall) -> None:
    """The client's own token, shown by who holds it (RFC 6750 §2, RFC 9449 §7.1), and the client, which may still."""
    call.app, call.claims = access_tokens.own(call.ctx)


def check_scope(call: EndpointCall) -> None:
    """The token is for this (RFC 6750 §3.1)."""
    needed = rules.SCOPE_NEEDED[call.endpoint]
    if needed not in call.claims["scope"].split():
        raise access_tokens.insufficient(call.ctx, needed)


def load_grant(call: EndpointCall) -> None:
    """The grant of this address, running or paused, if it is the client's own."""
    found = _found(call, call.ctx.path["grant_id"])
    if found is None:
        raise Refused("not_found", status=404)
    call.grant = found


def load_arrangement(call: EndpointCall) -> Response | None:
    """The same of a form, with the error answer of Australia's rules."""
    found = _found(call, call.form.get("cdr_arrangement_id", ""))
    if found is None:
        return answers.json({"errors": [_CDR_UNKNOWN]}, 422)
    call.grant = found
    return None


def tell_grant(call: EndpointCall) -> Response:
    """What is in force now (Grant Management §6.3)."""
    said, house = _told(call), call.ctx.house
    claims = openid.claims_granted(said.terms, house.catalogue)
    return answers.json(
        {
            "scopes": _scopes(said.terms, house.settings.public_url),
            **({"claims": claims} if claims else {}),
            "authorization_details": granting.details(said.terms, house.settings.public_url),
            "created_at": _seconds(said.granted_at),
            "last_updated_at": _seconds(said.changed_at),
            "expires_at": _seconds(said.until),
            "updated_by": said.updated_by,
            "status": call.grant.state,  # active or paused; an addition of ours
        }
    )


def tell_uk_consent(call: EndpointCall) -> Response:
    """The same, as far as UK Open Banking has members for it; its permission codes are not ours and are left out."""
    said = _told(call)
    data = {
        "ConsentId": call.grant.id,
        "Status": _UK_STATUS[State(call.grant.state)],
        "CreationDateTime": said.granted_at.isoformat(timespec="seconds"),
        "StatusUpdateDateTime": said.changed_at.isoformat(timespec="seconds"),
        "ExpirationDateTime": said.until.isoformat(timespec="seconds"),
    }
    return answers.json({"Data": data, "Risk": {}})


def end_grant(call: EndpointCall) -> Response:
    """The consent ends, as one that the app has ended: it, its tokens and its data, at once."""
    ctx = call.ctx
    deciding.end(ctx.session, ctx.house.log, call.grant, APP, EndReason.BY_APP, ctx.now)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


# ---- parts


def _found(call: EndpointCall, grant_id: str) -> Consent | None:
    """To end it: in the turn of the person whose it is, so that of two calls at once one finds it."""
    ctx, app = call.ctx, call.app.client_id
    found = granting.find(ctx.session, grant_id, app, ctx.now)
    if ctx.request.method != "GET":
        if found is None:
            ctx.house.log.require_whole()  # on a frozen log it may be in what is missing
        else:
            ctx.house.log.turn(ctx.session, found.person_id)
            found = granting.find(ctx.session, grant_id, app, ctx.now)
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a grant, whatever the words."""

    terms: Mapping[str, Any]
    granted_at: datetime
    until: datetime
    changed_at: datetime
    updated_by: str


def _told(call: EndpointCall) -> _Told:
    session, consent = call.ctx.session, call.grant
    terms = deciding.current(session, consent)
    if terms is None or consent.granted_at is None or consent.until is None:
        raise ValueError("a running consent has terms, a beginning and an end")
    return _Told(terms, consent.granted_at, consent.until, *granting.changed(session, consent))


def _scopes(terms: Mapping[str, Any], public_url: str) -> list[dict[str, Any]]:
    """Each scope with the addresses for which it was agreed to."""
    names = granting.organisations(terms)
    data = [location(public_url, name) for name in names if name != ITSELF]
    found = [{"scope": rules.DATA, "resource": data}] if data else []
    return [*found, {"scope": openid.OPENID, "resource": [public_url + USERINFO]}] if ITSELF in names else found


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
