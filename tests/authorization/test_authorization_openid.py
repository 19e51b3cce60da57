"""OpenID Connect: who signs in with her account here, what an app learns of her, and what she agreed to (Core 1.0)."""

import json

import jwt
import pytest
from authorization_world import CALLBACK, ISSUER, Page, answered, usage, visible
from client_keys import EC, b64, proof

from gateway.apps import declare
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from tests.tokens import claims

SITE = {"profile": "oidc", "token_endpoint_auth_method": "client_secret_basic", "purposes": ["sign-in"], "data": []}


@pytest.fixture
def site(world):
    world.register("site", **SITE)
    return world


def login(world, browser, app="site", **changes):
    """What /authorize shows first."""
    changes = {"scope": "openid profile email", "nonce": "n-0S6", **changes}
    address = browser.get("/authorize", params={"client_id": app, **world.request(app, **changes)})
    return browser.get(address.headers["location"]) if address.status_code == 303 else address


def agreed(world, browser, app="site", decision="allow", tick=(), **changes):
    screen = login(world, browser, app, **changes)
    page = Page(screen.text)
    assert page.action, visible(screen.text)
    form = {**page.fields, "decision": decision, **dict.fromkeys(tick, "yes")}
    answer = browser.post(page.action, data=form)
    return browser.get(answer.headers["location"])


def tokens(world, app="site", person="alice", tick=(), **changes):
    code = answered(agreed(world, world.browser(person), app, tick=tick, **changes))["code"]
    answer = world.redeem(code, app)
    assert answer.status_code == 200, answer.text
    return answer.json()


def userinfo(world, token, scheme="Bearer", method="GET", **headers):
    return world.browser().request(method, "/userinfo", headers={"authorization": f"{scheme} {token}", **headers})


def error(answer, status):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


# ---- signing in


def test_an_id_token_says_who_and_when_for_this_app(site):
    body = tokens(site)
    said = claims(body["id_token"])
    now = int(site.clock.now.timestamp())
    assert said == {
        "iss": ISSUER, "aud": "site", "sub": said["sub"], "iat": now, "exp": now + 300, "auth_time": now,
        "nonce": "n-0S6", "acr": "urn:aval:acr:one-factor", "amr": ["pwd"], "sid": said["sid"],
    }  # fmt: skip
    assert body["scope"] == "openid profile email"
    access = claims(body["access_token"])
    assert (access["sub"], access["aud"]) == (said["sub"], [f"{ISSUER}/userinfo"])
    assert signed_by(site, body["id_token"]) == "RS256"


def signed_by(world, token):
    """The algorithm of a token, whose signature is by a key that is published for it."""
    keys = world.browser().get("/jwks.json").json()["keys"]
    header = jwt.get_unverified_header(token)
    (key,) = [one for one in keys if one["kid"] == header["kid"]]
    assert (key["alg"], key["use"], header["typ"]) == (header["alg"], "sig", "JWT")
    public = jwt.PyJWK(key)
    jwt.decode(token, public, algorithms=[key["alg"]], options={"verify_aud": False, "verify_exp": False,
               "verify_iat": False})  # fmt: skip
    return key["alg"]


@pytest.mark.parametrize("alg", ["ES256", "PS256", "RS256", "EdDSA"])
def test_the_algorithm_that_the_site_registered(world, alg):
    world.register("chosen", **{**SITE, "id_token_signed_response_alg": alg})
    assert signed_by(world, tokens(world, "chosen")["id_token"]) == alg


def test_userinfo_tells_what_was_agreed_and_alice_reads_it_in_her_log(site):
    body = tokens(site)
    told = userinfo(site, body["access_token"])
    assert told.headers["cache-control"] == "no-store"
    assert told.json() == {
        "sub": claims(body["id_token"])["sub"], "name": "Alice", "locale": "en",
        "email": "alice@example.org", "email_verified": False,
    }  # fmt: skip
    last = site.events("alice")[-1]
    assert (last["event"], last["client"], last["organisation"]) == ("access", "site", "@self")
    assert last["datasets"] == ["identity.sign-in", "identity.profile", "identity.email"]
    assert "alice@example.org" not in json.dumps(last)
    assert userinfo(site, body["access_token"], method="POST").json() == told.json()


def test_openid_alone_tells_nothing_but_the_identifier(site):
    body = tokens(site, scope="openid")
    assert userinfo(site, body["access_token"]).json() == {"sub": claims(body["id_token"])["sub"]}


def test_two_sites_know_her_by_two_names(site):
    site.register("other-site", **SITE)
    assert claims(tokens(site)["id_token"])["sub"] != claims(tokens(site, "other-site")["id_token"])["sub"]


def test_the_screen_says_what_the_site_learns(site):
    text = visible(login(site, site.browser("alice")).text)
    assert "That it is you" in text and "Your name" in text and "Your e-mail address" in text
    assert "alice@example.org" in text
    assert "Site asks to know who you are" in text
    assert "Period of the data" not in text and "says:" not in text and "How often" not in text


