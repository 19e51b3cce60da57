"""Policies that become others while data calls are under way."""

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue
from gateway.policy import Policies
from gateway.settings import shipped_policies
from tests.proxy.bank import NATIVE, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, answer, transactions
from tests.proxy.supplier import KIND, Supplier, pieces

BANK, ENERGY = "datasets/bank.toml", "datasets/energy.toml"
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


def streamed(supplier: Supplier, meanwhile: Callable[[], None], blocks: int) -> tuple[str, str]:
    """An answer that is too large to be held: `meanwhile` happens when the app has its first bytes. Returns the entry
    that says how it ended."""

    async def behave(exchange: Exchange) -> None:
        await exchange.say(f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nConnection: close\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for piece in pieces(blocks, readings=720):
                await exchange.say(piece, 0.05)
        await exchange.close()

    supplier.organisation.behaviour = behave
    with socket.create_connection(("127.0.0.1", supplier.world.port), timeout=20) as connection:
        connection.sendall(
            f"GET {supplier.path} HTTP/1.1\r\nHost: {supplier.world.settings.host_header}\r\nConnection: close\r\n"
            f"Authorization: Bearer {supplier.token}\r\n\r\n".encode()
        )
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        meanwhile()
        while connection.recv(2**20):
            continue
    end = time.monotonic() + 10
    while (last := outcomes(supplier)[-1])[0] != "access_outcome" and time.monotonic() < end:
        time.sleep(0.05)
    return last


def outcomes(bank: Bank) -> list[tuple[str, str]]:
    return [(entry["event"], entry.get("outcome")) for entry in bank.log()]


def test_a_stream_ends_when_its_data_is_described_otherwise(supplier: Supplier, renew: Renew) -> None:
    ended = streamed(supplier, lambda: renew(ENERGY, '"ReadingType/uom", ', ""), 60)
    assert ended == ("access_outcome", "stopped")


def test_a_stream_goes_on_when_other_data_is_described_otherwise(supplier: Supplier, renew: Renew) -> None:
    ended = streamed(supplier, lambda: renew(BANK, '"Transaction/Status", ', ""), 20)
    assert ended == ("access_outcome", "delivered")


def test_a_stream_ends_when_a_rule_forbids_it(supplier: Supplier, renew: Renew) -> None:
    ended = streamed(supplier, lambda: renew("aval.cedar", "// The fixed", f"{FORBIDDEN}// The fixed"), 60)
    assert ended == ("access_outcome", "stopped")
