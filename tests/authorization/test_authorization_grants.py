"""Grants as apps see and end them (Grant Management §6). G14 and its like name the statements they keep."""

import hashlib
from datetime import datetime

import pytest
from authorization_world import ISSUER
from client_keys import EC, KEYS, b64, proof, thumbprint
from grants_asked import USAGE, Asking

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from tests.tokens import claims

QUERY, REVOKE = "grant_management_query", "grant_management_revoke"
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]
CONFIDENTIAL = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": GRANTS}


@pytest.fixture(autouse=True)
def ledger(world):
    """Two confidential apps that read electricity."""
    world.register("ledger", **CONFIDENTIAL)
    world.register("rival", **CONFIDENTIAL)


def own(world, app="ledger", scope=f"{QUERY} {REVOKE}", shown=None):
    headers = {"dpop": shown} if shown else {}
    form = {"grant_type": "client_credentials", "scope": scope}
    return world.post("/token", form, app, **headers).json()["access_token"]


def call(world, method, grant, token=None, scheme="Bearer", path="/grants/", **headers):
    shown = {"authorization": f"{scheme} {token}"} if token else {}
    return world.browser().request(method, f"{path}{grant}", headers={**shown, **headers})


def query(world, grant, token=None, **more):
    return call(world, "GET", grant, token or own(world), **more)


def end(world, grant, token=None, **more):
    return call(world, "DELETE", grant, token or own(world), **more)


def told(world, person="alice"):
    return [event["event"] for event in world.events(person)]


def over(world, grant, reason=EndReason.WITHDRAWN):
    with world.house.store.write() as session:
        consent = session.get_one(Consent, grant)
        deciding.end(session, world.house.log, consent, herself("alice"), reason, world.clock.now)


# ---- query


