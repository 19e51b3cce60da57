"""Tokens of a client itself (RFC 6749 §4.4): who gets one, what it says, and how it ends."""

import pytest
from authorization_world import ISSUER
from client_keys import EC, KEYS, jws, proof, thumbprint

from gateway.apps.tables import App
from gateway.authorization.rules import ASSERTION_TYPE
from gateway.ground.keys import access, fresh, hashed
from gateway.ground.keys.jose import Malformed
from tests.tokens import claims

QUERY, REVOKE = "grant_management_query", "grant_management_revoke"
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]


@pytest.fixture(autouse=True)
def ledger(world):
    """Two confidential apps that registered for it."""
    for name in ("ledger", "rival"):
        world.register(name, token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS)


def ask(world, app="ledger", shown=None, **form):
    headers = {"dpop": shown} if shown else {}
    return world.post("/token", {"grant_type": "client_credentials", "scope": QUERY, **form}, app, **headers)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def test_a_client_gets_a_token_of_its_own(world):
    answer = ask(world, scope=f"{REVOKE} {QUERY} {QUERY}")
    body = answer.json()
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 300, "scope": f"{REVOKE} {QUERY}"}
    assert answer.headers["cache-control"] == "no-store"
    said, now = claims(token), int(world.clock.now.timestamp())
    assert said.pop("jti") != claims(ask(world).json()["access_token"])["jti"]
    assert said == {"iss": ISSUER, "sub": "ledger", "client_id": "ledger", "aud": ISSUER, "iat": now,
                    "exp": now + 300, "scope": f"{REVOKE} {QUERY}"}  # fmt: skip


@pytest.mark.parametrize(
    "scope", ["", "data_access", "openid", f"{QUERY} data_access", QUERY.upper(), "*", f"{QUERY},x"]
)
def test_another_scope_or_none_is_refused(world, scope):
    assert error(ask(world, scope=scope)) == "invalid_scope"


def test_only_clients_that_registered_for_it_and_can_prove_who_they_are(world):
    assert error(ask(world, "budget")) == "unauthorized_client"
    assert error(ask(world, "meter")) == "unauthorized_client"
    nobody = world.post("/token", {"grant_type": "client_credentials", "scope": QUERY, "client_id": "ledger"}, None)
    assert error(nobody, 401) == "invalid_client"


def test_it_is_for_this_server_alone(world):
    assert ask(world, resource=ISSUER).status_code == 200
    assert error(ask(world, resource=f"{ISSUER}/data/city-energy")) == "invalid_target"
    assert error(ask(world, authorization_details="[]")) == "invalid_authorization_details"


def test_it_is_bound_where_the_call_has_a_proof(world):
    body = ask(world, shown=proof(world)).json()
    assert (body["token_type"], claims(body["access_token"])["cnf"]) == ("DPoP", {"jkt": thumbprint(KEYS["ES256"])})
    assert error(ask(world, shown=proof(world, "/par"))) == "invalid_dpop_proof"
    bound = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": GRANTS}
    world.register("careful", **bound, dpop_bound_access_tokens=True)
    assert error(ask(world, "careful")) == "invalid_dpop_proof"
    assert ask(world, "careful", shown=proof(world)).json()["token_type"] == "DPoP"