def test_whoever_agreed_is_signed_in_without_a_question_until_she_stops_it(site):
    browser = site.browser("alice")
    first = claims(site.redeem(answered(agreed(site, browser))["code"], "site").json()["id_token"])
    again = answered(login(site, browser))
    second = site.redeem(again["code"], "site").json()
    assert claims(second["id_token"])["sub"] == first["sub"]
    with site.house.store.write() as session:
        consent = session.get_one(Consent, second["grant_id"])
        assert deciding.end(session, site.house.log, consent, herself("alice"), EndReason.WITHDRAWN, site.clock.now)
    assert error(userinfo(site, second["access_token"]), 401) == "invalid_token"
    assert Page(login(site, browser).text).action, "she is asked again"


def test_prompt_consent_asks_and_prompt_none_does_not(site):
    browser = site.browser("alice")
    silent = login(site, browser, prompt="none")
    assert "error=consent_required" in silent.headers["location"]
    agreed(site, browser)
    assert "code=" in login(site, browser, prompt="none").headers["location"]
    assert Page(login(site, browser, prompt="consent").text).action
    nobody = login(site, site.browser(), prompt="none")
    assert "error=login_required" in nobody.headers["location"]


def test_more_than_before_is_asked(site):
    browser = site.browser("alice")
    agreed(site, browser, scope="openid")
    assert "error=consent_required" in login(site, browser, scope="openid email", prompt="none").headers["location"]


def test_refusing_is_an_answer(site):
    assert answered(agreed(site, site.browser("alice"), decision="refuse"))["error"] == "access_denied"


def test_a_second_factor_shows_in_acr(site):
    for methods, acr in ((("pwd", "otp"), "two-factors"), (("hwk", "user"), "two-factors"), (("pwd",), "one-factor")):
        browser = site.browser("bob", methods)
        code = answered(login(site, browser) if methods != ("pwd", "otp") else agreed(site, browser))["code"]
        said = claims(site.redeem(code, "site").json()["id_token"])
        assert (said["acr"], said["amr"]) == (f"urn:aval:acr:{acr}", list(methods))


def test_refreshing_gives_an_id_token_of_the_same_sign_in(site):
    body = tokens(site)
    site.clock.passes(seconds=120)
    first, again = claims(body["id_token"]), claims(site.refresh(body["refresh_token"], "site").json()["id_token"])
    assert {name: again[name] for name in ("iss", "sub", "aud", "auth_time", "sid")} == {
        name: first[name] for name in ("iss", "sub", "aud", "auth_time", "sid")
    }
    assert "nonce" not in again and again["iat"] == first["iat"] + 120


# ---- claims


def test_a_claim_that_is_not_essential_is_the_persons_choice(site):
    wanted = json.dumps({"userinfo": {"email": None, "birthdate": {"essential": True}, "colour": None}})
    without = tokens(site, scope="openid", claims=wanted)
    told = userinfo(site, without["access_token"]).json()
    assert told == {"sub": told["sub"], "birthdate": "1980-01-01"}
    ticked = tokens(site, person="bob", scope="openid", claims=wanted, tick=["item:@self:identity.email"])
    told = userinfo(site, ticked["access_token"]).json()
    assert told["email"] == "bob@example.org" and "birthdate" not in told  # bob gave none


def test_claims_in_the_id_token_itself_are_recorded_like_any_reading(site):
    wanted = json.dumps({"id_token": {"email": {"essential": True}, "auth_time": None}})
    body = tokens(site, scope="openid", claims=wanted)
    assert claims(body["id_token"])["email"] == "alice@example.org"
    (entry,) = [event for event in site.events("alice") if event["event"] == "access"]
    assert entry["operation"] == "id_token"


@pytest.mark.parametrize(
    "sent", ["[]", "{", '{"userinfo": []}', '{"userinfo": {"email": 1}}', '{"a":' * 20 + "1" + "}" * 20]
)
def test_claims_that_cannot_be_read(site, sent):
    answer = site.browser("alice").get(
        "/authorize", params={"client_id": "site", **site.request("site", scope="openid", claims=sent)}
    )
    assert answered(answer)["error"] == "invalid_request"


# ---- with data


def test_data_and_who_she_is_are_one_agreement(world):
    world.register("meter-plus", scope="openid")
    code = answered(world.agree(world.browser("alice"), world.pushed("meter-plus", [usage()], scope="openid")))["code"]
    body = world.redeem(code, "meter-plus").json()
    assert body["scope"] == "openid data_access"
    assert claims(body["access_token"])["aud"] == [f"{ISSUER}/data/city-energy", f"{ISSUER}/userinfo"]
    assert [one["locations"] for one in body["authorization_details"]] == [
        [f"{ISSUER}/data/city-energy"], [f"{ISSUER}/userinfo"]
    ]  # fmt: skip
    assert userinfo(world, body["access_token"]).json() == {"sub": claims(body["id_token"])["sub"]}


