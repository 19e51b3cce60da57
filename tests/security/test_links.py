"""Whose accounts: a link made anew, an organisation that moves, codes that are guessed, a person who comes of age."""

import threading
import time
from datetime import date
from typing import Any

import pytest
from security_world import (
    BASE,
    BATCH,
    ENERGY,
    ESPI_BASE,
    METER_APP,
    World,
    detail,
    energy_batch,
    energy_reply,
    moves_in,
    settle,
    settle_energy,
    transactions,
    with_alice,
)

from gateway.errors import DeclarationError
from gateway.organisations import links, telling
from gateway.people.tables import Person

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def test_a_link_with_other_accounts_gives_an_old_agreement_none_of_them(world: World) -> None:
    bank, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    subject = world.link(alice, "harbour-bank", ["native-other-1", "native-other-2"], "••• 999")
    bank.customer(subject, ["native-other-1", "native-other-2"], "bobs-word")
    for path in (transactions(ref), f"/data/harbour-bank{BASE}/transactions", f"/data/harbour-bank{BASE}/accounts"):
        answer = world.read(body["access_token"], path)
        assert "bobs-word" not in answer.text and "AccountId" not in answer.text


def test_an_agreement_whose_accounts_are_all_gone_is_told_so(world: World) -> None:
    bank, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)], duration="once")
    subject = world.link(alice, "harbour-bank", ["native-other-1"], "••• 999")
    bank.customer(subject, ["native-other-1"], "bobs-word")
    answer = world.read(body["access_token"], f"/data/harbour-bank{BASE}/transactions")
    assert (answer.status_code, answer.json().get("reason")) == (403, "account")
    assert world.rows("SELECT state FROM consent") == [("active",)]  # not used up by nothing
    assert not [path for _, _, path in world.organisations.asked if path.endswith("/transactions")]
    told = world.log(alice)[-1]
    assert (told["event"], told["reason"], told["term"]) == ("denied", "account", "accounts")
    moves_in(world, bank, alice)  # back at the old accounts: her one use is still there
    assert world.read(body["access_token"], f"/data/harbour-bank{BASE}/transactions").status_code == 200


@pytest.mark.parametrize("organisation", ["harbour-bank", "city-energy"])
def test_a_link_with_another_customer_number_does_not_slip_under_an_old_agreement(
    world: World, organisation: str
) -> None:
    """Organisations that number each customer's accounts 1, 2, … : the same number is another account."""
    alice, body, path = numbered(world, organisation)
    assert world.read(body["access_token"], path).status_code == 200
    world.link(alice, organisation, ["1"], "••• 999", number="999")
    refused = world.read(body["access_token"], path)
    assert (refused.status_code, refused.json()["reason"]) == (403, "account")
    told = "you agreed to them for accounts that are not among these"
    page = world.browser(alice).get("/organisations").text
    assert told in page and f'/sharings/{body["grant_id"]}"' in page
    world.link(alice, organisation, ["1"], "••• 001", number="001")  # linked again as the same customer
    assert world.read(body["access_token"], path).status_code == 200
    assert told not in world.browser(alice).get("/organisations").text


def numbered(world: World, organisation: str) -> tuple[str, dict[str, Any], str]:
    """Alice, customer 001, with an account "1" that an app may read: (she, token response, path)."""
    if organisation == "city-energy":
        world.organisations.responders[organisation] = lambda *_: (200, "application/atom+xml", energy_batch("1"))
        world.app("meter", METER_APP, purposes=["energy-advice"])
        app, details = "meter", [detail(organisation, ENERGY, "energy-advice")]
    else:
        bank = settle(world)
        app, details = "budget", [detail(organisation, ALL)]
    alice = world.person("Alice")
    subject = world.link(alice, organisation, ["1"], "••• 001", number="001")
    if organisation == "harbour-bank":
        bank.customer(subject, ["1"], "her own")
    body = world.agreed(world.browser(alice), app, details)
    ref = body["authorization_details"][0]["accounts"][0]
    return alice, body, f"/data/city-energy{BATCH}" if app == "meter" else transactions(ref)


