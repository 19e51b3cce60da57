"""Nobody learns by linking which customer numbers there are: not from a page, nor from who is asked, nor from another
attempt."""

import threading
from typing import Any

import pytest
from organisations_world import Browser, Running, World

WHO, UNKNOWN = "HB-2001", "ZZ-2001"


@pytest.mark.parametrize("mode", ["none", "down", "html", "oversized"])
def test_a_code_is_asked_about_alike_whether_the_number_is_known_or_not(
    world: World, bank: Running, alice: Browser, mode: str
) -> None:
    """What the organisation is not asked about is answered sooner, and also while it is in trouble."""
    found = []
    for number in (WHO, UNKNOWN):
        attempt = alice.starts("harbour-bank", number)
        bank.fault(mode, prefix="/aval/")
        world.connector.calls.clear()
        page = alice.tries("harbour-bank", attempt, "000000")
        bank.fault("none")
        found.append((list(world.connector.calls), page.status_code, page.text.replace(attempt, "")))
    assert found[0] == found[1]
    assert found[0][0] == ["POST /aval/link/confirm"]


@pytest.mark.parametrize("number", ["HB-2002", UNKNOWN])
def test_a_number_begun_later_changes_nothing_that_tells_whether_it_is_known(
    world: World, bank: Running, alice: Browser, number: str
) -> None:
    """The organisation voids her code when it sends another: her own number would tell her of the other."""
    own = alice.starts("harbour-bank", WHO)
    code = bank.newest_code(WHO)
    alice.starts("harbour-bank", number)
    answer = alice.tries("harbour-bank", own, code)
    assert answer.status_code == 409 and "has already been used" in answer.text
    assert world.link(alice, "harbour-bank") is None
    again = alice.starts("harbour-bank", WHO)
    assert alice.tries("harbour-bank", again, bank.newest_code(WHO)).status_code == 303


def test_two_numbers_begun_at_once_are_begun_one_after_the_other(
    world: World, bank: Running, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt of the code that was sent first is voided, however slow the answer to it is."""
    ask, done, later = world.connector.ask, threading.Event(), list[str]()

    def begins_other() -> None:
        later.append(alice.starts("harbour-bank", "HB-2002"))
        done.set()

    other = threading.Thread(target=begins_other)

    def slow(*asked: Any, **more: Any) -> Any:
        found = ask(*asked, **more)
        if not other.ident:
            other.start()
            done.wait(0.5)
        return found

    monkeypatch.setattr(world.connector, "ask", slow)
    own = alice.starts("harbour-bank", WHO)
    other.join()
    assert alice.tries("harbour-bank", own, bank.newest_code(WHO)).status_code == 409
    assert alice.tries("harbour-bank", later[0], bank.newest_code("HB-2002")).status_code == 303


def test_an_attempt_without_a_number_has_no_page_for_a_code(world: World, energy: Running, alice: Browser) -> None:
    address = alice.leaves_for("city-energy")
    state = address.partition("state=")[2].partition("&")[0]
    assert alice.get(f"/organisations/city-energy/link/code?attempt={state}").status_code == 404
    assert alice.tries("city-energy", state, "123456").status_code == 404
