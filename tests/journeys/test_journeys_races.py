"""Many at once, at two gateways on one database of PostgreSQL: what may happen once happens once.

TORTURE=1 repeats each race 100 times.
"""

import hashlib
import os
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from journeys_world import PASSWORD, World, at_once, forms, statuses

from gateway.authorization.tables import AuthorizationRequest, TokenFamily
from gateway.consent.tables import Consent, ConsentEvent
from gateway.ground.keys import fresh
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.web import cookies
from gateway.people import sign_ins, totp
from gateway.people.tables import Person, SignIn

pytestmark = pytest.mark.postgres
ROUNDS = 100 if os.environ.get("TORTURE") else 1


@pytest.fixture(scope="module")
def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"races_{fresh()[:8].lower().replace('-', '_')}"
    postgres.create(name)
    made = World(tmp_path_factory.mktemp("races"), postgres.url(name))
    yield made
    made.close()
    postgres.drop(name)


@pytest.fixture(autouse=True)
def rested(world: World) -> None:
    """So that a hundred rounds meet no limit of tries."""
    world.forget_tries()


rounds = pytest.mark.parametrize("_round", range(ROUNDS))


@rounds
def test_of_twenty_calls_with_one_code_one_gets_tokens_and_its_family_is_ended(world: World, _round: int) -> None:
    code = world.code()
    answers = at_once(20, lambda number: world.redeem(number, code))
    assert statuses(answers) == [200] + [400] * 19
    given = next(answer.json() for answer in answers if answer.status_code == 200)
    [request] = world.rows(
        AuthorizationRequest, AuthorizationRequest.code_sha256 == hashlib.sha256(code.encode()).hexdigest()
    )
    [family] = world.rows(TokenFamily, TokenFamily.consent_id == request.consent_id)
    assert family.ended_reason == "code_replayed"
    assert world.refresh(1, given["refresh_token"]).status_code == 400


@rounds
def test_of_twenty_calls_with_one_refresh_token_all_get_the_one_successor(world: World, _round: int) -> None:
    """Within the grace: there is one chain, however many ask."""
    token = world.redeem(0, world.code()).json()["refresh_token"]
    answers = at_once(20, lambda number: world.refresh(number, token))
    assert statuses(answers) == [200] * 20
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@rounds
def test_of_twenty_calls_with_a_refresh_token_gone_beyond_none_gets_anything(world: World, _round: int) -> None:
    token = world.redeem(0, world.code()).json()["refresh_token"]
    second = world.refresh(0, token).json()["refresh_token"]
    third = world.refresh(1, second).json()["refresh_token"]
    before = world.kinds("alice").count("token_replay")
    answers = at_once(20, lambda number: world.refresh(number, token))
    assert statuses(answers) == [400] * 20
    assert world.kinds("alice").count("token_replay") == before + 1
    assert world.refresh(0, third).status_code == 400


@rounds
def test_one_form_sent_many_times_is_one_decision(world: World, _round: int) -> None:
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    answers = at_once(8, lambda number: world.browser(number, cookie).post(action, data=fields))
    assert statuses(answers) == [303] * 8
    consent = action.rpartition("/")[2]
    events = world.rows(ConsentEvent, ConsentEvent.consent_id == consent)
    assert sorted(event.type for event in events) == ["granted", "requested"]


@rounds
def test_yes_and_no_at_once_is_one_of_them(world: World, _round: int) -> None:
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    said = ("allow", "refuse")
    answers = at_once(8, lambda n: world.browser(n, cookie).post(action, data={**fields, "decision": said[n % 2]}))
    assert statuses(answers) == [303] * 8
    [consent] = world.rows(Consent, Consent.id == action.rpartition("/")[2])
    events = world.rows(ConsentEvent, ConsentEvent.consent_id == consent.id)
    assert len(events) == 2 and consent.state in ("active", "refused")
    assert ("code" in world.answered(cookie, address)) == (consent.state == "active")


