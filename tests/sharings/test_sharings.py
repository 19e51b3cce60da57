""" "Data sharing": the list, one sharing, stopping, pausing, removing."""

import json
from dataclasses import replace

import pytest

from gateway.consent import deciding
from gateway.consent.actors import Actor, Kind
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from tests.worlds.consent import BANK, CLEAR_BUDGET, SUMMARY_BOX, WATT_COACH, Visitor, World, cards, facts, named, words

# ---- the list


def test_a_card_tells_who_what_for_until_when_and_how_often(world: World, alice: Visitor, consent: str) -> None:
    world.clock.passes(days=2)
    world.reads(consent)
    world.reads(consent)
    (card,) = cards(alice.gets("/sharings"))
    assert words(card.xpath(".//p[@class='status']/strong")[0]) == "Active"
    assert facts(card) == {
        "Purpose": "Understand and lower my energy use",
        "Data": "Electricity use, Statements and bills",
        "Organisation": "City Energy",
        "Agreed on": "1 April 2026",
        "Ends on": "1 May 2026",
        "Last access": "3 April 2026, 11:30 (2 accesses in 30 days)",
    }


def test_accesses_older_than_thirty_days_are_not_counted(world: World, alice: Visitor, consent: str) -> None:
    world.reads(consent)
    world.clock.passes(days=31)
    assert "(0 accesses in 30 days)" in words(cards(alice.gets("/sharings"))[0])


def test_view_and_stop_are_the_same_kind_of_button_on_every_card(world: World, alice: Visitor, consent: str) -> None:
    buttons = cards(alice.gets("/sharings"))[0].xpath(".//div[@class='actions']/*")
    assert [words(button) for button in buttons] == ["View", "Stop sharing"]
    assert buttons[0].get("class") == buttons[1].get("class") == "button"
    assert [button.get("href") for button in buttons] == [f"/sharings/{consent}", f"/sharings/{consent}/stop"]


def test_an_empty_list_explains_itself(alice: Visitor) -> None:
    page = alice.gets("/sharings")
    assert page.h1 == "Data sharing"
    assert "When an app asks for your data, you decide here." in page.text
    assert page.main.xpath(".//a[@href='/organisations']") and not cards(page)


def test_the_page_is_one_click_from_every_page(alice: Visitor) -> None:
    assert words(alice.gets("/log").tree.xpath("//nav//a[@href='/sharings']")[0]) == "Data sharing"


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
        ("q=%01%3Cscript%3E", []),
    ],
)
def test_the_list_is_narrowed_sorted_and_searched_by_its_address(
    alice: Visitor, several: dict[str, str], query: str, expected: list[str]
) -> None:
    page = alice.gets(f"/sharings?{query}")
    assert page.status == 200
    found = named(page)
    assert (found if "sort" in query else sorted(found)) == (expected if "sort" in query else sorted(expected))
    assert expected or "Nothing fits this filter." in page.text


def test_by_app_and_by_data_list_the_same_sharings(alice: Visitor, several: dict[str, str]) -> None:
    by_app = {href.split("/")[2] for href in alice.gets("/sharings").main.xpath(".//article//a/@href")}
    turned = alice.gets("/sharings?by=data")
    assert {href.split("/")[2] for href in turned.main.xpath(".//section//a/@href")} == by_app
    assert [words(heading) for heading in turned.main.xpath(".//section/h2")] == [
        "Electricity use at City Energy",
        "Statements and bills at City Energy",
        "Accounts at Harbour Bank",
        "Transactions at Harbour Bank",
    ]


def test_what_has_ended_stays_with_its_reason(world: World, alice: Visitor, several: dict[str, str]) -> None:
    world.clock.passes(days=2 * 365)
    page = alice.gets("/sharings")
    status = {words(card.xpath("./h2")[0]): words(card.xpath("./p[@class='status']")[0]) for card in cards(page)}
    assert status == {
        "Watt Coach": "Ended: end date reached",
        "Clear Budget": "Ended: end date reached",
        "Second App": "Ended: stopped by you",
    }