def test_G14_an_app_sees_what_is_in_force_now(world):
    began = int(world.clock.now.timestamp())
    body = world.tokens("ledger")
    world.clock.passes(hours=1)
    answer = query(world, body["grant_id"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    said = answer.json()
    until = body["authorization_details"][0]["valid_until"]
    assert said == {
        "scopes": [{"scope": "data_access", "resource": [f"{ISSUER}/data/city-energy"]}],
        "authorization_details": body["authorization_details"],
        "created_at": began,
        "last_updated_at": began,
        "expires_at": int(datetime.fromisoformat(until).timestamp()),
        "updated_by": "client",
        "status": "active",
    }


def test_no_token_is_ever_in_it(world):
    body = world.tokens("ledger")
    said = query(world, body["grant_id"]).text
    assert body["refresh_token"] not in said and body["access_token"] not in said and "alice" not in said


def test_what_the_person_did_since_is_no_change_by_the_client(world):
    grant = world.tokens("ledger")["grant_id"]
    world.clock.passes(minutes=5)
    with world.house.store.write() as session:
        deciding.pause(session, world.house.log, session.get_one(Consent, grant), herself("alice"), world.clock.now)
    said = query(world, grant).json()
    assert (said["status"], said["updated_by"]) == ("paused", "authorization_server")
    assert said["last_updated_at"] - said["created_at"] == 300


def test_G19_what_she_stopped_is_not_found_any_more(world):
    grant = world.tokens("ledger")["grant_id"]
    over(world, grant)
    assert query(world, grant).status_code == 404


def test_G23_what_has_reached_its_end_is_not_found(world):
    grant = world.tokens("ledger")["grant_id"]
    world.clock.passes(days=29, hours=23)
    assert query(world, grant).status_code == 200
    world.clock.passes(hours=1)
    assert query(world, grant).status_code == 404
    assert end(world, grant).status_code == 404


def test_G15_a_foreign_and_an_unknown_grant_are_answered_alike(world):
    hers, rival = world.tokens("ledger")["grant_id"], own(world, "rival")
    answers = [query(world, one, rival) for one in (hers, "unknown", "x" * 43)]
    assert {(one.status_code, one.text) for one in answers} == {(404, answers[0].text)}
    assert [end(world, one, rival).text for one in (hers, "unknown")] == [answers[0].text] * 2
    assert query(world, hers).status_code == 200


@pytest.mark.parametrize("method, scope", [("GET", REVOKE), ("DELETE", QUERY)])
def test_G15_without_the_scope_it_is_403(world, method, scope):
    grant = world.tokens("ledger")["grant_id"]
    answer = call(world, method, grant, own(world, scope=scope))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert query(world, grant).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_G15_without_a_good_token_it_is_401(world, method):
    body = world.tokens("ledger")
    grant, good = body["grant_id"], own(world)
    nobody = call(world, method, grant)
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_token")
    assert (
        nobody.headers["www-authenticate"].startswith("Bearer") and "error=" not in nobody.headers["www-authenticate"]
    )
    old, given_back = own(world), own(world)
    world.post("/revoke", {"token": given_back}, "ledger")
    keys = world.house.keys
    forged = keys.sign({**claims(good), "iss": "https://mallory.example"}, typ="at+jwt")
    for token in (body["access_token"], body["refresh_token"], given_back, forged, good[:-3] + "AAA", "x"):
        answer = call(world, method, grant, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), token
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert call(world, method, grant, good, scheme="Basic").status_code == 401
    assert call(world, method, grant, good, scheme="DPoP").status_code == 401
    world.clock.passes(seconds=300)
    assert call(world, method, grant, old).status_code == 401


def test_a_token_in_the_address_is_no_token(world):
    grant = world.tokens("ledger")["grant_id"]
    assert world.browser().get(f"/grants/{grant}?access_token={own(world)}").status_code == 401


def test_of_a_suspended_app_no_token_opens_anything(world):
    grant, token = world.tokens("ledger")["grant_id"], own(world)
    world.suspend("ledger")
    assert query(world, grant, token).status_code == 401


def bound_proof(world, token, grant, method="GET", **changes):
    ath = b64(hashlib.sha256(token.encode()).digest())
    return proof(world, f"/grants/{grant}", **{"htm": method, "ath": ath, **changes})


def test_a_bound_token_is_good_with_its_proof_alone(world):
    grant, token = world.tokens("ledger")["grant_id"], own(world, shown=proof(world))
    shown = bound_proof(world, token, grant)
    assert query(world, grant, token, scheme="DPoP", dpop=shown).status_code == 200
    again = query(world, grant, token, scheme="DPoP", dpop=shown)
    assert again.status_code == 401 and "invalid_dpop_proof" in again.headers["www-authenticate"]
    assert query(world, grant, token).status_code == 401, "as a bearer token it is worth nothing"
    assert query(world, grant, token, scheme="DPoP").status_code == 401
    assert query(world, grant, token, dpop=bound_proof(world, token, grant)).status_code == 401
    for wrong in ({"key": EC()}, {"ath": "x"}, {"htm": "DELETE"}, {"htu": f"{ISSUER}/grants/other"}):
        assert (
            query(world, grant, token, scheme="DPoP", dpop=bound_proof(world, token, grant, **wrong)).status_code == 401
        )
    assert claims(token)["cnf"] == {"jkt": thumbprint(KEYS["ES256"])}


def test_nonces_where_they_are_needed(world):
    grant, token = world.tokens("ledger")["grant_id"], own(world, shown=proof(world))
    world.setting(dpop_nonces=True)
    first = query(world, grant, token, scheme="DPoP", dpop=bound_proof(world, token, grant))
    assert (first.status_code, first.json()["error"]) == (401, "use_dpop_nonce")
    shown = bound_proof(world, token, grant, nonce=first.headers["dpop-nonce"])
    assert query(world, grant, token, scheme="DPoP", dpop=shown).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_405_for_other_methods(world, method):
    answer = call(world, method, "x", own(world))
    assert answer.status_code == 405


def test_there_is_no_list(world):
    assert world.browser().get("/grants", headers={"authorization": f"Bearer {own(world)}"}).status_code == 404


# ---- end


def test_G16_ended_by_the_app_everything_is_dead_at_once(world):
    body = world.tokens("ledger")
    answer = end(world, body["grant_id"])
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")
    refused = world.refresh(body["refresh_token"], "ledger")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    for token in (body["access_token"], body["refresh_token"]):
        assert world.introspect(token, "ledger").json() == {"active": False}
    assert query(world, body["grant_id"]).status_code == 404


def test_G17_ended_twice_it_is_told_once(world):
    grant = world.tokens("ledger")["grant_id"]
    assert [end(world, grant).status_code for _ in range(3)] == [204, 404, 404]
    assert told(world).count("consent_ended") == 1


def test_G18_the_person_still_sees_it_and_that_the_app_ended_it(world):
    grant = world.tokens("ledger")["grant_id"]
    end(world, grant)
    with world.session() as session:
        consent = session.get_one(Consent, grant)
        assert (consent.state, consent.reason) == ("ended", "by_app")
        assert deciding.current(session, consent)["consent"] == grant
    assert world.events("alice")[-1]["reason"] == "by_app"


def test_a_paused_grant_can_be_ended(world):
    grant = world.tokens("ledger")["grant_id"]
    with world.house.store.write() as session:
        deciding.pause(session, world.house.log, session.get_one(Consent, grant), herself("alice"), world.clock.now)
    assert end(world, grant).status_code == 204


def test_ending_one_grant_ends_no_other(world):
    first = world.tokens("ledger", "alice")
    second = world.tokens("ledger", "bob")
    end(world, first["grant_id"])
    assert world.refresh(second["refresh_token"], "ledger").status_code == 200


# ---- under other names


def test_uk_open_banking_reads_and_ends_the_same_grant(world):
    grant = world.tokens("ledger")["grant_id"]
    at = "/account-access-consents/"
    said = query(world, grant, path=at).json()["Data"]
    assert (said["ConsentId"], said["Status"]) == (grant, "AUTH")
    assert said["ExpirationDateTime"] > said["CreationDateTime"] == said["StatusUpdateDateTime"]
    assert query(world, grant, own(world, "rival"), path=at).status_code == 404
    assert call(world, "GET", grant, path=at).status_code == 401
    assert end(world, grant, own(world, scope=QUERY), path=at).status_code == 403
    assert end(world, grant, path=at).status_code == 204
    assert query(world, grant).status_code == 404, "and it does not come back"


def test_an_australian_arrangement_is_the_same_grant(world):
    body = world.tokens("ledger")
    assert body["cdr_arrangement_id"] == body["grant_id"]
    form = {"cdr_arrangement_id": body["cdr_arrangement_id"]}
    for app, sent in (("rival", form), ("ledger", {"cdr_arrangement_id": "unknown"}), ("ledger", {"other": "x"})):
        refused = world.post("/arrangements/revoke", sent, app)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"].endswith("Authorisation/InvalidArrangement")
    assert world.post("/arrangements/revoke", form, "ledger").status_code == 204
    assert world.introspect(body["refresh_token"], "ledger").json() == {"active": False}
    assert world.post("/arrangements/revoke", form, "ledger").status_code == 422


def test_the_metadata_names_the_addresses(world):
    said = world.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["grant_management_endpoint"] == f"{ISSUER}/grants"
    assert said["cdr_arrangement_revocation_endpoint"] == f"{ISSUER}/arrangements/revoke"
    assert "" not in said


def test_T30_one_of_several_accounts_ends_and_the_app_reads_it_everywhere(world):
    both = {"accounts:city-energy": ["point-1", "point-2"]}
    body = Asking(world).first(USAGE, **both)
    keep, gone = frozenset({("city-energy", USAGE)}), frozenset({("city-energy", "point-2")})
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        assert deciding.keep_only(session, world.house.log, consent, herself("alice"), keep, world.clock.now, gone)
    again = world.refresh(body["refresh_token"], "ledger").json()
    seen = world.introspect(body["access_token"], "ledger").json()
    for said in (again, seen, query(world, body["grant_id"]).json()):
        assert [one["accounts"] for one in said["authorization_details"]] == [["point-1"]]
