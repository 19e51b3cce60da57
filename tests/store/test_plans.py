"""No statement of the product reads a whole table that grows: what a door costs does not depend on how many were here.

A demo runs with every statement of the gateway's processes written down; somebody knocks at every door and runs the
commands; then the database is asked how it would answer each statement.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway import app as root
from gateway import schema
from gateway.cli import demo_setup
from gateway.cli.demo_setup import CHECKOUT, PASSWORD, Demo
from gateway.signals import rules as signals
from tests.databases import opened
from tests.worlds.demo import newcomer, started, stranger

RECORDING = Path(__file__).parent / "recording"

# Tables that may be read whole, and why they stay small.
SMALL = {
    "app": "an operator adds each by a file",
    "apporigin": "a few of each app",
    "organisation": "an operator adds each by a file",
    "directory": "one row",
    "undeclared": "a few hundred places of an organisation at most",
    "openstream": "answers that are on their way out",
    "alembic_version": "one row",
    "keycheck": "one row for each key file",
    "signingkey": "a few rows a year, and each leaves two years later",
    "logname": "one row",
    "schemaserves": "one row",
    "process": "one row for each process",
    "signalstream": "one of an app at most",
    "sqlite_master": "the tables themselves",
}
# Statements that may read a whole table, by words that stand in them, and why.
WHOLE = {
    "SELECT size, root, note, frontier FROM logcheckpoint ORDER BY size DESC LIMIT 2": "the last two rows by their key",
    'SELECT "index" FROM logleaf ORDER BY "index" DESC LIMIT 1': "the last row by its key",
    "SELECT EXISTS(SELECT 1 FROM logchain)": "any row",
    "UPDATE directory SET generation = 0 WHERE 0": "finds nothing, and looks for nothing",
    "SELECT min(entry_id) FROM logwaiting": "the first row by its key",
    "SELECT at_ms FROM logcheckpoint ORDER BY size DESC LIMIT 1": "the last row by its key",
    "SELECT DISTINCT tokenfamily.person_id": "the next living ones, by an index that has no others",
    "UPDATE consent SET subject = (SELECT": "once, when the column came",
    "FROM person ORDER BY person.email": "`aval people list` lists everybody",
}
_JOBS = """
import json, sys
from gateway import retention
from gateway.app import notices
from gateway.cli import app
from gateway.cli.opening import opened
from gateway.consent import expiry
from gateway.organisations.telling import tell_pending
from gateway.ground.store import pruning
from gateway.notices import outbox
from gateway.signals import streams
with opened() as house:
    tell_pending(house, house.clock())
    expiry.write_due(house, house.clock())
    streams.look_after(house.store, house.clock())
    pruning.prune(house.store, retention.LEAVING, house.clock())
    with house.store.write() as session:
        outbox.put(session, "one", "logout", "who", "https://who.example/", {}, house.clock())
        one = outbox.first(session, notices(house), "https://who.example/", house.clock())
        outbox.claim(session, one, house.clock())
        outbox.hold(session, "https://who.example/", house.clock())
        outbox.finish(session, "one", "told", house.clock())
        outbox.waiting(session, notices(house), house.clock(), 9)
    for rows in retention.LEAVING:  # those it deletes when there are some
        with house.store.write() as session:
            session.execute(pruning.deletion(rows, [(0,) * len(rows.key())], house.clock()))
for words in json.loads(sys.argv[1]):
    try:
        app(words)
    except SystemExit as ended:
        assert not ended.code, words
