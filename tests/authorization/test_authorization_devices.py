"""Apps without a browser (RFC 8628; negative case A36): the code on the device, the page, the polls."""

import json
import re
import threading

import pytest
from authorization_world import ISSUER, Page, usage, visible
from client_keys import EC, proof

from tests.tokens import claims

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture
def tv(world):
    world.register("tv", grant_types=[GRANT, "refresh_token"])
    world.register("other-tv", grant_types=[GRANT, "refresh_token"])
    return world


def begin(world, app="tv", **changes):
    form = {"authorization_details": json.dumps([usage()]), **changes}
    answer = world.post("/device_authorization", {k: v for k, v in form.items() if v is not None}, app)
    return answer


def poll(world, begun, app="tv", **headers):
    return world.post("/token", {"grant_type": GRANT, "device_code": begun["device_code"]}, app, **headers)


def types(world, browser, code):
    page = browser.get("/device")
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[-1]  # the page's own form comes last
    return browser.post("/device", data={"csrf": csrf, "user_code": code})


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json()["error"]


def answers(world, begun, decision="allow", person="alice"):
    browser = world.browser(person)
    led = types(world, browser, begun["user_code"])
    assert led.status_code == 303, visible(led.text)
    return world.agree(browser, led.headers["location"], decision)


def test_the_whole_way(tv):
    begun = begin(tv).json()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", begun["user_code"])
    assert begun["verification_uri"] == f"{ISSUER}/device"
    assert begun["verification_uri_complete"] == f"{ISSUER}/device?user_code={begun['user_code']}"
    assert (begun["expires_in"], begun["interval"]) == (900, 5)
    assert error(poll(tv, begun)) == "authorization_pending"
    screen = tv.browser("bob")
    text = visible(screen.get(types(tv, screen, begun["user_code"]).headers["location"]).text)
    assert "Allow only if Tv shows the code on a device of your own" in text and "You will go back" not in text
    done = answers(tv, begun)
    assert "Your device is connected" in visible(done.text) and begun["device_code"] not in done.text
    tv.clock.passes(seconds=6)
    body = poll(tv, begun).json()
    assert claims(body["access_token"])["client_id"] == "tv" and body["refresh_token"]
    assert error(poll(tv, begun)) == "invalid_grant", "a device code is good once"
    again = tv.refresh(body["refresh_token"], "tv")
    assert again.status_code == 200
    assert body["scope"] == again.json()["scope"] == "data_access"


def test_a_refusal_is_told_to_the_device(tv):
    begun = begin(tv).json()
    assert "Nothing is shared" in visible(answers(tv, begun, "refuse").text)
    assert error(poll(tv, begun)) == "access_denied"
    assert error(poll(tv, begun)) == "access_denied"


def test_polling_too_fast(tv):
    begun = begin(tv).json()
    assert error(poll(tv, begun)) == "authorization_pending"
    assert error(poll(tv, begun)) == "slow_down"
    tv.clock.passes(seconds=9)
    assert error(poll(tv, begun)) == "slow_down"  # ten by now
    tv.clock.passes(seconds=16)
    assert error(poll(tv, begun)) == "authorization_pending"
    answers(tv, begun)
    assert error(poll(tv, begun)) == "slow_down", "also when there is an answer"
    tv.clock.passes(seconds=21)
    assert poll(tv, begun).status_code == 200


def test_the_time_is_over(tv):
    begun = begin(tv).json()
    tv.clock.passes(seconds=901)
    assert error(poll(tv, begun)) == "expired_token"
    wrong = types(tv, tv.browser("alice"), begun["user_code"])
    assert (wrong.status_code, "not known" in visible(wrong.text)) == (400, True)


def test_another_apps_device_code_and_a_guessed_one(tv):
    begun = begin(tv).json()
    answers(tv, begun)
    assert error(poll(tv, begun, "other-tv")) == "invalid_grant"
    assert error(poll(tv, {"device_code": "A" * 43})) == "invalid_grant"
    form = {
        "grant_type": "authorization_code",
        "code": begun["device_code"],
        "redirect_uri": "",
        "code_verifier": "v" * 43,
    }
    assert error(tv.post("/token", form, "tv")) in ("invalid_grant", "unauthorized_client")
    assert poll(tv, begun).status_code == 200


def test_a_code_is_no_device_code(tv):
    tv.register("both", grant_types=["authorization_code", GRANT])
    code = tv.code("both")
    assert error(tv.post("/token", {"grant_type": GRANT, "device_code": code}, "both")) == "invalid_grant"


def test_who_did_not_register_for_it(tv):
    assert error(begin(tv, "meter")) == "unauthorized_client"
    assert error(poll(tv, {"device_code": "x"}, "meter")) == "unauthorized_client"


