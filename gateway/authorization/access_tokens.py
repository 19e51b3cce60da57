"""Access tokens at resources of our own, /userinfo and /grants: who calls, for whom, challenges (RFC 6750, RFC 9449).

The data plane has a reader of its own, because every data call needs it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gateway.apps.registration import registration
from gateway.apps.tables import App
from gateway.authorization import binding, client_tokens, disclosing, families, tokens
from gateway.authorization.families import GrantedFamily
from gateway.authorization.rules import Refused
from gateway.ground.keys import KeyRing, access
from gateway.ground.keys.dpop import ALGORITHMS, NonceNeeded
from gateway.ground.store import row_of
from gateway.ground.web.context import Context

Read = Callable[[str, KeyRing, str, datetime], Mapping[str, Any] | None]


def granted(ctx: Context) -> tuple[GrantedFamily, Mapping[str, Any]]:
    """What the token of the call carries, and its claims: live now, for /userinfo, shown by who holds its key. Raises
    Refused.

    The caller has the person's turn afterwards: what was read stays so until the transaction ends.
    """
    scheme, claims = _held(ctx, tokens.read)
    if not access.is_for_userinfo(dict(claims), ctx.house.settings.public_url) or "act" in claims:
        raise _challenged(scheme, "invalid_token")
    family = tokens.family_of(ctx.session, claims)
    if family is None:
        raise _challenged(scheme, "invalid_token")
    ctx.house.log.turn(ctx.session, family.person_id)
    found = families.standing(ctx.session, family, ctx.now)
    if found == "paused":
        disclosing.record_refusal(ctx, family, "paused", 403)
        raise Refused("access_denied", "The sharing is paused.", status=403, reason="paused")
    if not isinstance(found, GrantedFamily):
        disclosing.record_refusal(ctx, family, disclosing.how_it_ended(ctx, family), 401)
        raise _challenged(scheme, "invalid_token")
    return tokens.carried(found, claims, ctx.house.settings.public_url), claims


def own(ctx: Context) -> tuple[App, Mapping[str, Any]]:
    """The client that calls with a token of its own, and the token's claims; shown by who holds its key. Raises
    Refused."""
    scheme, claims = _held(ctx, client_tokens.read)
    app = ctx.session.get(App, claims["client_id"])
    may = app is not None and app.status == "active" and client_tokens.GRANT_TYPE in registration(app).grant_types
    if app is None or not may or not client_tokens.lives(row_of(ctx.session), claims, ctx.now):
        raise _challenged(scheme, "invalid_token")
    return app, claims


def _held(ctx: Context, read: Read) -> tuple[str, Mapping[str, Any]]:
    """(scheme, claims) of the unexpired token of the call, of the kind that `read` reads."""
    scheme, token = _shown(ctx)
    if not token:
        raise _challenged("Bearer", "", "An access token is needed.")
    claims = read(token, ctx.house.keys, ctx.house.settings.public_url, ctx.now)
    if claims is None or claims["exp"] <= ctx.now.timestamp():
        raise _challenged(scheme, "invalid_token")
    bound = claims.get("cnf")
    if (scheme == "DPoP") is not ("jkt" in (bound or {})):  # a bound token without its proof is a stolen one
        raise _challenged(scheme, "invalid_token")
    try:
        held = binding.shows(ctx, token, bound)
    except NonceNeeded as needed:
        raise _challenged(scheme, "use_dpop_nonce", headers={"DPoP-Nonce": needed.nonce}) from None
    if not held:
        raise _challenged(scheme, "invalid_dpop_proof" if bound and "jkt" in bound else "invalid_token")
    return scheme, claims


def insufficient(ctx: Context, scope: str) -> Refused:
    """403: the token lacks a scope (RFC 6750 §3.1)."""
    scheme, _ = _shown(ctx)
    said = f'{scheme} error="insufficient_scope", scope="{scope}"'
    return Refused("insufficient_scope", status=403, headers={"WWW-Authenticate": said})


def _shown(ctx: Context) -> tuple[str, str]:
    """(scheme, token) of the header, or of the form of a POST (RFC 6750 §2.2); never of the address."""
    headers = ctx.request.headers.getlist("authorization")
    in_form = ctx.form_lists.get("access_token", []) if ctx.request.method == "POST" else []
    if len(headers) + len(in_form) > 1:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_request"'}
        raise Refused("invalid_request", "One access token, please.", headers=challenge)
    if in_form:
        return "Bearer", in_form[0]
    scheme, _, token = (headers or [""])[0].partition(" ")
    known = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower())
    return (known, token.strip()) if known else ("Bearer", "")


def _challenged(scheme: str, error: str, description: str = "", headers: dict[str, str] | None = None) -> Refused:
    """Without an error there was no token, and each way to show one is offered."""
    offered = f'DPoP algs="{" ".join(ALGORITHMS)}"'
    if not error:
        challenge = f'Bearer realm="aval", {offered}'
    elif scheme == "DPoP":
        challenge = f'{offered}, error="{error}"'
    else:
        challenge = f'{scheme} error="{error}"'
    return Refused(
        error or "invalid_token",
        description,
        status=401,
        headers={"WWW-Authenticate": challenge, **(headers or {})},
    )
