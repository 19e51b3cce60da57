"""Apps are told that somebody has signed out (OpenID Connect Back-Channel Logout 1.0), by an outbox."""

import json
import logging
from datetime import timedelta

import jwt
import pytest
from sqlmodel import select

from gateway import retention
from gateway.authorization.tables import TokenFamily
from gateway.ground.store import pruning
from gateway.people import totp
from tests.tokens import claims
from tests.worlds.websites import AFTER, CALLBACK, HOME, NEW_PASSWORD, PASSWORD, forms, until

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
def site(world):
    """The server of "site", which is told."""
    made = world.website()
    world.register("site", backchannel_logout_uri=made.address, backchannel_logout_session_required=True)
    return made


def signs_out(browser):
    answer = browser.submit(browser.get("/account"), "/sign-out")
    assert answer.status_code == 303


def tell(world):
    """Tell what is due, without waiting for the gateway's own turn."""
    for work in world.application.notices.send_due():
        work.result(30)


# ---- what is told


def test_a_website_is_told_who_has_left_and_nothing_else(world, site):
    alice = world.browser(person="alice")
    hint = alice.id_token(nonce="n")
    said, alg = claims(hint), jwt.get_unverified_header(hint)["alg"]
    signs_out(alice)
    (got,) = until(lambda: site.got)
    assert (got["path"], got["media"]) == ("/told?of=logout", "application/x-www-form-urlencoded")
    (token,) = site.tokens()
    head = jwt.get_unverified_header(token)
    (key,) = [key for key in world.house.keys.jwks()["keys"] if key["kid"] == head["kid"]]
    assert head == {"typ": "logout+jwt", "alg": alg, "kid": key["kid"]}
    found = jwt.decode(
        token, jwt.PyJWK(key).key, [alg], audience="site", options={"verify_exp": False, "verify_iat": False}
    )
    now = int(world.clock.now.timestamp())
    assert found == {
        "iss": HOME, "aud": "site", "iat": now, "exp": now + 120, "jti": found["jti"], "events": {EVENT: {}},
        "sub": said["sub"], "sid": said["sid"],
    }  # fmt: skip
    assert len(found["jti"]) >= 22 and "nonce" not in found
    (row,) = until(lambda: world.notices(outcome="told"))
    assert row.attempts == 1 and len(site.got) == 1


def test_it_is_signed_like_the_apps_id_tokens(world, site):
    world.register("site", backchannel_logout_uri=site.address, id_token_signed_response_alg="ES256")
    alice = world.browser(person="alice")
    alice.id_token()
    signs_out(alice)
    (token,) = until(site.tokens)
    head = jwt.get_unverified_header(token)
    key = next(key for key in world.house.keys.jwks()["keys"] if key["kid"] == head["kid"])
    untimed = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(token, jwt.PyJWK(key).key, ["ES256"], audience="site", options=untimed)["iss"] == HOME


