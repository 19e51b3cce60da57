"""What Aval does not have yet, as flows of real clients. Each turns red when it comes: then take its mark away.

The scripts are known to be right: test_clients_reference.py runs them at another server.
"""

from typing import Any

import pytest
import stories
from clients_world import World
from play import Plays, Stumble

CIBA = "urn:openid:params:grant-type:ciba"

# By name: the registration that the flow needs. Keys are those of RFC 7591 and its registry; `profile` is Aval's own.
SIGNED = {"token_endpoint_auth_method": "private_key_jwt"}
APPS: dict[str, dict[str, Any]] = {
    "ciba": {**SIGNED, "grant_types": [CIBA, "refresh_token"], "backchannel_token_delivery_mode": "poll"},
}


def not_yet(what: str) -> pytest.MarkDecorator:
    """Only a stumble is expected: a script that breaks, or a wrong answer, is a failure today as well."""
    return pytest.mark.xfail(strict=True, raises=Stumble, reason=f"no {what} yet")


@not_yet("backchannel request (CIBA)")
def test_backchannel(world: World, plays: Plays) -> None:
    app = world.app("ciba", **APPS["ciba"])
    seen = plays("openid_client_ciba.mjs", app, scope="openid", login_hint="alice@example.org")
    stories.check_granted(world, seen["tokens"])
    stories.check_ciba(seen)
