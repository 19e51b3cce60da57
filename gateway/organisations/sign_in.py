"""Matching by an upstream sign-in: OpenID Connect Core 1.0, code flow with PKCE and nonce, at the declared issuer.

Of what the issuer says one claim is kept: the organisation's name for the person who signed in. The ID token is for
the gateway (`aud`), about this attempt (`nonce`), new, and signed by a key that the issuer publishes now; access token
and everything else in the answer are thrown away unread.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from gateway.ground.http.connector import ConnectorError, OutboundRequest, Target
from gateway.ground.keys import fresh, same, strict
from gateway.ground.keys.jose import Malformed, TokenKind, numeric_date, read, verified
from gateway.house import House
from gateway.organisations import token_endpoint
from gateway.organisations.connections import CUSTOMER, SignInEnds
from gateway.organisations.token_endpoint import TokenClient
from gateway.organisations.views import OrganisationView, target

KIND = TokenKind(types=("jwt", "id_token+jwt"), algorithms=("ES256", "PS256", "EdDSA", "RS256"), untyped=True)
TOKEN_LIMIT = 16 * 1024  # characters
KEYS_LIMIT = 256 * 1024
KEYS_MOST = 100
LEEWAY_SECONDS = 60  # between two clocks
OLDEST_SECONDS = 600  # of an ID token: it is made for the code that has just come
RSA_CHARACTERS = 342  # of the modulus: 2048 bits
_DEPTH = 20


class NotWhoItSays(Exception):
    """What came back does not say who signed in, for this attempt. The message names the broken rule, never a value."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer of one organisation's sign-ins, with our secret there. For the calls of one flow."""

    house: House
    organisation: OrganisationView
    secret: str = field(repr=False)
    whose: str = ""  # as in `TokenClient`

    @property
    def ends(self) -> SignInEnds:
        found = self.organisation.connection.sign_in
        if found is None:
            raise ConnectorError("organisation_refused", "not matched by a sign-in")
        return found

    def customer(self, code: str, verifier: str, nonce: str, redirect_uri: str, now: datetime) -> str:
        """The organisation's name for who has signed in. Raises NotWhoItSays, GrantRefused, ConnectorError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        where, path = token_endpoint.at(_plain(self.organisation), self.ends.token)
        client = TokenClient(where, path, self.ends.client_id, self.ends.auth, self.secret, self.whose)
        answer = token_endpoint.granted(*token_endpoint.ask(self.house, client, form, now, fresh(16)))
        claims = self._claims(answer.get("id_token"))
        check(claims, self.ends, nonce, now)
        return customer_in(claims, self.ends.claim)

    def _claims(self, token: object) -> Mapping[str, Any]:
        if not isinstance(token, str):
            raise NotWhoItSays("no ID token")
        try:
            signed = read(token, TOKEN_LIMIT, KIND)
        except Malformed:
            raise NotWhoItSays("no ID token of a form that is read") from None
        if not verified(signed, self._keys()):
            raise NotWhoItSays("signature")
        return signed.unverified

    def _keys(self) -> list[object]:
        """As they are published now: people link seldom, and a key that was taken back is not trusted any more."""
        where, path = token_endpoint.at(_plain(self.organisation), self.ends.jwks)
        headers = [(b"accept", b"application/json"), (b"x-request-id", fresh(16).encode())]
        request = OutboundRequest(where, "GET", path, headers, whose=self.whose)
        status, _, body = self.house.connector.ask(request, KEYS_LIMIT)
        if status != 200:
            raise ConnectorError(token_endpoint.reason_of(status), f"keys of the issuer: {status}")
        try:
            found = strict.loads(body, depth=_DEPTH)
        except Malformed:
            found = None
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list) or len(keys) > KEYS_MOST:
            raise ConnectorError("organisation_answer_invalid", "keys of the issuer are not a key set")
        return [key for key in keys if _is_long_enough(key)]


def _plain(organisation: OrganisationView) -> Target:
    """The issuer is another party than the organisation: it is not shown the certificate."""
    return replace(target(organisation), tls=None, headers=())


def _is_long_enough(key: object) -> bool:
    if not isinstance(key, dict) or key.get("kty") != "RSA":
        return True
    return isinstance(key.get("n"), str) and len(key["n"]) >= RSA_CHARACTERS


def address(ends: SignInEnds, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
    """Where the person's browser goes to sign in."""
    query = {
        "response_type": "code",
        "client_id": ends.client_id,
        "redirect_uri": redirect_uri,
        "scope": ends.scope,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{ends.authorize}?{urlencode(query, quote_via=quote)}"


def check(claims: Mapping[str, Any], ends: SignInEnds, nonce: str, now: datetime) -> None:
    """OpenID Connect Core §3.1.3.7. Raises NotWhoItSays."""
    if claims.get("iss") != ends.issuer:
        raise NotWhoItSays("iss")
    meant = claims.get("aud")
    for_us = [meant] if isinstance(meant, str) else meant
    # A token for others too could have been got by one of them: then it must say that it was made for us.
    if not isinstance(for_us, list) or ends.client_id not in for_us:
        raise NotWhoItSays("aud")
    if claims.get("azp", ends.client_id if len(for_us) == 1 else None) != ends.client_id:
        raise NotWhoItSays("azp")
    found = claims.get("nonce")
    if not isinstance(found, str) or not same(found, nonce):
        raise NotWhoItSays("nonce")
    try:
        issued, until = numeric_date(claims, "iat"), numeric_date(claims, "exp")
        begins = numeric_date(claims, "nbf") if "nbf" in claims else issued
    except Malformed as wrong:
        raise NotWhoItSays(str(wrong)) from None
    epoch = now.timestamp()
    if until <= epoch:
        raise NotWhoItSays("exp")
    if max(issued, begins) > epoch + LEEWAY_SECONDS or issued < epoch - OLDEST_SECONDS:
        raise NotWhoItSays("iat")


def customer_in(claims: Mapping[str, Any], name: str) -> str:
    """The claim as a customer's name. Raises NotWhoItSays."""
    found = claims.get(name)
    text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(text, str) or not CUSTOMER.fullmatch(text):
        raise NotWhoItSays("claim")
    return text
