"""The accounts of a person as the bank lists them, and reading all pages of a call."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from gateway.formats.bank.calls import CALLS, base, following
from gateway.formats.bank.shapes import NEEDED
from gateway.formats.model import Account, Fetch, FoundAccount, Source, UnknownShape, Upstream
from gateway.formats.names import nameless
from gateway.formats.shapes import Reader, within_limit
from gateway.formats.walking import walk

PAGES = 1000  # more than anybody has, in case the organisation's links go round in a circle
CLOSED = {"Deleted", "Disabled"}

_answer = Reader(NEEDED, "Answer", strict=False)
_account = Reader(NEEDED, "Account", strict=False)


def call(source: Source, operation: str, account: str | None = None) -> Upstream:
    """A call for all data, which only the person may make, never an app."""
    known = CALLS[operation]
    path = base(source) + known.path.replace("{account}", account or "")
    whose = (Account(account, account),) if account else ()
    return Upstream(known.dataset, path, (), "application/json", whose, operation=operation)


def pages(fetch: Fetch, first: Upstream) -> Iterator[list[Any]]:
    """The records of all pages, page by page, as JSON texts. Raises UnknownShape for a page of another shape."""
    return walk(fetch, first, _page, "Links.Next", PAGES)


def _page(sent: Upstream, body: bytes) -> tuple[list[Any], Upstream | None]:
    answer, _ = _answer.read(within_limit(body))
    if answer.Data is UNSET:
        raise UnknownShape("Data")
    found = getattr(answer.Data, CALLS[sent.operation].member)
    return [] if found is UNSET else found, _next(sent, answer)


def _next(sent: Upstream, answer: Any) -> Upstream | None:
    if answer.Links is UNSET or answer.Links.Next is UNSET:
        return None
    address = msgspec.json.decode(answer.Links.Next)
    if not address:  # null and "" both mean that there is no next page
        return None
    after = following(sent, address) if isinstance(address, str) else None
    if after is None:
        raise UnknownShape("Links.Next")
    return after


def held(source: Source, fetch: Fetch) -> list[tuple[Any, Any]]:
    """Every account: its parsed members and its JSON text."""
    found = [(_account.read(raw)[0], raw) for page in pages(fetch, call(source, "accounts")) for raw in page]
    if any(account.AccountId is UNSET for account, _ in found):
        raise UnknownShape("Data.Account.AccountId")
    return found


def accounts(source: Source, fetch: Fetch) -> list[FoundAccount]:
    """The person's accounts. The labels are only shown to the person: last four digits and nickname."""
    found = []
    for account, _ in held(source, fetch):
        closed = account.Status is not UNSET and account.Status in CLOSED
        found.append(
            FoundAccount(
                native=account.AccountId,
                label=label(account),
                kind="" if account.AccountTypeCode is UNSET else account.AccountTypeCode,
                available=not closed,
                why_not="closed" if closed else "",
            )
        )
    return found


def last_digits(account: Any) -> str:
    """The last four characters of the account number; empty if the bank does not give it."""
    if account.Account is UNSET:
        return ""
    numbers = [entry.Identification for entry in account.Account if entry.Identification is not UNSET]
    return numbers[0][-4:] if numbers else ""


def label(account: Any) -> str:
    """The label, without words of any language: it is stored when linking and shown on pages in every language."""
    name = account.Nickname if account.Nickname is not UNSET else ""
    number = last_digits(account) or ("" if name else account.AccountId)
    marked = nameless(number) if number else ""
    return f"{marked} ({name})" if marked and name else marked or name
