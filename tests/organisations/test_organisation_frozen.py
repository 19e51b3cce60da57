"""While the log is frozen an organisation is asked nothing, and what it answers meanwhile is neither kept nor given."""

from collections.abc import Iterator

import pytest
from organisations_world import Browser, Running, World, agrees_there

from examples.data.people import PEOPLE

NUMBER, PASSWORD = PEOPLE[0].energy, PEOPLE[0].energy_password


@pytest.fixture(autouse=True)
def thawed(world: World) -> Iterator[None]:
    yield
    _freeze(world, "")


def _freeze(world: World, why: str = "a tree of 9 was signed; the database only knows one of 3") -> None:
    world.house.log.frozen = why


def _freeze_at(world: World, part: str) -> None:
    """The log freezes while the organisation is asked at an address with this in it."""
    world.connector.before = lambda path: _freeze(world) if part in path else None


def test_no_organisation_is_asked_while_it_is_frozen(
    world: World, bank: Running, energy: Running, alice: Browser, mallory: Browser
) -> None:
    alice.links_by_number(bank, "HB-2001")
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    attempt = mallory.starts(bank.id, "HB-2002")
    code = bank.newest_code("HB-2002")
    _freeze(world)
    world.connector.calls.clear()
    answers = [
        alice.get(back),
        alice.post(f"/organisations/{bank.id}/download"),
        alice.post(f"/organisations/{bank.id}/refresh"),
        mallory.tries(bank.id, attempt, code),
        mallory.post(f"/organisations/{bank.id}/link", {"customer_number": "HB-2002"}),
    ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert not world.connector.calls
    _freeze(world, "")
    assert mallory.tries(bank.id, attempt, code).status_code == 303, "her code was not spent, nor a try counted"
    assert alice.get(back).status_code == 303, "nor was the state"


def test_a_download_that_was_under_way_gives_nothing(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    _freeze_at(world, "transactions")
    answer = alice.post(f"/organisations/{bank.id}/download")
    assert answer.status_code == 503 and answer.headers["content-type"].startswith("text/html")
    assert [event.kind for event in world.events(alice)] == ["linked"]


def test_a_link_by_number_that_was_under_way_is_not_made(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts(bank.id, "HB-2001")
    code = bank.newest_code("HB-2001")
    _freeze_at(world, "confirm")
    assert alice.tries(bank.id, attempt, code).status_code == 503
    assert world.link(alice, bank.id) is None and world.events(alice) == []


def test_a_link_by_oauth_that_was_under_way_is_not_made_and_its_credential_ends(
    world: World, energy: Running, alice: Browser
) -> None:
    back = agrees_there(alice.leaves_for("city-energy"), NUMBER, PASSWORD)
    _freeze_at(world, "token")
    assert alice.get(back).status_code == 503
    assert world.link(alice, "city-energy") is None and world.events(alice) == []
    assert [call for call in world.connector.calls if "revoke" in call]


def test_unlinking_goes_on_while_it_is_frozen(world: World, bank: Running, alice: Browser) -> None:
    alice.links_by_number(bank, "HB-2001")
    _freeze(world)
    assert alice.post(f"/organisations/{bank.id}/unlink").status_code == 200
    assert world.link(alice, bank.id) is None