def test_a_purpose_that_does_not_cover_her_name_does_not_give_it(world):
    world.register("meter-plus", scope="openid profile")
    told = world.push("meter-plus", [usage()], scope="openid profile").json()
    assert (told["error"], told["term"]) == ("invalid_authorization_details", "datatypes")


def test_scopes_that_were_not_registered(world, site):
    assert error(world.push("meter", scope="openid"), 400) == "invalid_scope"
    assert error(world.push("meter", [usage()], scope="data_access email"), 400) == "invalid_scope"
    assert "error=invalid_scope" in login_address(site, scope="openid admin")


def login_address(world, **changes):
    return Page(
        world.browser().get("/authorize", params={"client_id": "site", **world.request("site", **changes)}).text
    ).refresh


# ---- userinfo, and Mallory


def test_tokens_that_open_nothing_at_userinfo(site):
    body = tokens(site)
    data = site.tokens("meter")["access_token"]  # for an organisation
    for token in ("", "x", data, body["id_token"], body["refresh_token"], body["access_token"] + "A"):
        answer = userinfo(site, token)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    in_address = site.browser().get("/userinfo", params={"access_token": body["access_token"]})
    assert in_address.status_code == 401
    in_form = site.browser().post("/userinfo", data={"access_token": body["access_token"]})
    assert in_form.json()["name"] == "Alice"
    site.clock.passes(seconds=301)
    assert error(userinfo(site, body["access_token"]), 401) == "invalid_token"


def test_without_openid_it_is_forbidden(world):
    world.register("asker", purposes=["sign-in"], data=[], token_endpoint_auth_method="client_secret_basic")
    details = [{**usage(), "locations": [f"{ISSUER}/userinfo"], "datatypes": ["identity.email"], "purpose": "sign-in",
                "fields": ["email.address"], "period": {"history": "P1D", "future": True}}]  # fmt: skip
    code = answered(world.agree(world.browser("alice"), world.pushed("asker", details)))["code"]
    body = world.redeem(code, "asker").json()
    refused = userinfo(world, body["access_token"])
    assert error(refused, 403) == "insufficient_scope"
    assert 'scope="openid"' in refused.headers["www-authenticate"]


def test_a_bound_token_is_worth_nothing_without_its_key(site):
    code = answered(agreed(site, site.browser("alice")))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": "v" * 43}
    token = site.post("/token", form, "site", dpop=proof(site)).json()["access_token"]
    assert userinfo(site, token).status_code == 401
    assert userinfo(site, token, "DPoP").status_code == 401
    import hashlib

    ath = b64(hashlib.sha256(token.encode()).digest())
    for wrong in ({"key": EC()}, {"ath": "AAAA"}, {"htm": "POST"}, {"htu": f"{ISSUER}/token"}):
        shown = proof(site, "/userinfo", **{"htm": "GET", "ath": ath, **wrong})
        assert userinfo(site, token, "DPoP", dpop=shown).status_code == 401
    right = proof(site, "/userinfo", htm="GET", ath=ath)
    assert userinfo(site, token, "DPoP", dpop=right).json()["name"] == "Alice"
    assert userinfo(site, token, "DPoP", dpop=right).status_code == 401, "once"


def test_a_suspended_app_learns_nothing_more(site):
    body = tokens(site)
    site.suspend("site")
    refused = userinfo(site, body["access_token"])
    assert error(refused, 403) == "access_denied"
    assert refused.json()["reason"] == "suspended"


def test_once_is_once(site):
    screen = login(site, browser := site.browser("alice"))
    page = Page(screen.text)
    answer = browser.post(page.action, data={**page.fields, "duration": "once", "decision": "allow"})
    body = site.redeem(answered(browser.get(answer.headers["location"]))["code"], "site").json()
    assert userinfo(site, body["access_token"]).status_code == 200
    assert userinfo(site, body["access_token"]).status_code == 401


def test_a_signed_answer_of_userinfo(world):
    world.register("signed", **{**SITE, "userinfo_signed_response_alg": "ES256"})
    body = tokens(world, "signed")
    answer = userinfo(world, body["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    assert signed_by(world, answer.text) == "ES256"
    said = claims(answer.text)
    assert (said["iss"], said["aud"], said["name"]) == (ISSUER, "signed", "Alice")


# ---- what is said of it


def test_discovery(world):
    first = world.browser().get("/.well-known/openid-configuration").json()
    assert first == world.browser().get("/.well-known/oauth-authorization-server").json()
    assert first["userinfo_endpoint"] == f"{ISSUER}/userinfo"
    assert first["scopes_supported"][:5] == ["openid", "profile", "email", "data_access", "offline_access"]
    assert first["subject_types_supported"] == ["pairwise"]
    assert first["claims_parameter_supported"] is True
    assert {"sub", "name", "email", "birthdate", "acr", "auth_time"} <= set(first["claims_supported"])


def test_a_registration_that_asks_for_nothing():
    from authorization_world import declaration

    assert [fault.key for fault in declare.check(declaration("none", data=[]))] == ["data"]
    assert declare.check(declaration("none", data=[], scope="openid")) == []
