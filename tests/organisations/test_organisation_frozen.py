"""While the log is frozen an organisation is asked nothing, and what it answers meanwhile is neither kept nor given."""

from collections.abc import Iterator

import pytest

from examples.data.people import PEOPLE
from tests.organisations.stage import Browser, Gateway, Running, agrees_there

NUMBER, PASSWORD = PEOPLE[0].energy, PEOPLE[0].energy_password


@pytest.fixture(autouse=True)
def thawed(gateway: Gateway) -> Iterator[None]:
    yield
    _freeze(gateway, "")


def _freeze(gateway: Gateway, why: str = "a tree of 9 was signed; the database only knows one of 3") -> None:
    gateway.house.log.frozen = why


def _freeze_at(gateway: Gateway, part: str) -> None:
    """The log freezes while the organisation is asked at an address with this in it."""
    gateway.connector.before = lambda path: _freeze(gateway) if part in path else None


def test_no_organisation_is_asked_while_it_is_frozen(
    gateway: Gateway, bank: Running, energy: Running, alice: Browser, mallory: Browser
) -> None:
    alice.links_by_number(bank, "HB-2001")
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    attempt = mallory.starts(bank.id, "HB-2002")
    code = bank.newest_code("HB-2002")
    _freeze(gateway)
    gateway.connector.calls.clear()
    answers = [
        alice.get(back),
        alice.post(f"/organisations/{bank.id}/download"),
        alice.post(f"/organisations/{bank.id}/refresh"),
        mallory.tries(bank.id, attempt, code),
        mallory.post(f"/organisations/{bank.id}/link", {"customer_number": "HB-2002"}),
    ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert not gateway.connector.calls
    _freeze(gateway, "")
    assert mallory.tries(bank.id, attempt, code).status_code == 303, "her code was not spent, nor a try counted"
    assert alice.get(back).status_code == 303, "nor was the state"


def test_a_download_that_was_under_way_gives_nothing(gateway: Gateway, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    _freeze_at(gateway, "transactions")
    answer = alice.post(f"/organisations/{bank.id}/download")
    assert answer.status_code == 503 and answer.headers["content-type"].startswith("text/html")
    assert [event.kind for event in gateway.events(alice)] == ["linked"]


def test_a_link_by_number_that_was_under_way_is_not_made(gateway: Gateway, bank: Running, alice: Browser) -> None:
    attempt = alice.starts(bank.id, "HB-2001")
    code = bank.newest_code("HB-2001")
    _freeze_at(gateway, "confirm")
    assert alice.tries(bank.id, attempt, code).status_code == 503
    assert gateway.link(alice, bank.id) is None and gateway.events(alice) == []


def test_a_link_by_oauth_that_was_under_way_is_not_made_and_its_credential_ends(
    gateway: Gateway, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    _freeze_at(gateway, "token")
    assert alice.get(back).status_code == 503
    assert gateway.link(alice, "city-energy") is None and gateway.events(alice) == []
    assert [call for call in gateway.connector.calls if "revoke" in call]


def test_unlinking_goes_on_while_it_is_frozen(gateway: Gateway, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    _freeze(gateway)
    assert alice.post(f"/organisations/{bank.id}/unlink").status_code == 200
    assert gateway.link(alice, bank.id) is None
