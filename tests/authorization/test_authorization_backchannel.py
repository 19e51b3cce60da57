"""Asking a person who is not there (CIBA): the inbox, the polls, the pings, and who may ask whom."""

import json
import re
import threading
from datetime import UTC, datetime

import pytest
from authorization_world import CALLBACK, ISSUER, Page, declaration, usage, visible
from client_keys import COUNT, KEYS, NEVER, jws, proof
from sqlmodel import SQLModel
from waiting_requests import BANK, CIBA, answers, ask, begun, consents, error, opened

from gateway.apps import declare, members
from gateway.apps.members import Registrable
from gateway.authorization import logout
from tests.tokens import claims


@pytest.fixture
def till(world):
    world.register("till", **BANK)
    world.register("other-till", **BANK)
    return world


def poll(world, begun, app="till", **headers):
    return world.post("/token", {"grant_type": CIBA, "auth_req_id": begun["auth_req_id"]}, app, **headers)


def test_the_whole_way(till):
    told = begun(till, authorization_details=json.dumps([usage()]))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", told["auth_req_id"]), "256 bits"
    assert (told["expires_in"], told["interval"]) == (86400, 5)
    assert error(poll(till, told)) == "authorization_pending"
    browser = till.browser("alice")
    text = visible(browser.get(opened(till, browser)).text)
    assert "Till has sent you this request. You did not come here from its own page." in text
    assert "Till writes: “W4SCT”." in text and "You will go back" not in text
    done = visible(answers(till).text)
    assert "Your answer is recorded" in done and told["auth_req_id"] not in done
    till.clock.passes(seconds=6)
    body = poll(till, told).json()
    token, identity = claims(body["access_token"]), claims(body["id_token"])
    assert token["client_id"] == "till" and {one["datatypes"][0] for one in body["authorization_details"]} == {
        "energy.electricity.usage",
        "identity.sign-in",
    }
    assert identity["aud"] == "till" and identity["acr"] == "urn:aval:acr:one-factor" and "nonce" not in identity
    assert datetime.fromtimestamp(identity["auth_time"], UTC) <= till.clock.now
    assert error(poll(till, told)) == "invalid_grant", "once"
    assert till.refresh(body["refresh_token"], "till").status_code == 200
    kinds = [event["event"] for event in till.events("alice")]
    assert kinds[:2] == ["consent_asked", "consent_given"] and "token_issued" in kinds


def test_a_refusal_is_told_even_if_her_browser_is_gone(till):
    told = begun(till)
    browser = till.browser("alice")
    page = Page(browser.get(opened(till, browser)).text)
    assert browser.post(page.action, data={**page.fields, "decision": "refuse"}).status_code == 303
    assert error(poll(till, told)) == "access_denied", "before the page after the refusal was loaded"
    assert error(poll(till, told)) == "access_denied"


def test_polls_keep_their_pace_and_end(till):
    told = begun(till, requested_expiry="60")
    assert told["expires_in"] == 60
    assert error(poll(till, told)) == "authorization_pending"
    assert error(poll(till, told)) == "slow_down"
    till.clock.passes(seconds=61)
    assert error(poll(till, told)) == "expired_token"
    browser = till.browser("alice")
    assert browser.get(opened(till, browser)).status_code == 400, "and she is told that it is over"


def test_the_id_of_a_request_is_its_own_clients_alone(till):
    told = begun(till)
    answers(till)
    assert error(poll(till, told, "other-till")) == "invalid_grant"
    assert error(poll(till, {"auth_req_id": "A" * 43})) == "invalid_grant"
    device = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": told["auth_req_id"]}
    assert error(till.post("/token", device, "till")) == "unauthorized_client"
    assert poll(till, told).status_code == 200


def test_of_twenty_polls_at_once_one_has_the_tokens(till):
    told, found = begun(till), []
    answers(till)
    start = threading.Barrier(20)

    def one():
        start.wait()
        found.append(poll(till, told))

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in found).count(200) == 1
    assert {error(one) for one in found if one.status_code != 200} <= {"invalid_grant", "slow_down"}


# ---- the person's side


