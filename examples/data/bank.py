"""Accounts, balances and transactions in the shape of UK Open Banking read API 4.0, with Detail permissions.

    accounts(person)                → members of Data.Account
    balances(person, account, day)  → members of Data.Balance
    transactions(account, day)      → members of Data.Transaction, newest first, 13 months

Amounts are strings with two decimals, never signed: CreditDebitIndicator says the direction.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from examples.data.bank_tables import KINDS, STYLES, Regular, Style
from examples.data.people import PEOPLE, Person, digits, months_back, opaque

MONTHS = 13
CURRENCY = "EUR"
BIC = "HBRBFRPPXXX"
ZONE = ZoneInfo("Europe/Paris")
OPENED = date(2022, 1, 3)  # the first day on which anything was booked
_PER_DAY = ((2, 3, 4), (40, 42, 18))  # card payments of a day and how often

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    person: Person
    style: Style
    iban: str

    @property
    def card(self) -> str:
        """The card as banks may show it: first six and last four digits."""
        return f"497010******{digits('card', self.id, length=4)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account before it takes the API's shape. `cents` is signed: a debit is negative."""

    at: datetime
    number: int  # within its day
    cents: int
    kind: str
    party: str
    narrative: str
    mcc: str
    balance: int


def iban(bban: str) -> str:
    """A French IBAN with its right check digits (ISO 7064, mod 97)."""
    check = 98 - int(f"{bban}152700") % 97
    return f"FR{check:02d}{bban}"


def _account(person: Person, index: int) -> Account:
    number = digits("account", person.bank, str(index), length=21)
    return Account(
        opaque("harbour", person.bank, str(index), length=22),
        person,
        STYLES[person.key][index],
        iban("30999" + number[:18]),
    )


ACCOUNTS: dict[str, tuple[Account, ...]] = {p.bank: (_account(p, 0), _account(p, 1)) for p in PEOPLE}


def accounts(person: Person) -> list[Json]:
    return [_account_json(account) for account in ACCOUNTS[person.bank]]


def _account_json(account: Account) -> Json:
    opened = datetime.combine(OPENED, time(), ZONE).isoformat()
    return {
        "AccountId": account.id,
        "Status": "Enabled",
        "StatusUpdateDateTime": opened,
        "Currency": CURRENCY,
        "AccountCategory": "Personal",
        "AccountTypeCode": account.style.type_code,
        "Description": account.style.name,
        "Nickname": account.style.nickname,
        "OpeningDate": opened,
        "Account": [
            {
                "SchemeName": "UK.OBIE.IBAN",
                "Identification": account.iban,
                "Name": account.person.name,
                "SecondaryIdentification": account.iban[-6:],
            }
        ],
        "Servicer": {"SchemeName": "UK.OBIE.BICFI", "Identification": BIC},
    }


def balances(account: Account, today: date) -> list[Json]:
    """The booked balance at the end of yesterday, and what is available with the overdraft line."""
    entries = _entries(account, today)
    booked = entries[-1].balance
    at = datetime.combine(today, time(), ZONE).isoformat()
    line = {"Included": True, "Type": "Pre-Agreed", "Amount": {"Amount": "400.00", "Currency": CURRENCY}}
    return [
        {**_balance(booked), "AccountId": account.id, "DateTime": at, "Type": "ITBD"},
        {**_balance(booked + 40_000), "AccountId": account.id, "DateTime": at, "Type": "ITAV", "CreditLine": [line]},
    ]


@lru_cache(maxsize=32)
def transactions(account: Account, today: date) -> tuple[Json, ...]:
    """Newest first, from the first of the month 13 months back to yesterday. Card payments of yesterday are pending."""
    first = months_back(today, MONTHS)
    pending = today - timedelta(days=1)
    return tuple(
        _transaction(account, entry, pending=entry.kind == "card" and entry.at.date() == pending)
        for entry in reversed(_entries(account, today))
        if entry.at.date() >= first
    )


def _money(cents: int) -> Json:
    return {"Amount": f"{abs(cents) // 100}.{abs(cents) % 100:02d}", "Currency": CURRENCY}


def _balance(cents: int) -> Json:
    return {"CreditDebitIndicator": "Credit" if cents >= 0 else "Debit", "Type": "ITBD", "Amount": _money(cents)}


