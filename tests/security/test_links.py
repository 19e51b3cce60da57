"""Whose accounts: a link made anew, an organisation that moves, codes that are guessed, a person who comes of age."""

import threading
import time
from datetime import date
from typing import Any

import city
import pytest
from bank import BASE, moves_in, settle, transactions, with_alice
from fortress import Fort, detail

from gateway.errors import DeclarationError
from gateway.organisations import links, telling
from gateway.people.tables import Person

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


def test_a_link_with_other_accounts_gives_an_old_agreement_none_of_them(fort: Fort) -> None:
    bank, alice = with_alice(fort)
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    subject = fort.link(alice, "harbour-bank", ["native-other-1", "native-other-2"], "••• 999")
    bank.customer(subject, ["native-other-1", "native-other-2"], "bobs-word")
    for path in (transactions(ref), f"/data/harbour-bank{BASE}/transactions", f"/data/harbour-bank{BASE}/accounts"):
        answer = fort.read(body["access_token"], path)
        assert "bobs-word" not in answer.text and "AccountId" not in answer.text


def test_an_agreement_whose_accounts_are_all_gone_is_told_so(fort: Fort) -> None:
    bank, alice = with_alice(fort)
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL)], duration="once")
    subject = fort.link(alice, "harbour-bank", ["native-other-1"], "••• 999")
    bank.customer(subject, ["native-other-1"], "bobs-word")
    answer = fort.read(body["access_token"], f"/data/harbour-bank{BASE}/transactions")
    assert (answer.status_code, answer.json().get("reason")) == (403, "account")
    assert fort.rows("SELECT state FROM consent") == [("active",)]  # not used up by nothing
    assert not [path for _, _, path in fort.organisations.asked if path.endswith("/transactions")]
    told = fort.log(alice)[-1]
    assert (told["event"], told["reason"], told["term"]) == ("denied", "account", "accounts")
    moves_in(fort, bank, alice)  # back at the old accounts: her one use is still there
    assert fort.read(body["access_token"], f"/data/harbour-bank{BASE}/transactions").status_code == 200


@pytest.mark.parametrize("organisation", ["harbour-bank", "city-energy"])
def test_a_link_with_another_customer_number_does_not_slip_under_an_old_agreement(
    fort: Fort, organisation: str
) -> None:
    """Organisations that number each customer's accounts 1, 2, … : the same number is another account."""
    alice, body, path = numbered(fort, organisation)
    assert fort.read(body["access_token"], path).status_code == 200
    fort.link(alice, organisation, ["1"], "••• 999", number="999")
    refused = fort.read(body["access_token"], path)
    assert (refused.status_code, refused.json()["reason"]) == (403, "account")
    told = "you agreed to them for accounts that are not among these"
    page = fort.browser(alice).get("/organisations").text
    assert told in page and f'/sharings/{body["grant_id"]}"' in page
    fort.link(alice, organisation, ["1"], "••• 001", number="001")  # linked again as the same customer
    assert fort.read(body["access_token"], path).status_code == 200
    assert told not in fort.browser(alice).get("/organisations").text


def numbered(fort: Fort, organisation: str) -> tuple[str, dict[str, Any], str]:
    """Alice, customer 001, with an account "1" that an app may read: (she, token response, path)."""
    if organisation == "city-energy":
        fort.organisations.responders[organisation] = lambda *_: (200, "application/atom+xml", city.batch("1"))
        fort.app("meter", city.APP, purposes=["energy-advice"])
        app, details = "meter", [detail(organisation, city.DATASETS, "energy-advice")]
    else:
        bank = settle(fort)
        app, details = "budget", [detail(organisation, ALL)]
    alice = fort.person("Alice")
    subject = fort.link(alice, organisation, ["1"], "••• 001", number="001")
    if organisation == "harbour-bank":
        bank.customer(subject, ["1"], "her own")
    body = fort.agreed(fort.browser(alice), app, details)
    ref = body["authorization_details"][0]["accounts"][0]
    return alice, body, f"/data/city-energy{city.BATCH}" if app == "meter" else transactions(ref)


