"""The gateway as a client of a token endpoint (RFC 6749 §3.2): how it proves itself there, and what an answer says.

Used for the tokens of people's links, for the gateway's own tokens, and for the answer of an upstream sign-in. Answers
come from outside: every member that is used is checked, everything else is ignored, and an error page is read by
nobody.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from gateway.ground.http.connector import ConnectorError, Headers, OutboundRequest, Target
from gateway.ground.keys import KeyRing, fresh, strict
from gateway.house import House

ANSWER_LIMIT = 64 * 1024
DEFAULT_SECONDS = 300  # how long an access token is taken to be valid if the answer does not say
LONGEST_SECONDS = 400 * 86400
ASSERTION_SECONDS = 60
_DEPTH = 20  # of an answer's JSON
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_ASSERTED = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2

Form = Mapping[str, str]


class GrantRefused(Exception):
    """The organisation answered invalid_grant (RFC 6749 §5.2): the code or refresh token will not work again."""


@dataclass(frozen=True, slots=True)
class TokenClient:
    """The gateway at one token endpoint. `target`: the organisation's limits and networks, at the endpoint's origin."""

    target: Target
    path: str
    client_id: str
    auth: str
    secret: str = field(default="", repr=False)
    whose: str = ""  # the link or the person for whom it is asked; "": for all

    @property
    def address(self) -> str:
        return f"{self.target.base_url}{self.path}"


def at(target: Target, address: str) -> tuple[Target, str]:
    """Where an absolute address is called: the same target at another origin, and the path there."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    if address.startswith(f"{target.base_url}/"):  # the same pool of connections
        return target, address.removeprefix(target.base_url)
    moved = Target(target.organisation, origin, target.networks, target.timeout_seconds, target.max_calls, target.tls)
    return moved, parts.path or "/"


def ask(house: House, client: TokenClient, form: Form, now: datetime, request_id: str) -> tuple[int, str, bytes]:
    """Post a form with the client's proof: (status, media type, body). Raises ConnectorError."""
    fields, members = AUTH[client.auth](house.keys, client, now)
    headers: Headers = [
        *fields,
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"accept", b"application/json"),
        (b"x-request-id", request_id.encode()),
    ]
    body = urlencode({**form, **members}).encode()
    request = OutboundRequest(client.target, "POST", client.path, headers, body, client.whose)
    status, found, answer = house.connector.ask(request, ANSWER_LIMIT)
    return status, dict(found).get(b"content-type", b"").decode("latin-1"), answer


# ---- the client's proof: (header fields, members of the form)


def _basic(_keys: KeyRing, client: TokenClient, _now: datetime) -> tuple[Headers, Form]:
    # RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
    return [(b"authorization", b"Basic " + base64.b64encode(pair.encode()))], {}


def _posted(_keys: KeyRing, client: TokenClient, _now: datetime) -> tuple[Headers, Form]:
    return [], {"client_id": client.client_id, "client_secret": client.secret}


def _signed(keys: KeyRing, client: TokenClient, now: datetime) -> tuple[Headers, Form]:
    """RFC 7523 §3, OpenID Connect Core §9: by the key that /jwks.json publishes."""
    issued = int(now.timestamp())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": client.address,
        "iat": issued,
        "exp": issued + ASSERTION_SECONDS,
        "jti": fresh(16),
    }
    signed = keys.sign(claims, typ="JWT")
    return [], {"client_id": client.client_id, "client_assertion_type": _ASSERTED, "client_assertion": signed}


def _shown(_keys: KeyRing, client: TokenClient, _now: datetime) -> tuple[Headers, Form]:
    """RFC 8705 §2: the certificate of the connection is the proof."""
    return [], {"client_id": client.client_id}


AUTH: Mapping[str, Callable[[KeyRing, TokenClient, datetime], tuple[Headers, Form]]] = {
    "client_secret_basic": _basic,
    "client_secret_post": _posted,
    "private_key_jwt": _signed,
    "tls_client_auth": _shown,
}


# ---- the answer


def granted(status: int, media_type: str, body: bytes) -> Mapping[str, Any]:
    """The members of a good answer (RFC 6749 §5.1). Raises GrantRefused, ConnectorError."""
    if status == 400 and _error(body) == "invalid_grant":
        raise GrantRefused
    if status != 200:
        raise ConnectorError(reason_of(status), f"token endpoint: {status}")
    if media_type.split(";")[0].strip().lower() != "application/json":
        raise ConnectorError("organisation_answer_invalid", "token answer of another type")
    try:
        answer: Any = strict.loads(body, depth=_DEPTH)
    except strict.Malformed:
        raise ConnectorError("organisation_answer_invalid", "token answer is not JSON with one meaning") from None
    if not isinstance(answer, dict) or str(answer.get("token_type", "")).lower() != "bearer":
        raise ConnectorError("organisation_answer_invalid", "token answer without bearer token")
    return answer


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


def token(value: object) -> str:
    """A token of a form that a header field can carry. Raises ConnectorError."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ConnectorError("organisation_answer_invalid", "token answer: token of another form")
    return value


def seconds(answer: Mapping[str, Any]) -> int:
    """How long the access token of an answer is valid."""
    value = answer.get("expires_in", DEFAULT_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return DEFAULT_SECONDS
    try:
        found = int(float(value))
    except (ValueError, OverflowError):
        return DEFAULT_SECONDS
    return min(found, LONGEST_SECONDS) if found > 0 else DEFAULT_SECONDS  # 0 is written for "it does not end", too
