"""The answer: what it records, and everything that must not become one."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from gateway.consent import deciding, expiry
from tests.worlds.consent import CLEAR_BUDGET, START, URL, WATT_COACH, Page, Visitor, World, authorize, words

SUMMARY = "item:city-energy:energy.electricity.summary"
BANK = {"accounts:harbour-bank": ["ref-current"]}


def granted(terms: dict[str, Any]) -> list[str]:
    return [item["dataset"] for item in terms["items"] if item["granted"]]


# ---- yes and no


def test_allowing_makes_exactly_what_was_chosen_active(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    answer = alice.allows(consent, **{SUMMARY: "yes", "duration": "d90"})
    assert answer.location == authorize(consent)
    terms = world.terms(consent)
    assert world.consent(consent).state == "active"
    assert granted(terms) == ["energy.electricity.usage", "energy.electricity.summary"]
    assert terms["valid"]["until"].startswith("2026-06-30") and terms["valid"]["max_uses"] is None
    assert world.events(consent) == ["requested", "granted"]
    assert world.logged(alice)[0] == "consent_given"


def test_required_items_need_no_tick_and_optional_ones_are_not_given_without_one(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.allows(consent)
    assert granted(world.terms(consent)) == ["energy.electricity.usage"]


def test_once_only_is_for_one_use(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.allows(consent, duration="once")
    assert world.terms(consent)["valid"]["max_uses"] == 1


def test_only_the_picked_accounts_are_shared(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    alice.allows(consent, **BANK)
    assert world.terms(consent)["items"][0]["accounts"] == ["ref-current"]


def test_refusing_asks_nothing_back_and_gives_nothing(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    answer = alice.answers(consent, "refuse")
    assert (answer.status, answer.location) == (303, authorize(consent))
    assert world.consent(consent).state == "refused"
    assert world.logged(alice)[0] == "consent_refused"


def test_refusing_needs_nothing_to_be_in_order(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    world.clock.passes(minutes=30)
    assert alice.answers(consent, "refuse", duration="nonsense").status == 303
    assert world.consent(consent).state == "refused"


def test_a_new_sharing_for_the_same_purpose_replaces_the_old_one(world: World, alice: Visitor) -> None:
    first, second = world.asks(alice), world.asks(alice)
    alice.allows(first)
    alice.allows(second)
    assert (world.consent(first).state, world.consent(first).reason) == ("ended", "replaced")
    assert world.terms(second)["replaces"] == first
    page = alice.gets(f"/sharings/{first}")
    assert "It was replaced by a newer agreement." in page.text and "You stopped the sharing." not in page.text


# ---- what is missing is said, and nothing is recorded


def test_allow_without_an_account_says_so_and_records_nothing(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    before = world.logged(alice)
    page = alice.answers(consent, "allow", **{"item:harbour-bank:bank.transactions": "yes", "duration": "d90"})
    assert page.status == 422
    assert page.title.startswith("Error:")
    (summary,) = page.tree.xpath("//*[contains(@class,'error-summary')]")
    assert summary.get("autofocus") is not None and summary.get("tabindex") == "-1"
    assert "Harbour Bank: choose at least one bank account." in words(summary)
    (target,) = summary.xpath(".//a/@href")
    assert page.tree.xpath(f"//*[@id={target.removeprefix('#')!r}]")
    assert world.consent(consent).state == "requested" and world.logged(alice) == before


def test_what_she_had_ticked_is_still_ticked_after_a_mistake(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.answers(consent, "allow", **{"item:harbour-bank:bank.transactions": "yes", "duration": "once"})
    assert page.main.xpath(".//input[@checked]/@value") == ["yes", "once"]
    done = alice.answers(consent, "allow", page, **BANK)
    assert done.status == 303
    assert granted(world.terms(consent)) == ["bank.accounts", "bank.transactions"]
    assert world.terms(consent)["valid"]["duration"] == "once"


def test_allow_with_every_optional_item_left_out_says_so(world: World, alice: Visitor) -> None:
    usage = replace(WATT_COACH.data[0], necessity="optional")
    app = replace(WATT_COACH, data=(usage, *WATT_COACH.data[1:]))
    page = alice.answers(world.asks(alice, app), "allow")
    assert page.status == 422
    assert "Choose at least one type of data, or refuse." in page.text


def test_the_mistake_is_said_in_french_too(world: World, alice: Visitor) -> None:
    alice.language = "fr"
    page = alice.answers(world.asks(alice, CLEAR_BUDGET), "allow")
    assert "cochez au moins une ligne (compte bancaire)." in page.text and page.title.startswith("Erreur")


def test_switching_the_language_after_a_mistake_leads_back_to_the_request(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.answers(consent, "allow")
    (form,) = page.tree.xpath("//form[@action='/language']")
    assert form.xpath("./input[@name='next']/@value") == [authorize(consent)]


# ---- twice


def test_a_second_click_changes_nothing_and_shows_the_same(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    first = alice.answers(consent, "allow", page)
    logged = world.logged(alice)
    second = alice.answers(consent, "allow", page)
    other = alice.answers(consent, "refuse", page)
    assert first.location == second.location == other.location
    assert world.consent(consent).state == "active"
    assert world.logged(alice) == logged and world.events(consent) == ["requested", "granted"]


def test_two_clicks_at_the_same_moment_make_one_record(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    threads = [threading.Thread(target=alice.answers, args=(consent, "allow", page)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert world.events(consent) == ["requested", "granted"]
    assert world.logged(alice).count("consent_given") == 1


# ---- who may answer


@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_mallory_cannot_answer_for_alice(world: World, alice: Visitor, mallory: Visitor, decision: str) -> None:
    consent = world.asks(alice)
    fields = alice.sees(consent).form(f"/consent/{consent}")
    answer = mallory.posts(f"/consent/{consent}", {**fields, "csrf": mallory.csrf(), "decision": decision})
    assert answer.status == 404
    assert world.consent(consent).state == "requested"


def test_a_screen_opened_by_alice_is_not_answered_with_mallorys_cookies(
    world: World, alice: Visitor, mallory: Visitor
) -> None:
    consent = world.asks(alice)
    fields = alice.sees(consent).form(f"/consent/{consent}")
    assert mallory.posts(f"/consent/{consent}", {**fields, "decision": "allow"}).status == 403
    assert world.consent(consent).state == "requested"


def test_a_stranger_is_sent_to_sign_in(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    stranger = Visitor(world, "nobody", "Nobody")
    assert stranger.posts(f"/consent/{consent}", {"decision": "allow"}).location.startswith("/sign-in")
    assert world.consent(consent).state == "requested"


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_an_answer_without_the_forms_own_token_is_none(world: World, alice: Visitor, csrf: str) -> None:
    consent = world.asks(alice)
    assert alice.answers(consent, "allow", csrf=csrf).status == 403
    assert world.consent(consent).state == "requested"


@pytest.mark.parametrize("header", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_an_answer_from_another_site_is_none(world: World, alice: Visitor, header: dict[str, str]) -> None:
    consent = world.asks(alice)
    fields = alice.sees(consent).form(f"/consent/{consent}")
    assert alice.posts(f"/consent/{consent}", {**fields, "decision": "allow"}, **header).status == 403
    assert world.consent(consent).state == "requested"


def test_a_get_answers_nothing(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    assert alice.gets(f"/consent/{consent}").status == 405


@pytest.mark.parametrize("decision", ["", "none", "yes", "ALLOW"])
def test_a_form_sent_without_a_button_is_no_answer_and_loses_nothing(
    world: World, alice: Visitor, decision: str
) -> None:
    consent = world.asks(alice)
    page = alice.answers(consent, decision, **{SUMMARY: "yes", "duration": "d90"})
    assert page.status == 200 and not page.tree.xpath("//*[contains(@class,'error-summary')]")
    assert page.main.xpath(".//input[@checked]/@value") == ["yes", "d90"]
    assert world.consent(consent).state == "requested"
    alice.answers(consent, "allow", page)
    assert granted(world.terms(consent)) == ["energy.electricity.usage", "energy.electricity.summary"]


# ---- never more than was asked


def test_what_was_not_offered_is_ignored(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.allows(
        consent,
        **{
            "item:harbour-bank:bank.accounts": "yes",
            "item:city-energy:energy.everything": "yes",
            "accounts:city-energy": ["ref-home", "ref-of-somebody-else"],
            "accounts:harbour-bank": ["ref-current"],
            "fields": "interval.cost",
            "client_id": "evil",
            "purpose": "household-budget",
            "person_id": "mallory",
        },
    )
    terms = world.terms(consent)
    assert granted(terms) == ["energy.electricity.usage"]
    assert [item["accounts"] for item in terms["items"]] == [["ref-home"], [], []]
    assert terms["items"][0]["fields"] == ["interval.start", "interval.value"]
    assert (terms["app"]["client_id"], terms["purpose"]["code"]) == ("watt-coach", "energy-advice")


@pytest.mark.parametrize("duration", ["d365", "P10Y", "", "forever"])
def test_a_duration_that_was_not_offered_is_no_answer(world: World, alice: Visitor, duration: str) -> None:
    consent = world.asks(alice)
    assert alice.answers(consent, "allow", duration=duration).status == 422
    assert world.consent(consent).state == "requested"


def test_an_unavailable_account_cannot_be_shared(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    assert alice.answers(consent, "allow", **{"accounts:harbour-bank": ["ref-joint"]}).status == 422


@pytest.mark.parametrize("resume", ["https://evil.example/", "//evil.example", "/sharings", "/authorize", "\\evil"])
def test_the_way_back_is_the_dispatcher_or_the_sharing(world: World, alice: Visitor, resume: str) -> None:
    consent = world.asks(alice)
    assert alice.answers(consent, "refuse", resume=resume).location == f"/sharings/{consent}"


# ---- the page she answers is the page she was shown


def test_an_answer_without_a_page_shows_the_page_first(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    answer = alice.posts(
        f"/consent/{consent}",
        {"csrf": alice.csrf(), "decision": "allow", "duration": "d30", "resume": authorize(consent)},
    )
    assert (answer.status, answer.location) == (303, authorize(consent))
    assert world.consent(consent).state == "requested"


@pytest.mark.parametrize("word", ["x", "x.y", "eyJ9.", "\u00e9.\u00e9", "e30." + "A" * 43])
def test_a_forged_word_of_what_was_seen_is_none(world: World, alice: Visitor, word: str) -> None:
    consent = world.asks(alice)
    assert alice.answers(consent, "allow", seen=word).status == 303
    assert world.consent(consent).state == "requested"


def test_the_word_of_another_page_is_none(world: World, alice: Visitor) -> None:
    consent, other = world.asks(alice), world.asks(alice)
    seen = alice.sees(other).form(f"/consent/{other}")["seen"]
    alice.answers(consent, "allow", seen=seen)
    assert world.consent(consent).state == "requested"


def test_a_page_that_would_read_differently_now_is_shown_again(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    world.rooms.apps["watt-coach"] = replace(WATT_COACH, recipients=({"name": "X", "role": "r", "country": "FR"},))
    again = alice.answers(consent, "allow", page, **{SUMMARY: "yes"})
    assert again.status == 422
    assert "Something on this page has changed since you opened it." in again.text
    assert "will be passed on to X (r, FR)" in again.text
    assert world.consent(consent).state == "requested"
    assert alice.answers(consent, "allow", again).status == 303
    assert granted(world.terms(consent)) == ["energy.electricity.usage", "energy.electricity.summary"]


def test_a_page_left_open_over_midnight_is_shown_again_with_its_new_dates(world: World, alice: Visitor) -> None:
    world.clock.passes(hours=12)  # 23:30 in Paris
    alice.signed_in_at = world.clock.now
    consent = world.asks(alice)
    page = alice.sees(consent)
    world.clock.passes(minutes=40)
    again = alice.answers(consent, "allow", page)
    assert again.status == 422 and "30 days, until 2 May 2026" in again.text


# ---- time


def test_a_late_answer_is_explained_and_nothing_is_shared(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    world.clock.passes(seconds=world.house.settings.ask_seconds + 1)
    late = alice.answers(consent, "allow", page)
    assert late.status == 410
    assert "Nothing was shared. To answer Watt Coach, start again from the app." in late.text
    assert (world.consent(consent).state, world.consent(consent).reason) == ("ended", "lapsed")
    assert world.logged(alice) == ["consent_ended", "consent_asked"]
    assert alice.answers(consent, "allow", page).status == 410  # the same click again: the same page


def test_a_request_that_was_not_answered_is_in_her_log(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    world.clock.passes(seconds=world.house.settings.ask_seconds)
    assert expiry.write_due(world.house, world.clock()) == 0
    world.clock.passes(seconds=1)
    assert expiry.write_due(world.house, world.clock()) == 1
    assert expiry.write_due(world.house, world.clock()) == 0
    assert world.logged(alice) == ["consent_ended", "consent_asked"]
    assert world.events(consent) == ["requested", "lapsed"]
    told = alice.gets(f"/sharings/{consent}").text
    assert "What Watt Coach asked for was not answered. Nothing new is shared." in told
    assert "It was not answered. Nothing was shared." in told
    assert alice.posts(f"/consent/{consent}", {"csrf": alice.csrf(), "decision": "allow"}).status == 410


def test_an_end_date_that_passed_is_written_down_once(world: World, alice: Visitor) -> None:
    lasting, short = world.asks(alice, CLEAR_BUDGET), world.asks(alice)
    alice.allows(lasting, **BANK, duration="d90")
    alice.allows(short, duration="d30")
    world.clock.passes(days=30)
    assert expiry.write_due(world.house, world.clock()) == 1
    assert expiry.write_due(world.house, world.clock()) == 0
    ended = world.consent(short)
    assert (ended.state, ended.reason, ended.ended_at) == ("ended", "expired", ended.until)
    assert world.consent(lasting).state == "active"
    assert world.logged(alice)[0] == "consent_ended"
    assert "The sharing with Watt Coach reached its end date." in alice.gets(f"/sharings/{short}").text


def test_a_late_screen_is_explained_too(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    world.clock.passes(seconds=world.house.settings.ask_seconds + 1)
    assert alice.sees(consent).status == 410


@pytest.mark.parametrize(("minutes", "allowed"), [(9, True), (11, False)])
def test_sensitive_data_needs_a_sign_in_of_the_last_ten_minutes(
    world: World, alice: Visitor, minutes: int, allowed: bool
) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    world.clock.passes(minutes=minutes)
    answer = alice.answers(consent, "allow", page, **BANK)
    if allowed:
        assert world.consent(consent).state == "active"
    else:
        assert answer.location == f"/sign-in?again=1&next={quote(authorize(consent), safe='')}&why=sensitive"
        assert world.consent(consent).state == "requested"


def marked(page: Page) -> dict[str, list[str]]:
    """What is ticked on the screen, by field."""
    found: dict[str, list[str]] = {}
    for box in page.tree.xpath("//input[@checked]"):
        found.setdefault(box.get("name"), []).append(box.get("value"))
    return found


CHOSEN = {
    **BANK,
    "item:harbour-bank:bank.transactions": "yes",
    "item:meadow-health:health.claims": "yes",
    "duration": "d30",
}
KEPT = {
    "item:harbour-bank:bank.transactions": ["yes"],
    "item:meadow-health:health.claims": ["yes"],
    "accounts:harbour-bank": ["ref-current"],
    "duration": ["d30"],
}


def test_what_she_marked_is_there_again_after_signing_in_once_more(world: World, alice: Visitor) -> None:  # WCAG 3.3.7
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    world.clock.passes(minutes=11)
    alice.answers(consent, "allow", page, **CHOSEN)
    alice.signed_in_at = world.clock()
    again = alice.sees(consent)
    assert marked(again) == KEPT
    assert world.consent(consent).state == "requested", "nothing is agreed until she presses Allow again"
    alice.answers(consent, "allow", again)
    assert world.consent(consent).state == "active" and world.consent(consent).draft is None


def test_an_answer_after_the_sign_in_has_ended_leads_back_with_what_she_marked(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    sent = alice.sees(consent).form(f"/consent/{consent}")
    sent |= {name: value if isinstance(value, list) else [value] for name, value in CHOSEN.items()}
    answer = world.client.post(f"/consent/{consent}", data={**sent, "decision": "allow"}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={quote(authorize(consent), safe='')}&why=ended"
    assert world.consent(consent).state == "requested"
    assert marked(alice.sees(consent)) == KEPT


def test_mallory_leaves_no_marks_in_alices_request(world: World, alice: Visitor, mallory: Visitor) -> None:
    consent, other = world.asks(alice, CLEAR_BUDGET), world.asks(mallory, CLEAR_BUDGET)
    mine = mallory.sees(other).form(f"/consent/{other}")
    resume = authorize(consent)
    for seen in ("", "x.y", mine["seen"][0]):
        form = {"seen": seen, "resume": resume, "decision": "allow", **CHOSEN}
        world.client.post(f"/consent/{consent}", data=form, follow_redirects=False)
        assert world.consent(consent).draft is None
    mallory.posts(f"/consent/{consent}", {**mine, **CHOSEN, "decision": "allow"})
    assert world.consent(consent).draft is None and world.consent(consent).state == "requested"
    for elsewhere in ("https://evil.example/", "//evil.example", "/account", ""):
        answer = world.client.post(f"/consent/{consent}", data={"resume": elsewhere}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2F")


def test_what_is_optional_elsewhere_needs_no_link_to_agree_to_the_rest(world: World, alice: Visitor) -> None:
    world.rooms.unlinked = {"meadow-health"}
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    assert "We do not know your account at Meadow Health yet" in page.text
    [box] = page.tree.xpath("//input[@name='item:meadow-health:health.claims']")
    assert box.get("disabled") is not None
    assert page.main.xpath(".//button[@name='link']/@value") == ["meadow-health"]
    # a form that ticks it all the same gets nothing of it
    alice.answers(consent, "allow", page, **{**CHOSEN, "accounts:meadow-health": ["ref-claims"]})
    granted = [item["dataset"] for item in world.terms(consent)["items"] if item["granted"]]
    assert granted == ["bank.accounts", "bank.transactions"]


def test_a_former_guardian_leaves_no_marks_in_what_is_no_longer_hers_to_decide(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    consent = world.asks(chloe)
    form = alice.sees(consent).form(f"/consent/{consent}")
    world.rooms.people["chloe"] = replace(world.rooms.people["chloe"], minor=False, guardian_id="alice")
    marks = {"resume": form["resume"][0], "seen": form["seen"][0], "duration": "d7"}
    world.client.post(f"/consent/{consent}", data=marks, follow_redirects=False)
    assert world.consent(consent).draft is None


def test_linking_on_the_way_keeps_what_she_marked(world: World, alice: Visitor) -> None:
    world.rooms.unlinked = {"meadow-health"}
    consent = world.asks(alice, CLEAR_BUDGET)
    answer = alice.answers(consent, "none", **{**CHOSEN, "link": "meadow-health"})
    assert answer.location == f"/organisations/meadow-health/link?next={quote(authorize(consent), safe='')}"
    world.rooms.unlinked = set()
    again = alice.sees(consent)
    assert marked(again)["item:harbour-bank:bank.transactions"] == ["yes"] and marked(again)["duration"] == ["d30"]
    elsewhere = alice.answers(consent, "none", again, link="//evil.example")
    assert elsewhere.status == 200


def test_an_old_sign_in_is_pointed_out_before_she_fills_anything_in(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    world.clock.passes(minutes=11)
    assert "Sign in again before you allow." in alice.sees(consent).text


def test_data_that_is_not_sensitive_needs_no_second_sign_in(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    world.clock.passes(minutes=50)
    alice.allows(consent)
    assert world.consent(consent).state == "active"


# ---- what policies forbid


def test_a_suspended_app_gets_no_agreement_and_the_person_reads_why(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    world.rooms.apps["watt-coach"] = replace(WATT_COACH, active=False)
    answer = alice.answers(consent, "allow", page)
    assert answer.status == 403 and "The app or the organisation is suspended." in answer.text
    assert world.consent(consent).state == "requested"
    said = "did not accept an agreement to what Watt Coach asked for: the app or the organisation is suspended."
    assert said in alice.gets(f"/sharings/{consent}").text  # a refusal is in her log too


def test_an_organisation_that_has_gone_ends_the_request(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    del world.rooms.organisations["city-energy"]
    assert alice.sees(consent).status == 410
    assert alice.answers(consent, "allow", page).status == 410
    assert world.consent(consent).state == "ended"


# ---- guardians


def test_a_child_is_told_that_her_guardian_decides_and_may_refuse(world: World, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    page = chloe.sees(consent)
    assert page.h1 == "Your guardian has to agree"
    buttons = [words(button) for button in page.main.xpath(".//button")]
    assert buttons == ["Not you?", "Refuse", "My guardian signs in now"]
    assert set(page.main.xpath(".//form[@action='/sign-out']/input[@name='next']/@value")) == {authorize(consent)}
    chloe.answers(consent, "refuse", page)
    assert world.consent(consent).state == "refused"


def test_a_child_cannot_agree_by_sending_the_form_herself(world: World, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    assert chloe.answers(consent, "allow", chloe.sees(consent), duration="d30").status == 403
    assert world.consent(consent).state == "requested"


def test_a_guardian_decides_for_her_child_and_it_is_written_so(world: World, alice: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    page = alice.sees(consent)
    assert page.h1 == "Watt Coach asks to read the data of Chloé Petit at City Energy"
    alice.answers(consent, "allow", page)
    [acting] = world.terms(consent)["acted_by"]
    assert acting == {"capacity": "guardian", "until": "2027-04-30T22:00:00+00:00"}  # her fifteenth birthday, in Paris
    assert world.consent(consent).person_id == "chloe"
    assert world.logged(chloe)[0] == "consent_given"


def test_what_a_guardian_agreed_to_ends_when_the_child_comes_of_age(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    world.clock.now = datetime(2027, 4, 10, 12, tzinfo=UTC)  # she turns 15 on 1 May
    consent = world.asks(chloe)
    page = alice.sees(consent)
    lengths = [words(label) for label in page.main.xpath(".//fieldset[@id='duration']/label")]
    assert [length.split(":")[0] for length in lengths] == ["once only, by 11 Apr 2027", "until 1 May 2027"]
    assert "From 1 May 2027 on, Chloé Petit is old enough to decide alone. What you agree to ends then." in page.text
    alice.answers(consent, "allow", page)
    midnight_in_paris = datetime(2027, 4, 30, 22, tzinfo=UTC)
    assert world.consent(consent).until == midnight_in_paris
    assert datetime.fromisoformat(world.terms(consent)["valid"]["until"]) == midnight_in_paris
    assert "30 days" not in alice.gets(f"/sharings/{consent}").text
    world.clock.now = midnight_in_paris - timedelta(seconds=1)
    assert deciding.is_live(world.consent(consent), world.clock())
    world.clock.now = midnight_in_paris
    assert not deciding.is_live(world.consent(consent), world.clock())
    assert expiry.write_due(world.house, world.clock()) == 1
    told = chloe.gets(f"/sharings/{consent}").text
    assert "The sharing with Watt Coach has ended: you are old enough to decide about it yourself." in told
    assert "Ended: end date reached" in chloe.gets(f"/sharings/{consent}").text


def test_an_agreement_that_ends_before_is_not_touched_by_the_coming_of_age(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    consent = world.asks(chloe)
    page = alice.sees(consent)
    assert "old enough" not in page.text
    alice.answers(consent, "allow", page, duration="d180")
    assert world.consent(consent).until == START + timedelta(days=180)


def test_mallory_is_nobodys_guardian(world: World, mallory: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    answer = mallory.posts(f"/consent/{consent}", {"csrf": mallory.csrf(), "decision": "refuse"})
    assert answer.status == 404 and world.consent(consent).state == "requested"


def test_the_forms_own_address_is_ours(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    assert all(form.startswith("/") for form in page.tree.xpath("//form/@action"))
    assert URL not in page.body
