"""Mallory at every door with what is Alice's: her ids, her forms, her tokens, her words."""

import re
import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from security_world import APP, BASE, Browser, Page, World, detail, moves_in, settle, transactions, with_alice

from gateway.app import doors
from gateway.ground.keys import hashed
from gateway.ground.web import cookies
from gateway.people.tables import Person

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]
ASKED = [detail("harbour-bank", ALL)]


def alice_shares(world: World) -> tuple[Browser, dict[str, Any]]:
    _, alice = with_alice(world)
    browser = world.browser(alice)
    return browser, world.agreed(browser, "budget", ASKED)


# ---- people


@pytest.mark.parametrize("path", ["", "/seen", "/stop", "/stopped"])
def test_another_persons_sharing_does_not_exist(world: World, path: str) -> None:
    _, body = alice_shares(world)
    mallory = world.browser(world.person("Mallory"))
    hers = mallory.get(f"/sharings/{body['grant_id']}{path}")
    nobodys = mallory.get(f"/sharings/{'x' * 43}{path}")
    assert hers.status_code == nobodys.status_code == 404
    strip = re.compile(r"[A-Za-z0-9_-]{43}")
    assert strip.sub("", hers.text) == strip.sub("", nobodys.text)


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_another_persons_sharing_cannot_be_changed(world: World, act: str) -> None:
    _, body = alice_shares(world)
    mallory = world.browser(world.person("Mallory"))
    assert mallory.post(f"/sharings/{body['grant_id']}/{act}", {"remove": "x"}).status_code == 404
    assert world.rows("SELECT state, generation FROM consent")[0][0] == "active"


def test_another_persons_request_cannot_be_answered_or_finished(world: World) -> None:
    bank = settle(world)
    alice, mallory = world.person("Alice"), world.person("Mallory")
    moves_in(world, bank, alice)
    moves_in(world, bank, mallory)
    hers, his = world.browser(alice), world.browser(mallory)
    address = world.request("budget", ASKED)
    screen = hers.get(address)
    form = Page(screen.text).form("/consent/") | {"decision": "allow"}
    action = re.findall(r'action="(/consent/[^"]+)"', screen.text)[0]
    assert his.post(action, form | {"csrf": world.house.keys.mac("csrf", his.sign_in)}).status_code == 404
    given = form | {"accounts:harbour-bank": Page(screen.text).offered("accounts:harbour-bank")}
    assert hers.post(action, given).status_code == 303
    assert his.get(address).status_code == 403  # decided: hers alone
    assert world.rows("SELECT person_id FROM consent WHERE state = 'active'") == [(alice,)]


def test_a_screen_that_was_shown_to_somebody_else_is_no_answer(world: World) -> None:
    """The sealed word of one person's screen in the form of another's, for the same app and data."""
    bank = settle(world)
    seen: dict[str, str] = {}
    for name in ("Alice", "Mallory"):
        person = world.person(name)
        moves_in(world, bank, person)
        browser = world.browser(person)
        screen = browser.get(world.request("budget", ASKED))
        form = Page(screen.text).form("/consent/") | {"decision": "allow"}
        form["accounts:harbour-bank"] = Page(screen.text).offered("accounts:harbour-bank")
        seen.setdefault("first", form["seen"])
        action = re.findall(r'action="(/consent/[^"]+)"', screen.text)[0]
        if name == "Mallory":
            assert browser.post(action, form | {"seen": seen["first"]}).status_code == 303
    assert {state for (state,) in world.rows("SELECT state FROM consent")} == {"requested"}


@pytest.mark.parametrize("path", ["stop", "pause", "resume", "remove"])
@pytest.mark.parametrize(
    ("csrf", "headers"),
    [
        ("", {}),
        ("x" * 43, {}),
        ("of Mallory", {}),
        ("right", {"origin": "https://evil.example"}),
        ("right", {"sec-fetch-site": "cross-site"}),
        ("right", {"origin": "null"}),
    ],
)
def test_a_form_that_is_not_ours_changes_nothing(world: World, path: str, csrf: str, headers: dict[str, str]) -> None:
    alice, body = alice_shares(world)
    mallory = world.browser(world.person("Mallory"))
    real = world.house.keys.mac("csrf", alice.sign_in)
    word = {"right": real, "of Mallory": world.house.keys.mac("csrf", mallory.sign_in)}.get(csrf, csrf)
    answer = alice.post(f"/sharings/{body['grant_id']}/{path}", {"csrf": word}, **headers)
    assert answer.status_code == 403
    assert world.rows("SELECT state FROM consent WHERE id = ?", body["grant_id"]) == [("active",)]