@pytest.mark.parametrize(
    ("language", "word", "told"),
    [
        ("en", "go_on", "It was then: Watt Coach (Watt Coach SAS). What it may read has not changed."),
        ("fr", "go_on", "C’était alors : Watt Coach (Watt Coach SAS). Ce qu’elle peut lire n’a pas changé."),
        ("en", "ask", "It was then: Watt Coach (Watt Coach SAS). It gets no new access until it has asked you again."),
        ("fr", "ask", "Elle n’obtient plus d’accès tant qu’elle ne vous a pas redemandé votre accord."),
    ],
)
def test_T33_an_app_that_has_changed_since_is_shown_as_such(
    world: World, alice: Visitor, consent: str, language: str, word: str, told: str
) -> None:
    alice.language = language
    settings = world.house.settings.model_copy(update={"changed_apps": word})
    object.__setattr__(world.house, "settings", settings)
    notice = ".//p[@class='notice']"
    assert not alice.gets(f"/sharings/{consent}").main.xpath(notice)
    world.rooms.apps["watt-coach"] = replace(WATT_COACH, legal_entity="Somebody else SAS", metadata_sha256="other")
    (found,) = alice.gets(f"/sharings/{consent}").main.xpath(notice)
    assert told in words(found).replace("\xa0", " ")
    world.rooms.apps["watt-coach"] = replace(WATT_COACH, metadata_sha256="other")
    (found,) = alice.gets(f"/sharings/{consent}").main.xpath(notice)
    assert "Watt Coach SAS" not in words(found), "its name and company are the same"
    alice.does(consent, "stop")
    assert not alice.gets(f"/sharings/{consent}").main.xpath(notice), "of what has ended it says nothing"


def said(alice: Visitor, consent: str, number: object) -> object:
    """What a receipt says, without its signature, which is another each time."""
    return json.loads(alice.gets(f"/sharings/{consent}/receipt/{number}.json").text)["receipt"]


def test_T10_history_is_read_when_the_organisation_is_gone_and_the_app_another(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.does(consent, "stop")
    before = alice.gets(f"/sharings/{consent}").main.xpath(".//section[@aria-labelledby='history']//li")
    receipts = [said(alice, consent, number) for number in (1, 2, "end")]
    del world.rooms.organisations["city-energy"]
    world.rooms.apps["watt-coach"] = replace(CLEAR_BUDGET, client_id="watt-coach")
    page = alice.gets(f"/sharings/{consent}")
    after = page.main.xpath(".//section[@aria-labelledby='history']//li")
    assert [words(one) for one in after] == [words(one) for one in before]
    assert "City Energy" in words(page.main.xpath(".//section[@aria-labelledby='what']")[0])
    assert [said(alice, consent, number) for number in (1, 2, "end")] == receipts
    assert "Watt Coach" in alice.gets(f"/sharings/{consent}/seen").text
    assert consent in alice.gets("/sharings").main.xpath("string(.//article//a/@href)")


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
    world: World, alice: Visitor, consent: str, actor: Kind, reason: EndReason, said: str
) -> None:
    with world.house.store.write() as session:
        deciding.end(session, world.house.log, session.get_one(Consent, consent), Actor(actor), reason, world.clock())
    assert words(cards(alice.gets("/sharings"))[0].xpath("./p[@class='status']")[0]) == said


def test_a_suspension_is_laid_over_and_never_told_as_her_act(world: World, alice: Visitor, consent: str) -> None:
    world.rooms.apps["watt-coach"] = replace(WATT_COACH, active=False)
    assert "Active suspended by the service" in words(cards(alice.gets("/sharings"))[0])
    world.rooms.apps["watt-coach"] = WATT_COACH
    city_energy = world.rooms.organisations["city-energy"]
    world.rooms.organisations["city-energy"] = replace(city_energy, active=False)  # type: ignore[type-var]
    assert "Active suspended by the organisation" in words(cards(alice.gets("/sharings"))[0])


def test_a_request_nobody_answered_is_not_a_sharing(world: World, alice: Visitor) -> None:
    world.asks(alice)
    assert named(alice.gets("/sharings?status=requested")) == ["Watt Coach"]
    world.clock.passes(minutes=1)
    newest = world.asks(alice)  # what the app asked before was left behind half way
    page = alice.gets("/sharings?status=requested")
    assert named(page) == ["Watt Coach"] and page.main.xpath(f".//a[@href='/sharings/{newest}']")
    world.clock.passes(hours=2)
    assert named(alice.gets("/sharings")) == []


# ---- one sharing


def test_the_detail_tells_what_was_agreed_in_the_words_of_the_screen(world: World, alice: Visitor) -> None:
    asked = world.asks(alice, CLEAR_BUDGET)
    screen = alice.sees(asked)
    alice.answers(asked, "allow", screen, **BANK)
    page = alice.gets(f"/sharings/{asked}")
    for label in screen.main.xpath(".//span[@class='item-label']"):
        assert words(label) in page.text
    for disclosed in screen.main.xpath(".//li[@class='item']//summary | .//li[@class='item']//dd"):
        assert words(disclosed) in page.text
    for said in (
        "the last 12 months, and from now on",
        "at most 4 times a day and 200 times a month",
        "Current account",
    ):
        assert said in screen.text and said in page.text
    assert "will not be passed on, kept for 1 month at most" in page.text
    assert "Optional Not shared" in page.text  # the health claims


