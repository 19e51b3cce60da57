"""/authorize decides what comes next (negative cases A8, A12.5, A13 to A15, A22, A25, A38)."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from authorization_world import CALLBACK, ISSUER, Page, answered, bank, link_row, usage, visible

from gateway.authorization.dispatch import StepFacts, next_step
from gateway.authorization.rules import Step
from gateway.authorization.tables import AuthorizationRequest
from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.ground.store import raw
from gateway.ground.web.context import Caller
from gateway.settings import Settings
from tests.tokens import claims

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def row(**changes):
    return AuthorizationRequest(
        id="r", client_id="a", redirect_uri="u", code_challenge="c", ask="", created_at=NOW, expires_at=NOW, **changes
    )


def caller(minutes=0):
    return Caller("alice", "Alice", "en", NOW - timedelta(minutes=minutes), ("pwd",), "s")


@pytest.mark.parametrize(
    ("request_", "who", "facts", "expected"),
    [
        (row(), None, StepFacts("requested"), Step.SIGN_IN),
        (row(), caller(), StepFacts("requested"), Step.CONSENT),
        (row(), caller(), StepFacts(), Step.CONSENT),
        (row(), caller(), StepFacts("requested", unlinked=("bank",)), Step.LINK),
        (row(), caller(), StepFacts("requested", needs_guardian=True), Step.GUARDIAN_NEEDED),
        (row(), caller(), StepFacts("requested", unlinked=("bank",), needs_guardian=True), Step.LINK),
        (row(), caller(9), StepFacts("requested", sensitive=True), Step.CONSENT),
        (row(), caller(11), StepFacts("requested", sensitive=True), Step.SIGN_IN_AGAIN),
        (row(), caller(11), StepFacts("requested"), Step.CONSENT),
        (row(prompt="login"), caller(1), StepFacts("requested"), Step.SIGN_IN_AGAIN),
        (row(prompt="login"), caller(0), StepFacts("requested"), Step.CONSENT),
        (row(max_age=0), caller(1), StepFacts("requested"), Step.SIGN_IN_AGAIN),
        (row(max_age=60), caller(2), StepFacts("requested"), Step.SIGN_IN_AGAIN),
        (row(max_age=600), caller(2), StepFacts("requested"), Step.CONSENT),
        (row(), caller(11), StepFacts("active", live=True, sensitive=True), Step.ISSUE),
        (row(), caller(), StepFacts("active", live=False), Step.REFUSED),
        (row(), caller(), StepFacts("paused"), Step.REFUSED),
        (row(), caller(), StepFacts("refused"), Step.REFUSED),
        (row(), caller(), StepFacts("ended"), Step.REFUSED),
    ],
)
def test_the_next_step(request_, who, facts, expected):
    assert next_step(request_, who, facts, Settings(), NOW) is expected


def test_somebody_not_signed_in_is_sent_to_sign_in_and_comes_back(world):
    address = world.pushed()
    answer = world.browser().get(address)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")
    assert parse_qs(urlsplit(unquote(answer.headers["location"])).query)["next"][0].startswith("/authorize?client_id=")


def test_refusing_tells_the_app_with_state_and_issuer(world):
    final = world.agree(world.browser("alice"), world.pushed(), "refuse")
    assert answered(final) == {"error": "access_denied", "state": "a state", "iss": ISSUER}
    assert [event["event"] for event in world.events("alice")] == ["consent_asked", "consent_refused"]


def test_the_end_is_a_page_of_ours_that_names_where_it_leads(world):
    final = world.agree(world.browser("alice"), world.pushed())
    assert final.status_code == 200
    assert "localhost:8411" in visible(final.text)
    assert final.headers["cache-control"] == "no-store"
    assert final.headers["referrer-policy"] == "no-referrer"
    assert "form-action 'self'" in final.headers["content-security-policy"]
    assert "<script" not in final.text


def test_a_scheme_of_a_native_app_is_a_link_too(world):
    world.register("native", application_type="native", redirect_uris=["com.example.native:/callback"])
    final = world.agree(world.browser("alice"), world.pushed("native"))
    assert Page(final.text).refresh.startswith("com.example.native:/callback?code=")
    assert "com.example.native:" in visible(final.text)
    assert world.redeem(answered(final)["code"], "native").status_code == 200


def test_the_last_page_shown_twice_has_the_same_code(world):
    browser, address = world.browser("alice"), world.pushed()
    first = answered(world.agree(browser, address))
    assert answered(browser.get(address)) == first
    assert world.redeem(first["code"]).status_code == 200
    assert browser.get(address).status_code == 400  # completed: reuse is a page


def test_the_code_is_not_shown_longer_than_it_lives(world):
    browser, address = world.browser("alice"), world.pushed()
    code = answered(world.agree(browser, address))["code"]
    world.clock.passes(seconds=61)
    assert browser.get(address).status_code == 400
    assert world.redeem(code).json()["error"] == "invalid_grant"


def test_a_request_opened_in_two_browsers_gives_one_code(world):
    address = world.pushed()
    first, second = world.browser("alice"), world.browser("alice")
    screen = Page(second.get(address).text)
    one = answered(world.agree(first, address))["code"]
    second.post(screen.action, data={**screen.fields, "accounts:city-energy": "point-1", "decision": "allow"})
    assert answered(second.get(address))["code"] == one
    assert world.redeem(one).status_code == 200
    assert [event["event"] for event in world.events("alice")].count("consent_given") == 1


def test_mallory_cannot_finish_what_alice_answered(world):
    address = world.pushed()
    screen = Page(world.browser("alice").get(address).text)
    mallory = world.browser("mallory")
    form = {**screen.fields, "accounts:city-energy": "point-1", "decision": "allow"}
    assert mallory.post(screen.action, data=form).status_code in (403, 404)
    answered(world.agree(world.browser("alice"), address))
    page = mallory.get(address)
    assert (page.status_code, Page(page.text).refresh) == (403, "")


def test_not_you_means_another_person_is_asked_for_herself(world):
    browser, address = world.browser("alice"), world.pushed()
    first = Page(browser.get(address).text).action
    world.sign_out(browser)
    assert browser.get(address).headers["location"].startswith("/sign-in")
    world.sign_in(browser, "bob")
    body = world.redeem(answered(world.agree(browser, address))["code"]).json()
    assert first != f"/consent/{body['grant_id']}"
    assert [event["event"] for event in world.events("bob")][:2] == ["consent_asked", "consent_given"]
    assert "consent_given" not in [event["event"] for event in world.events("alice")]


def test_after_signing_out_nothing_of_the_request_is_shown(world):
    browser, address = world.browser("alice"), world.pushed()
    shown = browser.get(address)
    assert shown.headers["cache-control"] == "no-store"
    world.sign_out(browser)
    assert browser.get(address).status_code == 303


def test_prompt_login_asks_to_sign_in_again_once(world):
    browser = world.browser("alice")
    world.clock.passes(minutes=1)
    address = world.pushed(prompt="login")
    again = browser.get(address)
    assert again.headers["location"].startswith("/sign-in?again=1&next=%2Fauthorize")
    world.clock.passes(seconds=5)
    world.sign_in(browser, "alice")
    world.clock.passes(minutes=1)
    body = world.redeem(answered(world.agree(browser, address))["code"]).json()
    assert claims(body["access_token"])["auth_time"] == int(world.clock.now.timestamp()) - 60


def test_max_age_asks_only_who_signed_in_longer_ago(world):
    browser = world.browser("alice")
    world.clock.passes(minutes=5)
    assert browser.get(world.pushed(max_age="60")).headers["location"].startswith("/sign-in?again=1")
    assert browser.get(world.pushed(max_age="0")).headers["location"].startswith("/sign-in?again=1")
    assert browser.get(world.pushed(max_age="600")).status_code == 200


def test_sensitive_data_asks_for_a_recent_sign_in_before_the_screen(world):
    browser = world.browser("alice")
    world.clock.passes(minutes=11)
    assert browser.get(world.pushed("budget")).headers["location"].startswith("/sign-in?again=1")
    assert browser.get(world.pushed("meter")).status_code == 200


def silent(world, browser, **changes):
    answer = browser.get(world.pushed(prompt="none", **changes))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(CALLBACK + "?")
    found = {name: value[0] for name, value in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert found["iss"] == ISSUER
    assert found["state"] == "a state"
    return found


def test_prompt_none_never_shows_a_page_and_never_gives_a_code_unagreed(world):
    assert silent(world, world.browser())["error"] == "login_required"
    alice = world.browser("alice")
    assert silent(world, alice)["error"] == "consent_required"
    assert world.events("alice") == []  # she was not even asked


def test_prompt_none_gives_a_code_under_the_very_same_agreement_only(world):
    alice = world.browser("alice")
    before = world.tokens()
    code = silent(world, alice)["code"]
    assert world.redeem(code).json()["grant_id"] == before["grant_id"]
    more = [usage(fields=["interval.start", "interval.value", "interval.cost"])]
    assert silent(world, alice, details=more)["error"] == "consent_required"
    assert silent(world, alice, details=[usage(valid_for="P7M")])["error"] == "consent_required"
    world.clock.passes(minutes=1)
    assert silent(world, alice, max_age="1")["error"] == "login_required"
    world.register("meter", name={"fr": "Autre", "en": "Other"})  # its name has changed: ask again (A38)
    assert silent(world, alice)["error"] == "consent_required"
    assert silent(world, world.browser("bob"))["error"] == "consent_required"


@pytest.mark.parametrize("scope", [None, "openid email"])
def test_in_the_name_of_a_program_on_her_device_nobody_gets_a_code_without_her(world, scope):
    """RFC 8252 §8.6: whoever listens on her device may be the one that asks."""
    signs_in = {"purposes": ["sign-in", "energy-advice"]}
    world.register("program", redirect_uris=["http://127.0.0.1/back"], application_type="native", **signs_in)

    def asked(port, **more):
        return world.pushed("program", redirect_uri=f"http://127.0.0.1:{port}/back", scope=scope, **more)

    alice = world.browser("alice")
    assert answered(world.agree(alice, asked(5001)))["code"]
    mallory = alice.get(asked(6666, prompt="none"))
    said = parse_qs(urlsplit(mallory.headers["location"]).query)
    assert said["error"] == ["consent_required"] and "code" not in said
    page = alice.get(asked(5002))
    assert "/authorize/continue" in page.text and "127.0.0.1:5002" in page.text


def test_on_a_frozen_log_no_code_is_given_and_a_request_waits_for_better_times(world):
    world.tokens()
    alice, address, hidden = world.browser("alice"), world.pushed(), world.pushed(prompt="none")
    assert "/authorize/continue" in alice.get(address).text
    world.house.log.frozen = "a tree of 9 was signed; the database only knows one of 3"
    closed = alice.get(address)
    assert closed.status_code == 503 and int(closed.headers["retry-after"]) > 60
    assert "Our records are being checked" in closed.text and "a tree" not in closed.text
    answer = alice.get(hidden)
    assert answer.status_code == 303 and "error=temporarily_unavailable" in answer.headers["location"]
    assert world.push().json()["error"] == "temporarily_unavailable"
    world.house.log.frozen = ""
    assert "code=" in alice.get(hidden).headers["location"]
    assert "/authorize/continue" in alice.get(address).text


def test_prompt_none_under_an_ended_agreement_asks_again(world):
    body = world.tokens()
    with world.house.store.write() as session:
        consent = session.get_one(Consent, body["grant_id"])
        deciding.end(
            session, world.house.log, consent, herself(consent.person_id), EndReason.WITHDRAWN, world.clock.now
        )
    assert silent(world, world.browser("alice"))["error"] == "consent_required"


def unlink(world, person, organisation):
    with world.house.store.write() as session:
        raw(session).execute("DELETE FROM link WHERE person_id = ? AND organisation_id = ?", (person, organisation))


@pytest.mark.parametrize("verified", [True, False])
def test_before_anything_is_linked_for_an_app_she_reads_that_nobody_has_checked_it(world, verified):
    world.register("meter", verified=verified)
    unlink(world, "alice", "city-energy")
    text = world.browser("alice").get(world.pushed()).text
    assert "Link your account first" in text and ("We have not checked who runs" in text) is not verified


def test_an_organisation_not_linked_yet_is_linked_first_and_refusing_needs_no_link(world):
    unlink(world, "alice", "city-energy")
    browser, address = world.browser("alice"), world.pushed()
    page = browser.get(address)
    assert page.status_code == 200
    [link] = [link for link in Page(page.text).links if link.startswith("/organisations/city-energy/link?next=")]
    for words in ("Meter", "Understand and lower my energy use", "Electricity use"):
        assert words.lower() in page.text.lower()
    assert unquote(link.partition("next=")[2]).startswith("/authorize?client_id=meter")
    assert silent(world, browser)["error"] == "interaction_required"
    refused = browser.post(Page(page.text).action, data={**Page(page.text).fields, "decision": "refuse"})
    assert answered(browser.get(refused.headers["location"]))["error"] == "access_denied"
    with world.house.store.write() as session:
        link_row(session, world.house, "alice", "city-energy", ["point-1"], world.clock.now)
    assert world.redeem(answered(world.agree(browser, world.pushed()))["code"]).status_code == 200


@pytest.mark.parametrize("gone", ["purposes", "datasets"])
def test_a_request_for_what_was_removed_since_is_too_late_before_any_linking(world, monkeypatch, gone):
    unlink(world, "alice", "city-energy")
    browser, address = world.browser("alice"), world.pushed()
    assert "/organisations/city-energy/link" in browser.get(address).text
    for name in list(getattr(world.house.catalogue, gone)):
        monkeypatch.delitem(getattr(world.house.catalogue, gone), name)
    assert browser.get(address).status_code == 410


def test_a_child_needs_her_guardian_and_nobody_else_will_do(world):
    address = world.pushed()
    chloe = world.browser("chloe")
    page = chloe.get(address)
    assert page.status_code == 200
    assert "uardian" in visible(page.text)
    form = {**Page(page.text).fields, "accounts:city-energy": "point-1", "duration": "d30", "decision": "allow"}
    assert chloe.post(Page(page.text).action, data=form).status_code != 200
    assert not Page(chloe.get(address).text).refresh
    alice = world.browser("alice")
    body = world.redeem(answered(world.agree(alice, address))["code"]).json()
    assert "consent_given" in [event["event"] for event in world.events("chloe")]
    assert world.events("alice") == []
    assert body["grant_id"]


def test_one_agreement_for_one_app_and_purpose_and_another_for_another_app(world):
    first, second = world.tokens("meter"), world.tokens("other")
    assert first["grant_id"] != second["grant_id"]
    assert world.refresh(first["refresh_token"]).status_code == 200
    assert world.tokens("budget", details=[bank()])["grant_id"] not in (first["grant_id"], second["grant_id"])


def test_the_language_asked_for_by_the_app_is_used(world):
    page = world.browser("alice").get(world.pushed(ui_locales="fr-CA en"))
    assert '<html lang="fr"' in page.text
