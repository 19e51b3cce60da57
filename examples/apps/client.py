"""The gateway as an app meets it: discovery, pushed request, code, tokens, data calls (RFC 8414, 9126, 9396, 9207)."""

import json
import secrets
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

Json = dict[str, Any]
EARLY = 20  # seconds before its end at which an access token is renewed


class Refused(Exception):
    """The gateway or the person said no. `reason` is a word of the gateway's closed list, or of OAuth."""

    def __init__(self, reason: str, retry_after: int | None = None, why: str = "") -> None:
        super().__init__(f"{reason} ({why})" if why else reason)
        self.reason = reason
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Declared:
    """The app's declaration, as registered with the gateway, and the terms it asks for."""

    document: Json
    period: Json
    frequency: Json
    valid_for: str
    retention: str

    @classmethod
    def read(cls, file: Path, **terms: Any) -> "Declared":
        return cls(tomllib.loads(file.read_text(encoding="utf-8")), **terms)

    def details(self, gateway: str) -> list[Json]:
        """`authorization_details`, one object for each type of data (RFC 9396)."""
        return [
            {
                "type": "data_access",
                "locations": [f"{gateway}/data/{row['organisation']}"],
                "datatypes": [row["dataset"]],
                "actions": ["read"],
                "purpose": self.document["purposes"][0],
                "fields": row["fields"],
                "period": self.period,
                "frequency": self.frequency,
                "valid_for": self.valid_for,
                "retention": self.retention,
                "necessity": row["necessity"],
                "reason": row["reason"],
            }
            for row in self.document["data"]
        ]


class Aval:
    """One app's dealings with one gateway. Holds no person's token."""

    def __init__(self, gateway: str, declared: Declared, secret: str, redirect_uri: str) -> None:
        self.gateway = gateway
        self.declared = declared
        self._secret = secret
        self._redirect_uri = redirect_uri
        self._method = str(declared.document["token_endpoint_auth_method"])
        self._metadata: Json = {}

    def _client(self, token: Json | None = None) -> Any:
        return OAuth2Client(
            client_id=self.declared.document["client_id"],
            client_secret=self._secret,
            token_endpoint_auth_method=self._method,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            token=token,
            timeout=60,
            trust_env=False,
        )

    def metadata(self) -> Json:
        """RFC 8414. The issuer must be the address we asked (§3.3)."""
        if not self._metadata:
            address = f"{self.gateway}/.well-known/oauth-authorization-server"
            answer = _sent(lambda: httpx2.get(address, timeout=10, trust_env=False))
            found = _object(answer)
            if answer.status_code != 200 or found.get("issuer") != self.gateway:
                raise Refused("gateway_unknown")
            self._metadata = found
        return self._metadata

    def begin(self, language: str) -> tuple[str, Json]:
        """(address to send the browser to, what to remember until it comes back)."""
        metadata = self.metadata()
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        details = json.dumps(self.declared.details(self.gateway))
        with self._client() as http:
            address, _ = http.create_authorization_url(
                metadata["authorization_endpoint"],
                state=state,
                code_verifier=verifier,
                authorization_details=details,
                ui_locales=language,
            )
            form = dict(parse_qsl(urlsplit(address).query))
            endpoint = metadata["pushed_authorization_request_endpoint"]
            answer = _sent(lambda: http.post(endpoint, data=form, auth=self._authentication(http)))
        pushed = _object(answer)
        if answer.status_code != 201:
            raise Refused(str(pushed.get("error", "server_error")), why=str(pushed.get("error_description", "")))
        query = httpx2.QueryParams({"client_id": form["client_id"], "request_uri": pushed["request_uri"]})
        return f"{metadata['authorization_endpoint']}?{query}", {"state": state, "verifier": verifier}

    def finish(self, pending: Json, query: Mapping[str, str]) -> Json:
        """The token for the answer the browser brought back. Raises Refused.

        1. it answers the request this browser began   2. it comes from our gateway (RFC 9207)   3. it is a yes
        """
        if not pending or not secrets.compare_digest(query.get("state", "").encode(), pending["state"].encode()):  # 1.
            raise Refused("state_mismatch")
        if query.get("iss") != self.metadata()["issuer"]:  # 2.
            raise Refused("issuer_mismatch")
        if "error" in query:  # 3.
            raise Refused(query["error"])
        with self._client() as http:
            return self._token(
                lambda: http.fetch_token(
                    self.metadata()["token_endpoint"],
                    grant_type="authorization_code",
                    code=query.get("code", ""),
                    code_verifier=pending["verifier"],
                )
            )

    def renew(self, token: Json) -> Json:
        """A fresh access token. What the answer leaves out stays as it was."""
        with self._client(token) as http:
            endpoint = self.metadata()["token_endpoint"]
            return token | self._token(
                lambda: http.refresh_token(endpoint, refresh_token=token.get("refresh_token", ""))
            )

    def revoke(self, token: Json) -> None:
        """RFC 7009: the app forgets. The person's agreement is hers to end."""
        with self._client(token) as http:
            endpoint = self.metadata()["revocation_endpoint"]
            form = {"token": token.get("refresh_token") or token["access_token"]}
            form["client_id"] = self.declared.document["client_id"]
            _sent(lambda: http.post(endpoint, data=form, auth=self._authentication(http)))

    def _authentication(self, http: Any) -> Any:
        """None for a public app: it says its client_id in the form, and Authlib's "none" would say it a second time."""
        return None if self._method == "none" else http.client_auth(self._method)

    def _token(self, ask: Any) -> Json:
        try:
            return dict(_sent(ask))
        except OAuthError as error:
            raise Refused(str(error.error)) from error
        except ValueError as error:  # not the JSON of a token answer
            raise Refused("server_error") from error


class Reader:
    """Data calls for one person. `token` is always the newest one: keep it after use."""

    def __init__(self, aval: Aval, token: Json) -> None:
        self.aval = aval
        self.token = token

    def granted(self, dataset: str) -> bool:
        return any(dataset in detail["datatypes"] for detail in self.token.get("authorization_details", []))

    def get(self, organisation: str, path: str) -> httpx2.Response:
        """One call; `path` as at the organisation, or the gateway's own address of a next page. Raises Refused."""
        base = f"{self.aval.gateway}/data/{organisation}"
        address = path if path.startswith(base + "/") else base + path
        if time.time() > float(self.token.get("expires_at", 0)) - EARLY:
            self.token = self.aval.renew(self.token)
        answer = self._send(address)
        if answer.status_code == 401:  # ended early, or the gateway restarted with new keys: once more with a fresh one
            self.token = self.aval.renew(self.token)
            answer = self._send(address)
        if answer.status_code == 200:
            return answer
        wait = answer.headers.get("retry-after", "")
        raise Refused(str(_object(answer).get("reason", "server_error")), int(wait) if wait.isdigit() else None)

    def _send(self, address: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token['access_token']}"}
        return _sent(lambda: httpx2.get(address, headers=headers, timeout=60, trust_env=False))  # type: ignore[no-any-return]


def _sent(call: Any) -> Any:
    """The answer of a call over the network; no answer is a refusal like another."""
    try:
        return call()
    except httpx2.HTTPError as error:
        raise Refused("gateway_unreachable") from error


def _object(answer: httpx2.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
