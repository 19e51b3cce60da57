"""Authlib's server, grants and endpoints: its hooks filled in, its defaults made stricter.

One server object serves one request and holds the door's context, so that no hook needs a
global. Decisions are made in typed modules (clients, families, tokens); the hooks here only
pass them on to Authlib.
"""

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidGrantError, InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.grants.base import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from starlette.responses import Response

from gateway.apps.profiles import AUTH_METHODS
from gateway.authorization import (
    backchannel,
    client_tokens,
    deferring,
    devices,
    exchange,
    families,
    id_tokens,
    narrowing,
    openid,
    polling,
    requests,
    smart,
    telling,
    tokens,
)
from gateway.authorization.adapter import Client, Code, Held, HeldByClient, Refresh, Request
from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.narrowing import Carried
from gateway.authorization.protocol import GrantKind, refusal
from gateway.authorization.rules import Refused
from gateway.authorization.tables import AuthorizationRequest, RefreshToken, TokenFamily
from gateway.consent import deciding
from gateway.consent.tables import Consent
from gateway.ground.keys import access, fresh, jose, same
from gateway.ground.keys.jose import encoded
from gateway.ground.store import row_of
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.organisations.views import everyone

# Authlib's debug messages contain whole token responses, with their secrets.
logging.getLogger("authlib").setLevel(logging.INFO)

METHODS = list(AUTH_METHODS)


@dataclass(frozen=True, slots=True)
class Given:
    """What a grant's authenticate_user hands on, as Authlib's `user`, to what makes the tokens."""

    granted: GrantedFamily
    carried: Carried  # … by the access token of this call
    refresh_token: str | None  # None: the client keeps the one it has
    nonce: str | None = None  # of the authorization request


@dataclass(frozen=True, slots=True)
class ForItself:
    """The same of a client that asks for a token of its own."""

    scope: str


class Server(AuthorizationServer):
    def __init__(self, call: EndpointCall) -> None:
        super().__init__(scopes_supported=None)
        self.call, self.ctx = call, call.ctx
        for grant in call.protocol.grants:
            self.register_grant(grant.kind, list(grant.extensions))
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def authenticate_client(self, request: Request, methods: list[str], endpoint: str = "token") -> Client:
        """The client that the endpoint's steps have authenticated before."""
        client = Client(self.call.client)
        request.client, request.auth_method = client, client.registered.auth_method
        return client

    def generate_token(self, grant_type: str, client: Client, user: Given | ForItself, **_: Any) -> dict[str, Any]:
        """By the terms agreed to, not by what was asked. `user` is what the grant's authenticate_user returned."""
        house, call = self.ctx.house, self.call
        if isinstance(user, ForItself):
            made = house.keys, house.settings, client.client_id, user.scope, call.binding, fresh(), self.ctx.now
            return client_tokens.response(*made)
        granted, carried = user.granted, user.carried
        left = replace(granted, terms=carried.terms)
        audience = tokens.audience(left, call.form.get("resource", ""), house.settings.public_url)
        body = tokens.response(
            house.keys, house.settings, granted, carried, call.client, audience, call.binding, fresh(), self.ctx.now
        )
        if body["expires_in"] < 1:
            raise InvalidGrantError()
        if user.refresh_token is not None:
            body["refresh_token"] = user.refresh_token
        if smart.is_asked(carried.scope):
            body |= smart.context(house.catalogue, everyone(self.ctx.session, house), left.terms, audience)
        if openid.OPENID in carried.scope.split():
            body["id_token"] = id_tokens.issue(self.ctx, call, left, user.nonce)
        return body

    def save_token(self, token: dict[str, Any], request: Request) -> None:
        """Nothing to store: access tokens are signed, and refresh tokens were stored when they were made."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib's signals are not used: what happens is recorded where it happens, in the same transaction."""

    def create_oauth2_request(self, request: Any) -> Request:
        return request if isinstance(request, Request) else Request(self.call)

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        return answers.json(body, status, {"Pragma": "no-cache"})

    def handle_error_response(self, request: Request, error: OAuth2Error) -> Response:
        """The error's code with our own description: Authlib's may repeat what the caller sent."""
        code = str(error.error)
        refused = Refused(code, status=401 if code == "invalid_client" else 400)
        return refusal(self.ctx, refused)