def test_the_detail_says_where_to_ask_what_happens_next(alice: Visitor, consent: str) -> None:
    page = alice.gets(f"/sharings/{consent}")
    assert "For what happens next with your data, see Watt Coach:" in page.text
    assert page.main.xpath(".//a[@href='https://watt-coach.example/privacy']")


def test_the_detail_tells_latest_accesses_and_refusals_as_sentences(world: World, alice: Visitor, consent: str) -> None:
    world.reads(consent, datasets=["energy.electricity.usage"], records=24)
    world.reads(consent, "denied", datasets=["energy.point"], reason="dataset")
    page = alice.gets(f"/sharings/{consent}")
    told = [words(entry) for entry in page.main.xpath(".//ul[@class='log']/li")]
    assert "24 records" in told[1] and "Nothing was given" in told[0]


def test_a_sharing_that_ends_soon_says_how_to_go_on_and_never_does_so_by_itself(
    world: World, alice: Visitor, consent: str
) -> None:
    longer = world.asks(alice, CLEAR_BUDGET)
    alice.allows(longer, **BANK, duration="d90")
    said = "It ends on 1 May 2026 and is never prolonged by itself. To share longer, ask for it in Watt Coach"
    assert said in alice.gets(f"/sharings/{consent}").text
    assert "https://watt-coach.example" in alice.gets(f"/sharings/{consent}").main.xpath(".//a/@href")
    assert "never prolonged" not in alice.gets(f"/sharings/{longer}").text
    world.clock.passes(days=31)
    page = alice.gets(f"/sharings/{consent}")
    assert "never prolonged" not in page.text and "To share again, start from the app: Watt Coach" in page.text


@pytest.mark.parametrize("ending", ["stop", "end date"])
def test_an_agreement_made_anew_is_linked_with_the_one_that_ended(
    world: World, alice: Visitor, consent: str, ending: str
) -> None:
    if ending == "stop":
        alice.does(consent, "stop")
    world.clock.passes(days=40)
    again = world.asks(alice)
    page = alice.sees(again)
    assert "You already share" not in page.text  # it has ended: nothing is replaced, nothing is preselected
    assert not page.main.xpath(".//input[@type='checkbox'][@checked]")
    alice.allows(again)
    assert world.terms(again)["replaces"] == world.consent(again).replaces == consent
    assert world.consent(consent).reason == ("withdrawn" if ending == "stop" else "expired")
    assert f"/sharings/{consent}" in alice.gets(f"/sharings/{again}").main.xpath(".//a/@href")
    assert f"/sharings/{again}" in alice.gets(f"/sharings/{consent}").main.xpath(".//a/@href")


def test_the_detail_keeps_the_history_with_versions(alice: Visitor, consent: str) -> None:
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.does(consent, "pause")
    page = alice.gets(f"/sharings/{consent}")
    told = [words(event).split(": ")[1] for event in page.main.xpath(".//section[@aria-labelledby='history']//li")]
    assert told == ["The app asked.", "You agreed. (version 1)", "You removed some data. (version 2)"] + [
        "You paused the sharing. (version 2)"
    ]


def test_identifiers_stand_in_the_technical_disclosure_only(alice: Visitor, consent: str) -> None:
    page = alice.gets(f"/sharings/{consent}")
    assert consent not in page.closed_text() and "energy.electricity" not in page.closed_text()
    assert consent in words(page.main.xpath(".//details[@class='technical']")[0])


def test_what_she_saw_can_be_seen_again_but_not_sent_again(world: World, alice: Visitor, consent: str) -> None:
    page = alice.gets(f"/sharings/{consent}/seen")
    assert page.h1 == "Watt Coach asks to read your data at City Energy"
    assert "It is the same text, to the letter." in page.text
    assert page.main.xpath(".//fieldset[@disabled]//input") and not page.main.xpath(".//form | .//button")


def test_an_app_that_gave_its_key_back_is_told_without_ending_the_sharing(
    world: World, alice: Visitor, consent: str
) -> None:
    world.reads(consent, "app_disconnected")
    page = alice.gets(f"/sharings/{consent}")
    assert "Disconnected by the app on 1 April 2026" in page.text
    assert words(page.main.xpath(".//p[@class='status']/strong")[0]) == "Active"
    world.reads(consent, "token_issued")
    assert "Disconnected by the app on" not in alice.gets(f"/sharings/{consent}").text
