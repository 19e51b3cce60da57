"""Marks on the screen are kept for whoever made them while she signs in again, for nobody else (WCAG 2.2, 3.3.7)."""

from dataclasses import replace
from urllib.parse import quote

from tests.worlds.consent import CLEAR_BUDGET, Page, Visitor, World, authorize

TRANSACTIONS = "item:harbour-bank:bank.transactions"
MARKS = {TRANSACTIONS: "yes", "accounts:harbour-bank": ["ref-savings"], "duration": "d90"}
MARKED = ["yes", "ref-savings", "d90"]


def marked(page: Page) -> list[str]:
    return list(page.main.xpath(".//input[@checked]/@value"))


def sent_after_the_end(world: World, visitor: Visitor, consent: str, **fields: object) -> Page:
    """She opens the screen, her sign-in ends, she presses Allow; later she signs in again."""
    page = visitor.sees(consent)
    del world.visitors[visitor.id]
    answer = visitor.answers(consent, "allow", page, **fields)
    world.visitors[visitor.id] = visitor
    return answer


def test_signing_in_again_from_the_screen_itself_keeps_the_request_and_her_marks(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    world.clock.passes(minutes=11)
    page = alice.sees(consent)
    (button,) = page.main.xpath(".//button[@value='sign-in']")
    answer = alice.answers(consent, button.get("value"), page, **MARKS)
    assert answer.location == f"/sign-in?again=1&next={quote(authorize(consent), safe='')}&why=sensitive"
    alice.signed_in_at = world.clock()
    assert marked(alice.sees(consent)) == MARKED
    assert world.consent(consent).state == "requested"


def test_the_button_is_there_only_when_she_signed_in_a_while_ago(world: World, alice: Visitor) -> None:
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    assert not page.main.xpath(".//button[@value='sign-in']")


def test_a_childs_marks_are_not_offered_to_her_guardian(world: World, alice: Visitor, chloe: Visitor) -> None:
    consent = world.asks(chloe)
    marks = {"item:city-energy:energy.point": "yes", "duration": "d90"}
    sent_after_the_end(world, chloe, consent, **marks)
    assert world.consent(consent).draft
    assert marked(alice.sees(consent)) == ["d30"]


def test_a_guardians_marks_are_hers_again_and_not_the_childs_once_of_age(
    world: World, alice: Visitor, chloe: Visitor
) -> None:
    consent = world.asks(chloe)
    sent_after_the_end(world, alice, consent, duration="d90")
    assert marked(alice.sees(consent)) == ["d90"]
    world.rooms.people["chloe"] = replace(world.rooms.people["chloe"], minor=False)
    assert marked(chloe.sees(consent)) == ["d30"]


def test_mallory_signed_in_on_the_same_browser_answers_nothing_of_alices(
    world: World, alice: Visitor, mallory: Visitor
) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    answer = mallory.answers(consent, "allow", page, **MARKS)
    assert answer.status == 403 and CLEAR_BUDGET.name["en"] not in answer.text
    assert world.consent(consent).state == "requested"


def test_a_page_that_was_answered_meanwhile_leads_on_to_its_answer(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    alice.answers(consent, "refuse")
    answer = alice.answers(consent, "allow", page, csrf="of another sign-in")
    assert (answer.status, answer.location) == (303, authorize(consent))
    assert world.consent(consent).state == "refused"


# ---- a linked organisation from which nothing can be shared


def test_a_box_of_an_organisation_where_no_account_is_available_cannot_be_ticked(world: World, alice: Visitor) -> None:
    world.rooms.held["meadow-health"] = [replace(one, available=False) for one in world.rooms.held["meadow-health"]]
    consent = world.asks(alice, CLEAR_BUDGET)
    page = alice.sees(consent)
    [box] = page.tree.xpath("//input[@name='item:meadow-health:health.claims']")
    assert box.get("disabled") is not None
    assert "link it first" not in page.text, "it is linked; that would not help"
    claims = {"item:meadow-health:health.claims": "yes", "accounts:meadow-health": ["ref-self"]}
    assert alice.answers(consent, "allow", page, **{**MARKS, **claims}).location == authorize(consent)
    granted = [item["dataset"] for item in world.terms(consent)["items"] if item["granted"]]
    assert granted == ["bank.accounts", "bank.transactions"]


def test_so_it_is_where_she_has_no_account_at_all(world: World, alice: Visitor) -> None:
    world.rooms.held["meadow-health"] = []
    page = alice.sees(world.asks(alice, CLEAR_BUDGET))
    [box] = page.tree.xpath("//input[@name='item:meadow-health:health.claims']")
    assert box.get("disabled") is not None
