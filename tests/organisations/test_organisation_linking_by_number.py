"""Linking by customer number and one-time code, through the doors, with Harbour Bank as a real process."""

import re

import pytest
from organisations_world import Browser, Running, World

from gateway.ground.keys import hashed
from gateway.organisations import links
from tests.databases import everything

WHO = "HB-2001"


def test_alice_links_her_bank_and_sees_her_accounts(world: World, bank: Running, alice: Browser) -> None:
    page = alice.get("/organisations")
    assert "You have not linked any organisation yet" in page.text
    assert 'href="/organisations/harbour-bank/link"' in page.text
    done = alice.links_by_number(bank, WHO)
    assert (done.status_code, done.headers["location"]) == (303, "/organisations")
    page = alice.get("/organisations")
    assert "Linked since" in page.text
    assert "••• 001" in page.text and WHO not in page.text
    assert "••••" in page.text  # the last digits of an account
    assert "No data has been shared or downloaded from here yet" in page.text


def test_linking_is_written_into_her_log_without_any_number(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, WHO)
    (event,) = world.events(alice)
    assert (event.kind, event.actor) == ("linked", "person")
    assert event.facts["organisation"] == "harbour-bank"
    assert WHO.encode() not in event.payload


def test_what_is_kept_is_sealed(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, WHO)
    found = world.link(alice, "harbour-bank")
    assert found and found.accounts_sealed
    with world.house.store.read() as session:
        accounts = links.found_accounts(session, world.house.keys, alice.person, "harbour-bank")
    assert len(accounts) == 2
    database = everything(world.house.store)
    for secret in (WHO, *(account.native for account in accounts)):
        assert secret.encode() not in database


def test_the_hot_path_reads_the_same_link_from_a_bare_connection(
    world: World, bank: Running, alice: Browser, mallory: Browser
) -> None:
    alice.links_by_number(bank, WHO)
    connection = world.house.store.connect()
    found = links.for_call(connection, world.house.keys, alice.person, "harbour-bank")
    assert found and found.kind == "assertion" and found.access_token is None
    assert found.subject == world.house.keys.pairwise(alice.person, "harbour-bank")
    assert len(found.accounts) == 2
    assert links.for_call(connection, world.house.keys, mallory.person, "harbour-bank") is None
    connection.close()


def test_the_page_explains_what_linking_does_and_does_not_do(world: World, bank: Running, alice: Browser) -> None:
    english = alice.get("/organisations/harbour-bank/link").text
    assert "It shares nothing with any app: sharing is a separate question" in english
    assert "Customer number" in english
    alice.language = "fr"
    french = alice.get("/organisations/harbour-bank/link").text
    assert "Numéro de client" in french and "Banque du Port" in french
    assert not world.connector.calls  # looking at a page asks nobody


@pytest.mark.parametrize("number", ["", "  ", "x", "<script>", "a" * 60, "HB\r\n2001"])
def test_a_number_of_no_possible_form_is_told_on_the_page(
    world: World, bank: Running, alice: Browser, number: str
) -> None:
    page = alice.post("/organisations/harbour-bank/link", {"customer_number": number})
    assert page.status_code == 400
    assert "<title>Error: " in page.text and 'href="#customer_number"' in page.text
    assert "<script>" not in page.text
    assert not world.connector.calls


def test_an_unknown_number_looks_exactly_like_a_known_one(world: World, bank: Running, alice: Browser) -> None:
    texts = []
    for number in (WHO, "ZZ-2001"):
        attempt = alice.starts("harbour-bank", number)
        pages = [alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}")]
        pages += [alice.tries("harbour-bank", attempt, "000000") for _ in range(5)]
        texts.append([(page.status_code, page.text.replace(attempt, "")) for page in pages])
    assert texts[0] == texts[1]
    assert "If Harbour Bank knows the number ••• 001" in texts[0][0][1]


