"""City Energy: Green Button Connect My Data (NAESB ESPI 1.1 paths), with an OAuth server of its own.

GET /espi/1_1/resource/Batch/Subscription/{s}[/UsagePoint[/{u}]]     everything, as one feed
GET /espi/1_1/resource/Subscription/{s}/UsagePoint[/{u}[/…]]         one resource or one collection
GET /espi/1_1/resource/{LocalTimeParameters, ReadingType}[/{id}] · /Authorization/{id} · /ReadServiceStatus
{s} may be "mine": the subscription that the token stands for, for clients that keep no address
published-min, published-max (RFC 3339): interval blocks and summaries lie wholly between them
"""

import argparse
import os
import secrets
import sys
from datetime import datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from examples.cookies import cookie
from examples.data import energy, espi
from examples.data.people import BY_ENERGY
from examples.languages import language
from examples.organisations import city_energy_pages as pages
from examples.organisations.city_energy_oauth import Asks, Grants, OAuthError
from examples.organisations.common import Refused, Setup, serve
from examples.organisations.front import Front

COOKIE = "city_energy"
MINE = "mine"
_TIMES = ("published-min", "published-max")


def build(setup: Setup) -> Starlette:
    secret = setup.options.client_secret or os.environ.get("CITY_ENERGY_CLIENT_SECRET", "")
    if not secret:
        sys.exit("city_energy: give the gateway's client secret by CITY_ENERGY_CLIENT_SECRET or --client-secret")
    asks = Asks(f"{setup.gateway}/organisations/city-energy/linked")
    grants = Grants(setup.folder, secret, setup.base_url)
    front = Front("city-energy", pages.NAME, setup.gateway, espi.RESOURCE, BY_ENERGY, inbox=False, page=pages.front)
    return Starlette(
        routes=[*front.routes(), *_oauth(setup, asks, grants), *_data(setup, grants)],
        exception_handlers={**front.handlers(), Refused: _refused, OAuthError: _oauth_error},
    )


# ---- linking, seen by the customer


def _oauth(setup: Setup, asks: Asks, grants: Grants) -> list[Route]:
    def authorize(request: Request) -> Response:
        browser = cookie(request, COOKIE) or secrets.token_urlsafe(32)
        opened = asks.open(request.query_params, browser, setup.now())
        if isinstance(opened, str):
            return RedirectResponse(opened, 303)
        answer = HTMLResponse(pages.sign_in(opened[0], _tongue(request)))
        answer.set_cookie(COOKIE, browser, httponly=True, samesite="lax", path="/oauth")
        return answer

    async def sign_in(request: Request) -> Response:
        form = await request.form()
        key = str(form.get("ask", ""))
        ask = asks.get(key, cookie(request, COOKIE), setup.now())
        if not asks.sign_in(ask, str(form.get("customer_number", "")), str(form.get("password", ""))):
            return HTMLResponse(pages.sign_in(key, _tongue(request), wrong=True), 403)
        points = energy.POINTS[ask.customer]
        return HTMLResponse(pages.approve(key, _tongue(request), BY_ENERGY[ask.customer], points))

    async def approve(request: Request) -> Response:
        form = await request.form()
        key = str(form.get("ask", ""))
        ask = asks.get(key, cookie(request, COOKIE), setup.now())
        if not ask.customer:
            raise Refused(400, "request_expired")
        asks.close(key)
        if form.get("decision") != "yes":
            return RedirectResponse(ask.back(error="access_denied"), 303)
        return RedirectResponse(ask.back(code=grants.agreed(ask, setup.now())), 303)

    async def token(request: Request) -> Response:
        form = await request.form()
        grants.client(request)
        answer = grants.redeem({name: str(value) for name, value in form.items()}, setup.now())
        return JSONResponse(answer, headers={"cache-control": "no-store", "pragma": "no-cache"})

    async def revoke(request: Request) -> Response:
        form = await request.form()
        grants.client(request)
        grants.revoke(str(form.get("token", "")), setup.now())
        return Response(status_code=200)

    return [
        Route("/oauth/authorize", authorize),
        Route("/oauth/sign-in", sign_in, methods=["POST"]),
        Route("/oauth/approve", approve, methods=["POST"]),
        Route("/oauth/token", token, methods=["POST"]),
        Route("/oauth/revoke", revoke, methods=["POST"]),
    ]


# ---- data


