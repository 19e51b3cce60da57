"""City Energy's own authorization server: code flow with PKCE for one known client, the gateway.

    GET  /oauth/authorize   check the request, show sign-in      POST /oauth/sign-in   customer number and password
    POST /oauth/approve     yes or no, back to the client        POST /oauth/token     code or refresh token
    POST /oauth/revoke      RFC 7009

Tokens are kept as hashes. A code is spent by one statement; used twice, its grant ends (RFC 6749 §4.1.2). A refresh
token may be used again until one of its successors has been: an answer lost on the way breaks no link, while a stolen
old token ends the grant.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

from starlette.requests import Request

from examples.data.people import BY_ENERGY
from examples.organisations.common import Refused, database

CLIENT = "aval"
SCOPE = "FB=4_5_15;IntervalDuration=3600;BlockDuration=monthly;HistoryLength=13"
ACCESS_SECONDS = 300
CODE_SECONDS = 60
ASK_SECONDS = 600
REFRESH_SECONDS = 400 * 86400
TRIES = 5

_TABLES = """
CREATE TABLE IF NOT EXISTS consent (subscription TEXT PRIMARY KEY, customer TEXT NOT NULL, scope TEXT NOT NULL,
    since REAL NOT NULL, ended_at REAL);
CREATE TABLE IF NOT EXISTS token (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, subscription TEXT NOT NULL,
    parent TEXT, challenge TEXT, redirect_uri TEXT, expires_at REAL NOT NULL, used_at REAL);
"""


class OAuthError(Exception):
    """An error of the token and revocation endpoints, as RFC 6749 §5.2 words it."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(slots=True)