def test_the_request_is_hers_and_nobody_elses(till):
    begun(till)
    id = consents(till)[-1]
    for stranger in ("bob", "mallory"):
        assert till.browser(stranger).get(f"/requests/{id}").status_code == 404
    address = opened(till, till.browser("alice"))
    shown = till.browser("mallory").get(address)
    assert shown.status_code == 403 and "W4SCT" not in shown.text, "not even by its secret address"
    assert consents(till) == [id], "and it waits on"
    assert till.browser().get(f"/requests/{id}").headers["location"].startswith("/sign-in?next=")


def test_a_guardian_answers_for_her_child(till):
    told = begun(till, login_hint="chloe@example.org", authorization_details=json.dumps([usage()]))
    id = consents(till, "chloe")[-1]
    child = till.browser("chloe")
    assert "guardian" in visible(child.get(opened(till, child, id)).text).lower()
    # she agrees, but it is the child whom the app wants to sign in: that is the child's own to do
    assert "Chloe" in visible(answers(till, "allow", "alice", id).text)
    till.clock.passes(seconds=6)
    assert error(poll(till, told)) == "authorization_pending"
    child.get(opened(till, child, id))
    till.clock.passes(seconds=6)
    assert poll(till, told).status_code == 200


def test_an_old_sign_in_is_not_enough(till):
    begun(till)
    browser = till.browser("alice")
    till.clock.passes(minutes=11)
    led = browser.get(opened(till, browser))
    assert led.status_code == 303 and "again=1" in led.headers["location"]
    till.sign_in(browser, "alice")
    assert browser.get(opened(till, browser)).status_code == 200


def test_who_agreed_before_is_asked_whether_to_go_on(till):
    told = begun(till)
    answers(till)
    till.clock.passes(seconds=6)
    assert poll(till, told).status_code == 200
    again = begun(till, binding_message="X7")
    browser = till.browser("alice")
    page = browser.get(opened(till, browser))
    assert "Till writes: “X7”." in visible(page.text) and "/authorize/continue" in page.text
    assert error(poll(till, again)) == "authorization_pending", "opening it decides nothing"
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text.split("/continue")[1]))
    done = browser.get(browser.post("/authorize/continue", data=form).headers["location"])
    assert "Your answer is recorded" in visible(done.text)
    till.clock.passes(seconds=6)
    assert poll(till, again).status_code == 200
    assert len(consents(till, state="active")) == 1


def test_what_is_asked_stands_in_french_too(till):
    begun(till)
    browser = till.browser("alice")
    page = browser.get(opened(till, browser), headers={"accept-language": "fr"})
    french = browser.get(opened(till, browser) + "&ui_locales=fr", headers={"accept-language": "fr"})
    assert page.status_code == french.status_code == 200


# ---- silence after a refusal, and floods


def test_after_a_refusal_the_app_is_silent_for_half_a_year(till):
    begun(till)
    answers(till, "refuse")
    refused = ask(till)
    assert error(refused, 403) == "access_denied"
    assert refused.json()["ask_again_from"].startswith("2027-05-24")
    assert ask(till, "other-till").status_code == 200, "another app may ask"
    data = ask(till, authorization_details=json.dumps([usage()]), scope="openid")
    assert data.status_code == 200, "and this one for another purpose"
    till.clock.passes(days=183)
    assert ask(till).status_code == 200


def test_where_she_begins_herself_nothing_is_silent(till):
    begun(till)
    answers(till, "refuse")
    assert error(ask(till), 403) == "access_denied"
    till.code("till", scope="openid", authorization_details=None)
    assert ask(till).status_code == 200, "and who agrees ends the silence"


def test_a_refusal_on_a_page_counts_too(till):
    till.agree(till.browser("alice"), till.pushed("till", scope="openid", authorization_details=None), "refuse")
    assert error(ask(till), 403) == "access_denied"


def test_three_wait_at_most_and_ten_a_day(till):
    for _ in range(3):
        begun(till, requested_expiry="60")
    assert error(ask(till), 403) == "access_denied" and len(consents(till)) == 3
    assert begun(till, login_hint="bob@example.org"), "other people may be asked"
    for _ in range(7):
        till.clock.passes(seconds=61)
        begun(till, requested_expiry="60")
    till.clock.passes(seconds=61)
    assert error(ask(till), 403) == "access_denied"
    till.clock.passes(hours=24)
    assert ask(till).status_code == 200


# ---- whom an app may ask


