"""The two apps in a browser without JavaScript, against a gateway played by the test."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from examples.apps import watt_coach
from examples.apps.client import Aval
from examples.apps.web import Sessions, build
from examples.data import bank, energy, espi, health
from examples.data.people import PEOPLE
from tests.callers import TestClient

ROOT = Path(__file__).parents[2]
ALICE, TODAY = PEOPLE[0], date(2026, 11, 23)
APPS = ("watt_coach", "clear_budget")


class Played:
    """Says yes to everything it is asked properly, until told otherwise."""

    def __init__(self):
        handler = type("Handler", (_Door,), {"played": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.asked = {}  # request_uri → form of the pushed request
        self.details = []
        self.leave_out = set()  # datasets the person did not tick
        self.answer = {}  # parameters that replace those of the way back
        self.refuse = None  # (status, reason, headers) of every data call
        self.refresh = "refresh-0"
        self.life = 300
        self.renewed = 0
        self.revoked = []

    def metadata(self):
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "revocation_endpoint": "revoke"}
        names["pushed_authorization_request_endpoint"] = "par"
        return {"issuer": self.url} | {name: f"{self.url}/{path}" for name, path in names.items()}

    def par(self, form, headers):
        self.details = json.loads(form["authorization_details"])
        assert form["code_challenge_method"] == "S256" and form["response_type"] == "code"
        uri = f"urn:ietf:params:oauth:request_uri:{len(self.asked)}"
        self.asked[uri] = form | {"authorization": headers.get("Authorization", "")}
        return 201, {"request_uri": uri, "expires_in": 90}

    def authorize(self, query):
        form = self.asked[query["request_uri"]]
        assert form["client_id"] == query["client_id"]
        back = {"code": query["request_uri"], "state": form["state"], "iss": self.url} | self.answer
        return form["redirect_uri"] + "?" + urlencode({k: v for k, v in back.items() if v})

    def token(self, form):
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refresh:
                return 400, {"error": "invalid_grant"}
            self.renewed += 1
        else:
            pushed = self.asked.pop(form["code"])
            verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() == pushed["code_challenge"]
            assert form["redirect_uri"] == pushed["redirect_uri"]
        self.refresh = f"refresh-{self.renewed}"
        granted = [d for d in self.details if d["datatypes"][0] not in self.leave_out]
        return 200, {
            "access_token": f"access-{self.renewed}",
            "token_type": "Bearer",
            "expires_in": self.life,
            "refresh_token": self.refresh,
            "grant_id": "g" * 43,
            "authorization_details": granted,
        }

    def data(self, path, query, headers):
        if headers.get("Authorization") != f"Bearer access-{self.renewed}":
            return 401, "application/problem+json", {"reason": "invalid_token"}, {}
        if self.refuse:
            status, reason, more = self.refuse
            return status, "application/problem+json", {"status": status, "reason": reason}, more
        organisation, _, rest = path.partition("/")
        return 200, *_ANSWERS[organisation](self, rest, query), {}


def _energy(played, path, query):
    points = energy.POINTS[ALICE.energy][:1]
    entries = [e for e in espi.entries(points, "mine", TODAY) if e.kind not in played.leave_out]
    return "application/atom+xml", espi.feed(played.url, "Batch/Subscription/mine", "", 0, entries)


def _bank(played, path, query):
    member = {"accounts": "Account", "balances": "Balance", "transactions": "Transaction"}[path.rsplit("/", 1)[-1]]
    links = {"Self": f"{played.url}/data/harbour-bank/{path}"}
    account = bank.ACCOUNTS[ALICE.bank][0]
    if member == "Transaction":
        page = int(query.get("page", "1"))
        rows = bank.transactions(account, TODAY)[(page - 1) * 500 : page * 500]
        if page < 3:
            links["Next"] = f"{links['Self']}?page={page + 1}"
    else:
        rows = bank.accounts(ALICE) if member == "Account" else bank.balances(account, TODAY)
    return "application/json", {"Data": {member: rows}, "Links": links}


def _health(played, path, query):
    entries = [{"resource": claim} for claim in health.claims(ALICE, TODAY)]
    return "application/fhir+json", {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": []}


_ANSWERS = {"city-energy": _energy, "harbour-bank": _bank, "meadow-health": _health}


class _Door(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/oauth-authorization-server":
            self.reply(200, "application/json", self.played.metadata())
        elif parts.path == "/authorize":
            self.reply(303, "text/plain", b"", {"Location": self.played.authorize(query)})
        else:
            self.reply(*self.played.data(parts.path.removeprefix("/data/"), query, self.headers))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {k: v[0] for k, v in parse_qs(body).items()}
        if self.path == "/revoke":
            self.played.revoked.append(form["token"])
            self.reply(200, "application/json", {})
        else:
            status, answer = self.played.par(form, self.headers) if self.path == "/par" else self.played.token(form)
            self.reply(status, "application/json", answer)

    def reply(self, status, kind, body, headers=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Quiet."""


