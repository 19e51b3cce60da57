"""Policies that become others while data calls are under way."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_streams import drained, endless, eventually, opened, outcomes, stream

from gateway.catalogue import Catalogue
from gateway.policy import Policies
from gateway.settings import shipped_policies
from tests.proxy.bank import NATIVE, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, answer, transactions

assert stream  # a fixture: the sector whose answers are cut as they come
BANK, ENERGY = "datasets/bank.toml", "datasets/energy.toml"
AMOUNT = '"Transaction/Amount", '
FORBIDDEN = """
@id("no-more")
forbid (principal, action == Action::"read", resource is Sharing);
"""

Renew = Callable[[str, str, str], None]


@pytest.fixture
def renew(world: World, tmp_path: Path) -> Iterator[Renew]:
    """From now on the policies are the shipped ones, with this one change."""
    before = world.house.kept.house

    def changed(name: str, old: str, new: str) -> None:
        folder = shutil.copytree(shipped_policies(), tmp_path / "policies", dirs_exist_ok=True)
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
        world.house.renew(Catalogue(folder), Policies(folder))

    yield changed
    world.house.kept.house = before


def gives(bank: Bank, meanwhile: Callable[[], None]) -> list[int]:
    """The bank answers, and `meanwhile` happens before its first answer. Returns a list that grows with each call."""
    asked: list[int] = []

    async def behave(exchange: Exchange) -> None:
        asked.append(1)
        if len(asked) == 1:
            meanwhile()
        await exchange.say(answer(transactions(NATIVE)))

    bank.organisation.behaviour = behave
    return asked


def test_an_answer_that_was_on_its_way_is_judged_by_the_policies_of_now(bank: Bank, renew: Renew) -> None:
    asked = gives(bank, lambda: renew("aval.cedar", "// The fixed", f"{FORBIDDEN}// The fixed"))
    found = bank.reads()
    assert (found.status, found.reason, len(asked)) == (403, "policy", 1)
    assert ("access", "delivered") not in outcomes(bank)


def test_an_answer_that_was_on_its_way_is_cut_by_the_policies_of_now(bank: Bank, renew: Renew) -> None:
    asked = gives(bank, lambda: renew(BANK, '"Transaction/Status", ', ""))
    gone = bank.reads()
    assert len(asked) == 2, "asked once more, and judged anew"
    assert gone.status == 200 and b'"Status"' not in gone.body
    assert bank.reads().body == gone.body and len(asked) == 3


def test_an_answer_under_the_same_policies_is_given_as_it_was_judged(bank: Bank, renew: Renew) -> None:
    asked = gives(bank, lambda: None)
    assert bank.reads().status == 200 and len(asked) == 1
    assert outcomes(bank)[-1] == ("access", "delivered")


def test_a_stream_ends_when_its_data_is_described_otherwise(stream: Bank, renew: Renew) -> None:
    endless(stream.organisation, 400, pause=0.01)
    with opened(stream) as connection:
        assert connection.recv(1024)
        renew(BANK, AMOUNT, "")
        drained(connection)
    eventually(stream, ("access_outcome", "stopped"))


def test_a_stream_goes_on_when_other_data_is_described_otherwise(stream: Bank, renew: Renew) -> None:
    endless(stream.organisation, 150, pause=0.01)
    with opened(stream) as connection:
        assert connection.recv(1024)
        renew(ENERGY, "[[dataset]]", "[[dataset]]  # one")
        drained(connection)
    eventually(stream, ("access_outcome", "delivered"))


def test_a_stream_ends_when_a_rule_forbids_it(stream: Bank, renew: Renew) -> None:
    endless(stream.organisation, 400, pause=0.01)
    with opened(stream) as connection:
        assert connection.recv(1024)
        renew("aval.cedar", "// The fixed", f"{FORBIDDEN}// The fixed")
        drained(connection)
    eventually(stream, ("access_outcome", "stopped"))