def test_an_app_asks_whom_it_knows(till):
    till.register("known", **{**BANK, "asks_anybody": False})
    assert error(ask(till, "known")) == "unknown_user_id"
    assert error(ask(till, "known", login_hint="nobody@example.org")) == "unknown_user_id", "the same answer"
    body = till.tokens("known", scope="openid", authorization_details=None)
    sub = claims(body["id_token"])["sub"]
    assert ask(till, "known").status_code == 200
    assert ask(till, "known", login_hint=sub).status_code == 200
    assert ask(till, "known", login_hint=None, id_token_hint=body["id_token"]).status_code == 200
    assert error(ask(till, "till", login_hint=sub)) == "unknown_user_id", "another app's word for her"
    assert error(ask(till, "till", login_hint=None, id_token_hint=body["id_token"])) == "invalid_request"
    assert error(ask(till, "known", login_hint="bob@example.org")) == "unknown_user_id"


@pytest.mark.parametrize(
    "hints",
    [
        {"login_hint": None},
        {"login_hint": None, "login_hint_token": "x"},
        {"id_token_hint": "x.y.z"},
        {"login_hint": None, "id_token_hint": "x.y.z"},
        {"login_hint_token": "x"},
    ],
)
def test_one_hint_and_no_other(till, hints):
    assert error(ask(till, **hints)) == "invalid_request"


def test_an_unknown_person(till):
    for hint in ("nobody@example.org", "A" * 43, "alice", "not an address @", "@"):
        assert error(ask(till, login_hint=hint)) == "unknown_user_id"
    assert consents(till) == []


# ---- the request


def test_who_did_not_register_for_it(till):
    assert error(ask(till, "meter")) == "unauthorized_client"
    assert error(poll(till, {"auth_req_id": "x"}, "meter")) == "unauthorized_client"
    wrong = till.post("/bc-authorize", {"scope": "openid", "login_hint": "alice@example.org"}, None)
    assert error(wrong, 401) == "invalid_client"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scope": "email"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": "openid energy:usage"}, "invalid_scope"),
        ({"requested_expiry": "0"}, "invalid_request"),
        ({"requested_expiry": "-5"}, "invalid_request"),
        ({"requested_expiry": "soon"}, "invalid_request"),
        ({"authorization_details": '[{"type": "other"}]'}, "invalid_authorization_details"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"binding_message": "two\nlines"}, "invalid_binding_message"),
        ({"binding_message": "x" * 101}, "invalid_binding_message"),
        ({"binding_message": "see https://evil.example"}, "invalid_binding_message"),
        ({"binding_message": "call www.evil.example"}, "invalid_binding_message"),
        ({"binding_message": "evil.example/now"}, "invalid_binding_message"),
        ({"binding_message": "bad\u202edrow"}, "invalid_binding_message"),
        ({"login_hint": "alice@example.org", "request_uri": "urn:x"}, None),
    ],
)
def test_each_fault_has_its_error(till, changes, expected):
    answer = ask(till, **changes)
    if expected is None:
        assert answer.status_code == 200, "what is not known is passed over"
    else:
        assert error(answer) == expected and consents(till) == []


def test_the_message_is_text_and_nothing_else(till):
    begun(till, binding_message="Till 4 – <b>12,50 €</b> & co")
    browser = till.browser("alice")
    assert "&lt;b&gt;12,50 €&lt;/b&gt; &amp; co" in browser.get(opened(till, browser)).text


# ---- signed requests, and clients of FAPI


@pytest.fixture
def strict(till):
    keyed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEYS["ES256"].jwk]}}
    till.register("strict", **{**BANK, **keyed, "profile": "fapi2", "dpop_bound_access_tokens": True})
    alg = {"backchannel_authentication_request_signing_alg": "ES256"}
    till.register("signing", **{**BANK, **keyed, **alg, "profile": "fapi2", "dpop_bound_access_tokens": True})
    return till


def proves(world, app="strict", aud=ISSUER):
    now = int(world.clock.now.timestamp())
    said = {"iss": app, "sub": app, "aud": aud, "exp": now + 60, "jti": f"assertion {next(COUNT)}"}
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_assertion_type": kind, "client_assertion": jws(said, {"typ": "JWT"})}


