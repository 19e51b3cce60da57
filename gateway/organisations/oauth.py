"""The gateway as an OAuth client of an organisation: RFC 6749 code flow, PKCE S256, client_secret_basic, RFC 7009.

Answers come from outside: every member that is used is checked, everything else is ignored.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from gateway.ground.http.connector import ConnectorError
from gateway.ground.keys.jose import encoded
from gateway.house import House
from gateway.organisations import token_endpoint
from gateway.organisations.links import Credentials
from gateway.organisations.token_endpoint import TokenClient, reason_of
from gateway.organisations.views import OAuthEnds, OrganisationView, target

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Ends:
    """One organisation's OAuth server, with our secret there. Made for the calls of one flow."""

    house: House
    organisation: OrganisationView
    secret: str
    request_id: str
    whose: str = ""  # as in `TokenClient`

    def __repr__(self) -> str:
        return f"Ends({self.organisation.id})"

    @property
    def _oauth(self) -> OAuthEnds:
        if self.organisation.oauth is None:
            raise ConnectorError("organisation_refused", "not an OAuth connection")
        return self.organisation.oauth

    def exchange(self, code: str, verifier: str, redirect_uri: str, now: datetime) -> Credentials:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
        }
        return self._tokens(form, now, None)

    def renew(self, old: Credentials, now: datetime) -> Credentials:
        assert old.refresh_token is not None, "a token that cannot be renewed is used until it is refused"
        return self._tokens({"grant_type": "refresh_token", "refresh_token": old.refresh_token}, now, old)

    def revoke(self, held: Credentials) -> None:
        """Revoke both tokens, where there is an end for it, the longer-lived refresh token first. Raises ConnectorError
        if that did not succeed."""
        if not self._oauth.revoke:
            return
        for token, hint in ((held.refresh_token, "refresh_token"), (held.access_token, "access_token")):
            if token:
                status, _, _ = self._post(self._oauth.revoke, {"token": token, "token_type_hint": hint})
                if status != 200:  # RFC 7009 §2.2: 200 for unknown tokens too
                    raise ConnectorError(reason_of(status), f"revocation: {status}")

    def _tokens(self, form: Mapping[str, str], now: datetime, old: Credentials | None) -> Credentials:
        return _credentials(token_endpoint.granted(*self._post(self._oauth.token, form)), now, old)

    def _post(self, address: str, form: Mapping[str, str]) -> tuple[int, str, bytes]:
        """(status, media type, body)."""
        (where, path), name = token_endpoint.at(target(self.organisation), address), self._oauth.client_id
        client = TokenClient(where, path, name, "client_secret_basic", self.secret, self.whose)
        return token_endpoint.ask(self.house, client, form, self.house.clock(), self.request_id)


def authorize_address(organisation: OrganisationView, redirect_uri: str, state: str, challenge: str) -> str:
    """The address to which the person's browser goes for linking. The state in it can be used only once."""
    if organisation.oauth is None:
        raise ConnectorError("organisation_refused", "not an OAuth connection")
    query = {
        "response_type": "code",
        "client_id": organisation.oauth.client_id,
        "redirect_uri": redirect_uri,
        "scope": organisation.oauth.scope,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{organisation.oauth.authorize}?{urlencode(query, quote_via=quote)}"


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return encoded(hashlib.sha256(verifier.encode()).digest())


def _credentials(answer: Mapping[str, Any], now: datetime, old: Credentials | None) -> Credentials:
    refresh = answer.get("refresh_token")
    return Credentials(
        access_token=token_endpoint.token(answer.get("access_token")),
        refresh_token=token_endpoint.token(refresh) if refresh is not None else (old.refresh_token if old else None),
        expires_at=int(now.timestamp()) + token_endpoint.seconds(answer),
        scope=str(answer.get("scope", old.scope if old else ""))[:400],
        resource=_resource(answer.get("resourceURI")) or (old.resource if old else ""),
    )


def _resource(value: object) -> str:
    """The identifier at the end of ESPI's resourceURI. Only this part is kept: the address itself is never called."""
    last = value.rstrip("/").rsplit("/", 1)[-1] if isinstance(value, str) else ""
    return last if _SEGMENT.fullmatch(last) else ""
