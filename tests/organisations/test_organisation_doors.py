"""Every door of the room against those who have no business there."""

import re
import threading
from dataclasses import replace

import httpx2
import pytest
from organisations_world import Browser, Running, World

from examples.data.people import PEOPLE
from gateway.organisations import declare, moving, pages

ALL = [(door.path, door.methods[0]) for door in pages.doors(lambda *_: None)]
GETS = [path for path, method in ALL if method == "GET"]
POSTS = [path for path, method in ALL if method == "POST"]


@pytest.mark.parametrize(("path", "method"), ALL)
def test_nobody_gets_in_unsigned(world: World, bank: Running, path: str, method: str) -> None:
    url = world.url + path.replace("{id}", "harbour-bank")
    answer = httpx2.request(method, url, trust_env=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")
    assert not world.connector.calls


@pytest.mark.parametrize("path", POSTS)
def test_a_form_needs_its_token_and_our_origin(world: World, bank: Running, alice: Browser, path: str) -> None:
    path = path.replace("{id}", "harbour-bank")
    form = {"customer_number": "HB-2001"}
    assert alice.request("POST", path, form).status_code == 403
    assert alice.request("POST", path, {**form, "csrf": "x" * 43}).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert alice.post(path, form, headers=headers).status_code == 403
    assert not world.connector.calls


@pytest.mark.parametrize("path", POSTS)
def test_alices_token_is_nothing_in_mallorys_hands(
    world: World, bank: Running, alice: Browser, mallory: Browser, path: str
) -> None:
    token = world.house.keys.mac("csrf", alice.caller.sign_in)
    answer = mallory.request("POST", path.replace("{id}", "harbour-bank"), {"csrf": token})
    assert answer.status_code == 403


@pytest.mark.parametrize(("path", "method"), [(p, m) for p, m in ALL if "{id}" in p])
def test_an_organisation_that_does_not_exist_is_not_found(world: World, alice: Browser, path: str, method: str) -> None:
    for name in ("nobody", "..%2f..%2fetc", "%00", "x" * 500):
        path_there = path.replace("{id}", name)
        answer = alice.get(path_there) if method == "GET" else alice.post(path_there)
        assert answer.status_code == 404
        assert "<script" not in answer.text


@pytest.mark.parametrize("path", GETS)
def test_a_get_changes_nothing(world: World, bank: Running, alice: Browser, path: str) -> None:
    alice.links_by_number(bank, "HB-2001")
    before = world.link(alice, "harbour-bank")
    world.connector.calls.clear()
    answer = alice.get(path.replace("{id}", "harbour-bank"))
    after = world.link(alice, "harbour-bank")
    assert answer.status_code < 500
    assert before and after and before.model_dump() == after.model_dump()
    assert not world.connector.calls


@pytest.mark.parametrize("path", ["/organisations/harbour-bank/refresh", "/organisations/harbour-bank/download"])
def test_mallory_has_no_link_to_use(world: World, bank: Running, alice: Browser, mallory: Browser, path: str) -> None:
    alice.links_by_number(bank, "HB-2001")
    world.connector.calls.clear()
    assert mallory.post(path).status_code == 404
    assert not world.connector.calls


def test_mallory_sees_nothing_of_alices_links(world: World, bank: Running, alice: Browser, mallory: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    page = mallory.get("/organisations").text
    assert "••• 001" not in page and "You have not linked any organisation yet" in page
    for door in ("unlink", "download"):
        answer = mallory.get(f"/organisations/harbour-bank/{door}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/organisations")


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_pages_are_strict_and_private(world: World, bank: Running, alice: Browser, path: str, language: str) -> None:
    alice.links_by_number(bank, "HB-2001")
    alice.language = language
    answer = alice.get(path.replace("{id}", "harbour-bank"))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "'unsafe" not in answer.headers["content-security-policy"]
    if answer.status_code == 200:
        assert f'<html lang="{language}"' in answer.text
        assert answer.text.count("<h1") == 1
        for forbidden in ("style=", "<script", " onclick", "javascript:"):
            assert forbidden not in answer.text


def test_of_one_that_is_replaced_only_the_end_is_left(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    with world.house.store.write() as session:
        moving._leaving(session, "harbour-bank", world.now)
    page = alice.get("/organisations").text
    assert "Being replaced" in page and "/organisations/harbour-bank/unlink" in page
    assert not re.search("/organisations/harbour-bank/(download|refresh)", page)


def test_a_suspended_organisation_is_asked_nothing(world: World, bank: Running, alice: Browser) -> None:
    bob = world.person("Bob")
    alice.links_by_number(bank, "HB-2001")
    attempt = bob.starts("harbour-bank", "HB-2002")
    code = bank.newest_code("HB-2002")
    with world.house.store.write() as session:
        declare.suspend(session, "harbour-bank", "Under <repair>", world.now)
    world.connector.calls.clear()
    page = alice.get("/organisations").text
    assert "Under &lt;repair&gt;" in page and "/organisations/harbour-bank/unlink" in page
    assert not re.search("/organisations/harbour-bank/(download|refresh)", page), "what cannot happen is not offered"
    answers = [
        alice.post("/organisations/harbour-bank/download"),
        alice.post("/organisations/harbour-bank/refresh"),
        bob.post("/organisations/harbour-bank/link", {"customer_number": "HB-2002"}),
        bob.tries("harbour-bank", attempt, code),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert all("is suspended here" in answer.text for answer in answers)
    assert not world.connector.calls


def test_no_transaction_is_open_while_an_organisation_is_asked(
    world: World, bank: Running, energy: Running, alice: Browser
) -> None:
    asked = []

    def looks(path: str) -> None:
        lock = getattr(world.house.store, "lock", threading.RLock())  # PostgreSQL's writers share none
        free = lock.acquire(timeout=5)
        if free:
            lock.release()
        asked.append((path, free, world.house.store.engine.pool.checkedout()))

    world.connector.before = looks
    alice.links_by_number(bank, "HB-2001")
    alice.links_by_oauth(PEOPLE[0].energy, PEOPLE[0].energy_password)
    for name, minutes in ((bank.id, 0), (energy.id, 20)):  # its token is renewed on the way
        world.passes(minutes=minutes)
        assert alice.post(f"/organisations/{name}/refresh").status_code == 303
        alice.caller = world.callers[alice.caller.sign_in] = replace(alice.caller, auth_time=world.now)
        assert alice.post(f"/organisations/{name}/download").headers["content-disposition"]
        assert alice.post(f"/organisations/{name}/unlink").status_code == 200
    assert len({path for path, _, _ in asked}) > 6
    assert all(free and not sessions for _, free, sessions in asked), asked