def _redeemed(call: EndpointCall, row: AuthorizationRequest, grant_type: str) -> Given | None:
    """Spend the code of a request, in the transaction that makes the tokens. None: it was spent, refused or over."""
    ctx = call.ctx
    _check_key(call, row)
    tokens.check_target(call.form.get("resource", ""), row.resource)
    _check_part(call, row)
    holder = call.binding.holder if call.client.public else ""
    family = families.redeem(ctx.session, ctx.house.log, row, holder, fresh(), ctx.now)
    if family is None:
        return None
    granted = families.standing(ctx.session, family, ctx.now)
    if not isinstance(granted, GrantedFamily):
        return None
    carried = narrowing.carried(call, family.scope, family.resource, granted.terms)
    log = ctx.house.log
    families.record(ctx.session, log, "token_issued", family, granted.terms, ctx.now, grant_type=grant_type)
    return Given(granted, carried, families.add_refresh(ctx.session, granted, fresh(), ctx.now), row.nonce)


def _check_part(call: EndpointCall, row: AuthorizationRequest) -> None:
    """Whoever asks for more than was granted has the code still: it is not spent yet."""
    consent = call.ctx.session.get(Consent, row.consent_id) if row.consent_id else None
    held = deciding.holding(call.ctx.session, consent, call.ctx.now) if consent else None
    terms = deciding.current(call.ctx.session, held) if held else None
    if terms is not None and row.outcome == "granted" and row.redeemed_at is None:
        narrowing.carried(call, row.scope, row.resource, terms)


def _check_key(call: EndpointCall, row: AuthorizationRequest) -> None:
    if row.dpop_jkt and row.dpop_jkt != call.binding.jkt:  # RFC 9449 §10
        raise Refused("invalid_dpop_proof", "The code is bound to another key.")


class S256(CodeChallenge):
    """PKCE with S256. Every authorization request must carry a challenge, so every token request needs its verifier."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Authlib does not call this here: authorization requests are checked in checks.py."""

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        verifier = grant.request.form.get("code_verifier")
        challenged = grant.request.authorization_code.code_challenge
        if verifier is None and not challenged:
            return
        if verifier is None or not challenged:  # the second: RFC 9700 §2.1.1, a downgrade
            raise InvalidGrantError()
        if not re.fullmatch(r"[A-Za-z0-9\-._~]{43,128}", verifier):
            raise InvalidRequestError()
        challenge = encoded(hashlib.sha256(verifier.encode("ascii")).digest())
        if not same(challenge, challenged):
            raise InvalidGrantError()


class CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Also a spent or expired code: after PKCE, `authenticate_user` must notice that a spent code comes again."""
        row = requests.by_code(self.server.ctx.session, code, client.client_id)
        return Code(row) if row else None

    def authenticate_user(self, authorization_code: Code) -> Given | None:
        """The first hook after PKCE and before minting: here the code is spent, in the
        transaction that makes the tokens (RFC 6749 §4.1.2: once only)."""
        _check_key(self.server.call, authorization_code.row)
        deferring.redeem(self.server.call, authorization_code.row)
        return _redeemed(self.server.call, authorization_code.row, self.GRANT_TYPE)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing: Authlib calls this after making the token, too late to spend the code. The row stays, so that a
        replay is noticed."""


