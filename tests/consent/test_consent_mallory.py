"""What somebody with a form, an address or an old page could try at the consent doors, and what a child could."""

from dataclasses import replace

import pytest

from gateway.consent import deciding
from gateway.consent.actors import OPERATOR
from tests.worlds.consent import SUMMARY_BOX, Visitor, World, authorize, words


@pytest.fixture
def childs(world: World, alice: Visitor, chloe: Visitor) -> str:
    """Watt Coach may read Chloé's data: Alice, her guardian, agreed."""
    found = world.asks(chloe)
    alice.allows(found, **{SUMMARY_BOX: "yes"})
    return found


# ---- pages that are old


def test_two_tabs_of_one_request_make_one_agreement_and_the_first_answer_stands(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    first, second = alice.sees(consent), alice.sees(consent)
    alice.answers(consent, "refuse", first)
    answer = alice.answers(consent, "allow", second)
    assert answer.location == authorize(consent)
    assert world.events(consent) == ["requested", "refused"]


def test_a_tab_in_another_language_is_answered_as_it_was_read(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    english = alice.sees(consent)
    alice.language = "fr"
    assert alice.sees(consent).h1.startswith("Watt Coach demande")
    assert alice.answers(consent, "allow", english).status == 303
    assert world.evidence(consent).language == world.terms(consent)["notice"]["language"] == "en"


def test_two_requests_for_one_purpose_leave_one_sharing(world: World, alice: Visitor) -> None:
    first, second = world.asks(alice), world.asks(alice)
    pages = alice.sees(first), alice.sees(second)
    alice.answers(first, "allow", pages[0])
    again = alice.answers(second, "allow", pages[1])
    assert again.status == 422  # a sharing runs by now: she reads that this one would replace it
    assert "If you allow, this one replaces it." in again.text
    alice.answers(second, "allow", again)
    assert (world.consent(first).reason, world.consent(second).state) == ("replaced", "active")


def test_an_old_tab_of_what_can_be_removed_brings_nothing_back(world: World, alice: Visitor, consent: str) -> None:
    old = alice.gets(f"/sharings/{consent}").form(f"/sharings/{consent}/remove")
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    alice.posts(f"/sharings/{consent}/remove", old)
    alice.posts(f"/sharings/{consent}/remove", {**old, "remove": SUMMARY_BOX})
    assert world.terms(consent)["version"] == 2


def test_resuming_from_an_old_tab_revives_nothing_that_ended(world: World, alice: Visitor, consent: str) -> None:
    alice.does(consent, "pause")
    alice.does(consent, "stop")
    alice.does(consent, "resume")
    assert (world.consent(consent).state, world.events(consent)[-1]) == ("ended", "ended")
    assert world.consent(consent).generation == 4


def test_a_paused_sharing_whose_end_date_has_passed_cannot_be_resumed(
    world: World, alice: Visitor, consent: str
) -> None:
    alice.does(consent, "pause")
    world.clock.passes(days=31)
    alice.does(consent, "resume")
    assert world.consent(consent).state == "paused"
    assert "end date reached" in alice.gets(f"/sharings/{consent}").text


def test_a_word_of_what_was_seen_is_good_for_one_person(world: World, alice: Visitor, chloe: Visitor) -> None:
    """Guardian and child open the same request; what the child saw is not what the guardian answers."""
    consent = world.asks(chloe)
    childs = chloe.sees(consent).form(f"/consent/{consent}")["seen"]
    alice.answers(consent, "allow", seen=childs)
    assert world.consent(consent).state == "requested"


# ---- other people's children


@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_mallory_with_a_child_of_her_own_decides_nothing_for_alices(
    world: World, alice: Visitor, mallory: Visitor, chloe: Visitor, decision: str
) -> None:
    world.rooms.people["theo"] = replace(world.rooms.people["chloe"], id="theo", name="Théo", guardian_id="mallory")
    consent = world.asks(chloe)
    sent = alice.sees(consent).form(f"/consent/{consent}")
    answer = mallory.posts(f"/consent/{consent}", {**sent, "csrf": mallory.csrf(), "decision": decision})
    assert answer.status == 404 and world.consent(consent).state == "requested"


def test_a_guardian_no_more_cannot_answer_the_page_she_still_has_open(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    consent = world.asks(chloe)
    page = alice.sees(consent)
    world.rooms.people["chloe"] = replace(world.rooms.people["chloe"], guardian_id="mallory")
    assert alice.answers(consent, "allow", page).status == 404
    assert world.consent(consent).state == "requested"


@pytest.mark.parametrize("path", ["", "/stop", "/seen", "/receipt/1.json"])
def test_mallory_sees_nothing_of_alices_child(mallory: Visitor, childs: str, path: str) -> None:
    assert mallory.gets(f"/sharings/{childs}{path}").status == 404


@pytest.mark.parametrize("act", ["stop", "pause", "resume", "remove", "erasure"])
def test_mallory_changes_nothing_of_alices_child(world: World, mallory: Visitor, childs: str, act: str) -> None:
    assert mallory.does(childs, act, remove=SUMMARY_BOX).status == 404
    assert world.consent(childs).generation == 2


# ---- what a child may do: less, never more


def test_a_child_does_not_resume_what_her_guardian_paused(
    world: World, alice: Visitor, chloe: Visitor, childs: str
) -> None:
    alice.does(childs, "pause")
    page = chloe.gets(f"/sharings/{childs}")
    assert not page.main.xpath(".//form[contains(@action, '/resume')]")
    assert "Your guardian paused it, and only your guardian can resume it." in page.text
    chloe.does(childs, "remove", remove=SUMMARY_BOX)  # less is always possible
    chloe.does(childs, "resume")
    assert world.consent(childs).state == "paused"
    assert alice.gets(f"/sharings/{childs}").main.xpath(".//form[contains(@action, '/resume')]")
    alice.does(childs, "resume")
    assert world.consent(childs).state == "active"


def test_a_child_does_not_resume_what_was_paused_after_a_copy_was_put_back_and_her_guardian_does(
    world: World, alice: Visitor, chloe: Visitor, childs: str
) -> None:
    """Her guardian may have stopped it in what is missing."""
    assert deciding.pause_all(world.house.store, world.house.log, OPERATOR, "restored", world.house.clock()) >= 1
    page = chloe.gets(f"/sharings/{childs}")
    assert not page.main.xpath(".//form[contains(@action, '/resume')]")
    assert "an earlier copy of our records had to be put back" in page.text
    assert "Only your guardian can resume it." in page.text
    chloe.does(childs, "resume")
    assert world.consent(childs).state == "paused"
    alice.does(childs, "resume")
    assert world.consent(childs).state == "active"


def test_a_child_resumes_what_she_paused_herself(world: World, chloe: Visitor, childs: str) -> None:
    chloe.does(childs, "pause")
    chloe.does(childs, "resume")
    assert world.consent(childs).state == "active"


def test_once_of_age_she_resumes_what_was_paused_for_her(
    world: World, alice: Visitor, chloe: Visitor, childs: str
) -> None:
    alice.does(childs, "pause")
    world.rooms.people["chloe"] = replace(world.rooms.people["chloe"], minor=False)
    chloe.does(childs, "resume")
    assert world.consent(childs).state == "active"


# ---- what a guardian reads


def test_a_guardian_is_told_whose_words_she_reads_and_sent_to_no_empty_log(
    world: World, alice: Visitor, chloe: Visitor, childs: str
) -> None:
    chloe.does(childs, "pause")
    page = alice.gets(f"/sharings/{childs}")
    assert "You paused the sharing." in page.text  # Chloé did
    (log,) = page.main.xpath(".//section[@aria-labelledby='log']")
    (history,) = page.main.xpath(".//section[@aria-labelledby='history']")
    assert "As Chloé Petit reads it:" in words(log) and "As Chloé Petit reads it:" in words(history)
    assert not page.main.xpath(".//a[starts-with(@href, '/log')]")
    own = chloe.gets(f"/sharings/{childs}")
    assert "reads it:" not in own.text and own.main.xpath(".//a[starts-with(@href, '/log')]")
