"""Nobody learns by linking which customer numbers there are: not from a page, and not from who is asked."""

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


def test_an_attempt_without_a_number_has_no_page_for_a_code(world: World, energy: Running, alice: Browser) -> None:
    address = alice.leaves_for("city-energy")
    state = address.partition("state=")[2].partition("&")[0]
    assert alice.get(f"/organisations/city-energy/link/code?attempt={state}").status_code == 404
    assert alice.tries("city-energy", state, "123456").status_code == 404
