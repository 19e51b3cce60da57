"""What an app has registered about itself as an OAuth client, by the names of RFC 7591, read from its row.

The row is read at every call, so that what an operator or the app changes holds from the next one on. What follows from
the same row is remembered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.apps.profiles import DEFAULT, PROFILES, Profile
from gateway.apps.tables import App
from gateway.ground.store import Row

GRANTS = ("authorization_code", "refresh_token")  # of an app that does not say
ID_LENGTH = 255  # characters of a client_id at most
REMEMBERED = 2048  # registrations at most, of some kilobytes
# All that a registration follows from.
_COLUMNS = ("client_id", "status", "auth_method", "secret_sha256")
_ROW = f"SELECT {', '.join(_COLUMNS)}, metadata, jwks_read FROM app WHERE client_id = ?"
_remembered: dict[tuple[Any, ...], "Registration"] = {}


@dataclass(frozen=True, slots=True)
class Registration:
    client_id: str
    status: str  # active | suspended | deleted
    auth_method: str
    secret_sha256: str | None
    profile: Profile
    native: bool
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    pushes: bool  # its authorization requests must come by PAR (RFC 9126 §6)
    dpop_bound: bool  # its access tokens are bound to a key by DPoP (RFC 9449 §5.2)
    certificate_bound: bool  # … or to its TLS certificate (RFC 8705 §3.4)
    signed_requests: bool  # its authorization requests are signed objects (RFC 9101 §10.5)
    assertion_alg: str  # its client assertions are signed so; "": by any of its profile
    request_alg: str  # … by this algorithm; "": any of its profile
    response_alg: str  # authorization responses are JWTs, signed so (JARM §3); "": only where it asks for it
    introspection_alg: str  # introspection answers are JWTs, signed so (RFC 9701 §6); "": only where it asks for it
    id_token_alg: str  # ID tokens are signed so
    userinfo_alg: str  # the answer of /userinfo is a JWT, signed so; "": plain JSON
    post_logout_redirect_uris: tuple[str, ...]  # where to go on after signing out here (RP-Initiated Logout §3.1)
    backchannel_logout_uri: str  # where it is told of it (Back-Channel Logout §2.2); "": it is not
    backchannel_alg: str  # its backchannel requests are signed so (CIBA Core §4); "": they may be plain
    ping_uri: str  # where it is told that the answer to one is there (CIBA Core §10.2); "": it polls
    deferred_uri: str  # … to a deferred token request; "": it polls
    asks_anybody: bool  # its backchannel requests may be for people who have agreed to nothing of it yet
    scopes: tuple[str, ...]  # that it may ask for, besides those that mean nothing
    jwks: Mapping[str, Any]  # that hold now, wherever they stand
    jwks_uri: str  # where they stand; "": in the registration
    reader: str  # under which it knows people: apps with the same have the same `sub` for a person

    @property
    def algorithms(self) -> frozenset[str]:
        """Of what may have to be signed for it."""
        named = (self.id_token_alg, self.userinfo_alg, self.response_alg, self.introspection_alg, self.profile.signed)
        return frozenset(filter(None, named))

    @property
    def active(self) -> bool:
        return self.status == "active"

    @property
    def public(self) -> bool:
        return self.auth_method == "none"


def scopes_of(said: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes of a registration; of one that signs people in and does not say, those of OpenID Connect."""
    if said.get("scope"):
        return tuple(said["scope"].split())
    return ("openid", "profile", "email") if "sign-in" in said["purposes"] else ()


def found(row: Row, client_id: str) -> Registration | None:
    """The app of this client_id as its row is now; None: there is none."""
    kept = row(_ROW, (client_id,))
    if kept is None:
        return None
    known = _remembered.get(kept)
    if known is None:
        *said, declared, jwks = kept
        read = {"metadata_": json.loads(declared), "jwks_read": json.loads(jwks or "null")}
        known = registration(App(**dict(zip(_COLUMNS, said, strict=True)), **read))
        if len(_remembered) >= REMEMBERED:
            _remembered.clear()
        _remembered[kept] = known
    return known


def registration(row: App) -> Registration:
    said: Mapping[str, Any] = row.metadata_
    profile = PROFILES[said.get("profile", DEFAULT)]
    pushes = said.get("require_pushed_authorization_requests")
    return Registration(
        client_id=row.client_id,
        status=row.status,
        auth_method=row.auth_method,
        secret_sha256=row.secret_sha256,
        profile=profile,
        native=said["application_type"] == "native",
        redirect_uris=tuple(said["redirect_uris"]),
        grant_types=tuple(said.get("grant_types") or GRANTS),
        pushes=profile.pushes if pushes is None else pushes,
        dpop_bound=said.get("dpop_bound_access_tokens", False),
        certificate_bound=said.get("tls_client_certificate_bound_access_tokens", False),
        signed_requests=said.get("require_signed_request_object", False),
        request_alg=said.get("request_object_signing_alg") or "",
        response_alg=said.get("authorization_signed_response_alg") or "",
        assertion_alg=said.get("token_endpoint_auth_signing_alg") or "",
        introspection_alg=said.get("introspection_signed_response_alg") or "",
        id_token_alg=said.get("id_token_signed_response_alg") or profile.signed,
        userinfo_alg=said.get("userinfo_signed_response_alg") or "",
        post_logout_redirect_uris=tuple(said.get("post_logout_redirect_uris") or ()),
        backchannel_logout_uri=said.get("backchannel_logout_uri") or "",
        backchannel_alg=said.get("backchannel_authentication_request_signing_alg") or "",
        ping_uri=said["backchannel_client_notification_endpoint"] if _pinged(said) else "",
        deferred_uri=said.get("deferred_client_notification_endpoint") or "",
        asks_anybody=said.get("asks_anybody", False),
        scopes=scopes_of(said),
        jwks=(row.jwks_read if said.get("jwks_uri") else said["jwks"]) or {"keys": []},
        jwks_uri=said.get("jwks_uri") or "",
        reader=reader_of(row),
    )


def _pinged(said: Mapping[str, Any]) -> bool:
    return bool(said.get("backchannel_token_delivery_mode") == "ping")


def reader_of(row: App) -> str:
    """Who is told one `sub` of a person: the app alone, or all apps of its sector (OpenID Connect Core §8.1)."""
    uri = row.metadata_.get("sector_identifier_uri")
    return f"sector:{urlsplit(uri).hostname}" if uri else row.client_id
