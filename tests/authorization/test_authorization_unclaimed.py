"""G21: an agreement for which the app never fetched its tokens ends by itself, and only such a one."""

import re
from html import unescape

import pytest
from authorization_world import World, answered
from grants_asked import consent, kinds
from sqlmodel import select

from gateway.authorization import unclaimed
from gateway.consent.tables import Consent


def agreed(world: World) -> tuple[str, str]:
    """(the code, the agreement) of a yes whose code nobody has redeemed."""
    code = answered(world.agree(world.browser("alice"), world.pushed()))["code"]
    with world.session() as session:
        [grant] = session.exec(select(Consent.id).where(Consent.state == "active")).all()
    return code, grant


def test_G21_never_fetched_it_ends_after_a_day_and_she_reads_why(world: World) -> None:
    code, grant = agreed(world)
    world.clock.passes(hours=24)
    assert unclaimed.end_due(world.house, world.clock.now) == 0
    assert consent(world, grant).state == "active"
    world.clock.passes(hours=1, seconds=1)
    assert unclaimed.end_due(world.house, world.clock.now) == 1
    assert (consent(world, grant).state, consent(world, grant).reason) == ("ended", "unclaimed")
    assert world.events("alice")[-1]["reason"] == "unclaimed"
    assert world.redeem(code).json()["error"] == "invalid_grant"
    assert unclaimed.end_due(world.house, world.clock.now) == 0
    assert kinds(world).count("consent_ended") == 1


@pytest.mark.parametrize("given_back", [False, True])
def test_fetched_it_stays_also_when_the_app_gave_its_tokens_back(world: World, given_back: bool) -> None:
    code, grant = agreed(world)
    body = world.redeem(code).json()
    if given_back:
        world.post("/revoke", {"token": body["refresh_token"]})
    for _ in range(4):
        world.clock.passes(days=2)
        unclaimed.end_due(world.house, world.clock.now)
    assert consent(world, grant).state == "active"


def test_asked_for_again_it_stands_for_the_new_request(world: World) -> None:
    _, grant = agreed(world)
    world.clock.passes(hours=25, minutes=2)
    browser, address = world.browser("alice"), world.pushed()
    form = browser.get(address).text.partition('action="/authorize/continue"')[2].partition("</form>")[0]
    browser.post("/authorize/continue", data=dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', unescape(form))))
    code = answered(browser.get(address))["code"]
    unclaimed.end_due(world.house, world.clock.now)
    assert world.redeem(code).json()["grant_id"] == grant
