"""What two processes must not both do."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway.organisations import links
from tests.proxy.bank import NATIVE, Bank
from tests.proxy.processes import Processes, served
from tests.proxy.raw import Exchange, RawOrganisation, answer, transactions

RENEWED = b'{"access_token": "renewed", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rotated"}'


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Processes]:
    with served(tmp_path_factory.mktemp("two"), database) as both:
        yield both


def _expire(bank: Bank) -> None:
    keys = bank.world.house.keys
    with bank.world.house.store.write() as session:
        link = links.current(session, bank.person, bank.id)
        assert link is not None
        held = links.credentials(keys, link)
        assert held is not None
        assert links.store_credentials(session, keys, link.id, held, replace(held, expires_at=0))


def test_a_credential_is_renewed_by_one_of_them_and_used_by_both(
    processes: Processes, organisation: RawOrganisation
) -> None:
    """Two renewals with one refresh token would end the link."""
    organisation.reset()
    bank = Bank(processes.world, organisation)
    _expire(bank)

    async def behave(exchange: Exchange) -> None:
        if exchange.target != "/oauth/token":
            await exchange.say(answer(transactions(NATIVE)))
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(RENEWED)
        await exchange.say(0.5, head + RENEWED)

    organisation.behaviour = behave
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda n: processes.reads(bank, processes.all[n % 2]), range(8)))
    assert [each.status for each in answers] == [200] * 8
    assert sum(each.target == "/oauth/token" for each in organisation.seen) == 1
    assert processes.world.row("SELECT count(*) FROM lease") == (0,)
