"""The demo's story: one person, two apps, three organisations, told and verified step by step.

The story plays the person (on the pages, without JavaScript) and the apps (by OAuth), and checks every result.
Each step returns a sentence. A step that finds something wrong raises `Amiss`.
"""

import base64
import hashlib
import json
import secrets
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import typer

from gateway.cli import demo_setup
from gateway.cli.demo_setup import PASSWORD, Demo
from gateway.cli.demo_visitor import Visitor, WebPage

ESPI = "{http://naesb.org/espi}"
Step = tuple[str, Callable[[], str]]


class Amiss(Exception):
    """A result is not as expected. The message says what was expected and what was found."""


def tell(demo: Demo, as_json: bool) -> int:
    """Run the steps. Returns 0 if all are right; stops at the first that is not and returns 1."""
    story = Story(demo)
    try:
        for name, step in story.steps():
            began = time.monotonic()
            try:
                sentence, fine = step(), True
            except (Amiss, LookupError, RuntimeError, KeyError, httpx2.HTTPError) as error:
                sentence, fine = f"{type(error).__name__}: {error}", False
            _print(name, sentence, fine, time.monotonic() - began, as_json)
            if not fine:
                return 1
    finally:
        demo_setup.stop(demo)
    return 0


def _print(name: str, sentence: str, fine: bool, seconds: float, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"step": name, "ok": fine, "says": sentence, "seconds": round(seconds, 3)}))
    else:
        typer.echo(f"{'ok  ' if fine else 'FAIL'} {name}: {sentence}", err=not fine)


