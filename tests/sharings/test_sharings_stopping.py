"""Stopping, pausing and removing; everything at once; and who may do it (reference "people", section 7)."""

from dataclasses import replace

import pytest

from gateway.sharings import reading
from tests.worlds.consent import (
    BANK,
    CLEAR_BUDGET,
    SECOND_APP,
    SUMMARY_BOX,
    TWO_TYPES,
    Visitor,
    World,
    budget_details,
    cards,
    energy_details,
    facts,
    named,
    words,
)

# ---- stopping


def test_stopping_takes_two_clicks_and_no_reason(world: World, alice: Visitor, consent: str) -> None:
    (stop,) = alice.gets("/sharings").main.xpath(".//a[.='Stop sharing']/@href")  # first click
    page = alice.gets(stop)
    fields = page.form(stop)
    assert set(fields) == {"csrf"}
    done = alice.posts(stop, fields)  # second click
    assert (done.status, done.location) == (303, f"/sharings/{consent}/stopped")
    assert (world.consent(consent).state, world.consent(consent).reason) == ("ended", "withdrawn")
    assert world.logged(alice)[0] == "consent_ended"


def test_stopping_needs_no_new_sign_in(world: World, alice: Visitor, consent: str) -> None:
    world.clock.passes(hours=11)
    assert alice.does(consent, "stop").location == f"/sharings/{consent}/stopped"


@pytest.mark.parametrize("path", ["", "/stop", "/stopped", "/seen"])
def test_looking_never_changes_anything(world: World, alice: Visitor, consent: str, path: str) -> None:
    before = (world.consent(consent), world.logged(alice))
    for _ in range(2):
        alice.gets(f"/sharings/{consent}{path}")
    after = (world.consent(consent), world.logged(alice))
    assert (after[0].state, after[0].generation, after[1]) == (before[0].state, before[0].generation, before[1])


@pytest.mark.parametrize("act", ["pause", "resume", "remove"])
def test_acts_are_forms_only(alice: Visitor, consent: str, act: str) -> None:
    assert alice.gets(f"/sharings/{consent}/{act}").status == 405


def test_the_question_says_what_stops_what_does_not_and_alternatives_below(alice: Visitor, consent: str) -> None:
    page = alice.gets(f"/sharings/{consent}/stop")
    for said in (
        "From now on we refuse every request of Watt Coach for: Electricity use and Statements and bills.",
        "What Watt Coach has received by then stays with it.",
        "You have the right to have it deleted. Check with Watt Coach what it did.",
    ):
        assert said in page.text
    order = [words(e) for e in page.main.xpath(".//button | .//a[starts-with(@class,'button')]")]
    assert order == ["Stop sharing", "Back", "Pause", "Remove some data"]


def test_the_receipt_says_what_happened_and_what_happens_from_now_on(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "stop")
    page = alice.gets(f"/sharings/{consent}/stopped")
    assert page.h1 == "The sharing with Watt Coach has ended"
    assert "From now on we refuse every request of Watt Coach for this sharing." in page.text
    (receipt,) = page.main.xpath(".//article")
    assert facts(receipt) | {"Last access": "", "Data": ""} == {
        "Reference": consent,
        "Time": "1 April 2026, 11:30",
        "Person": "Alice Martin",
        "App": "Watt Coach, Watt Coach SAS",
        "Purpose": "Understand and lower my energy use",
        "Data": "",
        "Organisation": "City Energy",
        "Agreed on": "1 April 2026",
        "Ended on": "1 April 2026",
        "Last access": "",
    }


def test_stopping_twice_keeps_the_first_end(world: World, alice: Visitor, consent: str) -> None:
    alice.does(consent, "stop")
    first = world.consent(consent)
    world.clock.passes(days=1)
    assert alice.does(consent, "stop").location.endswith("/stopped")
    assert world.consent(consent).ended_at == first.ended_at
    assert world.events(consent) == ["requested", "granted", "ended"]


def test_stopping_after_the_end_date_says_end_date_reached(world: World, alice: Visitor, consent: str) -> None:
    world.clock.passes(days=31)
    alice.does(consent, "stop")
    assert "end date reached" in alice.gets(f"/sharings/{consent}/stopped").text


def test_stopping_one_leaves_the_others(world: World, alice: Visitor, several: dict[str, str]) -> None:
    alice.does(several["watt"], "stop")
    assert world.consent(several["budget"]).state == "paused"


# ---- pausing, removing


