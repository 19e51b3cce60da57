"""openid-client asks Alice without a browser of hers, and she answers on her own page (CIBA)."""

import stories
from clients_world import World
from play import Plays

CIBA = {
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["urn:openid:params:grant-type:ciba", "refresh_token"],
    "backchannel_token_delivery_mode": "poll",
    "purposes": ["energy-advice", "sign-in"],
    "scope": "openid",
    "asks_anybody": True,
}


def test_backchannel(world: World, plays: Plays) -> None:
    seen = plays("openid_client_ciba.mjs", world.app("ciba", **CIBA), scope="openid", login_hint="alice@example.org")
    tokens = seen["tokens"]
    data = [one for one in tokens["authorization_details"] if one["datatypes"] != ["identity.sign-in"]]
    stories.check_granted(world, {**tokens, "authorization_details": data})
    assert tokens["id_token"] and len(tokens["authorization_details"]) == 2
    stories.check_ciba(seen)
