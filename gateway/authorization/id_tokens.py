"""ID tokens (OpenID Connect Core §2): who signed in, for one app, as a signed statement."""

from typing import Any

from gateway.authorization import disclosing, openid
from gateway.authorization.calls import EndpointCall
from gateway.authorization.families import GrantedFamily
from gateway.authorization.subjects import subject
from gateway.catalogue.sign_ins import acr
from gateway.ground.keys import KeyRing
from gateway.ground.web.context import Context

LIFE_SECONDS = 300


def issue(ctx: Context, call: EndpointCall, granted: GrantedFamily, nonce: str | None) -> str:
    """Claims that were asked for in the token itself are in it; that is recorded like a call of /userinfo, and no more
    allowed than one. Raises Refused where a policy forbids it.

    `nonce`: of the authorization request; None on refreshing.
    """
    disclosing.check_permitted(call, granted)
    house, family = ctx.house, granted.family
    issued = int(ctx.now.timestamp())
    claims: dict[str, Any] = {
        "iss": house.settings.public_url,
        "sub": subject(house.keys, family.person_id, call.client),
        "aud": family.client_id,
        "exp": issued + LIFE_SECONDS,
        "iat": issued,
        "auth_time": family.auth_time,
        "acr": acr(family.amr.split()),
        "amr": family.amr.split(),
        **({"sid": sid(house.keys, family.sign_in, family.client_id)} if family.sign_in else {}),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    wanted = set(family.claims.split())
    if wanted:
        known = openid.told(granted.terms, disclosing.account(call, granted), house.catalogue)
        told = {name: value for name, value in known.items() if name in wanted}
        claims |= told
        if told:
            disclosing.record(ctx, granted, "id_token", {"sub", *told})
    return house.keys.sign(claims, typ="JWT", algorithm=call.client.id_token_alg)


def sid(keys: KeyRing, series: str, client_id: str) -> str:
    """Names a series of sign-ins to this app, and to no other (Back-Channel Logout §2.1)."""
    return keys.mac("sid", series, client_id)
