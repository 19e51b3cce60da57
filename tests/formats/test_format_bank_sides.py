"""Who pays or receives: the other side of a transaction leaves when it was granted, the account's own never."""

import json

import pytest
from format_documents import ALWAYS, TYPES, bank, granted, plan, sent, transaction

from gateway.formats.model import Cut

CREDITOR = ("CreditorAgent", "CreditorAccount", "UltimateCreditor")
DEBTOR = ("DebtorAgent", "DebtorAccount", "UltimateDebtor")


def cut(record: dict[str, object]) -> Cut:
    of = plan(granted("bank.transactions"))
    return of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], bank("Transaction", [record]), ALWAYS)


@pytest.mark.parametrize(
    ("direction", "given"),
    [("Debit", CREDITOR), ("Credit", DEBTOR), ("DBIT", ()), ("debit", ()), ("", ()), (None, ())],
)
def test_only_the_other_side_of_a_transaction_leaves(direction: str | None, given: tuple[str, ...]) -> None:
    record = transaction() | {"CreditDebitIndicator": direction}
    if direction is None:
        del record["CreditDebitIndicator"]
    found = cut(record)
    [left] = json.loads(found.body)["Data"]["Transaction"]
    assert {name for name in left if name in CREDITOR + DEBTOR} == set(given)
    assert found.counts.fields_withheld == 1 + len(CREDITOR + DEBTOR) - len(given)  # and what is in no field


def test_what_the_bank_did_not_send_is_not_counted_as_withheld() -> None:
    record = transaction()
    for name in DEBTOR:
        del record[name]
    assert cut(record).counts.fields_withheld == 1