def test_a_reference_tells_the_app_nothing_of_the_customer(fort: Fort) -> None:
    """The same account has another name for another app, and for another customer; none is found in another."""
    keys = fort.house.keys
    names = {
        links.reference(keys, app, person, "harbour-bank", native, links.whose(keys, "harbour-bank", number))
        for app in ("budget", "meter")
        for person in ("alice", "bob")
        for native in ("1", "11")
        for number in ("", "1", "11")
    }
    assert len(names) == 24 and all(len(name) == links.REF_LENGTH for name in names)
    assert links.whose(keys, "harbour-bank", "1") != links.whose(keys, "city-energy", "1")


def test_the_organisations_own_names_never_reach_an_app(fort: Fort) -> None:
    """Subscription and usage point are the organisation's; outside they are `mine` and a reference."""
    subscription, point = "subscription-4711", "point-0815"
    fort.organisations.responders["city-energy"] = lambda *_: (
        200,
        "application/atom+xml",
        city.batch(point, subscription),
    )
    fort.app("meter", city.APP, purposes=["energy-advice"])
    alice = fort.person("Alice")
    fort.link(alice, "city-energy", [point], number=subscription)
    body = fort.agreed(fort.browser(alice), "meter", [detail("city-energy", city.DATASETS, "energy-advice")])
    ref = body["authorization_details"][0]["accounts"][0]
    told = [str(body)]
    fort.organisations.asked.clear()
    for path in (
        city.BATCH,
        f"{city.BASE}/Batch/Subscription/somebody-elses",
        f"{city.BASE}/Subscription/mine/UsagePoint",
        f"{city.BASE}/Subscription/mine/UsagePoint/{ref}/MeterReading",
        f"{city.BASE}/Subscription/mine/UsagePoint/{point}",
        f"{city.BASE}/Subscription/{subscription}/UsagePoint/{ref}/Nothing",
    ):
        answer = fort.read(body["access_token"], f"/data/city-energy{path}")
        own_words = path.endswith((point, "Nothing"))  # a refusal says back what the app itself wrote
        told += [] if own_words else [answer.text + str(dict(answer.headers))]
        assert answer.status_code == (403 if own_words else 200), path
    asked = [path for _, _, path in fort.organisations.asked]
    assert len(asked) == 4 and all(f"/Subscription/{subscription}" in path for path in asked)
    assert "somebody-elses" not in str(asked)
    introspected = fort.oauth("/introspect", {"token": body["access_token"]}, "meter")
    told += [introspected.text, str([entry for entry in fort.log(alice) if entry["event"] != "denied"])]
    assert not [text for text in told if subscription in text or point in text]


def test_nobody_is_offered_to_go_on_with_an_agreement_whose_accounts_are_gone(fort: Fort) -> None:
    _, alice = with_alice(fort)
    browser = fort.browser(alice)
    fort.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    assert "/authorize/continue" in browser.get(fort.request("budget", [detail("harbour-bank", ALL)])).text
    fort.link(alice, "harbour-bank", ["native-other-1"], "••• 999")
    assert "/authorize/continue" not in browser.get(fort.request("budget", [detail("harbour-bank", ALL)])).text


def test_while_nothing_is_linked_nothing_is_read_and_linking_again_goes_on(fort: Fort) -> None:
    bank, alice = with_alice(fort)
    browser = fort.browser(alice)
    body = fort.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    fort.organisations.responders["harbour-bank"] = lambda *_: (204, "application/json", b"")
    assert browser.post("/organisations/harbour-bank/unlink").status_code == 200
    fort.organisations.responders["harbour-bank"] = bank
    assert fort.read(body["access_token"], transactions(ref)).json()["reason"] == "not_linked"
    moves_in(fort, bank, alice)
    assert fort.read(body["access_token"], transactions(ref)).status_code == 200


def test_a_read_that_is_out_while_she_unlinks_gives_nothing(fort: Fort) -> None:
    _, alice = with_alice(fort)
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]

    def unlinks() -> None:
        with fort.house.store.write() as session:
            link = links.current(session, alice, "harbour-bank")
            assert link is not None and links.end(session, link.id, fort.clock.now)

    fort.organisations.during = unlinks
    assert fort.read(body["access_token"], transactions(ref)).json()["reason"] == "not_linked"


