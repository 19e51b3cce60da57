"""Codes, tokens, refresh tokens: spent once, bound to their app, never outliving the agreement (negative cases B)."""

import base64
import threading
import time
from urllib.parse import quote_plus, urlencode

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, answered, bank
from starlette.testclient import TestClient

from gateway import retention
from gateway.apps import verbs
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.errors import Unavailable
from gateway.ground.store import pruning
from tests.tokens import claims


def error(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error"]


def at_once(calls):
    """Run the calls from as many threads, released together; their answers."""
    barrier, answers = threading.Barrier(len(calls)), []

    def run(call):
        barrier.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == len(calls)
    return answers


def end_consent(gateway, grant_id, verb=deciding.end):
    with gateway.house.store.write() as session:
        consent = session.get_one(Consent, grant_id)
        extra = (EndReason.WITHDRAWN,) if verb is deciding.end else ()
        assert verb(session, gateway.house, consent, herself(consent.person_id), *extra, gateway.clock.now)


def is_dead(gateway, body, app):
    """What "dead" means: no refresh, and (for an app that may ask) introspection says inactive."""
    refused = gateway.refresh(body["refresh_token"], app)
    if app in gateway.secrets:
        assert gateway.introspect(body["access_token"], app).json() == {"active": False}
    return refused.status_code == 400 and refused.json()["error"] == "invalid_grant"


# ---- what a token says


def test_an_access_token_says_what_rfc_9068_asks_and_no_more_than_the_app_may_know(gateway):
    body = gateway.tokens()
    said = claims(body["access_token"])
    header = claims("." + body["access_token"])  # the first part
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert said["iss"] == ISSUER
    assert said["aud"] == [f"{ISSUER}/data/city-energy"]
    assert said["client_id"] == "meter"
    assert said["exp"] - said["iat"] == 300
    assert said["auth_time"] == said["iat"]
    assert len(said["jti"]) == 43
    assert "alice" not in str(said).lower()


def test_each_app_knows_alice_by_another_name(gateway):
    first, second = (claims(gateway.tokens(app)["access_token"])["sub"] for app in ("meter", "other"))
    assert first != second
    assert first == claims(gateway.tokens("meter")["access_token"])["sub"]


def test_what_alice_did_not_tick_is_not_in_the_token(gateway):
    body = gateway.tokens("budget")
    assert [detail["datatypes"] for detail in body["authorization_details"]] == [["bank.accounts"]]


def test_a_token_never_outlives_the_agreement(gateway):
    body = gateway.tokens("budget")
    with gateway.session() as session:
        until = session.get_one(Consent, body["grant_id"]).until
    gateway.clock.now = until.astimezone(gateway.clock.now.tzinfo)
    gateway.clock.passes(seconds=-100.5)
    last = gateway.refresh(body["refresh_token"], "budget").json()
    assert last["expires_in"] == 100
    assert claims(last["access_token"])["exp"] <= until.timestamp()
    gateway.clock.passes(seconds=100)
    assert error(gateway.refresh(body["refresh_token"], "budget")) == "invalid_grant"
    gateway.clock.passes(seconds=1)
    assert is_dead(gateway, {**last, **{"refresh_token": body["refresh_token"]}}, "budget")


# ---- codes


def test_a_code_used_twice_ends_what_came_from_it_and_alice_is_told(gateway):
    code = gateway.code("budget")
    body = gateway.redeem(code, "budget").json()
    assert gateway.introspect(body["access_token"]).json()["active"] is True
    assert error(gateway.redeem(code, "budget")) == "invalid_grant"
    assert is_dead(gateway, body, "budget")
    assert gateway.events("alice")[-1]["event"] == "token_replay"
    assert error(gateway.redeem(code, "budget")) == "invalid_grant"
    assert [event["event"] for event in gateway.events("alice")].count("token_replay") == 1


def test_a_code_used_twice_after_it_expired_still_ends_what_came_from_it(gateway):
    code = gateway.code("budget")
    body = gateway.redeem(code, "budget").json()
    gateway.clock.passes(seconds=90)
    assert error(gateway.redeem(code, "budget")) == "invalid_grant"
    assert is_dead(gateway, body, "budget")


def test_of_eight_redemptions_at_once_exactly_one_succeeds_and_then_nothing_is_active(gateway):
    code = gateway.code("budget")
    answers = at_once([lambda: gateway.redeem(code, "budget")] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert is_dead(gateway, body, "budget")


def test_who_races_with_anothers_code_or_without_the_verifier_takes_nothing_and_ends_nothing(gateway):
    code = gateway.code()
    strangers = [
        lambda: gateway.redeem(code, "other"),
        lambda: gateway.redeem(code, code_verifier="w" * 43),
        lambda: gateway.redeem(code, redirect_uri=CALLBACK + "/"),
    ]
    answers = at_once([lambda: gateway.redeem(code), *strangers, *strangers])
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 6
    assert rows(gateway, "tokenfamily") == 1
    assert replays(gateway) == []
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert gateway.refresh(body["refresh_token"]).status_code == 200


def test_redeeming_while_alice_stops_leaves_nothing_active(gateway):
    code = gateway.code("budget")
    with gateway.session() as session:
        [grant_id] = session.connection().exec_driver_sql("SELECT id FROM consent").scalars()
    answers = at_once([lambda: end_consent(gateway, grant_id), lambda: gateway.redeem(code, "budget")])
    for answer in answers:
        if answer is not None:
            assert answer.status_code in (200, 400)
            assert answer.status_code == 400 or is_dead(gateway, answer.json(), "budget")
    assert error(gateway.redeem(code, "budget")) == "invalid_grant"


def test_a_code_belongs_to_one_app_one_address_and_one_verifier(gateway):
    code = gateway.code("meter")
    assert error(gateway.redeem(code, "other")) == "invalid_grant"
    assert error(gateway.redeem(code, "budget", redirect_uri=CALLBACK)) == "invalid_grant"
    assert error(gateway.redeem(code, redirect_uri=CALLBACK + "/")) == "invalid_grant"
    assert error(gateway.redeem(code, redirect_uri=None)) == "invalid_grant"
    assert error(gateway.redeem(code, code_verifier="w" * 43)) == "invalid_grant"
    assert error(gateway.redeem(code, code_verifier=None)) == "invalid_grant"
    assert error(gateway.redeem(code, code_verifier="")) == "invalid_grant"  # empty is omitted
    for malformed in ("v" * 42, "v" * 129, "v" * 42 + "é", "v" * 42 + " "):
        assert error(gateway.redeem(code, code_verifier=malformed)) == "invalid_request"
    assert gateway.redeem(code).status_code == 200  # none of these spent it


@pytest.mark.parametrize("code", ["", "x", "x" * 43, "\x00", "é", "x" * 60_000])
def test_a_code_that_is_none_is_invalid(gateway, code):
    assert error(gateway.redeem(code)) in ("invalid_grant", "invalid_request")


def test_a_code_lives_sixty_seconds(gateway):
    first, second = gateway.code(), gateway.code("other")
    gateway.clock.passes(seconds=59)
    assert gateway.redeem(first).status_code == 200
    gateway.clock.passes(seconds=2)
    assert error(gateway.redeem(second, "other")) == "invalid_grant"


def test_a_code_is_worth_nothing_after_alice_stopped_in_between(gateway):
    code = gateway.code()
    with gateway.session() as session:
        [grant_id] = session.connection().exec_driver_sql("SELECT id FROM consent").scalars()
    end_consent(gateway, grant_id)
    assert error(gateway.redeem(code)) == "invalid_grant"


def test_neither_code_nor_token_is_stored(gateway):
    code = gateway.code()
    body = gateway.redeem(code).json()
    whole = b"".join(path.read_bytes() for path in gateway.house.settings.data_dir.glob("aval.sqlite3*"))
    for secret in (code, body["access_token"], body["refresh_token"], *gateway.secrets.values()):
        assert secret.encode() not in whole


# ---- refresh tokens


def test_a_refresh_token_belongs_to_its_app(gateway):
    body = gateway.tokens("budget")
    assert error(gateway.refresh(body["refresh_token"], "meter")) == "invalid_grant"
    assert gateway.refresh(body["refresh_token"], "budget").status_code == 200
    for wrong in ("", "x" * 43, body["access_token"], "\x00"):
        assert error(gateway.refresh(wrong, "budget")) in ("invalid_grant", "invalid_request")


def lost(gateway, app="meter"):
    """A refresh token and the answer to it that never arrived."""
    first = gateway.tokens(app)["refresh_token"]
    answer = gateway.refresh(first, app)
    assert answer.status_code == 200
    return first, answer.json()


def replays(gateway, person="alice"):
    return [event["what"] for event in gateway.events(person) if event["event"] == "token_replay"]


def rows(gateway, table):
    with gateway.session() as session:
        return session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()


def test_a_client_that_lost_the_answer_gets_the_same_successor_again(gateway):
    spent, never_arrived = lost(gateway)
    for seconds in (0, 10, 19.9):
        gateway.clock.passes(seconds=seconds)
        again = gateway.refresh(spent).json()
        assert again["refresh_token"] == never_arrived["refresh_token"] != spent
        assert claims(again["access_token"])["jti"] != claims(never_arrived["access_token"])["jti"]
        assert {**again, "access_token": ""} == {**never_arrived, "access_token": ""}
    assert (rows(gateway, "refreshtoken"), rows(gateway, "tokenfamily")) == (2, 1)
    assert gateway.refresh(again["refresh_token"]).status_code == 200
    assert replays(gateway) == []


def test_after_the_grace_a_spent_refresh_token_ends_the_family_and_alice_is_told(gateway):
    spent, successor = lost(gateway)
    gateway.clock.passes(seconds=gateway.house.settings.refresh_grace_seconds)
    assert error(gateway.refresh(spent)) == "invalid_grant"
    assert error(gateway.refresh(successor["refresh_token"])) == "invalid_grant"
    assert replays(gateway) == ["refresh_replayed"]


def test_the_grace_runs_from_the_first_use_and_is_not_prolonged(gateway):
    spent, _ = lost(gateway)
    gateway.clock.passes(seconds=20)
    assert gateway.refresh(spent).status_code == 200
    gateway.clock.passes(seconds=20)
    assert error(gateway.refresh(spent)) == "invalid_grant"


def test_a_thief_in_the_grace_and_the_app_do_not_both_go_on(gateway):
    """Nothing tells Mallory from a public app: he gets what it gets, until one of them, whichever, goes on."""
    spent, hers = lost(gateway)
    his = gateway.refresh(spent).json()
    assert his["refresh_token"] == hers["refresh_token"]
    gateway.clock.passes(seconds=240)
    goes_on = gateway.refresh(hers["refresh_token"]).json()
    assert replays(gateway) == []
    gateway.clock.passes(seconds=240)
    assert error(gateway.refresh(his["refresh_token"])) == "invalid_grant"
    assert error(gateway.refresh(goes_on["refresh_token"])) == "invalid_grant"
    assert replays(gateway) == ["refresh_replayed"]


def test_once_the_successor_was_used_the_spent_refresh_token_ends_the_family(gateway):
    """Whoever shows it, the client or a thief: the other one has moved on."""
    spent, successor = lost(gateway)
    third = gateway.refresh(successor["refresh_token"]).json()
    assert error(gateway.refresh(spent)) == "invalid_grant"
    assert replays(gateway) == ["refresh_replayed"]
    for token in (spent, successor["refresh_token"], third["refresh_token"]):
        assert error(gateway.refresh(token)) == "invalid_grant"


def test_only_the_last_spent_refresh_token_has_a_successor_to_give(gateway):
    first, second = lost(gateway)
    third = gateway.refresh(second["refresh_token"]).json()
    assert gateway.refresh(second["refresh_token"]).json()["refresh_token"] == third["refresh_token"]
    assert error(gateway.refresh(first)) == "invalid_grant"
    assert error(gateway.refresh(third["refresh_token"])) == "invalid_grant"


def test_another_app_gets_nothing_for_a_refresh_token_in_its_grace_and_ends_nothing(gateway):
    spent, successor = lost(gateway)
    for app in ("other", "budget"):
        assert error(gateway.refresh(spent, app)) == "invalid_grant"
    form = {"grant_type": "refresh_token", "refresh_token": spent}
    assert error(gateway.post("/token", form, None), 401) == "invalid_client"
    assert gateway.refresh(spent).json()["refresh_token"] == successor["refresh_token"]
    assert replays(gateway) == []


def test_a_confidential_apps_refresh_token_gives_nothing_without_its_credentials(gateway):
    token = gateway.tokens("budget")["refresh_token"]
    assert "refresh_token" not in gateway.refresh(token, "budget").json()
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert error(gateway.post("/token", {**form, "client_id": "budget"}, None), 401) == "invalid_client"
    assert error(gateway.post("/token", form, None, authorization=basic("budget:wrong")), 401) == "invalid_client"
    assert gateway.refresh(token, "budget").status_code == 200


def test_without_a_grace_a_second_use_ends_the_family_at_once(gateway):
    gateway.setting(refresh_grace_seconds=0)
    spent, successor = lost(gateway)
    assert rows(gateway, "refreshsuccessor") == 0
    assert error(gateway.refresh(spent)) == "invalid_grant"
    assert error(gateway.refresh(successor["refresh_token"])) == "invalid_grant"
    assert replays(gateway) == ["refresh_replayed"]


@pytest.mark.parametrize("verb", [deciding.end, deciding.pause])
def test_in_the_grace_as_ever_the_agreement_is_what_counts(gateway, verb):
    spent, successor = lost(gateway)
    end_consent(gateway, gateway.refresh(spent).json()["grant_id"], verb)
    expected = (403, "access_denied") if verb is deciding.pause else (400, "invalid_grant")
    for token in (spent, successor["refresh_token"]):
        assert error(gateway.refresh(token), expected[0]) == expected[1]


def test_a_spent_refresh_token_that_its_client_gives_back_ends_the_family_in_the_grace_too(gateway):
    spent, successor = lost(gateway)
    assert gateway.post("/revoke", {"token": spent}, "other").status_code == 200
    assert gateway.refresh(spent).status_code == 200  # not for the other app to end
    assert gateway.post("/revoke", {"token": spent}).status_code == 200
    for token in (spent, successor["refresh_token"]):
        assert error(gateway.refresh(token)) == "invalid_grant"
    assert gateway.events("alice")[-1]["event"] == "app_disconnected"
    assert replays(gateway) == []


def test_in_the_grace_introspection_calls_the_successor_active_and_the_spent_refresh_token_not(gateway, register):
    spent, successor = lost(gateway)
    register("meter", token_endpoint_auth_method="client_secret_basic")  # now it may ask
    assert gateway.introspect(spent, "meter").json() == {"active": False}
    assert gateway.introspect(successor["refresh_token"], "meter").json()["active"] is True
    assert gateway.introspect(successor["refresh_token"], "budget").json() == {"active": False}
    assert gateway.refresh(spent, "meter").json()["refresh_token"] == successor["refresh_token"]  # asking ended nothing


def test_the_successor_is_kept_sealed_and_only_for_the_grace(gateway):
    spent, successor = lost(gateway)
    gateway.refresh(spent)
    whole = b"".join(path.read_bytes() for path in gateway.house.settings.data_dir.glob("aval.sqlite3*"))
    for secret in (spent, successor["refresh_token"], successor["access_token"]):
        assert secret.encode() not in whole
    assert rows(gateway, "refreshsuccessor") == 1
    gateway.clock.passes(seconds=gateway.house.settings.refresh_grace_seconds - 1)
    pruning.prune(gateway.house.store, retention.LEAVING, gateway.clock.now)
    assert gateway.refresh(spent).status_code == 200
    gateway.clock.passes(seconds=2)
    pruning.prune(gateway.house.store, retention.LEAVING, gateway.clock.now)
    assert (rows(gateway, "refreshsuccessor"), rows(gateway, "refreshtoken")) == (0, 2)


def test_a_spent_refresh_token_stays_spent_when_its_app_has_got_a_secret_since(gateway, register):
    first = gateway.tokens()
    second = gateway.refresh(first["refresh_token"]).json()
    register("meter", token_endpoint_auth_method="client_secret_basic")
    gateway.clock.passes(seconds=gateway.house.settings.refresh_grace_seconds)
    assert gateway.refresh(second["refresh_token"]).status_code == 200  # not spent, and not rotated any more
    assert error(gateway.refresh(first["refresh_token"])) == "invalid_grant"
    assert error(gateway.refresh(second["refresh_token"])) == "invalid_grant"
    assert gateway.events("alice")[-1]["event"] == "token_replay"


def test_of_eight_rotations_at_once_all_get_one_and_the_same_successor(gateway):
    token = gateway.tokens()["refresh_token"]
    answers = at_once([lambda: gateway.refresh(token)] * 8)
    assert [answer.status_code for answer in answers] == [200] * 8
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    assert len({answer.json()["access_token"] for answer in answers}) == 8
    assert [rows(gateway, name) for name in ("tokenfamily", "refreshtoken", "refreshsuccessor")] == [1, 2, 1]
    assert gateway.refresh(successor).status_code == 200
    assert replays(gateway) == []


def test_of_eight_rotations_at_once_without_a_grace_one_succeeds_and_then_nothing_is_active(gateway):
    gateway.setting(refresh_grace_seconds=0)
    token = gateway.tokens()["refresh_token"]
    answers = at_once([lambda: gateway.refresh(token)] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert error(gateway.refresh(body["refresh_token"])) == "invalid_grant"
    assert replays(gateway) == ["refresh_replayed"]


def test_of_old_and_new_refresh_token_at_once_no_two_successors_live(gateway):
    spent, successor = lost(gateway)
    answers = at_once([lambda: gateway.refresh(spent), lambda: gateway.refresh(successor["refresh_token"])] * 4)
    given = {answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}
    last = given - {successor["refresh_token"]}
    assert len(last) == 1
    assert (rows(gateway, "tokenfamily"), rows(gateway, "refreshtoken")) == (1, 3)
    assert error(gateway.refresh(spent)) == "invalid_grant"  # the first old one after a new one has ended the family
    assert replays(gateway) == ["refresh_replayed"]
    for token in given:
        assert error(gateway.refresh(token)) == "invalid_grant"


def test_refreshing_while_revoking_leaves_nothing_active(gateway):
    token = gateway.tokens()["refresh_token"]
    answers = at_once([lambda: gateway.post("/revoke", {"token": token})] + [lambda: gateway.refresh(token)] * 3)
    for body in [answer.json() for answer in answers if "refresh_token" in answer.text]:
        assert error(gateway.refresh(body["refresh_token"])) == "invalid_grant"


def test_a_refresh_cannot_widen(gateway):
    token = gateway.tokens("budget")["refresh_token"]
    assert error(gateway.refresh(token, "budget", scope="data_access admin")) == "invalid_scope"
    assert error(gateway.refresh(token, "budget", authorization_details="[]")) == "invalid_authorization_details"
    assert gateway.refresh(token, "budget", scope="data_access").status_code == 200


def test_after_alice_stops_nothing_refreshes(gateway):
    body = gateway.tokens("budget")
    end_consent(gateway, body["grant_id"])
    assert is_dead(gateway, body, "budget")


@pytest.mark.parametrize("app", ["meter", "budget"])
def test_while_alice_pauses_nothing_refreshes_and_afterwards_it_does(gateway, app):
    body = gateway.tokens(app)
    end_consent(gateway, body["grant_id"], deciding.pause)
    refused = gateway.refresh(body["refresh_token"], app)
    assert (refused.status_code, refused.json()["error"], refused.json()["reason"]) == (403, "access_denied", "paused")
    if app == "budget":
        assert gateway.introspect(body["access_token"]).json() == {"active": False}
    end_consent(gateway, body["grant_id"], deciding.resume)
    assert gateway.refresh(body["refresh_token"], app).status_code == 200


def test_what_alice_removes_later_is_not_in_the_next_token(gateway):
    both = [bank(), {**bank(), "datatypes": ["bank.balances"], "fields": ["balance.amount"]}]
    ticked = {"item:harbour-bank:bank.balances": "yes"}
    final = gateway.agree(gateway.browser("alice"), gateway.pushed("budget", both), **ticked)
    body = gateway.redeem(answered(final)["code"], "budget").json()
    assert [detail["datatypes"] for detail in body["authorization_details"]] == [["bank.accounts"], ["bank.balances"]]
    with gateway.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        keep = frozenset({("harbour-bank", "bank.accounts")})
        assert deciding.keep_only(session, gateway.house, consent, herself(consent.person_id), keep, gateway.clock.now)
    again = gateway.refresh(body["refresh_token"], "budget").json()
    assert again["authorization_details"] == body["authorization_details"][:1]
    assert again["grant_id"] == body["grant_id"]
    seen = gateway.introspect(body["access_token"]).json()  # an older token too is told as it is now
    assert seen["authorization_details"] == again["authorization_details"]


def test_a_new_agreement_ends_the_tokens_of_the_one_it_replaces(gateway):
    first = gateway.tokens("budget")
    second = gateway.tokens("budget")
    assert first["grant_id"] != second["grant_id"]
    assert is_dead(gateway, first, "budget")
    assert gateway.refresh(second["refresh_token"], "budget").status_code == 200


def test_a_suspended_app_gets_no_token(gateway):
    token = gateway.tokens("budget")["refresh_token"]
    gateway.suspend("budget")
    refused = gateway.refresh(token, "budget")
    assert (error(refused), refused.json()["reason"]) == ("unauthorized_client", "suspended")
    with gateway.house.store.write() as session:
        verbs.resume(session, "budget", gateway.clock.now)
    assert gateway.refresh(token, "budget").status_code == 200


# ---- client authentication


def test_secrets_do_not_travel_in_addresses_or_bodies(gateway):
    token = gateway.tokens("budget")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "budget"}
    secret = gateway.secrets["budget"]
    address = "/token?" + urlencode({"client_id": "budget", "client_secret": secret})
    assert error(gateway.post(address, {"grant_type": "refresh_token"}, None)) == "invalid_request"
    assert error(gateway.post("/token", {**form, "client_secret": secret}, None), 401) == "invalid_client"
    assert error(gateway.post("/token", form, None), 401) == "invalid_client"  # not by name alone


def test_one_method_of_authentication_is_used_not_two(gateway):
    token = gateway.tokens("budget")["refresh_token"]
    assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    for extra in (
        {"client_secret": gateway.secrets["budget"]},
        {"client_assertion": "a.b.c", "client_assertion_type": assertion_type},
    ):
        assert error(gateway.refresh(token, "budget", **extra)) == "invalid_request"
    assert error(gateway.refresh(token, "budget", client_id="meter"), 401) == "invalid_client"
    assert gateway.refresh(token, "budget", client_id="budget").status_code == 200


def basic(text):
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(
    "header",
    [
        basic("budget:wrong"),
        basic("nobody:wrong"),
        basic("budget"),
        basic(":"),
        basic(b"\xff\xfe:x"),
        basic("meter:"),
        basic("meter:x"),
        "Basic !!!",
        "Basic",
        "Bearer x",
        "",
    ],
)
def test_wrong_credentials_are_invalid_client_with_a_challenge(gateway, header):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    refused = gateway.post("/token", form, None, authorization=header)
    assert error(refused, 401) == "invalid_client"
    assert refused.headers["www-authenticate"].startswith("Basic ")


def test_basic_is_form_decoded(gateway):
    with gateway.house.store.write() as session:
        verbs.renew_secret(session, "budget", gateway.clock.now, lambda: "a:b%c d+e&é")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    right = basic("budget:" + quote_plus("a:b%c d+e&é"))
    assert error(gateway.post("/token", form, None, authorization=right)) == "invalid_grant"
    assert error(gateway.post("/token", form, None, authorization=basic("budget:a:b%c d+e&é")), 401) == "invalid_client"


def test_guessing_secrets_is_slowed_down_and_the_app_itself_is_not_locked_out(gateway):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}

    def guess():
        return gateway.post("/token", form, None, authorization=basic("budget:wrong"))

    assert [guess().status_code for _ in range(10)] == [401] * 10
    refused = guess()
    assert error(refused, 429) == "temporarily_unavailable"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    elsewhere = TestClient(gateway.app, base_url=ISSUER, client=("192.0.2.7", 1))
    headers = gateway.auth("budget")["headers"]
    assert error(elsewhere.post("/token", data=form, headers=headers)) == "invalid_grant"
    assert error(gateway.refresh("x", "meter")) == "invalid_grant"  # another app from the same address
    gateway.clock.passes(seconds=61)
    assert guess().status_code == 401


# ---- the form itself


@pytest.mark.parametrize("grant_type", ["password", "implicit", "client_credentials", "é", 'x"\\', "urn:x"])
def test_other_grants_are_not_offered(gateway, grant_type):
    assert error(gateway.post("/token", {"grant_type": grant_type})) == "unsupported_grant_type"


@pytest.mark.parametrize("path", ["/par", "/token", "/revoke", "/introspect"])
@pytest.mark.parametrize(
    ("app", "form", "header"),
    [
        ("budget", {"client_id": "meter"}, None),  # Basic of one app, the name of another
        (None, {}, "Basic YnVkZ2V0Ondyb25n"),
        (None, {}, "Bearer x"),
        (None, {}, None),
        (None, {"client_id": "nobody"}, None),
        (None, {"client_id": "budget", "client_secret": "x"}, None),
        (None, {"client_assertion": "x", "client_assertion_type": "y"}, None),
    ],
)
def test_whoever_is_not_authenticated_is_told_by_which_scheme_to_do_it(gateway, path, app, form, header):
    form = {"grant_type": "refresh_token", "token": "x", **form}
    answer = gateway.post(path, form, app, **({"authorization": header} if header else {}))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_grant_type_missing_or_given_twice_is_malformed(gateway):
    assert error(gateway.post("/token", {})) == "invalid_request"
    assert error(gateway.post("/token", {"grant_type": ["refresh_token", "refresh_token"]})) == "invalid_request"
    twice = {"grant_type": "authorization_code", "code": [gateway.code()] * 2}
    assert error(gateway.post("/token", twice)) == "invalid_request"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"grant_type":"refresh_token"}', "application/json"),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (b"grant_type=refresh_token", "text/plain"),
        (b"grant_type=refresh_token", ""),
        (b"&".join(b"a%d=b" % n for n in range(5000)), "application/x-www-form-urlencoded"),
        (b"\xff\xfe=%ff&grant_type", "application/x-www-form-urlencoded; charset=utf-16"),
        (b"a=" + b"b" * 1_000_000, "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("path", ["/token", "/par", "/revoke", "/introspect"])
def test_a_body_of_another_form_is_refused_at_once(gateway, path, content, media_type):
    started = time.monotonic()
    answer = gateway.browser().post(path, content=content, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["error"]) in ((400, "invalid_request"), (401, "invalid_client"))
    assert answer.status_code == 400 or media_type.startswith("application/x-www-form-urlencoded")
    assert time.monotonic() - started < 10  # it hangs on nothing; how fast is for the bench


def test_no_browser_of_another_site_may_read_the_token_door(gateway):
    answer = gateway.browser().options("/token", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in gateway.redeem("x", origin="https://evil.example").headers
    page = gateway.browser().get(gateway.pushed(), headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in page.headers


def test_a_store_that_is_down_is_503_and_never_a_verdict(gateway, monkeypatch):
    code = gateway.code()

    def broken(*_args, **_more):
        raise Unavailable("database: OperationalError")

    monkeypatch.setattr(gateway.house.store, "write", broken)
    answer = gateway.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "OperationalError" not in answer.text
    monkeypatch.undo()
    assert gateway.redeem(code).status_code == 200


def test_a_database_that_cannot_be_read_is_503_as_well(gateway):
    token = gateway.tokens()["refresh_token"]
    with gateway.house.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE refreshtoken RENAME TO away")
    assert gateway.refresh(token).status_code == 503
    with gateway.house.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE away RENAME TO refreshtoken")
    assert gateway.refresh(token).status_code == 200


def test_every_answer_of_the_flow_keeps_its_secrets_out_of_the_logs(gateway, caplog):
    caplog.set_level(0)
    code = gateway.code()
    body = gateway.redeem(code).json()
    gateway.refresh(body["refresh_token"])
    gateway.redeem(code)
    # httpx2 is the test's own client and logs the addresses that it was told to open
    said = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    for secret in (code, body["access_token"], body["refresh_token"], VERIFIER):
        assert secret not in said


def test_the_final_page_gives_a_code_of_full_strength(gateway):
    first, second = (answered(gateway.agree(gateway.browser("alice"), gateway.pushed()))["code"] for _ in range(2))
    assert first != second
    assert len(first) == len(second) == 43