def test_reading_an_address_never_changes_anything(world: World) -> None:
    alice, body = alice_shares(world)
    before = world.rows("SELECT state, generation FROM consent"), world.rows("SELECT count(*) FROM link")
    for word in ("stop", "pause", "resume", "remove"):
        alice.get(f"/sharings/{body['grant_id']}/{word}")
    for path in (
        "/sharings/stop-all",
        "/sharings/pause-all",
        "/sharings/resume-all",
        "/organisations/harbour-bank/unlink",
        "/sign-out",
    ):
        alice.get(path)
    assert before == (world.rows("SELECT state, generation FROM consent"), world.rows("SELECT count(*) FROM link"))
    assert alice.get("/sharings").status_code == 200


@pytest.mark.parametrize(
    "evil",
    ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "javascript:alert(1)",
     "/%09/evil.example", "/\t/evil.example", "\\\\evil.example", "/%5cevil.example", "/%2fevil.example", " //evil"],
)  # fmt: skip
def test_no_word_in_an_address_or_form_leads_away(world: World, evil: str) -> None:
    alice, body = alice_shares(world)
    answers = [
        alice.http.get("/sign-in", params={"next": evil}),
        alice.http.get("/register", params={"next": evil}),
        alice.http.get("/organisations/harbour-bank/link", params={"next": evil}),
        alice.post("/language", {"language": "fr", "next": evil}),
        alice.post("/theme", {"theme": "dark", "next": evil}),
        alice.post(f"/consent/{body['grant_id']}", {"resume": evil, "decision": "allow"}),
        alice.post("/sign-out", {"next": evil}),
    ]
    for answer in answers:
        assert answer.status_code == 303 and re.match(r"/(?![/\\%])", answer.headers["location"]), answer.headers


def test_a_cookie_known_before_signing_in_is_worth_nothing_after(world: World) -> None:
    """Fixation: the visit's secret makes no form of the sign-in, and a made-up sign-in is nobody's."""
    alice, body = alice_shares(world)
    alice.http.headers["cookie"] += f"; {cookies.VISIT}=known"
    forged = world.house.keys.mac("csrf", "known")
    assert alice.post(f"/sharings/{body['grant_id']}/stop", {"csrf": forged}).status_code == 403
    anybody = world.browser()
    anybody.http.headers["cookie"] = f"{cookies.SIGN_IN}=fixed"
    assert anybody.get("/sharings").status_code == 303
    anybody.http.headers["cookie"] = f"{cookies.SIGN_IN}={hashed('fixed')}"
    assert anybody.get("/sharings").status_code == 303


# ---- apps


def test_an_app_has_nothing_from_another_apps_tokens(world: World) -> None:
    _, body = alice_shares(world)
    world.app("other", APP, token_endpoint_auth_method="client_secret_basic")
    assert world.refresh(body["refresh_token"], "other").json()["error"] == "invalid_grant"
    for token in (body["refresh_token"], body["access_token"]):
        assert world.oauth("/introspect", {"token": token}, "other").json() == {"active": False}
        assert world.oauth("/revoke", {"token": token}, "other").status_code == 200
    assert world.refresh(body["refresh_token"], "budget").status_code == 200
    assert world.read(body["access_token"], "/data/meadow-health/v2/fhir/Patient").status_code == 403


def test_a_code_is_good_for_one_app_one_address_one_verifier_and_once(world: World) -> None:
    _, alice = with_alice(world)
    world.app("other", APP)
    browser = world.browser(alice)
    address = world.request("budget", ASKED)
    refs = Page(browser.get(address).text).offered("accounts:harbour-bank")
    code = world.answer(browser, address, **{"accounts:harbour-bank": refs})["code"]
    assert world.redeem(code, "other").json()["error"] == "invalid_grant"
    assert world.redeem(code, "budget", redirect_uri="https://evil.example/").status_code == 400
    assert world.redeem(code, "budget", code_verifier="w" * 43).json()["error"] == "invalid_grant"
    body = world.redeem(code, "budget").json()
    assert world.redeem(code, "budget").json()["error"] == "invalid_grant"
    assert world.refresh(body["refresh_token"], "budget").json()["error"] == "invalid_grant"
    assert world.read(body["access_token"], transactions(refs[0])).status_code == 401


