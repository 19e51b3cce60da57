"""The gateway as an OAuth client of an organisation: RFC 6749 code flow, PKCE S256, client_secret_basic, RFC 7009.

Answers come from outside: every member that is used is checked, everything else is ignored.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from gateway.ground.http.connector import ConnectorError, Headers
from gateway.ground.keys import strict
from gateway.ground.keys.jose import encoded
from gateway.house import House
from gateway.organisations.links import Credentials
from gateway.organisations.views import OAuthEnds, OrganisationView, target

ANSWER_LIMIT = 64 * 1024
DEFAULT_SECONDS = 300  # how long an access token is taken to be valid if the answer does not say
LONGEST_SECONDS = 400 * 86400
_DEPTH = 20  # of an answer's JSON

_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


class GrantRefused(Exception):
    """The organisation answered invalid_grant (RFC 6749 §5.2): the code or refresh token will not work again."""


@dataclass(frozen=True, slots=True)
class Ends:
    """One organisation's OAuth server, with our secret there. Made for the calls of one flow."""

    house: House
    organisation: OrganisationView
    secret: str
    request_id: str

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
        if old.refresh_token is None:
            raise GrantRefused
        return self._tokens({"grant_type": "refresh_token", "refresh_token": old.refresh_token}, now, old)

    def revoke(self, held: Credentials) -> None:
        """Revoke both tokens, the longer-lived refresh token first. Raises ConnectorError if that did not succeed."""
        for token, hint in ((held.refresh_token, "refresh_token"), (held.access_token, "access_token")):
            if token:
                status, _, _ = self._post(self._oauth.revoke, {"token": token, "token_type_hint": hint})
                if status != 200:  # RFC 7009 §2.2: 200 for unknown tokens too
                    raise ConnectorError(reason_of(status), f"revocation: {status}")

    def _tokens(self, form: Mapping[str, str], now: datetime, old: Credentials | None) -> Credentials:
        status, media_type, body = self._post(self._oauth.token, form)
        if status == 400 and _error(body) == "invalid_grant":
            raise GrantRefused
        if status != 200:
            raise ConnectorError(reason_of(status), f"token endpoint: {status}")
        if media_type.split(";")[0].strip().lower() != "application/json":  # RFC 6749 §5.1
            raise ConnectorError("organisation_answer_invalid", "token answer of another type")
        return _credentials(body, now, old)

    def _post(self, path: str, form: Mapping[str, str]) -> tuple[int, str, bytes]:
        """(status, media type, body)."""
        # RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
        pair = f"{quote_plus(self._oauth.client_id)}:{quote_plus(self.secret)}"
        headers: Headers = [
            (b"authorization", b"Basic " + base64.b64encode(pair.encode())),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"accept", b"application/json"),
            (b"x-request-id", self.request_id.encode()),
        ]
        body = urlencode(form).encode()
        status, found, answer = self.house.connector.ask(
            target(self.organisation), "POST", path, headers, body, ANSWER_LIMIT
        )
        return status, dict(found).get(b"content-type", b"").decode("latin-1"), answer


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
    return f"{organisation.base_url}{organisation.oauth.authorize}?{urlencode(query, quote_via=quote)}"


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return encoded(hashlib.sha256(verifier.encode()).digest())


def reason_of(status: int) -> str:
    """The reason in errors.REASONS for an error status of an organisation."""
    if status == 429:
        return "busy"
    if status == 504:
        return "organisation_slow"
    if status >= 500:
        return "organisation_unavailable"
    return "organisation_refused" if 400 <= status < 500 else "organisation_answer_invalid"


def _error(body: bytes) -> str:
    try:
        answer = strict.loads(body, depth=_DEPTH)
    except strict.Malformed:
        return ""
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def _credentials(body: bytes, now: datetime, old: Credentials | None) -> Credentials:
    try:
        answer: Any = strict.loads(body, depth=_DEPTH)
    except strict.Malformed:
        raise ConnectorError("organisation_answer_invalid", "token answer is not JSON with one meaning") from None
    if not isinstance(answer, dict) or str(answer.get("token_type", "")).lower() != "bearer":
        raise ConnectorError("organisation_answer_invalid", "token answer without bearer token")
    refresh = answer.get("refresh_token")
    return Credentials(
        access_token=_token(answer.get("access_token")),
        refresh_token=_token(refresh) if refresh is not None else (old.refresh_token if old else None),
        expires_at=int(now.timestamp()) + _seconds(answer.get("expires_in", DEFAULT_SECONDS)),
        scope=str(answer.get("scope", old.scope if old else ""))[:400],
        resource=_resource(answer.get("resourceURI")) or (old.resource if old else ""),
    )


def _token(value: object) -> str:
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ConnectorError("organisation_answer_invalid", "token answer: token of another form")
    return value


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return DEFAULT_SECONDS
    try:
        return max(0, min(int(float(value)), LONGEST_SECONDS))
    except (ValueError, OverflowError):
        return DEFAULT_SECONDS


def _resource(value: object) -> str:
    """The identifier at the end of ESPI's resourceURI. Only this part is kept: the address itself is never called."""
    last = value.rstrip("/").rsplit("/", 1)[-1] if isinstance(value, str) else ""
    return last if _SEGMENT.fullmatch(last) else ""