def test_a_reference_tells_the_app_nothing_of_the_customer(world: World) -> None:
    """The same account has another name for another app, and for another customer; none is found in another."""
    keys = world.house.keys
    names = {
        links.reference(keys, app, person, "harbour-bank", native, links.whose(keys, "harbour-bank", number))
        for app in ("budget", "meter")
        for person in ("alice", "bob")
        for native in ("1", "11")
        for number in ("", "1", "11")
    }
    assert len(names) == 24 and all(len(name) == links.REF_LENGTH for name in names)
    assert links.whose(keys, "harbour-bank", "1") != links.whose(keys, "city-energy", "1")


def test_the_organisations_own_names_never_reach_an_app(world: World) -> None:
    """Subscription and usage point are the organisation's; outside they are `mine` and a reference."""
    subscription, point = "subscription-4711", "point-0815"
    world.organisations.responders["city-energy"] = lambda *_: (
        200,
        "application/atom+xml",
        energy_batch(point, subscription),
    )
    world.app("meter", METER_APP, purposes=["energy-advice"])
    alice = world.person("Alice")
    world.link(alice, "city-energy", [point], number=subscription)
    body = world.agreed(world.browser(alice), "meter", [detail("city-energy", ENERGY, "energy-advice")])
    ref = body["authorization_details"][0]["accounts"][0]
    told = [str(body)]
    world.organisations.asked.clear()
    for path in (
        BATCH,
        f"{ESPI_BASE}/Batch/Subscription/somebody-elses",
        f"{ESPI_BASE}/Subscription/mine/UsagePoint",
        f"{ESPI_BASE}/Subscription/mine/UsagePoint/{ref}/MeterReading",
        f"{ESPI_BASE}/Subscription/mine/UsagePoint/{point}",
        f"{ESPI_BASE}/Subscription/{subscription}/UsagePoint/{ref}/Nothing",
    ):
        answer = world.read(body["access_token"], f"/data/city-energy{path}")
        own_words = path.endswith((point, "Nothing"))  # a refusal says back what the app itself wrote
        told += [] if own_words else [answer.text + str(dict(answer.headers))]
        assert answer.status_code == (403 if own_words else 200), path
    asked = [path for _, _, path in world.organisations.asked]
    assert len(asked) == 4 and all(f"/Subscription/{subscription}" in path for path in asked)
    assert "somebody-elses" not in str(asked)
    introspected = world.oauth("/introspect", {"token": body["access_token"]}, "meter")
    told += [introspected.text, str([entry for entry in world.log(alice) if entry["event"] != "denied"])]
    assert not [text for text in told if subscription in text or point in text]


def test_nobody_is_offered_to_go_on_with_an_agreement_whose_accounts_are_gone(world: World) -> None:
    _, alice = with_alice(world)
    browser = world.browser(alice)
    world.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    assert "/authorize/continue" in browser.get(world.request("budget", [detail("harbour-bank", ALL)])).text
    world.link(alice, "harbour-bank", ["native-other-1"], "••• 999")
    assert "/authorize/continue" not in browser.get(world.request("budget", [detail("harbour-bank", ALL)])).text


def test_while_nothing_is_linked_nothing_is_read_and_linking_again_goes_on(world: World) -> None:
    bank, alice = with_alice(world)
    browser = world.browser(alice)
    body = world.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    world.organisations.responders["harbour-bank"] = lambda *_: (204, "application/json", b"")
    assert browser.post("/organisations/harbour-bank/unlink").status_code == 200
    world.organisations.responders["harbour-bank"] = bank
    assert world.read(body["access_token"], transactions(ref)).json()["reason"] == "not_linked"
    moves_in(world, bank, alice)
    assert world.read(body["access_token"], transactions(ref)).status_code == 200


def test_a_read_that_is_out_while_she_unlinks_gives_nothing(world: World) -> None:
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]

    def unlinks() -> None:
        with world.house.store.write() as session:
            link = links.current(session, alice, "harbour-bank")
            assert link is not None and links.end(session, link.id, world.clock.now)

    world.organisations.during = unlinks
    assert world.read(body["access_token"], transactions(ref)).json()["reason"] == "not_linked"