def test_a_fapi_client_says_what_it_is_about_and_holds_a_key(strict):
    form = {"scope": "openid", "login_hint": "alice@example.org"}
    assert error(strict.post("/bc-authorize", {**form, **proves(strict)}, None)) == "invalid_binding_message"
    data = {**form, "authorization_details": json.dumps([usage()])}
    assert strict.post("/bc-authorize", {**data, **proves(strict)}, None).status_code == 200
    named = {**form, "binding_message": "A1"}
    told = strict.post("/bc-authorize", {**named, **proves(strict)}, None).json()
    answers(strict)
    polling = {"grant_type": CIBA, "auth_req_id": told["auth_req_id"]}
    assert error(strict.post("/token", {**polling, **proves(strict)}, None)) == "invalid_dpop_proof"
    body = strict.post("/token", {**polling, **proves(strict)}, None, dpop=proof(strict)).json()
    assert body["token_type"] == "DPoP" and body["id_token"]


def test_the_audience_of_an_assertion_follows_the_profile(strict):
    form = {"scope": "openid", "login_hint": "alice@example.org", "binding_message": "A1"}
    wrong = {**form, **proves(strict, aud=f"{ISSUER}/bc-authorize")}
    assert error(strict.post("/bc-authorize", wrong, None), 401) == "invalid_client"
    keyed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [KEYS["ES256"].jwk]}}
    strict.register("keyed", **{**BANK, **keyed})
    for audience in (ISSUER, f"{ISSUER}/token", f"{ISSUER}/bc-authorize"):
        ok = strict.post("/bc-authorize", {**form, **proves(strict, "keyed", audience)}, None)
        assert ok.status_code == 200, (audience, ok.text)


def signed(world, app="signing", alg="ES256", header=None, **changes):
    now = int(world.clock.now.timestamp())
    said = {
        "iss": app,
        "aud": ISSUER,
        "exp": now + 300,
        "iat": now,
        "nbf": now,
        "jti": f"request {next(COUNT)}",
        "scope": "openid",
        "login_hint": "alice@example.org",
        "binding_message": "W4SCT",
        **changes,
    }
    said = {name: value for name, value in said.items() if value is not NEVER}
    return jws(said, header or {"typ": "JWT", "kid": "ec"}, alg)


def sends(world, request, app="signing", **beside):
    return world.post("/bc-authorize", {"request": request, **beside, **proves(world, app)}, None)


def test_a_signed_request(strict):
    ok = sends(strict, signed(strict, requested_expiry=600))
    assert (ok.status_code, ok.json()["expires_in"]) == (200, 600)
    assert sends(strict, signed(strict, requested_expiry="700")).json()["expires_in"] == 700
    assert error(strict.post("/bc-authorize", {"scope": "openid", "login_hint": "alice@example.org",
        "binding_message": "A1", **proves(strict, "signing")}, None)) == "invalid_request"  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        *({name: NEVER} for name in ("iss", "aud", "exp", "iat", "nbf", "jti")),
        {"iss": "strict"},
        {"aud": "https://elsewhere.example"},
        {"exp": 70 * 60},
        {"exp": -60},
        {"nbf": 10 * 60},
        {"nbf": -70 * 60},
        {"alg": "PS256"},
        {"header": {"typ": "JWT", "alg": "none"}},
        {"request": "again"},
        {"requested_expiry": 0},
        {"requested_expiry": True},
    ],
)
def test_a_signed_request_that_is_not_good(strict, changes):
    now = int(strict.clock.now.timestamp())
    times = {name: now + value for name, value in changes.items() if name in ("exp", "nbf") and value is not NEVER}
    answer = sends(strict, signed(strict, **{**changes, **times}))
    assert error(answer) == "invalid_request" and consents(strict) == []


def test_a_signed_request_is_good_once_and_holds_everything(strict):
    once = signed(strict)
    assert error(sends(strict, signed(strict), binding_message="another")) == "invalid_request"
    assert sends(strict, once).status_code == 200
    assert error(sends(strict, once)) == "invalid_request"


