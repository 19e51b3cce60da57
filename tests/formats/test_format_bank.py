"""Banks: what leaves is what was agreed, valid by the Open Banking schema, and nothing else."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from format_documents import (
    ALWAYS,
    BANK_CANARIES,
    BANK_NEVER,
    BASES,
    FOREIGN,
    FORMATS,
    MINE,
    OTHER,
    TYPES,
    YEAR,
    account,
    asked,
    balance,
    bank,
    free_fields,
    granted,
    later,
    plan,
    removals,
    sent,
    source,
    transaction,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.formats import registry
from gateway.formats.model import Account, Denied, TooLarge, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window

CASES = {
    "bank.accounts": ("/accounts", "Account", account, "OBReadAccount6"),
    "bank.balances": ("/balances", "Balance", balance, "OBReadBalance1"),
    "bank.transactions": ("/transactions", "Transaction", transaction, "OBReadTransaction6"),
}
TRANSACTIONS = f"/accounts/{MINE.ref}/transactions"


def cut(dataset="bank.transactions", records=None, without=(), window=ALWAYS, accounts=(MINE,), most=None, **parts):
    path, member, make, _ = CASES[dataset]
    of = plan(granted(dataset, without, accounts, most))
    body = bank(member, [make()] if records is None else records, **parts)
    return of.cut(sent(of, "bank", path, window=window), TYPES["bank"], body, window)


@pytest.mark.parametrize("dataset", CASES)
def test_every_field_and_every_pair_of_fields_can_be_withheld(dataset, open_banking):
    _, member, _, schema = CASES[dataset]
    for without in removals(dataset, pairs=True):
        found = cut(dataset, without=without)
        open_banking(schema, found.body)
        text = found.body.decode()
        if "transaction.amount" in without:
            assert (found.counts.records, found.counts.records_withheld) == (0, 1)
            assert json.loads(text)["Data"][member] == []
            continue
        assert found.counts.records == 1
        for field, canaries in BANK_CANARIES[dataset].items():
            for canary in canaries:
                given = field not in without and not (canary == "extended words" and "transaction.type" in without)
                assert (canary in text) == given, (field, canary, without)
        assert not [never for never in [*BANK_NEVER, MINE.native] if never in text]


def test_the_number_of_members_withheld_is_exact():
    assert cut().counts.fields_withheld == 4  # SupplementaryData is in no field, and three members tell of the payer
    assert cut(without=["transaction.merchant"]).counts.fields_withheld == 6
    given = cut(records=[transaction(), transaction(FOREIGN)], without=["transaction.merchant"]).counts
    assert (given.records, given.records_withheld, given.fields_withheld) == (1, 1, 6)


def test_a_record_of_another_account_is_withheld():
    for dataset, (_, member, make, _) in CASES.items():
        found = cut(dataset, records=[make(FOREIGN), make(), make(OTHER.native)])
        assert (found.counts.records, found.counts.records_withheld) == (1, 2)
        assert [each["AccountId"] for each in json.loads(found.body)["Data"][member]] == [MINE.ref]


def test_a_call_for_one_account_gives_only_that_one():
    of = plan(granted("bank.transactions", accounts=(MINE, OTHER)))
    call = sent(of, "bank", TRANSACTIONS)
    assert call.path == f"{BASES['bank']}/accounts/{MINE.native}/transactions"
    found = of.cut(call, TYPES["bank"], bank("Transaction", [transaction(), transaction(OTHER.native)]), ALWAYS)
    assert (found.counts.records, found.counts.records_withheld) == (1, 1)
    assert OTHER.ref.encode() not in found.body


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2025-01-01T00:00:00Z", True),
        ("2024-12-31T23:59:59Z", False),
        ("2025-01-01T00:59:59+01:00", False),
        ("2025-01-01T01:00:00+01:00", True),
        ("2025-12-31T23:59:59Z", True),
        ("2026-01-01T00:00:00Z", False),
        ("2025-01-01T01:00:00", True),  # without offset: local time of the bank
        ("2025-01-01T00:59:59", False),
    ],
)
def test_the_period_is_half_open_to_the_second(at, inside):
    found = cut(records=[transaction(at=at)], window=YEAR)
    assert found.counts.records == int(inside)
    assert cut("bank.balances", records=[balance(at=at)], window=YEAR).counts.records == int(inside)


def test_a_record_without_its_time_is_outside():
    record = transaction()
    del record["BookingDateTime"]
    assert cut(records=[record]).counts.records_withheld == 1


def test_no_more_records_than_agreed():
    found = cut(records=[transaction()] * 5, most=2)
    assert (found.counts.records, found.counts.records_withheld) == (2, 3)


@pytest.mark.parametrize(
    "plant",
    [
        lambda d: d.update(Extra=1),
        lambda d: d["Data"].update(Extra=1),
        lambda d: d["Data"]["Transaction"][0].update(Extra=1),
        lambda d: d["Data"]["Transaction"][0]["Amount"].update(Extra=1),
        lambda d: d["Data"]["Transaction"][0]["CreditorAccount"]["Proxy"].update(Extra=1),
        lambda d: d["Data"]["Transaction"][0].update(Status={"Extra": 1}),
        lambda d: d["Data"]["Transaction"][0].update(Amount=1.10),
        lambda d: d["Data"]["Transaction"][0]["CurrencyExchange"].update(ExchangeRate={"Extra": 1}),
        lambda d: d["Data"]["Transaction"][0]["CurrencyExchange"].update(ExchangeRate="1"),
        lambda d: d["Data"]["Transaction"][0].update(BookingDateTime="yesterday"),
        lambda d: d.pop("Data"),
    ],
)
def test_an_unknown_member_anywhere_refuses_the_whole_answer(plant):
    document = json.loads(bank("Transaction", [transaction()]))
    plant(document)
    of = plan(granted("bank.transactions"), strict=True)
    with pytest.raises(UnknownShape) as refused:
        of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], json.dumps(document).encode(), ALWAYS)
    assert "narrative" not in refused.value.where and "yesterday" not in refused.value.where


@pytest.mark.parametrize(
    "text", ["1.10", "1e2", "-0", "12345678901234567890123456789", "0.1000000000000000000001", "1E-7"]
)
def test_numbers_keep_their_text(text):
    of = plan(granted("bank.transactions"))
    body = bank("Transaction", [transaction()]).replace(b"1.4142", text.encode())
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], body, ALWAYS)
    assert f'"ExchangeRate":{text},'.encode() in found.body


def test_duplicate_keys_do_not_smuggle_a_foreign_record():
    of = plan(granted("bank.transactions"))
    body = bank("Transaction", [transaction()]).decode()
    twice = body.replace(f'"AccountId": "{MINE.native}"', f'"AccountId": "{FOREIGN}", "AccountId": "{MINE.native}"')
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], twice.encode(), ALWAYS).body
    assert found.count(b'"AccountId"') == 1 and FOREIGN.encode() not in found


def test_the_banks_number_of_an_account_is_replaced_inside_its_other_words_and_amounts_stay():
    number = Account("771015", MINE.ref)
    record = transaction(number.native) | {
        "TransactionId": f"{number.native}-1",
        "TransactionReference": number.native,
        "StatementReference": [f"S-{number.native}", "S-1"],
        "TransactionInformation": f"to {number.native}",
        "Amount": {"Amount": "1771015.00", "Currency": "EUR"},
    }
    found = json.loads(cut(records=[record], accounts=(number,)).body)["Data"]["Transaction"][0]
    assert found["TransactionId"] == f"{MINE.ref}-1" and found["TransactionReference"] == MINE.ref
    assert (
        found["StatementReference"] == [f"S-{MINE.ref}", "S-1"] and found["TransactionInformation"] == f"to {MINE.ref}"
    )
    assert found["Amount"]["Amount"] == "1771015.00"
    named = account(number.native) | {"Nickname": f"Mine {number.native}"}
    listed = json.loads(cut("bank.accounts", records=[named], accounts=(number,)).body)["Data"]["Account"][0]
    assert listed["Nickname"] == f"Mine {MINE.ref}"


@pytest.mark.parametrize("spelling", ["\\u006eative-4711-1", "native\\u002d4711-1"])
def test_an_escaped_spelling_does_not_hide_the_number_of_an_account(spelling):
    of = plan(granted("bank.transactions"))
    body = bank("Transaction", [transaction()]).replace(b'"tx-canary"', f'"{spelling}"'.encode())
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], body, ALWAYS).body
    assert f'"TransactionId":"{MINE.ref}-1"'.encode() in found


@pytest.mark.parametrize(
    "plant",
    [
        lambda d: d["Data"].update(Account=[{"AccountId": "PLANTED"}]),
        lambda d: d["Links"].update(Extra="PLANTED"),
        lambda d: d["Meta"].update(Extra="PLANTED"),
        lambda d: d["Meta"].update(TotalPages="PLANTED"),
        lambda d: d["Links"].update(Next=None),
        lambda d: d["Links"].update(Next=""),
    ],
)
def test_what_stands_around_the_records_is_written_anew(plant):
    document = json.loads(bank("Transaction", [transaction()]))
    plant(document)
    of = plan(granted("bank.transactions"))
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], json.dumps(document).encode(), ALWAYS)
    assert found.counts.records == 1 and b"PLANTED" not in found.body and not found.following
    assert json.loads(found.body)["Links"].keys() == {"Self", "First"}


def test_page_counts_and_sums_that_tell_of_withheld_records_go():
    link = "https://org.example/open-banking/v4.0/aisp/transactions?page=%d&fromBookingDateTime=2020-01-01T00:00:00"
    links = {"Self": "https://org.example/x", "First": link % 1, "Next": link % 2, "Last": link % 37}
    found = json.loads(cut(links=links, meta={"TotalPages": 37}, window=YEAR).body)
    assert "Last" not in found["Links"] and "TotalPages" not in found["Meta"]
    document = json.loads(bank("Balance", [balance()]))
    document["Data"]["TotalValue"] = {"Amount": "999999.99", "Currency": "EUR"}
    of = plan(granted("bank.balances"))
    body = of.cut(sent(of, "bank", "/balances"), TYPES["bank"], json.dumps(document).encode(), ALWAYS).body
    assert b"999999.99" not in body


def test_a_next_link_leads_through_the_gateway_and_is_taken_back():
    of = plan(granted("bank.transactions"))
    first = sent(of, "bank", TRANSACTIONS, window=YEAR)
    assert not first.continues
    links = {"Self": "https://x", "Next": f"https://org.example{first.path}?page=2&pageSize=100"}
    found = json.loads(of.cut(first, TYPES["bank"], bank("Transaction", [transaction()], links), YEAR).body)
    following = found["Links"]["Next"]
    prefix = source("bank").gateway_url
    assert following.startswith(f"{prefix}{BASES['bank']}{TRANSACTIONS}?") and MINE.native not in json.dumps(found)
    path, _, query = following.removeprefix(prefix).partition("?")
    pairs = [tuple(pair.split("=")) for pair in query.replace("%2B", "+").split("&")]
    again = of.request(asked("bank", path.removeprefix(BASES["bank"]), *pairs), YEAR)
    assert isinstance(again, Upstream) and again.continues
    assert dict(again.query)["page"] == "2" and dict(again.query)["pageSize"] == "100"


def test_coverage_dates_are_clamped_to_the_period():
    meta = {"FirstAvailableDateTime": "2020-05-03T00:00:00+00:00", "LastAvailableDateTime": "2025-12-03T00:00:00+00:00"}
    found = json.loads(cut(meta=meta, window=YEAR).body)["Meta"]
    assert found == {
        "FirstAvailableDateTime": "2025-01-01T00:00:00Z",
        "LastAvailableDateTime": "2025-12-03T00:00:00+00:00",
    }


def test_the_period_asked_for_is_clamped_to_the_agreed_one():
    of = plan(granted("bank.transactions"))
    call = sent(of, "bank", TRANSACTIONS, ("fromBookingDateTime", "2020-01-01T00:00:00"), window=YEAR)
    assert dict(call.query) == {
        "fromBookingDateTime": "2025-01-01T01:00:00",
        "toBookingDateTime": "2026-01-01T01:00:00",
    }
    narrow = sent(of, "bank", TRANSACTIONS, ("fromBookingDateTime", "2025-07-01T00:00:00Z"), window=YEAR)
    assert dict(narrow.query)["fromBookingDateTime"] == "2025-07-01T00:00:00"  # the zone is ignored, as the bank does


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ((2025, 10, 25, 22), (2025, 10, 26, 2), ("2025-10-26T00:00:00", "2025-10-26T03:00:00")),
        ((2025, 10, 26, 0, 30), (2025, 10, 26, 0, 45), ("2025-10-26T01:30:00", "2025-10-26T03:45:00")),
        ((2025, 10, 26, 1, 30), (2025, 10, 26, 1, 45), ("2025-10-26T01:30:00", "2025-10-26T03:45:00")),
        ((2025, 3, 30, 0, 30), (2025, 3, 30, 1, 30), ("2025-03-30T01:30:00", "2025-03-30T03:30:00")),
    ],
)
def test_query_dates_have_no_offset_and_no_record_is_lost_when_the_clocks_change(start, end, told):
    of = plan(granted("bank.transactions"))
    agreed = Window(datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))
    assert tuple(dict(sent(of, "bank", TRANSACTIONS, window=agreed).query).values()) == told


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        ("/parties", (), "dataset"),
        ("/balances", (), "dataset"),  # not granted
        (f"/accounts/{MINE.ref}/statements", (), "dataset"),
        ("/transactions/../balances", (), "dataset"),
        (f"/accounts/{OTHER.ref}/transactions", (), "account"),
        (f"/accounts/{MINE.native}/transactions", (), "account"),
        (TRANSACTIONS, (("fromBookingDateTime", "2026-02-01T00:00:00"),), "period"),
        (TRANSACTIONS, (("fromBookingDateTime", "soon"),), "period"),
        (TRANSACTIONS, (("includeAll", "1"),), "field"),
        (TRANSACTIONS, (("page", "1"), ("page", "2")), "field"),
        (TRANSACTIONS, (("page", "1\r\nX: y"),), "field"),
    ],
)
def test_what_is_not_agreed_is_refused_with_the_term(path, query, reason):
    found = plan(granted("bank.transactions")).request(asked("bank", path, *query), YEAR)
    assert isinstance(found, Denied) and found.reason == reason and found.term


def test_a_path_the_organisation_does_not_declare_is_refused():
    declared = replace(
        source("bank"), paths={"bank.transactions": (f"{BASES['bank']}/accounts/{{account}}/transactions",)}
    )
    of = registry.plan(declared, FORMATS["bank"], [granted("bank.transactions")])
    assert isinstance(of.request(asked("bank", TRANSACTIONS), YEAR), Upstream)
    assert isinstance(of.request(asked("bank", "/transactions"), YEAR), Denied)


def test_another_media_type_or_character_set_is_refused():
    of = plan(granted("bank.transactions"))
    call = sent(of, "bank", "/transactions")
    body = bank("Transaction", [transaction()])
    assert of.cut(call, "application/json; charset=UTF-8", body, ALWAYS).counts.records == 1
    for other in ("text/html", "application/json; charset=utf-16", ""):
        with pytest.raises(UnknownShape):
            of.cut(call, other, body, ALWAYS)


def test_an_answer_above_the_limit_is_too_large():
    of = plan(granted("bank.transactions"))
    with pytest.raises(TooLarge):
        of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], b" " * (8 * 1024 * 1024 + 1), ALWAYS)
    assert of.cutter(sent(of, "bank", "/transactions"), TYPES["bank"], ALWAYS) is None


@given(
    without=st.sets(st.sampled_from(free_fields("bank.transactions"))),
    seconds=st.lists(st.integers(-5, 5), max_size=6),
    natives=st.lists(st.sampled_from([MINE.native, OTHER.native, FOREIGN]), min_size=6, max_size=6),
)
def test_the_cut_never_holds_more_than_is_granted(without, seconds, natives):
    records = [
        transaction(native, later(YEAR.start, second).isoformat())
        for native, second in zip(natives, seconds, strict=False)
    ]
    found = cut(records=records, without=without, window=YEAR)
    agreed = [
        n == MINE.native and s >= 0 and "transaction.amount" not in without
        for n, s in zip(natives, seconds, strict=False)
    ]
    assert found.counts.records == sum(agreed) and found.counts.records_withheld == len(records) - sum(agreed)
    for record in json.loads(found.body)["Data"]["Transaction"]:
        original = transaction(at=record["BookingDateTime"]) | {"AccountId": MINE.ref}
        assert all(
            original[name] == value
            for name, value in record.items()
            if name != "ExtendedProprietaryBankTransactionCodes"
        )
    for field in without:
        assert not [canary for canary in BANK_CANARIES["bank.transactions"][field] if canary.encode() in found.body]


def test_a_window_open_on_both_sides_lets_everything_through():
    assert cut(window=Window(None, None)).counts.records == 1
