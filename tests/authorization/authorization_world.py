"""A gateway of just the rooms that authorization stands on, on a real SQLite file, and a cast that drives it by HTTP.

The doors of authorization, apps and consent are the real ones; signing in is a cookie that the
world knows, and organisations and links are rows (nothing calls an organisation here).
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlmodel import Session
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.app import PROTOCOL
from gateway.apps import declare, verbs, views
from gateway.apps import pages as app_pages
from gateway.authorization import api, asked, devices, logout_pages, pages, registering
from gateway.authorization.plain_calls import PlainCalls
from gateway.consent.facts import AppView, Offered, PersonFacts
from gateway.consent.itself import ITSELF
from gateway.formats.model import FoundAccount
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.web import cookies
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import route
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.organisations import links
from gateway.organisations import views as organisations
from gateway.people import accounts as people
from gateway.people.tables import Person
from gateway.rooms import RoomNames
from gateway.screen import pages as consent_pages
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import entries, kept, made, put, unsynced
from tests.worlds import apps
from tests.worlds.organisations import organisation_row
from tests.worlds.policies import read

ISSUER = "http://localhost:8400"
CALLBACK = "http://localhost:8411/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
WORDS = {"fr": "Pour vous.", "en": "For you."}
USAGE = ["interval.start", "interval.value"]


def declaration(client_id: str, **changes: Any) -> dict[str, Any]:
    """A good declaration of an app that reads electricity, with changes."""
    electricity = {
        "organisation": "city-energy",
        "dataset": "energy.electricity.usage",
        "fields": [*USAGE, "interval.cost"],
        "necessity": "required",
        "reason": WORDS,
    }
    wanted = {"redirect_uris": [CALLBACK], "purposes": ["energy-advice"], "data": [electricity]}
    return apps.declaration(client_id, **wanted | changes)


BUDGET: dict[str, Any] = {
    "token_endpoint_auth_method": "client_secret_basic",
    "purposes": ["household-budget"],
    "redirect_uris": ["https://budget.example/callback?kept=a%20b&c=d"],
    "data": [
        {
            "organisation": "harbour-bank",
            "dataset": name,
            "fields": fields,
            "necessity": necessity,
            "reason": WORDS,
        }
        for name, fields, necessity in (
            ("bank.accounts", ["account.kind"], "required"),
            ("bank.balances", ["balance.amount"], "optional"),
        )
    ],
}


def usage(**changes: Any) -> dict[str, Any]:
    """What the meter app asks for."""
    return {
        "type": "data_access",
        "locations": [f"{ISSUER}/data/city-energy"],
        "datatypes": ["energy.electricity.usage"],
        "actions": ["read"],
        "purpose": "energy-advice",
        "fields": USAGE,
        "period": {"history": "P12M", "future": True},
        "valid_for": "P6M",
        "retention": "P1M",
        **changes,
    }


def bank(**changes: Any) -> dict[str, Any]:
    return usage(
        locations=[f"{ISSUER}/data/harbour-bank"],
        datatypes=["bank.accounts"],
        purpose="household-budget",
        fields=["account.kind"],
        **changes,
    )


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


class Page(HTMLParser):
    """The forms and the link of an HTML answer, as a browser without JavaScript sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action, self.fields, self.refresh, self.links = "", {}, "", []  # type: ignore[var-annotated]
        self._in_consent = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in_consent = given.get("action", "").startswith("/consent/")
            self.action = given["action"] if self._in_consent else self.action
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = given["content"].partition("url=")[2]
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "input" and self._in_consent and given.get("type") not in ("checkbox", "submit"):
            if given.get("type") != "radio" or "checked" in given:
                self.fields[given["name"]] = given.get("value", "")


@dataclass(frozen=True)
class _Filled:
    """`file`: of a database with everyone in it. `secrets`: of the apps in it."""

    file: bytes
    secrets: Mapping[str, str]


_FILLED: dict[KeyRing, _Filled] = {}