class PolledGrant(BaseGrant, TokenEndpointMixin):
    """A client asks again and again for the answer to its request. Authlib's own grant for devices hands the person's
    row to hooks that we do not need."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    KIND, PARAMETER = "", ""

    def validate_token_request(self) -> None:
        call: EndpointCall = self.server.call
        self.request.client = self.authenticate_token_endpoint_client()
        if not call.form.get(self.PARAMETER):
            raise InvalidRequestError()
        found = (self.KIND,), call.form[self.PARAMETER], call.client.client_id
        row = polling.find(call.ctx.session, call.ctx.house.log, *found)
        if row is None or row.redeemed_at is not None:
            raise InvalidGrantError()
        polling.check(call.ctx.session, row, call.app, call.ctx.now)
        self.row = row

    def create_token_response(self) -> Any:
        user = _redeemed(self.server.call, self.row, self.GRANT_TYPE)
        if user is None:
            raise InvalidGrantError()
        return 200, self.generate_token(user=user), self.TOKEN_RESPONSE_HEADER


class DeviceGrant(PolledGrant):
    """RFC 8628 §3.4."""

    GRANT_TYPE, KIND, PARAMETER = devices.GRANT, polling.DEVICE, "device_code"


class BackchannelGrant(PolledGrant):
    """CIBA Core §10.1."""

    GRANT_TYPE, KIND, PARAMETER = backchannel.GRANT, polling.BACKCHANNEL, "auth_req_id"


class DeferredGrant(PolledGrant):
    """draft-ietf-oauth-deferred-token-response-01. The answer is that of the grant that was deferred."""

    GRANT_TYPE, KIND, PARAMETER = deferring.GRANT, polling.DEFERRED, "deferral_code"


class RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        ctx: Context = self.server.ctx
        row = families.find_refresh(ctx.session, refresh_token)
        if row is None or row.expires_at <= ctx.now:
            return None
        return Refresh(row, ctx.session.get_one(TokenFamily, row.family_id))

    def authenticate_user(self, refresh_token: Refresh) -> Given:
        """What the family stands on now. A public client's token is spent here, before minting, unless it is bound.

        One that is spent already stays so, also when its app has become confidential since.
        """
        ctx: Context = self.server.ctx
        call: EndpointCall = self.server.call
        family = refresh_token.family
        if family.jkt and family.jkt != call.binding.holder:  # RFC 9449 §5, RFC 8705 §4: of a public client
            error = "invalid_grant" if call.client.certificate_bound else "invalid_dpop_proof"
            raise Refused(error, "The refresh token is bound to another key.")
        tokens.check_target(call.form.get("resource", ""), family.resource)
        ctx.house.log.turn(ctx.session, family.person_id)
        granted = families.standing(ctx.session, family, ctx.now)
        if granted == "paused":
            # Not invalid_grant: clients then discard the token, although it works again once the person resumes.
            raise Refused("access_denied", "The sharing is paused.", status=403, reason="paused")
        if not isinstance(granted, GrantedFamily):
            raise InvalidGrantError()
        _check_changed(call, granted)
        carried = narrowing.carried(call, family.scope, family.resource, granted.terms)
        keeps = not call.client.public or bool(family.jkt)  # who stole it can do nothing with it (RFC 9700 §4.14.2)
        if keeps and refresh_token.row.spent_at is None:
            return Given(granted, carried, None)
        successor = families.rotate(ctx.session, ctx.house, granted, refresh_token.row, fresh(), ctx.now)
        if successor is None:
            raise InvalidGrantError()
        deferring.check_sign_in(call, family)
        return Given(granted, carried, successor)

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        """Nothing: `authenticate_user` has already spent it, before the new one was made."""


def _check_changed(call: EndpointCall, granted: GrantedFamily) -> None:
    """Nobody is asked at a refresh: whether an app that has changed since goes on is the operator's word. Raises
    Refused."""
    agreed = granted.terms["app"]["metadata_sha256"]
    if call.ctx.house.settings.changed_apps == "ask" and agreed != call.app.metadata_sha256:
        raise Refused("invalid_grant", "The app has changed since the person agreed: she has to be asked again.")


class ClientGrant(ClientCredentialsGrant):
    """RFC 6749 §4.4, for clients that can prove who they are."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS[1:]

    def validate_requested_scope(self) -> None:
        """Authlib compares with the scopes of authorization requests; these are others."""
        call: EndpointCall = self.server.call
        if call.client.public:
            raise Refused("unauthorized_client", "A public client cannot be authenticated.")
        client_tokens.check_target(call.form.get("resource", ""), call.ctx.house.settings.public_url)
        self.asked = client_tokens.scope(call.form.get("scope", ""))

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        body = self.generate_token(user=ForItself(self.asked), include_refresh_token=False)
        return 200, body, self.TOKEN_RESPONSE_HEADER


