"""Codes, tokens, refresh tokens: spent once, bound to their app, never outliving the agreement (negative cases B)."""

import base64
import threading
import time
from urllib.parse import quote_plus, urlencode

import pytest
from authorization_world import CALLBACK, ISSUER, VERIFIER, answered, bank

from gateway import retention
from gateway.apps import verbs
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.errors import Unavailable
from gateway.ground.store import pruning
from tests.callers import TestClient
from tests.databases import everything
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


def end_consent(world, grant_id, verb=deciding.end):
    with world.house.store.write() as session:
        consent = session.get_one(Consent, grant_id)
        extra = (EndReason.WITHDRAWN,) if verb is deciding.end else ()
        assert verb(session, world.house.log, consent, herself(consent.person_id), *extra, world.clock.now)


def is_dead(world, body, app):
    """What "dead" means: no refresh, and (for an app that may ask) introspection says inactive."""
    refused = world.refresh(body["refresh_token"], app)
    if app in world.secrets:
        assert world.introspect(body["access_token"], app).json() == {"active": False}
    return refused.status_code == 400 and refused.json()["error"] == "invalid_grant"


# ---- what a token says


def test_an_access_token_says_what_rfc_9068_asks_and_no_more_than_the_app_may_know(world):
    body = world.tokens()
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


def test_each_app_knows_alice_by_another_name(world):
    first, second = (claims(world.tokens(app)["access_token"])["sub"] for app in ("meter", "other"))
    assert first != second
    assert first == claims(world.tokens("meter")["access_token"])["sub"]


def test_what_alice_did_not_tick_is_not_in_the_token(world):
    body = world.tokens("budget")
    assert [detail["datatypes"] for detail in body["authorization_details"]] == [["bank.accounts"]]


def test_a_token_never_outlives_the_agreement(world):
    body = world.tokens("budget")
    with world.session() as session:
        until = session.get_one(Consent, body["grant_id"]).until
    world.clock.now = until.astimezone(world.clock.now.tzinfo)
    world.clock.passes(seconds=-100.5)
    last = world.refresh(body["refresh_token"], "budget").json()
    assert last["expires_in"] == 100
    assert claims(last["access_token"])["exp"] <= until.timestamp()
    world.clock.passes(seconds=100)
    assert error(world.refresh(body["refresh_token"], "budget")) == "invalid_grant"
    world.clock.passes(seconds=1)
    assert is_dead(world, {**last, **{"refresh_token": body["refresh_token"]}}, "budget")


# ---- codes


def test_a_code_used_twice_ends_what_came_from_it_and_alice_is_told(world):
    code = world.code("budget")
    body = world.redeem(code, "budget").json()
    assert world.introspect(body["access_token"]).json()["active"] is True
    assert error(world.redeem(code, "budget")) == "invalid_grant"
    assert is_dead(world, body, "budget")
    assert world.events("alice")[-1]["event"] == "token_replay"
    assert error(world.redeem(code, "budget")) == "invalid_grant"
    assert [event["event"] for event in world.events("alice")].count("token_replay") == 1


def test_a_code_used_twice_after_it_expired_still_ends_what_came_from_it(world):
    code = world.code("budget")
    body = world.redeem(code, "budget").json()
    world.clock.passes(seconds=90)
    assert error(world.redeem(code, "budget")) == "invalid_grant"
    assert is_dead(world, body, "budget")