def test_a_paused_sharing_says_so_and_can_be_resumed(world: World, alice: Visitor, consent: str) -> None:
    alice.does(consent, "pause")
    page = alice.gets(f"/sharings/{consent}")
    assert words(page.main.xpath(".//p[@class='status']/strong")[0]) == "Paused"
    assert "While the sharing is paused, we refuse every request of Watt Coach." in page.text
    alice.does(consent, "resume")
    assert world.consent(consent).state == "active"


def test_one_type_of_data_is_removed_and_the_rest_goes_on(world: World, alice: Visitor, consent: str) -> None:
    assert alice.does(consent, "remove", remove=SUMMARY_BOX).location == f"/sharings/{consent}"
    terms = world.terms(consent)
    assert [item["dataset"] for item in terms["items"] if item["granted"]] == ["energy.electricity.usage"]
    assert terms["version"] == 2 and world.consent(consent).state == "active"
    assert "Statements and bills" not in words(cards(alice.gets("/sharings"))[0])


def test_removing_everything_ends_the_sharing(world: World, alice: Visitor, consent: str) -> None:
    every = [SUMMARY_BOX, "item:city-energy:energy.electricity.usage"]
    assert alice.does(consent, "remove", remove=every).location == f"/sharings/{consent}/stopped"
    assert world.consent(consent).state == "ended"


@pytest.mark.parametrize(
    ("language", "title", "told"),
    [("en", "Error: Sharing with Watt Coach", "Tick at least one box."),
     ("fr", "Erreur : Partage avec Watt Coach", "Cochez au moins une case.")],
)  # fmt: skip
def test_removing_with_nothing_ticked_is_told_and_changes_nothing(
    world: World, alice: Visitor, consent: str, language: str, title: str, told: str
) -> None:
    world.reads(consent)
    alice.language = language
    before = world.events(consent)
    page = alice.does(consent, "remove")
    assert page.status == 422 and page.title.replace("\xa0", " ").startswith(title)
    (summary,) = page.main.xpath(".//div[@class='error-summary'][@autofocus]")
    (link,) = summary.xpath(".//a")
    assert words(link) == told
    (group,) = page.main.xpath(f".//*[@id='{link.get('href')[1:]}']")
    (wrong,) = group.xpath(f".//p[@id='{group.get('aria-describedby')}']")
    assert words(wrong) == told and group.xpath(".//input[@name='remove']")
    assert ("1 access in 30 days" if language == "en" else "1 accès en 30 jours") in page.text
    assert world.events(consent) == before and world.terms(consent)["version"] == 1
    assert alice.does(consent, "remove", remove=SUMMARY_BOX).status == 303  # the form of the answer is taken as ever


@pytest.mark.parametrize("remove", ["", "item:city-energy:energy.point", "nonsense"])
def test_removing_what_is_not_shared_changes_nothing(world: World, alice: Visitor, consent: str, remove: str) -> None:
    alice.does(consent, "remove", remove=remove)
    assert world.terms(consent)["version"] == 1


SAVINGS, CURRENT = "account:harbour-bank:ref-savings", "account:harbour-bank:ref-current"


@pytest.fixture
def both_accounts(world: World, alice: Visitor) -> str:
    """A sharing of two types of data, each of two accounts."""
    found = world.asks(alice, CLEAR_BUDGET, budget_details())
    alice.allows(found, **BANK | {"accounts:harbour-bank": ["ref-current", "ref-savings"]})
    return found


def accounts_of(world: World, consent: str) -> dict[str, list[str]]:
    return {item["dataset"]: item["accounts"] for item in world.terms(consent)["items"] if item["granted"]}


def test_one_account_is_removed_and_the_other_goes_on(world: World, alice: Visitor, both_accounts: str) -> None:
    boxes = alice.gets(f"/sharings/{both_accounts}").main.xpath(".//input[@name='remove']")
    offered = {box.get("value"): words(box.getparent()) for box in boxes if box.get("value").startswith("account:")}
    assert offered == {
        CURRENT: "Everything from Current account ***56 (Harbour Bank)",
        SAVINGS: "Everything from Savings ***78 (Harbour Bank)",
    }
    assert alice.does(both_accounts, "remove", remove=SAVINGS).location == f"/sharings/{both_accounts}"
    assert accounts_of(world, both_accounts) == {"bank.accounts": ["ref-current"], "bank.transactions": ["ref-current"]}
    assert world.terms(both_accounts)["version"] == 2 and world.consent(both_accounts).state == "active"
    page = alice.gets(f"/sharings/{both_accounts}")
    assert "You removed from the sharing with Clear Budget the data of 1 account." in page.text
    assert "Savings" not in words(page.main.xpath(".//section[@aria-labelledby='what']")[0])
    assert "account:" not in str(page.main.xpath(".//input[@name='remove']/@value")), (
        "the last one is not removed alone"
    )