class World:
    """`secrets` are those of the apps; `callers`, by their cookie, who is signed in."""

    def __init__(self, folder: Path, keys: KeyRing) -> None:
        settings = Settings(public_url=ISSUER, data_dir=folder)
        self.clock = Clock()
        self.secrets: dict[str, str] = {}
        self.callers: dict[str, Caller] = {}
        store = unsynced(settings)
        catalogue, policies = read(settings.policies)
        self.house = House(
            settings=settings,
            store=store,
            keys=keys,
            log=Log(keys, settings.mark),
            catalogue=catalogue,
            policies=policies,
            connector=None,  # type: ignore[arg-type]
            translations=Translations(),
            clock=self.clock,
        )
        self.doors = Starlette(routes=self._routes())
        self._begin()
        self.plain_calls = PlainCalls(self.house, self.doors, {})
        self.plain_calls.start()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """As in the whole gateway."""
        door = self.plain_calls if scope["type"] == "http" and self.plain_calls.takes(scope["path"]) else self.doors
        await door(scope, receive, send)

    def _routes(self) -> list[Route]:
        rooms = Rooms(self.house)
        doors = [
            *api.doors(PROTOCOL, rooms),
            *devices.DOORS,
            *asked.doors(rooms),
            *registering.doors(PROTOCOL),
            *pages.doors(PROTOCOL, rooms, partial(consent_pages.screen, rooms)),
            *logout_pages.doors(self.leave),
            *consent_pages.doors(rooms, partial(asked.decided, self.house.keys)),
            *app_pages.DOORS,
        ]
        return [route(door, self.house, lambda _session, cookie, _now: self.callers.get(cookie)) for door in doors]

    def _begin(self) -> None:
        """With everyone in it: the first world of these keys is filled, those after it begin as copies."""
        keys, store = self.house.keys, self.house.store
        if keys in _FILLED and put(store, _FILLED[keys].file):
            self.secrets.update(_FILLED[keys].secrets)
            return
        made(store)
        self._fill()
        if store.alone:  # it is a file
            _FILLED[keys] = _Filled(kept(store), dict(self.secrets))

    def _fill(self) -> None:
        datasets, now = self.house.catalogue.datasets, self.clock.now
        with self.house.store.write() as session:
            session.add_all(people_rows(now))
            for name, sector in (("city-energy", "energy"), ("harbour-bank", "bank")):
                given = [dataset for dataset in datasets if dataset.startswith(f"{sector}.")]
                session.add(organisation_row(name, sector, given, now))
            session.flush()
            for person in ("alice", "bob", "mallory", "chloe"):
                link_row(session, self.house, person, "city-energy", ["point-1", "point-2"], now)
                link_row(session, self.house, person, "harbour-bank", ["account-1"], now)
        self.register("meter")
        self.register("budget", **BUDGET)
        self.register("other")

    def register(self, client_id: str, **changes: Any) -> None:
        """One more app: register("native", application_type="native", …)."""
        with self.house.store.write() as session:
            document = declare.parse(declaration(client_id, **changes), Path("app.toml"))
            row, secret = verbs.register(session, self.house.catalogue, self.house.settings, document, self.clock.now)
        if secret:
            self.secrets[row.client_id] = secret

    # ---- people

    def browser(self, person: str = "", methods: tuple[str, ...] = ("pwd",)) -> TestClient:
        """A browser; signed in as `person` at this moment."""
        client = TestClient(self.app, base_url=ISSUER, follow_redirects=False)
        if person:
            self.sign_in(client, person, methods)
        return client

    def sign_in(self, client: TestClient, person: str, methods: tuple[str, ...] = ("pwd",)) -> None:
        cookie = fresh()
        self.callers[cookie] = Caller(person, person.title(), "en", self.clock.now, methods, fresh())
        client.headers["cookie"] = f"{cookies.SIGN_IN}={cookie}"

    def sign_out(self, client: TestClient) -> None:
        self.callers.pop(client.headers.pop("cookie").partition("=")[2])

    def leave(self, ctx: Context) -> None:
        self.callers.pop(cookies.read(ctx.request, cookies.SIGN_IN, self.house.settings), None)
        ctx.caller = None

    def session(self) -> Any:
        return self.house.store.read()

    def setting(self, **changes: Any) -> None:
        """Other settings from now on, as after a restart."""
        object.__setattr__(self.house, "settings", self.house.settings.model_copy(update=changes))

    def suspend(self, app: str) -> None:
        with self.house.store.write() as session:
            verbs.suspend(session, app, "asked to", self.clock.now)

    def events(self, person: str) -> list[dict[str, Any]]:
        """What the person's log says, oldest first."""
        return entries(self.house, person)

    # ---- apps

    def auth(self, app: str) -> dict[str, Any]:
        """How the app proves who it is: arguments for a form post."""
        if app in self.secrets:
            token = base64.b64encode(f"{app}:{self.secrets[app]}".encode()).decode()
            return {"form": {}, "headers": {"authorization": f"Basic {token}"}}
        return {"form": {"client_id": app}, "headers": {}}

    def post(self, path: str, form: Mapping[str, Any], app: str | None = "meter", **headers: str) -> Any:
        shown = self.auth(app) if app else {"form": {}, "headers": {}}
        client = TestClient(self.app, base_url=ISSUER, follow_redirects=False)
        return client.post(path, data={**shown["form"], **form}, headers={**shown["headers"], **headers})

    def request(self, app: str = "meter", details: Any = None, **changes: Any) -> dict[str, Any]:
        """The parameters of a good authorization request, with changes; None leaves one out."""
        redirect = {"budget": BUDGET["redirect_uris"][0], "native": "com.example.native:/callback"}.get(app, CALLBACK)
        if details is None and "openid" in (changes.get("scope") or ""):
            changes = {"authorization_details": None, **changes}
        if details is None:
            details = [bank()] if app == "budget" else [usage()]
        parameters = {
            "response_type": "code",
            "redirect_uri": redirect,
            "state": "a state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": details if isinstance(details, str) else json.dumps(details),
            **changes,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def push(self, app: str = "meter", details: Any = None, **changes: Any) -> Any:
        return self.post("/par", self.request(app, details, **changes), app)

    def pushed(self, app: str = "meter", details: Any = None, **changes: Any) -> str:
        """The /authorize address of a pushed request."""
        answer = self.push(app, details, **changes)
        assert answer.status_code == 201, answer.text
        return "/authorize?" + urlencode({"client_id": app, "request_uri": answer.json()["request_uri"]})

    def agree(self, browser: TestClient, address: str, decision: str = "allow", **ticked: Any) -> Any:
        """Open the request, answer the screen, and come back to /authorize."""
        screen = browser.get(address)
        assert screen.status_code == 200, (screen.status_code, screen.headers.get("location"), screen.text[:500])
        if "/authorize/continue" in screen.text:  # agreed to before: she wants the whole screen
            screen = browser.get(address + "&change=1")
        page = Page(screen.text)
        accounts = {"accounts:city-energy": "point-1", **ticked}
        answer = browser.post(page.action, data={**page.fields, **accounts, "decision": decision})
        assert answer.status_code == 303, answer.text
        return browser.get(answer.headers["location"])

    def code(self, app: str = "meter", person: str = "alice", **changes: Any) -> str:
        """A fresh code after a whole agreement."""
        final = self.agree(self.browser(person), self.pushed(app, **changes))
        return answered(final)["code"]

    def redeem(self, code: str, app: str = "meter", **changes: Any) -> Any:
        redirect = self.request(app)["redirect_uri"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": VERIFIER}
        return self.post("/token", {k: v for k, v in {**form, **changes}.items() if v is not None}, app)

    def tokens(self, app: str = "meter", person: str = "alice", **changes: Any) -> dict[str, Any]:
        answer = self.redeem(self.code(app, person, **changes), app)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def refresh(self, token: str, app: str = "meter", **changes: Any) -> Any:
        return self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **changes}, app)

    def introspect(self, token: str, app: str = "budget") -> Any:
        return self.post("/introspect", {"token": token}, app)