def test_of_eight_redemptions_at_once_exactly_one_succeeds_and_then_nothing_is_active(world):
    code = world.code("budget")
    answers = at_once([lambda: world.redeem(code, "budget")] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert is_dead(world, body, "budget")


def test_who_races_with_anothers_code_or_without_the_verifier_takes_nothing_and_ends_nothing(world):
    code = world.code()
    strangers = [
        lambda: world.redeem(code, "other"),
        lambda: world.redeem(code, code_verifier="w" * 43),
        lambda: world.redeem(code, redirect_uri=CALLBACK + "/"),
    ]
    answers = at_once([lambda: world.redeem(code), *strangers, *strangers])
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 6
    assert rows(world, "tokenfamily") == 1
    assert replays(world) == []
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert world.refresh(body["refresh_token"]).status_code == 200


def test_redeeming_while_alice_stops_leaves_nothing_active(world):
    code = world.code("budget")
    with world.session() as session:
        [grant_id] = session.connection().exec_driver_sql("SELECT id FROM consent").scalars()
    answers = at_once([lambda: end_consent(world, grant_id), lambda: world.redeem(code, "budget")])
    for answer in answers:
        if answer is not None:
            assert answer.status_code in (200, 400)
            assert answer.status_code == 400 or is_dead(world, answer.json(), "budget")
    assert error(world.redeem(code, "budget")) == "invalid_grant"


def test_a_code_belongs_to_one_app_one_address_and_one_verifier(world):
    code = world.code("meter")
    assert error(world.redeem(code, "other")) == "invalid_grant"
    assert error(world.redeem(code, "budget", redirect_uri=CALLBACK)) == "invalid_grant"
    assert error(world.redeem(code, redirect_uri=CALLBACK + "/")) == "invalid_grant"
    assert error(world.redeem(code, redirect_uri=None)) == "invalid_grant"
    assert error(world.redeem(code, code_verifier="w" * 43)) == "invalid_grant"
    assert error(world.redeem(code, code_verifier=None)) == "invalid_grant"
    assert error(world.redeem(code, code_verifier="")) == "invalid_grant"  # empty is omitted
    for malformed in ("v" * 42, "v" * 129, "v" * 42 + "é", "v" * 42 + " "):
        assert error(world.redeem(code, code_verifier=malformed)) == "invalid_request"
    assert world.redeem(code).status_code == 200  # none of these spent it


@pytest.mark.parametrize("code", ["", "x", "x" * 43, "\x00", "é", "x" * 60_000])
def test_a_code_that_is_none_is_invalid(world, code):
    assert error(world.redeem(code)) in ("invalid_grant", "invalid_request")


def test_a_code_lives_sixty_seconds(world):
    first, second = world.code(), world.code("other")
    world.clock.passes(seconds=59)
    assert world.redeem(first).status_code == 200
    world.clock.passes(seconds=2)
    assert error(world.redeem(second, "other")) == "invalid_grant"


def test_a_code_is_worth_nothing_after_alice_stopped_in_between(world):
    code = world.code()
    with world.session() as session:
        [grant_id] = session.connection().exec_driver_sql("SELECT id FROM consent").scalars()
    end_consent(world, grant_id)
    assert error(world.redeem(code)) == "invalid_grant"


def test_neither_code_nor_token_is_stored(world):
    code = world.code()
    body = world.redeem(code).json()
    whole = everything(world.house.store)
    for secret in (code, body["access_token"], body["refresh_token"], *world.secrets.values()):
        assert secret.encode() not in whole


# ---- refresh tokens


def test_a_refresh_token_belongs_to_its_app(world):
    body = world.tokens("budget")
    assert error(world.refresh(body["refresh_token"], "meter")) == "invalid_grant"
    assert world.refresh(body["refresh_token"], "budget").status_code == 200
    for wrong in ("", "x" * 43, body["access_token"], "\x00"):
        assert error(world.refresh(wrong, "budget")) in ("invalid_grant", "invalid_request")


def lost(world, app="meter"):
    """A refresh token and the answer to it that never arrived."""
    first = world.tokens(app)["refresh_token"]
    answer = world.refresh(first, app)
    assert answer.status_code == 200
    return first, answer.json()


def replays(world, person="alice"):
    return [event["what"] for event in world.events(person) if event["event"] == "token_replay"]


def rows(world, table):
    with world.session() as session:
        return session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()


def test_a_client_that_lost_the_answer_gets_the_same_successor_again(world):
    spent, never_arrived = lost(world)
    for seconds in (0, 10, 19.9):
        world.clock.passes(seconds=seconds)
        again = world.refresh(spent).json()
        assert again["refresh_token"] == never_arrived["refresh_token"] != spent
        assert claims(again["access_token"])["jti"] != claims(never_arrived["access_token"])["jti"]
        assert {**again, "access_token": ""} == {**never_arrived, "access_token": ""}
    assert (rows(world, "refreshtoken"), rows(world, "tokenfamily")) == (2, 1)
    assert world.refresh(again["refresh_token"]).status_code == 200
    assert replays(world) == []


def test_after_the_grace_a_spent_refresh_token_ends_the_family_and_alice_is_told(world):
    spent, successor = lost(world)
    world.clock.passes(seconds=world.house.settings.refresh_grace_seconds)
    assert error(world.refresh(spent)) == "invalid_grant"
    assert error(world.refresh(successor["refresh_token"])) == "invalid_grant"
    assert replays(world) == ["refresh_replayed"]


def test_the_grace_runs_from_the_first_use_and_is_not_prolonged(world):
    spent, _ = lost(world)
    world.clock.passes(seconds=20)
    assert world.refresh(spent).status_code == 200
    world.clock.passes(seconds=20)
    assert error(world.refresh(spent)) == "invalid_grant"


def test_a_thief_in_the_grace_and_the_app_do_not_both_go_on(world):
    """Nothing tells Mallory from a public app: he gets what it gets, until one of them, whichever, goes on."""
    spent, hers = lost(world)
    his = world.refresh(spent).json()
    assert his["refresh_token"] == hers["refresh_token"]
    world.clock.passes(seconds=240)
    goes_on = world.refresh(hers["refresh_token"]).json()
    assert replays(world) == []
    world.clock.passes(seconds=240)
    assert error(world.refresh(his["refresh_token"])) == "invalid_grant"
    assert error(world.refresh(goes_on["refresh_token"])) == "invalid_grant"
    assert replays(world) == ["refresh_replayed"]


def test_once_the_successor_was_used_the_spent_refresh_token_ends_the_family(world):
    """Whoever shows it, the client or a thief: the other one has moved on."""
    spent, successor = lost(world)
    third = world.refresh(successor["refresh_token"]).json()
    assert error(world.refresh(spent)) == "invalid_grant"
    assert replays(world) == ["refresh_replayed"]
    for token in (spent, successor["refresh_token"], third["refresh_token"]):
        assert error(world.refresh(token)) == "invalid_grant"


def test_only_the_last_spent_refresh_token_has_a_successor_to_give(world):
    first, second = lost(world)
    third = world.refresh(second["refresh_token"]).json()
    assert world.refresh(second["refresh_token"]).json()["refresh_token"] == third["refresh_token"]
    assert error(world.refresh(first)) == "invalid_grant"
    assert error(world.refresh(third["refresh_token"])) == "invalid_grant"


def test_another_app_gets_nothing_for_a_refresh_token_in_its_grace_and_ends_nothing(world):
    spent, successor = lost(world)
    for app in ("other", "budget"):
        assert error(world.refresh(spent, app)) == "invalid_grant"
    form = {"grant_type": "refresh_token", "refresh_token": spent}
    assert error(world.post("/token", form, None), 401) == "invalid_client"
    assert world.refresh(spent).json()["refresh_token"] == successor["refresh_token"]
    assert replays(world) == []


def test_a_confidential_apps_refresh_token_gives_nothing_without_its_credentials(world):
    token = world.tokens("budget")["refresh_token"]
    assert "refresh_token" not in world.refresh(token, "budget").json()
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert error(world.post("/token", {**form, "client_id": "budget"}, None), 401) == "invalid_client"
    assert error(world.post("/token", form, None, authorization=basic("budget:wrong")), 401) == "invalid_client"
    assert world.refresh(token, "budget").status_code == 200


def test_without_a_grace_a_second_use_ends_the_family_at_once(world):
    world.setting(refresh_grace_seconds=0)
    spent, successor = lost(world)
    assert rows(world, "refreshsuccessor") == 0
    assert error(world.refresh(spent)) == "invalid_grant"
    assert error(world.refresh(successor["refresh_token"])) == "invalid_grant"
    assert replays(world) == ["refresh_replayed"]


@pytest.mark.parametrize("verb", [deciding.end, deciding.pause])
def test_in_the_grace_as_ever_the_agreement_is_what_counts(world, verb):
    spent, successor = lost(world)
    end_consent(world, world.refresh(spent).json()["grant_id"], verb)
    expected = (403, "access_denied") if verb is deciding.pause else (400, "invalid_grant")
    for token in (spent, successor["refresh_token"]):
        assert error(world.refresh(token), expected[0]) == expected[1]


def test_a_spent_refresh_token_that_its_client_gives_back_ends_the_family_in_the_grace_too(world):
    spent, successor = lost(world)
    assert world.post("/revoke", {"token": spent}, "other").status_code == 200
    assert world.refresh(spent).status_code == 200  # not for the other app to end
    assert world.post("/revoke", {"token": spent}).status_code == 200
    for token in (spent, successor["refresh_token"]):
        assert error(world.refresh(token)) == "invalid_grant"
    assert world.events("alice")[-1]["event"] == "app_disconnected"
    assert replays(world) == []


def test_in_the_grace_introspection_calls_the_successor_active_and_the_spent_refresh_token_not(world):
    spent, successor = lost(world)
    world.register("meter", token_endpoint_auth_method="client_secret_basic")  # now it may ask
    assert world.introspect(spent, "meter").json() == {"active": False}
    assert world.introspect(successor["refresh_token"], "meter").json()["active"] is True
    assert world.introspect(successor["refresh_token"], "budget").json() == {"active": False}
    assert world.refresh(spent, "meter").json()["refresh_token"] == successor["refresh_token"]  # asking ended nothing


def test_the_successor_is_kept_sealed_and_only_for_the_grace(world):
    spent, successor = lost(world)
    world.refresh(spent)
    whole = everything(world.house.store)
    for secret in (spent, successor["refresh_token"], successor["access_token"]):
        assert secret.encode() not in whole
    assert rows(world, "refreshsuccessor") == 1
    world.clock.passes(seconds=world.house.settings.refresh_grace_seconds - 1)
    pruning.prune(world.house.store, retention.LEAVING, world.clock.now)
    assert world.refresh(spent).status_code == 200
    world.clock.passes(seconds=2)
    pruning.prune(world.house.store, retention.LEAVING, world.clock.now)
    assert (rows(world, "refreshsuccessor"), rows(world, "refreshtoken")) == (0, 2)


def test_a_spent_refresh_token_stays_spent_when_its_app_has_got_a_secret_since(world):
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).json()
    world.register("meter", token_endpoint_auth_method="client_secret_basic")
    world.clock.passes(seconds=world.house.settings.refresh_grace_seconds)
    assert world.refresh(second["refresh_token"]).status_code == 200  # not spent, and not rotated any more
    assert error(world.refresh(first["refresh_token"])) == "invalid_grant"
    assert error(world.refresh(second["refresh_token"])) == "invalid_grant"
    assert world.events("alice")[-1]["event"] == "token_replay"


