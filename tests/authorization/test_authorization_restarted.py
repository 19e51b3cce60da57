"""What may be used once stays used at the token endpoint: when the gateway begins again, and at one beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from authorization_world import ISSUER, World
from client_keys import KEYS, jws, proof
from starlette.applications import Starlette

from gateway.ground.keys import fresh
from gateway.ground.pools import Pools
from gateway.house import Latest
from tests.databases import unsynced

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def keyed(world):
    world.register("keyed", profile="oidc", token_endpoint_auth_method="private_key_jwt",
                   jwks={"keys": [KEYS["ES256"].jwk]})  # fmt: skip
    return world


@contextmanager
def other(world: World, *, after: bool) -> Iterator[None]:
    """The same gateway as another process has it: on the same database, with nothing in its memory."""
    before = world.house, world.app
    if after:
        world.house.store.close()
    world.house = replace(world.house, store=unsynced(world.house.settings), pools=Pools(), kept=Latest())
    world.app = Starlette(routes=world._routes())
    try:
        yield
    finally:
        if not after:
            world.house.store.close()
            world.house, world.app = before


def assertion(world):
    now = int(world.clock.now.timestamp())
    said = {"iss": "keyed", "sub": "keyed", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": fresh()}
    key = KEYS["ES256"]
    return {"client_assertion_type": ASSERTION, "client_assertion": jws(said, {"kid": key.kid})}


def refused(world, form, **headers):
    """The error of a refresh with nothing."""
    asked = {"grant_type": "refresh_token", "refresh_token": "x" * 43, **form}
    return world.post("/token", asked, None, **headers).json()["error"]


both = pytest.mark.parametrize("after", [True, False], ids=["after", "beside"])


@both
def test_an_assertion_is_believed_once(keyed, after):
    shown = assertion(keyed)
    assert refused(keyed, shown) == "invalid_grant", "it is believed, and the refresh token is nobody's"
    with other(keyed, after=after):
        assert refused(keyed, shown) == "invalid_client"
        assert refused(keyed, assertion(keyed)) == "invalid_grant"


@both
def test_a_proof_is_good_once(world, after):
    shown = proof(world, "/par")
    first = world.post("/par", world.request("meter"), "meter", DPoP=shown)
    assert first.status_code == 201, first.text
    with other(world, after=after):
        again = world.post("/par", world.request("meter"), "meter", DPoP=shown)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof")
        assert world.post("/par", world.request("meter"), "meter", DPoP=proof(world, "/par")).status_code == 201


@both
def test_a_code_is_good_once(world, after):
    code = world.code()
    assert world.redeem(code).status_code == 200
    with other(world, after=after):
        assert world.redeem(code).json()["error"] == "invalid_grant"
