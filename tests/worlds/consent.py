"""The world of the rooms consent, screen and sharings: their doors, the rooms around them faked as values, visitors.

The authorization room is one door here: it shows the screen for a request that waits, and says how it ended.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import lxml.html
import pytest
from sqlmodel import Session, select
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from gateway.apps.tables import App
from gateway.catalogue import Catalogue, Dataset
from gateway.consent import asking, deciding
from gateway.consent.facts import AppView, DeclaredData, Offered, OrganisationFacts, PersonFacts
from gateway.consent.request import validate
from gateway.consent.tables import Consent, ConsentEvent, Evidence
from gateway.ground.calendar.ages import comes_of_age
from gateway.ground.keys import KeyRing, fresh
from gateway.ground.web import cookies
from gateway.ground.web.context import Caller, Context
from gateway.ground.web.doors import Door, otherwise, route
from gateway.ground.web.templates import STATIC
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Event, Log
from gateway.log import reading as log_reading
from gateway.people.tables import Person
from gateway.policy import Policies
from gateway.rooms import RoomNames
from gateway.screen import pages as screen_pages
from gateway.settings import Settings, shipped_policies
from gateway.sharings import pages as sharing_pages
from tests.callers import TestClient
from tests.databases import made, unsynced

# ---- who asks and who holds, as plain values

URL = "http://localhost:8400"
START = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
FOR = {"fr": "Pour calculer votre consommation.", "en": "To work out how much you use."}


@dataclass(frozen=True)
class Organisation:
    id: str
    name: Mapping[str, str]
    legal_entity: str
    datasets: tuple[str, ...]
    zone: str = "Europe/Paris"
    active: bool = True
    own: Mapping[str, Dataset] = field(default_factory=dict)


CITY_ENERGY = Organisation(
    "city-energy",
    {"fr": "Énergie de la Ville", "en": "City Energy"},
    "City Energy SA",
    ("energy.electricity.usage", "energy.electricity.summary", "energy.point"),
)
HARBOUR_BANK = Organisation(
    "harbour-bank",
    {"fr": "Banque du Port", "en": "Harbour Bank"},
    "Harbour Bank plc",
    ("bank.accounts", "bank.balances", "bank.transactions"),
)
MEADOW_HEALTH = Organisation(
    "meadow-health",
    {"fr": "Santé des Prés", "en": "Meadow Health"},
    "Meadow Health",
    ("health.person", "health.coverage", "health.claims"),
)


def an_app(client_id: str, name: str, purposes: tuple[str, ...], *data: DeclaredData, **more: Any) -> AppView:
    site = f"https://{client_id}.example"
    facts: dict[str, Any] = {
        "client_id": client_id,
        "name": {"fr": name, "en": name},
        "legal_entity": f"{name} SAS",
        "on_behalf_of": "",
        "website": site,
        "privacy_policy": f"{site}/privacy",
        "terms_url": f"{site}/terms",
        "deletion_contact": f"delete@{client_id}.example",
        "redirect_uris": (f"{site}/callback",),
        "auth_method": "none",
        "purposes": purposes,
        "data": data,
        "recipients": (),
        "verified": True,
        "active": True,
        "status_reason": "",
        "registered_at": START - timedelta(days=400),
        "metadata_sha256": "ab" * 32,
        "has_logo": False,
    }
    return AppView(**{**facts, **more})


USAGE = DeclaredData("city-energy", "energy.electricity.usage", ("interval.start", "interval.value"), "required", FOR)
SUMMARY = DeclaredData(
    "city-energy", "energy.electricity.summary", ("summary.period", "summary.amounts"), "optional", FOR
)
POINT = DeclaredData("city-energy", "energy.point", ("point.location",), "optional", FOR)
WATT_COACH = an_app("watt-coach", "Watt Coach", ("energy-advice",), USAGE, SUMMARY, POINT)
CLEAR_BUDGET = an_app(
    "clear-budget",
    "Clear Budget",
    ("household-budget",),
    DeclaredData("harbour-bank", "bank.accounts", ("account.kind", "account.name"), "required", FOR),
    DeclaredData("harbour-bank", "bank.transactions", ("transaction.date", "transaction.amount"), "optional", FOR),
    DeclaredData("meadow-health", "health.claims", ("claims.dates", "claims.amounts"), "optional", FOR),
)


def energy_details(url: str = URL, **more: Any) -> list[dict[str, Any]]:
    detail = {
        "type": "data_access",
        "locations": [f"{url}/data/city-energy"],
        "datatypes": ["energy.electricity.usage", "energy.electricity.summary", "energy.point"],
        "actions": ["read"],
        "purpose": "energy-advice",
        "period": {"history": "P13M", "future": True},
        "frequency": {"times": 4, "per": "day"},
        "valid_for": "P6M",
        "retention": "P1M",
    }
    return [{**detail, **more}]


def budget_details(url: str = URL) -> list[dict[str, Any]]:
    bank = {
        "type": "data_access",
        "locations": [f"{url}/data/harbour-bank"],
        "datatypes": ["bank.accounts", "bank.transactions"],
        "actions": ["read"],
        "purpose": "household-budget",
        "period": {"history": "P12M", "future": True},
        "frequency": {"times": 4, "per": "day"},
        "valid_for": "P3M",
        "retention": "P1M",
    }
    health = {**bank, "locations": [f"{url}/data/meadow-health"], "datatypes": ["health.claims"]}
    return [bank, {**health, "period": {"history": "P6M"}}]


SECOND_APP = an_app("second", "Second App", ("energy-advice",), USAGE, SUMMARY)
TWO_TYPES = {"datatypes": ["energy.electricity.usage", "energy.electricity.summary"]}
# form fields
SUMMARY_BOX = "item:city-energy:energy.electricity.summary"
BANK = {"accounts:harbour-bank": ["ref-current"], "item:harbour-bank:bank.transactions": "yes"}


# ---- the rooms around


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **length: float) -> None:
        self.now += timedelta(**length)


@dataclass
class Rooms:
    """What other rooms would answer (consent.facts.Facts); tests change it."""

    apps: dict[str, AppView] = field(default_factory=lambda: {a.client_id: a for a in (WATT_COACH, CLEAR_BUDGET)})
    organisations: dict[str, OrganisationFacts] = field(
        default_factory=lambda: {o.id: o for o in (CITY_ENERGY, HARBOUR_BANK, MEADOW_HEALTH)}
    )
    unlinked: set[str] = field(default_factory=set)
    held: dict[str, list[Offered]] = field(
        default_factory=lambda: {
            "city-energy": [Offered("ref-home", "Home, 4 Mill Lane", "electricity", True)],
            "harbour-bank": [
                Offered("ref-current", "Current account ***56", "current", True),
                Offered("ref-savings", "Savings ***78", "savings", True),
                Offered("ref-joint", "Joint account ***90", "current", False, "the other holder has to agree"),
            ],
            "meadow-health": [Offered("ref-self", "Your own file", "member", True)],
        }
    )
    people: dict[str, PersonFacts] = field(default_factory=dict)

    def app(self, session: Session, client_id: str) -> AppView:
        return self.apps[client_id]

    def directory(self, session: Session) -> Mapping[str, OrganisationFacts]:
        return self.organisations

    def accounts(self, session: Session, client_id: str, person_id: str, organisation_id: str) -> Sequence[Offered]:
        return self.held.get(organisation_id, [])

    def linked(self, session: Session, person_id: str) -> set[str]:
        return set(self.organisations) - self.unlinked

    def person(self, session: Session, person_id: str) -> PersonFacts:
        return self.people[person_id]

    def by_email(self, session: Session, address: str) -> str | None:
        return None

    def names(self, session: Session) -> RoomNames:
        return RoomNames(session, Catalogue(Settings().policies))

    def wards(self, session: Session, guardian: str) -> list[str]:
        return [person.id for person in self.people.values() if person.guardian_id == guardian]


class Page:
    """An answer as a person or a parser sees it."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers = response.headers
        self.location: str = response.headers.get("location", "")
        self.body: str = response.text
        self.tree: Any = lxml.html.fromstring(self.body) if self.body.strip() else lxml.html.fromstring("<p></p>")

    @property
    def text(self) -> str:
        return words(self.tree.xpath("//body")[0] if self.tree.xpath("//body") else self.tree)

    @property
    def main(self) -> Any:
        return self.tree.xpath("//main")[0]

    @property
    def h1(self) -> str:
        (heading,) = self.tree.xpath("//h1")
        return words(heading)

    @property
    def title(self) -> str:
        return words(self.tree.xpath("//title")[0])

    def form(self, action: str) -> dict[str, list[str]]:
        """The fields of a form as a browser would send them untouched, without any button."""
        (form,) = self.tree.xpath(f"//form[@action={action!r}]")
        fields: dict[str, list[str]] = {}
        for each in form.xpath(".//input[@name][not(@disabled)]"):
            if each.get("type") not in ("checkbox", "radio") or each.get("checked") is not None:
                fields.setdefault(each.get("name"), []).append(each.get("value", ""))
        return fields

    def closed_text(self) -> str:
        """What can be read while every disclosure is closed."""
        tree = lxml.html.fromstring(self.body)
        for each in tree.xpath("//details/*[not(self::summary)]"):
            each.drop_tree()
        return words(tree.xpath("//main")[0])