def test_of_eight_rotations_at_once_all_get_one_and_the_same_successor(world):
    token = world.tokens()["refresh_token"]
    answers = at_once([lambda: world.refresh(token)] * 8)
    assert [answer.status_code for answer in answers] == [200] * 8
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    assert len({answer.json()["access_token"] for answer in answers}) == 8
    assert [rows(world, name) for name in ("tokenfamily", "refreshtoken", "refreshsuccessor")] == [1, 2, 1]
    assert world.refresh(successor).status_code == 200
    assert replays(world) == []


def test_of_eight_rotations_at_once_without_a_grace_one_succeeds_and_then_nothing_is_active(world):
    world.setting(refresh_grace_seconds=0)
    token = world.tokens()["refresh_token"]
    answers = at_once([lambda: world.refresh(token)] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    [body] = [answer.json() for answer in answers if answer.status_code == 200]
    assert error(world.refresh(body["refresh_token"])) == "invalid_grant"
    assert replays(world) == ["refresh_replayed"]


def test_of_old_and_new_refresh_token_at_once_no_two_successors_live(world):
    spent, successor = lost(world)
    answers = at_once([lambda: world.refresh(spent), lambda: world.refresh(successor["refresh_token"])] * 4)
    given = {answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}
    last = given - {successor["refresh_token"]}
    assert len(last) == 1
    assert (rows(world, "tokenfamily"), rows(world, "refreshtoken")) == (1, 3)
    assert error(world.refresh(spent)) == "invalid_grant"  # the first old one after a new one has ended the family
    assert replays(world) == ["refresh_replayed"]
    for token in given:
        assert error(world.refresh(token)) == "invalid_grant"


def test_refreshing_while_revoking_leaves_nothing_active(world):
    token = world.tokens()["refresh_token"]
    answers = at_once([lambda: world.post("/revoke", {"token": token})] + [lambda: world.refresh(token)] * 3)
    for body in [answer.json() for answer in answers if "refresh_token" in answer.text]:
        assert error(world.refresh(body["refresh_token"])) == "invalid_grant"


def test_a_refresh_cannot_widen(world):
    token = world.tokens("budget")["refresh_token"]
    assert error(world.refresh(token, "budget", scope="data_access admin")) == "invalid_scope"
    assert error(world.refresh(token, "budget", authorization_details="[]")) == "invalid_authorization_details"
    assert world.refresh(token, "budget", scope="data_access").status_code == 200


def test_after_alice_stops_nothing_refreshes(world):
    body = world.tokens("budget")
    end_consent(world, body["grant_id"])
    assert is_dead(world, body, "budget")


@pytest.mark.parametrize("app", ["meter", "budget"])
def test_while_alice_pauses_nothing_refreshes_and_afterwards_it_does(world, app):
    body = world.tokens(app)
    end_consent(world, body["grant_id"], deciding.pause)
    refused = world.refresh(body["refresh_token"], app)
    assert (refused.status_code, refused.json()["error"], refused.json()["reason"]) == (403, "access_denied", "paused")
    if app == "budget":
        assert world.introspect(body["access_token"]).json() == {"active": False}
    end_consent(world, body["grant_id"], deciding.resume)
    assert world.refresh(body["refresh_token"], app).status_code == 200


def test_what_alice_removes_later_is_not_in_the_next_token(world):
    both = [bank(), {**bank(), "datatypes": ["bank.balances"], "fields": ["balance.amount"]}]
    ticked = {"item:harbour-bank:bank.balances": "yes"}
    final = world.agree(world.browser("alice"), world.pushed("budget", both), **ticked)
    body = world.redeem(answered(final)["code"], "budget").json()
    assert [detail["datatypes"] for detail in body["authorization_details"]] == [["bank.accounts"], ["bank.balances"]]
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        keep = frozenset({("harbour-bank", "bank.accounts")})
        assert deciding.keep_only(session, world.house.log, consent, herself(consent.person_id), keep, world.clock.now)
    again = world.refresh(body["refresh_token"], "budget").json()
    assert again["authorization_details"] == body["authorization_details"][:1]
    assert again["grant_id"] == body["grant_id"]
    seen = world.introspect(body["access_token"]).json()  # an older token too is told as it is now
    assert seen["authorization_details"] == again["authorization_details"]


def test_a_new_agreement_ends_the_tokens_of_the_one_it_replaces(world):
    first = world.tokens("budget")
    second = world.tokens("budget")
    assert first["grant_id"] != second["grant_id"]
    assert is_dead(world, first, "budget")
    assert world.refresh(second["refresh_token"], "budget").status_code == 200


def test_a_suspended_app_gets_no_token(world):
    token = world.tokens("budget")["refresh_token"]
    world.suspend("budget")
    refused = world.refresh(token, "budget")
    assert (error(refused), refused.json()["reason"]) == ("unauthorized_client", "suspended")
    with world.house.store.write() as session:
        verbs.resume(session, "budget", world.clock.now)
    assert world.refresh(token, "budget").status_code == 200


# ---- client authentication


def test_secrets_do_not_travel_in_addresses_or_bodies(world):
    token = world.tokens("budget")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "budget"}
    secret = world.secrets["budget"]
    address = "/token?" + urlencode({"client_id": "budget", "client_secret": secret})
    assert error(world.post(address, {"grant_type": "refresh_token"}, None)) == "invalid_request"
    assert error(world.post("/token", {**form, "client_secret": secret}, None), 401) == "invalid_client"
    assert error(world.post("/token", form, None), 401) == "invalid_client"  # not by name alone


