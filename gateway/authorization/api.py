"""The JSON endpoints of the server: PAR, token, revocation, introspection, grants, metadata, keys."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from starlette.responses import Response

from gateway.apps import origins
from gateway.authorization import metadata, smart
from gateway.authorization.calls import EndpointCall
from gateway.authorization.endpoints import JWKS
from gateway.authorization.protocol import Endpoint, Protocol, refusal
from gateway.authorization.rules import Refused
from gateway.consent.facts import Facts
from gateway.errors import NotFound
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.organisations import views

# Metadata and keys are public. They are cached for minutes only, so that a new key or organisation is soon seen.
PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


def _doors(endpoint: Endpoint, protocol: Protocol, facts: Facts) -> Iterator[Door]:
    """The doors of an endpoint, which take the steps of its table and turn a Refused into the error answer."""

    def door(ctx: Context) -> Response:
        call = EndpointCall(ctx, endpoint.name, protocol, facts)
        try:
            for step in endpoint.steps:
                answer = step(call)
                if answer is not None:
                    return answer
        except Refused as refused:
            return refusal(ctx, refused)
        raise AssertionError("the last step answers")

    door.__doc__ = endpoint.does
    for verb in endpoint.verbs:
        name = endpoint.name if verb == endpoint.verbs[0] else f"{endpoint.name}_{verb.lower()}"
        yield Door(
            endpoint.path,
            door,
            (verb,),
            "oauth",
            "write",
            gives=endpoint.gives,
            also=_readable if endpoint.browsers else None,
            csrf=False,
            name=name,
        )
    if endpoint.browsers:
        asked = partial(preflight, endpoint.verbs)
        yield Door(endpoint.path, asked, ("OPTIONS",), "oauth", csrf=False, name=f"{endpoint.name}_options")


def _readable(ctx: Context) -> Mapping[str, str]:
    """Fields by which a browser lets a page of a registered origin read the answer, whatever it is."""
    origin = ctx.request.headers.get("origin")
    if not origin:
        return {}
    with ctx.house.store.read() as session:
        return origins.allowed(origin) if origins.is_registered(session, origin) else {"Vary": "Origin"}


def preflight(methods: Sequence[str], ctx: Context) -> Response:
    """What a page of a registered browser app may send here (CORS); another origin is told nothing."""
    origin = ctx.request.headers.get("origin", "")
    known = origin and origins.is_registered(ctx.session, origin)
    return Response(status_code=204, headers=origins.preflight(origin, methods) if known else {"Vary": "Origin"})


def jwks(ctx: Context) -> Response:
    """The public keys with which this gateway signs (RFC 7517)."""
    return answers.json(ctx.house.keys.jwks(), headers=PUBLIC)


def server_metadata(protocol: Protocol, ctx: Context) -> Response:
    """What this authorization server can do, and where (RFC 8414)."""
    active = [facts for _, facts in sorted(views.directory(ctx.session).items()) if facts.active]
    return answers.json(metadata.server(ctx.house, protocol, active), headers=PUBLIC)


def openid_metadata(protocol: Protocol, ctx: Context) -> Response:
    """The same, at the address where clients of OpenID Connect look (OpenID Connect Discovery §4)."""
    return server_metadata(protocol, ctx)


def details_types(ctx: Context) -> Response:
    """The types of `authorization_details` that there are, each with the JSON schema of its objects."""
    return answers.json(metadata.details_types(ctx.house.settings, ctx.house.catalogue), headers=PUBLIC)


def resource_metadata(ctx: Context) -> Response:
    """What is to be known of one organisation's data addresses (RFC 9728). 404 for an unknown organisation."""
    organisation = views.view(ctx.session, ctx.path["organisation"])
    if organisation is None:
        raise NotFound("organisation")
    return answers.json(metadata.resource(ctx.house, organisation), headers=PUBLIC)


def smart_configuration(protocol: Protocol, ctx: Context) -> Response:
    """Where a SMART client that knows a FHIR base finds this server (App Launch §7). 404 where there is none."""
    organisation = views.view(ctx.session, ctx.path["organisation"])
    if organisation is None or f"/{ctx.path['base']}" != smart.base(organisation, ctx.house):
        raise NotFound("FHIR base")
    server = metadata.server(ctx.house, protocol, [])
    return answers.json(smart.configuration(ctx.house.catalogue, server, organisation), headers=PUBLIC)


def doors(protocol: Protocol, facts: Facts) -> list[Door]:
    about = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
    resource = "/.well-known/oauth-protected-resource/data/{organisation}"
    launch = "/data/{organisation}/{base:path}" + smart.CONFIGURATION
    return [
        *(door for one in protocol.endpoints if one.steps for door in _doors(one, protocol, facts)),
        Door(JWKS.path, jwks, ("GET",), "api", "none", name="jwks"),
        Door(about[0], partial(server_metadata, protocol), ("GET",), "api", name="server_metadata"),
        Door(about[1], partial(openid_metadata, protocol), ("GET",), "api", name="openid_metadata"),
        Door(metadata.DETAILS_TYPES, details_types, ("GET",), "api", "none", name="details_types"),
        Door(launch, partial(smart_configuration, protocol), ("GET",), "api", name="smart_configuration"),
        Door(resource, resource_metadata, ("GET",), "api", name="resource_metadata"),
    ]
