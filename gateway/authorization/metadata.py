"""What the server says about itself (RFC 8414) and about each organisation's data (RFC 9728). Advertised = works."""

from typing import Any

from gateway.authorization import rules
from gateway.organisations.views import OrganisationView
from gateway.settings import LANGUAGES, Settings

_METHODS = ["client_secret_basic", "private_key_jwt"]


def server(settings: Settings, organisations: list[str]) -> dict[str, Any]:
    at = settings.public_url
    return {
        "issuer": at,
        "authorization_endpoint": f"{at}/authorize",
        "token_endpoint": f"{at}/token",
        "pushed_authorization_request_endpoint": f"{at}/par",
        "revocation_endpoint": f"{at}/revoke",
        "introspection_endpoint": f"{at}/introspect",
        "jwks_uri": f"{at}/jwks.json",
        "scopes_supported": list(rules.SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", *_METHODS],
        "token_endpoint_auth_signing_alg_values_supported": list(rules.SIGNING),
        "revocation_endpoint_auth_methods_supported": ["none", *_METHODS],
        "revocation_endpoint_auth_signing_alg_values_supported": list(rules.SIGNING),
        "introspection_endpoint_auth_methods_supported": _METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": list(rules.SIGNING),
        "code_challenge_methods_supported": ["S256"],
        "authorization_details_types_supported": [rules.TYPE],
        "authorization_response_iss_parameter_supported": True,
        # the rule is per app, and true unless its registration says otherwise
        "require_pushed_authorization_requests": False,
        # absent would mean true (OpenID Connect Discovery §3)
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": sorted(rules.PROMPTS),
        "ui_locales_supported": list(LANGUAGES),
        "protected_resources": [resource_url(settings, name) for name in organisations],
    }


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