def test_one_method_of_authentication_is_used_not_two(world):
    token = world.tokens("budget")["refresh_token"]
    assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    for extra in (
        {"client_secret": world.secrets["budget"]},
        {"client_assertion": "a.b.c", "client_assertion_type": assertion_type},
    ):
        assert error(world.refresh(token, "budget", **extra)) == "invalid_request"
    assert error(world.refresh(token, "budget", client_id="meter"), 401) == "invalid_client"
    assert world.refresh(token, "budget", client_id="budget").status_code == 200


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
def test_wrong_credentials_are_invalid_client_with_a_challenge(world, header):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    refused = world.post("/token", form, None, authorization=header)
    assert error(refused, 401) == "invalid_client"
    assert refused.headers["www-authenticate"].startswith("Basic ")


def test_basic_is_form_decoded(world):
    with world.house.store.write() as session:
        verbs.renew_secret(session, "budget", world.clock.now, lambda: "a:b%c d+e&é")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    right = basic("budget:" + quote_plus("a:b%c d+e&é"))
    assert error(world.post("/token", form, None, authorization=right)) == "invalid_grant"
    assert error(world.post("/token", form, None, authorization=basic("budget:a:b%c d+e&é")), 401) == "invalid_client"


def test_guessing_secrets_is_slowed_down_and_the_app_itself_is_not_locked_out(world):
    form = {"grant_type": "refresh_token", "refresh_token": "x"}

    def guess():
        return world.post("/token", form, None, authorization=basic("budget:wrong"))

    assert [guess().status_code for _ in range(10)] == [401] * 10
    refused = guess()
    assert error(refused, 429) == "temporarily_unavailable"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    elsewhere = TestClient(world.app, base_url=ISSUER, client=("192.0.2.7", 1))
    headers = world.auth("budget")["headers"]
    assert error(elsewhere.post("/token", data=form, headers=headers)) == "invalid_grant"
    assert error(world.refresh("x", "meter")) == "invalid_grant"  # another app from the same address
    world.clock.passes(seconds=61)
    assert guess().status_code == 401