class Ask:
    """One authorization request under way in one browser."""

    redirect_uri: str
    state: str
    challenge: str
    browser: str  # SHA-256 of the cookie set with the first page
    expires_at: float
    customer: str = ""
    tries: int = 0

    def back(self, **answer: str) -> str:
        """The client's address with an answer; to be sent once."""
        state = {"state": self.state} if self.state else {}
        return f"{self.redirect_uri}?{urlencode(answer | state)}"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Asks:
    """Authorization requests waiting for their person. In memory: a restart asks her to begin again."""

    def __init__(self, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri
        self._asks: dict[str, Ask] = {}

    def open(self, query: Mapping[str, str], browser: str, now: float) -> tuple[str, Ask] | str:
        """(id, ask), or the address to send an error to. Raises Refused when the client itself is in doubt."""
        if query.get("client_id") != CLIENT or query.get("redirect_uri") != self.redirect_uri:
            raise Refused(400, "unknown_client")  # RFC 6749 §4.1.2.1: never redirect then
        ask = Ask(
            self.redirect_uri,
            query.get("state", ""),
            query.get("code_challenge", ""),
            sha256(browser),
            now + ASK_SECONDS,
        )
        if query.get("response_type") != "code":
            return ask.back(error="unsupported_response_type")
        if query.get("code_challenge_method") != "S256" or len(ask.challenge) != 43:
            return ask.back(error="invalid_request", error_description="PKCE with S256 is required")
        if query.get("scope", SCOPE).rstrip(";") != SCOPE:
            return ask.back(error="invalid_scope")
        self._asks = {key: one for key, one in self._asks.items() if one.expires_at > now}
        key = secrets.token_urlsafe(32)
        self._asks[key] = ask
        return key, ask

    def get(self, key: str, browser: str, now: float) -> Ask:
        """The ask that this browser began; anything else is refused the same way."""
        ask = self._asks.get(key)
        if ask is None or ask.expires_at <= now or not hmac.compare_digest(ask.browser, sha256(browser)):
            raise Refused(400, "request_expired")
        return ask

    def sign_in(self, ask: Ask, number: str, password: str) -> bool:
        ask.tries += 1
        if ask.tries > TRIES:
            raise Refused(429, "too_many_tries")
        person = BY_ENERGY.get(number.strip().upper())
        expected = person.energy_password if person else secrets.token_hex()
        if not hmac.compare_digest(password.encode(), expected.encode()) or person is None:
            return False
        ask.customer = person.energy
        return True

    def close(self, key: str) -> None:
        self._asks.pop(key, None)


class Grants:
    """What customers agreed to, and the tokens that hang from it. Survives a restart."""

    def __init__(self, folder: Path, client_secret: str, base_url: str) -> None:
        self._db = database(folder / "grants.sqlite3", _TABLES)
        self._lock = threading.Lock()
        self._secret = sha256(client_secret)
        self._base_url = base_url

    def agreed(self, ask: Ask, now: float) -> str:
        """A new subscription and its authorization code."""
        subscription = secrets.token_hex(12)
        with self._lock:
            row = (subscription, ask.customer, SCOPE, now)
            self._db.execute("INSERT INTO consent VALUES (?, ?, ?, ?, NULL)", row)
            return self._mint("code", subscription, now + CODE_SECONDS, challenge=ask.challenge, uri=ask.redirect_uri)

    def client(self, request: Request) -> None:
        """client_secret_basic, both parts form-encoded (RFC 6749 §2.3.1)."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            name, secret = "", ""
        known = scheme.lower() == "basic" and unquote_plus(name) == CLIENT
        if not hmac.compare_digest(sha256(unquote_plus(secret)), self._secret) or not known:
            raise OAuthError("invalid_client", 401)

    def redeem(self, form: Mapping[str, str], now: float) -> dict[str, Any]:
        """A token answer for a form of the token endpoint. Raises OAuthError."""
        kind = form.get("grant_type")
        if kind == "authorization_code":
            return self._redeem_code(form, now)
        if kind == "refresh_token":
            return self._refresh(form, now)
        raise OAuthError("unsupported_grant_type" if kind else "invalid_request")

    def _redeem_code(self, form: Mapping[str, str], now: float) -> dict[str, Any]:
        code = sha256(form.get("code", ""))
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        with self._lock:
            row = self._row(code, "code")
            if not hmac.compare_digest(row["challenge"], challenge) or row["redirect_uri"] != form.get("redirect_uri"):
                raise OAuthError("invalid_grant")
            spent = self._db.execute(
                "UPDATE token SET used_at = ? WHERE sha256 = ? AND used_at IS NULL AND expires_at > ?", (now, code, now)
            ).rowcount
            if not spent:
                if row["used_at"]:
                    self._end(row["subscription"], now)
                raise OAuthError("invalid_grant")
            return self._answer(row["subscription"], code, now)

    def _refresh(self, form: Mapping[str, str], now: float) -> dict[str, Any]:
        token = sha256(form.get("refresh_token", ""))
        with self._lock:
            row = self._row(token, "refresh")
            succeeded = self._db.execute(
                "SELECT 1 FROM token WHERE parent = ? AND kind = 'refresh' AND used_at IS NOT NULL", (token,)
            ).fetchone()
            if succeeded:
                self._end(row["subscription"], now)
            if succeeded or row["expires_at"] <= now:
                raise OAuthError("invalid_grant")
            self._db.execute("UPDATE token SET used_at = ? WHERE sha256 = ?", (now, token))
            return self._answer(row["subscription"], token, now)

    def revoke(self, token: str, now: float) -> None:
        """RFC 7009: a refresh token ends the whole link, an access token itself. Unknown ones are no error."""
        with self._lock:
            row = self._db.execute("SELECT kind, subscription FROM token WHERE sha256 = ?", (sha256(token),)).fetchone()
            if row and row[0] == "refresh":
                self._end(row[1], now)
            elif row:
                self._db.execute("UPDATE token SET expires_at = 0 WHERE sha256 = ?", (sha256(token),))

    def bearer(self, request: Request, now: float) -> tuple[str, str]:
        """(subscription, customer) of a data call. Raises Refused 401."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "invalid_token")
        with self._lock:
            row = self._db.execute(
                "SELECT c.subscription, c.customer FROM token t JOIN consent c USING (subscription)"
                " WHERE t.sha256 = ? AND t.kind = 'access' AND t.expires_at > ? AND c.ended_at IS NULL",
                (sha256(token), now),
            ).fetchone()
        if row is None:
            raise Refused(401, "invalid_token")
        return str(row[0]), str(row[1])

    # ---- under the lock

    def _row(self, token: str, kind: str) -> dict[str, Any]:
        """The token and its live consent; anything else is invalid_grant."""
        cursor = self._db.execute(
            "SELECT t.* FROM token t JOIN consent c USING (subscription)"
            " WHERE t.sha256 = ? AND t.kind = ? AND c.ended_at IS NULL",
            (token, kind),
        )
        row = cursor.fetchone()
        if row is None:
            raise OAuthError("invalid_grant")
        return dict(zip([column[0] for column in cursor.description], row, strict=True))

    def _mint(
        self, kind: str, subscription: str, until: float, *, parent: str = "", challenge: str = "", uri: str = ""
    ) -> str:
        token = secrets.token_urlsafe(32)
        row = (sha256(token), kind, subscription, parent, challenge, uri, until)
        self._db.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row)
        return token

    def _end(self, subscription: str, now: float) -> None:
        self._db.execute("UPDATE consent SET ended_at = ? WHERE subscription = ?", (now, subscription))

    def _answer(self, subscription: str, parent: str, now: float) -> dict[str, Any]:
        resource = f"{self._base_url}/espi/1_1/resource"
        return {
            "access_token": self._mint("access", subscription, now + ACCESS_SECONDS, parent=parent),
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "refresh_token": self._mint("refresh", subscription, now + REFRESH_SECONDS, parent=parent),
            "scope": SCOPE,
            "resourceURI": f"{resource}/Batch/Subscription/{subscription}",
            "authorizationURI": f"{resource}/Authorization/{subscription}",
        }
