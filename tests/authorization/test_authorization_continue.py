"""The same app asks for the same again while Alice's agreement runs: one short page, one agreement (A32)."""

import re
from html import unescape

from authorization_world import answered, bank
from sqlmodel import select

from gateway.consent import expiry
from gateway.consent.rules import EndReason, State
from gateway.consent.tables import Consent


def going_on(world, browser, address):
    """Press Continue on the page at `address`; the page that follows."""
    page = browser.get(address)
    form = page.text.partition('action="/authorize/continue"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', unescape(form)))
    answer = browser.post("/authorize/continue", data=fields)
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"])


def granted(world):
    with world.session() as session:
        return sorted(row.state for row in session.exec(select(Consent)))


def test_a_request_she_agreed_to_before_needs_one_click_and_makes_no_second_agreement(world):
    first = world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    page = browser.get(address)
    assert page.status_code == 200 and "/authorize/continue" in page.text and "You already share this" in page.text
    code = answered(going_on(world, browser, address))["code"]
    second = world.redeem(code).json()
    assert second["grant_id"] == first["grant_id"]
    assert granted(world).count("active") == 1
    assert world.refresh(first["refresh_token"]).status_code == 200, "the earlier tokens are of the same agreement"


def test_going_on_is_written_in_her_log(world):
    world.tokens()
    going_on(world, world.browser("alice"), world.pushed())
    assert [event["event"] for event in world.events("alice")].count("consent_continued") == 1


def test_nothing_goes_on_while_the_log_is_frozen(world):
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    page = browser.get(address)
    form = page.text.partition('action="/authorize/continue"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', unescape(form)))
    told = len(world.events("alice"))
    world.house.log.frozen = "as a test says"
    try:
        assert browser.post("/authorize/continue", data=fields).status_code == 503
        assert len(world.events("alice")) == told
    finally:
        world.house.log.frozen = ""
    assert "code" in answered(going_on(world, browser, address))


def test_a_request_she_went_on_with_is_never_told_as_left_unanswered(world):
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    before = len(world.events("alice"))
    going_on(world, browser, address)
    told = world.events("alice")[before:]
    assert [event["event"] for event in told if event["event"].startswith("consent_")] == [
        "consent_asked",
        "consent_continued",
    ]
    world.clock.passes(days=2)  # the time to answer is long over: nothing is added by it
    assert expiry.write_due(world.house, world.clock.now) == 0
    with world.session() as session:
        request = session.exec(select(Consent).where(Consent.state == State.ENDED)).one()
        assert request.reason == EndReason.CONTINUED


def test_a_request_she_left_open_is_told_as_unanswered(world):
    world.tokens()
    world.browser("alice").get(world.pushed())
    world.clock.passes(days=2)
    assert expiry.write_due(world.house, world.clock.now) == 1
    last = world.events("alice")[-1]
    assert (last["event"], last["reason"]) == ("consent_ended", "lapsed")


def test_she_can_refuse_it_and_the_agreement_before_stays(world):
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    form = browser.get(address).text.partition('action="/consent/')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', unescape(form)))
    answer = browser.post("/consent/" + form.partition('"')[0], data={**fields, "decision": "refuse"})
    assert answered(browser.get(answer.headers["location"]))["error"] == "access_denied"
    assert "active" in granted(world)


def test_anything_else_than_the_very_same_request_shows_the_whole_screen(world):
    world.tokens()
    browser = world.browser("alice")
    assert "/authorize/continue" not in browser.get(world.pushed(prompt="consent")).text
    assert "/authorize/continue" not in browser.get(world.pushed() + "&change=1").text
    assert "/authorize/continue" not in world.browser("bob").get(world.pushed()).text


def test_sensitive_data_still_needs_a_recent_sign_in_to_go_on(world):
    world.tokens("budget", details=[bank()])
    browser = world.browser("alice")
    world.clock.passes(minutes=11)
    answer = browser.get(world.pushed("budget", details=[bank()]))
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")


def test_mallory_cannot_go_on_in_alices_place(world):
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    browser.get(address)
    mallory = world.browser("mallory")
    page = mallory.get(address)
    assert "/authorize/continue" not in page.text
    request_uri = address.rpartition("request_uri=")[2]
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    answer = mallory.post(
        "/authorize/continue", data={"csrf": csrf[1], "client_id": "meter", "request_uri": unescape(request_uri)}
    )
    assert "code=" not in answer.text and answer.status_code in (303, 400)


def test_the_button_needs_its_own_form(world):
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    browser.get(address)
    assert browser.post("/authorize/continue", data={"client_id": "meter"}).status_code == 403
    assert browser.get("/authorize/continue").status_code == 405
