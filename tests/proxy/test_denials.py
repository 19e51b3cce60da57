"""An app that is refused over and over: each refusal for a while, then how many more, as a fact."""

from datetime import UTC, datetime, timedelta

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
    assert counted["more"] == 4 and "outcome" not in counted
    assert "more" not in again