def test_the_fifth_wrong_code_ends_the_attempt_even_for_the_right_code(
    world: World, bank: Running, alice: Browser
) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    right = bank.newest_code(WHO)
    wrong = "111111" if right != "111111" else "222222"
    for left in ("4 tries are left", "3 tries are left", "2 tries are left", "One try is left"):
        page = alice.tries("harbour-bank", attempt, wrong)
        assert (page.status_code, left in page.text) == (400, True)
    assert "wrong too many times" in alice.tries("harbour-bank", attempt, wrong).text
    page = alice.tries("harbour-bank", attempt, right)
    assert page.status_code == 403 and "wrong too many times" in page.text
    assert world.link(alice, "harbour-bank") is None


def test_a_right_code_after_a_wrong_one_links(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    right = bank.newest_code(WHO)
    assert alice.tries("harbour-bank", attempt, "12345").status_code == 400  # five digits are no try
    assert alice.tries("harbour-bank", attempt, "000000" if right != "000000" else "000001").status_code == 400
    assert alice.tries("harbour-bank", attempt, f"{right[:3]} {right[3:]}").status_code == 303
    assert world.link(alice, "harbour-bank")


def test_an_attempt_expires(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    world.passes(minutes=11)
    page = alice.tries("harbour-bank", attempt, bank.newest_code(WHO))
    assert page.status_code == 410 and "has expired" in page.text
    assert alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}").status_code == 410


def test_a_second_click_finds_the_work_done(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO, next="/authorize?request_uri=urn%3Ax")
    code = bank.newest_code(WHO)
    first, second = (alice.tries("harbour-bank", attempt, code) for _ in range(2))
    assert first.headers["location"] == second.headers["location"] == "/authorize?request_uri=urn%3Ax"
    assert [event.kind for event in world.events(alice)] == ["linked"]


def test_mallory_cannot_use_alices_attempt(world: World, bank: Running, alice: Browser, mallory: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    code = bank.newest_code(WHO)
    assert mallory.get(f"/organisations/harbour-bank/link/code?attempt={attempt}").status_code == 404
    assert mallory.tries("harbour-bank", attempt, code).status_code == 404
    assert world.link(mallory, "harbour-bank") is None
    assert alice.tries("harbour-bank", attempt, code).status_code == 303  # and nothing of hers was used up


def test_an_attempt_at_one_organisation_is_nothing_at_another(
    world: World, bank: Running, energy: Running, alice: Browser
) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    assert alice.get(f"/organisations/city-energy/link/code?attempt={attempt}").status_code == 404
    assert alice.get("/organisations/harbour-bank/linked?state=x&code=y").status_code == 404


@pytest.mark.parametrize(
    "foreign", ["//evil.example", "/\\evil.example", "https:evil", "https://evil.example", "javascript:x()", "%0d%0a"]
)
def test_a_foreign_next_leads_nowhere_but_home(world: World, bank: Running, alice: Browser, foreign: str) -> None:
    page = alice.request("GET", "/organisations/harbour-bank/link", params={"next": foreign})
    assert 'name="next" value="/organisations"' in page.text
    attempt = alice.starts("harbour-bank", WHO, next=foreign)
    done = alice.tries("harbour-bank", attempt, bank.newest_code(WHO))
    assert done.headers["location"] == "/organisations"


def test_starting_is_throttled(world: World, bank: Running, alice: Browser, mallory: Browser) -> None:
    for _ in range(5):
        mallory.starts("harbour-bank", "ZZ-0001")
    refused = mallory.post("/organisations/harbour-bank/link", {"customer_number": "ZZ-0001"})
    assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 60
    alice.starts("harbour-bank", "ZZ-0001")  # nobody else pays for it


@pytest.mark.parametrize("mode", ["down", "html", "oversized"])
def test_an_organisation_in_trouble_is_told_and_nothing_is_begun(
    world: World, bank: Running, alice: Browser, mode: str
) -> None:
    bank.fault(mode, prefix="/aval/")
    page = alice.post("/organisations/harbour-bank/link", {"customer_number": WHO})
    assert page.status_code == 502, page.text
    assert "Harbour Bank" in page.text and "localhost" not in re.sub(r'href="[^"]*"', "", page.text)


def test_a_slow_organisation_is_not_waited_for(world: World, bank: Running, alice: Browser) -> None:
    world.add(bank, timeout_seconds=1)
    bank.fault("slow", prefix="/aval/", seconds=3)
    page = alice.post("/organisations/harbour-bank/link", {"customer_number": WHO})
    assert page.status_code == 504 and "did not answer in time" in page.text


def test_a_code_that_was_not_looked_at_is_no_try(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    code = bank.newest_code(WHO)
    bank.fault("down", prefix="/aval/")
    assert [alice.tries("harbour-bank", attempt, code).status_code for _ in range(6)] == [502] * 6
    bank.fault("none")
    assert alice.tries("harbour-bank", attempt, code).status_code == 303


def test_accounts_that_cannot_be_read_leave_a_link_that_says_so(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO, next="/authorize?x=1")
    code = bank.newest_code(WHO)
    bank.fault("html")
    page = alice.tries("harbour-bank", attempt, code)
    assert page.status_code == 200 and "could not be read yet" in page.text
    assert 'href="/authorize?x=1"' in page.text
    assert "Not read yet" in alice.get("/organisations").text
    bank.fault("none")
    again = alice.post("/organisations/harbour-bank/refresh", {"next": "/authorize?x=1"})
    assert again.headers["location"] == "/authorize?x=1"
    found = world.link(alice, "harbour-bank")
    assert found and len(links.accounts_of(world.house.keys, found)) == 2


def test_reading_the_same_accounts_again_changes_nothing(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, WHO)
    before = world.link(alice, "harbour-bank")
    assert alice.post("/organisations/harbour-bank/refresh").status_code == 303
    after = world.link(alice, "harbour-bank")
    assert before and after and before.generation == after.generation


def test_linking_again_keeps_one_link(world: World, bank: Running, alice: Browser) -> None:
    first, second = alice.starts("harbour-bank", WHO), None
    alice.tries("harbour-bank", first, bank.newest_code(WHO))
    assert alice.get("/organisations/harbour-bank/link").headers["location"] == "/organisations"
    second = alice.post("/organisations/harbour-bank/link", {"customer_number": WHO})
    assert second.headers["location"] == "/organisations"


def test_the_attempt_in_the_database_is_a_hash(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    database = everything(world.house.store)
    assert hashed(attempt).encode() in database
    assert attempt.encode() not in database and WHO.encode() not in database


def names_for(world: World, browser: Browser, app: str = "budget") -> list[str]:
    """How an app would know her accounts."""
    with world.house.store.read() as session:
        found = links.known_to(session, world.house.keys, app, browser.person, "harbour-bank")
    return [ref for ref, _ in found]


def test_the_same_customer_linked_again_has_the_same_accounts_for_an_app_and_another_customer_others(
    world: World, bank: Running, alice: Browser
) -> None:
    before = []
    for number in (WHO, "HB-2002", f" {WHO} "):
        attempt = alice.starts("harbour-bank", number)
        assert alice.tries("harbour-bank", attempt, bank.newest_code(number.strip())).status_code == 303
        before.append(names_for(world, alice))
        assert alice.post("/organisations/harbour-bank/unlink").status_code == 200
        assert names_for(world, alice) == []
    assert before[0] and before[0] == before[2]
    assert before[1] and not set(before[1]) & set(before[0])


def test_the_customer_number_is_kept_nowhere_but_as_a_keyed_mark(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, WHO)
    stored = everything(world.house.store)
    assert WHO.encode() not in stored
    found = world.link(alice, "harbour-bank")
    assert found and WHO not in str(world.house.keys.open(found.accounts_sealed or b"", f"link:{found.id}:accounts"))


def test_an_attempt_ends_nowhere_while_another_of_hers_has_linked(world: World, bank: Running, alice: Browser) -> None:
    """The organisation knows her by one name: what it ties to that name last would silently be read from then on."""
    second, first = alice.starts("harbour-bank", "HB-2002"), alice.starts("harbour-bank", WHO)
    assert alice.tries("harbour-bank", first, bank.newest_code(WHO)).status_code == 303
    before = names_for(world, alice)
    world.connector.calls.clear()
    late = alice.tries("harbour-bank", second, bank.newest_code("HB-2002"))
    assert (late.status_code, late.headers["location"]) == (303, "/organisations")
    assert not world.connector.calls and names_for(world, alice) == before
