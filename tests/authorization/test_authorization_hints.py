"""An ID token that an app sends back as a hint: it means the person whom it names, and nobody else (Core §3.1.2.1)."""

import pytest
from authorization_world import Page, answered

from gateway.ground.keys import KeyRing
from tests.tokens import claims

SITE = {"profile": "oidc", "token_endpoint_auth_method": "client_secret_basic", "purposes": ["sign-in"], "data": []}


@pytest.fixture
def site(world):
    world.register("site", **SITE)
    return world


def agrees(world, browser, app="site"):
    page = Page(browser.get(world.pushed(app, scope="openid")).text)
    answer = browser.post(page.action, data={**page.fields, "decision": "allow"})
    return world.redeem(answered(browser.get(answer.headers["location"]))["code"], app).json()["id_token"]


def error(answer):
    assert answer.status_code == 400, (answer.status_code, answer.text)
    return answer.json()["error"]


def located(answer):
    assert answer.status_code == 303, answer.text[:300]
    return answer.headers["location"]


@pytest.fixture
def hers(site):
    """Alice's ID token; Bob has agreed too."""
    agrees(site, site.browser("bob"))
    return agrees(site, site.browser("alice"))


def test_her_own_is_no_hindrance(site, hers):
    silently = site.pushed("site", scope="openid", prompt="none", id_token_hint=hers)
    assert "code=" in located(site.browser("alice").get(silently))
    assert "code" in answered(site.browser("alice").get(site.pushed("site", scope="openid", id_token_hint=hers)))


def test_somebody_else_is_silently_told_that_a_sign_in_is_required(site, hers):
    bob = site.browser("bob")
    site.clock.passes(seconds=5)
    told = located(bob.get(site.pushed("site", scope="openid", prompt="none", id_token_hint=hers)))
    assert "error=login_required" in told and "code=" not in told
    plain = site.request("site", scope="openid", prompt="none", id_token_hint=hers)
    opened = bob.get(located(bob.get("/authorize", params={"client_id": "site", **plain})))
    assert "error=login_required" in located(opened)


def test_without_silence_she_signs_in_as_the_other(site, hers):
    browser = site.browser("bob")
    site.clock.passes(seconds=5)
    address = site.pushed("site", scope="openid", id_token_hint=hers)
    again = located(browser.get(address))
    assert again.startswith("/sign-in?again=1") and again.endswith("&why=another")
    site.clock.passes(seconds=5)
    site.sign_in(browser, "alice")
    code = answered(browser.get(address))["code"]
    assert claims(site.redeem(code, "site").json()["id_token"])["sub"] == claims(hers)["sub"]


def test_nobody_is_asked_what_is_meant_for_another(site, hers):
    before, mallory = site.events("mallory"), site.browser("mallory")
    site.clock.passes(seconds=5)
    located(mallory.get(site.pushed("site", scope="openid email", id_token_hint=hers)))
    assert site.events("mallory") == before


def test_whoever_signs_in_as_somebody_else_once_more_gives_the_app_nothing(site, hers):
    mallory = site.browser("mallory")
    site.clock.passes(seconds=5)
    address = site.pushed("site", scope="openid", id_token_hint=hers)
    located(mallory.get(address))
    site.clock.passes(seconds=5)
    site.sign_in(mallory, "mallory")
    assert answered(mallory.get(address))["error"] == "login_required"


def test_an_old_one_says_whom_the_app_means_all_the_same(site, hers):
    site.clock.passes(hours=2)
    silently = site.pushed("site", scope="openid", prompt="none", id_token_hint=hers)
    assert "code=" in located(site.browser("alice").get(silently))


def test_it_holds_for_data_alone_too(site, hers):
    site.register("meter-site", profile="oidc", token_endpoint_auth_method="client_secret_basic",
                  scope="openid", purposes=["sign-in", "energy-advice"])  # fmt: skip
    hint = agrees(site, site.browser("alice"), "meter-site")
    bob = site.browser("bob")
    site.clock.passes(seconds=5)
    assert located(bob.get(site.pushed("meter-site", id_token_hint=hint))).startswith("/sign-in?again=1")
    assert site.browser("alice").get(site.pushed("meter-site", id_token_hint=hint)).status_code == 200


def test_the_hint_of_another_site_is_refused(site, hers):
    site.register("other", **SITE)
    assert error(site.push("other", scope="openid", id_token_hint=hers)) == "invalid_request"


@pytest.mark.parametrize("hint", ["x", "a.b.c", "{token}x", "{access}"])
def test_what_is_no_id_token_of_ours_is_refused(site, hers, hint):
    page = Page(site.browser("alice").get(site.pushed("site", scope="openid email")).text)
    assert page.action
    text = hint.format(token=hers, access=hers.replace(".", "", 1))
    assert error(site.push("site", scope="openid", id_token_hint=text)) == "invalid_request"


def test_one_that_another_gateway_signed_is_refused(site, hers, tmp_path):
    stranger = KeyRing(tmp_path / "keys", create=True)
    assert error(site.push("site", scope="openid", id_token_hint=stranger.sign(claims(hers), typ="JWT"))) == (
        "invalid_request"
    )


def test_a_hint_and_claims_that_name_two_people_are_refused(site, hers):
    wanted = '{"id_token": {"sub": {"value": "somebody-else"}}}'
    answer = site.push("site", scope="openid", id_token_hint=hers, claims=wanted)
    assert error(answer) == "invalid_request" and "two people" in answer.json()["error_description"]
    same = wanted.replace("somebody-else", claims(hers)["sub"])
    assert site.push("site", scope="openid", id_token_hint=hers, claims=same).status_code == 201
