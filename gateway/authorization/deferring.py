"""Deferred token responses: an app gets its tokens when the person has decided
(draft-ietf-oauth-deferred-token-response-01). The draft leaves to the server what it defers; here that is:

A code of a request which she has put off, or which waits for a guardian: the app said `completion_mode=deferred` when
it asked, so her screen offers to decide later.

A refresh with `completion_mode=deferred` and authorization_details beyond what is granted. It is put to her as the
merge of both: she is asked for what is new alone, and what she has agreed to goes on whatever she says. Without
completion_mode the same refresh is refused at once.

A refresh with acr_values or max_age that the sign-in behind it does not meet (RFC 9470). It is put to her as the very
request that she has agreed to: she signs in so, and goes on by one click. Without completion_mode it is refused, too.
"""

from dataclasses import replace
from typing import NoReturn

from gateway.authorization import asked, checks, families, narrowing, openid, parameters, polling, requests, rules
from gateway.authorization.asked import AskedOf
from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest, TokenFamily
from gateway.catalogue.sign_ins import ACRS, acr
from gateway.consent.itself import location
from gateway.consent.request import Ask
from gateway.consent.rules import MERGE
from gateway.consent.terms import granted_items

GRANT = "urn:ietf:params:oauth:grant-type:deferred"


def defer_wider(call: EndpointCall) -> None:
    """Put a refresh for more than is granted into her inbox: the answer is `authorization_pending` with a
    deferral_code. Everything else goes on."""
    form = call.form
    if not _is_willing(call) or form.get("grant_type") != "refresh_token" or "authorization_details" not in form:
        return
    if call.client.public:
        raise Refused("unauthorized_client", "A public client asks for more at the authorization endpoint.")
    granted = _standing(call)
    if granted is not None and not _is_part(call, granted):
        checked = _checked(call, granted)
        if _is_wider(checked.ask, granted):
            _put(call, granted, checked)


def defer_surer(call: EndpointCall) -> None:
    """Put a refresh that asks for a surer or later sign-in than there was into her inbox, in the same way. Everything
    else goes on, also with a sign-in that is enough."""
    form = call.form
    if form.get("grant_type") != "refresh_token" or not form.keys() & {"acr_values", "max_age"}:
        return
    musts, max_age = _sign_in_asked(call)
    granted = _standing(call)
    if granted is None or _is_met(granted.family, musts, max_age, call.ctx.now.timestamp()):
        return
    if not _is_willing(call):
        raise _unmet()
    if call.client.public:
        raise Refused("unauthorized_client", "A public client asks for it at the authorization endpoint.")
    _put(call, granted, _once_more(call, granted))


def check_sign_in(call: EndpointCall, family: TokenFamily) -> None:
    """Of a refresh token that was spent before and is good for a moment still (families.py), which `defer_surer` leaves
    to the grant: nor is it answered with a sign-in that is not enough. Raises Refused."""
    if not _is_met(family, *_sign_in_asked(call), call.ctx.now.timestamp()):
        raise _unmet()


def _unmet() -> Refused:
    return Refused("unmet_authentication_requirements", "Ask her with completion_mode=deferred, or at /authorize.")


def _sign_in_asked(call: EndpointCall) -> tuple[str, int | None]:
    """(what must hold, as a request keeps it, at most so many seconds since). Names of `acr` that nobody knows are
    passed over, as in any request. Raises Refused."""
    known = [one for one in call.form.get("acr_values", "").split() if one in ACRS]
    musts = openid.kept(openid.NO_CLAIMS.with_acr(known), call.ctx.house.catalogue)
    asking = checks.Asking(call.ctx.session, call.ctx.house, call.app, call.client, call.form)
    return musts, checks.max_age(call.form.get("max_age", ""), asking)


def _is_met(family: TokenFamily, musts: str, max_age: int | None, now: float) -> bool:
    late = max_age is not None and now - family.auth_time > max_age
    return not late and not openid.unmet(musts, "", acr(family.amr.split()))


def _is_willing(call: EndpointCall) -> bool:
    return rules.DEFERRED in call.form.get("completion_mode", "").split()