def words(element: Any) -> str:
    return " ".join(element.text_content().split())


@dataclass
class Visitor:
    """A signed-in person's browser: no JavaScript, no redirects followed unless asked."""

    world: "World"
    id: str
    name: str
    language: str = "en"
    signed_in_at: datetime = START

    def _headers(self) -> dict[str, str]:
        return {"cookie": f"{cookies.SIGN_IN}={self.id}; {cookies.VISIT}=visit-{self.id}"}

    def gets(self, path: str, **headers: str) -> Page:
        return Page(self.world.client.get(path, headers={**self._headers(), **headers}, follow_redirects=False))

    def posts(self, path: str, fields: Mapping[str, Any], **headers: str) -> Page:
        answer = self.world.client.post(
            path, data=dict(fields), headers={**self._headers(), **headers}, follow_redirects=False
        )
        return Page(answer)

    def csrf(self) -> str:
        return self.world.house.keys.mac("csrf", self.id)

    def sees(self, consent: str) -> Page:
        """The consent screen."""
        return self.gets(authorize(consent))

    def answers(self, consent: str, decision: str, page: Page | None = None, **fields: Any) -> Page:
        sent = (page or self.sees(consent)).form(f"/consent/{consent}")
        sent |= {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
        return self.posts(f"/consent/{consent}", {**sent, "decision": decision})

    def allows(self, consent: str, **fields: Any) -> Page:
        page = self.answers(consent, "allow", **fields)
        assert page.status == 303, page.text
        return page

    def does(self, consent: str, act: str, **fields: Any) -> Page:
        return self.posts(f"/sharings/{consent}/{act}", {"csrf": self.csrf(), **fields})


def authorize(consent: str) -> str:
    return f"/authorize?client_id=app&request_uri={quote(f'urn:{consent}', safe='')}"


@dataclass
class World:
    house: House
    rooms: Rooms
    clock: Clock
    client: TestClient
    application: Starlette
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def asks(self, person: Visitor, app: AppView = WATT_COACH, details: list[dict[str, Any]] | None = None) -> str:
        """The app asks; the consent that waits for an answer."""
        self.rooms.apps[app.client_id] = app
        settings = self.house.settings
        if details is None:
            asked = energy_details if "energy-advice" in app.purposes else budget_details
            details = asked(settings.public_url)
        ask = validate(
            details,
            app,
            self.rooms.organisations,
            self.house.catalogue,
            settings.public_url,
        )
        with self.house.store.write() as session:
            if session.get(App, app.client_id) is None:
                session.add(_app_row(app))
                session.flush()
            return asking.open_ask(session, self.house, person.id, app, ask, self.clock(), fresh()).id

    def consent(self, consent_id: str) -> Consent:
        return self._row(Consent, consent_id)

    def terms(self, consent_id: str) -> dict[str, Any]:
        with self.house.store.read() as session:
            found = deciding.current(session, session.get_one(Consent, consent_id))
        assert found is not None
        return found

    def evidence(self, consent_id: str) -> Evidence:
        return self._row(Evidence, (consent_id, 1))

    def _row(self, table: Any, key: Any) -> Any:
        with self.house.store.read() as session:
            row = session.get_one(table, key)
            session.expunge(row)
            return row

    def events(self, consent_id: str) -> list[str]:
        with self.house.store.read() as session:
            rows = session.exec(
                select(ConsentEvent).where(ConsentEvent.consent_id == consent_id).order_by(ConsentEvent.seq)  # type: ignore[arg-type]
            )
            return [row.type for row in rows]

    def logged(self, person: Visitor) -> list[str]:
        with self.house.store.read() as session:
            return [entry.kind for entry in log_reading.entries(session, self.house.log, person.id)]

    def reads(self, consent_id: str, kind: str = "access", **facts: Any) -> None:
        """A data call of the app, as the data plane would write it down."""
        with self.house.store.write() as session:
            consent = session.get_one(Consent, consent_id)
            known = {"consent": consent_id, "client": consent.app_id, "organisation": "city-energy"}
            self.house.log.record(
                session,
                Event(kind, consent.person_id, self.clock(), "app", {**known, "datasets": [], **facts}),
            )
            if kind == "access":
                consent.last_access_at = self.clock()
                session.add(consent)


def _app_row(app: AppView) -> App:
    return App(
        client_id=app.client_id,
        metadata_={"name": dict(app.name)},
        metadata_sha256=app.metadata_sha256,
        auth_method="none",
        registered_at=START,
        changed_at=START,
    )


@contextlib.contextmanager
def opened(
    folder: Path, keys: KeyRing, catalogue: Catalogue, policies: Policies, texts: Translations, url: str
) -> Iterator[World]:
    """The doors of screen and sharings in a house of their own, on a real file."""
    clock, rooms = Clock(), Rooms()
    settings = Settings(data_dir=folder, public_url=url, operator_contact="+33 1 23 45 67 89")
    store = unsynced(settings)
    unused: Any = None
    house = House(settings, store, keys, Log(keys, settings.mark), catalogue, policies, unused, texts, clock)
    made(store)
    visitors: dict[str, Visitor] = {}

    def identify(session: Session, secret: str, now: datetime) -> Caller | None:
        found = visitors.get(secret)
        if found is None:
            return None
        return Caller(found.id, found.name, found.language, found.signed_in_at, ("pwd",), found.id)

    unrouted = otherwise(house, identify)
    doors = [*screen_pages.doors(rooms, lambda *_: None), *sharing_pages.doors(rooms), *_neighbours(rooms)]
    application = Starlette(
        routes=[
            *(route(door, house, identify) for door in doors),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={404: unrouted, 405: unrouted},
    )
    world = World(house, rooms, clock, TestClient(application, base_url=url), application, visitors)
    for id_, name in (("alice", "Alice Martin"), ("mallory", "Mallory Malin"), ("chloe", "Chloé Petit")):
        _moves_in(world, id_, name, minor=id_ == "chloe")
    yield world
    store.close()


def _moves_in(world: World, id_: str, name: str, minor: bool) -> None:
    guardian = "alice" if minor else None
    world.visitors[id_] = Visitor(world, id_, name)
    born = date(2012, 5, 1) if minor else None
    of_age = comes_of_age(born, world.house.settings) if born else None
    world.rooms.people[id_] = PersonFacts(id_, name, minor, guardian, of_age)
    with world.house.store.write() as session:
        session.add(
            Person(
                id=id_,
                email=f"{id_}@example.org",
                name=name,
                birth_date=born,
                guardian_id=guardian,
                created_at=START,
            )
        )


def _neighbours(rooms: Rooms) -> list[Door]:
    """The authorization room's one dispatcher, as far as these rooms need it, and the addresses pages link to."""

    def dispatch(ctx: Context) -> Response:
        found = re.search(r"urn:([\w-]{43})", ctx.query.get("request_uri", ""))
        assert found
        consent = ctx.session.get_one(Consent, found[1])
        if consent.state != "requested":
            return Response(f"answered: {consent.state}", media_type="text/plain")
        resume, to = f"/authorize?{ctx.request.url.query}", f"https://{consent.app_id}.example/back"
        return screen_pages.screen(rooms, ctx, consent, resume=resume, redirect_uri=to)

    def elsewhere(ctx: Context) -> Response:
        return ctx.page("error.html", error=type("Said", (), {"say": "elsewhere"}))

    def enter(ctx: Context) -> Response:
        """A sign-in for real browsers: a `__Host-` cookie can only be set by the server itself."""
        ctx.set_cookies += [(cookies.SIGN_IN, ctx.path["who"], None), (cookies.LANGUAGE, ctx.path["language"], None)]
        return Response("come in", media_type="text/plain")

    return [
        Door("/authorize", dispatch, person=True),
        Door("/enter/{who}/{language}", enter),
        Door("/favicon.ico", lambda ctx: Response(status_code=204), name="favicon"),  # browsers ask for it unasked
        Door("/sign-out", elsewhere, methods=("POST",)),
        Door("/language", elsewhere, methods=("POST",)),
        *(Door(path, elsewhere, name=path) for path in ("/", "/log", "/organisations", "/account")),
    ]


def cards(page: Page) -> list[Any]:
    return list(page.main.xpath(".//article"))


def named(page: Page) -> list[str]:
    return [words(card.xpath("./h2")[0]) for card in cards(page)]


def facts(element: Any) -> dict[str, str]:
    terms = element.xpath(".//dl[contains(@class,'facts')]//dt")
    return {words(term): words(term.getnext()) for term in terms}


# ---- fixtures: each folder's conftest.py imports them


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("keys"), create=True)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(shipped_policies())


@pytest.fixture(scope="session")
def policies() -> Policies:
    return Policies(shipped_policies())


@pytest.fixture(scope="session")
def translations() -> Translations:
    return Translations()


@pytest.fixture
def world(
    tmp_path: Path, keys: KeyRing, catalogue: Catalogue, policies: Policies, translations: Translations
) -> Iterator[World]:
    with opened(tmp_path, keys, catalogue, policies, translations, URL) as world:
        yield world


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice owns the data."""
    return world.visitors["alice"]


@pytest.fixture
def mallory(world: World) -> Visitor:
    """Mallory has no business here."""
    return world.visitors["mallory"]


@pytest.fixture
def chloe(world: World) -> Visitor:
    """Chloé is under age; Alice is her guardian."""
    return world.visitors["chloe"]


@pytest.fixture
def consent(world: World, alice: Visitor) -> str:
    """Watt Coach may read two types of data of Alice."""
    found = world.asks(alice)
    alice.allows(found, **{SUMMARY_BOX: "yes"})
    return found


@pytest.fixture
def several(world: World, alice: Visitor, consent: str) -> dict[str, str]:
    """Watt Coach active, Clear Budget paused, Second App stopped."""
    budget = world.asks(alice, CLEAR_BUDGET)
    alice.allows(budget, **BANK, duration="d90")
    alice.does(budget, "pause")
    second = world.asks(alice, SECOND_APP, energy_details(**TWO_TYPES))
    alice.allows(second)
    world.clock.passes(minutes=5)
    world.reads(consent)
    alice.does(second, "stop")
    return {"watt": consent, "budget": budget, "second": second}