def test_a_fapi_client_gets_one_by_its_assertion(world):
    key = EC("one")
    world.register("regulated", profile="fapi2", token_endpoint_auth_method="private_key_jwt", grant_types=GRANTS,
                   jwks={"keys": [key.jwk]}, dpop_bound_access_tokens=True)  # fmt: skip

    def form(aud, jti):
        now = int(world.clock.now.timestamp())
        said = {"iss": "regulated", "sub": "regulated", "aud": aud, "jti": jti, "iat": now, "exp": now + 60}
        return {"grant_type": "client_credentials", "scope": QUERY,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": jws(said, {"kid": "one", "typ": "JWT"}, signer=key)}  # fmt: skip

    first = form(ISSUER, "first-one")
    answer = world.post("/token", first, None, dpop=proof(world))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
    assert error(world.post("/token", first, None, dpop=proof(world)), 401) == "invalid_client", "a jti is good once"
    other = world.post("/token", form(f"{ISSUER}/token", "second-one"), None, dpop=proof(world))
    assert error(other, 401) == "invalid_client"
    assert error(world.post("/token", form(ISSUER, "third-one"), None)) == "invalid_dpop_proof"


def test_introspection_tells_it_to_its_own_client(world):
    token = ask(world, shown=proof(world)).json()["access_token"]
    said = world.introspect(token, "ledger").json()
    assert said.pop("active") is True and said.pop("token_type") == "DPoP"
    assert said == claims(token)
    assert world.introspect(token, "rival").json() == {"active": False}
    world.clock.passes(seconds=299)
    assert world.introspect(token, "ledger").json()["active"]
    world.clock.passes(seconds=1)
    assert world.introspect(token, "ledger").json() == {"active": False}


def test_given_back_it_is_worth_nothing_and_others_of_the_client_go_on(world):
    token, other = (ask(world).json()["access_token"] for _ in range(2))
    assert world.post("/revoke", {"token": token}, "rival").status_code == 200
    assert world.introspect(token, "ledger").json()["active"], "Mallory's app cannot give it back"
    for _ in range(2):
        assert world.post("/revoke", {"token": token}, "ledger").status_code == 200
    assert world.introspect(token, "ledger").json() == {"active": False}
    assert world.introspect(other, "ledger").json()["active"]


def test_the_two_kinds_of_token_are_never_taken_for_one_another(world):
    now, keys = world.clock.now.timestamp(), world.house.keys
    own, hers = ask(world).json()["access_token"], world.tokens("budget")["access_token"]
    assert access.read_client(own, keys, ISSUER, now)["sub"] == "ledger"
    assert access.read(hers, keys, ISSUER, now)["client_id"] == "budget"
    for read, token in ((access.read, own), (access.read_client, hers)):
        with pytest.raises(Malformed):
            read(token, keys, ISSUER, now)
    half = {**claims(own), "grant_id": "x", "fam": "y"}
    listed = {**claims(own), "aud": [ISSUER, f"{ISSUER}/data/city-energy"]}
    foreign = {**claims(own), "sub": "rival"}
    for forged in (half, listed, foreign, {**half, **listed, "aud": ISSUER}):
        with pytest.raises(Malformed):
            access.read_client(keys.sign(forged, typ="at+jwt"), keys, ISSUER, now)


def test_the_metadata_tells_grant_and_scopes(world):
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert "client_credentials" in said["grant_types_supported"]
    assert {QUERY, REVOKE} < set(said["scopes_supported"])


def test_what_a_client_registered_holds_from_its_next_call(world):
    """Whatever was remembered of the registration before."""
    assert ask(world).status_code == 200
    world.register("ledger", token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS[:2])
    assert error(ask(world)) == "unauthorized_client"
    world.register("ledger", token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS)
    assert ask(world).status_code == 200
    world.register("ledger", token_endpoint_auth_method="client_secret_post", grant_types=GRANTS)
    assert error(ask(world), 401) == "invalid_client"
    world.register("ledger", token_endpoint_auth_method="client_secret_basic", grant_types=GRANTS)
    with world.house.store.write() as session:
        session.get_one(App, "ledger").secret_sha256 = hashed("another")
    assert error(ask(world), 401) == "invalid_client"


def test_a_client_that_is_suspended_gets_nothing_at_its_next_call(world):
    token = ask(world).json()["access_token"]
    assert world.introspect(token, "ledger").json()["active"] is True
    world.suspend("ledger")
    assert error(ask(world)) == "unauthorized_client"
    assert error(world.introspect(token, "ledger")) == "unauthorized_client"
    assert ask(world, "rival").status_code == 200


def test_of_two_keys_the_registered_one_counts_from_the_next_call(world):
    """What people agree to stays the same when an app changes its keys, and so does the hash of it."""
    old, new = EC(), EC()
    for holds, key in ((old, old), (new, new), (old, old)):
        world.register("signer", token_endpoint_auth_method="private_key_jwt", grant_types=GRANTS,
                       jwks={"keys": [key.jwk]})  # fmt: skip
        for each in (old, new):
            now = int(world.clock.now.timestamp())
            said = {"iss": "signer", "sub": "signer", "aud": ISSUER, "jti": fresh(), "exp": now + 60}
            signed = jws(said, {"typ": "JWT", "kid": "ec"}, signer=each)
            form = {"client_assertion": signed, "client_assertion_type": ASSERTION_TYPE, "scope": QUERY}
            answer = world.post("/token", {"grant_type": "client_credentials", **form}, None)
            assert answer.status_code == (200 if each is holds else 401), answer.text