def test_a_logout_token_is_no_id_token_here(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    signs_out(alice)
    (token,) = until(site.tokens)
    alice.signs_in("alice")
    page = alice.get("/end-session", id_token_hint=token, post_logout_redirect_uri=AFTER)
    assert "You will stay here" in page.text and alice.is_signed_in()


def test_a_logout_token_opens_nothing_and_proves_nothing(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    signs_out(alice)
    (token,) = until(site.tokens)
    bearer, http = {"authorization": f"Bearer {token}"}, world.browser().http
    assert http.get("/userinfo", headers=bearer).status_code == 401
    assert http.get("/grants/x", headers=bearer).status_code == 401
    assert http.get("/data/anything/at/all", headers=bearer).status_code == 401
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": token}
    assert http.post("/token", data=form).json()["error"] == "invalid_client"
    hint = http.get("/authorize", params={"client_id": "site", "response_type": "code", "redirect_uri": CALLBACK,
                                                "scope": "openid", "id_token_hint": token})  # fmt: skip
    assert "invalid_request" in hint.text and "id_token_hint" in hint.text


def test_two_websites_are_told_by_names_of_their_own(world, site):
    other = world.website()
    world.register("other", backchannel_logout_uri=other.address)
    alice = world.browser(person="alice")
    alice.id_token(), alice.id_token(), alice.id_token("other")
    signs_out(alice)
    (one,), (two,) = until(site.tokens), until(other.tokens)
    assert (claims(one)["aud"], claims(two)["aud"]) == ("site", "other")
    assert claims(one)["sub"] != claims(two)["sub"] and claims(one)["sid"] != claims(two)["sid"]


def test_the_row_is_there_with_the_sign_out(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    assert world.notices() == []
    signs_out(alice)
    (row,) = world.notices()
    assert (row.kind, row.client_id, row.address) == ("logout", "site", site.address)
    assert json.loads(row.about).keys() == {"sub", "sid"} and world.people["alice"] not in row.about


def test_only_who_signed_her_in_and_wants_to_know_is_told(world, site):
    world.register("deaf")
    world.register("stranger", backchannel_logout_uri=site.address)
    alice, bob = world.browser(person="alice"), world.browser(person="bob")
    alice.id_token(), alice.id_token("deaf"), bob.id_token("stranger")
    signs_out(alice)
    assert [row.client_id for row in world.notices()] == ["site"]
    assert bob.is_signed_in()


# ---- in which ways a sign-in ends


def _here(world, alice, elsewhere):
    signs_out(alice)


def _by_app(world, alice, elsewhere):
    alice.get("/end-session", id_token_hint=alice.id_token())


def _confirmed(world, alice, elsewhere):
    assert alice.submit(alice.get("/end-session"), "/end-session/sign-out").status_code == 200


def _from_elsewhere(world, alice, elsewhere):
    page = elsewhere.get("/account")
    (handle,) = {
        fields["sign_in"]
        for action, fields in forms(page.text)
        if action == "/account/sign-ins/end" and fields["sign_in"] != "others"
    }
    assert elsewhere.submit(page, "/account/sign-ins/end", sign_in=handle).status_code == 303


def _all_others(world, alice, elsewhere):
    assert elsewhere.submit(elsewhere.get("/account"), "/account/sign-ins/end", sign_in="others").status_code == 303


def _new_password(world, alice, elsewhere):
    page = elsewhere.get("/account/password")
    answer = elsewhere.submit(page, "/account/password", old=PASSWORD, password=NEW_PASSWORD)
    assert answer.status_code == 303, answer.text[:500]


def _one_time_codes(world, alice, elsewhere):
    page = elsewhere.get("/account/codes")
    spelled = page.text.split('<span class="code">')[1].split("<")[0].replace(" ", "")
    code = totp.pyotp.TOTP(spelled).at(world.clock.now)
    assert elsewhere.submit(page, "/account/codes", code=code).status_code == 200


def _somebody_else(world, alice, elsewhere):
    page = alice.get("/account")
    (fields,) = [fields for action, fields in forms(page.text) if action == "/sign-out"]
    form = {"csrf": fields["csrf"], "email": "bob@example.org", "password": PASSWORD}
    assert alice.send("/sign-in", form).status_code == 303


WAYS = [_here, _by_app, _confirmed, _from_elsewhere, _all_others, _new_password, _one_time_codes, _somebody_else]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_however_her_sign_in_ends_the_website_is_told(world, site, way):
    alice, elsewhere = world.browser(person="alice"), world.browser(person="alice")
    sid = claims(alice.id_token())["sid"]
    way(world, alice, elsewhere)
    assert [json.loads(row.about)["sid"] for row in world.notices()] == [sid]
    (token,) = until(site.tokens)
    assert claims(token)["sid"] == sid


def test_confirming_who_she_is_ends_nothing_and_signing_out_then_ends_all(world, site):
    alice = world.browser(person="alice")
    first = claims(alice.id_token())
    for _ in range(2):
        world.clock.passes(minutes=20)
        alice.signs_in("alice", "/sign-in?again=1")
    assert world.notices() == []
    assert alice.is_signed_in()
    signs_out(alice)
    (token,) = until(site.tokens)
    assert claims(token)["sid"] == first["sid"]


def test_expiry_is_told_to_nobody_and_a_changed_password_ends_what_it_left(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    world.clock.passes(minutes=61)
    assert not alice.is_signed_in()
    tell(world)
    assert world.notices() == []
    elsewhere = world.browser(person="alice")
    _new_password(world, alice, elsewhere)
    assert len(world.notices()) == 1, "whoever used her sign-in before may still be signed in there"


def test_a_link_of_mallorys_ends_no_sign_in_that_has_expired(world, site):
    alice = world.browser(person="alice")
    hint = alice.id_token()
    world.clock.passes(minutes=61)
    alice.get("/end-session"), alice.get("/end-session", id_token_hint=hint)
    assert world.notices() == []


def test_a_code_that_was_not_spent_signs_nobody_in_after_she_has_left(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    code = alice.code()
    signs_out(alice)
    answer = world.redeem(code)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    bob = world.browser(person="bob")
    code = bob.code()
    alice.signs_in("alice"), signs_out(alice)
    assert world.redeem(code).status_code == 200, "of somebody else nothing ends"


def test_what_she_shares_goes_on(world, site):
    alice = world.browser(person="alice")
    body = alice.tokens()
    signs_out(alice)
    again = world.post("/token", grant_type="refresh_token", refresh_token=body["refresh_token"])
    assert again.status_code == 200
    with world.house.store.read() as session:
        assert [row.ended_at for row in session.exec(select(TokenFamily))] == [None]


# ---- websites that do not take it


def _left(world, alice):
    alice.id_token()
    signs_out(alice)


@pytest.mark.parametrize("status", [200, 204])
def test_what_was_taken_is_told_once(world, site, status):
    site.answers = (status, {})
    _left(world, world.browser(person="alice"))
    until(lambda: world.notices(outcome="told"))
    world.clock.passes(hours=3)
    tell(world)
    assert len(site.got) == 1


def test_what_was_refused_is_not_told_again(world, site):
    site.answers = (400, {})
    _left(world, world.browser(person="alice"))
    (row,) = until(lambda: world.notices(outcome="refused"))
    world.clock.passes(hours=3)
    tell(world)
    assert len(site.got) == 1 and row.attempts == 1


@pytest.mark.parametrize("status", [500, 503, 401, 404, 202, 302])
def test_any_other_answer_is_tried_again_with_a_token_of_its_own(world, site, status):
    site.answers = (status, {})
    _left(world, world.browser(person="alice"))
    until(lambda: site.got)
    (row,) = until(lambda: world.notices(attempts=1))
    assert row.done_at is None and row.due_at > world.clock.now
    tell(world)
    assert len(site.got) == 1, "not before its time"
    world.clock.passes(minutes=10)
    until(lambda: len(site.got) == 2)
    site.answers = (200, {})
    (row,) = until(lambda: world.notices(attempts=2))
    world.clock.passes(hours=1)
    until(lambda: world.notices(outcome="told"))
    one, two, three = map(claims, site.tokens())
    assert (one["sub"], one["sid"]) == (two["sub"], two["sid"]) and len({one["jti"], two["jti"], three["jti"]}) == 3
    assert two["exp"] - two["iat"] == 120 and two["iat"] - one["iat"] == 600


def test_pauses_grow_up_to_an_hour_and_after_a_day_it_is_given_up(world, site):
    site.answers = (500, {})
    _left(world, world.browser(person="alice"))
    pauses, begun = [], world.clock.now
    for attempt in range(1, 100):
        row = until(lambda: world.notices(attempts=attempt) or world.notices(outcome="given_up"))[0]  # noqa: B023
        if row.done_at:
            break
        pauses.append(row.due_at - world.clock.now)
        world.clock.now = row.due_at
    assert pauses[0] == timedelta(seconds=5) and pauses == sorted(pauses) and pauses[-1] == timedelta(hours=1)
    assert timedelta(days=1) < world.clock.now - begun < timedelta(days=1, hours=2)
    assert len(site.got) == len(pauses)


def test_a_redirect_is_not_followed(world, site):
    other = world.website()
    site.answers = (307, {"location": other.address})
    _left(world, world.browser(person="alice"))
    until(lambda: world.notices(attempts=1))
    until(lambda: site.got)
    world.clock.passes(minutes=1)
    until(lambda: len(site.got) == 2)
    assert other.got == []


def test_a_website_that_says_nothing_holds_up_nobody(world):
    silent, other = world.website(None), world.website()
    world.register("silent", backchannel_logout_uri=silent.address)
    world.register("site", backchannel_logout_uri=other.address)
    alice = world.browser(person="alice")
    alice.id_token("silent"), alice.id_token("site")
    signs_out(alice)
    until(lambda: silent.got)
    until(lambda: world.notices(client_id="site", outcome="told"))
    bob = world.browser(person="bob")
    bob.id_token("site")
    signs_out(bob)
    until(lambda: len(other.got) == 2)
    assert world.notices(client_id="silent")[0].done_at is None


def test_a_website_that_is_down_is_told_when_it_is_there_again(world):
    gone = world.website()
    address = gone.address
    gone.close()
    world.sites.remove(gone)
    world.register("site", backchannel_logout_uri=address)
    for person in ("alice", "bob"):
        _left(world, world.browser(person=person))
    until(lambda: [row for row in world.notices() if row.attempts])
    tell(world)
    waiting = until(lambda: _postponed(world))
    assert {row.done_at for row in waiting} == {None} and len(waiting) == 2


def _postponed(world):
    """Both wait, since nobody answers at the address of both."""
    rows = world.notices()
    return rows if all(row.due_at > world.clock.now for row in rows) else None


def test_where_the_address_is_not_registered_any_more_nobody_is_told(world, site):
    site.answers = (500, {})
    _left(world, world.browser(person="alice"))
    until(lambda: world.notices(attempts=1))
    count = len(until(lambda: site.got))
    world.register("site", backchannel_logout_uri="https://site.example/other")
    world.clock.passes(hours=1)
    until(lambda: world.notices(outcome="dropped"))
    assert len(site.got) == count


def test_a_private_address_is_not_called_whatever_was_registered(world, site):
    alice = world.browser(person="alice")
    alice.id_token()
    closed = world.house.settings.model_copy(update={"outbound_networks": ()})
    object.__setattr__(world.house, "settings", closed)
    signs_out(alice)
    until(lambda: world.notices(attempts=1))
    tell(world)
    assert site.got == [] and world.notices()[0].done_at is None


def test_the_operators_log_holds_no_token_and_no_person(world, site, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    site.answers = (400, {})
    alice = world.browser(person="alice")
    hint = alice.id_token()
    alice.get("/end-session", id_token_hint=hint, post_logout_redirect_uri=AFTER)
    (token,) = until(site.tokens)
    until(lambda: world.notices(outcome="refused"))
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    said = "".join([*capsys.readouterr(), *ours])
    assert "refused" in said
    secrets = [hint, token, *token.split("."), claims(token)["sub"], claims(token)["sid"], world.people["alice"]]
    assert not [one for one in (*secrets, "alice@example.org", site.origin, CALLBACK) if one in said]


def test_what_is_told_leaves_after_a_week(world, site):
    _left(world, world.browser(person="alice"))
    until(lambda: world.notices(outcome="told"))
    for days, left in ((6, 1), (2, 0)):
        world.clock.passes(days=days)
        pruning.prune(world.house.store, retention.LEAVING, world.clock.now)
        assert len(world.notices()) == left


def test_a_new_password_ends_sign_ins_and_no_sharing(world):
    """What she agreed to does not hang from how she signs in: she stops it on its own page."""
    browser = world.browser(person="alice")
    tokens = browser.tokens(scope="openid offline_access", prompt="consent")
    _new_password(world, None, browser)
    again = world.post("/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert again.status_code == 200, again.text
