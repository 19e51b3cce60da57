"""Which plan of the suite is played with which apps. Names of plans and variants are the suite's (release 5)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCOPE = "city-energy:usage"  # of the example organisation: an app that knows no authorization_details asks by it
CIBA = "urn:openid:params:grant-type:ciba"
DATA = {
    "organisation": "city-energy",
    "dataset": "energy.electricity.usage",
    "fields": ["interval.start", "interval.value"],
    "necessity": "required",
    "reason": {"fr": "Pour l’essai.", "en": "For the test."},
}
BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}
BY_CERTIFICATE = {"token_endpoint_auth_method": "self_signed_tls_client_auth"}
BY_SECRET = {"profile": "oidc", "token_endpoint_auth_method": "client_secret_basic"}
POSTED = {"profile": "oidc", "token_endpoint_auth_method": "client_secret_post"}
FAPI = {"profile": "fapi2", "purposes": ["sign-in", "energy-advice"], "data": [DATA], "scope": f"openid {SCOPE}"}
SIGNS_IN = {"purposes": ["sign-in"], "data": []}
DPOP = {"dpop_bound_access_tokens": True}
BOUND = {"tls_client_certificate_bound_access_tokens": True}
SIGNED = {
    "require_signed_request_object": True,
    "authorization_signed_response_alg": "ES256",
    "introspection_signed_response_alg": "ES256",
}


@dataclass(frozen=True)
class Plan:
    """`apps`: what each registers, by its name in the suite's configuration. `resource`: the path that is read with an
    access token; "": none is."""

    expression: str  # as the suite's own runner takes it; in its pages, the plan and its variants
    apps: Mapping[str, Mapping[str, Any]]
    scope: str = ""
    resource: str = ""
    at_mtls: bool = False  # the resource is read with a certificate
    signals: bool = False  # the suite plays a receiver of Shared Signals
    more: Mapping[str, Any] = field(default_factory=dict)  # of the suite's configuration


def _two(*parts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    app = {name: value for part in parts for name, value in part.items()}
    return {"client": app, "client2": app}


def _fapi(kind: str, auth: str, bound: str, more: str) -> str:
    return (
        f"fapi2-{kind}-final-test-plan[client_auth_type={auth}][sender_constrain={bound}]"
        f"[authorization_request_type=simple]{more}"
    )


READING = "/data/city-energy/espi/1_1/resource/Batch/Subscription/mine"
PLAIN, SIGN_IN = "[fapi_profile=plain_fapi][openid=plain_oauth]", "[fapi_profile=plain_fapi][openid=openid_connect]"
_MESSAGES = "[fapi_request_method=signed_non_repudiation][fapi_response_mode=jarm]"
_STATIC = "[client_registration=static_client]"
_CIBA = "fapi-ciba-id1-test-plan[client_auth_type=private_key_jwt][fapi_ciba_profile=plain_fapi]"
_ASKS = (
    {**FAPI, "grant_types": [CIBA, "refresh_token"]},
    BY_KEY,
    BOUND,
    {"backchannel_authentication_request_signing_alg": "ES256", "asks_anybody": True},
)
_POLL = {"backchannel_token_delivery_mode": "poll"}
_PING = {
    "backchannel_token_delivery_mode": "ping",
    "backchannel_client_notification_endpoint": "ciba-notification-endpoint",
}
_RECEIVES = {
    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    "id_token_signed_response_alg": "RS256",  # of events, too: the profile for CAEP wants this one
}
_HINT = {"hint_type": "login_hint", "hint_value": "alice@example.org"}


def _ciba(mode: str, told: Mapping[str, Any]) -> Plan:
    """Data too: a request that only signs in needs a binding_message."""
    expression, scope = f"{_CIBA}[ciba_mode={mode}]{_STATIC}", f"openid {SCOPE}"
    more = {"client": _HINT, "client2": _HINT}
    return Plan(expression, _two(*_ASKS, told), scope, READING, at_mtls=True, more=more)


def _signals(delivery: str) -> Plan:
    return Plan(
        "openid-ssf-transmitter-test-plan[client_auth_type=client_secret_basic][server_metadata=discovery]"
        f"[ssf_server_metadata=discovery][ssf_auth_mode=dynamic][ssf_delivery_mode={delivery}][ssf_profile=default]"
        + _STATIC,
        {"client": {**SIGNS_IN, **BY_SECRET, **_RECEIVES}},
        "ssf.manage ssf.read",
        signals=True,
    )


PLANS: Mapping[str, Plan] = {
    "keys-data": Plan(
        _fapi("security-profile", "private_key_jwt", "dpop", PLAIN), _two(FAPI, BY_KEY, DPOP), SCOPE, READING
    ),
    "keys-sign-in": Plan(
        _fapi("security-profile", "private_key_jwt", "dpop", SIGN_IN), _two(FAPI, BY_KEY, DPOP), "openid", "/userinfo"
    ),
    "certificates-data": Plan(
        _fapi("security-profile", "mtls", "mtls", PLAIN),
        _two(FAPI, BY_CERTIFICATE, BOUND),
        SCOPE,
        READING,
        at_mtls=True,
    ),
    "certificates-sign-in": Plan(
        _fapi("security-profile", "mtls", "mtls", SIGN_IN),
        _two(FAPI, BY_CERTIFICATE, BOUND),
        "openid",
        "/userinfo",
        at_mtls=True,
    ),
    "messages": Plan(
        _fapi("message-signing", "private_key_jwt", "dpop", SIGN_IN + _MESSAGES),
        _two(FAPI, BY_KEY, DPOP, SIGNED),
        "openid",
        "/userinfo",
    ),
    "machine": Plan(
        _fapi(
            "security-profile",
            "private_key_jwt",
            "dpop",
            "[fapi_profile=fapi_client_credentials_grant][openid=plain_oauth]",
        ),
        _two(FAPI, BY_KEY, DPOP, {"grant_types": ["authorization_code", "refresh_token", "client_credentials"]}),
        "grant_management_query",
        "/grants/GRANT",
    ),
    "ciba": _ciba("poll", _POLL),
    "ciba-ping": _ciba("ping", _PING),
    "config": Plan("oidcc-config-certification-test-plan", {}),
    "basic": Plan(
        f"oidcc-basic-certification-test-plan[server_metadata=discovery]{_STATIC}",
        {
            "client": {**SIGNS_IN, **BY_SECRET},
            "client_secret_post": {**SIGNS_IN, **POSTED},
            "client2": {**SIGNS_IN, **BY_SECRET},
        },
    ),
    "dynamic": Plan("oidcc-dynamic-certification-test-plan[response_type=code]", {}),
    "logout": Plan(
        f"oidcc-rp-initiated-logout-certification-test-plan[response_type=code]{_STATIC}",
        _two(SIGNS_IN, BY_SECRET, {"post_logout_redirect_uris": ["post_logout_redirect"]}),
    ),
    "backchannel-logout": Plan(
        f"oidcc-backchannel-rp-initiated-logout-certification-test-plan[response_type=code]{_STATIC}",
        _two(
            SIGNS_IN,
            BY_SECRET,
            {"post_logout_redirect_uris": ["post_logout_redirect"], "backchannel_logout_uri": "backchannel_logout"},
        ),
    ),
    "signals-poll": _signals("poll"),
    "signals-push": _signals("push"),
}
