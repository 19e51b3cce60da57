"""Whose token it is, and who holds its key: RFC 9068, RFC 6750, RFC 9449."""

import base64
import hashlib
import json
import time
from typing import Any

import pytest

from tests.authorization.client_keys import EC, KEYS, jws, thumbprint
from tests.proxy.bank import Answer, Bank
from tests.proxy.held_key import Key, b64


def test_no_token_is_a_challenge_that_says_where_to_get_one(bank: Bank) -> None:
    found = bank.reads(Authorization="")
    assert found.status == 401
    challenge = found.headers["www-authenticate"]
    assert f"/.well-known/oauth-protected-resource/data/{bank.id}" in challenge and "error" not in found.json


@pytest.mark.parametrize(
    "authorization",
    ["Basic YTpi", "Bearer", "Bearer  ", "Bearer a.b.c", "Bearer x" * 10, "DPoP abc", "Bearer \xff.\xff.\xff"],
)  # fmt: skip
def test_what_is_no_token_opens_nothing(bank: Bank, authorization: str) -> None:
    assert bank.reads(Authorization=authorization).status == 401
    assert not bank.organisation.seen and not bank.log()


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://mallory.example"},
        {"exp": 1},
        {"exp": "9999999999"},
        {"exp": 9999999999.5},
        {"exp": None},
        {"iat": 9999999999},
        {"aud": ["https://elsewhere.example/data/bank"]},
        {"aud": None},
        {"typ": "JWT"},
        {"typ": "logout+jwt"},
        {"grant_id": None},
        {"grant_id": "unknown"},
        {"fam": "unknown"},
        {"client_id": "mallory-app"},
        {"cnf": {"x5t#S256": "abc"}},
        {"cnf": {"jkt": "abc", "x5t#S256": "abc"}},
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused(bank: Bank, claims: dict[str, Any]) -> None:
    token = bank.world.token(bank.consent, [bank.id], **{"app": bank.app, **claims})
    found = bank.reads(token=token)
    assert found.status == 401
    assert 'error="invalid_token"' in found.headers["www-authenticate"]
    assert not bank.organisation.seen


def test_a_token_from_before_the_agreement_was_changed_for_its_app_is_refused(bank: Bank) -> None:
    bank.reads()
    bank.world.run("UPDATE consent SET tokens_from = 2, generation = generation + 1 WHERE id = :id", id=bank.consent)
    found = bank.reads()
    assert found.status == 401 and 'error="invalid_token"' in found.headers["www-authenticate"]
    bank.world.run("UPDATE tokenfamily SET version = 2 WHERE consent_id = :id", id=bank.consent)
    bank.world.run("UPDATE consent SET generation = generation + 1 WHERE id = :id", id=bank.consent)
    assert bank.reads().status != 401


def test_a_token_from_before_is_refused_also_where_it_would_be_used_once(bank: Bank) -> None:
    bank.agrees(once=True)
    bank.world.run("UPDATE consent SET tokens_from = 2, generation = generation + 1 WHERE id = :id", id=bank.consent)
    assert bank.reads().status == 401 and not bank.organisation.seen


def test_a_token_of_the_client_itself_opens_no_data(bank: Bank) -> None:
    settings, now = bank.world.settings, int(time.time())
    own = {"iss": settings.public_url, "aud": settings.public_url, "sub": bank.app, "client_id": bank.app,
           "scope": "grant_management_query", "jti": "own", "iat": now, "exp": now + 300}  # fmt: skip
    found = bank.reads(token=bank.world.house.keys.sign(own, typ="at+jwt"))
    assert (found.status, bank.organisation.seen) == (401, [])


def test_another_key_or_a_changed_token_is_refused(bank: Bank) -> None:
    head, body, signature = bank.token.split(".")
    key = Key()
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    claims = base64.urlsafe_b64decode(body + "==").decode()
    forged = [
        key.sign(header, claims),
        key.sign({**header, "jwk": key.jwk, "kid": "x"}, claims),
        f"{b64(json.dumps({**header, 'alg': 'none'}).encode())}.{body}.",
        f"{b64(json.dumps({**header, 'alg': 'none'}).encode())}.{body}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{b64(claims.replace(bank.consent, 'x' * 43).encode())}.{signature}",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature}.x",
        bank.token + "A",
    ]
    assert [bank.reads(token=each).status for each in forged] == [401] * len(forged)


def test_an_expired_token_is_forgotten(bank: Bank) -> None:
    token = bank.world.token(bank.consent, [bank.id], bank.app, exp=int(time.time()) + 1)
    assert bank.reads(token=token).status == 200
    time.sleep(1.1)
    assert bank.reads(token=token).status == 401


# ---- DPoP


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def bound(bank: Bank, key: Key) -> str:
    return bank.world.token(bank.consent, [bank.id], bank.app, cnf={"jkt": key.thumbprint})


