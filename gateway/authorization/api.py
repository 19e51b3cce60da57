"""The JSON endpoints of the server: PAR, token, revocation, introspection, metadata, keys."""

from functools import partial

from starlette.responses import Response

from gateway.authorization import clients, metadata, parameters, requests
from gateway.authorization.protocol import ANYONE, PROVEN, Endpoint, Handler, Protocol, refusal
from gateway.authorization.rules import Refused
from gateway.authorization.server import Server, authenticated
from gateway.errors import NotFound
from gateway.ground.http.peers import client_network
from gateway.ground.keys import fresh
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.organisations import views

# Metadata and keys are public. They are cached for minutes only, so that a new key or organisation is soon seen.
PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


def _door(endpoint: Endpoint, handler: Handler, protocol: Protocol) -> Door:
    """The door of an endpoint that takes one url-encoded form. It turns a Refused into the error answer."""

    def door(ctx: Context) -> Response:
        try:
            return handler(protocol, parameters.of_form(ctx, endpoint.name))
        except Refused as refused:
            return refusal(ctx, refused)

    door.__doc__ = handler.__doc__
    return Door(endpoint.path, door, ("POST",), "oauth", "write", gives=endpoint.gives, csrf=False, name=endpoint.name)


def par(_: Protocol, ctx: Context) -> Response:
    """Take a pushed authorization request (RFC 9126): 201 with its `request_uri`, or 400 with what is wrong with it."""
    app = authenticated(ctx)
    if "request_uri" in ctx.form:
        raise Refused("invalid_request", "request_uri has no place in a pushed request.")
    if app.auth_method == "none":
        clients.count_request(ctx.session, app.client_id, client_network(ctx.request, ctx.house.settings), ctx.now)
    checked = requests.check(ctx.session, ctx.house, app, ctx.form)
    seconds = ctx.house.settings.request_seconds
    request_uri = requests.push(ctx.session, checked, fresh(), ctx.now, seconds)
    return answers.json({"request_uri": request_uri, "expires_in": seconds}, 201)


def token(protocol: Protocol, ctx: Context) -> Response:
    """Give tokens for a code or a refresh token (RFC 6749 §3.2), with `authorization_details` as granted (RFC 9396).

    Asking for less than was granted is a new request, not a parameter here.
    """
    if "grant_type" not in ctx.form:
        raise Refused("invalid_request", "grant_type is missing.")
    if "authorization_details" in ctx.form:
        raise Refused("invalid_authorization_details", "Not taken here: the token carries what was granted.")
    response: Response = Server(ctx, protocol.grants).create_token_response()
    return response


def revoke(protocol: Protocol, ctx: Context) -> Response:
    """Give a token back (RFC 7009): its whole family ends, the person's agreement stays. 200 for an unknown one too."""
    response: Response = Server(ctx, protocol.grants).create_endpoint_response("revocation")
    return response


def introspect(protocol: Protocol, ctx: Context) -> Response:
    """Say whether one of the app's own tokens is worth anything now, and what it carries (RFC 7662)."""
    response: Response = Server(ctx, protocol.grants).create_endpoint_response("introspection")
    return response


def jwks(ctx: Context) -> Response:
    """The public keys with which this gateway signs (RFC 7517)."""
    return answers.json(ctx.house.keys.jwks(), headers=PUBLIC)


def server_metadata(protocol: Protocol, ctx: Context) -> Response:
    """What this authorization server can do, and where (RFC 8414)."""
    names = [name for name, facts in views.directory(ctx.session).items() if facts.active]
    return answers.json(metadata.server(ctx.house.settings, protocol, sorted(names)), headers=PUBLIC)


def resource_metadata(ctx: Context) -> Response:
    """What is to be known of one organisation's data addresses (RFC 9728). 404 for an unknown organisation."""
    organisation = views.view(ctx.session, ctx.path["organisation"])
    if organisation is None:
        raise NotFound("organisation")
    return answers.json(metadata.resource(ctx.house.settings, organisation), headers=PUBLIC)


AUTHORIZE = Endpoint(parameters.AUTHORIZE, "/authorize", "authorization_endpoint")  # its doors: pages.py
PAR = Endpoint(parameters.PAR, "/par", "pushed_authorization_request_endpoint", par, gives=True)
TOKEN = Endpoint(parameters.TOKEN, "/token", "token_endpoint", token, ANYONE, gives=True)
REVOKE = Endpoint(parameters.REVOKE, "/revoke", "revocation_endpoint", revoke, ANYONE)
INTROSPECT = Endpoint(parameters.INTROSPECT, "/introspect", "introspection_endpoint", introspect, PROVEN, gives=True)
JWKS = Endpoint("jwks", "/jwks.json", "jwks_uri")


def doors(protocol: Protocol) -> list[Door]:
    about = "/.well-known/oauth-authorization-server"
    resource = "/.well-known/oauth-protected-resource/data/{organisation}"
    return [
        *(_door(one, one.handler, protocol) for one in protocol.endpoints if one.handler),
        Door(JWKS.path, jwks, ("GET",), "api", "none", name="jwks"),
        Door(about, partial(server_metadata, protocol), ("GET",), "api", name="server_metadata"),
        Door(resource, resource_metadata, ("GET",), "api", name="resource_metadata"),
    ]
