"""Metadata of the server (RFC 8414) and of each organisation's data (RFC 9728). Only what works is advertised."""

from typing import Any

from gateway.apps.profiles import BY_CERTIFICATE
from gateway.authorization import openid, registering, rules
from gateway.authorization import scopes as scoped
from gateway.authorization.assertions import ALGORITHMS
from gateway.authorization.parameters import PARAMETERS
from gateway.authorization.protocol import Protocol
from gateway.catalogue import Catalogue
from gateway.ground.keys import dpop
from gateway.house import House
from gateway.organisations.views import OrganisationView
from gateway.settings import LANGUAGES, Settings

DETAILS_TYPES = "/authorization-details-types"


def server(house: House, protocol: Protocol, organisations: list[OrganisationView]) -> dict[str, Any]:
    settings, claims = house.settings, openid.known(house.catalogue)
    scopes = [scope for scope, dataset in openid.SCOPES.items() if dataset in house.catalogue.datasets]
    said: dict[str, Any] = {
        "issuer": settings.public_url,
        "grant_types_supported": [grant.kind.GRANT_TYPE for grant in protocol.grants],
        "authorization_response_iss_parameter_supported": True,
        "grant_management_action_required": settings.grant_management_action_required,
        # Whether an app must push its requests depends on its registration (by default it must), so the server as a
        # whole cannot say true.
        "require_pushed_authorization_requests": False,
        "scopes_supported": [
            *scopes,
            rules.DATA,
            rules.OFFLINE,
            *scoped.names(house.catalogue, organisations),
            *rules.CLIENT_SCOPES,
        ],
        "claims_supported": sorted({*claims, "sid"}),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": list(rules.SIGNS),
        "userinfo_signing_alg_values_supported": list(rules.SIGNS),
        # Front-channel logout and session management need cookies in frames of other sites: not offered, and not named.
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "authorization_details_types_metadata_endpoint": settings.public_url + DETAILS_TYPES,
        "protected_resources": [resource_url(settings, one.id) for one in organisations],
    }
    hidden = () if settings.mtls_public_url else BY_CERTIFICATE
    if settings.mtls_public_url:
        said["tls_client_certificate_bound_access_tokens"] = True
        said["mtls_endpoint_aliases"] = {
            endpoint.member: settings.mtls_public_url + endpoint.address
            for endpoint in protocol.endpoints
            if endpoint.steps and endpoint.member
        }
    for endpoint in protocol.endpoints:
        if endpoint.member:
            said[endpoint.member] = settings.public_url + endpoint.address
        if endpoint.methods:
            said[f"{endpoint.member}_auth_methods_supported"] = [
                name for name in endpoint.methods if name not in hidden
            ]
            said[f"{endpoint.member}_auth_signing_alg_values_supported"] = list(ALGORITHMS)
        said |= endpoint.says
    if registering.is_on(settings):
        said["registration_endpoint"] = settings.public_url + registering.PATH
    if settings.client_id_documents:
        said["client_id_metadata_document_supported"] = True
    for parameter in PARAMETERS:
        said |= parameter.says
    return said


def details_types(settings: Settings, catalogue: Catalogue) -> dict[str, Any]:
    """What stands in `authorization_details` here, with its schema (draft-ietf-oauth-rar-metadata-remediation-00)."""
    told = {
        "description": catalogue.schema["description"],
        "documentation_uri": f"{settings.public_url}/docs/reference",
        "schema": catalogue.schema,
    }
    return {rules.TYPE: told}


def resource(house: House, organisation: OrganisationView) -> dict[str, Any]:
    settings = house.settings
    return {
        "resource": resource_url(settings, organisation.id),
        "authorization_servers": [settings.public_url],
        "scopes_supported": [rules.DATA, *scoped.names_at(house.catalogue, organisation)],
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [rules.TYPE],
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        **({"tls_client_certificate_bound_access_tokens": True} if settings.mtls_public_url else {}),
        "resource_name": organisation.name[settings.default_language],
        **{f"resource_name#{language}": organisation.name[language] for language in LANGUAGES},
    }


def resource_url(settings: Settings, organisation: str) -> str:
    return f"{settings.public_url}/data/{organisation}"
