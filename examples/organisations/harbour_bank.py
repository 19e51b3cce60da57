"""Harbour Bank: UK Open Banking account information 4.0, for callers with the gateway's assertion.

GET /open-banking/v4.0/aisp/accounts[/{AccountId}[/balances|/transactions]] · /balances · /transactions
fromBookingDateTime, toBookingDateTime, page; pages of 100, linked by Links.Next
"""

import re
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.data import bank
from examples.data.people import BY_BANK, months_back
from examples.organisations import linking
from examples.organisations.common import Assertions, Links, Refused, Setup, serve
from examples.organisations.front import Front

NAME = {"fr": "Banque du Port", "en": "Harbour Bank"}
AISP = "/open-banking/v4.0/aisp"
PAGE_SIZE = 100
_QUERY = {"fromBookingDateTime", "toBookingDateTime", "page"}
_ZONE_SUFFIX = re.compile(r"(?<=:\d\d)(\.\d+)?(Z|[+ -]\d\d:?\d\d)?$")  # a plus sign may arrive as a blank
# code → error of the OBIE list (ExternalReturnReason1Code in 4.0), four characters
_CODES = {400: "U002", 401: "U025", 403: "U020", 404: "U011", 503: "U000"}

Json = dict[str, Any]


def build(setup: Setup) -> Starlette:
    assertions, links = Assertions(setup), Links(setup.folder)

    def mine(request: Request) -> tuple[bank.Account, ...]:
        """The caller's accounts; narrowed to the one in the path when there is one."""
        customer = links.customer(assertions.subject(request, setup.now()))
        accounts = bank.ACCOUNTS[customer]
        wanted = request.path_params.get("account")
        found = tuple(a for a in accounts if wanted in (None, a.id))
        if not found:
            raise Refused(404, "account_unknown")
        return found

    def accounts(request: Request) -> Response:
        found = mine(request)
        ids = {account.id for account in found}
        rows = [row for row in bank.accounts(found[0].person) if row["AccountId"] in ids]
        return _answer(setup, request, {"Account": rows})

    def balances(request: Request) -> Response:
        today = setup.today()
        rows = [row for account in mine(request) for row in bank.balances(account, today)]
        return _answer(setup, request, {"Balance": rows})

    def transactions(request: Request) -> Response:
        today = setup.today()
        found = mine(request)
        first, last, page = _asked(request)
        rows = [row for account in found for row in bank.transactions(account, today)]
        rows = [row for row in rows if first <= datetime.fromisoformat(row["BookingDateTime"]) <= last]
        if len(found) > 1:
            rows.sort(key=lambda row: str(row["BookingDateTime"]), reverse=True)
        return _page(setup, request, rows, page, today)

    routes = [
        Route(f"{AISP}/accounts", accounts),
        Route(f"{AISP}/accounts/{{account}}", accounts),
        Route(f"{AISP}/accounts/{{account}}/balances", balances),
        Route(f"{AISP}/accounts/{{account}}/transactions", transactions),
        Route(f"{AISP}/balances", balances),
        Route(f"{AISP}/transactions", transactions),
        *linking.routes(setup, assertions, links, BY_BANK, NAME),
    ]
    front = Front("harbour-bank", NAME, setup.gateway, AISP, BY_BANK, inbox=True)
    return Starlette(routes=[*front.routes(), *routes], exception_handlers={**front.handlers(), Refused: _refused})


def _asked(request: Request) -> tuple[datetime, datetime, int]:
    """(from, to, page). Unknown parameters are refused, so that a misspelt limit never means "everything"."""
    query = request.query_params
    if set(query) - _QUERY:
        raise Refused(400, "query_unknown")
    try:
        page = int(query.get("page", "1"))
        first = _wall_clock(query.get("fromBookingDateTime", "0001-01-02T00:00:00"))
        last = _wall_clock(query.get("toBookingDateTime", "9999-12-30T00:00:00"))
    except ValueError as error:
        raise Refused(400, "query_invalid") from error
    return first, last, page


def _wall_clock(text: str) -> datetime:
    """The standard has banks ignore any zone in these two parameters and read them as their own local time."""
    return datetime.fromisoformat(_ZONE_SUFFIX.sub("", text)).replace(tzinfo=bank.ZONE)


def _page(setup: Setup, request: Request, rows: list[Json], page: int, today: date) -> Response:
    pages = max(1, -(-len(rows) // PAGE_SIZE))
    if not 1 <= page <= pages:
        raise Refused(400, "page_unknown")

    def link(number: int) -> str:
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "page"] + [("page", str(number))]
        return f"{setup.base_url}{request.url.path}?{urlencode(query)}"

    links = {"Self": link(page), "First": link(1), "Last": link(pages)}
    if page > 1:
        links["Prev"] = link(page - 1)
    if page < pages:
        links["Next"] = link(page + 1)
    first = datetime.combine(months_back(today, bank.MONTHS), time(), bank.ZONE)
    meta = {
        "TotalPages": pages,
        "FirstAvailableDateTime": first.isoformat(),
        "LastAvailableDateTime": datetime.combine(today, time(), bank.ZONE).isoformat(),
    }
    shown = rows[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return _json(request, {"Data": {"Transaction": shown}, "Links": links, "Meta": meta})


def _answer(setup: Setup, request: Request, data: Json) -> Response:
    if request.query_params:
        raise Refused(400, "query_unknown")
    self_link = f"{setup.base_url}{request.url.path}"
    return _json(request, {"Data": data, "Links": {"Self": self_link}, "Meta": {"TotalPages": 1}})


def _json(request: Request, body: Json, status: int = 200) -> Response:
    played_back = request.headers.get("x-fapi-interaction-id") or request.headers.get("x-request-id", "")
    headers = {"cache-control": "no-store"} | ({"x-fapi-interaction-id": played_back} if played_back else {})
    return JSONResponse(body, status, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    one = {"ErrorCode": _CODES.get(error.status, "U000"), "Message": error.code}
    return _json(request, {"Errors": [one]}, error.status)


if __name__ == "__main__":
    serve("harbour_bank", 8402, build, AISP)