# ---- the form itself


@pytest.mark.parametrize("grant_type", ["password", "implicit", "é", 'x"\\', "urn:x"])
def test_other_grants_are_not_offered(world, grant_type):
    assert error(world.post("/token", {"grant_type": grant_type})) == "unsupported_grant_type"


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
def test_whoever_is_not_authenticated_is_told_by_which_scheme_to_do_it(world, path, app, form, header):
    form = {"grant_type": "refresh_token", "token": "x", **form}
    answer = world.post(path, form, app, **({"authorization": header} if header else {}))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_grant_type_missing_or_given_twice_is_malformed(world):
    assert error(world.post("/token", {})) == "invalid_request"
    assert error(world.post("/token", {"grant_type": ["refresh_token", "refresh_token"]})) == "invalid_request"
    twice = {"grant_type": "authorization_code", "code": [world.code()] * 2}
    assert error(world.post("/token", twice)) == "invalid_request"


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
def test_a_body_of_another_form_is_refused_at_once(world, path, content, media_type):
    started = time.monotonic()
    answer = world.browser().post(path, content=content, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["error"]) in ((400, "invalid_request"), (401, "invalid_client"))
    assert answer.status_code == 400 or media_type.startswith("application/x-www-form-urlencoded")
    assert time.monotonic() - started < 10  # it hangs on nothing; how fast is for the bench


