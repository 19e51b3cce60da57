"""DPoP at PAR, token and refresh (RFC 9449; negative cases B10): what is bound, to whom, and what is no proof."""

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, answered
from client_keys import EC, KEYS, NEVER, RSA, b64, proof, thumbprint
from sqlmodel import select

from gateway.authorization.tables import SpentOnce
from tests.tokens import claims


def redeem(world, code, app="meter", shown=None):
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": world.request(app)["redirect_uri"]}
    headers = {"dpop": shown} if shown else {}
    return world.post("/token", {**form, "code_verifier": VERIFIER}, app, **headers)


def refresh(world, token, app="meter", shown=None):
    headers = {"dpop": shown} if shown else {}
    return world.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, app, **headers)


def bound(world, app="meter", **named):
    answer = redeem(world, world.code(app), app, proof(world, **named))
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA", "Ed25519"])
def test_a_token_is_bound_to_the_key_of_the_proof(world, alg):
    body = bound(world, alg=alg)
    assert body["token_type"] == "DPoP"
    assert claims(body["access_token"])["cnf"] == {"jkt": thumbprint(KEYS[alg])}


def test_without_a_proof_it_is_bound_to_nobody(world):
    body = world.tokens()
    assert body["token_type"] == "Bearer"
    assert "cnf" not in claims(body["access_token"])


def test_introspection_tells_the_binding(world):
    said = world.introspect(bound(world, "budget")["access_token"]).json()
    assert (said["token_type"], said["cnf"]) == ("DPoP", {"jkt": thumbprint(KEYS["ES256"])})


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": None}},
        {"header": {"alg": "RS256"}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"jwk": None}},
        {"header": {"jwk": "ES256"}},
        {"alg": "EdDSA", "header": {"jwk": {**KEYS["EdDSA"].jwk, "kty": ["OKP"]}}},
        {"alg": "EdDSA", "header": {"jwk": {**KEYS["EdDSA"].jwk, "x": [1], "crv": {}}}},
        {"header": {"jwk": {**KEYS["ES256"].jwk, "d": "AAAA"}}},
        {"header": {"jwk": {"kty": "oct", "k": "c2VjcmV0"}}},
        {"header": {"jwk": {**EC().jwk}}},
        {"header": {"jwk": {**KEYS["ES256"].jwk, "x": "A" * 43}}},
        {"header": {"crit": ["x"]}},
        {"jti": NEVER},
        {"jti": ""},
        {"jti": 5},
        {"htm": NEVER},
        {"htm": "GET"},
        {"htm": "post"},
        {"htu": NEVER},
        {"htu": f"{ISSUER}/par"},
        {"htu": "https://localhost:8400/token"},
        {"htu": f"{ISSUER}/token/"},
        {"htu": f"{ISSUER}/Token"},
        {"iat": NEVER},
        {"iat": "now"},
        {"iat": 1_763_890_200 - 3600},
        {"nonce": "not one of ours"},
        {"nonce": "un défi"},
    ],
)
def test_what_is_no_proof_is_refused_and_spends_nothing(world, changes):
    code = world.code()
    refused = redeem(world, code, shown=proof(world, **changes))
    expected = "use_dpop_nonce" if "nonce" in changes else "invalid_dpop_proof"
    assert error(refused) == expected
    assert redeem(world, code, shown=proof(world)).status_code == 200


@pytest.mark.parametrize("offset", [-61, -3600, 61, 3600])
def test_a_proof_of_another_time_is_refused(world, offset):
    at = int(world.clock.now.timestamp()) + offset
    assert error(redeem(world, world.code(), shown=proof(world, iat=at))) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "changes",
    [
        {"htu": f"{ISSUER}/token?x=1#y"},
        {"htu": "HTTP://LOCALHOST:8400/token"},
        {"nbf": 1, "exp": 9_999_999_999, "more": "x"},
        {"header": {"kid": "x", "more": 1}},
        {"header": {"typ": "DPoP+JWT"}},
    ],
)
def test_what_does_not_matter_is_passed_over(world, changes):
    assert redeem(world, world.code(), shown=proof(world, **changes)).json()["token_type"] == "DPoP"


@pytest.mark.parametrize("offset", [-10, 10])
def test_a_clock_that_is_ten_seconds_off_is_no_fault(world, offset):
    at = int(world.clock.now.timestamp()) + offset
    assert redeem(world, world.code(), shown=proof(world, iat=at)).status_code == 200


def test_a_proof_is_good_once_at_all_endpoints(world):
    shown = proof(world)
    assert redeem(world, world.code(), shown=shown).status_code == 200
    assert error(redeem(world, world.code(), shown=shown)) == "invalid_dpop_proof"


def test_a_small_rsa_key_proves_nothing(world):
    from cryptography.hazmat.primitives.asymmetric import rsa

    small = RSA()
    small.key = rsa.generate_private_key(65537, 1024)
    public = small.key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(public.n.to_bytes(128, "big")), "e": "AQAB"}
    shown = proof(world, alg="PS256", key=small, header={"jwk": jwk})
    assert error(redeem(world, world.code(), shown=shown)) == "invalid_dpop_proof"