def shows(bank: Bank, token: str, proof: str | None) -> Answer:
    return bank.reads(Authorization=f"DPoP {token}", **({"DPoP": proof} if proof is not None else {}))


def test_whoever_holds_the_key_reads(bank: Bank, key: Key, bound: str) -> None:
    assert shows(bank, bound, key.proof(bank, bound)).status == 200
    assert (
        shows(bank, bound, key.proof(bank, bound, htu=bank.world.settings.public_url + bank.path + "?a=1")).status
        == 200
    )


@pytest.mark.parametrize("alg", ["PS256", "EdDSA", "Ed25519"])
def test_keys_of_all_kinds(bank: Bank, alg: str) -> None:
    key = KEYS[alg]
    token = bank.world.token(bank.consent, [bank.id], bank.app, cnf={"jkt": thumbprint(key)})
    claims = {"jti": f"one of {alg}", "htm": "GET", "iat": int(time.time())}
    claims["htu"] = bank.world.settings.public_url + bank.path
    claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
    jwk = {name: value for name, value in key.jwk.items() if name != "kid"}
    shown = jws(claims, {"typ": "dpop+jwt", "jwk": jwk}, alg)
    assert shows(bank, token, jws({**claims, "htm": "POST"}, {"typ": "dpop+jwt", "jwk": jwk}, alg)).status == 401
    assert shows(bank, token, jws(claims, {"typ": "dpop+jwt", "jwk": jwk}, alg, EC())).status == 401
    assert shows(bank, token, shown[:-4] + "AAAA").status == 401
    assert shows(bank, token, shown).status == 200
    assert shows(bank, token, shown).status == 401


def test_a_stolen_token_without_its_key_is_worth_nothing(bank: Bank, key: Key, bound: str) -> None:
    assert bank.reads(token=bound).status == 401
    assert shows(bank, bound, None).status == 401
    assert shows(bank, bound, Key().proof(bank, bound)).status == 401


def test_a_proof_works_once(bank: Bank, key: Key, bound: str) -> None:
    proof = key.proof(bank, bound)
    assert [shows(bank, bound, proof).status for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    "changed",
    [
        {"htm": "POST"},
        {"htu": "http://mallory.example/data"},
        {"htu": None},
        {"iat": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"iat": "now"},
        {"ath": "AAAA"},
        {"ath": None},
        {"jti": None},
        {"jti": "x"},
        {"jti": "x" * 300},
        {"header": {"typ": "jwt"}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"crit": ["b64"]}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"jti": "\ud800" * 20},
        {"ath": "\ud800" * 20},
        {"ath": ["AAAA"]},
        {"more": "\ud800"},
        {"htu": "\udc00"},
        {"header": {"kid": "\ud800"}},
    ],
)
def test_a_proof_of_something_else_is_refused(bank: Bank, key: Key, bound: str, changed: dict[str, Any]) -> None:
    found = shows(bank, bound, key.proof(bank, bound, **changed))
    assert found.status == 401
    assert 'error="invalid_dpop_proof"' in found.headers["www-authenticate"]


def test_a_private_key_in_a_proof_is_refused(bank: Bank, key: Key, bound: str) -> None:
    assert shows(bank, bound, key.proof(bank, bound, header={"jwk": {**key.jwk, "d": key.jwk["x"]}})).status == 401


@pytest.mark.parametrize("said", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": []}, {"alg": "ES384"}])
def test_a_key_for_another_use_proves_nothing(bank: Bank, key: Key, bound: str, said: dict[str, Any]) -> None:
    assert shows(bank, bound, key.proof(bank, bound, header={"jwk": {**key.jwk, **said}})).status == 401
    exported = {**key.jwk, "ext": True, "key_ops": ["verify"]}  # as a browser writes one of its keys
    assert shows(bank, bound, key.proof(bank, bound, header={"jwk": exported})).status == 200


def test_a_member_given_twice_is_refused(bank: Bank, key: Key, bound: str) -> None:
    claims = json.dumps({"jti": "a" * 20, "htm": "GET", "iat": int(time.time()),
                         "htu": bank.world.settings.public_url + bank.path,
                         "ath": b64(hashlib.sha256(bound.encode()).digest())})  # fmt: skip
    twice = claims[:-1] + ', "htm": "GET"}'
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk}
    assert shows(bank, bound, key.sign(header, twice)).status == 401
    assert shows(bank, bound, key.sign(header, claims)).status == 200


def test_the_address_of_a_proof_is_compared_with_our_own_not_with_the_request(bank: Bank, key: Key, bound: str) -> None:
    proof = key.proof(bank, bound, htu=f"http://127.0.0.1:{bank.world.port}{bank.path}")
    assert shows(bank, bound, proof).status == 401
