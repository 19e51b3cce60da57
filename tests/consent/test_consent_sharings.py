""" "Data sharing": the list, one sharing, stopping, pausing, removing; reference "people", sections 6 and 7."""

from dataclasses import replace
from typing import Any

import pytest
from consent_cast import CLEAR_BUDGET, SUMMARY, USAGE, WATT_COACH, an_app
from consent_cast import energy_details as energy
from consent_place import Page, Place, Visitor, words

from gateway.consent import deciding
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent

SUMMARY_BOX = "item:city-energy:energy.electricity.summary"
BANK = {"accounts:harbour-bank": ["ref-current"], "item:harbour-bank:bank.transactions": "yes"}
SECOND = an_app("second", "Second App", ("energy-advice",), USAGE, SUMMARY)
TWO = {"datatypes": ["energy.electricity.usage", "energy.electricity.summary"]}


@pytest.fixture
def consent(place: Place, alice: Visitor) -> str:
    """Watt Coach may read two types of data of Alice."""
    found = place.asks(alice)
    alice.allows(found, **{SUMMARY_BOX: "yes"})
    return found


def cards(page: Page) -> list[Any]:
    return list(page.main.xpath(".//article"))


def named(page: Page) -> list[str]:
    return [words(card.xpath("./h2")[0]) for card in cards(page)]


def facts(element: Any) -> dict[str, str]:
    terms = element.xpath(".//dl[contains(@class,'facts')]//dt")
    return {words(term): words(term.getnext()) for term in terms}


# ---- the list


def test_a_card_tells_who_what_for_until_when_and_how_often(place: Place, alice: Visitor, consent: str) -> None:  # B2
    place.clock.passes(days=2)
    place.reads(consent)
    place.reads(consent)
    (card,) = cards(alice.gets("/sharings"))
    assert words(card.xpath(".//p[@class='status']/strong")[0]) == "Active"
    assert facts(card) == {
        "Purpose": "Understand and lower my energy use",
        "Data": "Electricity use, Statements and bills",
        "Organisation": "City Energy",
        "Agreed on": "April 1, 2026",
        "Ends on": "May 1, 2026",
        "Last access": "April 3, 2026, 11:30 AM (2 accesses in 30 days)",
    }


def test_accesses_older_than_thirty_days_are_not_counted(place: Place, alice: Visitor, consent: str) -> None:  # B2
    place.reads(consent)
    place.clock.passes(days=31)
    assert "(0 accesses in 30 days)" in words(cards(alice.gets("/sharings"))[0])


def test_view_and_stop_are_the_same_kind_of_button_on_every_card(place: Place, alice: Visitor, consent: str) -> None:
    buttons = cards(alice.gets("/sharings"))[0].xpath(".//div[@class='actions']/*")  # B3
    assert [words(button) for button in buttons] == ["View", "Stop sharing"]
    assert buttons[0].get("class") == buttons[1].get("class") == "button"
    assert [button.get("href") for button in buttons] == [f"/sharings/{consent}", f"/sharings/{consent}/stop"]


def test_an_empty_list_explains_itself(alice: Visitor) -> None:  # B23
    page = alice.gets("/sharings")
    assert page.h1 == "Data sharing"
    assert "When an app asks for your data, you decide here." in page.text
    assert page.main.xpath(".//a[@href='/organisations']") and not cards(page)


def test_the_page_is_one_click_from_every_page(alice: Visitor) -> None:  # B1
    assert words(alice.gets("/log").tree.xpath("//nav//a[@href='/sharings']")[0]) == "Data sharing"


