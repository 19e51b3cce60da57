"""OpenID Connect: who signs in with her account here, what an app learns of her, and what she agreed to (Core 1.0)."""

import json

import jwt
import pytest
from authorization_world import CALLBACK, ISSUER, Page, answered, usage, visible
from client_keys import EC, b64, proof

from gateway.apps import declare
from gateway.apps.tables import App
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
    assert "Period of the data" not in text and "says:" not in text


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


def test_who_agrees_for_a_child_is_not_signed_in_as_the_child(site):
    chloe = site.browser("chloe")
    page = login(site, chloe)
    assert "guardian" in visible(page.text)
    address, alice = str(page.request.url), site.browser("alice", ("pwd", "otp"))
    screen = Page(alice.get(address).text)
    agreed_to = alice.post(screen.action, data={**screen.fields, "decision": "allow"})
    after = alice.get(agreed_to.headers["location"])
    assert not Page(after.text).refresh and "Chloe signs in now" in visible(after.text)
    assert "consent_given" in [event["event"] for event in site.events("chloe")]
    site.clock.passes(seconds=60)
    site.sign_in(chloe, "chloe")
    body = site.redeem(answered(chloe.get(address))["code"], "site").json()
    said = claims(body["id_token"])
    assert (said["auth_time"], said["amr"]) == (int(site.clock.now.timestamp()), ["pwd"])
    assert userinfo(site, body["access_token"]).json()["name"] == "Chloe"
    assert "code=" in login(site, chloe, prompt="none").headers["location"]


# ---- the sign-in that an app must have


def id_token(**must):
    return json.dumps({"id_token": must})


def test_an_essential_acr_is_had_or_there_is_no_sign_in(site):
    wanted = id_token(acr={"essential": True, "values": ["urn:aval:acr:two-factors", "other"]})
    browser = site.browser("alice")
    agreed(site, browser)
    site.clock.passes(seconds=1)
    assert "error=login_required" in login(site, browser, claims=wanted, prompt="none").headers["location"]
    again = login(site, browser, claims=wanted)
    assert again.headers["location"].startswith("/sign-in?again=1")
    site.clock.passes(seconds=1)
    site.sign_in(browser, "alice")
    assert answered(browser.get(str(again.request.url)))["error"] == "unmet_authentication_requirements"
    site.sign_in(browser, "alice", ("pwd", "otp"))
    code = answered(browser.get(str(again.request.url)))["code"]
    assert claims(site.redeem(code, "site").json()["id_token"])["acr"] == "urn:aval:acr:two-factors"
    stronger = id_token(acr={"essential": True, "value": "urn:aval:acr:one-factor"})
    assert "code" in answered(login(site, browser, claims=stronger))


@pytest.mark.parametrize("acr", [{"values": ["x"]}, {"essential": True}, None, {"essential": True, "values": []}])
def test_an_acr_that_is_not_essential_or_any_is_no_condition(site, acr):
    assert "code" in answered(agreed(site, site.browser("alice"), claims=id_token(acr=acr)))


@pytest.mark.parametrize(
    ("must", "told"),
    [
        ({"acr": {"essential": True, "value": "phr"}}, "unmet_authentication_requirements"),
        ({"acr": {"essential": True, "value": 1}}, "invalid_request"),
        ({"sub": {"values": "x"}}, "invalid_request"),
        ({"sub": {"values": [None]}}, "invalid_request"),
    ],
)
def test_conditions_that_nobody_can_meet(site, must, told):
    assert answered(login(site, site.browser("alice"), claims=id_token(**must)))["error"] == told


def test_somebody_else_is_not_signed_in_for_the_one_that_was_asked_for(site):
    sub = claims(tokens(site)["id_token"])["sub"]
    bob = site.browser("bob")
    agreed(site, bob)
    site.clock.passes(seconds=1)
    wanted = id_token(sub={"value": sub})
    assert "error=login_required" in login(site, bob, claims=wanted, prompt="none").headers["location"]
    again = login(site, bob, claims=wanted)
    assert again.headers["location"].startswith("/sign-in?again=1")
    site.clock.passes(seconds=1)
    site.sign_in(bob, "bob")
    assert answered(bob.get(str(again.request.url)))["error"] == "login_required"
    assert "code=" in login(site, site.browser("alice"), claims=wanted, prompt="none").headers["location"]


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
    assert entry["datasets"] == ["identity.sign-in", "identity.email"]


@pytest.mark.parametrize("name", ["a\\u0000b", "a\\nb", "email\\n", "", "é"])
def test_a_claim_of_any_name_is_passed_over(site, name):
    body = tokens(site, scope="openid", claims=f'{{"id_token": {{"{name}": null}}, "userinfo": {{"{name}": null}}}}')
    assert "email" not in claims(body["id_token"])


def test_the_log_names_what_was_told_and_nothing_else(site):
    wanted = json.dumps({"id_token": {"name": None}})
    body = tokens(site, claims=wanted, person="bob")  # with his address, which the token does not tell
    assert "email" not in claims(body["id_token"])
    (entry,) = [event for event in site.events("bob") if event["event"] == "access"]
    assert entry["fields_delivered"] == ["sign-in.subject", "profile.name"]
    assert (entry["datasets"], entry["fields_withheld"]) == (["identity.sign-in", "identity.profile"], 1)