def test_an_account_and_a_type_of_data_are_removed_at_once(world: World, alice: Visitor, both_accounts: str) -> None:
    alice.does(both_accounts, "remove", remove=[SAVINGS, "item:harbour-bank:bank.transactions"])
    assert accounts_of(world, both_accounts) == {"bank.accounts": ["ref-current"]}
    alice.language = "fr"
    told = alice.gets(f"/sharings/{both_accounts}").text.replace("\xa0", " ").replace("\u202f", " ")
    assert "Vous avez retiré du partage avec Clear Budget : opérations, et les données de 1 compte." in told


def test_without_any_account_the_sharing_has_ended(world: World, alice: Visitor, both_accounts: str) -> None:
    done = alice.does(both_accounts, "remove", remove=[SAVINGS, CURRENT])
    assert done.location == f"/sharings/{both_accounts}/stopped"
    assert world.consent(both_accounts).state == "ended"


@pytest.mark.parametrize("name", ["account:harbour-bank:ref-joint", "account:city-energy:ref-savings", "ref-savings"])
def test_an_account_that_is_not_shared_is_not_removed(
    world: World, alice: Visitor, both_accounts: str, name: str
) -> None:
    alice.does(both_accounts, "remove", remove=name)
    assert world.terms(both_accounts)["version"] == 1


def test_mallory_removes_no_account_of_alice(
    world: World, alice: Visitor, mallory: Visitor, both_accounts: str
) -> None:
    form = alice.gets(f"/sharings/{both_accounts}").form(f"/sharings/{both_accounts}/remove")
    for csrf in (form["csrf"], mallory.csrf):
        assert mallory.posts(f"/sharings/{both_accounts}/remove", {"csrf": csrf, "remove": SAVINGS}).status in (
            403,
            404,
        )
    assert world.terms(both_accounts)["version"] == 1


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_acts_on_what_has_ended_change_nothing(world: World, alice: Visitor, consent: str, act: str) -> None:
    alice.does(consent, "stop")
    events = world.events(consent)
    assert alice.does(consent, act, remove=SUMMARY_BOX).status == 303
    assert alice.does(consent, act).status == 303
    assert world.events(consent) == events


# ---- everything at once


def test_everything_is_paused_in_two_clicks_with_a_result(world: World, alice: Visitor, consent: str) -> None:
    other = world.asks(alice, SECOND_APP, energy_details(**TWO_TYPES))
    alice.allows(other)
    assert alice.gets("/sharings").main.xpath(".//a[.='Pause everything']/@href") == ["/sharings/pause-all"]
    asked = alice.gets("/sharings/pause-all")
    assert "Watt Coach: Electricity use and Statements and bills (City Energy)" in asked.text
    assert world.consent(consent).state == "active"
    done = alice.posts("/sharings/pause-all", asked.form("/sharings/pause-all"))
    page = alice.gets(done.location)
    assert page.h1 == "Everything has been paused"
    assert "Watt Coach: Paused" in page.text and "Second App: Paused" in page.text
    assert {world.consent(consent).state, world.consent(other).state} == {"paused"}


def test_everything_is_stopped_with_a_receipt_for_each(world: World, alice: Visitor, several: dict[str, str]) -> None:
    world.clock.passes(minutes=1)
    asked = alice.gets("/sharings/stop-all")
    done = alice.posts("/sharings/stop-all", asked.form("/sharings/stop-all"))
    page = alice.gets(done.location)
    receipts = set(page.main.xpath(".//li/a/@href"))
    assert receipts == {f"/sharings/{several[name]}/stopped" for name in ("watt", "budget")}
    assert {world.consent(one).state for one in several.values()} == {"ended"}


def test_stopping_everything_when_nothing_runs_says_so(alice: Visitor) -> None:
    assert "No sharing is active." in alice.gets("/sharings/stop-all").text
    done = alice.posts("/sharings/stop-all", {"csrf": alice.csrf()})
    assert "No sharing is active." in alice.gets(done.location).text