@pytest.mark.parametrize(
    "changes", [{"redirect_uris": ["https://new.example/callback"]}, {"data": APP[:1]}, {"legal_entity": "Else SA"}]
)
def test_a_request_made_under_another_registration_of_the_app_is_over(world: World, changes: dict[str, Any]) -> None:
    """An address or type of data that the app had to give up is not served for as long as a request lives."""
    _, alice = with_alice(world)
    browser = world.browser(alice)
    address = world.request("budget", ASKED)
    assert browser.get(address).status_code == 200
    world.app("budget", changes.pop("data", APP), **changes)
    answer = browser.get(address)
    assert answer.status_code == 400 and "callback" not in answer.text


# ---- all at once


def at_once(count: int, what: Callable[[int], Any]) -> list[Any]:
    """The same from several threads."""
    found: list[Any] = [None] * count
    ready = threading.Barrier(count)

    def run(number: int) -> None:
        ready.wait()
        found[number] = what(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_twenty_clicks_on_allow_make_one_agreement(world: World) -> None:
    _, alice = with_alice(world)
    browser = world.browser(alice)
    screen = browser.get(world.request("budget", ASKED))
    form = Page(screen.text).form("/consent/") | {"decision": "allow"}
    form["accounts:harbour-bank"] = Page(screen.text).offered("accounts:harbour-bank")
    action = re.findall(r'action="(/consent/[^"]+)"', screen.text)[0]
    refusing = {**form, "decision": "refuse"}
    answers = at_once(20, lambda number: browser.post(action, form if number % 2 else refusing).status_code)
    assert answers == [303] * 20
    assert [entry["event"] for entry in world.log(alice)][1:] in (["consent_given"], ["consent_refused"])
    assert len(world.rows("SELECT 1 FROM consentevent")) == 2


def test_a_code_redeemed_twenty_times_at_once_leaves_nothing_alive(world: World) -> None:
    _, alice = with_alice(world)
    browser = world.browser(alice)
    address = world.request("budget", ASKED)
    refs = Page(browser.get(address).text).offered("accounts:harbour-bank")
    code = world.answer(browser, address, **{"accounts:harbour-bank": refs})["code"]
    answers = at_once(20, lambda _: world.redeem(code, "budget"))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert world.refresh(good[0]["refresh_token"], "budget").status_code == 400
    assert world.read(good[0]["access_token"], transactions(refs[0])).status_code == 401


def test_a_refresh_at_once_with_stopping_leaves_nothing_alive(world: World) -> None:
    alice, body = alice_shares(world)
    ref = body["authorization_details"][0]["accounts"][0]

    def either(number: int) -> Any:
        if number:
            return world.refresh(body["refresh_token"], "budget")
        return alice.post(f"/sharings/{body['grant_id']}/stop")

    answers = at_once(8, either)
    for answer in answers[1:]:
        if answer.status_code == 200:
            assert world.read(answer.json()["access_token"], transactions(ref)).status_code in (401, 403)
            assert world.refresh(answer.json()["refresh_token"], "budget").status_code == 400


def test_of_twenty_reads_at_once_a_sharing_for_one_use_gives_one(world: World) -> None:
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", ASKED, duration="once")
    ref = body["authorization_details"][0]["accounts"][0]
    answers = at_once(20, lambda _: world.read(body["access_token"], transactions(ref)).status_code)
    assert sorted(answers) == [200] + [403] * 19


def test_nothing_is_read_after_stopping_was_acknowledged(world: World) -> None:
    alice, body = alice_shares(world)
    ref = body["authorization_details"][0]["accounts"][0]
    stopped = threading.Event()
    late: list[int] = []

    def either(number: int) -> None:
        if not number:
            assert alice.post(f"/sharings/{body['grant_id']}/stop").status_code == 303
            stopped.set()
            return
        for _ in range(10):
            after = stopped.is_set()
            status = world.read(body["access_token"], transactions(ref)).status_code
            if after:
                late.append(status)

    at_once(4, either)
    late.append(world.read(body["access_token"], transactions(ref)).status_code)
    assert set(late) <= {403, 429}


# ---- age and guardians


def test_a_child_cannot_agree_and_her_guardian_can_until_she_is_of_age(world: World) -> None:
    bank = settle(world)
    alice = world.person("Alice")
    chloe = world.person("Chloé", born=date(2012, 11, 24), guardian=alice)  # fifteen on 24 November 2027
    moves_in(world, bank, chloe)
    hers, guardian = world.browser(chloe), world.browser(alice)
    address = world.request("budget", ASKED)
    screen = hers.get(address)
    consent = world.rows("SELECT id FROM consent WHERE person_id = ?", chloe)[0][0]
    assert 'value="allow"' not in screen.text
    assert hers.post(f"/consent/{consent}", {"decision": "allow"}).status_code in (303, 403)
    assert world.rows("SELECT state FROM consent") == [("requested",)]
    refs = Page(guardian.get(address).text).offered("accounts:harbour-bank")
    code = world.answer(guardian, address, **{"accounts:harbour-bank": refs})["code"]
    body = world.redeem(code, "budget").json()
    assert world.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts").status_code == 200
    mallory = world.browser(world.person("Mallory"))
    assert mallory.get(f"/sharings/{consent}").status_code == 404
    with world.house.store.write() as session:
        session.get_one(Person, chloe).birth_date = date(2000, 1, 1)
    assert guardian.get(f"/sharings/{consent}").status_code == 404
    assert guardian.post(f"/sharings/{consent}/stop").status_code == 404
    assert hers.post(f"/sharings/{consent}/pause").status_code == 303


def test_a_date_of_birth_that_makes_her_a_child_counts_at_the_next_call(world: World) -> None:
    alice, body = alice_shares(world)
    ref = body["authorization_details"][0]["accounts"][0]
    assert world.read(body["access_token"], transactions(ref)).status_code == 200
    form = {"name": "Alice", "language": "en", "birth_date": "2020-01-01"}
    assert alice.post("/account/details", form).status_code == 303
    assert world.read(body["access_token"], transactions(ref)).status_code == 403


def test_a_sign_in_made_under_a_wrong_clock_is_not_recent_for_hours(world: World) -> None:
    world.clock.passes(days=1)
    alice = world.browser(world.person("Alice"))
    world.clock.passes(hours=-20)
    assert alice.get("/account/password").status_code == 303


def test_a_suspended_app_or_organisation_gets_nothing_from_the_next_call_on(world: World) -> None:
    from gateway.apps import verbs
    from gateway.organisations import declare

    alice, body = alice_shares(world)
    path = transactions(body["authorization_details"][0]["accounts"][0])
    for room, name in ((verbs, "budget"), (declare, "harbour-bank")):
        with world.house.store.write() as session:
            room.suspend(session, name, "because", world.clock.now)
        assert world.read(body["access_token"], path).json()["reason"] == "suspended"
        assert alice.get("/sharings").status_code == 200
        with world.house.store.write() as session:
            room.resume(session, name, world.clock.now)
        assert world.read(body["access_token"], path).status_code == 200


def test_an_address_says_every_method_it_takes(world: World) -> None:
    taken: dict[str, set[str]] = {}
    for door in doors(world.house):
        path = re.sub(r"\{\w+(:path)?\}", "anything", door.path)
        taken.setdefault(path, set()).update(door.methods, {"HEAD"} if "GET" in door.methods else ())
    assert taken["/authorize"] == {"GET", "HEAD", "POST"}
    for path, methods in taken.items():
        other = next(method for method in ("PATCH", "OPTIONS") if method not in methods)
        answer = world.http.request(other, path)
        said = {method.strip() for method in answer.headers["allow"].split(",")}
        assert (path, answer.status_code, said) == (path, 405, methods)


def test_home_tells_paused_sharings_from_none_and_only_to_whom_they_belong(world: World) -> None:
    bank = settle(world)
    alice, mallory = world.person("Alice"), world.person("Mallory")
    moves_in(world, bank, alice)
    moves_in(world, bank, mallory)
    hers, his = world.browser(alice), world.browser(mallory)
    assert "Nothing is shared at the moment" in hers.get("/").text
    world.agreed(hers, "budget", ASKED)
    hers.post("/sharings/pause-all")
    assert "Your sharings are paused" in hers.get("/").text
    assert "Nothing is shared at the moment" not in hers.get("/").text
    assert "Nothing is shared at the moment" in his.get("/").text
    world.clock.passes(seconds=1)
    hers.post("/sharings/resume-all")
    assert "Your sharings are paused" not in hers.get("/").text
