"""Guessing is slowed down, for known and unknown addresses alike, and the true person still gets in."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from people_world import PASSWORD, Browser, World

from gateway.errors import TooMany
from gateway.ground.store.together import AtMost, Tries
from gateway.people import passwords, throttle
from gateway.people.tables import Person
from gateway.people.throttle import Throttle, known_mark, who_tries


def _guesses(browser: Browser, email: str, times: int) -> list[int]:
    form = {"csrf": browser.csrf("/sign-in"), "email": email, "password": "a wrong guess"}
    return [browser.send("/sign-in", form).status_code for _ in range(times)]


@pytest.mark.parametrize("email", ["alice@example.org", "nobody@example.org"])
def test_the_eleventh_guess_in_five_minutes_is_not_even_looked_at(
    world: World, alice: Person, browser: Browser, email: str
) -> None:
    begun = time.time()
    assert _guesses(browser, email, 1) == [400]
    first = time.time()
    assert _guesses(browser, email, 11) == [400] * 9 + [429] * 2
    asked = time.time()
    answer = browser.submit("/sign-in", email=email, password=PASSWORD)
    wait, told = int(answer.headers["retry-after"]), time.time()
    assert answer.status_code == 429
    assert told + wait > begun + 300  # not before the oldest guess has faded …
    assert asked + wait <= first + 301  # … and no more than a second after that
    assert "Your account is not locked." in answer.text


def test_alice_gets_in_with_her_own_browser_while_mallory_guesses(world: World, alice: Person) -> None:
    hers = world.browser()
    hers.signs_in(alice)
    hers.submit("/", to="/sign-out")
    assert _guesses(world.browser(), alice.email, 12)[-1] == 429
    assert hers.signs_in(alice).status_code == 303


def test_her_browser_is_counted_as_well(world: World, alice: Person) -> None:
    hers = world.browser()
    hers.signs_in(alice)
    hers.submit("/", to="/sign-out")
    assert _guesses(hers, alice.email, 11)[-1] == 429


def test_a_browser_known_to_mallory_is_not_known_to_alice(world: World, alice: Person) -> None:
    keys = world.house.keys
    mark = known_mark(keys, "mallory", "n")
    assert who_tries(keys, mark, alice.email, "mallory") == "browser n"
    for forged in (mark, "n.", "n", ".", "", "n." + "A" * 43):
        assert who_tries(keys, forged, alice.email, alice.id).startswith("account ")
    assert who_tries(keys, mark, "x@example.org", None).startswith("account ")


def test_one_password_tried_at_many_accounts_stops_at_the_network(world: World, browser: Browser) -> None:
    form = {"csrf": browser.csrf("/sign-in"), "password": "Summer2026!"}
    statuses = [browser.send("/sign-in", {**form, "email": f"p{n}@example.org"}).status_code for n in range(52)]
    assert statuses[:50] == [400] * 50 and statuses[50:] == [429, 429]


def test_signing_in_forgives_the_slips_before(world: World, alice: Person, browser: Browser) -> None:
    assert _guesses(browser, alice.email, 9) == [400] * 9
    assert browser.signs_in(alice).status_code == 303
    browser.submit("/", to="/sign-out")
    assert _guesses(world.browser(), alice.email, 9) == [400] * 9


def test_many_failed_tries_are_told_at_the_next_sign_in_a_few_are_not(world: World, alice: Person, bob: Person) -> None:
    _guesses(world.browser(), alice.email, 6)
    _guesses(world.browser(), bob.email, 2)
    world.browser().signs_in(alice)
    world.browser().signs_in(bob)
    assert world.events(alice)[1:] == ["sign_in_failed", "sign_in"]
    assert world.events(bob)[1:] == ["sign_in"]


def test_a_flood_of_guesses_at_many_accounts_takes_no_page_from_anybody(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers = world.browser()
    hers.signs_in(alice)
    verify, hashing, gate = passwords.verify, [0, 0], threading.Event()  # at this moment, at most

    def slowly(kept: str | None, password: str) -> bool:
        hashing[0] += 1
        hashing[1] = max(hashing)
        assert gate.wait(30)
        hashing[0] -= 1
        return verify(kept, password)

    monkeypatch.setattr(passwords, "verify", slowly)
    mallory = world.browser()
    with mallory.client, ThreadPoolExecutor(70) as flood:  # one loop for all of them
        form = {"csrf": mallory.csrf("/sign-in"), "password": "a guess"}
        tries = [flood.submit(mallory.send, "/sign-in", {**form, "email": f"{n}@example.org"}) for n in range(70)]
        while sum(each.done() for each in tries) < 34:
            time.sleep(0.01)
        cookie = "; ".join(f"{name}={value}" for name, value in hers.client.cookies.items())
        assert "Alice" in mallory.client.get("/account", headers={"cookie": cookie}).text
        assert mallory.get("/sign-in").status_code == 200
        gate.set()
        answers = [each.result() for each in tries]
    assert hashing[1] <= 4
    busy = [answer for answer in answers if answer.status_code == 503]
    assert len(busy) == 34 and all(answer.headers["retry-after"] for answer in busy)
    assert world.browser().signs_in(alice).status_code in (303, 429)  # 429: the network's tries are used up


def test_of_guesses_at_once_from_one_network_no_more_are_answered_than_may_be(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one that is right: all four were let through before any had failed."""
    monkeypatch.setitem(throttle._LIMITS, "network", AtMost(2, 600))
    verify, together, wrong = passwords.verify, threading.Barrier(4), threading.Semaphore(0)

    def at_once(kept: str | None, password: str) -> bool:
        together.wait(20)
        if password == PASSWORD:
            for _ in range(3):  # it comes to its end after those that are wrong
                assert wrong.acquire(timeout=20)
        return verify(kept, password)

    monkeypatch.setattr(passwords, "verify", at_once)
    mallory = world.browser()
    with mallory.client, ThreadPoolExecutor(4) as crowd:
        form = {"csrf": mallory.csrf("/sign-in"), "email": alice.email}

        def guesses(password: str) -> int:
            status = mallory.send("/sign-in", {**form, "password": password}).status_code
            wrong.release()
            return status

        right = crowd.submit(guesses, PASSWORD)
        others = sorted(crowd.map(guesses, ("one", "two", "three")))
        assert (others, right.result()) == ([400, 400, 429], 429)


def test_counts_fade_by_themselves(world: World) -> None:
    counts = Throttle(Tries(world.house.store), world.house.keys, {"account": AtMost(2, 1)})
    counts.spend("account", "alice")
    counts.spend("account", "alice")
    with pytest.raises(TooMany) as full:
        counts.spend("account", "alice")
    assert full.value.retry_after <= 2
    counts.spend("account", "bob")
    time.sleep(1.1)
    counts.spend("account", "alice")


def test_a_flood_of_registrations_from_one_network_is_stopped(world: World, browser: Browser) -> None:
    counts = Throttle(Tries(world.house.store), world.house.keys, {"register": AtMost(2, 3600)})
    for _ in range(2):
        counts.spend("register", "203.0.113.9")
    with pytest.raises(TooMany):
        counts.check("register", "203.0.113.9")