def test_codes_of_one_customer_cannot_be_guessed_from_many_accounts(world: World) -> None:
    tries = []

    def organisation(_subject: str, path: str, _query: str) -> tuple[int, str, bytes]:
        tries.append(path)
        return (202, "application/json", b'{"sent_to": "***56"}') if path.endswith("/start") else (403, "x/x", b"")

    world.organisations.responders["harbour-bank"] = organisation
    for number in range(20):  # accounts that Mallory opened
        mallory = world.browser(world.person(f"Mallory{number}"))
        for _ in range(3):
            answer = mallory.post("/organisations/harbour-bank/link", {"customer_number": "HB-2001"})
            if answer.status_code == 303:
                attempt = answer.headers["location"].partition("attempt=")[2]
                for code in ("000001", "000002", "000003"):
                    mallory.post("/organisations/harbour-bank/link/code", {"attempt": attempt, "code": code})
    assert len([path for path in tries if path.endswith("/start")]) <= 20  # messages to one phone
    assert len([path for path in tries if path.endswith("/confirm")]) <= 100


def test_two_codes_at_once_link_one_customer_and_no_mixture(world: World) -> None:
    """The organisation ties the last customer to her name: what we keep has to be of that one."""
    tied: list[str] = []

    def organisation(_subject: str, path: str, _query: str) -> tuple[int, str, bytes]:
        if path.endswith("/confirm"):
            tied.append(path)
            time.sleep(0.05)
        body = b'{"sent_to": "***56"}' if path.endswith("/start") else b'{"linked": true}'
        return 202 if path.endswith("/start") else 200, "application/json", body

    world.organisations.responders["harbour-bank"] = organisation
    alice = world.person("Alice")
    attempts = []
    for number in ("HB-2001", "HB-2002"):
        begun = world.browser(alice).post("/organisations/harbour-bank/link", {"customer_number": number})
        attempts.append(begun.headers["location"].partition("attempt=")[2])
    statuses: list[int] = []

    def tries(attempt: str) -> None:
        form = {"attempt": attempt, "code": "123456"}
        statuses.append(world.browser(alice).post("/organisations/harbour-bank/link/code", form).status_code)

    older, newer = attempts  # only the newer can link; its button is clicked twice
    threads = [threading.Thread(target=tries, args=(attempt,)) for attempt in (older, newer, newer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tied) == 1 and len(statuses) == 3 and sum(status < 400 for status in statuses) >= 2
    assert len([entry for entry in world.log(alice) if entry["event"] == "linked"]) == 1


@pytest.mark.parametrize("known", [True, False])
def test_tries_are_counted_for_known_and_unknown_numbers_alike_however_they_are_spelled(
    world: World, known: bool
) -> None:
    answers = (202, "application/json", b'{"sent_to": "***56"}') if known else (404, "application/json", b"{}")
    world.organisations.responders["harbour-bank"] = lambda *_: answers
    statuses = []
    for spelled in ("HB-2001", "hb-2001", "HB 2001", "hb2001", "H.B/2001", "HB_20-01"):
        mallory = world.browser(world.person("Mallory"))
        for _ in range(2):
            answer = mallory.post("/organisations/harbour-bank/link", {"customer_number": spelled})
            statuses.append((answer.status_code, answer.headers.get("retry-after")))
    assert statuses == [(303, None)] * 10 + [(429, "3600")] * 2
    bob = world.browser(world.person("Bob"))  # another customer of the same bank pays for nothing
    assert bob.post("/organisations/harbour-bank/link", {"customer_number": "HB-2002"}).status_code == 303


def test_an_organisation_under_another_address_is_asked_there_and_only_there(world: World) -> None:
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    world.declare("harbour-bank", base_url="http://localhost:9402", moved=True)
    assert world.read(body["access_token"], transactions(ref)).status_code == 200


def test_tokens_of_an_organisation_are_not_sent_to_another_address(world: World) -> None:
    """A declaration with another host: what people linked was the old one."""
    alice = settle_energy(world)
    sent: list[str] = []
    body = world.agreed(world.browser(alice), "meter", [detail("city-energy", ENERGY, "energy-advice")])

    def answers(subject: str, _path: str, _query: str) -> tuple[int, str, bytes]:
        sent.append(subject)
        return energy_reply()

    world.organisations.responders["city-energy"] = answers
    with pytest.raises(DeclarationError, match="one person has linked an account; say --moved if"):
        world.declare("city-energy", base_url="http://127.0.0.1:9401")
    assert world.read(body["access_token"], f"/data/city-energy{BATCH}").status_code == 200  # nothing was changed
    sent.clear()
    world.declare("city-energy", base_url="http://127.0.0.1:9401", moved=False)
    answer = world.read(body["access_token"], f"/data/city-energy{BATCH}")
    assert not sent and (answer.status_code, answer.json()["reason"]) == (403, "not_linked")
    assert world.rows("SELECT credentials_sealed FROM link") == [(None,)]
    assert telling.tell_pending(world.house, world.clock.now) == (0, 0) and not sent  # nor by telling it of the end
    told = [entry for entry in world.log(alice) if entry["event"] == "unlinked"]
    assert [(entry["actor"], entry["organisation"]) for entry in told] == [("system", "city-energy")]
    assert "City Energy was ended by the service" in world.browser(alice).get("/log?language=en").text


def test_an_end_that_could_not_be_told_is_not_told_to_whoever_comes_next(world: World) -> None:
    alice = settle_energy(world)
    world.organisations.responders["city-energy"] = lambda *_: (503, "text/plain", b"")
    assert world.browser(alice).post("/organisations/city-energy/unlink").status_code == 200
    world.declare("city-energy", base_url="https://energy.example")  # nobody is linked: nothing to ask about
    world.organisations.asked.clear()
    assert telling.tell_pending(world.house, world.clock.now) == (0, 0)
    assert not world.organisations.asked and world.rows("SELECT credentials_sealed FROM link") == [(None,)]


@pytest.mark.parametrize("address", ["http://localhost:8401/api", "http://LOCALHOST:8401", "http://localhost:8401"])
def test_another_path_at_the_same_origin_is_no_move(world: World, address: str) -> None:
    settle_energy(world)
    world.declare("city-energy", base_url=address)
    assert world.rows("SELECT ended_at FROM link") == [(None,)]


def test_a_linking_under_way_does_not_end_at_another_address(world: World) -> None:
    """The code was asked for at the old address, and is tried while the new one is declared."""
    world.organisations.responders["harbour-bank"] = lambda _subject, path, _query: (
        (202, "application/json", b'{"sent_to": "***56"}')
        if path.endswith("/start")
        else (200, "application/json", b'{"linked": true}')
    )
    alice = world.person("Alice")
    browser = world.browser(alice)
    begun = browser.post("/organisations/harbour-bank/link", {"customer_number": "HB-2001"}).headers["location"]
    form = {"attempt": begun.partition("attempt=")[2], "code": "123456"}
    world.organisations.during = lambda: world.declare("harbour-bank", base_url="https://bank.example")
    assert browser.post("/organisations/harbour-bank/link/code", form).status_code == 410
    assert world.rows("SELECT id FROM link") == []


def test_a_refusal_for_her_age_ends_with_her_birthday(world: World) -> None:
    """What was compiled while she was under age does not outlive that day."""
    bank = settle(world)
    chloe = world.person("Chloé")
    moves_in(world, bank, chloe)
    body = world.agreed(world.browser(chloe), "budget", [detail("harbour-bank", ALL)])
    path = transactions(body["authorization_details"][0]["accounts"][0])
    with world.house.store.write() as session:  # it turns out that she is fourteen until midnight in Paris
        session.get_one(Person, chloe).birth_date = date(2011, 11, 24)
    world.clock.passes(hours=13, minutes=29)
    token = world.refresh(body["refresh_token"], "budget").json()["access_token"]
    assert world.read(token, path).json()["reason"] == "app_not_allowed"
    world.clock.passes(minutes=2)
    assert world.read(token, path).status_code == 200