def test_the_metadata_says_what_is_offered(till):
    said = till.browser().get("/.well-known/openid-configuration").json()
    assert said["backchannel_authentication_endpoint"] == f"{ISSUER}/bc-authorize"
    assert said["backchannel_token_delivery_modes_supported"] == ["poll", "ping"]
    assert said["backchannel_user_code_parameter_supported"] is False
    assert "ES256" in said["backchannel_authentication_request_signing_alg_values_supported"]
    assert CIBA in said["grant_types_supported"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"token_endpoint_auth_method": "none"}, "grant_types"),
        ({"backchannel_token_delivery_mode": None}, "backchannel_token_delivery_mode"),
        ({"backchannel_token_delivery_mode": "push"}, "backchannel_token_delivery_mode"),
        ({"backchannel_token_delivery_mode": "ping"}, "backchannel_client_notification_endpoint"),
        ({"backchannel_user_code_parameter": True}, "backchannel_user_code_parameter"),
        ({"backchannel_authentication_request_signing_alg": "RS256"}, "backchannel_authentication_request_signing_alg"),
        ({"backchannel_authentication_request_signing_alg": "ES256"}, "jwks"),
    ],
)
def test_what_a_registration_must_say(changes, key):
    document = {**declaration("till", **BANK), **changes}
    document = {name: value for name, value in document.items() if value is not None}
    assert key in [fault.key for fault in declare.check(document)]


def test_no_app_says_of_itself_that_it_may_ask_anybody(till):
    offered = Registrable(("oauth21", "oidc"), (CIBA, "authorization_code", "refresh_token"), {"openid": ("sign-in",)})
    said = {"redirect_uris": [CALLBACK], "grant_types": [CIBA, "authorization_code"], "asks_anybody": True}
    kept = members.document({**said, "backchannel_token_delivery_mode": "poll"}, "self", offered)
    assert kept["backchannel_token_delivery_mode"] == "poll" and "asks_anybody" not in kept


def test_G24_a_backchannel_request_may_add_to_its_grant(till):
    tokens = till.tokens("till", details=[usage()], scope="openid", authorization_details=json.dumps([usage()]))
    more = json.dumps([usage(fields=["interval.start", "interval.value", "interval.cost"])])
    merging = {"grant_management_action": "merge", "grant_id": tokens["grant_id"], "authorization_details": more}
    assert error(ask(till, login_hint="bob@example.org", **merging)) == "invalid_grant_id", "it is Alice's"
    told = begun(till, **merging)
    browser = till.browser("alice")
    assert "asks to read more of your data" in visible(browser.get(opened(till, browser)).text)
    answers(till)
    body = poll(till, told).json()
    assert body["grant_id"] == tokens["grant_id"]
    assert "interval.cost" in str(body["authorization_details"])


def test_who_signs_out_here_before_the_app_polls_is_signed_in_there_and_in_no_series_that_is_over(till):
    told = begun(till)
    answers(till)
    rows = till.house.store.connect().execute("SELECT sign_in FROM authorizationrequest").fetchall()
    (series,) = [one for (one,) in rows]
    with till.house.store.write() as session:
        logout.sign_ins_ended(till.house.keys, session, "alice", [series], till.clock.now)
    identity = claims(poll(till, told).json()["id_token"])
    assert "sid" not in identity, "nobody would tell the app when a series is over that is over"
    assert ask(till, login_hint=None, id_token_hint=poll_again(till)).status_code == 200


def poll_again(world):
    """An ID token without `sid`, which is good as a hint all the same."""
    told = begun(world)
    browser = world.browser("alice")
    world.agree(browser, opened(world, browser))
    return poll(world, told).json()["id_token"]


# ---- taking back


def test_an_app_takes_its_request_back(till):
    told = begun(till)
    assert till.post("/revoke", {"token": told["auth_req_id"]}, "other-till").status_code == 200
    assert error(poll(till, told)) == "authorization_pending", "another app's word does nothing"
    assert till.post("/revoke", {"token": told["auth_req_id"]}, "till").status_code == 200
    assert error(poll(till, told)) == "access_denied"
    assert consents(till) == []
    assert till.events("alice")[-1]["reason"] == "taken_back"


def test_nothing_secret_is_stored(till):
    told = begun(till)
    connection = till.house.store.connect()
    rows = [
        str(row)
        for name in SQLModel.metadata.tables
        for row in connection.execute(f'SELECT * FROM "{name}"').fetchall()
    ]
    assert any("W4SCT" in row for row in rows), "this looks where it is"
    assert not any(told["auth_req_id"] in row for row in rows)
