"""The supported calls of the account information API, and the translation of their addresses in both directions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.formats.model import Asked, Denied, Source, UnknownShape, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paths import Following, asked_period, checked_query, link, pattern, query_of
from gateway.ground.calendar.instants import Window, instant, local_text, zone
from gateway.ground.http.connector import Pairs

BASE = "/open-banking/v4.0/aisp"
PERIOD = ("fromBookingDateTime", "toBookingDateTime")
PAGING = ("page", "pageSize", "page-size", "offset", "limit", "cursor")


@dataclass(frozen=True, slots=True)
class BankCall:
    dataset: str
    path: str  # below the base
    member: str  # of Data
    query: tuple[str, ...] = PAGING


CALLS = {
    "accounts": BankCall("bank.accounts", "/accounts", "Account"),
    "account": BankCall("bank.accounts", "/accounts/{account}", "Account"),
    "account-balances": BankCall("bank.balances", "/accounts/{account}/balances", "Balance"),
    "account-transactions": BankCall(
        "bank.transactions", "/accounts/{account}/transactions", "Transaction", PERIOD + PAGING
    ),
    "balances": BankCall("bank.balances", "/balances", "Balance"),
    "transactions": BankCall("bank.transactions", "/transactions", "Transaction", PERIOD + PAGING),
}


def base(source: Source) -> str:
    return source.base_path or BASE


def recognised(source: Source, path: str) -> tuple[str, str | None] | None:
    """The operation that a path means, and the account in it."""
    for operation, call in CALLS.items():
        found = pattern(base(source) + call.path).fullmatch(path)
        if found:
            return operation, found.groupdict().get("account")
    return None


def upstream(
    source: Source,
    operation: str,
    names: AccountNames,
    asked: Asked,
    ref: str | None,
    window: Window,
    following: Following,
) -> Upstream | Denied:
    """The call to the bank, with its own account number and a period no wider than the window; or a refusal."""
    call = CALLS[operation]
    query = checked_query(asked, call.query)
    if isinstance(query, Denied):
        return query
    period = _period(source, call, query, window)
    if isinstance(period, Denied):
        return period
    paging = tuple((name, names.inward(value)) for name, value in query.items() if name in PAGING)
    kept = tuple(account for account in names.accounts if ref is None or account.native == names.native[ref])
    path = base(source) + call.path
    return Upstream(
        dataset=call.dataset,
        path=path if ref is None else path.replace("{account}", names.native[ref]),
        query=period + paging,
        accept="application/json",
        accounts=kept,
        continues=asked in following,
        operation=operation,
    )


def _period(source: Source, call: BankCall, query: Mapping[str, str], window: Window) -> Pairs | Denied:
    """from/to of the call: what was asked, inside the window.

    They are local times of the bank without offset (Open Banking profile 4.0, "Date Formats").
    """
    if PERIOD[0] not in call.query:
        return ()
    kept = asked_period(PERIOD, query, window, lambda text: _wall_clock(text, source.zone))
    if isinstance(kept, Denied):
        return kept
    edges = zip(PERIOD, (kept.start, kept.end), strict=True)
    return tuple(
        (name, local_text(edge, source.zone, is_end=name == PERIOD[1])) for name, edge in edges if edge is not None
    )


def _wall_clock(text: str, zone_name: str) -> datetime:
    """A date-time parameter as the bank reads it: as local time, ignoring any offset. Raises ValueError."""
    text = f"{text}T00:00:00" if len(text) == 10 else text
    instant(text, zone_name)  # raises ValueError if it is not a date-time
    return datetime.fromisoformat(text).replace(tzinfo=zone(zone_name))


def outer_path(source: Source, sent: Upstream, names: AccountNames) -> str:
    path = base(source) + CALLS[sent.operation].path
    return path.replace("{account}", names.outward(sent.accounts[0].native)) if "{account}" in path else path


def links(
    source: Source, sent: Upstream, names: AccountNames, found: Mapping[str, str], pages: Following
) -> dict[str, str]:
    """The bank's paging links as addresses of the gateway. `pages` learns where the next page is.

    `Last` would tell how many pages there are including withheld records, so it is dropped unless there is only one.
    """
    path = outer_path(source, sent, names)
    period = tuple(pair for pair in sent.query if pair[0] in PERIOD)
    rewritten = {"Self": link(source.gateway_url, path, _outward(sent.query, names))}
    for rel in ("First", "Prev", "Next"):
        if rel in found:
            query = query_of(found[rel], sent.path)
            if query is None or not query.keys() <= {*PERIOD, *PAGING}:
                raise UnknownShape(f"Links.{rel}")
            paging = tuple((name, value) for name, value in query.items() if name in PAGING)
            outward = period + _outward(paging, names)
            rewritten[rel] = link(source.gateway_url, path, outward)
            if rel == "Next" and paging and period + paging != sent.query:
                pages.linked(path, outward)
    return rewritten


def _outward(query: Pairs, names: AccountNames) -> Pairs:
    return tuple((name, names.outward_text(names.outward(value)) if name in PAGING else value) for name, value in query)


def following(sent: Upstream, address: str) -> Upstream | None:
    """The call to the bank for the next page. None: the link does not continue this call."""
    query = query_of(address, sent.path)
    if query is None:
        return None
    return Upstream(sent.dataset, sent.path, tuple(query.items()), sent.accept, sent.accounts, True, sent.operation)