def test_everything_is_resumed_in_two_clicks(world: World, alice: Visitor, several: dict[str, str]) -> None:
    world.clock.passes(minutes=1)
    alice.posts("/sharings/pause-all", {"csrf": alice.csrf()})
    page = alice.gets("/sharings")
    assert page.main.xpath(".//a[.='Resume everything']/@href") == ["/sharings/resume-all"]
    assert not page.main.xpath(".//a[.='Pause everything']"), "nothing is left to pause"
    world.clock.passes(minutes=1)
    asked = alice.gets("/sharings/resume-all")
    assert "Watt Coach" in asked.text and "Clear Budget" in asked.text and "Second App" not in asked.text
    done = alice.posts("/sharings/resume-all", asked.form("/sharings/resume-all"))
    page = alice.gets(done.location)
    assert page.h1 == "Everything has been resumed"
    assert "Watt Coach: Active" in page.text and "Clear Budget: Active" in page.text
    assert [world.consent(several[name]).state for name in ("watt", "budget", "second")] == [
        "active",
        "active",
        "ended",
    ]


def test_what_is_done_to_everything_stands_above_the_list(
    world: World, alice: Visitor, several: dict[str, str]
) -> None:
    """Whoever goes through the page by keyboard or by ear meets it before two hundred sharings."""
    hrefs = [str(href) for href in alice.gets("/sharings").main.xpath(".//a/@href")]
    assert hrefs.index("/sharings/stop-all") < hrefs.index(f"/sharings/{several['watt']}")


@pytest.mark.parametrize(("act", "state"), [("pause", "paused"), ("stop", "ended")])
def test_everything_is_also_what_a_guardian_sees_of_her_child(
    world: World, alice: Visitor, chloe: Visitor, consent: str, act: str, state: str
) -> None:
    childs = world.asks(chloe)
    alice.answers(childs, "allow")
    world.clock.passes(minutes=1)
    asked = alice.gets(f"/sharings/{act}-all")
    assert "for Chloé Petit" in words(asked.main.xpath(".//ul")[0])
    done = alice.gets(alice.posts(f"/sharings/{act}-all", asked.form(f"/sharings/{act}-all")).location)
    assert "for Chloé Petit" in words(done.main.xpath(".//ul")[0])
    assert {world.consent(consent).state, world.consent(childs).state} == {state}
    with world.house.store.read() as session:
        assert {reading.events(session, one)[-1].actor for one in (consent, childs)} == {"person", "guardian"}


