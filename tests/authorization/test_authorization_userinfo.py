"""/userinfo as a resource: named like the others, and what it refuses stands in her log like a refused data call."""

import pytest
from authorization_world import ISSUER, Page, answered, usage

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from tests.tokens import claims

USERINFO, ENERGY = f"{ISSUER}/userinfo", f"{ISSUER}/data/city-energy"


@pytest.fixture
def site(world):
    world.register("site", profile="oidc", token_endpoint_auth_method="client_secret_basic", scope="openid email",
                   purposes=["sign-in", "energy-advice"])  # fmt: skip
    return world


def tokens(world, details=None, tick=(), **changes):
    browser = world.browser("alice")
    page = Page(browser.get(world.pushed("site", details, **{"scope": "openid email", **changes})).text)
    form = {**page.fields, "accounts:city-energy": "point-1", "decision": "allow", **dict.fromkeys(tick, "yes")}
    answer = browser.post(page.action, data=form)
    answer = world.redeem(answered(browser.get(answer.headers["location"]))["code"], "site")
    assert answer.status_code == 200, answer.text
    return answer.json()


def reads(world, body, method="GET"):
    return world.browser().request(method, "/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})


def changes(world, body, act, *more):
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        assert act(session, world.house.log, consent, herself("alice"), *more, world.clock.now)


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


# ---- as `resource`


def test_userinfo_is_named_as_resource_like_an_organisation(site):
    body = tokens(site, resource=USERINFO)
    assert claims(body["access_token"])["aud"] == [USERINFO] and reads(site, body).json()["email"]


def test_it_limits_the_tokens_of_a_request_for_data_too(site):
    asked = usage()
    body = tokens(site, [asked], scope="openid data_access", resource=USERINFO)
    assert len(body["authorization_details"]) == 1 and claims(body["access_token"])["aud"] == [USERINFO]
    assert error(site.refresh(body["refresh_token"], "site", resource=ENERGY)) == "invalid_target"
    other = tokens(site, [usage(fields=["interval.start"])], scope="openid data_access", resource=[ENERGY, USERINFO])
    assert claims(other["access_token"])["aud"] == [ENERGY, USERINFO]


def test_without_openid_it_is_no_target(site):
    assert error(site.push("site", scope="data_access", resource=USERINFO)) == "invalid_target"
    for wrong in (f"{USERINFO}/", f"{ISSUER}/token", ISSUER, "https://elsewhere.example/userinfo"):
        assert error(site.push("site", scope="openid", resource=wrong)) == "invalid_target"


def test_beside_a_plain_scope_it_is_not_where_the_data_is(world):
    world.register("mixed", profile="oidc", token_endpoint_auth_method="client_secret_basic", data=[],
                   scope="openid energy:usage", purposes=["sign-in", "energy-advice"])  # fmt: skip
    only = world.push("mixed", "", authorization_details=None, scope="openid energy:usage", resource=USERINFO)
    assert error(only) == "invalid_target"
    both = world.push("mixed", "", authorization_details=None, scope="openid energy:usage", resource=[ENERGY, USERINFO])
    assert both.status_code == 201, both.text


# ---- HEAD


def test_nobody_reads_the_headers_alone_and_nothing_is_recorded(site):
    body = tokens(site)
    before = site.events("alice")
    answer = reads(site, body, "HEAD")
    assert answer.status_code == 405 and "GET" in answer.headers["allow"]
    assert site.events("alice") == before


# ---- what is refused


def refusals(world):
    return [event for event in world.events("alice") if event["event"] == "denied"]


def test_while_it_is_paused_she_reads_that_the_app_asked(site):
    body = tokens(site)
    changes(site, body, deciding.pause)
    assert error(reads(site, body), 403) == "access_denied"
    (told,) = refusals(site)
    assert (told["reason"], told["status"], told["organisation"], told["client"]) == ("paused", 403, "@self", "site")
    assert told["consent"] == body["grant_id"]


def test_after_she_stopped_it_too(site):
    body = tokens(site)
    changes(site, body, deciding.end, EndReason.WITHDRAWN)
    assert error(reads(site, body), 401) == "invalid_token"
    assert [one["reason"] for one in refusals(site)] == ["ended"]


def test_a_policy_that_refuses_is_told(site):
    body = tokens(site)
    site.suspend("site")
    assert error(reads(site, body), 403) == "access_denied"
    assert [one["reason"] for one in refusals(site)] == ["suspended"]


def test_a_token_without_openid_is_told(site):
    body = tokens(site)
    few = {**claims(body["access_token"]), "scope": "data_access"}
    token = site.house.keys.sign(few, typ="at+jwt")
    assert error(reads(site, {"access_token": token}), 403) == "insufficient_scope"
    assert [one["reason"] for one in refusals(site)] == ["dataset"]


def test_of_tokens_that_were_given_back_or_are_nobodys_she_reads_nothing(site):
    body = tokens(site)
    site.post("/revoke", {"token": body["access_token"]}, "site")
    assert error(reads(site, body), 401) == "invalid_token"
    assert error(reads(site, {"access_token": "x"}), 401) == "invalid_token"
    assert not refusals(site)


def test_a_looping_app_neither_fills_her_log_nor_hides_in_the_flood(site):
    body = tokens(site)
    changes(site, body, deciding.pause)
    for _ in range(100):
        reads(site, body)
    told = refusals(site)
    assert [one.get("more") for one in told] == [None] * 20 + [20, 40]
    assert told[-1]["reasons"] == {"paused": 40}
    site.clock.passes(seconds=61)
    reads(site, body)
    assert "more" not in refusals(site)[-1] and len(refusals(site)) == 23


def test_mallorys_log_says_nothing_of_it(site):
    body = tokens(site)
    changes(site, body, deciding.pause)
    reads(site, body)
    assert not [event for event in site.events("mallory") if event["event"] == "denied"]