"""

WHO = """
client_id = "who"
name = { fr = "Qui", en = "Who" }
legal_entity = "Who Ltd"
backchannel_logout_uri = "https://who.example/told"
website = "https://who.example"
privacy_policy = "https://who.example/privacy"
terms = "https://who.example/terms"
deletion_contact = "delete@who.example"
redirect_uris = ["https://who.example/callback"]
token_endpoint_auth_method = "none"
purposes = ["sign-in"]
grant_types = ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]
"""
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

KEEPER = (
    WHO.replace('"who"', '"keeper"')
    .replace('"none"', '"client_secret_basic"')
    .replace(
        '"authorization_code", ', '"authorization_code", "client_credentials", "urn:openid:params:grant-type:ciba", '
    )
    + 'backchannel_token_delivery_mode = "ping"\n'
    + 'backchannel_client_notification_endpoint = "https://who.example/pinged"\nasks_anybody = true\n'
)

pytestmark = pytest.mark.sqlite


class Tour:
    """Alice, who goes everywhere, and the app she knows."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.at = demo, demo.url("gateway")
        self.alice = newcomer(demo)
        self.browser, self.story = self.alice.visitor, self.alice.story

    def goes_everywhere(self) -> None:
        self.alice.links("city-energy", "harbour-bank", "meadow-health")
        for step in ("agree_energy", "read_energy", "agree_budget", "read_bank", "read_health", "ask_for_more"):
            getattr(self.story, step)()
        consent = self.story.grants["clear-budget"].consent
        self.agrees_once_more()
        self.asks_about_tokens()
        self.signs_in_elsewhere()
        self.keeps_house()
        self.looks_at_everything(consent)
        self.decides_otherwise(consent)
        self.story.stop_sharing()
        self.story.call_after_stop()
        self.looks_at_everything(self.story.grants["watt-coach"].consent)
        self.changes_her_account()
        self.leaves()

    def posts(self, path: str, **fields: Any) -> Any:
        """A form of ours, sent from whatever page has one."""
        page = self.browser.get(f"{self.at}/account/details")
        form = page.form("/account/details")
        form.action, form.fields = path, {"csrf": form.fields["csrf"]}
        return self.browser.submit(page, form, **fields)

    def agrees_once_more(self) -> None:
        """The same request again: no page at all, a click, or the whole screen."""
        self.browser.get(f"{self.at}{self.pushed(prompt='none')}")
        self.story.http.post(f"{self.at}/authorize", data={"client_id": "watt-coach"})
        page = self.browser.get(f"{self.at}{self.pushed(prompt='consent', completion_mode='deferred')}")
        self.browser.submit(page, page.form("/authorize/later"))
        page = self.browser.get(f"{self.at}{self.pushed()}")
        self.browser.submit(page, page.form("/authorize/continue"))
        self.browser.get(f"{self.at}{self.pushed(prompt='consent')}")

    def pushed(self, **more: str) -> str:
        """The address of a pushed request for what she agreed to before."""
        form = {**self.story_request(), "client_id": "watt-coach", **more}
        answer = self.story.http.post(f"{self.at}/par", data=form).json()
        return f"/authorize?client_id=watt-coach&request_uri={quote(answer['request_uri'], safe='')}"

    def story_request(self) -> dict[str, str]:
        from gateway.cli.demo_story import _detail

        asked = [
            _detail(self.at, "city-energy", [f"energy.electricity.{name}"], "energy-advice", "P12M", 24)
            for name in ("usage", "summary")
        ]
        return {
            "response_type": "code",
            "redirect_uri": f"{self.demo.url('watt-coach')}/callback",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(asked),
        }

    def asks_about_tokens(self) -> None:
        held = self.story.grants["clear-budget"]
        auth = self.story._client("clear-budget")["auth"]
        for token in (held.token, held.refresh, "unknown"):
            self.story.http.post(f"{self.at}/introspect", data={"token": token}, auth=auth)
        refreshed = {"grant_type": "refresh_token", "refresh_token": held.refresh}
        assert self.story.http.post(f"{self.at}/token", data=refreshed, auth=auth).status_code == 200
        self.story.http.post(f"{self.at}/token", data=refreshed, auth=("clear-budget", "wrong"))
        public = {"client_id": "watt-coach", "grant_type": "refresh_token"}
        spent = {**public, "refresh_token": self.story.grants["watt-coach"].refresh}
        successor = self.story.http.post(f"{self.at}/token", data=spent).json()["refresh_token"]
        self.story.grants["watt-coach"].refresh = successor
        self.story.http.post(f"{self.at}/revoke", data={"client_id": "watt-coach", "token": "unknown"})

    def signs_in_elsewhere(self) -> None:
        """A website that knows her by her account here, in her browser and in the site's own."""
        file = self.demo.folder / "who.toml"
        file.write_text(WHO, encoding="utf-8")
        add = [sys.executable, "-m", "gateway", "apps", "add", str(file)]
        subprocess.run(add, env=self.demo.environment(), cwd=CHECKOUT, check=True, capture_output=True)
        verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        app = {"client_id": "who", "redirect_uri": "https://who.example/callback"}
        asked = {**app, "response_type": "code", "scope": "openid email", "code_challenge": challenge}
        form = {**asked, "code_challenge_method": "S256"}
        for path in ("/par", "/token", "/revoke", "/userinfo", "/device_authorization"):
            self.story.http.options(f"{self.at}{path}", headers={"origin": "https://who.example"})
        pushed = self.story.http.post(f"{self.at}/par", data=form, headers={"origin": "https://who.example"}).json()
        uri = quote(pushed["request_uri"], safe="")
        page = self.browser.get(f"{self.at}/authorize?client_id=who&request_uri={uri}")
        page = self.browser.submit(page, page.form("/consent/"), press="allow")
        (code,) = re.findall(r"[?&]code=([\w-]+)", page.url)
        token = {**app, "grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        given = self.story.http.post(f"{self.at}/token", data=token).json()
        begun = self.story.http.post(
            f"{self.at}/device_authorization", data={"client_id": "who", "scope": "openid"}
        ).json()
        page = self.browser.get(begun["verification_uri_complete"])
        self.browser.submit(page, page.form("/device"))
        polled = {"client_id": "who", "grant_type": DEVICE, "device_code": begun["device_code"]}
        assert self.story.http.post(f"{self.at}/token", data=polled).json()["error"] == "authorization_pending"
        bearer = {"authorization": f"Bearer {given['access_token']}"}
        for method in ("GET", "POST"):
            told = self.story.http.request(method, f"{self.at}/userinfo", headers=bearer)
            assert told.status_code == 200, told.text

    def keeps_house(self) -> None:
        """An app that looks at its grants and ends one, and one that registers and leaves by itself."""
        file = self.demo.folder / "keeper.toml"
        file.write_text(KEEPER, encoding="utf-8")
        add = [sys.executable, "-m", "gateway", "apps", "add", str(file)]
        told = subprocess.run(
            add, env=self.demo.environment(), cwd=CHECKOUT, check=True, capture_output=True, text=True
        )
        secret = re.findall(r"client_secret: (\S+)", told.stdout)[0]
        asked = {"grant_type": "client_credentials", "scope": "grant_management_query grant_management_revoke"}
        given = self.story.http.post(f"{self.at}/token", data=asked, auth=("keeper", secret)).json()
        bearer = {"authorization": f"Bearer {given['access_token']}"}
        for place in ("grants", "account-access-consents"):
            for method in ("GET", "DELETE"):
                answer = self.story.http.request(method, f"{self.at}/{place}/unknown", headers=bearer)
                assert answer.status_code == 404, answer.text
        revoked = {"cdr_arrangement_id": "unknown"}
        self.story.http.post(f"{self.at}/arrangements/revoke", data=revoked, auth=("keeper", secret))
        self.story.http.post(f"{self.at}/revoke", data={"token": given["access_token"]}, auth=("keeper", secret))
        self.hears_of_ends(secret)
        self.is_asked(("keeper", secret))
        said = {"redirect_uris": ["https://by-itself.example/callback"], "client_name": "By itself"}
        registered = self.story.http.post(f"{self.at}/apps", json=said)
        assert registered.status_code == 201, registered.text
        mine = registered.json()
        own = {"authorization": f"Bearer {mine['registration_access_token']}"}
        place = f"{self.at}/apps/{mine['client_id']}"
        assert self.story.http.get(place, headers=own).status_code == 200
        changed = {**said, "client_id": mine["client_id"], "client_name": "By itself again"}
        assert self.story.http.put(place, json=changed, headers=own).status_code == 200
        assert self.story.http.delete(place, headers=own).status_code == 204

    def hears_of_ends(self, secret: str) -> None:
        """A stream of events that is polled, then pushed to where nobody answers, made again, and kept to the end."""
        asked = {"grant_type": "client_credentials", "scope": "ssf.manage"}
        given = self.story.http.post(f"{self.at}/token", data=asked, auth=("keeper", secret)).json()
        bearer = {"authorization": f"Bearer {given['access_token']}"}
        wanted = {"events_requested": list(signals.TYPES)}
        push = {"method": signals.PUSH, "endpoint_url": "https://keeper.example/told"}
        subject = {"format": "iss_sub", "iss": self.at, "sub": "somebody"}
        for last in (False, True):
            made = self.story.http.post(f"{self.at}/ssf/streams", json=wanted, headers=bearer).json()
            named = {"stream_id": made["stream_id"]}
            for method, path, body in (
                ("POST", "verify", {}),
                ("POST", f"poll/{made['stream_id']}", {}),
                ("POST", f"poll/{made['stream_id']}", {"ack": ["unknown"]}),
                ("POST", "subjects/remove", {"subject": subject}),
                ("POST", "subjects/add", {"subject": subject}),
                ("PATCH", "streams", {"delivery": push}),
                ("PUT", "streams", {**wanted, "delivery": push}),
                ("POST", "status", {"status": "disabled"}),
                ("POST", "status", {"status": "enabled"}),
            ):
                answer = self.story.http.request(
                    method, f"{self.at}/ssf/{path}", json={**named, **body}, headers=bearer
                )
                assert answer.status_code < 300, (path, answer.text)
            for path in ("streams", "status"):
                found = self.story.http.get(f"{self.at}/ssf/{path}", params=named, headers=bearer)
                assert found.status_code == 200, found.text
            if not last:
                gone = self.story.http.request("DELETE", f"{self.at}/ssf/streams", params=named, headers=bearer)
                assert gone.status_code == 204, gone.text

    def is_asked(self, keeper: tuple[str, str]) -> None:
        """By an app that is not there: she refuses, and lets it ask again."""
        asked = {"scope": "openid", "login_hint": self.alice.email, "client_notification_token": "t" * 40}
        for decision in ("allow", "refuse"):
            answer = self.story.http.post(f"{self.at}/bc-authorize", data=asked, auth=keeper)
            assert answer.status_code == 200, answer.text
            told = answer.json()
            path = re.findall(r'href="(/requests/[^"]+)"', self.browser.get(f"{self.at}/sharings").body)[-1]
            page = self.browser.get(self.at + path)
            continued = [form for form in page.forms if form.action == "/consent/" + path.rpartition("/")[2]]
            self.browser.submit(page, continued[0], press=decision)
            polled = {"grant_type": "urn:openid:params:grant-type:ciba", "auth_req_id": told["auth_req_id"]}
            self.story.http.post(f"{self.at}/token", data=polled, auth=keeper)
            self.browser.get(f"{self.at}/")
        page = self.browser.get(f"{self.at}/sharings")
        self.browser.submit(page, page.form("/silences"), length="again")
        for hint in ("no-such", "nobody@example.org"):
            self.story.http.post(f"{self.at}/bc-authorize", data={**asked, "login_hint": hint}, auth=keeper)
        told = self.story.http.post(f"{self.at}/bc-authorize", data=asked, auth=keeper).json()
        self.story.http.post(f"{self.at}/revoke", data={"token": told["auth_req_id"]}, auth=keeper)

    def looks_at_everything(self, consent: str) -> None:
        known = {
            "client_id": "watt-coach",
            "organisation": "city-energy",
            "code": "ended",
            "seq": "1",
            "version": "1",
            "name": "operating",
            "grant_id": consent,
            "stream_id": "unknown",
            "base": "v2/fhir",
        }
        for door in root.doors(None):  # type: ignore[arg-type]
            if "GET" in door.methods:
                name = "city-energy" if door.path.startswith("/organisations") else consent
                path = re.sub(r"\{(\w+)(?::path)?\}", lambda found: {**known, "id": name}[found[1]], door.path)  # noqa: B023
                assert self.browser.get(self.at + path).status < 500, path
        for query in ("?kind=access", f"?consent={consent}", "?q=City", "?before=5"):
            self.browser.get(f"{self.at}/log{query}")

    def decides_otherwise(self, consent: str) -> None:
        for act in ("pause", "resume"):
            self.posts(f"/sharings/{consent}/{act}")
        self.posts(f"/sharings/{consent}/remove", item="meadow-health:health.claims")
        self.posts("/sharings/pause-all")
        self.posts("/sharings/resume-all")
        self.browser.get(f"{self.at}/sharings/done?what=pause&at=2026-01-01T00:00:00%2B00:00")
        for granted in self.story.grants.values():
            self.posts(f"/sharings/{granted.consent}/resume")

    def changes_her_account(self) -> None:
        self.posts(f"/sharings/{self.story.grants['watt-coach'].consent}/erasure")
        self.posts("/sharings/stop-all")
        self.posts("/language", language="fr")
        self.posts("/theme", theme="dark")
        self.posts("/account/details", name="Alice M", birth_date="")
        self.posts("/account/password", current=PASSWORD, password=PASSWORD + " longer")
        self.posts("/account/codes", code="123456")
        self.posts("/account/codes/off", password=PASSWORD)
        self.posts("/account/passkeys/add", challenge="none", answer="{}", name="key")
        self.posts("/account/passkeys/remove", credential="none")
        self.posts("/account/sign-ins/end", sign_in="none")
        self.posts("/organisations/harbour-bank/refresh")
        self.posts("/organisations/harbour-bank/download", dataset="bank.accounts", format="native")
        self.posts("/organisations/harbour-bank/unlink")

    def leaves(self) -> None:
        self.posts("/sign-out")  # which the website of `signs_in_elsewhere` is to be told
        self.story.http.post(f"{self.at}/end-session", data={"state": "x"})
        other = stranger(self.demo)
        page = other.get(f"{self.at}/sign-in")
        for path in ("/sign-in/passkey", "/sign-in/second", "/end-session/sign-out"):
            form = page.form("/sign-in")
            form.action = path
            other.submit(page, form, challenge="none", answer="{}", code="123456")


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    """A demo in which everything was done once, and the folder of what its processes asked the database."""
    written = tmp_path_factory.mktemp("statements")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(RECORDING))
        patched.setenv("RECORD_STATEMENTS", str(written))
        patched.setenv("AVAL_DYNAMIC_REGISTRATION", "open")
        demo = started(tmp_path_factory.mktemp("town"))
        try:
            Tour(demo).goes_everywhere()
            _commands(demo)
        finally:
            demo_setup.stop(demo)
    yield demo, written