@pytest.fixture
def several(place: Place, alice: Visitor, consent: str) -> dict[str, str]:
    """Watt Coach active, Clear Budget paused, Second App stopped."""
    budget = place.asks(alice, CLEAR_BUDGET)
    alice.allows(budget, **BANK, duration="d90")
    alice.does(budget, "pause")
    second = place.asks(alice, SECOND, energy(**TWO))
    alice.allows(second)
    place.clock.passes(minutes=5)
    place.reads(consent)
    alice.does(second, "stop")
    return {"watt": consent, "budget": budget, "second": second}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Watt Coach", "Clear Budget", "Second App"]),
        ("status=active", ["Watt Coach"]),
        ("status=paused", ["Clear Budget"]),
        ("status=ended", ["Second App"]),
        ("app=clear-budget", ["Clear Budget"]),
        ("organisation=city-energy", ["Watt Coach", "Second App"]),
        ("organisation=city-energy&status=active", ["Watt Coach"]),
        ("type=bank.transactions", ["Clear Budget"]),
        ("q=COACH", ["Watt Coach"]),
        ("q=household", ["Clear Budget"]),
        ("q=harbour", ["Clear Budget"]),
        ("q=statements", ["Watt Coach"]),
        ("sort=access", ["Watt Coach", "Clear Budget", "Second App"]),
        ("sort=end", ["Watt Coach", "Second App", "Clear Budget"]),
        ("status=nonsense", []),
        ("q=%00%3Cscript%3E", []),
    ],
)
def test_the_list_is_narrowed_sorted_and_searched_by_its_address(
    alice: Visitor, several: dict[str, str], query: str, expected: list[str]
) -> None:  # B4
    page = alice.gets(f"/sharings?{query}")
    assert page.status == 200
    found = named(page)
    assert (found if "sort" in query else sorted(found)) == (expected if "sort" in query else sorted(expected))
    assert expected or "Nothing fits this filter." in page.text


def test_by_app_and_by_data_list_the_same_sharings(alice: Visitor, several: dict[str, str]) -> None:  # B6
    by_app = {href.split("/")[2] for href in alice.gets("/sharings").main.xpath(".//article//a/@href")}
    turned = alice.gets("/sharings?by=data")
    assert {href.split("/")[2] for href in turned.main.xpath(".//section//a/@href")} == by_app
    assert [words(heading) for heading in turned.main.xpath(".//section/h2")] == [
        "Electricity use at City Energy",
        "Statements and bills at City Energy",
        "My accounts at Harbour Bank",
        "My transactions at Harbour Bank",
    ]


def test_what_has_ended_stays_with_its_reason(place: Place, alice: Visitor, several: dict[str, str]) -> None:  # B8
    place.clock.passes(days=2 * 365)
    page = alice.gets("/sharings")
    status = {words(card.xpath("./h2")[0]): words(card.xpath("./p[@class='status']")[0]) for card in cards(page)}
    assert status == {
        "Watt Coach": "Ended: end date reached",
        "Clear Budget": "Ended: end date reached",
        "Second App": "Ended: stopped by you",
    }


@pytest.mark.parametrize(
    ("actor", "reason", "said"),
    [
        ("person", EndReason.WITHDRAWN, "Ended: stopped by you"),
        ("guardian", EndReason.WITHDRAWN, "Ended: stopped by the guardian"),
        ("app", EndReason.BY_APP, "Ended: ended by the app"),
        ("operator", EndReason.INVALIDATED, "Ended: app disabled"),
        ("organisation", EndReason.INVALIDATED, "Ended: organisation disconnected"),
        ("system", EndReason.REPLACED, "Ended: replaced"),
        ("system", EndReason.USED_UP, "Ended: used once, as agreed"),
    ],
)
def test_who_ended_it_is_told_as_it_was(
    place: Place, alice: Visitor, consent: str, actor: str, reason: EndReason, said: str
) -> None:  # C16
    with place.house.store.write() as session:
        deciding.end(session, place.house, session.get_one(Consent, consent), actor, reason, place.clock())
    assert words(cards(alice.gets("/sharings"))[0].xpath("./p[@class='status']")[0]) == said


