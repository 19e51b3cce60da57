"""The steps of the endpoints: check_…, load_…, bind_…, and what the endpoint is there for. endpoints.py says where each
is used, and in which order.

A step raises Refused for what the caller got wrong; whatever it has written by then is committed, because a failed try
must count.
"""

import json

from starlette.responses import Response

from gateway.apps.tables import App
from gateway.authorization import (
    access_tokens,
    asked,
    binding,
    client_tokens,
    clients,
    devices,
    disclosing,
    openid,
    parameters,
    request_objects,
    requests,
)
from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily, find_refresh
from gateway.authorization.parameters import SIGNED_FROM
from gateway.authorization.rules import Refused
from gateway.authorization.server import Server
from gateway.authorization.subjects import subject
from gateway.ground.http.client_certificates import client_certificate
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.web import answers

_SIGNED = "application/token-introspection+jwt"


def check_form(call: EndpointCall) -> None:
    """The call is one url-encoded form, no parameter stands in the address, none is given twice."""
    call.form = call.sent = parameters.of_form(call.ctx, call.endpoint)


def authenticate_client(call: EndpointCall) -> None:
    """The app that calls, by the one method it registered (RFC 6749 §2.3)."""
    ctx, settings = call.ctx, call.ctx.house.settings
    shown = clients.Presented(
        form=call.form,
        authorization=tuple(ctx.request.headers.getlist("authorization")),
        network=client_network(ctx.request, settings),
        path=ctx.request.url.path,
        certificate=client_certificate(ctx.request),
    )
    call.client = clients.authenticate(ctx.session, shown, settings.public_url, ctx.now)


def count_unauthenticated(call: EndpointCall) -> None:
    """A request of a public client is stored, and anyone can name the client: so many in a minute and no more."""
    if call.client.public:
        ctx = call.ctx
        network = client_network(ctx.request, ctx.house.settings)
        clients.count_request(ctx.session, call.client.client_id, network, ctx.now)


def check_confidential(call: EndpointCall) -> None:
    """The client has proved who it is: anybody can name a public one."""
    if call.client.public:
        raise Refused("invalid_client", "A public client cannot be authenticated.", status=401)


def bind_key(call: EndpointCall) -> None:
    """What the caller proves to hold: a key, by a proof (RFC 9449 §5), or its TLS certificate (RFC 8705 §3)."""
    call.binding = binding.shown(call.ctx, call.client, spends=not _is_for_nothing(call))


def _is_for_nothing(call: EndpointCall) -> bool:
    """Whether this is refused, whatever it proves: a public client, whom anybody can name, has a code or refresh token
    that there is not. Of such a call no row stays."""
    if call.endpoint != parameters.TOKEN or not call.client.public:
        return False
    session, form = call.ctx.session, call.form
    if form.get("grant_type") == "authorization_code":
        return requests.by_code(session, form.get("code", ""), call.client.client_id) is None
    return form.get("grant_type") == "refresh_token" and find_refresh(session, form.get("refresh_token", "")) is None


def check_binding(call: EndpointCall) -> None:
    """A client whose tokens are to be bound has proved to hold something."""
    binding.check_enough(call.binding, call.client)


def check_no_request_uri(call: EndpointCall) -> None:
    """What is pushed does not point to something else (RFC 9126 §2.1)."""
    if "request_uri" in call.form:
        raise Refused("invalid_request", "request_uri has no place in a pushed request.")


def load_request_object(call: EndpointCall) -> None:
    """The parameters of the signed object, if there is one (RFC 9101 §6.3), in place of those beside it."""
    if "request" in call.sent:
        ctx = call.ctx
        now, issuer = ctx.now.timestamp(), ctx.house.settings.public_url
        known = parameters.names(call.endpoint)
        found = request_objects.parameters(call.sent["request"], call.client, issuer, known, now)
        beside = {name: call.sent[name] for name in SIGNED_FROM if name in call.sent}
        call.sent, call.signed = {**parameters.known(call.endpoint, found), **beside}, True


def check_signed(call: EndpointCall) -> None:
    """A client that registered to sign its requests has done so (RFC 9101 §10.5)."""
    if call.client.signed_requests and not call.signed:
        raise Refused("invalid_request", "This client signs its requests: send them as request.")


def check_request(call: EndpointCall) -> None:
    """Every parameter of the authorization request, in the order of the table in parameters.py."""
    call.checked = requests.check(call.ctx.session, call.ctx.house, call.app, call.endpoint, call.sent)


def bind_request(call: EndpointCall) -> None:
    """The code will be of use only to who holds the key: of `dpop_jkt`, or of the proof (RFC 9449 §10.1)."""
    shown = call.binding.jkt
    if call.checked and shown and call.checked.dpop_jkt not in ("", shown):
        raise Refused("invalid_dpop_proof", "dpop_jkt names another key than the one of the proof.")
    if call.checked and shown:
        call.checked = requests.bound(call.checked, shown)


def store_request(call: EndpointCall) -> Response:
    """Keep the request for a while: 201 with its `request_uri` (RFC 9126 §2.2)."""
    assert call.checked is not None
    seconds = call.ctx.house.settings.request_seconds
    request_uri = requests.push(call.ctx.session, call.checked, fresh(), call.ctx.now, seconds)
    return answers.json({"request_uri": request_uri, "expires_in": seconds}, 201)


