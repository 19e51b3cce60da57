"""A person's download of all the bank has: the bank's own JSON, and a midata CSV for each account.

midata PCA file, 2014: `Date,Type,Merchant/Description,Debit/Credit,Balance`, newest first, DD/MM/YYYY, amounts signed
with two decimals, and a last line of three cells with the arranged overdraft.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import UNSET

from gateway.catalogue.formats import Format
from gateway.exports.native import Read
from gateway.formats.model import Download, Source
from gateway.formats.shapes import Reader
from gateway.ground.calendar.instants import instant, zone
from gateway.ground.web.spreadsheets import written

# The members that the table needs. All others are skipped.
NEEDED = {
    "Account": "AccountId:s Account:CashAccount*",
    "CashAccount": "Identification:s",
    "Balance": "DateTime:s CreditLine:CreditLine*",
    "CreditLine": "Type:s Amount:Money",
    "Money": "Amount:s",
    "Transaction": (
        "CreditDebitIndicator:s BookingDateTime:s TransactionInformation:s Amount:Money Balance:CashBalance"
        " BankTransactionCode:BankCode ProprietaryBankTransactionCode:BankCode MerchantDetails:Merchant"
    ),
    "CashBalance": "CreditDebitIndicator:s Amount:Money",
    "BankCode": "Code:s",
    "Merchant": "MerchantName:s",
}
HEADER = ("Date", "Type", "Merchant/Description", "Debit/Credit", "Balance")
TYPES = {
    "IssuedDirectDebits": "DD",
    "CashWithdrawal": "ATM",
    "CustomerCardTransactions": "VIS",
    "MerchantCardTransactions": "VIS",
}
DAY = "%d/%m/%Y"

_account = Reader(NEEDED, "Account", strict=False)
_transaction = Reader(NEEDED, "Transaction", strict=False)
_balance = Reader(NEEDED, "Balance", strict=False)


def files(form: Format, source: Source, read: Read) -> list[Download]:
    """One table for each account, in the order in which the bank lists them."""
    found = [_account.read(raw)[0] for raw in read["accounts"][""]]
    return [
        _table(
            name, source, read["account-balances"][account.AccountId], read["account-transactions"][account.AccountId]
        )
        for name, account in zip(_file_names(found), found, strict=True)
    ]


def _table(name: str, source: Source, balances: list[Any], rows: list[Any]) -> Download:
    moments = [moment for moment in (_booked(_transaction.read(raw)[0], source.zone) for raw in rows) if moment]
    first, last = (min(moments), max(moments)) if moments else (None, None)
    body = midata(balances, rows, source.zone)
    return Download(name, "text/csv", body, "bank.transactions", len(rows), first, last)


def last_digits(account: Any) -> str:
    """The last four characters of the account number; empty if the bank does not give it."""
    if account.Account is UNSET:
        return ""
    numbers = [entry.Identification for entry in account.Account if entry.Identification is not UNSET]
    return numbers[0][-4:] if numbers else ""


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