class ExchangeGrant(BaseGrant, TokenEndpointMixin):
    """RFC 8693."""

    GRANT_TYPE = exchange.GRANT
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS[1:]

    def validate_token_request(self) -> None:
        self.request.client = self.authenticate_token_endpoint_client()

    def create_token_response(self) -> Any:
        return 200, exchange.exchanged(self.server.call), self.TOKEN_RESPONSE_HEADER


CODE = GrantKind(CodeGrant, (S256(required=True),))
REFRESH = GrantKind(RefreshGrant)
DEVICE = GrantKind(DeviceGrant)
BACKCHANNEL = GrantKind(BackchannelGrant)
DEFERRED = GrantKind(DeferredGrant, registered=False)
CLIENT = GrantKind(ClientGrant)
EXCHANGE = GrantKind(ExchangeGrant)


class _OwnTokens:
    """What revocation and introspection share: finding a token of ours by its form; the hint is not needed."""

    server: Server

    def check_params(self, request: Request, client: Client) -> None:
        """An unknown token_type_hint is no error (RFC 7009 §2.1)."""
        if not request.form.get("token"):
            raise InvalidRequestError()

    def query_token(self, token_string: str, token_type_hint: str | None) -> Held | HeldByClient | None:
        ctx = self.server.ctx
        if "." not in token_string:  # an access token has three parts (RFC 7515 §7.1), a refresh token has one
            refresh: RefreshToken | None = families.find_refresh(ctx.session, token_string)
            return Held(ctx.session.get_one(TokenFamily, refresh.family_id), refresh) if refresh else None
        read = token_string, ctx.house.keys, ctx.house.settings.public_url, ctx.now.timestamp()
        try:
            claims, own = access.read_either(*read)
        except jose.Malformed:
            return None
        if own:
            return HeldByClient(claims)
        family = tokens.family_of(ctx.session, claims)
        return Held(family, claims) if family else None


class Revocation(_OwnTokens, RevocationEndpoint):
    """RFC 7009: ends the token's family, not the consent. For an unknown token or another client's it changes nothing
    and answers 200 too. On a frozen log an unknown one may be in what is missing: 503, and the app tries again."""

    CLIENT_AUTH_METHODS = METHODS

    def authenticate_token(self, request: Request, client: Client) -> Held | HeldByClient | None:
        self.check_params(request, client)
        held = self.query_token(request.form["token"], request.form.get("token_type_hint"))
        if held is None:
            self.server.ctx.house.log.require_whole()
        return held if held and held.client_id == client.client_id else None

    def revoke_token(self, token: Held | HeldByClient, request: Request) -> None:
        ctx = self.server.ctx
        if isinstance(token, HeldByClient):
            client_tokens.end(ctx.session, token.claims, ctx.now)
            return
        if token.exchanged is not None:  # RFC 7009 §2.2.1: what else hangs from the agreement is not its actor's to end
            raise Refused("unsupported_token_type", "An exchanged token ends with the one it was exchanged for.")
        families.end(ctx.session, ctx.house.log, token.family, "revoked_by_app", ctx.now)


class Introspection(_OwnTokens, IntrospectionEndpoint):
    """RFC 7662: for an authenticated client and its own tokens. For anything else the answer is `{"active": false}`."""

    CLIENT_AUTH_METHODS = METHODS

    def authenticate_token(self, request: Request, client: Client) -> dict[str, Any] | None:
        self.check_params(request, client)
        held = self.query_token(request.form["token"], request.form.get("token_type_hint"))
        if held is None or held.client_id != client.client_id:
            return None
        ctx, row = self.server.ctx, row_of(self.server.ctx.session)
        if isinstance(held, HeldByClient):
            return client_tokens.introspect(row, held.claims, ctx.now)
        if isinstance(held.token, RefreshToken):
            of = ctx.house.keys, ctx.house.settings, held.family, client.registered, held.token, ctx.now
            return tokens.introspect_refresh(ctx.session, *of)
        if held.exchanged is not None and not exchange.stands(self.server.call, held.family, held.exchanged):
            return None
        found = telling.standing(row, held.token, ctx.now)
        return telling.told(found, held.token, ctx.house.settings.public_url) if found else None

    def create_introspection_payload(self, token: dict[str, Any] | None) -> dict[str, Any]:
        return token or {"active": False}
