"""Client profiles: which rules an app's requests keep. Chosen at registration; the standards contradict one another, so
no one set of rules fits every client.

    fapi2      FAPI 2.0 Security Profile: for those who read bank, energy or health data as a regulated party
    oauth21    OAuth 2.1 (draft): everybody else who asks for data; public apps too
    oidc       OpenID Connect Core's basic client: a website that signs people in and keeps a secret
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.errors import Fault
from gateway.ground.keys.keysets import STRONG

BY_SECRET = ("client_secret_basic", "client_secret_post")
BY_CERTIFICATE = ("tls_client_auth", "self_signed_tls_client_auth")
BY_KEYS = ("private_key_jwt", *BY_CERTIFICATE)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # RFC 8693 §2.1
PROVEN = ("client_credentials", EXCHANGE)  # grants of clients that can prove who they are
AUTH_METHODS = ("none", *BY_SECRET, *BY_KEYS)
Audience = Literal["issuer", "endpoint", "listed"]


@dataclass(frozen=True, slots=True)
class Profile:
    auth_methods: tuple[str, ...]
    pushes: bool  # authorization requests come by PAR unless the registration says otherwise
    must_push: bool  # … and it may not say otherwise (FAPI 2.0 §5.3.2.2)
    challenged: bool  # PKCE in every authorization request
    bound: bool  # access tokens are bound to a key or certificate of the app
    # `aud` of a client assertion. issuer: it alone, as one string (FAPI 2.0 §5.3.2.1). endpoint: also the address of
    # the token endpoint or of the endpoint called (RFC 7523 §3, RFC 9126 §2). listed: these, also in a list (RFC 7519
    # §4.1.3).
    audience: Audience
    signs: tuple[str, ...]  # algorithms of what the app signs
    signed: str  # the algorithm of what is signed for it, unless it registers another


PROFILES: Mapping[str, Profile] = {
    "fapi2": Profile(
        auth_methods=BY_KEYS,
        pushes=True,
        must_push=True,
        challenged=True,
        bound=True,
        audience="issuer",
        signs=STRONG,
        signed="ES256",
    ),
    "oauth21": Profile(
        auth_methods=AUTH_METHODS,
        pushes=True,
        must_push=False,
        challenged=True,
        bound=False,
        audience="endpoint",
        signs=STRONG,
        signed="ES256",
    ),
    "oidc": Profile(
        auth_methods=AUTH_METHODS[1:],
        pushes=False,
        must_push=False,
        challenged=False,
        bound=False,
        audience="listed",
        signs=(*STRONG, "RS256"),
        signed="RS256",  # OpenID Connect Core §2, Registration §2: what a client that says nothing expects
    ),
}
DEFAULT = "oauth21"
SIGNED_BY = (  # … of what the app signs
    "request_object_signing_alg",
    "token_endpoint_auth_signing_alg",
    "backchannel_authentication_request_signing_alg",
)
SIGNED_FOR = (  # keys of a registration: the algorithm of what is signed for the app
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "authorization_signed_response_alg",
    "introspection_signed_response_alg",
)


def faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """What of a registration does not fit its profile."""
    name, method = document.get("profile", DEFAULT), document["token_endpoint_auth_method"]
    profile = PROFILES[name]
    if method not in profile.auth_methods:
        fitting = ", ".join(profile.auth_methods)
        yield Fault("token_endpoint_auth_method", f"{method} does not fit the profile {name}", f"use one of {fitting}")
    if profile.must_push and document.get("require_pushed_authorization_requests") is False:
        yield Fault("require_pushed_authorization_requests", f"must be true in the profile {name}", "leave it out")
    bound = ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
    if profile.bound and not any(document.get(key) for key in bound):
        yield Fault(bound[0], f"the profile {name} takes no tokens that anybody can use", f"set it, or {bound[1]}")
    if all(document.get(key) for key in bound):
        yield Fault(bound[1], "a token is bound in one way", f"leave out this or {bound[0]}")
    for key in (*SIGNED_BY, *SIGNED_FOR):
        if document.get(key) and document[key] not in profile.signs:
            yield Fault(key, f"is not taken in the profile {name}", f"use one of {', '.join(profile.signs)}")
    for grant in PROVEN:
        if method == "none" and grant in document.get("grant_types", ()):
            yield Fault("grant_types", f"{grant} needs an app that can prove who it is", "leave it out")
