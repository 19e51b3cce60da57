"""The whole gateway in one process, with organisations that answer from memory and a clock that stands still.

Everything but the organisations is real: guard, doors, data plane, writer, sequencer, SQLite. An organisation answers
whatever it holds for the subject of the assertion, and honours no parameter: what is cut is cut by the gateway.
"""

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import NAMESPACE_URL, uuid5

import lxml.html

from gateway import schema
from gateway.app import Application
from gateway.apps import declare as app_declare
from gateway.apps import verbs
from gateway.formats.model import FoundAccount
from gateway.ground.http.connector import ConnectorError, Headers, OutboundRequest
from gateway.ground.keys import KeyRing, fresh, hashed
from gateway.ground.store import signing_keys
from gateway.ground.web import cookies
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log
from gateway.organisations import declare, links
from gateway.people import sign_ins
from gateway.people.tables import Person
from gateway.settings import Settings
from tests import databases
from tests.callers import TestClient
from tests.databases import migrated, unsynced
from tests.tokens import claims
from tests.worlds.apps import declaration
from tests.worlds.policies import read

ISSUER = "http://localhost:8400"
CALLBACK = "https://app.example/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
WORDS = {"fr": "Pour vous.", "en": "For you."}
START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
ORGANISATIONS = Path(__file__).parents[2] / "examples" / "organisations"

Reply = tuple[int, str, bytes]  # status, media type, body
Responder = Callable[[str, str, str], Reply]  # subject, path, query → reply


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


class Answer:
    """One answer from memory."""

    def __init__(self, status: int, media_type: str, body: bytes) -> None:
        self.status, self._body = status, body
        self.headers: Headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise ConnectorError("too_large", "counted")
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def abort(self) -> None:
        self._body = b""


@dataclass
class Organisations:
    """The connector: every organisation there is, in memory."""

    responders: dict[str, Responder] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # organisation, method, path with its query
    during: Callable[[], None] | None = None  # happens while a call is out

    def start(self, _loop: object) -> None:
        return None

    async def close(self) -> None:
        return None

    async def get(self, request: OutboundRequest, goes_on: Any = None) -> Answer:
        return Answer(*self._reply(request))

    def ask(self, request: OutboundRequest, limit: int = 2**20) -> tuple[int, Headers, bytes]:
        status, media_type, found = self._reply(request)
        return status, [(b"content-type", media_type.encode())], found

    def _reply(self, request: OutboundRequest) -> Reply:
        organisation = request.target.organisation
        self.asked.append((organisation, request.method, request.path))
        if self.during:
            happens, self.during = self.during, None
            happens()
        token = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
        subject = claims(token)["sub"] if token.count(".") == 2 else token
        plain, _, query = request.path.partition("?")
        return self.responders[organisation](subject, plain, query)


class Page:
    """An HTML answer as a browser without JavaScript sees it."""

    def __init__(self, text: str) -> None:
        self.document: Any = lxml.html.fromstring(text)

    def form(self, action: str) -> dict[str, Any]:
        """Every field of the form, as it stands."""
        found = next(form for form in self.document.forms if (form.action or "").startswith(action))
        return {name: value for name, value in found.form_values()}

    def has_form(self, action: str) -> bool:
        return any((form.action or "").startswith(action) for form in self.document.forms)

    def offered(self, name: str) -> list[str]:
        return [str(each.get("value")) for each in self.document.xpath(f'//input[@name="{name}"]')]

    def boxes(self) -> list[str]:
        return [str(name) for name in self.document.xpath("//input[@type='checkbox']/@name")]

    @property
    def onward(self) -> str:
        found = self.document.xpath('//meta[@http-equiv="refresh"]/@content')
        return str(found[0]).partition("url=")[2] if found else ""