def test_a_suspension_is_laid_over_and_never_told_as_her_act(place: Place, alice: Visitor, consent: str) -> None:
    place.town.apps["watt-coach"] = replace(WATT_COACH, active=False)  # C16
    assert "Active suspended by the service" in words(cards(alice.gets("/sharings"))[0])
    place.town.apps["watt-coach"] = WATT_COACH
    city_energy = place.town.organisations["city-energy"]
    place.town.organisations["city-energy"] = replace(city_energy, active=False)  # type: ignore[type-var]
    assert "Active suspended by the organisation" in words(cards(alice.gets("/sharings"))[0])


def test_a_request_nobody_answered_is_not_a_sharing(place: Place, alice: Visitor) -> None:
    place.asks(alice)
    assert named(alice.gets("/sharings?status=requested")) == ["Watt Coach"]
    place.clock.passes(hours=2)
    assert named(alice.gets("/sharings")) == []


# ---- one sharing


def test_the_detail_tells_what_was_agreed_in_the_words_of_the_screen(place: Place, alice: Visitor) -> None:  # B5, E6
    asked = place.asks(alice, CLEAR_BUDGET)
    screen = alice.sees(asked)
    alice.answers(asked, "allow", screen, **BANK)
    page = alice.gets(f"/sharings/{asked}")
    for label in screen.main.xpath(".//span[@class='item-label']"):
        assert words(label) in page.text
    for disclosed in screen.main.xpath(".//li[@class='item']//summary | .//li[@class='item']//dd"):
        assert words(disclosed) in page.text
    for said in ("the last 12 months, and to come", "at most 4 times a day and 200 times a month", "Current account"):
        assert said in screen.text and said in page.text
    assert "will not be passed on, kept for 1 month at most" in page.text
    assert "Optional Not shared" in page.text  # the health claims


def test_the_detail_says_where_to_ask_what_happens_next(alice: Visitor, consent: str) -> None:  # B24
    page = alice.gets(f"/sharings/{consent}")
    assert "For what happens next with your data, see Watt Coach:" in page.text
    assert page.main.xpath(".//a[@href='https://watt-coach.example/privacy']")


def test_the_detail_tells_latest_accesses_and_refusals_as_sentences(place: Place, alice: Visitor, consent: str) -> None:
    place.reads(consent, datasets=["energy.electricity.usage"], records=24)
    place.reads(consent, "denied", datasets=["energy.point"], reason="dataset")
    page = alice.gets(f"/sharings/{consent}")
    told = [words(entry) for entry in page.main.xpath(".//ul[@class='log']/li")]
    assert "24 records" in told[1] and "Nothing was given" in told[0]


def test_the_detail_keeps_the_history_with_versions(alice: Visitor, consent: str) -> None:
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.does(consent, "pause")
    page = alice.gets(f"/sharings/{consent}")
    told = [words(event).split(": ")[1] for event in page.main.xpath(".//section[@aria-labelledby='history']//li")]
    assert told == ["The app asked.", "You agreed. (version 1)", "You removed some data. (version 2)"] + [
        "You paused the sharing. (version 2)"
    ]


def test_identifiers_stand_in_the_technical_disclosure_only(alice: Visitor, consent: str) -> None:  # A6
    page = alice.gets(f"/sharings/{consent}")
    assert consent not in page.closed_text() and "energy.electricity" not in page.closed_text()
    assert consent in words(page.main.xpath(".//details[@class='technical']")[0])


def test_what_she_saw_can_be_seen_again_but_not_sent_again(place: Place, alice: Visitor, consent: str) -> None:  # A37
    page = alice.gets(f"/sharings/{consent}/seen")
    assert page.h1 == "Watt Coach asks to read your data at City Energy"
    assert "It is the same text, to the letter." in page.text
    assert page.main.xpath(".//fieldset[@disabled]//input") and not page.main.xpath(".//form | .//button")


def test_an_app_that_gave_its_key_back_is_told_without_ending_the_sharing(
    place: Place, alice: Visitor, consent: str
) -> None:  # C9
    place.reads(consent, "app_disconnected")
    page = alice.gets(f"/sharings/{consent}")
    assert "Disconnected by the app on April 1, 2026" in page.text
    assert words(page.main.xpath(".//p[@class='status']/strong")[0]) == "Active"
    place.reads(consent, "token_issued")
    assert "Disconnected by the app on" not in alice.gets(f"/sharings/{consent}").text