@pytest.mark.parametrize("typed", ["{code}", "{lower}", " {spaced} ", "{bare}"])
def test_a_code_may_be_typed_as_people_type(tv, typed):
    code = begin(tv).json()["user_code"]
    spelled = typed.format(code=code, lower=code.lower(), spaced=code.replace("-", " "), bare=code.replace("-", ""))
    assert types(tv, tv.browser("alice"), spelled).status_code == 303


def test_guessing_codes_comes_to_an_end(tv):
    begun = begin(tv).json()
    browser = tv.browser("mallory")
    for _ in range(10):
        assert types(tv, browser, "BBBB-BBBB").status_code == 400
    stopped = types(tv, browser, begun["user_code"])
    assert stopped.status_code == 429 and int(stopped.headers["retry-after"]) > 0
    tv.clock.passes(seconds=601)
    assert types(tv, browser, begin(tv).json()["user_code"]).status_code == 303


def test_the_page_warns_of_codes_from_others_and_changes_nothing_by_itself(tv):
    begun = begin(tv).json()
    page = tv.browser("alice").get(f"/device?user_code={begun['user_code']}")
    assert begun["user_code"] in page.text and "Never type a code that somebody sent you" in visible(page.text)
    assert error(poll(tv, begun)) == "authorization_pending"
    french = tv.browser().get("/device", headers={"accept-language": "fr"})
    assert "Ne tapez jamais un code" in visible(french.text)


def test_whoever_agreed_before_is_shown_the_whole_screen_all_the_same(tv):
    """Else a code that Mallory sent would let his device in at a click."""
    tv.register("site", grant_types=["authorization_code", GRANT], purposes=["sign-in"], data=[])
    form = {"authorization_details": None, "scope": "openid"}
    for _ in range(2):
        begun = begin(tv, "site", **form).json()
        browser = tv.browser("alice")
        screen = browser.get(types(tv, browser, begun["user_code"]).headers["location"])
        page = Page(screen.text)
        assert page.action.startswith("/consent/"), visible(screen.text)
        browser.post(page.action, data={**page.fields, "decision": "allow"})


def test_signing_in_on_a_television(tv):
    tv.register("site", grant_types=[GRANT], purposes=["sign-in"], data=[])
    begun = begin(tv, "site", authorization_details=None, scope="openid").json()
    answers(tv, begun)
    assert claims(poll(tv, begun, "site").json()["id_token"])["aud"] == "site"


def test_a_device_that_proves_its_key(tv):
    begun = tv.post("/device_authorization", {"authorization_details": json.dumps([usage()])}, "tv",
                    dpop=proof(tv, "/device_authorization")).json()  # fmt: skip
    answers(tv, begun)
    assert error(poll(tv, begun, dpop=proof(tv, key=EC()))) == "invalid_dpop_proof"
    tv.clock.passes(seconds=6)
    assert poll(tv, begun, dpop=proof(tv)).json()["token_type"] == "DPoP"


def test_of_twenty_polls_at_once_one_has_the_tokens(tv):
    begun = begin(tv).json()
    answers(tv, begun)
    found, barrier = [], threading.Barrier(20)

    def one():
        barrier.wait()
        found.append(poll(tv, begun).status_code)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found.count(200) == 1 and len(found) == 20


def test_the_metadata_names_it(tv):
    said = tv.browser().get("/.well-known/oauth-authorization-server").json()
    assert said["device_authorization_endpoint"] == f"{ISSUER}/device_authorization"
    assert GRANT in said["grant_types_supported"]


def test_G24_a_device_may_add_to_its_grant(world):
    """Grant Management §5.3, of an app that can prove who it is."""
    confidential = {"token_endpoint_auth_method": "client_secret_basic", "grant_types": [GRANT, "refresh_token"]}
    world.register("box", **confidential)
    begun = begin(world, "box").json()
    answers(world, begun)
    world.clock.passes(seconds=6)
    old = poll(world, begun, "box").json()
    change = {"grant_management_action": "merge", "grant_id": old["grant_id"]}
    assert error(begin(world, "box", **{**change, "grant_id": "unknown"})) == "invalid_grant_id"
    more = json.dumps([usage(fields=["interval.value", "interval.cost"])])
    begun = begin(world, "box", authorization_details=more, **change).json()
    assert "Nothing is shared" in visible(types_and_sees(world, "mallory", begun))
    begun = begin(world, "box", authorization_details=more, **change).json()
    answers(world, begun)
    world.clock.passes(seconds=6)
    new = poll(world, begun, "box").json()
    assert new["grant_id"] == old["grant_id"] and "interval.cost" in new["authorization_details"][0]["fields"]
    assert error(world.refresh(old["refresh_token"], "box")) == "invalid_grant"


def types_and_sees(world, person, begun):
    browser = world.browser(person)
    return browser.get(types(world, browser, begun["user_code"]).headers["location"]).text


def test_G10_a_public_device_may_not(tv):
    assert error(begin(tv, grant_management_action="create")) == "invalid_request"
