"""Tokens of receivers that are bound to a key (RFC 9449): worth nothing to who has not got the key."""

import base64
import hashlib
import json
from itertools import count

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from signals_world import ALL, GRANTS, HOME, MANAGE, Receiver

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("own", "mallory's")}
NUMBERS = count()


@pytest.fixture
def careful(world):
    """An app whose tokens are bound by DPoP, always."""
    world.register("careful", grant_types=GRANTS, dpop_bound_access_tokens=True)
    return Receiver(world, "careful")


def proof(world, method, path, token="", key="own"):
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEYS[key].public_key()))
    ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    said = {
        "jti": f"a proof of its own {next(NUMBERS)}",
        "htm": method,
        "htu": HOME + path,
        "iat": int(world.clock.now.timestamp()),
        **({"ath": ath} if token else {}),
    }
    return jwt.encode(said, KEYS[key], "ES256", {"typ": "dpop+jwt", "jwk": public})


def token_of(world, receiver):
    basic = base64.b64encode(f"{receiver.app}:{world.secrets[receiver.app]}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "dpop": proof(world, "POST", "/token")}
    form = {"grant_type": "client_credentials", "scope": MANAGE}
    answer = receiver.http.post("/token", data=form, headers=headers)
    assert answer.json()["token_type"] == "DPoP", answer.text
    return answer.json()["access_token"]


def asks(receiver, token, shown, scheme="DPoP"):
    headers = {"authorization": f"{scheme} {token}", **({"dpop": shown} if shown else {})}
    return receiver.http.post("/ssf/streams", json={"events_requested": ALL}, headers=headers)


def test_a_bound_token_is_worth_nothing_without_its_key(world, careful):
    token = token_of(world, careful)
    wrong = {
        "no proof": asks(careful, token, ""),
        "as a bearer": asks(careful, token, "", scheme="Bearer"),
        "another key": asks(careful, token, proof(world, "POST", "/ssf/streams", token, key="mallory's")),
        "another door": asks(careful, token, proof(world, "POST", "/ssf/status", token)),
        "another method": asks(careful, token, proof(world, "GET", "/ssf/streams", token)),
        "another token": asks(careful, token, proof(world, "POST", "/ssf/streams", "other")),
    }
    assert {what: answer.status_code for what, answer in wrong.items()} == dict.fromkeys(wrong, 401)
    shown = proof(world, "POST", "/ssf/streams", token)
    assert asks(careful, token, shown).status_code == 201
    assert asks(careful, token, shown).status_code == 401, "a proof is good once"


def test_a_token_that_was_given_back_or_has_expired_opens_nothing(world):
    token = world.shop.token()
    assert world.shop.calls("GET", "/ssf/streams", token=token).status_code == 200
    world.post("/revoke", "shop", token=token)
    assert world.shop.calls("GET", "/ssf/streams", token=token).status_code == 401
    token = world.shop.token()
    world.clock.passes(seconds=301)
    assert world.shop.calls("GET", "/ssf/streams", token=token).status_code == 401