@dataclass
class Browser:
    """A visitor of the person's pages, signed in or not."""

    world: "World"
    http: TestClient
    person: str = ""
    sign_in: str = ""

    def get(self, path: str) -> Any:
        return self.http.get(path)

    def post(self, path: str, form: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """With the CSRF token of this sign-in, unless the form carries one."""
        given = {"csrf": self.world.house.keys.mac("csrf", self.sign_in), **(form or {})}
        return self.http.post(path, data=given, headers=headers)


class World:
    """A gateway with Alice, Bob and Mallory, two apps and three organisations."""

    def __init__(self, folder: Path, keys: KeyRing, **settings: Any) -> None:
        self.clock = Clock()
        made = Settings(public_url=ISSUER, data_dir=folder, log_fsync=False, **settings)
        migrated(made)
        assert schema.TABLES
        self.organisations = Organisations()
        catalogue, policies = read(made.policies)
        self.house = House(
            settings=made,
            store=unsynced(made),
            keys=keys,
            log=Log(keys, made.mark),
            catalogue=catalogue,
            policies=policies,
            connector=self.organisations,
            translations=Translations(),
            clock=self.clock,
        )
        signing_keys.begin(self.house.store, keys, datetime.now(UTC))
        self.application = Application(self.house)
        self.secrets: dict[str, str] = {}
        for name in ("city-energy", "harbour-bank", "meadow-health"):
            self.declare(name)

    @contextlib.contextmanager
    def serving(self) -> Iterator["World"]:
        with TestClient(
            self.application, base_url=ISSUER, follow_redirects=False, raise_server_exceptions=False
        ) as self.http:
            yield self
        self.house.store.close()

    # ---- organisations and apps

    def declare(self, name: str, base_url: str | None = None, moved: bool | None = None) -> None:
        environ = {"CITY_ENERGY_CLIENT_SECRET": "secret-of-the-gateway"}
        path = ORGANISATIONS / f"{name}.toml"
        found = declare.read(path, self.house.catalogue, base_url=base_url, environ=environ)
        with self.house.store.write() as session:
            declare.add(session, self.house, found, self.clock.now, moved=moved)

    def app(self, client_id: str, data: Sequence[Mapping[str, Any]], **changes: Any) -> None:
        wanted = {
            "redirect_uris": [CALLBACK],
            "purposes": ["household-budget", "energy-advice"],
            "data": [{"reason": WORDS, "necessity": "optional", **row} for row in data],
        }
        document = declaration(client_id, **wanted | changes)
        with self.house.store.write() as session:
            parsed = app_declare.parse(document, Path("app.toml"))
            row, secret = verbs.register(session, self.house.catalogue, self.house.settings, parsed, self.clock.now)
            if secret:
                self.secrets[row.client_id] = secret

    # ---- people

    def person(self, name: str, *, born: date | None = None, guardian: str | None = None) -> str:
        person = fresh()
        with self.house.store.write() as session:
            session.add(
                Person(
                    id=person,
                    email=f"{name.lower()}.{person[:8].lower()}@example.org",
                    name=name,
                    birth_date=born,
                    guardian_id=guardian,
                    created_at=self.clock.now,
                )
            )
        return person

    def link(
        self, person: str, organisation: str, natives: Sequence[str], customer: str = "••• 001", number: str = ""
    ) -> str:
        """As if she had linked by customer number; a second time: made anew. Returns the subject they know her by.

        `number`: of the customer, or of the subscription; none: an organisation that tells none apart.
        """
        found = [FoundAccount(native, f"Label of {number}", "x") for number, native in enumerate(natives, 1)]
        held = None
        if organisation == "city-energy":
            subject = f"held-{person}"
            later = int(self.clock.now.timestamp()) + 10 * 365 * 86400
            held = links.Credentials(subject, "refresh", later, resource=number or natives[0])
        with self.house.store.write() as session:
            made, _ = links.make(
                session,
                self.house.keys,
                person,
                organisation,
                self.clock.now,
                new_id=fresh(),
                held=held,
                customer="" if held else customer,
                whose=links.whose(self.house.keys, organisation, number),
            )
            session.flush()
            links.store_accounts(session, self.house.keys, made.id, found)
            return held.access_token if held else made.subject

    def browser(self, person: str = "") -> Browser:
        """Signed in at this moment."""
        http = TestClient(self.application, base_url=ISSUER, follow_redirects=False, raise_server_exceptions=False)
        http.portal = self.http.portal  # one loop for all: the data plane lives there
        browser = Browser(self, http, person)
        if person:
            self.signs_in(browser)
        return browser

    def signs_in(self, browser: Browser) -> None:
        secret = fresh()
        with self.house.store.write() as session:
            row = session.get_one(Person, browser.person)
            sign_ins.begin(session, row, "pwd", secret=secret, settings=self.house.settings, now=self.clock.now)
        browser.sign_in = hashed(secret)
        browser.http.headers["cookie"] = f"{cookies.SIGN_IN}={secret}"

    # ---- the flow

    def oauth(self, path: str, form: Mapping[str, Any], app: str) -> Any:
        headers, sent = {}, dict(form)
        if app in self.secrets:
            pair = base64.b64encode(f"{app}:{self.secrets[app]}".encode()).decode()
            headers["authorization"] = f"Basic {pair}"
        else:
            sent["client_id"] = app
        return self.http.post(path, data=sent, headers=headers)

    def pushed(self, app: str, details: Sequence[Mapping[str, Any]], **changes: Any) -> Any:
        form = {
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "state": "a state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(details),
            **changes,
        }
        return self.oauth("/par", form, app)

    def request(self, app: str, details: Sequence[Mapping[str, Any]], **changes: Any) -> str:
        """The /authorize address of a pushed request."""
        answer = self.pushed(app, details, **changes)
        assert answer.status_code == 201, answer.text
        return "/authorize?" + urlencode({"client_id": app, "request_uri": answer.json()["request_uri"]})

    def answer(self, browser: Browser, address: str, **ticked: Any) -> dict[str, str]:
        """Open the request, allow what the screen asks, come back; what the app is told."""
        screen = browser.get(address)
        assert screen.status_code == 200, (screen.status_code, screen.headers.get("location"))
        page = Page(screen.text)
        form = page.form("/consent/") | {"decision": "allow"} | ticked
        action = re.findall(r'action="(/consent/[^"]+)"', screen.text)[0]
        answer = browser.post(action, form)
        assert answer.status_code == 303, (answer.status_code, answer.text[:2000])
        return told(browser.get(answer.headers["location"]))

    def redeem(self, code: str, app: str, **changes: Any) -> Any:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.oauth("/token", form, app)

    def agreed(self, browser: Browser, app: str, details: Sequence[Mapping[str, Any]], **ticked: Any) -> dict[str, Any]:
        """A whole agreement with everything ticked that is offered; the token response."""
        address = self.request(app, details)
        screen = Page(browser.get(address).text)
        boxes: dict[str, Any] = {}
        for name in screen.boxes():
            boxes[name] = screen.offered(name)
        answer = self.redeem(self.answer(browser, address, **(boxes | ticked))["code"], app)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def refresh(self, token: str, app: str) -> Any:
        return self.oauth("/token", {"grant_type": "refresh_token", "refresh_token": token}, app)

    def read(self, token: str, path: str, method: str = "GET") -> Any:
        return self.http.request(method, path, headers={"authorization": f"Bearer {token}"})

    # ---- what is written

    def log(self, person: str) -> list[dict[str, Any]]:
        return databases.entries(self.house, person)

    def rows(self, statement: str, *values: Any) -> list[Any]:
        connection = self.house.store.connect()
        try:
            found: list[Any] = connection.execute(statement, values).fetchall()
            return found
        finally:
            connection.close()


def told(final: Any) -> dict[str, str]:
    """The answer on the page that goes on to the app."""
    assert final.status_code == 200, (final.status_code, final.headers.get("location"), final.text[:300])
    found = parse_qs(urlsplit(Page(final.text).onward).query, keep_blank_values=True)
    return {name: values[0] for name, values in found.items()}


def detail(
    organisation: str, datasets: Sequence[str], purpose: str = "household-budget", **more: Any
) -> dict[str, Any]:
    """One object of authorization_details."""
    return {
        "type": "data_access",
        "locations": [f"{ISSUER}/data/{organisation}"],
        "datatypes": list(datasets),
        "actions": ["read"],
        "purpose": purpose,
        "period": {"history": "P13M", "future": True},
        "valid_for": "P6M",
        "retention": "P1M",
        **more,
    }


# ---- a bank that gives everything it has, whatever it is asked: two accounts, old and new transactions, planted words

BASE = "/open-banking/v4.0/aisp"
JSON = "application/json"
AGES = (0.01, 1.0, 30.0, 200.0, 500.0, 900.0)  # days; the last two lie outside of thirteen months
INSIDE = 4
FIELDS = ["transaction.date", "transaction.amount", "transaction.type"]
APP: list[dict[str, Any]] = [
    {"organisation": "harbour-bank", "dataset": "bank.accounts", "fields": ["account.kind"], "necessity": "required"},
    {"organisation": "harbour-bank", "dataset": "bank.transactions", "fields": FIELDS},
    {"organisation": "harbour-bank", "dataset": "bank.balances", "fields": ["balance.amount"]},
]


def natives(person: str) -> tuple[str, str]:
    return f"native-{person[:6]}-one", f"native-{person[:6]}-two"


class Bank:
    """Subject → accounts. Everything of one person bears a word of hers, so that a mix-up shows."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.customers: dict[str, tuple[str, ...]] = {}
        self.words: dict[str, str] = {}

    def customer(self, subject: str, accounts: Sequence[str], word: str) -> None:
        self.customers[subject], self.words[subject] = tuple(accounts), word

    def __call__(self, subject: str, path: str, query: str) -> Reply:
        kind = {"accounts": "Account", "balances": "Balance", "transactions": "Transaction"}
        name = path.rsplit("/", 1)[-1]
        member = kind.get(name, "Account")
        rows = [row for account in self.customers[subject] for row in self._rows(member, account, self.words[subject])]
        body = {"Data": {member: rows}, "Links": {"Self": f"https://bank.example{path}"}, "Meta": {"TotalPages": 1}}
        return 200, JSON, json.dumps(body).encode()

    def _rows(self, member: str, account: str, word: str) -> list[dict[str, Any]]:
        if member == "Account":
            held = {"SchemeName": "IBAN", "Identification": f"IBAN-{word}", "Name": f"holder-{word}"}
            return [{"AccountId": account, "Currency": "EUR", "Nickname": f"nickname-{word}", "Account": [held]}]
        if member == "Balance":
            at = self._clock().isoformat()
            money = {"Amount": "10.00", "Currency": "EUR"}
            return [{"AccountId": account, "CreditDebitIndicator": "Credit", "Type": "x", "DateTime": at,
                     "Amount": money}]  # fmt: skip
        return [self._transaction(account, word, age) for age in AGES]

    def _transaction(self, account: str, word: str, age: float) -> dict[str, Any]:
        at = (self._clock() - timedelta(days=age)).isoformat(timespec="seconds")
        return {
            "AccountId": account,
            "TransactionId": f"id-{word}",
            "TransactionReference": f"reference-{word}",
            "CreditDebitIndicator": "Debit",
            "Status": "BOOK",
            "BookingDateTime": at,
            "Amount": {"Amount": f"{age}", "Currency": "EUR"},
            "TransactionInformation": f"narrative-{word}",
            "AddressLine": f"address-{word}",
            "MerchantDetails": {"MerchantName": f"merchant-{word}"},
            "CreditorAccount": {"SchemeName": "IBAN", "Identification": f"creditor-{word}", "Name": f"name-{word}"},
            "CardInstrument": {"CardSchemeName": "VISA", "Identification": f"card-{word}"},
            "Balance": {"CreditDebitIndicator": "Credit", "Type": "x",
                        "Amount": {"Amount": "777.77", "Currency": "EUR"}},
            "SupplementaryData": {"free": f"free-{word}"},
        }  # fmt: skip


def settle(world: World) -> Bank:
    bank = Bank(world.clock)
    world.organisations.responders["harbour-bank"] = bank
    world.app("budget", APP)
    return bank


def moves_in(world: World, bank: Bank, person: str, word: str | None = None) -> None:
    """She links the bank, where she has two accounts."""
    accounts = natives(person)
    subject = world.link(person, "harbour-bank", accounts)
    bank.customer(subject, accounts, word or person)


def with_alice(world: World, word: str | None = None) -> tuple[Bank, str]:
    """A bank, an app, and Alice, who has linked the bank."""
    bank, alice = settle(world), world.person("Alice")
    moves_in(world, bank, alice, word)
    return bank, alice


def transactions(ref: str) -> str:
    return f"/data/harbour-bank{BASE}/accounts/{ref}/transactions"


# ---- a supplier whose one batch holds everything of a usage point: readings, a bill, and where it is

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
ESPI_BASE = "/espi/1_1/resource"
BATCH = f"{ESPI_BASE}/Batch/Subscription/mine"
ENERGY = ["energy.electricity.usage", "energy.electricity.summary", "energy.point"]
MIDNIGHT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
METER_APP = [
    {"organisation": "city-energy", "dataset": name, "fields": fields}
    for name, fields in (
        (ENERGY[0], ["interval.start", "interval.value"]),
        (ENERGY[1], ["summary.period", "summary.consumption", "summary.amounts"]),
        (ENERGY[2], ["point.location"]),
    )
]


def _entry(path: str, content: str, *related: str) -> str:
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{path.rsplit("/", 1)[0]}"/>'
    links += "".join(f'<link rel="related" href="{to}"/>' for to in related)
    return (
        f"<entry><id>urn:uuid:{uuid5(NAMESPACE_URL, path)}</id>{links}<title>t</title><content>{content}</content>"
        "<published>2026-11-01T00:00:00Z</published><updated>2026-11-01T00:00:00Z</updated></entry>"
    )


def energy_batch(native: str = "point-one", subscription: str = "s") -> bytes:
    point = f"{ESPI_BASE}/Subscription/{subscription}/UsagePoint/{native}"
    period = f"<duration>3600</duration><start>{MIDNIGHT}</start>"
    reading = f"<IntervalReading><timePeriod>{period}</timePeriod><value>450</value></IntervalReading>"
    place = "<ServiceCategory><kind>0</kind></ServiceCategory>"
    place += "<serviceDeliveryPoint><name>street</name></serviceDeliveryPoint>"
    unit = f"{ESPI_BASE}/ReadingType/1"
    bill = f"<billingPeriod>{period}</billingPeriod><billLastPeriod>505050</billLastPeriod>"
    entries = [
        _entry(point, f'<UsagePoint xmlns="{ESPI}">{place}</UsagePoint>', f"{point}/MeterReading",
              f"{point}/UsageSummary"),
        _entry(f"{point}/MeterReading/m1", f'<MeterReading xmlns="{ESPI}"/>', f"{point}/MeterReading/m1/IntervalBlock",
              unit),
        _entry(unit, f'<ReadingType xmlns="{ESPI}"><uom>72</uom></ReadingType>'),
        _entry(f"{point}/MeterReading/m1/IntervalBlock/b1",
              f'<IntervalBlock xmlns="{ESPI}"><interval>{period}</interval>{reading}</IntervalBlock>'),
        _entry(f"{point}/UsageSummary/u1", f'<UsageSummary xmlns="{ESPI}">{bill}</UsageSummary>'),
    ]  # fmt: skip
    head = '<id>urn:uuid:0</id><title>t</title><updated>2026-11-01T00:00:00Z</updated><link rel="self" href="/x"/>'
    return f'<feed xmlns="{ATOM}">{head}{"".join(entries)}</feed>'.encode()


def settle_energy(world: World) -> str:
    """Alice, with one usage point linked."""
    world.organisations.responders["city-energy"] = lambda *_: energy_reply()
    world.app("meter", METER_APP, purposes=["energy-advice"])
    alice = world.person("Alice")
    world.link(alice, "city-energy", ["point-one"])
    return alice


def energy_reply() -> Reply:
    return 200, "application/atom+xml", energy_batch()