def _data(setup: Setup, grants: Grants) -> list[Route]:
    def mine(request: Request) -> tuple[str, tuple[energy.Point, ...]]:
        """The token's subscription and points; narrowed to the point in the path when there is one."""
        subscription, customer = grants.bearer(request, setup.now())
        if request.path_params.get("subscription", MINE) not in (MINE, subscription):
            raise Refused(403, "another_subscription")
        wanted = request.path_params.get("point")
        points = tuple(p for p in energy.POINTS[customer] if wanted in (None, p.id))
        if not points:
            raise Refused(404, "unknown_usage_point")
        return subscription, points

    def found(request: Request) -> tuple[str, list[espi.Entry]]:
        """The path below the resource address, with the subscription's own name, and all that may be under it."""
        subscription, points = mine(request)
        path = request.url.path.removeprefix(espi.RESOURCE + "/").replace(f"/{MINE}", f"/{subscription}", 1)
        return path, list(espi.entries(points, subscription, setup.today(), _window(request)))

    def feed(path: str, entries: list[espi.Entry]) -> Response:
        body = espi.feed(setup.base_url, path, "City Energy", energy.midnight(setup.today()), entries)
        return _xml(body)

    def batch(request: Request) -> Response:
        return feed(*found(request))

    def one_or_all(request: Request) -> Response:
        """A resource of exactly this address, or the resources one level below it."""
        path, entries = found(request)
        for entry in entries:
            if entry.path == path:
                return _xml(espi.document(setup.base_url, entry))
        kinds = {"UsagePoint", "MeterReading", "IntervalBlock", "UsageSummary", "LocalTimeParameters", "ReadingType"}
        if path.rsplit("/", 1)[-1] not in kinds:
            raise Refused(404, "unknown_resource")
        return feed(path, [entry for entry in entries if entry.up == path])

    def authorization(request: Request) -> Response:
        subscription, _ = mine(request)
        return _xml(espi.authorization(setup.base_url, subscription, energy.midnight(setup.today())))

    def status(request: Request) -> Response:
        return _xml(espi.service_status())

    batch_path = f"{espi.RESOURCE}/Batch/Subscription/{{subscription}}"
    tree = f"{espi.RESOURCE}/Subscription/{{subscription}}/UsagePoint"
    return [
        Route(f"{espi.RESOURCE}/ReadServiceStatus", status),
        Route(f"{espi.RESOURCE}/Authorization/{{subscription}}", authorization),
        Route(batch_path, batch),
        Route(f"{batch_path}/UsagePoint", batch),
        Route(f"{batch_path}/UsagePoint/{{point}}", batch),
        Route(tree, one_or_all),
        Route(f"{tree}/{{point}}", one_or_all),
        Route(f"{tree}/{{point}}/{{rest:path}}", one_or_all),
        Route(f"{espi.RESOURCE}/LocalTimeParameters", one_or_all),
        Route(f"{espi.RESOURCE}/LocalTimeParameters/{{id}}", one_or_all),
        Route(f"{espi.RESOURCE}/ReadingType", one_or_all),
        Route(f"{espi.RESOURCE}/ReadingType/{{id}}", one_or_all),
    ]


def _window(request: Request) -> espi.Window:
    """published-min and -max. Anything else in the query, or a time that is none, is refused
    (the parameters of Green Button's function block 37)."""
    query = request.query_params
    if set(query) - set(_TIMES):
        raise Refused(400, "query_unknown")
    edges = []
    for name, default in zip(_TIMES, (espi.ALWAYS.start, espi.ALWAYS.end), strict=True):
        try:
            # A plus sign that a client left unescaped arrives as a blank.
            at = datetime.fromisoformat(query[name].replace(" ", "+")) if name in query else None
        except ValueError as error:
            raise Refused(400, "query_invalid") from error
        if at is not None and at.tzinfo is None:
            raise Refused(400, "query_invalid")
        edges.append(default if at is None else int(at.timestamp()))
    return espi.Window(*edges)


def _tongue(request: Request) -> str:
    return language(request.headers.get("accept-language", ""))


def _xml(body: bytes) -> Response:
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/atom+xml")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if request.url.path.startswith("/oauth/"):
        return HTMLResponse(pages.stopped(error.code, _tongue(request)), error.status)
    headers = {"www-authenticate": f'Bearer error="{error.code}"'} if error.status == 401 else {}
    return JSONResponse({"error": error.code}, error.status, headers)


def _oauth_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OAuthError)
    headers = {"cache-control": "no-store"}
    if error.status == 401:
        headers["www-authenticate"] = 'Basic realm="City Energy"'
    return JSONResponse({"error": error.code}, error.status, headers)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client-secret", help="of the gateway; better by CITY_ENERGY_CLIENT_SECRET")


if __name__ == "__main__":
    serve("city_energy", 8401, build, espi.RESOURCE, _more)
