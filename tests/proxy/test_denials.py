"""An app that is refused over and over: each refusal for a while, then how many more, as a fact."""

from datetime import UTC, datetime, timedelta

from gateway.consent.rules import Act
from gateway.proxy.denials import EACH
from tests.proxy.bank import Bank


def test_what_was_only_counted_is_told_as_a_number(bank: Bank) -> None:
    start = datetime.now(UTC)
    bank.world.clock = lambda: start
    try:
        for _ in range(EACH + 4):
            assert bank.reads("/data/nowhere/x").status == 403
        assert len(bank.log()) == EACH
        bank.world.clock = lambda: start + timedelta(seconds=61)
        assert bank.reads("/data/nowhere/x").status == 403
    finally:
        bank.world.clock = lambda: datetime.now(UTC)
    counted, again = bank.log()[-2:]
    assert [entry["event"] for entry in bank.log()] == ["denied"] * (EACH + 2)
    assert counted["more"] == 4 and "outcome" not in counted and counted["reasons"] == {"dataset": 4}
    assert "more" not in again


def test_the_count_names_each_reason_and_nothing_of_a_single_call(bank: Bank) -> None:
    start = datetime.now(UTC)
    bank.world.clock = lambda: start
    try:
        for _ in range(EACH + 3):
            assert bank.reads("/data/nowhere/x").reason == "dataset"
        bank.world.change(bank.consent, Act.PAUSED)
        for _ in range(2):
            assert bank.reads().reason == "paused"
        bank.world.clock = lambda: start + timedelta(seconds=61)
        bank.reads()
    finally:
        bank.world.clock = lambda: datetime.now(UTC)
    counted = bank.log()[EACH]
    assert (counted["more"], counted["reasons"]) == (5, {"dataset": 3, "paused": 2})
    assert (counted["consent"], counted["client"]) == (bank.consent, bank.app)
    assert not {"reason", "term", "asked", "request_id", "organisation"} & counted.keys()
