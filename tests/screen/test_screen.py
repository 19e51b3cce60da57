"""The consent screen: what it says, what it offers, and what it never does."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.consent.facts import Offered
from tests.worlds.consent import (
    CLEAR_BUDGET,
    FOR,
    START,
    SUMMARY,
    USAGE,
    WATT_COACH,
    Visitor,
    World,
    an_app,
    authorize,
    energy_details,
    words,
)
from tests.worlds.consent import energy_details as energy

BOTH = pytest.mark.parametrize("language", ["en", "fr"])


# ---- who asks, who is asked


@BOTH
def test_the_title_names_app_action_and_organisations(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    expected = {
        "en": "Clear Budget asks to read your data at Harbour Bank and Meadow Health",
        "fr": "Clear Budget demande à lire vos données chez Banque du Port et Santé des Prés",
    }
    assert page.h1 == expected[language]
    assert page.tree.get("lang") == language


def test_the_person_is_named_and_can_leave_without_losing_the_request(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    assert "You: Alice Martin" in page.text
    form = page.main.xpath(".//form[@action='/sign-out']")[0]
    assert words(form) == "Not you?"
    assert form.xpath("./input[@name='next']/@value") == [authorize(consent)]


def test_the_app_is_shown_with_company_badge_and_links(world: World, alice: Visitor) -> None:
    app = an_app("agent", "Agent", ("energy-advice",), USAGE, on_behalf_of="Big Company plc", has_logo=True)
    page = alice.sees(world.asks(alice, app, energy(datatypes=["energy.electricity.usage"])))
    for text in ("Agent SAS", "on behalf of Big Company plc", "Company checked"):
        assert text in page.text
    for link in ("https://agent.example", "https://agent.example/privacy", "https://agent.example/terms"):
        assert page.main.xpath(f".//a[@href={link!r}]")
    assert page.main.xpath(".//img/@src") == ["/apps/agent/logo"]
    assert not [src for src in page.tree.xpath("//img/@src") if not src.startswith("/")]


def test_the_gateway_says_that_the_page_is_its_own(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    assert "This page is by Aval (localhost:8400), not by Watt Coach." in page.text


@pytest.mark.parametrize("name", ["<b>Verified</b>", "<script>alert(1)</script>", "x\u202eetov"])
def test_markup_in_a_name_is_text_and_its_direction_stays_inside(world: World, alice: Visitor, name: str) -> None:
    page = alice.sees(world.asks(alice, an_app("odd", name, ("energy-advice",), *WATT_COACH.data)))
    assert page.h1.startswith(f"{name} asks to read")
    assert not page.tree.xpath("//script | //main//b")
    assert page.tree.xpath("//h1/bdi")


@BOTH
def test_an_unverified_app_is_pointed_out_above_the_title(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    app = an_app("new", "New", ("energy-advice",), *WATT_COACH.data, verified=False)
    page = alice.sees(world.asks(alice, app))
    notice, heading = page.main.xpath(".//div[@role='note'] | .//h1")
    assert (notice.tag, heading.tag) == ("div", "h1")
    assert ("New" in words(notice)) and not notice.xpath(".//button | .//a")


@pytest.mark.parametrize(("days", "said"), [(29, True), (31, False)])
def test_an_app_registered_this_month_is_pointed_out(world: World, alice: Visitor, days: int, said: bool) -> None:
    app = an_app("new", "New", ("energy-advice",), *WATT_COACH.data, registered_at=START - timedelta(days=days))
    assert ("New is new here: registered on" in alice.sees(world.asks(alice, app)).text) is said


@pytest.mark.parametrize(("language", "said"), [("en", "registered on 21 "), ("fr", "inscrite le 21 ")])
def test_the_day_of_registration_is_counted_in_the_zone_of_the_gateway(
    world: World, alice: Visitor, language: str, said: str
) -> None:
    alice.language = language
    evening = datetime(2026, 3, 20, 23, 30, tzinfo=UTC)  # in Paris it is past midnight, the 21st
    app = an_app("new", "New", ("energy-advice",), *WATT_COACH.data, registered_at=evening)
    assert said in alice.sees(world.asks(alice, app)).text


# ---- what is asked for


@BOTH
def test_items_are_told_in_the_words_of_the_catalogue(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    page = alice.sees(world.asks(alice))
    usage = world.house.catalogue.datasets["energy.electricity.usage"]
    for said in (usage.label, usage.short, usage.long, usage.fields["interval.value"].label):
        assert said[language] in page.text
    assert usage.fields["interval.value"].comes_with[language] in page.text  # type: ignore[index]


def test_no_identifier_is_visible_while_disclosures_are_closed(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    for dataset in world.house.catalogue.datasets.values():
        for name in (dataset.id, *dataset.fields):
            assert name not in page.closed_text()
    technical = page.main.xpath(".//details[contains(@class,'technical')]")[0]
    assert "bank.transactions" in words(technical) and technical.get("open") is None


def test_items_are_grouped_by_organisation(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    groups = page.main.xpath(".//fieldset[contains(@class,'from-organisation')]")
    assert [words(group.xpath("./legend")[0]) for group in groups] == ["At Harbour Bank", "At Meadow Health"]
    assert "Transactions" in words(groups[0]) and "Transactions" not in words(groups[1])


def test_required_is_told_and_optional_is_a_box_that_nobody_ticked(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    tags = [words(item.xpath(".//*[contains(@class,'badge')]")[0]) for item in page.main.xpath(".//li[@class='item']")]
    assert tags == ["Required", "Optional", "Optional"]
    boxes = page.main.xpath(".//input[starts-with(@name,'item:')]")
    assert [box.get("name") for box in boxes] == [
        "item:city-energy:energy.electricity.summary",
        "item:city-energy:energy.point",
    ]
    assert not [box for box in boxes if box.get("checked") is not None]


@BOTH
def test_a_required_item_carries_the_reason_of_the_app_as_its_words(
    world: World, alice: Visitor, language: str
) -> None:
    alice.language = language
    page = alice.sees(world.asks(alice))
    said = {"en": f"Watt Coach says: “{FOR['en']}”", "fr": f"Watt Coach dit\xa0: «\xa0{FOR['fr']}\xa0»"}
    first = page.main.xpath(".//li[@class='item']")[0]
    assert " ".join(said[language].split()) in words(first)
    assert said[language].split(":")[0].split("\xa0")[0] in page.closed_text()


def test_words_in_another_language_are_marked_as_such(world: World, alice: Visitor) -> None:
    alice.language = "fr"
    usage = replace(USAGE, reason={"en": "To work it out."})
    page = alice.sees(world.asks(alice, replace(WATT_COACH, data=(usage, SUMMARY, WATT_COACH.data[2]))))
    (foreign,) = page.main.xpath(".//bdi[@lang='en'][1]")
    assert words(foreign) == "To work it out."
    assert "(texte fourni en anglais)" in page.text


def test_several_accounts_are_picked_and_none_is_picked_for_her(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    boxes = page.main.xpath(".//input[@name='accounts:harbour-bank']")
    assert [box.get("value") for box in boxes] == ["ref-current", "ref-savings", "ref-joint"]
    assert not [box for box in boxes if box.get("checked") is not None]
    assert boxes[2].get("disabled") is not None
    assert "Joint account ***90 (not available: the other holder has to agree)" in page.text


def test_a_single_account_is_told_and_not_asked_for(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    assert "Taken from: Home, 4 Mill Lane (usage point)" in page.text
    assert not page.main.xpath(".//input[starts-with(@name,'accounts:')]")


@BOTH
def test_the_purpose_is_stated_once_and_as_the_apps_own(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    page = alice.sees(world.asks(alice))
    purpose = world.house.catalogue.purposes["energy-advice"]
    (block,) = page.main.xpath(".//p[@class='purpose']")
    assert purpose.title[language] in words(block) and purpose.text[language] in words(block)
    assert page.text.count(purpose.title[language]) == 1
    assert words(block).startswith(
        {"en": "Watt Coach states this purpose:", "fr": "Watt Coach déclare ce but"}[language]
    )


@pytest.mark.parametrize(
    ("period", "english", "french"),
    [
        ({"history": "P13M", "future": True}, "the last 13 months, and from now on", "les 13 derniers mois et à venir"),
        ({"history": "P12M"}, "the last 12 months", "les 12 derniers mois"),
        ({"history": "P24M"}, "the last 2 years", "les 2 dernières années"),
        ({"history": "P1M"}, "the last month", "le dernier mois"),
        ({"history": "P1M10D"}, "the last 1 month and 10 days", "les derniers 1 mois et 10 jours"),
        (
            {"from": "2026-01-01T00:00:00+01:00", "to": "2026-02-01T00:00:00+01:00"},
            "from 1 January 2026 to 31 January 2026",
            "du 1er janvier 2026 au 31 janvier 2026",
        ),
        (
            {"from": "2026-01-01T00:00:00+01:00", "to": "2026-02-01T10:00:00+01:00"},
            "from 1 January 2026 to 1 February 2026",
            "du 1er janvier 2026 au 1er février 2026",
        ),
        (
            {"from": "2026-01-31T00:00:00+01:00", "to": "2026-02-01T00:00:00+01:00"},
            "on 31 January 2026",
            "le 31 janvier 2026",
        ),
    ],
)
def test_the_period_of_the_data_is_told_apart_from_the_duration(
    world: World, alice: Visitor, period: dict[str, object], english: str, french: str
) -> None:
    consent = world.asks(alice, details=energy(period=period))
    for language, said, before, after in (
        ("en", english, "Period of the data", "How long the sharing lasts"),
        ("fr", french, "Période des données", "Durée du partage"),
    ):
        alice.language = language
        text = alice.sees(consent).text
        assert f"{before} {said}" in text
        assert text.index(before) < text.index(after)


def test_periods_that_differ_are_told_for_each_type_of_data(world: World, alice: Visitor) -> None:
    text = alice.sees(world.asks(alice, CLEAR_BUDGET)).text
    assert "Transactions: the last 12 months, and from now on" in text
    assert "Care and claims: the last 6 months" in text


def test_the_end_is_a_date_before_the_buttons_and_there_are_four_choices_at_most(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    choices = page.main.xpath(".//input[@name='duration']/..")
    assert [words(choice) for choice in choices] == [
        "once only, by 2 Apr 2026: the app gets one answer, then it is over",
        "30 days, until 1 May 2026",
        "90 days, until 30 Jun 2026",
        "180 days, until 28 Sept 2026",
    ]
    checked = [choice for choice in choices if choice.xpath("./input[@checked]")]
    assert [words(choice)[:7] for choice in checked] == ["30 days"]
    order = [e.tag for e in page.main.xpath(".//input[@name='duration'] | .//*[contains(@class,'decision')]/button")]
    assert order == ["input"] * 4 + ["button"] * 2


def test_a_shorter_time_than_any_choice_is_told_by_its_date_alone(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, details=energy(valid_for="P10D")))
    assert [words(choice) for choice in page.main.xpath(".//input[@name='duration']/..")] == [
        "once only, by 2 Apr 2026: the app gets one answer, then it is over",
        "until 11 Apr 2026",
    ]


def test_once_only_says_plainly_what_it_is_in_french_too(world: World, alice: Visitor) -> None:
    alice.language = "fr"
    for details in (None, energy(once=True)):
        page = alice.sees(world.asks(alice, details=details))
        choice = page.main.xpath(".//input[@name='duration'][@value='once']/..")[0]
        told = "une seule fois, d’ici au 2 avr. 2026 : une réponse, puis c’est fini"
        assert words(choice) == told


@pytest.mark.parametrize("once", [False, True])
def test_unattended_reading_is_told_if_and_only_if_it_can_happen(world: World, alice: Visitor, once: bool) -> None:
    text = alice.sees(world.asks(alice, details=energy(once=once))).text
    assert ("While you are away Watt Coach may read without asking you again." in text) is not once
    assert "How often at most 4 times a day" in text


def test_every_limit_on_how_often_is_told(world: World, alice: Visitor) -> None:
    assert "at most 4 times a day and 200 times a month" in alice.sees(world.asks(alice, CLEAR_BUDGET)).text


def test_onward_sharing_is_told_either_way(world: World, alice: Visitor) -> None:
    assert "Watt Coach states will not be passed on" in alice.sees(world.asks(alice)).text
    insurer = {"name": "Great Insurance", "role": "processor", "country": "FR"}
    page = alice.sees(world.asks(alice, replace(WATT_COACH, recipients=(insurer,))))
    assert "will be passed on to Great Insurance (processor, FR)" in page.text
    assert "will not be passed on" not in page.text


def test_sensitive_data_stands_apart_and_nothing_ticks_it_along(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    titles = [words(title) for title in page.main.xpath(".//*[@class='sensitive-title']")]
    assert titles == ["Sensitive data: your money", "Specially protected data: your health"]
    (health,) = page.main.xpath(".//input[@name='item:meadow-health:health.claims']")
    assert health.xpath("ancestor::div[contains(@class,'sensitive')]")
    plain = alice.sees(world.asks(alice))
    assert not plain.main.xpath(".//*[contains(@class,'sensitive')]")


@BOTH
def test_passwords_stopping_and_return_are_told(world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    page = alice.sees(world.asks(alice))
    said = {
        "en": (
            "None of these companies needs your password.",
            "What Watt Coach has received by then stays with it.",
            "You will go back to watt-coach.example.",
            "You can answer until 12:30",
        ),
        "fr": (
            "Aucune de ces sociétés n’a besoin de votre mot de passe.",
            "Ce qui a déjà été transmis à Watt Coach reste chez elle.",
            "Vous allez revenir sur watt-coach.example.",
            "Vous pouvez répondre jusqu’à 12:30.",
        ),
    }
    for sentence in said[language]:
        assert sentence in page.text
    (link,) = page.main.xpath(".//a[@href='/sharings']")  # named exactly as the page is
    assert words(link) == alice.gets("/sharings").h1
    assert "+33 1 23 45 67 89" in words(page.main)
    assert page.main.xpath(".//a[@href='mailto:delete@watt-coach.example']")


# ---- how it is asked


def test_refuse_comes_first_and_is_the_same_kind_of_button(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    row = page.main.xpath(".//*[contains(@class,'decision')]")[0]
    assert [words(button) for button in row] == ["Refuse", "Allow"]
    refuse, allow = (dict(button.attrib) for button in row)
    assert refuse | {"value": ""} == allow | {"value": ""}


def test_nothing_has_the_focus_and_the_first_submit_button_answers_nothing(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    assert not page.tree.xpath("//*[@autofocus]")
    first = page.main.xpath(".//form[starts-with(@action,'/consent/')]//button")[0]
    assert (first.get("type"), first.get("value")) == ("submit", "none") and first.get("hidden") is not None


def test_the_page_leads_nowhere_but_to_an_answer(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice))
    links = {href for href in page.tree.xpath("//a/@href") if not href.startswith(("#", "mailto:"))}
    assert links == {"/", "/sharings", *(f"https://watt-coach.example{part}" for part in ("", "/privacy", "/terms"))}
    assert not page.tree.xpath("//script | //iframe | //*[@style] | //nav")
    assert not re.search(r"\son\w+=", page.body)


@pytest.mark.parametrize("header", ["Content-Security-Policy", "Referrer-Policy", "Cache-Control", "X-Frame-Options"])
def test_every_page_is_guarded_by_its_headers(world: World, alice: Visitor, header: str) -> None:
    consent = world.asks(alice)
    pages = [alice.sees(consent), alice.answers(consent, "allow", duration="nonsense")]
    alice.allows(consent)
    pages += [alice.gets(path) for path in ("/sharings", f"/sharings/{consent}", f"/sharings/{consent}/stop")]
    strict = {
        "Content-Security-Policy": "form-action 'self'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Frame-Options": "DENY",
    }
    for page in pages:
        assert strict[header] in page.headers[header]


# ---- asking again


def test_a_running_sharing_is_told_and_only_what_is_new_is_marked(world: World, alice: Visitor) -> None:
    first = world.asks(alice)
    alice.allows(first, **{"item:city-energy:energy.point": "yes"})
    page = alice.sees(world.asks(alice))
    assert "You already share with Watt Coach for this purpose, until 1 May 2026." in page.text
    tags = [words(item.xpath(".//*[@class='tags']")[0]) for item in page.main.xpath(".//li[@class='item']")]
    assert tags == ["Required", "New Optional", "Optional"]
    assert page.main.xpath(".//input[@checked]/@name") == ["item:city-energy:energy.point", "duration"]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "If you allow, this is no longer shared: Usage point (City Energy)"),
        ("fr", "Si vous autorisez, ceci n’est plus partagé : Point de livraison (Énergie de la Ville)"),
    ],
)
def test_what_is_not_asked_for_again_is_told_to_be_shared_no_longer(
    world: World, alice: Visitor, language: str, told: str
) -> None:
    alice.allows(world.asks(alice), **{"item:city-energy:energy.point": "yes"})
    alice.language = language
    less = alice.sees(world.asks(alice, details=energy_details(datatypes=["energy.electricity.usage"])))
    note = words(less.main.xpath(".//div[@role='note']")[0]).replace("\xa0", " ")
    assert note == told
    same = alice.sees(world.asks(alice))
    assert "no longer shared" not in same.text and "n’est plus partagé" not in same.text


def test_an_organisation_without_an_account_of_hers_is_told(world: World, alice: Visitor) -> None:
    world.rooms.held["city-energy"] = []
    assert (
        "No account of yours (usage point) is known at City Energy: it has none, or it could not be read yet."
        in alice.sees(world.asks(alice)).text
    )


def test_of_two_accounts_one_of_which_is_closed_the_other_is_told_and_not_asked_for(
    world: World, alice: Visitor
) -> None:
    world.rooms.held["city-energy"] = [
        Offered("ref-home", "Home", "electricity", True),
        Offered("ref-old", "Old flat", "electricity", False, "closed"),
    ]
    page = alice.sees(world.asks(alice))
    assert "Taken from: Home (usage point) Old flat (not available: closed)" in page.text
    assert not page.main.xpath(".//input[starts-with(@name,'accounts:')]")