# ---- stopping


def test_stopping_takes_two_clicks_and_no_reason(place: Place, alice: Visitor, consent: str) -> None:  # C1, C5
    (stop,) = alice.gets("/sharings").main.xpath(".//a[.='Stop sharing']/@href")  # first click
    page = alice.gets(stop)
    fields = page.form(stop)
    assert set(fields) == {"csrf"}
    done = alice.posts(stop, fields)  # second click
    assert (done.status, done.location) == (303, f"/sharings/{consent}/stopped")
    assert (place.consent(consent).state, place.consent(consent).reason) == ("ended", "withdrawn")
    assert place.logged(alice)[0] == "consent_ended"


def test_stopping_needs_no_new_sign_in(place: Place, alice: Visitor, consent: str) -> None:  # C5
    place.clock.passes(hours=11)
    assert alice.does(consent, "stop").location == f"/sharings/{consent}/stopped"


@pytest.mark.parametrize("path", ["", "/stop", "/stopped", "/seen"])
def test_looking_never_changes_anything(place: Place, alice: Visitor, consent: str, path: str) -> None:  # C13
    before = (place.consent(consent), place.logged(alice))
    for _ in range(2):
        alice.gets(f"/sharings/{consent}{path}")
    after = (place.consent(consent), place.logged(alice))
    assert (after[0].state, after[0].generation, after[1]) == (before[0].state, before[0].generation, before[1])


@pytest.mark.parametrize("act", ["pause", "resume", "remove"])
def test_acts_are_forms_only(alice: Visitor, consent: str, act: str) -> None:  # C13
    assert alice.gets(f"/sharings/{consent}/{act}").status == 405


def test_the_question_says_what_stops_what_does_not_and_alternatives_below(alice: Visitor, consent: str) -> None:
    page = alice.gets(f"/sharings/{consent}/stop")  # C3, C6
    for said in (
        "From now on we refuse every request of Watt Coach for: Electricity use and Statements and bills.",
        "What Watt Coach has received by then stays with it.",
        "You have the right to have it deleted. Check with Watt Coach what it did.",
    ):
        assert said in page.text
    order = [words(e) for e in page.main.xpath(".//button | .//a[@class='button']")]
    assert order == ["Stop sharing", "Back", "Pause", "Remove some data"]


def test_the_receipt_says_what_happened_and_what_happens_from_now_on(
    place: Place, alice: Visitor, consent: str
) -> None:  # C12
    alice.does(consent, "stop")
    page = alice.gets(f"/sharings/{consent}/stopped")
    assert page.h1 == "The sharing with Watt Coach has ended"
    assert "From now on we refuse every request of Watt Coach for this sharing." in page.text
    (receipt,) = page.main.xpath(".//article")
    assert facts(receipt) | {"Last access": "", "Data": ""} == {
        "Reference": consent,
        "Time": "April 1, 2026, 11:30 AM",
        "Person": "Alice Martin",
        "App": "Watt Coach, Watt Coach SAS",
        "Purpose": "Understand and lower my energy use",
        "Data": "",
        "Organisation": "City Energy",
        "Agreed on": "April 1, 2026",
        "Ended on": "April 1, 2026",
        "Last access": "",
    }


def test_stopping_twice_keeps_the_first_end(place: Place, alice: Visitor, consent: str) -> None:
    alice.does(consent, "stop")
    first = place.consent(consent)
    place.clock.passes(days=1)
    assert alice.does(consent, "stop").location.endswith("/stopped")
    assert place.consent(consent).ended_at == first.ended_at
    assert place.events(consent) == ["requested", "granted", "ended"]


def test_stopping_after_the_end_date_says_end_date_reached(place: Place, alice: Visitor, consent: str) -> None:
    place.clock.passes(days=31)
    alice.does(consent, "stop")
    assert "end date reached" in alice.gets(f"/sharings/{consent}/stopped").text