def _commands(demo: Demo) -> None:
    """All but `log verify` and `log restart`, which are there to read everything. In one process."""
    commands = (
        ("doctor",),
        ("migrate",),
        ("organisations", "list"),
        ("organisations", "suspend", "meadow-health", "--reason", "asked to"),
        ("organisations", "resume", "meadow-health"),
        ("apps", "list"),
        ("apps", "suspend", "clear-budget", "--reason", "asked to"),
        ("apps", "resume", "clear-budget"),
        ("apps", "renew-secret", "clear-budget"),
        ("people", "list"),
        ("people", "guardian", "chloe@example.org", "--by", "alice@example.org"),
        ("log", "show", "--person", "alice@example.org"),
        ("keys", "list"),
        ("keys", "rotate"),
        ("keys", "rotate", "--emergency"),
    )
    given = [sys.executable, "-c", _JOBS, json.dumps(commands)]
    subprocess.run(given, env=demo.environment(), cwd=CHECKOUT, check=True)


def statements(written: Path) -> list[str]:
    asked = {json.loads(line) for file in written.glob("*.jsonl") for line in file.read_text().splitlines()}
    return sorted(sql for sql in asked if re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)\b", sql))


_SCAN = r"SCAN (\w+)|SEARCH (\w+)$"  # min() and max() without an index are called a search of nothing


