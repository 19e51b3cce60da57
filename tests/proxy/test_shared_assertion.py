"""Reads of one link share the gateway's assertion while it is young; no two people ever share one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.proxy.bank import Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation


def asserting(world: World, organisation: RawOrganisation) -> Bank:
    made = Bank(world, organisation, kind="assertion")
    world.run("UPDATE link SET credentials_sealed = NULL WHERE person_id = :person", person=made.person)
    return made


@pytest.fixture
def assertions(world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read `seconds` from now, and answer with the credential the organisation saw."""
    organisation.reset()

    def read(bank: Bank, seconds: int = 0) -> str:
        at = datetime.now(UTC) + timedelta(seconds=seconds)
        monkeypatch.setattr(world, "clock", lambda: at)
        assert bank.reads().status == 200
        return str(organisation.seen[-1].headers["authorization"])

    return read


def test_reads_share_an_assertion_and_a_later_read_gets_a_new_one(
    world: World, organisation: RawOrganisation, assertions: Any
) -> None:
    bank = asserting(world, organisation)
    first = assertions(bank)
    assert assertions(bank, 30) == first
    assert assertions(bank, 50) != first


def test_two_people_never_share_an_assertion(world: World, organisation: RawOrganisation, assertions: Any) -> None:
    assert assertions(asserting(world, organisation)) != assertions(asserting(world, organisation))
