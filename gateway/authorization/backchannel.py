"""Asking a person without a browser of hers: CIBA, by poll and ping (CIBA Core 1.0; FAPI-CIBA).

Whom an app may ask: who has agreed to something with it before, named by an ID token, by her `sub`, or by her mail
address. Everybody else is unknown to it, whether there is an account or not, so that the address book of the service
cannot be read out by asking. An app of which the operator says `asks_anybody` may also ask others by their address, as
a bank at its counter has to.
"""

import re
import unicodedata
from dataclasses import replace

from starlette.responses import Response

from gateway.apps import declare
from gateway.authorization import asked, hints, openid, parameters, polling, request_objects, rules
from gateway.authorization.asked import AskedOf
from gateway.authorization.calls import EndpointCall
from gateway.authorization.rules import Refused
from gateway.authorization.spending import first_use
from gateway.consent import asking
from gateway.consent.itself import ITSELF
from gateway.ground.web import answers

GRANT = declare.BACKCHANNEL
HINTS = ("login_hint", "login_hint_token", "id_token_hint")
# What would make a message more than a few words: an address to go to.
_ADDRESS = re.compile(r"://|\bwww\.|\b[\w-]+\.[a-z]{2,}/", re.IGNORECASE)


def check_registered(call: EndpointCall) -> None:
    """The client registered for CIBA, and can prove who it is (CIBA Core §7.1)."""
    if call.client.public or GRANT not in call.client.grant_types:
        raise Refused("unauthorized_client", "The client did not register for CIBA.")


def load_signed_request(call: EndpointCall) -> None:
    """The parameters of a signed request, used once, with nothing beside it (CIBA Core §7.1.1); signed, where the
    client registered so."""
    if "request" not in call.sent:
        if call.client.backchannel_alg or call.client.signed_requests:
            raise Refused("invalid_request", "This client signs its requests: send them as request.")
        return
    ctx = call.ctx
    issuer, known = ctx.house.settings.public_url, parameters.names(call.endpoint)
    beside = call.sent.keys() & known - {"request", *parameters.SIGNED_FROM}
    if beside:
        raise Refused("invalid_request", "A signed request has all parameters inside.")
    try:
        found, once = request_objects.backchannel(call.sent["request"], call.client, issuer, known, ctx.now.timestamp())
    except Refused as refused:
        raise Refused("invalid_request", refused.description) from None
    if not first_use(ctx.session, f"backchannel\n{call.client.client_id}\n{once.jti}", once.until, ctx.now):
        raise Refused("invalid_request", "This request was used before: give each a jti of its own.")
    who = {name: call.sent[name] for name in parameters.SIGNED_FROM if name in call.sent}
    call.sent, call.signed = {**parameters.known(call.endpoint, found), **who}, True


def load_person(call: EndpointCall) -> None:
    """Whom it is for, by the one hint (CIBA Core §7.1)."""
    given = [name for name in HINTS if name in call.sent]
    if len(given) != 1:
        raise Refused("invalid_request", "Give one of login_hint, id_token_hint.")
    if given == ["login_hint_token"]:
        raise Refused("invalid_request", "login_hint_token is not offered: use login_hint or id_token_hint.")
    found = _hinted(call, given[0])
    if found is None:
        raise Refused("unknown_user_id")
    call.person = found


def _hinted(call: EndpointCall, name: str) -> str | None:
    session, client, ctx, hint = call.ctx.session, call.client, call.ctx, call.sent[name]
    if name == "id_token_hint":
        told = hints.read(hint, ctx.house.keys, ctx.house.settings.public_url, ctx.now.timestamp())
        if told is None or told.client_id != client.client_id:
            raise Refused("invalid_request", "id_token_hint is no ID token for this client.")
        return asking.known_as(session, client.client_id, told.sub)
    if "@" not in hint:
        return asking.known_as(session, client.client_id, hint)
    person = call.facts.by_email(session, hint)
    known = person is not None and (client.asks_anybody or asking.knows(session, client.client_id, person))
    return person if known else None


def check_notification(call: EndpointCall) -> None:
    """The token to show at the client's own address, if it is told there (CIBA Core §7.1)."""
    token = call.sent.get("client_notification_token", "")
    if call.client.ping_uri and not asked.is_token(token):
        raise Refused("invalid_request", "client_notification_token: 22 to 1024 characters of a bearer token.")


def check_message(call: EndpointCall) -> None:
    """A few plain words, the same on both devices (CIBA Core §7.1); needed where nothing else tells one request from
    the next (FAPI-CIBA §5.2.2)."""
    message = call.sent.get("binding_message", "")
    control = any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in message)
    if len(message) > rules.MESSAGE_LIMIT or control or _ADDRESS.search(message):
        raise Refused("invalid_binding_message")
    if not message and call.client.profile.must_push and _says_nothing_of_its_own(call):
        raise Refused("invalid_binding_message", "binding_message is needed: nothing else says what this is about.")


def _says_nothing_of_its_own(call: EndpointCall) -> bool:
    return call.checked is not None and all(item.organisation == ITSELF for item in call.checked.ask.items)


def check_signs_in(call: EndpointCall) -> None:
    """CIBA signs a person in, whatever else it asks (CIBA Core §7.1)."""
    if openid.OPENID not in call.sent.get("scope", "").split():
        raise Refused("invalid_scope", "CIBA needs the scope openid.")


def begin_backchannel(call: EndpointCall) -> Response:
    """Put it into the person's inbox, and tell the app what to poll with (CIBA Core §7.3)."""
    assert call.checked is not None
    ctx, seconds = call.ctx, _seconds(call)
    # it says to the app that it was she, now: an old sign-in does not
    checked = replace(call.checked, max_age=ctx.house.settings.recent_minutes * 60)
    told = AskedOf(
        call.person,
        polling.BACKCHANNEL,
        seconds,
        call.sent.get("binding_message", ""),
        call.sent.get("client_notification_token", "") if call.client.ping_uri else "",
    )
    code = asked.begin(ctx.session, ctx.house, call.app, checked, told, ctx.now)
    return answers.json({"auth_req_id": code, "expires_in": seconds, "interval": polling.INTERVAL})


def _seconds(call: EndpointCall) -> int:
    """How long she has to answer: as long as the app asks, and no longer than here (CIBA Core §7.1)."""
    longest, wanted = call.ctx.house.settings.answer_seconds, call.sent.get("requested_expiry", "")
    if not wanted:
        return longest
    if not re.fullmatch(r"[1-9][0-9]{0,8}", wanted):
        raise Refused("invalid_request", "requested_expiry is a number of seconds.")
    return min(int(wanted), longest)
