"""What an app asks of a person who is not there, at a whole gateway: her pages, the silence after a refusal, and how
the app is told that she has answered (CIBA ping)."""

import json
import re

import pytest

from gateway import retention
from gateway.consent import expiry
from gateway.consent.tables import Silence
from gateway.ground.store import pruning
from tests.worlds.websites import forms, until

GRANT = "urn:openid:params:grant-type:ciba"
TOKEN = "n0tify-me-" + "x" * 32
MAIL = "alice@example.org"


def till(world, address="", **changes):
    ping = {"backchannel_token_delivery_mode": "ping", "backchannel_client_notification_endpoint": address}
    world.register(
        "till",
        grant_types=[GRANT, "authorization_code", "refresh_token"],
        scope="openid email",
        asks_anybody=True,
        **(ping if address else {"backchannel_token_delivery_mode": "poll"}),
        **changes,
    )


def ask(world, app="till", **changes):
    form = {"scope": "openid", "login_hint": MAIL, "binding_message": "Till 4", **changes}
    return world.post("/bc-authorize", app, **form)


def begun(world, **changes):
    answer = ask(world, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


def visible(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


def answer(browser, decision="allow"):
    """From her list of sharings into the request, and her answer to it."""
    listed = browser.get("/sharings")
    (address,) = re.findall(r'href="(/requests/[^"]+)"', listed.text)
    led = browser.get(address)
    page = browser.get(led.headers["location"])
    (action,) = {to for to, _ in forms(page.text) if to.startswith("/consent/")}
    return browser.get(browser.submit(page, action, decision=decision).headers["location"])


def tell(world):
    for work in world.application.notices.send_due():
        work.result(30)


# ---- her pages


def test_the_request_stands_on_her_pages_until_she_answers(world):
    till(world)
    begun(world)
    alice = world.browser(person="alice")
    assert "1 request waits for your answer." in visible(alice.get("/"))
    text = visible(alice.get("/sharings"))
    assert "Waiting for your answer" in text and "Till writes: “Till 4”." in text and "You can answer until" in text
    bob = world.browser(person="bob")
    assert "Waiting" not in visible(bob.get("/sharings")) and "waits for your answer" not in visible(bob.get("/"))
    assert "Your answer is recorded" in visible(answer(alice))
    assert "Waiting" not in visible(alice.get("/sharings")) and "waits" not in visible(alice.get("/"))


def test_in_french(world):
    till(world)
    begun(world)
    alice = world.browser(language="fr", person="alice")
    alice.submit(alice.get("/account"), "/language", language="fr")
    assert "1 demande attend votre réponse." in visible(alice.get("/"))
    text = visible(alice.get("/sharings"))
    assert "En attente de votre réponse" in text and "Till écrit : « Till 4 »." in text
    done = visible(answer(alice, "refuse"))
    assert "Rien n’est partagé" in done or "Rien n'est partagé" in done
    assert "Applications qui ne peuvent plus demander d’elles-mêmes" in visible(alice.get("/sharings"))


def test_a_request_that_is_not_answered_leaves_by_itself(world):
    till(world)
    begun(world, requested_expiry="600")
    world.clock.passes(seconds=599)
    assert expiry.write_due(world.house, world.clock.now) == 0
    world.clock.passes(seconds=2)
    assert "Waiting" not in visible(world.browser(person="alice").get("/sharings")), "also before that is written"
    assert expiry.write_due(world.house, world.clock.now) == 1
    assert world.events("alice")[-2:] == ["sign_in", "consent_ended"]


def test_she_keeps_an_app_silent_for_longer_or_lets_it_ask_again(world):
    till(world)
    begun(world)
    alice = world.browser(person="alice")
    answer(alice, "refuse")
    page = alice.get("/sharings")
    assert "Apps that may not ask by themselves" in visible(page) and "silent until" in visible(page)
    assert ask(world).status_code == 403
    alice.submit(page, "/silences", length="ever")
    world.clock.passes(hours=11)  # as long as the sign-in lives
    alice = world.browser(person="alice")
    page = alice.get("/sharings")
    assert "silent for ever" in visible(page)
    alice.submit(page, "/silences", length="again")
    assert "may not ask" not in visible(alice.get("/sharings"))
    assert ask(world).status_code == 200
    said = [event for event in world.events("alice") if event == "asking_changed"]
    assert len(said) == 2


def answer_at(browser, path):
    """Her refusal of one request of several."""
    page = browser.get(browser.get(path).headers["location"])
    (action,) = {to for to, _ in forms(page.text) if to.startswith("/consent/")}
    browser.submit(page, action, decision="refuse")


def test_her_word_never_again_is_not_taken_back_by_her_next_refusal(world):
    till(world)
    assert [ask(world).status_code for _ in range(2)] == [200, 200]
    alice = world.browser(person="alice")
    first, second = re.findall(r'href="(/requests/[^"]+)"', alice.get("/sharings").text)
    answer_at(alice, first)
    alice.submit(alice.get("/sharings"), "/silences", length="ever")
    assert "silent for ever" in visible(alice.get("/sharings"))
    answer_at(alice, second)
    assert "silent for ever" in visible(alice.get("/sharings"))
    world.clock.passes(days=200)
    assert ask(world).status_code == 403


def test_mallory_changes_no_silence_of_alices(world):
    till(world)
    begun(world)
    alice, bob = world.browser(person="alice"), world.browser(person="bob")
    answer(alice, "refuse")
    begun(world, login_hint="bob@example.org")
    answer(bob, "refuse")
    form = {"person": world.people["alice"], "app": "till", "purpose": "sign-in", "length": "again"}
    (fields,) = [fields for to, fields in forms(bob.get("/sharings").text) if to == "/silences"]
    assert bob.send("/silences", {**fields, **form}).status_code == 404
    assert bob.send("/silences", {**fields, "length": "nonsense"}).status_code == 303
    assert bob.send("/silences", {**fields, "app": "site"}).status_code == 303, "there is none: nothing happens"
    assert ask(world).status_code == 403 and ask(world, login_hint="bob@example.org").status_code == 403


def test_silences_leave_when_they_are_over(world):
    till(world)
    begun(world)
    answer(world.browser(person="alice"), "refuse")
    world.clock.passes(days=183)
    pruning.prune(world.house.store, retention.LEAVING, world.clock.now)
    with world.house.store.read() as session:
        assert session.get(Silence, (world.people["alice"], "till", "sign-in")) is None


# ---- the app is told


@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_the_app_is_told_with_its_own_token_and_then_polls(world, decision):
    site = world.website(204)
    till(world, site.address)
    told = begun(world, client_notification_token=TOKEN)
    answer(world.browser(person="alice"), decision)
    (got,) = until(lambda: site.got)
    assert (got["path"], got["media"]) == ("/told?of=logout", "application/json")
    assert got["authorization"] == f"Bearer {TOKEN}" and json.loads(got["body"]) == {"auth_req_id": told["auth_req_id"]}
    (notice,) = until(lambda: world.notices(outcome="told"))
    assert TOKEN not in str(notice) and told["auth_req_id"] not in str(notice)
    polled = world.post("/token", "till", grant_type=GRANT, auth_req_id=told["auth_req_id"])
    assert polled.status_code == (200 if decision == "allow" else 400), polled.text


@pytest.mark.parametrize(("status", "outcome"), [(200, "told"), (401, "refused"), (403, "refused"), (302, "")])
def test_what_the_app_answers(world, status, outcome):
    elsewhere = world.website()
    site = world.website(status, location=elsewhere.address)
    till(world, site.address)
    begun(world, client_notification_token=TOKEN)
    answer(world.browser(person="alice"))
    until(lambda: site.got)
    until(lambda: world.notices(kind="ciba", attempts=1, outcome=outcome))
    assert elsewhere.got == [], "no redirect is followed"


def test_an_app_that_has_polled_already_is_not_told_any_more(world):
    site = world.website(503)
    till(world, site.address)
    told = begun(world, client_notification_token=TOKEN)
    answer(world.browser(person="alice"))
    until(lambda: site.got)
    polled = world.post("/token", "till", grant_type=GRANT, auth_req_id=told["auth_req_id"])
    assert polled.status_code == 200
    site.answers = (200, {})
    world.clock.passes(seconds=60)
    tell(world)
    assert until(lambda: world.notices(outcome="dropped"))


def test_who_polls_is_not_told_and_needs_no_token(world):
    till(world)
    begun(world)
    answer(world.browser(person="alice"))
    assert world.notices() == []


@pytest.mark.parametrize("token", [None, "short", "x" * 1025, "with space" + "x" * 30, "é" * 30])
def test_a_ping_needs_a_token_that_cannot_be_guessed(world, token):
    till(world, world.website().address)
    refused = ask(world, **({"client_notification_token": token} if token else {}))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def test_the_sealed_token_leaves_with_the_request(world):
    till(world, world.website().address)
    begun(world, client_notification_token=TOKEN)
    world.clock.passes(days=3)
    pruning.prune(world.house.store, retention.LEAVING, world.clock.now)
    found = world.house.store.connect().execute("SELECT count(*) FROM authorizationrequest").fetchone()
    assert found == (0,)