def _transaction(account: Account, entry: Entry, *, pending: bool) -> Json:
    code, sub_code, own = KINDS[entry.kind]
    day = entry.at.date()
    booked: Json = {
        "AccountId": account.id,
        "TransactionId": opaque("tx", account.id, f"{day}/{entry.number}", length=24),
        "TransactionReference": f"HB{day:%y%m%d}{digits('ref', account.id, str(day), str(entry.number), length=6)}",
        "CreditDebitIndicator": "Credit" if entry.cents >= 0 else "Debit",
        "Status": "PDNG" if pending else "BOOK",
        "TransactionMutability": "Mutable" if pending else "Immutable",
        "BookingDateTime": entry.at.isoformat(),
        "ValueDateTime": entry.at.isoformat(),
        "TransactionInformation": entry.narrative,
        "Amount": _money(entry.cents),
        "BankTransactionCode": {"Code": code, "SubCode": sub_code},
        "ProprietaryBankTransactionCode": {"Code": own, "Issuer": "Harbour Bank"},
        "Balance": _balance(entry.balance),
    }
    if pending:
        del booked["Balance"]  # not on the books yet
    if entry.mcc:
        booked["MerchantDetails"] = {"MerchantName": entry.party, "MerchantCategoryCode": entry.mcc}
    return booked | _other_side(account, entry)


def _other_side(account: Account, entry: Entry) -> Json:
    """Card or counterparty account, as the kind of payment has it."""
    if entry.kind in ("card", "cash"):
        card = {"CardSchemeName": "VISA", "AuthorisationType": "Contactless" if entry.cents > -5000 else "PIN"}
        return {"CardInstrument": {**card, "Name": account.person.name, "Identification": account.card}}
    side = "DebtorAccount" if entry.cents >= 0 else "CreditorAccount"
    number = iban("30777" + digits("party", entry.party, length=18))
    return {side: {"SchemeName": "UK.OBIE.IBAN", "Identification": number, "Name": entry.party}}


@lru_cache(maxsize=32)
def _entries(account: Account, today: date) -> tuple[Entry, ...]:
    """Everything booked from the opening to yesterday, oldest first."""
    if today <= OPENED:
        raise ValueError(f"the example bank opened on {OPENED}")
    balance = account.style.target
    entries: list[Entry] = []
    for offset in range((today - OPENED).days):
        for entry in _day(account, OPENED + timedelta(days=offset), balance):
            entries.append(entry)
            balance = entry.balance
    return tuple(entries)


def _day(account: Account, day: date, balance: int) -> Iterator[Entry]:
    rng = random.Random(f"harbour/{account.id}/{day.isoformat()}")
    number = 0
    for regular in account.style.regulars:
        if regular.day == day.day:
            balance += regular.cents if regular.credit else -regular.cents
            yield _regular(day, number, regular, balance)
            number += 1
    if day.day in (14, 28) and (gap := account.style.target - balance):
        balance += gap
        yield _levelled(account, day, number, gap, balance)
        number += 1
    for at, kind, cents, party, narrative, mcc in sorted(_purchases(account, day, rng)):
        balance -= cents
        yield Entry(at, number, -cents, kind, party, narrative, mcc, balance)
        number += 1


def _purchases(account: Account, day: date, rng: random.Random) -> Iterator[tuple[datetime, str, int, str, str, str]]:
    style = account.style
    for _ in range(rng.choices(*_PER_DAY)[0]):
        shop = rng.choices(style.merchants, [m.weight for m in style.merchants])[0]
        cents = max(50, round(rng.triangular(shop.low, shop.high, shop.low * 1.4) * style.scale))
        at = _instant(day, rng.randrange(8 * 3600, 22 * 3600))
        place = f" {account.person.town.upper()} CARTE {account.card[-4:]}"
        yield at, "card", cents, shop.name, f"CB {shop.name.upper()}{place}", shop.mcc
    if rng.random() < 0.05:
        cents = rng.choice((2000, 3000, 4000, 6000)) if style.scale == 1 else 1000
        narrative = f"RETRAIT DAB {account.person.town.upper()} CARTE {account.card[-4:]}"
        yield _instant(day, rng.randrange(9 * 3600, 20 * 3600)), "cash", cents, "DAB", narrative, ""


def _regular(day: date, number: int, regular: Regular, balance: int) -> Entry:
    cents = regular.cents if regular.credit else -regular.cents
    narrative = f"{regular.narrative} {day:%m/%Y}"
    return Entry(_instant(day, 4 * 3600), number, cents, regular.kind, regular.party, narrative, regular.mcc, balance)


def _levelled(account: Account, day: date, number: int, gap: int, balance: int) -> Entry:
    """The transfer, twice a month, that brings an account back to its target: it neither empties nor grows."""
    narrative = f"VIR {'DE' if gap > 0 else 'VERS'} {account.style.funder.upper()}"
    kind = "received" if gap > 0 else "paid"
    return Entry(_instant(day, 5 * 3600), number, gap, kind, account.style.funder, narrative, "", balance)


def _instant(day: date, second: int) -> datetime:
    """A wall-clock second of a Paris day, in UTC."""
    return datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60), ZONE).astimezone(UTC)