@rounds
def test_stopping_one_while_another_is_agreed_to_leaves_one_that_runs(world: World, _round: int) -> None:
    code = world.code()
    running = next(one for one in world.rows(Consent, Consent.state == "active"))
    cookie, address = world.signed_in("alice"), world.pushed()
    action, fields = world.screen(cookie, address)
    csrf = fields["csrf"]

    def act(number: int) -> Any:
        if number % 2:
            return world.browser(number, cookie).post(action, data=fields)
        return world.browser(number // 2, cookie).post(f"/sharings/{running.id}/stop", data={"csrf": csrf})

    answers = at_once(8, act)
    agreed = [answer.status_code for answer in answers[1::2]]
    assert [answer.status_code for answer in answers[::2]] == [303] * 4
    # Where the stop comes first, the screen that said what would be replaced is not true any more: it is shown anew.
    assert set(agreed) in ({303}, {422})
    active = world.rows(Consent, Consent.person_id == world.people["alice"], Consent.state == "active")
    assert [one.id for one in active] == ([action.rpartition("/")[2]] if 303 in agreed else [])
    [ended] = world.rows(Consent, Consent.id == running.id)
    assert ended.state == "ended" and ended.reason in ("withdrawn", "replaced")
    assert [event.type for event in world.rows(ConsentEvent, ConsentEvent.consent_id == running.id)].count("ended") == 1
    assert world.redeem(0, code).status_code in (200, 400)


@rounds
def test_pausing_and_resuming_at_once_keeps_the_chain_of_events(world: World, _round: int) -> None:
    world.code()
    [running] = world.rows(Consent, Consent.person_id == world.people["alice"], Consent.state == "active")
    cookie = world.signed_in("alice")
    csrf = dict(forms(world.browser(0, cookie).get("/account/details").text)[0][1])["csrf"]
    acts = ("pause", "resume")
    answers = at_once(
        12, lambda n: world.browser(n, cookie).post(f"/sharings/{running.id}/{acts[n % 2]}", data={"csrf": csrf})
    )
    assert statuses(answers) == [303] * 12
    events = sorted(world.rows(ConsentEvent, ConsentEvent.consent_id == running.id), key=lambda event: event.seq)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    turns = [event.type for event in events if event.type in ("paused", "resumed")]
    assert turns == ["paused", "resumed"] * (len(turns) // 2) + ["paused"] * (len(turns) % 2)


@rounds
def test_of_eight_who_register_one_address_one_account_is_opened(world: World, _round: int) -> None:
    email = f"{fresh()[:10].lower().strip('-_')}x@example.org"
    browsers = []
    for number in range(8):
        page = world.browser(number).get("/register")
        browser = world.browser(number, visit=cast(str, page.cookies.get(cookies.VISIT)))
        browsers.append((browser, next(fields for _, fields in forms(page.text) if "email" in fields)))

    def act(number: int) -> Any:
        browser, fields = browsers[number]
        filled = {"name": "Carol Ann", "email": email, "password": "seven quiet otters"}
        return browser.post("/register", data={**fields, **filled})

    answers = at_once(8, act)
    assert statuses(answers) == [303] * 8
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(world.rows(Person, Person.email == email)) == 1


@rounds
def test_of_eight_who_use_one_time_code_one_signs_in(world: World, _round: int) -> None:
    house, now = world.house, world.house.clock()
    secret = totp.encoded(fresh_bytes(20))
    owing = [fresh() for _ in range(8)]
    with house.store.write() as session:
        bob = session.get_one(Person, world.people["bob"])
        totp.switch_on(session, house.keys, house.log, bob, secret, 0, [fresh_bytes(10)], now)
        for cookie in owing:
            sign_ins.begin(session, bob, "pwd", secret=cookie, settings=house.settings, now=now, complete=False)
    code = pyotp.TOTP(secret).at(now)
    pages = [world.browser(number, cookie).get("/sign-in/second") for number, cookie in enumerate(owing)]

    def act(number: int) -> Any:
        _, fields = next(form for form in forms(pages[number].text) if "code" in form[1])
        visit = cast(str, pages[number].cookies.get(cookies.VISIT))
        browser = world.browser(number, owing[number], visit)
        return browser.post("/sign-in/second", data={**fields, "code": code})

    assert statuses(at_once(8, act)) == [303] + [400] * 7
    complete = world.rows(SignIn, SignIn.person_id == world.people["bob"], SignIn.methods == "pwd otp")
    assert len(complete) == _round + 1


@rounds
def test_of_twenty_calls_with_one_assertion_one_is_believed(world: World, _round: int) -> None:
    form = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": world.signer.assertion("signed"),
        "token": "unknown",
    }
    answers = at_once(8, lambda number: world.browser(number).post("/revoke", data=form))
    assert statuses(answers) == [200] + [401] * 7


@rounds
def test_a_request_that_two_people_open_at_once_is_one_persons(world: World, _round: int) -> None:
    address = world.pushed()
    who = [world.signed_in("alice"), world.signed_in("bob")]
    answers = at_once(8, lambda number: world.browser(number // 2, who[number % 2]).get(address + "&change=1"))
    assert statuses(answers) == [200] * 8
    uri = parse_qs(urlsplit(address).query)["request_uri"][0].rpartition(":")[2]
    [request] = world.rows(AuthorizationRequest, AuthorizationRequest.id == hashlib.sha256(uri.encode()).hexdigest())
    [kept] = world.rows(Consent, Consent.id == request.consent_id)
    assert kept.person_id == request.opened_by and kept.state == "requested"
    twins = world.rows(Consent, Consent.asked == request.ask, Consent.state == "requested")
    for one in twins:  # each that she or he cannot answer any more has lapsed
        assert one.id == kept.id or one.created_at < request.opened_at


@rounds
def test_a_guardian_and_her_child_who_stop_everything_at_once_each_end_it_once(world: World, _round: int) -> None:
    """Both decide about the child: neither waits for ever, and each sharing has one end."""
    child, guardian = f"child-{_round}", f"guardian-{_round}"
    for name in (child, guardian):
        world.people[name] = world.person(name)
    world.code(child)
    with world.house.store.write() as session:
        session.get_one(Person, world.people[child]).guardian_id = world.people[guardian]
    who = [world.signed_in(child), world.signed_in(guardian)]
    tokens = [dict(forms(world.browser(0, one).get("/account/details").text)[0][1])["csrf"] for one in who]

    def act(number: int) -> Any:
        browser = world.browser(number // 2, who[number % 2])
        return browser.post("/sharings/stop-all", data={"csrf": tokens[number % 2]})

    assert statuses(at_once(8, act)) == [303] * 8
    [consent] = world.rows(Consent, Consent.person_id == world.people[child])
    events = world.rows(ConsentEvent, ConsentEvent.consent_id == consent.id)
    assert consent.state == "ended" and [event.type for event in events].count("ended") == 1


@rounds
def test_after_the_password_was_changed_nobody_is_in_by_the_old_one(world: World, _round: int) -> None:
    """Whoever signs in with the old one while it is changed is signed out by the change, or never in."""
    name = f"changes-{_round}"
    world.people[name] = world.person(name)
    cookie, new = world.signed_in(name), "seven quiet otters"
    csrf = dict(forms(world.browser(0, cookie).get("/account/password").text)[0][1])["csrf"]
    sign_in = []
    for number in range(7):
        page = world.browser(number).get("/sign-in")
        fields = next(fields for _, fields in forms(page.text) if "password" in fields)
        sign_in.append((cast(str, page.cookies.get(cookies.VISIT)), fields))

    def act(number: int) -> Any:
        if number == 7:
            form = {"csrf": csrf, "old": PASSWORD, "password": new}
            return world.browser(number, cookie).post("/account/password", data=form)
        visit, fields = sign_in[number]
        filled = {**fields, "email": f"{name}@example.org", "password": PASSWORD}
        return world.browser(number, visit=visit).post("/sign-in", data=filled)

    answers = at_once(8, act)
    assert set(statuses(answers)) <= {303, 400} and answers[7].status_code == 303
    live = world.rows(SignIn, SignIn.person_id == world.people[name], SignIn.ended_at == None)  # noqa: E711
    assert len(live) == 1