def test_what_userinfo_may_not_tell_no_id_token_tells(site):
    wanted = json.dumps({"id_token": {"email": None}})
    body = tokens(site, claims=wanted)
    with site.house.store.write() as session:  # registered anew, for another purpose
        app = session.get_one(App, "site")
        app.metadata_ = {**app.metadata_, "purposes": ["energy-advice"]}
    for refused in (userinfo(site, body["access_token"]), site.refresh(body["refresh_token"], "site")):
        assert error(refused, 403) == "access_denied"
        assert refused.json()["reason"] == "purpose"
    assert len([event for event in site.events("alice") if event["event"] == "access"]) == 1


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


def test_introspection_tells_of_a_token_only_what_it_is_good_for(world):
    world.register("both", scope="openid", token_endpoint_auth_method="client_secret_basic")
    code = answered(world.agree(world.browser("alice"), world.pushed("both", [usage()], scope="openid")))["code"]
    at = f"{ISSUER}/userinfo", f"{ISSUER}/data/city-energy"
    first = world.redeem(code, "both", resource=at[0]).json()
    second = world.refresh(first["refresh_token"], "both", resource=at[1]).json()
    for place, body in zip(at, (first, second), strict=True):
        said = world.introspect(body["access_token"], "both").json()
        assert said["aud"] == [place]
        assert said["authorization_details"] == body["authorization_details"]
        assert [one["locations"] for one in said["authorization_details"]] == [[place]]
    whole = world.introspect(first["refresh_token"], "both").json()["authorization_details"]
    assert [one["locations"] for one in whole] == [[at[1]], [at[0]]]
    assert userinfo(world, second["access_token"]).status_code == 401


def test_a_purpose_that_does_not_cover_her_name_does_not_give_it(world):
    world.register("meter-plus", scope="openid profile")
    told = world.push("meter-plus", [usage()], scope="openid profile").json()
    assert (told["error"], told["term"]) == ("invalid_authorization_details", "scope")


def test_scopes_that_were_not_registered(world, site):
    assert error(world.push("meter", scope="openid"), 400) == "invalid_scope"
    assert error(world.push("meter", [usage()], scope="data_access email"), 400) == "invalid_scope"
    assert "error=invalid_scope" in login_address(site, scope="admin")
    assert "error=invalid_scope" in login_address(site, scope="openid energy:usage")


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


def test_two_tokens_are_one_too_many(site):
    token = tokens(site)["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    answer = site.browser().post("/userinfo", data={"access_token": token}, headers=headers)
    assert error(answer, 400) == "invalid_request"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_request"'


@pytest.mark.parametrize("limit", [{"frequency": {"times": 1, "per": "day"}}, {"max_records": 1}])
def test_no_limit_is_promised_that_nothing_keeps(world, limit):
    world.register("site", **SITE)
    asked = {**usage(), "locations": [f"{ISSUER}/userinfo"], "datatypes": ["identity.email"], "purpose": "sign-in",
             "fields": ["email.address"], "period": {"history": "P1D", "future": True}}  # fmt: skip
    assert world.push("site", [asked], scope="openid").status_code == 201
    told = world.push("site", [{**asked, **limit}], scope="openid")
    assert error(told, 400) == "invalid_authorization_details"
    assert told.json()["term"] in limit


def test_the_screen_says_that_an_account_is_read_as_often_as_the_app_asks(site):
    assert "as often as the app asks" in visible(login(site, site.browser("alice")).text)


def test_without_a_token_every_way_to_show_one_is_offered(site):
    """RFC 9110 §11.6.1: one field, two challenges; no error, since nothing was tried (RFC 6750 §3.1)."""
    bearer, dpop = site.browser().get("/userinfo").headers["www-authenticate"].split(", ")
    assert bearer == 'Bearer realm="aval"' and dpop.startswith('DPoP algs="') and "ES256" in dpop.split()[1]
    assert userinfo(site, "x").headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert userinfo(site, "x", "DPoP").headers["www-authenticate"].startswith("DPoP algs=")


def test_what_was_granted_of_an_account_is_a_request_for_the_same(site):
    granted = tokens(site)["authorization_details"]
    assert len(granted) == 3 and {tuple(one["frequency"]) for one in granted} == {()}
    again = tokens(site, authorization_details=json.dumps(granted))["authorization_details"]
    assert [{**one, "valid_until": ""} for one in again] == [{**one, "valid_until": ""} for one in granted]


def test_a_scope_or_claim_that_the_purpose_does_not_cover_is_named(site):
    site.register("both", **{**SITE, "purposes": ["sign-in", "energy-advice"], "scope": "openid profile email"})
    site.register("meters", **{**SITE, "purposes": ["energy-advice"], "scope": "openid profile email"})
    for app in ("both", "meters"):
        refused = site.push(app, [usage()], scope="openid profile").json()
        assert (refused["error"], refused["term"]) == ("invalid_authorization_details", "scope")
        assert (refused["asked"], refused["allowed"]) == ("profile", "openid") and "energy-advice" in refused["why"]
        wanted = json.dumps({"userinfo": {"email": None, "no_such_claim": None}})
        refused = site.push(app, [usage()], scope="openid", claims=wanted).json()
        assert (refused["term"], refused["asked"]) == ("claims", "email")
        assert set(refused["allowed"].split()) == {"sub", "auth_time", "acr", "amr"}


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


def test_T8_what_she_left_out_is_not_asked_again_at_each_sign_in(site):
    wished = {"scope": "openid", "claims": '{"userinfo": {"email": null}}'}
    browser = site.browser("alice")
    body = tokens(site, **wished)
    assert "email" not in userinfo(site, body["access_token"]).json(), "she did not tick it"
    silent = login(site, browser, prompt="none", **wished)
    assert "code=" in silent.headers["location"]
    again = login(site, browser, **wished)
    assert "/consent/" not in again.text and "/authorize/continue" not in again.text, "nor is it shown once more"