def test_no_browser_of_another_site_may_read_the_token_door(world):
    answer = world.browser().options("/token", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-origin" not in world.redeem("x", origin="https://evil.example").headers
    page = world.browser().get(world.pushed(), headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in page.headers


def test_a_store_that_is_down_is_503_and_never_a_verdict(world, monkeypatch):
    code = world.code()

    def broken(*_args, **_more):
        raise Unavailable("database: OperationalError")

    monkeypatch.setattr(world.house.store, "write", broken)
    answer = world.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "OperationalError" not in answer.text
    monkeypatch.undo()
    assert world.redeem(code).status_code == 200


@pytest.mark.sqlite
def test_a_database_that_cannot_be_read_is_503_as_well(world):
    token = world.tokens()["refresh_token"]
    with world.house.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE refreshtoken RENAME TO away")
    assert world.refresh(token).status_code == 503
    with world.house.store.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE away RENAME TO refreshtoken")
    assert world.refresh(token).status_code == 200


def test_every_answer_of_the_flow_keeps_its_secrets_out_of_the_logs(world, caplog):
    caplog.set_level(0)
    code = world.code()
    body = world.redeem(code).json()
    world.refresh(body["refresh_token"])
    world.redeem(code)
    # httpx2 is the test's own client and logs the addresses that it was told to open
    said = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpx"))
    for secret in (code, body["access_token"], body["refresh_token"], VERIFIER):
        assert secret not in said


def test_the_final_page_gives_a_code_of_full_strength(world):
    first, second = (answered(world.agree(world.browser("alice"), world.pushed()))["code"] for _ in range(2))
    assert first != second
    assert len(first) == len(second) == 43