@pytest.fixture(scope="module")
def played():
    one = Played()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(autouse=True)
def as_at_first(played):
    played.leave_out, played.answer, played.refuse, played.life = set(), {}, None, 300


@pytest.fixture(scope="module")
def apps(played, tmp_path_factory):
    """Address of each app by name."""
    running, found = [], {}
    for name in APPS:
        command = [sys.executable, "-m", f"examples.apps.{name}", "--port", "0", "--gateway", played.url]
        command += ["--dir", str(tmp_path_factory.mktemp(name))]
        environment = {**os.environ, "CLEAR_BUDGET_CLIENT_SECRET": "a secret of the tests only"}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True))
    for name, process in zip(APPS, running, strict=True):
        found[name] = process.stdout.readline().removeprefix("ready ").strip()
    yield found
    for process in running:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def visit(apps):
    """A browser at one app, in one language."""
    opened = []

    def open_at(name, language="en"):
        headers = {"Accept-Language": language}
        opened.append(httpx2.Client(base_url=apps[name], headers=headers, follow_redirects=True, trust_env=False))
        return opened[-1]

    yield open_at
    for browser in opened:
        browser.close()


def text(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def test_watt_coach_asks_for_what_it_declared_and_shows_a_year(visit, played):
    browser = visit("watt_coach")
    assert "Connect with Aval" in browser.get("/").text
    page = browser.post("/connect")
    declared = tomllib.loads((ROOT / "examples/apps/watt-coach.toml").read_text())
    assert [(d["datatypes"], d["fields"]) for d in played.details] == [
        ([row["dataset"]], row["fields"]) for row in declared["data"]
    ]
    assert {d["purpose"] for d in played.details} == {"energy-advice"}
    assert page.text.count('<rect class="bar"') == 13
    assert "% at night" in text(page) and "Oct 2026" in page.text and "Your statements" in page.text
    assert "<script" not in page.text and "style=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_watt_coach_is_public_and_clear_budget_proves_who_it_is(visit, played):
    for name, proof in (("watt_coach", ""), ("clear_budget", "Basic ")):
        browser = visit(name)
        browser.follow_redirects = False
        browser.post("/connect")
        pushed = played.asked[max(played.asked)]
        assert pushed["authorization"].startswith(proof) and bool(pushed["authorization"]) == bool(proof)


def test_clear_budget_asks_two_organisations_in_one_request(visit, played):
    page = visit("clear_budget").post("/connect")
    places = {d["locations"][0] for d in played.details}
    assert places == {f"{played.url}/data/harbour-bank", f"{played.url}/data/meadow-health"}
    assert {d["purpose"] for d in played.details} == {"household-budget"}
    total = len(bank.transactions(bank.ACCOUNTS[ALICE.bank][0], TODAY))
    assert f"{total} payments read" in text(page)
    assert "Groceries" in page.text or "Eating out" in page.text
    assert "Health refunds" in page.text and "€" in page.text


def test_what_the_person_left_out_is_shown_as_not_shared(visit, played):
    played.leave_out = {"bank.balances", "health.claims"}
    assert text(visit("clear_budget").post("/connect")).count("Not shared.") == 2
    played.leave_out = {"energy.electricity.summary", "UsageSummary"}
    assert "Your statements" not in visit("watt_coach").post("/connect").text


@pytest.mark.parametrize("name", APPS)
def test_french_is_spoken_to_a_french_browser(visit, name):
    page = visit(name, "fr-FR,fr;q=0.9,en;q=0.5").get("/")
    assert '<html lang="fr">' in page.text and "Se connecter avec Aval" in page.text


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [
        ("ended", 403, "has ended"),
        ("paused", 403, "Resume it in Aval"),
        ("dataset", 403, "no longer part of what you share"),
        ("frequency", 429, "as often as agreed"),
        ("not_linked", 403, "no longer linked"),
        ("organisation_slow", 504, "too long to answer"),
        ("a reason of next year", 403, "Something went wrong"),
    ],
)
def test_every_refusal_is_told_with_what_to_do_and_old_figures_stay(visit, played, reason, status, words):
    browser = visit("watt_coach")
    browser.post("/connect")
    played.refuse = (status, reason, {"Retry-After": "1800"} if status == 429 else {})
    page = browser.post("/refresh")
    assert words in text(page) and "last figures we had" in page.text and '<rect class="bar"' in page.text
    assert ("Try again in 30 min" in text(page)) == (status == 429)
    assert f"{played.url}/sharings/{'g' * 43}" in page.text
    played.refuse = None
    assert words not in text(browser.post("/refresh"))