def answered(final: Any) -> dict[str, str]:
    """The answer on the page that goes on to the app, which its refresh and its link must agree on."""
    assert final.status_code == 200, (final.status_code, final.text[:300])
    page = Page(final.text)
    assert page.refresh and page.refresh in page.links
    return {name: values[0] for name, values in parse_qs(urlsplit(page.refresh).query, keep_blank_values=True).items()}


class Rooms:
    """consent.facts.Facts of this small gateway."""

    def __init__(self, house: House) -> None:
        self.house = house

    def app(self, session: Session, client_id: str) -> AppView:
        found = views.find(session, client_id)
        assert found
        return found

    def directory(self, session: Session) -> Any:
        return organisations.everyone(session, self.house)

    def accounts(self, session: Session, client_id: str, person_id: str, organisation_id: str) -> Sequence[Offered]:
        if organisation_id == ITSELF:
            ref = self.house.keys.pairwise(person_id, client_id)
            return [Offered(ref, f"{person_id}@example.org", "account", True)]
        found = links.found_accounts(session, self.house.keys, person_id, organisation_id)
        return [Offered(account.native, account.label, account.kind, account.available) for account in found]

    def linked(self, session: Session, person_id: str) -> set[str]:
        return {ITSELF, *links.of_person(session, person_id)}

    def person(self, session: Session, person_id: str) -> PersonFacts:
        row = session.get_one(Person, person_id)
        minor = row.birth_date is not None and row.birth_date > date(2011, 11, 23)
        return PersonFacts(row.id, row.name, minor, row.guardian_id, claims=people.claims(row))

    def by_email(self, session: Session, address: str) -> str | None:
        row = people.find(session, address)
        return row.id if row else None

    def names(self, session: Session) -> RoomNames:
        return RoomNames(session, self.house.catalogue)

    def wards(self, session: Session, guardian: str) -> list[str]:
        return [child.id for child in people.children(session, guardian)]


def people_rows(at: datetime) -> list[Person]:
    born = {"alice": date(1980, 1, 1), "chloe": date(2012, 5, 5)}
    return [
        Person(
            id=name,
            email=f"{name}@example.org",
            name=name.title(),
            created_at=at,
            birth_date=born.get(name),
            guardian_id="alice" if name == "chloe" else None,
        )
        for name in ("alice", "bob", "mallory", "chloe")
    ]


def link_row(
    session: Session, house: House, person: str, organisation: str, accounts: Sequence[str], at: datetime
) -> None:
    link, _ = links.make(session, house.keys, person, organisation, at, new_id=fresh(), customer="***1")
    session.flush()
    found = [FoundAccount(native=name, label=name.title(), kind="x") for name in accounts]
    links.store_accounts(session, house.keys, link.id, found)


def visible(text: str) -> str:
    """The text of a page without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())
