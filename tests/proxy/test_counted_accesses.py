"""What the data plane writes is counted as it is written: calls at once, of two agreements, between other entries."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from gateway.consent.rules import Act
from gateway.log import reading
from gateway.log.tally import BLOCK
from tests.proxy.bank import NATIVE, Bank
from tests.proxy.raw import answer, transactions


def told(bank: Bank) -> dict[str, int]:
    with bank.world.house.store.read() as session:
        return reading.accesses(session, bank.world.house.log, bank.person, bank.world.clock() - timedelta(days=1))


def logged(bank: Bank) -> dict[str, int]:
    accesses = [entry["consent"] for entry in bank.log() if entry["event"] == "access"]
    return {consent: accesses.count(consent) for consent in accesses}


def test_calls_of_two_agreements_at_once_are_counted_exactly(bank: Bank) -> None:
    bank.organisation.says(0, answer(transactions(NATIVE)))
    first = bank.consent, bank.token
    bank.agrees()
    tokens = [bank.token, first[1], "not-a-token", bank.token] * (BLOCK // 2)
    with ThreadPoolExecutor(16) as pool:
        half = len(tokens) // 2
        statuses = list(pool.map(lambda token: bank.reads(token=token).status, tokens[:half]))
        bank.world.change(first[0], Act.PAUSED)  # its calls are refused from now on
        statuses += pool.map(lambda token: bank.reads(token=token).status, tokens[half:])
    assert statuses.count(200) == BLOCK // 4 + BLOCK
    assert told(bank) == logged(bank) == {first[0]: BLOCK // 4, bank.consent: BLOCK}
    blocks, sealed = bank.world.row(
        "SELECT count(*), min(length(sealed)) FROM logtally WHERE person_id = ?", bank.person
    )
    assert blocks == len(bank.log()) // BLOCK >= 1 and sealed > 28


def test_the_call_that_ends_its_agreement_is_counted(bank: Bank) -> None:
    bank.organisation.says(0, answer(transactions(NATIVE)))
    bank.agrees(once=True)
    assert [bank.reads().status for _ in range(2)] == [200, 403]
    assert told(bank) == logged(bank) == {bank.consent: 1}
    (tally,) = bank.world.row("SELECT tally FROM logchain WHERE person_id = ?", bank.person)
    assert tally