def test_stopping_one_leaves_the_others(place: Place, alice: Visitor, several: dict[str, str]) -> None:  # C8
    alice.does(several["watt"], "stop")
    assert place.consent(several["budget"]).state == "paused"


# ---- pausing, removing


def test_a_paused_sharing_says_so_and_can_be_resumed(place: Place, alice: Visitor, consent: str) -> None:
    alice.does(consent, "pause")
    page = alice.gets(f"/sharings/{consent}")
    assert words(page.main.xpath(".//p[@class='status']/strong")[0]) == "Paused"
    assert "While the sharing is paused, we refuse every request of Watt Coach." in page.text
    alice.does(consent, "resume")
    assert place.consent(consent).state == "active"


def test_one_type_of_data_is_removed_and_the_rest_goes_on(place: Place, alice: Visitor, consent: str) -> None:  # B15
    assert alice.does(consent, "remove", remove=SUMMARY_BOX).location == f"/sharings/{consent}"
    terms = place.terms(consent)
    assert [item["dataset"] for item in terms["items"] if item["granted"]] == ["energy.electricity.usage"]
    assert terms["version"] == 2 and place.consent(consent).state == "active"
    assert "Statements and bills" not in words(cards(alice.gets("/sharings"))[0])


def test_removing_everything_ends_the_sharing(place: Place, alice: Visitor, consent: str) -> None:  # B15
    every = [SUMMARY_BOX, "item:city-energy:energy.electricity.usage"]
    assert alice.does(consent, "remove", remove=every).location == f"/sharings/{consent}/stopped"
    assert place.consent(consent).state == "ended"


@pytest.mark.parametrize("remove", ["", "item:city-energy:energy.point", "nonsense"])
def test_removing_what_is_not_shared_changes_nothing(place: Place, alice: Visitor, consent: str, remove: str) -> None:
    alice.does(consent, "remove", remove=remove)
    assert place.terms(consent)["version"] == 1


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_acts_on_what_has_ended_change_nothing(place: Place, alice: Visitor, consent: str, act: str) -> None:
    alice.does(consent, "stop")
    events = place.events(consent)
    assert alice.does(consent, act, remove=SUMMARY_BOX).status == 303
    assert place.events(consent) == events


# ---- everything at once


def test_everything_is_paused_in_two_clicks_with_a_result(place: Place, alice: Visitor, consent: str) -> None:  # B14
    other = place.asks(alice, SECOND, energy(**TWO))
    alice.allows(other)
    assert alice.gets("/sharings").main.xpath(".//a[.='Pause everything']/@href") == ["/sharings/pause-all"]
    asked = alice.gets("/sharings/pause-all")
    assert "Watt Coach: Electricity use and Statements and bills (City Energy)" in asked.text
    assert place.consent(consent).state == "active"
    done = alice.posts("/sharings/pause-all", asked.form("/sharings/pause-all"))
    page = alice.gets(done.location)
    assert page.h1 == "Everything has been paused"
    assert "Watt Coach: Paused" in page.text and "Second App: Paused" in page.text
    assert {place.consent(consent).state, place.consent(other).state} == {"paused"}


def test_everything_is_stopped_with_a_receipt_for_each(place: Place, alice: Visitor, several: dict[str, str]) -> None:
    place.clock.passes(minutes=1)
    asked = alice.gets("/sharings/stop-all")  # B14
    done = alice.posts("/sharings/stop-all", asked.form("/sharings/stop-all"))
    page = alice.gets(done.location)
    receipts = set(page.main.xpath(".//li/a/@href"))
    assert receipts == {f"/sharings/{several[name]}/stopped" for name in ("watt", "budget")}
    assert {place.consent(one).state for one in several.values()} == {"ended"}


def test_stopping_everything_when_nothing_runs_says_so(alice: Visitor) -> None:
    assert "No sharing is active." in alice.gets("/sharings/stop-all").text
    done = alice.posts("/sharings/stop-all", {"csrf": alice.csrf()})
    assert "Nothing was running." in alice.gets(done.location).text


