"""Metadata of the server (RFC 8414) and of each organisation's data (RFC 9728). Only what works is advertised."""

from typing import Any

from gateway.authorization import rules
from gateway.authorization.assertions import ALGORITHMS
from gateway.authorization.parameters import PARAMETERS
from gateway.authorization.protocol import Protocol
from gateway.organisations.views import OrganisationView
from gateway.settings import LANGUAGES, Settings


def server(settings: Settings, protocol: Protocol, organisations: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "issuer": settings.public_url,
        "grant_types_supported": [grant.kind.GRANT_TYPE for grant in protocol.grants],
        "authorization_response_iss_parameter_supported": True,
        # Whether an app must push its requests depends on its registration (by default it must), so the server as a
        # whole cannot say true.
        "grant_management_action_required": settings.grant_management_action_required,
        "require_pushed_authorization_requests": False,
        "protected_resources": [resource_url(settings, name) for name in organisations],
    }
    for endpoint in protocol.endpoints:
        if endpoint.member:
            said[endpoint.member] = settings.public_url + endpoint.path.partition("/{")[0]
        if endpoint.methods:
            said[f"{endpoint.member}_auth_methods_supported"] = list(endpoint.methods)
            said[f"{endpoint.member}_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    for parameter in PARAMETERS:
        said |= parameter.says
    return said


def resource(settings: Settings, organisation: OrganisationView) -> dict[str, Any]:
    return {
        "resource": resource_url(settings, organisation.id),
        "authorization_servers": [settings.public_url],
        "scopes_supported": list(rules.SCOPES),
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [rules.TYPE],
        "resource_name": organisation.name[settings.default_language],
        **{f"resource_name#{language}": organisation.name[language] for language in LANGUAGES},
    }


def resource_url(settings: Settings, organisation: str) -> str:
    return f"{settings.public_url}/data/{organisation}"