def test_codes_of_one_customer_cannot_be_guessed_from_many_accounts(fort: Fort) -> None:
    tries = []

    def organisation(_subject: str, path: str, _query: str) -> tuple[int, str, bytes]:
        tries.append(path)
        return (202, "application/json", b'{"sent_to": "***56"}') if path.endswith("/start") else (403, "x/x", b"")

    fort.organisations.responders["harbour-bank"] = organisation
    for number in range(20):  # accounts that Mallory opened
        mallory = fort.browser(fort.person(f"Mallory{number}"))
        for _ in range(3):
            answer = mallory.post("/organisations/harbour-bank/link", {"customer_number": "HB-2001"})
            if answer.status_code == 303:
                attempt = answer.headers["location"].partition("attempt=")[2]
                for code in ("000001", "000002", "000003"):
                    mallory.post("/organisations/harbour-bank/link/code", {"attempt": attempt, "code": code})
    assert len([path for path in tries if path.endswith("/start")]) <= 20  # messages to one phone
    assert len([path for path in tries if path.endswith("/confirm")]) <= 100


def test_two_codes_at_once_link_one_customer_and_no_mixture(fort: Fort) -> None:
    """The organisation ties the last customer to her name: what we keep has to be of that one."""
    tied: list[str] = []

    def organisation(_subject: str, path: str, _query: str) -> tuple[int, str, bytes]:
        if path.endswith("/confirm"):
            tied.append(path)
            time.sleep(0.05)
        body = b'{"sent_to": "***56"}' if path.endswith("/start") else b'{"linked": true}'
        return 202 if path.endswith("/start") else 200, "application/json", body

    fort.organisations.responders["harbour-bank"] = organisation
    alice = fort.person("Alice")
    attempts = []
    for number in ("HB-2001", "HB-2002"):
        begun = fort.browser(alice).post("/organisations/harbour-bank/link", {"customer_number": number})
        attempts.append(begun.headers["location"].partition("attempt=")[2])
    statuses: list[int] = []

    def tries(attempt: str) -> None:
        form = {"attempt": attempt, "code": "123456"}
        statuses.append(fort.browser(alice).post("/organisations/harbour-bank/link/code", form).status_code)

    threads = [threading.Thread(target=tries, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tied) == 1 and len(statuses) == 2 and max(statuses) < 400
    assert len([entry for entry in fort.log(alice) if entry["event"] == "linked"]) == 1


@pytest.mark.parametrize("known", [True, False])
def test_tries_are_counted_for_known_and_unknown_numbers_alike_however_they_are_spelled(
    fort: Fort, known: bool
) -> None:
    answers = (202, "application/json", b'{"sent_to": "***56"}') if known else (404, "application/json", b"{}")
    fort.organisations.responders["harbour-bank"] = lambda *_: answers
    statuses = []
    for spelled in ("HB-2001", "hb-2001", "HB 2001", "hb2001", "H.B/2001", "HB_20-01"):
        mallory = fort.browser(fort.person("Mallory"))
        for _ in range(2):
            answer = mallory.post("/organisations/harbour-bank/link", {"customer_number": spelled})
            statuses.append((answer.status_code, answer.headers.get("retry-after")))
    assert statuses == [(303, None)] * 10 + [(429, "3600")] * 2
    bob = fort.browser(fort.person("Bob"))  # another customer of the same bank pays for nothing
    assert bob.post("/organisations/harbour-bank/link", {"customer_number": "HB-2002"}).status_code == 303


def test_an_organisation_under_another_address_is_asked_there_and_only_there(fort: Fort) -> None:
    _, alice = with_alice(fort)
    body = fort.agreed(fort.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    fort.declare("harbour-bank", base_url="http://localhost:9402", moved=True)
    assert fort.read(body["access_token"], transactions(ref)).status_code == 200


def test_tokens_of_an_organisation_are_not_sent_to_another_address(fort: Fort) -> None:
    """A declaration with another host: what people linked was the old one."""
    alice = city.settle(fort)
    sent: list[str] = []
    body = fort.agreed(fort.browser(alice), "meter", [detail("city-energy", city.DATASETS, "energy-advice")])

    def answers(subject: str, _path: str, _query: str) -> tuple[int, str, bytes]:
        sent.append(subject)
        return city.reply()

    fort.organisations.responders["city-energy"] = answers
    with pytest.raises(DeclarationError, match="one person has linked an account; say --moved if"):
        fort.declare("city-energy", base_url="http://127.0.0.1:9401")
    assert fort.read(body["access_token"], f"/data/city-energy{city.BATCH}").status_code == 200  # nothing was changed
    sent.clear()
    fort.declare("city-energy", base_url="http://127.0.0.1:9401", moved=False)
    answer = fort.read(body["access_token"], f"/data/city-energy{city.BATCH}")
    assert not sent and (answer.status_code, answer.json()["reason"]) == (403, "not_linked")
    assert fort.rows("SELECT credentials_sealed FROM link") == [(None,)]
    assert telling.tell_pending(fort.house, fort.clock.now) == (0, 0) and not sent  # nor by telling it of the end
    told = [entry for entry in fort.log(alice) if entry["event"] == "unlinked"]
    assert [(entry["actor"], entry["organisation"]) for entry in told] == [("system", "city-energy")]
    assert "City Energy was ended by the service" in fort.browser(alice).get("/log?language=en").text


def test_an_end_that_could_not_be_told_is_not_told_to_whoever_comes_next(fort: Fort) -> None:
    alice = city.settle(fort)
    fort.organisations.responders["city-energy"] = lambda *_: (503, "text/plain", b"")
    assert fort.browser(alice).post("/organisations/city-energy/unlink").status_code == 200
    fort.declare("city-energy", base_url="https://energy.example")  # nobody is linked: nothing to ask about
    fort.organisations.asked.clear()
    assert telling.tell_pending(fort.house, fort.clock.now) == (0, 0)
    assert not fort.organisations.asked and fort.rows("SELECT credentials_sealed FROM link") == [(None,)]


@pytest.mark.parametrize("address", ["http://localhost:8401/api", "http://LOCALHOST:8401", "http://localhost:8401"])
def test_another_path_at_the_same_origin_is_no_move(fort: Fort, address: str) -> None:
    city.settle(fort)
    fort.declare("city-energy", base_url=address)
    assert fort.rows("SELECT ended_at FROM link") == [(None,)]


def test_a_linking_under_way_does_not_end_at_another_address(fort: Fort) -> None:
    """The code was asked for at the old address, and is tried while the new one is declared."""
    fort.organisations.responders["harbour-bank"] = lambda _subject, path, _query: (
        (202, "application/json", b'{"sent_to": "***56"}')
        if path.endswith("/start")
        else (200, "application/json", b'{"linked": true}')
    )
    alice = fort.person("Alice")
    browser = fort.browser(alice)
    begun = browser.post("/organisations/harbour-bank/link", {"customer_number": "HB-2001"}).headers["location"]
    form = {"attempt": begun.partition("attempt=")[2], "code": "123456"}
    fort.organisations.during = lambda: fort.declare("harbour-bank", base_url="https://bank.example")
    assert browser.post("/organisations/harbour-bank/link/code", form).status_code == 410
    assert fort.rows("SELECT id FROM link") == []


def test_a_refusal_for_her_age_ends_with_her_birthday(fort: Fort) -> None:
    """What was compiled while she was under age does not outlive that day."""
    bank = settle(fort)
    chloe = fort.person("Chloé")
    moves_in(fort, bank, chloe)
    body = fort.agreed(fort.browser(chloe), "budget", [detail("harbour-bank", ALL)])
    path = transactions(body["authorization_details"][0]["accounts"][0])
    with fort.house.store.write() as session:  # it turns out that she is fourteen until midnight in Paris
        session.get_one(Person, chloe).birth_date = date(2011, 11, 24)
    fort.clock.passes(hours=13, minutes=29)
    token = fort.refresh(body["refresh_token"], "budget").json()["access_token"]
    assert fort.read(token, path).json()["reason"] == "app_not_allowed"
    fort.clock.passes(minutes=2)
    assert fort.read(token, path).status_code == 200
