"""Our requests and answers in the shapes Authlib takes. Authlib is untyped; only this file and server.py touch it.

The request is built from the configured public address, never from Host or the connection. Besides, Authlib raises on
plain http off loopback, outside its own error handling.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Payload, OAuth2Request

from gateway.apps.registration import Registration
from gateway.authorization.calls import EndpointCall
from gateway.authorization.tables import AuthorizationRequest, RefreshToken, TokenFamily


class Payload(OAuth2Payload):
    def __init__(self, call: EndpointCall) -> None:
        self._form = call.form

    @property
    def data(self) -> dict[str, str]:
        return dict(self._form)

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._form.items()}


class Request(OAuth2Request):
    def __init__(self, call: EndpointCall) -> None:
        request, settings = call.ctx.request, call.ctx.house.settings
        super().__init__(request.method, f"{settings.public_url}{request.url.path}", headers=request.headers)
        self.payload = Payload(call)
        self._form = call.form

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return dict(self._form)


class Client(ClientMixin):
    """An authenticated app."""

    def __init__(self, registered: Registration) -> None:
        self.registered = registered
        self.client_id = registered.client_id

    def get_client_id(self) -> str:
        return self.client_id

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.registered.grant_types

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.registered.auth_method  # the one registered method, at every endpoint


class Code:
    """A code, with the methods Authlib calls."""

    def __init__(self, row: AuthorizationRequest) -> None:
        self.row = row
        self.code_challenge = row.code_challenge

    def get_redirect_uri(self) -> str:
        return self.row.redirect_uri

    def get_scope(self) -> str:
        return self.row.scope


class Refresh:
    """A refresh token, with the methods Authlib calls."""

    def __init__(self, row: RefreshToken, family: TokenFamily) -> None:
        self.row = row
        self.family = family

    def check_client(self, client: Client) -> bool:
        return bool(self.row.client_id == client.client_id)

    def get_scope(self) -> str:
        return self.family.scope


class Held:
    """A token that a client wants to revoke or introspect: its family, and its row (refresh) or claims (access)."""

    def __init__(self, family: TokenFamily, token: RefreshToken | Mapping[str, Any]) -> None:
        self.family = family
        self.token = token
        claims: Mapping[str, Any] = {} if isinstance(token, RefreshToken) else token
        self.client_id = str(claims.get("client_id", family.client_id))  # another than the family's, if exchanged
        self.exchanged = claims if "act" in claims else None


class HeldByClient:
    """The same of a client's own token, behind which there is no family."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.claims = claims
        self.client_id = str(claims["client_id"])