def expect(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise Amiss(f"{what}: expected {wanted!r}, found {found!r}")


@dataclass
class HeldGrant:
    """What an app has after the person agreed."""

    token: str
    refresh: str
    consent: str
    details: list[dict[str, Any]]

    def accounts(self, dataset: str) -> list[str]:
        return next(list(d["accounts"]) for d in self.details if d["datatypes"] == [dataset])


@dataclass
class Story:
    demo: Demo
    email: str = "alice@example.org"
    grants: dict[str, HeldGrant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gateway = self.demo.url("gateway")
        self.alice = Visitor(self.gateway, *(self.demo.url(name) for name in demo_setup.ORGANISATIONS))
        self.http = httpx2.Client(timeout=30)

    def steps(self) -> Iterator[Step]:
        yield "start", self.start
        yield "sign in", self.sign_in
        yield "link City Energy", self.link_city_energy
        yield "link Harbour Bank", lambda: self.link_by_code("harbour-bank", "HB-2001")
        yield "link Meadow Health", lambda: self.link_by_code("meadow-health", "MH-3001")
        yield "ask and agree: Watt Coach", self.agree_energy
        yield "read from City Energy", self.read_energy
        yield "ask and agree: Clear Budget", self.agree_budget
        yield "read from Harbour Bank", self.read_bank
        yield "read from Meadow Health", self.read_health
        yield "a call for more", self.ask_for_more
        yield "the person's log", self.see_log
        yield "stop", self.stop_sharing
        yield "the next call", self.call_after_stop
        yield "verify the log offline", self.verify_log

    # ---- the steps

    def start(self) -> str:
        demo_setup.start(self.demo, lambda _line: None)
        return f"the gateway, three organisations and two apps run on this machine; the gateway at {self.gateway}"

    def sign_in(self) -> str:
        page = self.alice.get(f"{self.gateway}/sign-in")
        page = self.alice.submit(page, page.form("/sign-in"), email=self.email, password=PASSWORD)
        expect(page.status, 200, "status after signing in")
        if "Alice" not in page.text:
            raise Amiss("the page after signing in does not greet Alice")
        return "Alice signed in with her password"

    def link_city_energy(self) -> str:
        customer, password = _customer("energy", self.email)
        page = self.alice.get(f"{self.gateway}/organisations/city-energy/link")
        if not _linkable(page):
            return "Alice's account at City Energy was linked before"
        page = self.alice.submit(page, page.form("/organisations/city-energy/link"))
        page = self.alice.submit(page, page.forms[0], customer_number=customer, password=password)
        approve = page.forms[0]
        page = self.alice.submit(page, approve, press=_affirmative(approve.buttons))
        expect(page.status, 200, "status after linking")
        expect(self._linked("city-energy"), True, "City Energy linked")
        return "Alice told City Energy, at City Energy, that Aval may read her data; its token is sealed"

    def link_by_code(self, organisation: str, customer: str) -> str:
        page = self.alice.get(f"{self.gateway}/organisations/{organisation}/link")
        if not _linkable(page):
            return f"Alice's account at {organisation} was linked before"
        page = self.alice.submit(page, page.form(f"/organisations/{organisation}/link"), customer_number=customer)
        page = self.alice.submit(
            page, page.form(f"/organisations/{organisation}/"), code=self._code(organisation, customer)
        )
        expect(page.status, 200, "status after linking")
        expect(self._linked(organisation), True, f"{organisation} linked")
        return f"{organisation} sent Alice a code, she typed it in, and her account is linked"

    def agree_energy(self) -> str:
        asked = [
            _detail(self.gateway, "city-energy", ["energy.electricity.usage"], "energy-advice", "P12M", 24),
            _detail(self.gateway, "city-energy", ["energy.electricity.summary"], "energy-advice", "P12M", 24),
        ]
        granted = self._obtain("watt-coach", asked, accounts=1, tick=())
        expect([d["datatypes"] for d in granted.details], [["energy.electricity.usage"]], "types of data granted")
        expect(len(granted.accounts("energy.electricity.usage")), 1, "usage points granted")
        return "Watt Coach asked for use and bills; Alice agreed to the use of one of her two meters, for 30 days"

    def read_energy(self) -> str:
        account = self.grants["watt-coach"].accounts("energy.electricity.usage")[0]
        answer = self._read("watt-coach", "city-energy", "/espi/1_1/resource/Batch/Subscription/mine")
        feed = ElementTree.fromstring(answer.content)
        points = feed.findall(f".//{ESPI}UsagePoint")
        readings = feed.findall(f".//{ESPI}IntervalReading")
        expect(len(points), 1, "usage points in the answer")
        for withheld in ("cost", "UsageSummary", "ServiceDeliveryPoint"):
            expect(len(feed.findall(f".//{ESPI}{withheld}")), 0, f"{withheld} elements")
        if account not in answer.text:
            raise Amiss("the usage point does not carry the reference the app was given")
        oldest = min(
            int(start.text or 0) for start in feed.findall(f".//{ESPI}IntervalReading/{ESPI}timePeriod/{ESPI}start")
        )
        floor = datetime.now(UTC) - timedelta(days=368)
        if datetime.fromtimestamp(oldest, UTC) < floor:
            raise Amiss("a reading from before the agreed twelve months")
        return (
            f"{len(readings)} hourly readings of the one meter, no cost, no address, nothing older than twelve months"
        )

    def agree_budget(self) -> str:
        bank = ["bank.accounts", "bank.transactions"]
        asked = [
            _detail(self.gateway, "harbour-bank", bank, "household-budget", "P3M", 12),
            _detail(self.gateway, "meadow-health", ["health.claims"], "household-budget", "P12M", 12),
        ]
        granted = self._obtain("clear-budget", asked, accounts=1, tick=("meadow-health:health.claims",))
        expect(len(granted.details), 3, "items granted")
        return (
            "Clear Budget asked two organisations in one request; Alice chose one of her two accounts and her refunds"
        )

    def read_bank(self) -> str:
        account = self.grants["clear-budget"].accounts("bank.transactions")[0]
        path, seen, pages = f"/open-banking/v4.0/aisp/accounts/{account}/transactions", 0, 0
        while path:
            answer = self._read("clear-budget", "harbour-bank", path).json()
            rows = answer["Data"]["Transaction"]
            seen, pages = seen + len(rows), pages + 1
            expect({row["AccountId"] for row in rows} <= {account}, True, "only the chosen account")
            expect([row for row in rows if "Balance" in row], [], "running balances")
            path = answer.get("Links", {}).get("Next", "").removeprefix(f"{self.gateway}/data/harbour-bank")
        if seen < 100 or pages < 2:
            raise Amiss(f"only {seen} transactions on {pages} pages")
        return f"{seen} transactions of the chosen account on {pages} pages, without running balances"

    def read_health(self) -> str:
        answer = self._read("clear-budget", "meadow-health", "/v2/fhir/ExplanationOfBenefit").json()
        claims = [entry["resource"] for entry in answer.get("entry", ())]
        if not claims:
            raise Amiss("no refunds in the answer")
        for claim in claims:
            expect("diagnosis" in claim or "careTeam" in claim, False, "diagnoses or doctors in a claim")
            tags = [tag.get("code") for tag in claim.get("meta", {}).get("tag", ())]
            expect("SUBSETTED" in tags, True, "marked as a subset")
        return f"{len(claims)} refunds with dates and amounts; no diagnosis, no doctor, marked as a subset"

    def ask_for_more(self) -> str:
        problem = self._refused("clear-budget", "harbour-bank", "/open-banking/v4.0/aisp/balances", 403)
        expect(problem["reason"], "dataset", "reason of the refusal")
        return f"Clear Budget called for balances it was not given: {problem['title']}"

    def see_log(self) -> str:
        page = self.alice.get(f"{self.gateway}/log")
        for words in (
            "Watt Coach",
            "Clear Budget",
            "City Energy",
            "Harbour Bank",
            "Meadow Health",
            "Agreement",
            "Access",
            "Refusal",
        ):
            if words not in page.text:
                raise Amiss(f"the log page does not say {words!r}")
        return "Alice's log shows both agreements, every reading, and the refused call, in plain sentences"

    def stop_sharing(self) -> str:
        consent = self.grants["watt-coach"].consent
        page = self.alice.get(f"{self.gateway}/sharings")
        if consent not in page.body:
            raise Amiss("the sharing is not on Alice's list")
        page = self.alice.get(f"{self.gateway}/sharings/{consent}/stop")
        page = self.alice.submit(page, page.form(f"/sharings/{consent}/stop"))
        expect(page.url.endswith(f"/sharings/{consent}/stopped"), True, "the receipt page")
        return "Alice stopped sharing with Watt Coach in two clicks and has a receipt"

    def call_after_stop(self) -> str:
        path = "/espi/1_1/resource/Batch/Subscription/mine"
        problem = self._refused("watt-coach", "city-energy", path, 403)
        expect(problem["reason"], "ended", "reason of the refusal")
        renewed = self.http.post(
            f"{self.gateway}/token",
            data={
                "grant_type": "refresh_token",
                "refresh_token": self.grants["watt-coach"].refresh,
                "client_id": "watt-coach",
            },
        )
        expect((renewed.status_code, renewed.json()["error"]), (400, "invalid_grant"), "refresh after the stop")
        self._read("clear-budget", "harbour-bank", "/open-banking/v4.0/aisp/accounts")
        return "the very next call of Watt Coach was refused, and its refresh token too; Clear Budget still reads"

    def verify_log(self) -> str:
        demo_setup.stop(self.demo)
        report = json.loads(demo_setup.aval(self.demo, "log", "verify", "--json"))
        expect(report["whole"], True, "the log")
        return f"with the gateway stopped, all {report['entries']} entries, their chains and signed tree heads verify"

    # ---- the app's side

    def _obtain(self, app: str, details: list[dict[str, Any]], accounts: int, tick: tuple[str, ...]) -> HeldGrant:
        """PAR → the person's consent screen → code → token, as the app would."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        redirect = f"{self.demo.url(app)}/callback"
        client = self._client(app)
        pushed = self.http.post(
            f"{self.gateway}/par",
            data={
                **client["form"],
                "response_type": "code",
                "redirect_uri": redirect,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "authorization_details": json.dumps(details),
            },
            auth=client["auth"],
        )
        expect(pushed.status_code, 201, f"PAR ({pushed.text[:300]})")
        query = urlencode({"client_id": app, "request_uri": pushed.json()["request_uri"]})
        page = self._agree(self.alice.get(f"{self.gateway}/authorize?{query}"), accounts, tick)
        back = parse_qs(urlsplit(page.url).query)
        expect(page.url.startswith(redirect), True, f"back at the app ({page.status} {page.text[:300]})")
        expect((back["state"], back["iss"]), ([state], [self.gateway]), "state and iss")
        answer = self.http.post(
            f"{self.gateway}/token",
            data={
                **client["form"],
                "grant_type": "authorization_code",
                "code": back["code"][0],
                "redirect_uri": redirect,
                "code_verifier": verifier,
            },
            auth=client["auth"],
        )
        expect(answer.status_code, 200, f"token ({answer.text[:300]})")
        token = answer.json()
        self.grants[app] = HeldGrant(
            token["access_token"], token.get("refresh_token", ""), token["grant_id"], token["authorization_details"]
        )
        return self.grants[app]

    def _client(self, app: str) -> dict[str, Any]:
        if app == "watt-coach":  # a public client
            return {"form": {"client_id": app}, "auth": None}
        kept = json.loads((self.demo.folder / "demo.json").read_text())
        return {"form": {}, "auth": httpx2.BasicAuth(app, kept[app])}

    def _agree(self, page: WebPage, accounts: int, tick: tuple[str, ...]) -> WebPage:
        if "/authorize/continue" in page.body:  # agreed to the same at an earlier start: choose again all the same
            page = self.alice.get(page.url + "&change=1")
        form = page.form("/consent/")
        values: dict[str, str | list[str]] = {f"item:{name}": "yes" for name in tick}
        for name, offered in form.offered.items():
            if name.startswith("accounts:"):
                values[name] = offered[:accounts]
        values["duration"] = "d30"
        return self.alice.submit(page, form, press="allow", **values)

    def _call(self, app: str, organisation: str, path: str) -> httpx2.Response:
        url = f"{self.gateway}/data/{organisation}{path}"
        return self.http.get(url, headers={"authorization": f"Bearer {self.grants[app].token}"})

    def _read(self, app: str, organisation: str, path: str) -> httpx2.Response:
        answer = self._call(app, organisation, path)
        expect(answer.status_code, 200, f"{organisation} {path.split('?')[0]} ({answer.text[:300]})")
        return answer

    def _refused(self, app: str, organisation: str, path: str, status: int) -> dict[str, Any]:
        answer = self._call(app, organisation, path)
        expect(answer.status_code, status, f"{organisation} {path} ({answer.text[:300]})")
        problem: dict[str, Any] = answer.json()
        return problem

    # ---- the person's side

    def _linked(self, organisation: str) -> bool:
        page = self.alice.get(f"{self.gateway}/organisations")
        return f"/organisations/{organisation}/unlink" in page.body

    def _code(self, organisation: str, customer: str) -> str:
        answer = self.http.get(
            f"{self.demo.url(organisation)}/inbox/{customer}", headers={"accept": "application/json"}
        )
        return str(answer.json()["messages"][0]["code"])


def _linkable(page: WebPage) -> bool:
    return any(urlsplit(form.action).path.endswith("/link") for form in page.forms)


def _affirmative(buttons: dict[str, str]) -> str:
    """The value of the approving button of an organisation's own page: its last one."""
    return list(buttons)[-1] if buttons else ""


def _customer(kind: str, email: str) -> tuple[str, str]:
    from examples.data.people import PEOPLE

    person = next(person for person in PEOPLE if person.email == email)
    return getattr(person, kind), person.energy_password


def _detail(
    gateway: str, organisation: str, datasets: list[str], purpose: str, history: str, per_day: int
) -> dict[str, Any]:
    return {
        "type": "data_access",
        "locations": [f"{gateway}/data/{organisation}"],
        "datatypes": datasets,
        "actions": ["read"],
        "purpose": purpose,
        "period": {"history": history, "future": True},
        "frequency": {"times": per_day, "per": "day"},
        "valid_for": "P6M",
        "retention": "P1M",
    }