def redeem(call: EndpointCall, row: AuthorizationRequest) -> None:
    """The code of a request that she has put off is spent for what to poll with. Raises Refused; returns for the code
    of any other request."""
    if row.deferrable and not _is_willing(call):
        raise Refused("invalid_request", "The request had completion_mode=deferred: so must this one.")
    if row.outcome != "later":
        return
    ctx, token = call.ctx, _token(call)
    if not requests.spend(ctx.session, row, ctx.now):
        raise Refused("invalid_grant")
    code, until = asked.waiting(ctx.session, ctx.house.keys, row, call.binding.jkt, token)
    _answer(code, int((until - ctx.now).total_seconds()))


def _standing(call: EndpointCall) -> GrantedFamily | None:
    """What the refresh token stands on. None: nothing that could be widened, or it was spent before; the grant itself
    says what is wrong, and notices that it comes again."""
    ctx = call.ctx
    row = families.find_refresh(ctx.session, call.form.get("refresh_token", ""))
    if row is None or row.client_id != call.client.client_id or row.expires_at <= ctx.now or row.spent_at is not None:
        return None
    family = ctx.session.get_one(TokenFamily, row.family_id)
    ctx.house.log.turn(ctx.session, family.person_id)
    found = families.standing(ctx.session, family, ctx.now)
    return found if isinstance(found, GrantedFamily) else None


def _is_part(call: EndpointCall, granted: GrantedFamily) -> bool:
    """Whether these details are a part of what is granted, which needs nobody's word."""
    try:
        narrowing.carried(call, granted.family.scope, granted.family.resource, granted.terms)
    except Refused:
        return False
    return True


def _checked(call: EndpointCall, granted: GrantedFamily) -> requests.Checked:
    """The request to merge these details into the grant, checked like any other."""
    ctx, family = call.ctx, granted.family
    sent = {
        "authorization_details": call.form["authorization_details"],
        "grant_management_action": MERGE,
        "grant_id": granted.consent.id,
    }
    checked = requests.check(ctx.session, ctx.house, call.app, parameters.DEFERRED, sent)
    named = [location(ctx.house.settings.public_url, name) for name in checked.ask.organisations()]
    resource = " ".join(dict.fromkeys([*family.resource.split(), *named])) if family.resource else ""
    return _signed_in_so(call, replace(checked, scope=family.scope, resource=resource), family)


def _once_more(call: EndpointCall, granted: GrantedFamily) -> requests.Checked:
    """The request that she has agreed to, as it was."""
    family, ask = granted.family, Ask.from_json(granted.consent.asked)
    if ask.app_metadata_sha256 != call.app.metadata_sha256:
        raise Refused("unmet_authentication_requirements", "The registration has changed since: ask her at /authorize.")
    checked = requests.again(call.app.client_id, ask, family.scope, family.resource)
    return _signed_in_so(call, checked, family)


def _signed_in_so(call: EndpointCall, checked: requests.Checked, family: TokenFamily) -> requests.Checked:
    """This request, its tokens for the key of this call, after such a sign-in as this call asks for."""
    musts, max_age = _sign_in_asked(call)
    claims = " ".join(one for one in (_names_alone(family.claims), musts) if one)
    return replace(checked, claims=claims, max_age=max_age, dpop_jkt=call.binding.jkt)


def _names_alone(claims: str) -> str:
    """Of the claims of a sign-in those that she tells; what that sign-in had to be, this one need not."""
    return " ".join(one for one in claims.split() if "=" not in one)


def _is_wider(ask: Ask, granted: GrantedFamily) -> bool:
    fields = {(item["organisation"], item["dataset"]): item["fields"] for item in granted_items(granted.terms)}
    return any(not set(one.fields) <= set(fields.get((one.organisation, one.dataset), ())) for one in ask.items)


def _put(call: EndpointCall, granted: GrantedFamily, checked: requests.Checked) -> NoReturn:
    ctx, token = call.ctx, _token(call)
    seconds = ctx.house.settings.answer_seconds
    told = AskedOf(granted.consent.person_id, polling.DEFERRED, seconds, token=token)
    _answer(asked.begin(ctx.session, ctx.house, call.app, checked, told, ctx.now), seconds)


def _token(call: EndpointCall) -> str:
    """To be shown where the app is told of the answer; "": none."""
    token = call.form.get("client_notification_token", "")
    if token and not asked.is_token(token):
        raise Refused("invalid_request", "client_notification_token: 22 to 1024 characters of a bearer token.")
    return token


def _answer(code: str, seconds: int) -> NoReturn:
    """An error answer, as the draft has it; nothing of what was done is undone."""
    raise Refused("authorization_pending", deferral_code=code, expires_in=seconds, interval=polling.INTERVAL)