def scanned(database: Path, sql: str) -> list[str]:
    """The tables that grow and that the statement reads whole."""
    with opened(database) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * _parameters(sql)).fetchall()
    found = [match[1] or match[2] for *_, detail in plan if (match := re.match(_SCAN, detail))]
    return [table for name in found if (table := _table(sql, name)) in schema.metadata.tables and table not in SMALL]


def _parameters(sql: str) -> int:
    return len(re.findall(r"\?", re.sub(r"'[^']*'", "", sql)))


def _table(sql: str, name: str) -> str:
    """The table behind a name of the plan, which may be an alias."""
    named = re.findall(rf'"?(\w+)"?\s+(?:AS\s+)?{name}\b', sql)
    return next((table for table in named if table in schema.metadata.tables), name)


def test_no_statement_of_any_door_reads_a_whole_table_that_grows(toured: tuple[Demo, Path]) -> None:
    demo, written = toured
    database = demo.gateway_dir / "aval.sqlite3"
    whole = {
        sql: tables
        for sql in statements(written)
        if (tables := scanned(database, sql)) and not any(words in sql for words in WHOLE)
    }
    assert whole == {}


def test_the_tour_knocked_at_every_door(toured: tuple[Demo, Path]) -> None:
    demo, _ = toured
    lines = [line for line in (demo.folder / "gateway.log").read_text().splitlines() if '"event":"request"' in line]
    knocked = {(line["method"], line["path"]) for line in map(json.loads, lines)}
    quiet = {"/healthz", "/readyz"}  # never in the log
    missed = [
        (method, door.path)
        for door in root.doors(None)  # type: ignore[arg-type]
        for method in door.methods
        if door.path not in quiet and not any(m == method and _leads(door.path, path) for m, path in knocked)
    ]
    assert missed == []


def _leads(door: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\w+:path\}", ".+", door)), path) is not None


def test_a_statement_without_an_index_would_be_found(toured: tuple[Demo, Path]) -> None:
    database = toured[0].gateway_dir / "aval.sqlite3"
    assert scanned(database, "SELECT p.id FROM person AS p WHERE p.name = ?") == ["person"]
    assert scanned(database, "DELETE FROM signin WHERE seen_at < ?") == ["signin"]
    assert scanned(database, "SELECT id FROM person WHERE id = ?") == []
    assert scanned(database, "SELECT client_id FROM app WHERE auth_method = ?") == []