def test_refreshing_uses_the_newest_refresh_token_each_time(visit, played):
    played.life = 1
    browser = visit("watt_coach")
    browser.post("/connect")
    before = played.renewed
    for _ in range(3):
        assert 'class="told"' not in browser.post("/refresh").text
    assert played.renewed >= before + 3
    played.refresh = "spent by the gateway"
    assert "access has run out" in text(browser.post("/refresh"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "access_denied", "code": ""}, "You said no"),
        ({"iss": "http://localhost:1"}, "does not come from Aval"),
        ({"iss": ""}, "does not come from Aval"),
        ({"state": "another"}, "belongs to no request"),
    ],
)
def test_a_way_back_that_is_not_right_connects_nobody(visit, played, answer, words):
    played.answer = answer
    browser = visit("watt_coach")
    page = browser.post("/connect")
    assert page.status_code == 400 and words in text(page)
    assert "Connect with Aval" in browser.get("/").text


def test_mallory_cannot_bring_her_own_answer_into_alice_s_browser(visit, played):
    mallory, alice = visit("watt_coach"), visit("watt_coach")
    mallory.follow_redirects = alice.follow_redirects = False
    started = mallory.post("/connect").headers["location"]
    back = httpx2.get(started, trust_env=False).headers["location"]
    assert alice.get(back).status_code == 400
    alice.post("/connect")
    assert alice.get(back).status_code == 400


def test_forgetting_revokes_the_token_and_empties_the_page(visit, played):
    browser = visit("clear_budget")
    browser.post("/connect")
    held = played.refresh
    page = browser.post("/forget")
    assert "Connect with Aval" in page.text and played.revoked[-1] == held


def test_no_token_is_ever_in_the_browser(visit, played):
    browser = visit("watt_coach")
    page = browser.post("/connect")
    seen = page.text + str(page.headers) + str(dict(browser.cookies))
    assert "access-" not in seen and "refresh-" not in seen


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        *((reason, "Ask again with Aval") for reason in ("ended", "no_consent", "max_uses")),
        *((reason, "Refresh") for reason in ("paused", "frequency", "organisation_slow", "not_linked")),
    ],
)
def test_what_it_offers_first_is_what_helps(visit, played, reason, first):
    browser = visit("watt_coach")
    browser.post("/connect")
    played.refuse = (403, reason, {})
    page = browser.post("/refresh").text
    assert re.findall(r'<button class="go">([^<]+)<', page) == [first]
    assert (">Refresh<" in page) == (first == "Refresh")


# ---- its own log


@pytest.fixture
def inside(played, tmp_path):
    """A browser at Watt Coach in this very process."""
    aval = Aval(played.url, watt_coach.DECLARED, "", "http://testserver/callback")
    return TestClient(build(watt_coach.SITE, aval, Sessions(tmp_path)), headers={"accept-language": "en"})


def test_its_log_says_why_its_request_was_refused(inside, played, capfd, monkeypatch):
    refused = {"error": "invalid_authorization_details", "error_description": "above the purpose's cap."}
    monkeypatch.setattr(played, "par", lambda form, headers: (400, refused))
    assert inside.post("/connect").status_code == 502
    assert "asking was refused: \"invalid_authorization_details (above the purpose's cap" in capfd.readouterr().err


def test_what_a_browser_brings_back_is_one_line_of_the_log(inside, played, capfd):
    address = inside.post("/connect", follow_redirects=False).headers["location"]
    state = played.asked[parse_qs(urlsplit(address).query)["request_uri"][0]]["state"]
    inside.get("/callback", params={"error": "x\nall is well" + "y" * 999, "state": state, "iss": played.url})
    [line] = capfd.readouterr().err.splitlines()
    assert len(line) < 400
