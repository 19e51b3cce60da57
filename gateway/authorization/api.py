"""The JSON endpoints of the server: PAR, token, revocation, introspection, grants, metadata, keys."""

from functools import partial

from starlette.responses import Response

from gateway.authorization import metadata
from gateway.authorization.calls import EndpointCall
from gateway.authorization.endpoints import JWKS
from gateway.authorization.protocol import Endpoint, Protocol, refusal
from gateway.authorization.rules import Refused
from gateway.errors import NotFound
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.organisations import views

# Metadata and keys are public. They are cached for minutes only, so that a new key or organisation is soon seen.
PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


def _door(endpoint: Endpoint, protocol: Protocol) -> Door:
    """The door of an endpoint. It turns a Refused into the error answer."""

    def door(ctx: Context) -> Response:
        call = EndpointCall(ctx, endpoint.name, protocol)
        try:
            for step in endpoint.steps:
                answer = step(call)
                if answer is not None:
                    return answer
        except Refused as refused:
            return refusal(ctx, refused)
        raise AssertionError("the last step answers")

    door.__doc__ = endpoint.does
    methods, name = (endpoint.http,), endpoint.name
    return Door(endpoint.path, door, methods, "oauth", "write", gives=endpoint.gives, csrf=False, name=name)


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


def doors(protocol: Protocol) -> list[Door]:
    about = "/.well-known/oauth-authorization-server"
    resource = "/.well-known/oauth-protected-resource/data/{organisation}"
    return [
        *(_door(one, protocol) for one in protocol.endpoints if one.steps),
        Door(JWKS.path, jwks, ("GET",), "api", "none", name="jwks"),
        Door(about, partial(server_metadata, protocol), ("GET",), "api", name="server_metadata"),
        Door(resource, resource_metadata, ("GET",), "api", name="resource_metadata"),
    ]