def check_device(call: EndpointCall) -> None:
    """The client registered for the device grant (RFC 8628 §3.1)."""
    if devices.GRANT not in call.client.grant_types:
        raise Refused("unauthorized_client", "The client did not register for the device grant.")


def begin_device(call: EndpointCall) -> Response:
    """Keep the request, and tell the app which code to show (RFC 8628 §3.2)."""
    assert call.checked is not None
    return answers.json(devices.begin(call.ctx.session, call.ctx.house, call.checked, call.ctx.now))


def check_grant_type(call: EndpointCall) -> None:
    """The client registered for this way to get a token (RFC 6749 §5.2)."""
    if "grant_type" not in call.form:
        raise Refused("invalid_request", "grant_type is missing.")
    known = [grant.kind.GRANT_TYPE for grant in call.protocol.grants if grant.registered]
    if call.form["grant_type"] in known and call.form["grant_type"] not in call.client.grant_types:
        raise Refused("unauthorized_client", "The client did not register for this grant_type.")


def check_no_details(call: EndpointCall) -> None:
    """A client's own token carries nothing of anybody's data."""
    if "authorization_details" in call.form and call.form["grant_type"] == client_tokens.GRANT_TYPE:
        raise Refused("invalid_authorization_details", "Not taken here: there is no grant behind such a token.")


def issue_tokens(call: EndpointCall) -> Response:
    """By the grant that grant_type names (server.py)."""
    response: Response = Server(call).create_token_response()
    return response


def check_reads(call: EndpointCall) -> None:
    """Nobody asks for the headers alone: that would stand in her log like an answer, and tell nothing."""
    if call.ctx.request.method == "HEAD":
        raise Refused("invalid_request", "Read with GET or POST.", status=405, headers={"Allow": "GET, POST, OPTIONS"})


def load_access_token(call: EndpointCall) -> None:
    """The access token of the call, for this resource of ours, by who may use it (RFC 6750 §2, RFC 9449 §7)."""
    call.granted, call.claims = access_tokens.granted(call.ctx)
    app = call.ctx.session.get(App, call.granted.family.client_id)
    assert app is not None
    call.app = app


def check_openid(call: EndpointCall) -> None:
    """The token was asked for with the scope openid (OpenID Connect Core §5.3.1)."""
    if openid.OPENID not in call.claims["scope"].split():
        disclosing.record_refusal(call.ctx, _granted(call).family, "dataset", 403)
        raise access_tokens.insufficient(call.ctx, openid.OPENID)


def check_permitted(call: EndpointCall) -> None:
    """No policy forbids it: the app is not suspended, the person is of age or her guardian agreed."""
    disclosing.check_permitted(call, _granted(call))


def tell_of_person(call: EndpointCall) -> Response:
    """The claims that she agreed to, and the entry in her log (OpenID Connect Core §5.3.2)."""
    ctx, granted = call.ctx, _granted(call)
    said: dict[str, object] = {"sub": subject(ctx.house.keys, granted.consent.person_id, call.client)}
    said |= openid.told(granted.terms, disclosing.account(call, granted), ctx.house.catalogue)
    disclosing.record(ctx, granted, "userinfo", said)
    if not call.client.userinfo_alg:
        return answers.json(said)
    said |= {"iss": ctx.house.settings.public_url, "aud": granted.family.client_id}
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(
        ctx.house.keys.sign(said, typ="JWT", algorithm=call.client.userinfo_alg), 200, headers, "application/jwt"
    )


def _granted(call: EndpointCall) -> GrantedFamily:
    assert call.granted is not None
    return call.granted


def end_tokens(call: EndpointCall) -> Response:
    """The token's whole family, if it is the client's own (RFC 7009 §2.1). What a client polls with may be given back
    too (draft-ietf-oauth-deferred-token-response-01, Cancellation)."""
    ctx = call.ctx
    if asked.take_back(ctx.session, ctx.house.log, call.form.get("token", ""), call.client.client_id, ctx.now):
        return Response(status_code=200, headers={"Cache-Control": "no-store"})
    response: Response = Server(call).create_endpoint_response("revocation")
    return response


def tell_of_token(call: EndpointCall) -> Response:
    """What the token is worth now, if it is the client's own (RFC 7662 §2.2); signed if it is asked so (RFC 9701)."""
    response: Response = Server(call).create_endpoint_response("introspection")
    signed = call.client.introspection_alg or _SIGNED in call.ctx.request.headers.get("accept", "").lower()
    if response.status_code != 200 or not signed:
        return response
    ctx = call.ctx
    claims = {
        "iss": ctx.house.settings.public_url,
        "aud": call.client.client_id,
        "iat": int(ctx.now.timestamp()),
        "token_introspection": json.loads(bytes(response.body)),
    }
    algorithm = call.client.introspection_alg or call.client.profile.signed
    token = ctx.house.keys.sign(claims, typ="token-introspection+jwt", algorithm=algorithm)
    return Response(token, 200, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}, _SIGNED)