@pytest.mark.parametrize("at", ["", "yesterday", "2026-04-01", "2026-04-01T00:00:00"])
def test_a_result_of_no_instant_is_no_page(alice: Visitor, at: str) -> None:
    assert alice.gets(f"/sharings/done?what=stopped&at={at}").status == 404


# ---- Mallory, strangers, guardians


@pytest.mark.parametrize("path", ["", "/stop", "/stopped", "/seen"])
def test_mallory_sees_nothing_of_alices(mallory: Visitor, consent: str, path: str) -> None:
    page = mallory.gets(f"/sharings/{consent}{path}")
    assert page.status == 404 and "Watt Coach" not in page.text


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_mallory_changes_nothing_of_alices(place: Place, mallory: Visitor, consent: str, act: str) -> None:
    assert mallory.does(consent, act, remove=SUMMARY_BOX).status == 404
    assert place.consent(consent).generation == 2


def test_mallory_lists_and_stops_only_her_own(place: Place, mallory: Visitor, consent: str) -> None:
    assert not cards(mallory.gets("/sharings"))
    mallory.posts("/sharings/stop-all", {"csrf": mallory.csrf()})
    mallory.posts("/sharings/pause-all", {"csrf": mallory.csrf()})
    assert place.consent(consent).state == "active"


def test_mallory_reads_no_result_of_alices(place: Place, alice: Visitor, mallory: Visitor, consent: str) -> None:
    done = alice.posts("/sharings/stop-all", {"csrf": alice.csrf()})
    assert "Watt Coach" not in mallory.gets(done.location).text


@pytest.mark.parametrize("path", ["", "/stop-all", "/pause-all", "/done", "/x", "/x/stop", "/x/seen"])
def test_a_stranger_is_sent_to_sign_in(place: Place, path: str) -> None:
    assert Visitor(place, "nobody", "Nobody").gets(f"/sharings{path}").location.startswith("/sign-in?next=")


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_an_act_without_the_forms_token_is_none(place: Place, alice: Visitor, consent: str, act: str) -> None:
    assert alice.posts(f"/sharings/{consent}/{act}", {"remove": SUMMARY_BOX}).status == 403
    assert place.consent(consent).generation == 2


@pytest.mark.parametrize("name", ["x", "a" * 43, "%00", "..%2f..%2fetc"])
def test_a_sharing_that_does_not_exist_is_not_found(alice: Visitor, name: str) -> None:
    assert alice.gets(f"/sharings/{name}").status in (404, 405)


def test_a_guardian_sees_and_stops_her_childs_sharing_and_the_child_does_too(
    place: Place, alice: Visitor, chloe: Visitor
) -> None:
    consent = place.asks(chloe)
    alice.answers(consent, "allow")
    (card,) = cards(alice.gets("/sharings"))
    assert "for Chloé Petit" in words(card)
    assert named(chloe.gets("/sharings")) == ["Watt Coach"]
    alice.does(consent, "stop")
    assert "stopped by the guardian" in chloe.gets(f"/sharings/{consent}/stopped").text


def test_a_child_stops_what_her_guardian_agreed_to(place: Place, alice: Visitor, chloe: Visitor) -> None:
    consent = place.asks(chloe)
    alice.answers(consent, "allow")
    chloe.does(consent, "stop")
    assert "stopped by Chloé Petit" in alice.gets(f"/sharings/{consent}/stopped").text
    assert "stopped by you" in chloe.gets(f"/sharings/{consent}/stopped").text


def test_a_guardian_of_somebody_grown_up_sees_nothing_more(place: Place, alice: Visitor, chloe: Visitor) -> None:
    consent = place.asks(chloe)
    alice.answers(consent, "allow")
    place.town.people["chloe"] = replace(place.town.people["chloe"], minor=False)
    assert not cards(alice.gets("/sharings"))
    assert alice.gets(f"/sharings/{consent}").status == 404