def test_a_child_does_not_resume_with_everything_what_her_guardian_paused(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    childs = world.asks(chloe)
    alice.answers(childs, "allow")
    world.clock.passes(minutes=1)
    alice.posts("/sharings/pause-all", {"csrf": alice.csrf()})
    world.clock.passes(minutes=1)
    assert "No sharing is paused." in chloe.gets("/sharings/resume-all").text
    chloe.posts("/sharings/resume-all", {"csrf": chloe.csrf()})
    assert world.consent(childs).state == "paused"
    alice.posts("/sharings/resume-all", {"csrf": alice.csrf()})
    assert world.consent(childs).state == "active"


@pytest.mark.parametrize("at", ["", "yesterday", "2026-04-01", "2026-04-01T00:00:00"])
def test_a_result_of_no_instant_is_no_page(alice: Visitor, at: str) -> None:
    assert alice.gets(f"/sharings/done?what=stop&at={at}").status == 404


# ---- asking for deletion


def test_deletion_is_asked_for_with_the_stop_by_a_box_that_is_not_ticked(
    world: World, alice: Visitor, consent: str
) -> None:
    stop = f"/sharings/{consent}/stop"
    page = alice.gets(stop)
    (box,) = page.main.xpath(".//input[@type='checkbox']")
    assert words(box.getparent()) == "Also ask Watt Coach to delete it"
    alice.posts(stop, {**page.form(stop), box.get("name"): box.get("value")})
    assert world.events(consent) == ["requested", "granted", "ended", "erasure_asked"]
    assert world.logged(alice)[:2] == ["erasure_asked", "consent_ended"]
    for path in ("", "/stopped"):
        page = alice.gets(f"/sharings/{consent}{path}")
        assert "Deletion was asked for on 1 April 2026" in page.text
        assert "cannot pass it on to Watt Coach yet" in page.text
        (letter,) = page.main.xpath(".//a[.='Send the request to Watt Coach']/@href")
        assert letter.startswith("mailto:delete@watt-coach.example?subject=Deletion")
        assert consent in letter and "article%2017" in letter
        assert not page.main.xpath(".//form[contains(@action,'/erasure')]")
    assert "stopped by you" in alice.gets(f"/sharings/{consent}").text
    assert "You asked for deletion." in alice.gets(f"/sharings/{consent}").text


def test_a_stop_alone_asks_for_no_deletion_and_it_can_be_asked_for_later(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "stop")
    assert "erasure_asked" not in world.events(consent)
    page = alice.gets(f"/sharings/{consent}")
    assert "Deletion was asked for" not in page.text
    action = f"/sharings/{consent}/erasure"
    for _ in range(2):
        assert alice.posts(action, page.form(action)).status == 303
    assert world.events(consent).count("erasure_asked") == 1
    assert world.logged(alice).count("erasure_asked") == 1


def test_deletion_is_not_asked_for_while_the_sharing_goes_on_nor_of_what_was_never_agreed(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "erasure")
    refused = world.asks(alice)
    alice.answers(refused, "refuse")
    alice.does(refused, "erasure")
    assert "erasure_asked" not in world.events(consent) + world.events(refused)


def test_mallory_asks_for_no_deletion_in_alices_name(
    world: World, alice: Visitor, mallory: Visitor, consent: str
) -> None:
    alice.does(consent, "stop")
    assert mallory.does(consent, "erasure").status == 404
    assert "erasure_asked" not in world.events(consent)


# ---- Mallory, strangers, guardians


@pytest.mark.parametrize("path", ["", "/stop", "/stopped", "/seen"])
def test_mallory_sees_nothing_of_alices(mallory: Visitor, consent: str, path: str) -> None:
    page = mallory.gets(f"/sharings/{consent}{path}")
    assert page.status == 404 and "Watt Coach" not in page.text


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_mallory_changes_nothing_of_alices(world: World, mallory: Visitor, consent: str, act: str) -> None:
    assert mallory.does(consent, act, remove=SUMMARY_BOX).status == 404
    assert world.consent(consent).generation == 2


def test_mallory_lists_and_stops_only_her_own(world: World, alice: Visitor, mallory: Visitor, consent: str) -> None:
    assert not cards(mallory.gets("/sharings"))
    mallory.posts("/sharings/stop-all", {"csrf": mallory.csrf()})
    mallory.posts("/sharings/pause-all", {"csrf": mallory.csrf()})
    assert world.consent(consent).state == "active"
    alice.does(consent, "pause")
    mallory.posts("/sharings/resume-all", {"csrf": mallory.csrf()})
    assert world.consent(consent).state == "paused"


def test_mallory_reads_no_result_of_alices(world: World, alice: Visitor, mallory: Visitor, consent: str) -> None:
    done = alice.posts("/sharings/stop-all", {"csrf": alice.csrf()})
    assert "Watt Coach" not in mallory.gets(done.location).text


@pytest.mark.parametrize("path", ["", "/stop-all", "/pause-all", "/resume-all", "/done", "/x", "/x/stop", "/x/seen"])
def test_a_stranger_is_sent_to_sign_in(world: World, path: str) -> None:
    assert Visitor(world, "nobody", "Nobody").gets(f"/sharings{path}").location.startswith("/sign-in?next=")


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove"])
def test_an_act_without_the_forms_token_is_none(world: World, alice: Visitor, consent: str, act: str) -> None:
    assert alice.posts(f"/sharings/{consent}/{act}", {"remove": SUMMARY_BOX}).status == 403
    assert world.consent(consent).generation == 2


@pytest.mark.parametrize("name", ["x", "a" * 43, "%00", "..%2f..%2fetc"])
def test_a_sharing_that_does_not_exist_is_not_found(alice: Visitor, name: str) -> None:
    assert alice.gets(f"/sharings/{name}").status in (404, 405)


def test_a_guardian_sees_and_stops_her_childs_sharing_and_the_child_does_too(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    consent = world.asks(chloe)
    alice.answers(consent, "allow")
    (card,) = cards(alice.gets("/sharings"))
    assert "for Chloé Petit" in words(card)
    assert named(chloe.gets("/sharings")) == ["Watt Coach"]
    alice.does(consent, "stop")
    assert "stopped by the guardian" in chloe.gets(f"/sharings/{consent}/stopped").text


def test_a_child_stops_what_her_guardian_agreed_to(world: World, alice: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    alice.answers(consent, "allow")
    chloe.does(consent, "stop")
    assert "stopped by Chloé Petit" in alice.gets(f"/sharings/{consent}/stopped").text
    assert "stopped by you" in chloe.gets(f"/sharings/{consent}/stopped").text


def test_a_guardian_of_somebody_grown_up_sees_nothing_more(world: World, alice: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    alice.answers(consent, "allow")
    world.rooms.people["chloe"] = replace(world.rooms.people["chloe"], minor=False)
    assert not cards(alice.gets("/sharings"))
    assert alice.gets(f"/sharings/{consent}").status == 404