def test_two_proofs_are_none(world):
    client = world.browser()
    form = {"client_id": "meter", "grant_type": "refresh_token", "refresh_token": "x"}
    two = [("dpop", proof(world)), ("dpop", proof(world))]
    assert error(client.post("/token", data=form, headers=two)) == "invalid_dpop_proof"


# ---- codes


def agreed(world, app="meter", **more):
    return answered(world.agree(world.browser("alice"), world.pushed(app, **more)))["code"]


def test_a_code_is_bound_by_dpop_jkt(world):
    mallory = EC()
    code = agreed(world, dpop_jkt=thumbprint(KEYS["ES256"]))
    assert error(redeem(world, code)) == "invalid_dpop_proof"
    assert error(redeem(world, code, shown=proof(world, key=mallory))) == "invalid_dpop_proof"
    assert redeem(world, code, shown=proof(world)).status_code == 200


def test_a_code_is_bound_by_a_proof_at_par(world):
    answer = world.post("/par", world.request(), "meter", dpop=proof(world, "/par"))
    assert answer.status_code == 201
    address = f"/authorize?client_id=meter&request_uri={answer.json()['request_uri']}"
    code = answered(world.agree(world.browser("alice"), address))["code"]
    assert error(redeem(world, code, shown=proof(world, key=EC()))) == "invalid_dpop_proof"
    assert redeem(world, code, shown=proof(world)).status_code == 200


def test_dpop_jkt_and_the_proof_at_par_name_one_key(world):
    other = world.request(dpop_jkt=thumbprint(EC()))
    assert error(world.post("/par", other, "meter", dpop=proof(world, "/par"))) == "invalid_dpop_proof"
    same = world.request(dpop_jkt=thumbprint(KEYS["ES256"]))
    assert world.post("/par", same, "meter", dpop=proof(world, "/par")).status_code == 201
    assert error(world.push(dpop_jkt="short")) == "invalid_request"


# ---- refreshing


def test_a_public_apps_refresh_token_is_of_use_only_with_its_key(world):
    body = bound(world)
    assert error(refresh(world, body["refresh_token"])) == "invalid_dpop_proof"
    assert error(refresh(world, body["refresh_token"], shown=proof(world, key=EC()))) == "invalid_dpop_proof"
    again = refresh(world, body["refresh_token"], shown=proof(world))
    assert again.json()["token_type"] == "DPoP"
    assert "refresh_token" not in again.json()  # a thief can do nothing with it, so it need not change


def test_a_refresh_token_that_is_bound_is_good_again_after_the_grace(world):
    body = bound(world)
    for _ in range(3):
        assert refresh(world, body["refresh_token"], shown=proof(world)).status_code == 200
        world.clock.passes(seconds=world.house.settings.refresh_grace_seconds + 1)


def test_a_confidential_app_may_take_a_new_key(world):
    body = bound(world, "budget")
    new = EC()
    again = refresh(world, body["refresh_token"], "budget", proof(world, key=new)).json()
    assert claims(again["access_token"])["cnf"] == {"jkt": thumbprint(new)}
    assert "refresh_token" not in again


# ---- clients that must


def test_a_client_that_registered_for_bound_tokens_gets_no_other(world):
    world.register("careful", dpop_bound_access_tokens=True)
    code = world.code("careful")
    assert error(redeem(world, code, "careful")) == "invalid_dpop_proof"
    body = redeem(world, code, "careful", proof(world)).json()
    assert body["token_type"] == "DPoP"
    assert error(refresh(world, body["refresh_token"], "careful")) == "invalid_dpop_proof"


# ---- nonces


def test_nonces_where_they_are_needed(world):
    world.setting(dpop_nonces=True)
    code = world.code()
    first = redeem(world, code, shown=proof(world))
    assert error(first) == "use_dpop_nonce"
    nonce = first.headers["dpop-nonce"]
    assert error(redeem(world, code, shown=proof(world, nonce=nonce[:-1] + "!"))) == "use_dpop_nonce"
    world.clock.passes(seconds=30)
    assert redeem(world, code, shown=proof(world, nonce=nonce)).status_code == 200
    code = world.code()
    world.clock.passes(seconds=270)
    fresh_code = world.code()
    old = redeem(world, fresh_code, shown=proof(world, nonce=nonce))
    assert error(old) == "use_dpop_nonce"
    assert old.headers["dpop-nonce"] != nonce


def test_the_metadata_names_the_algorithms_that_are_taken(world):
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "EdDSA", "Ed25519"]


def test_a_bound_request_may_not_name_another_address(world):
    assert error(world.push(redirect_uri=CALLBACK + "/x")) == "invalid_request"


def test_nobody_fills_the_table_of_proofs_in_the_name_of_a_public_app(world):
    known = world.code()
    for form in ({"grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER, "redirect_uri": CALLBACK},
                 {"grant_type": "refresh_token", "refresh_token": "x"}):  # fmt: skip
        for _ in range(3):
            assert error(world.post("/token", form, "meter", dpop=proof(world))) == "invalid_grant"
    with world.session() as session:
        assert session.exec(select(SpentOnce)).all() == []
    shown = proof(world)
    assert redeem(world, known, shown=shown).status_code == 200
    assert error(redeem(world, known, shown=shown)) == "invalid_dpop_proof"
