"""A person's download of all the bank has: the bank's own JSON, and a midata CSV for each account.

midata PCA file, 2014: `Date,Type,Merchant/Description,Debit/Credit,Balance`, newest first, DD/MM/YYYY, amounts signed
with two decimals, and a last line of three cells with the arranged overdraft.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import UNSET

from gateway.formats.bank.accounts import call, held, last_digits, pages
from gateway.formats.bank.plan import MEDIA_TYPE
from gateway.formats.bank.shapes import NEEDED
from gateway.formats.model import Account, Download, Fetch, Source
from gateway.formats.shapes import Reader, encode
from gateway.ground.calendar.instants import instant, zone
from gateway.ground.web.spreadsheets import written

HEADER = ("Date", "Type", "Merchant/Description", "Debit/Credit", "Balance")
TYPES = {
    "IssuedDirectDebits": "DD",
    "CashWithdrawal": "ATM",
    "CustomerCardTransactions": "VIS",
    "MerchantCardTransactions": "VIS",
}
DAY = "%d/%m/%Y"

_transaction = Reader(NEEDED, "Transaction", strict=False)
_balance = Reader(NEEDED, "Balance", strict=False)


def download(source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> list[Download]:
    """All pages of accounts, balances and transactions. Only for `accounts`; if it is empty, for none."""
    wanted = {account.native for account in accounts}
    found = [(account, raw) for account, raw in held(source, fetch) if account.AccountId in wanted]
    files = [_json("accounts.json", "Account", [raw for _, raw in found], "bank.accounts")]
    balances, transactions, tables = [], [], []
    for account, _ in found:
        own = [raw for page in pages(fetch, call(source, "account-balances", account.AccountId)) for raw in page]
        balances += own
        rows = [raw for page in pages(fetch, call(source, "account-transactions", account.AccountId)) for raw in page]
        transactions += rows
        tables.append((account, own, rows))
    files.append(_json("balances.json", "Balance", balances, "bank.balances"))
    files.append(
        _dated(_json("transactions.json", "Transaction", transactions, "bank.transactions"), transactions, source)
    )
    names = _file_names([account for account, _, _ in tables])
    for name, (_, own, rows) in zip(names, tables, strict=True):
        files.append(
            _dated(
                Download(name, "text/csv", midata(own, rows, source.zone), "bank.transactions", len(rows)), rows, source
            )
        )
    return files


def _json(name: str, member: str, records: list[Any], dataset: str) -> Download:
    return Download(name, MEDIA_TYPE, encode({"Data": {member: records}}), dataset, len(records))


def _dated(file: Download, rows: list[Any], source: Source) -> Download:
    moments = [moment for moment in (_booked(_transaction.read(raw)[0], source.zone) for raw in rows) if moment]
    if not moments:
        return file
    return Download(file.name, file.media_type, file.body, file.dataset, file.records, min(moments), max(moments))


def _file_names(found: list[Any]) -> list[str]:
    """`midata-1234.csv`: with at most four digits of the account number, and a counter where these are the same."""
    names: list[str] = []
    for account in found:
        digits = last_digits(account)
        stem = f"midata-{digits}" if digits else "midata"
        taken = sum(name == f"{stem}.csv" or name.startswith(f"{stem}_") for name in names)
        names.append(f"{stem}_{taken + 1}.csv" if taken else f"{stem}.csv")
    return names


def midata(balances: list[Any], transactions: list[Any], zone_name: str) -> bytes:
    """The midata file of one account."""
    entries = [_transaction.read(raw)[0] for raw in transactions]
    dated = sorted(((_booked(e, zone_name), e) for e in entries), key=_when, reverse=True)
    rows: list[tuple[str, ...]] = [HEADER]
    rows += [_row(entry, zone_name) for _, entry in dated]
    rows += _overdraft([_balance.read(raw)[0] for raw in balances], zone_name)
    return written(rows)


def _when(dated: tuple[datetime | None, Any]) -> float:
    return dated[0].timestamp() if dated[0] else 0.0


def _booked(entry: Any, zone_name: str) -> datetime | None:
    return None if entry.BookingDateTime is UNSET else _moment(entry.BookingDateTime, zone_name)


def _moment(text: str, zone_name: str) -> datetime | None:
    """The instant; None for a text of another form, which the table then shows as the bank wrote it."""
    try:
        return instant(text, zone_name)
    except ValueError:
        return None


def _day(text: Any, zone_name: str) -> str:
    if text is UNSET:
        return ""
    moment = _moment(text, zone_name)
    return moment.astimezone(zone(zone_name)).strftime(DAY) if moment else str(text)


def _row(entry: Any, zone_name: str) -> tuple[str, ...]:
    return (
        _day(entry.BookingDateTime, zone_name),
        _type(entry),
        _description(entry),
        _signed(entry),
        _signed(entry.Balance),
    )


def _type(entry: Any) -> str:
    if entry.ProprietaryBankTransactionCode is not UNSET and entry.ProprietaryBankTransactionCode.Code is not UNSET:
        return str(entry.ProprietaryBankTransactionCode.Code)
    code = entry.BankTransactionCode
    return "TRF" if code is UNSET else TYPES.get(code.Code, "TRF")


def _description(entry: Any) -> str:
    if entry.MerchantDetails is not UNSET and entry.MerchantDetails.MerchantName is not UNSET:
        return str(entry.MerchantDetails.MerchantName)
    return "" if entry.TransactionInformation is UNSET else str(entry.TransactionInformation)


def _signed(money: Any) -> str:
    """An amount with its direction as a sign and two decimals. The bank writes amounts unsigned."""
    if money is UNSET or money.Amount is UNSET or money.Amount.Amount is UNSET:
        return ""
    return _decimals(money.Amount.Amount, negative=money.CreditDebitIndicator == "Debit")


def _decimals(text: str, *, negative: bool = False) -> str:
    try:
        return f"{-Decimal(text) if negative else Decimal(text):.2f}"
    except InvalidOperation:
        return text


def _overdraft(balances: list[Any], zone_name: str) -> list[tuple[str, ...]]:
    for balance in balances:
        for line in () if balance.CreditLine is UNSET else balance.CreditLine:
            limit = UNSET if line.Amount is UNSET else line.Amount.Amount
            if limit is not UNSET and line.Type in ("Pre-Agreed", "Available", "Temporary", "Emergency"):
                return [("Arranged overdraft limit", _day(balance.DateTime, zone_name), _decimals(limit))]
    return []
