"""Access tokens (RFC 9068): signed, short, and never valid beyond the end of the consent.

A token contains only the ids of the consent and the organisations, and the version of the terms. What was agreed is in
the token response, in the introspection response and in the consent itself, which decides at every call. So the token
fits into a header, however much was agreed.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from gateway.apps.registration import Registration
from gateway.authorization import families
from gateway.authorization.binding import Binding
from gateway.authorization.families import GrantedFamily
from gateway.authorization.narrowing import Carried
from gateway.authorization.rules import Refused
from gateway.authorization.subjects import subject
from gateway.authorization.tables import RefreshToken, TokenFamily
from gateway.catalogue.sign_ins import acr
from gateway.consent import granting, lesser
from gateway.ground.keys import KeyRing, access, jose
from gateway.settings import Settings


def seconds_left(granted: GrantedFamily, longest: int, now: datetime) -> int:
    """Life of a token made now: whole seconds, never beyond the end of the consent."""
    end = granted.consent.until or now
    return min(longest, int((end - now) / timedelta(seconds=1)))


def check_target(asked: str, limit: str) -> None:
    """Refuse a token request for organisations beyond those that the authorization request named (RFC 8707 §2.2)."""
    if limit and set(asked.split()) - set(limit.split()):
        raise Refused("invalid_target")


def audience(granted: GrantedFamily, asked: str, public_url: str) -> list[str]:
    """The addresses of the organisations for which a token is made: those granted, as far as they are asked for.

    `asked`: the `resource` of the token request; "": that of the authorization request. Raises Refused where nothing is
    left.
    """
    agreed = granting.locations(granted.terms, public_url)
    wanted = (asked or granted.family.resource).split()
    found = [one for one in agreed if one in wanted] if wanted else agreed
    if not found:
        raise Refused("invalid_target", "Nothing is granted there.")
    return found


def response(
    keys: KeyRing,
    settings: Settings,
    granted: GrantedFamily,
    carried: Carried,
    client: Registration,
    audience: list[str],
    binding: Binding,
    jti: str,
    now: datetime,
) -> dict[str, Any]:
    """The token response without a refresh token (RFC 6749 §5.1, RFC 9396 §7, Grant Management §6)."""
    public_url = settings.public_url
    lifetime = seconds_left(granted, settings.token_seconds, now)
    claims = {
        "iss": public_url,
        "sub": subject(keys, granted.consent.person_id, client),
        "aud": audience,
        "client_id": granted.family.client_id,
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + lifetime,
        "jti": jti,
        "auth_time": granted.family.auth_time,
        "acr": acr(granted.family.amr.split()),  # RFC 9470 §6.1
        "scope": carried.scope,
        "grant_id": granted.consent.id,
        "grant_version": granted.consent.version,
        "fam": granted.family.id,
        **({"authorization_details": lesser.written(carried.parts, public_url)} if carried.parts is not None else {}),
        **({"cnf": binding.confirmation} if binding.confirmation else {}),
    }
    token = keys.sign(claims, typ="at+jwt")
    if len(token) > access.LIMIT:  # the data plane would refuse it at every call
        if carried.parts is not None:
            raise Refused("invalid_authorization_details", "The part is too long to stand in a token: name less.")
        raise ValueError(f"an access token of {len(token)} characters")
    return {
        "access_token": token,
        "token_type": binding.token_type,
        "expires_in": lifetime,
        "scope": claims["scope"],
        "authorization_details": details_at(carried.terms, audience, public_url),
        "grant_id": claims["grant_id"],
        "cdr_arrangement_id": claims["grant_id"],  # the same, as Australian apps know it
    }


def details_at(terms: Mapping[str, Any], audience: Collection[str], public_url: str) -> list[dict[str, Any]]:
    """What is granted, as it is now, at these places (RFC 9396 §6 and §9.2)."""
    every = granting.details(terms, public_url)
    return [detail for detail in every if not set(detail["locations"]).isdisjoint(audience)]


def carried(granted: GrantedFamily, claims: Mapping[str, Any], public_url: str) -> GrantedFamily:
    """What an access token with these claims carries of it now."""
    said = claims.get("authorization_details")
    if said is None:
        return granted
    return replace(granted, terms=lesser.lessened(granted.terms, lesser.read(said, public_url)))


def read(token: str, keys: KeyRing, public_url: str, now: datetime) -> Mapping[str, Any] | None:
    """The claims of an access token issued by this gateway, even if it has expired. None: any other token."""
    try:
        return access.read(token, keys, public_url, now.timestamp())
    except jose.Malformed:
        return None


def family_of(session: Session, claims: Mapping[str, Any]) -> TokenFamily | None:
    return session.get(TokenFamily, claims.get("fam", ""))


def introspect_refresh(
    session: Session,
    keys: KeyRing,
    settings: Settings,
    family: TokenFamily,
    client: Registration,
    token: RefreshToken,
    now: datetime,
) -> dict[str, Any] | None:
    """RFC 7662 §2.2 for a refresh token of `family`. None: it is not valid. What is granted is told as it is now. There
    is no token_type: nothing is called with it."""
    granted = families.standing(session, family, now)
    if not isinstance(granted, GrantedFamily) or token.spent_at is not None or token.expires_at <= now:
        return None
    audience = granting.locations(granted.terms, settings.public_url)
    return {
        "active": True,
        "iss": settings.public_url,
        "sub": subject(keys, granted.consent.person_id, client),
        "client_id": granted.family.client_id,
        "iat": int(token.issued_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "auth_time": granted.family.auth_time,
        "acr": acr(granted.family.amr.split()),
        "scope": granted.family.scope,
        "grant_id": granted.consent.id,
        "authorization_details": details_at(granted.terms, audience, settings.public_url),
    }
