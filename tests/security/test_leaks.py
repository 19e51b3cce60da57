"""What must not be found where it has no business: secrets and values in logs, addresses, errors, and the database."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from security_world import APP, BASE, Bank, Page, World, detail, moves_in, natives, settle, transactions, with_alice

from gateway.ground.ops import logs
from tests.databases import opened
from tests.tokens import claims

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything the process writes as a log, at its most talkative."""
    stream, handlers, level = io.StringIO(), logging.root.handlers, logging.root.level
    logs.configure("debug", stream)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the tests' own client
    yield stream
    logging.getLogger("httpx2").setLevel(logging.NOTSET)
    structlog.reset_defaults()
    logging.root.handlers = handlers
    logging.root.setLevel(level)


def test_no_secret_and_no_value_is_in_logs_or_database(world: World, written: io.StringIO) -> None:
    bank, alice = with_alice(world, "canary-word")
    browser = world.browser(alice)
    sign_in = browser.http.headers["cookie"].partition("=")[2]
    address = world.request("budget", [detail("harbour-bank", ALL)], state="canary-state")
    page = Page(browser.get(address).text)
    code = world.answer(browser, address, **{"accounts:harbour-bank": page.offered("accounts:harbour-bank")})["code"]
    body = world.redeem(code, "budget").json()
    token = body["access_token"]
    refs = body["authorization_details"][0]["accounts"]
    assert world.read(token, f"/data/harbour-bank{BASE}/accounts").status_code == 200
    world.read(token, transactions(refs[0]) + "?canary-query=canary-value")
    world.refresh(code, "budget")
    world.organisations.responders["harbour-bank"] = lambda *_: (200, "application/json", b'{"canary-key": "canary"}')
    assert world.read(token, f"/data/harbour-bank{BASE}/accounts").status_code == 502
    browser.get("/organisations/harbour-bank/linked?code=canary-code&state=canary-state")
    browser.post("/organisations/harbour-bank/link", {"customer_number": "CANARY-77"})
    world.http.post("/sign-in", data={"email": "canary@example.org", "password": "canary-password"})
    secrets = [token, code, body["refresh_token"], sign_in, *natives(alice), "canary-state", "canary-password",
               "canary-code", "CANARY-77"]  # fmt: skip
    logs = written.getvalue()
    assert "request" in logs
    for secret in [*secrets, "canary", alice]:
        assert secret not in logs, secret
    stored = dumped(world)
    for secret in [*secrets, "canary-word", "canary-value", "canary-key"]:
        if secret != "canary-state":  # the app's own, echoed to it, never a secret of ours
            assert secret not in stored, secret


def test_the_operators_log_does_not_say_which_record_an_app_read(world: World, written: io.StringIO) -> None:
    bank, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    world.read(body["access_token"], f"/data/harbour-bank{BASE}/accounts/number-of-a-record")
    assert "number-of-a-record" not in written.getvalue()


def test_the_names_of_her_accounts_are_sealed_wherever_they_are_kept(world: World) -> None:
    """Labels are addresses, nicknames and names of patients: sealed with the link, so sealed in the evidence too."""
    _, alice = with_alice(world)
    assert "Label of" not in dumped(world)
    world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    assert "Label of" not in dumped(world)


def dumped(world: World) -> str:
    """Every value of the database, and its files as they lie on the disk."""
    with opened(world.house.settings.database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [row for (name,) in tables for row in connection.execute(f'SELECT * FROM "{name}"')]
    assert any(rows)
    text = "\n".join(map(repr, rows))
    files = [file.read_bytes().decode("latin-1") for file in world.house.settings.data_dir.glob("aval.sqlite3*")]
    return text + "".join(files)


def test_what_goes_wrong_tells_the_app_nothing_of_hosts_people_or_answers(world: World) -> None:
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    ref = body["authorization_details"][0]["accounts"][0]
    for reply in (
        (500, "text/html", b"<h1>canary</h1>"),
        (401, "application/json", b'{"error": "canary"}'),
        (302, "text/html", b"canary"),
        (200, "text/html", b"canary"),
        (200, "application/json", b'{"Data": {"Transaction": [{"AccountId": {"Canary": "canary"}}]}}'),
        (200, "application/json", b"[" * 100_000),
        (200, "application/json", b'{"Data": {"Transaction": "\xff"}}'),
    ):
        world.organisations.responders["harbour-bank"] = lambda *_, reply=reply: reply
        answer = world.read(body["access_token"], transactions(ref))
        assert answer.status_code == 502, reply
        told = answer.text + json.dumps(dict(answer.headers))
        assert not any(word in told for word in ("canary", "Canary", "localhost:8402", alice, "native-"))


@pytest.mark.parametrize("path", ["/sharings", "/log", "/account", "/organisations", "/", "/nowhere"])
def test_pages_of_a_person_are_kept_by_nobody_and_leak_no_address(world: World, path: str) -> None:
    answer = world.browser(world.person("Alice")).http.get(path, headers={"accept": "text/html"})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_json_doors_set_no_cookie(world: World) -> None:
    for path in ("/jwks.json", "/healthz", "/.well-known/oauth-authorization-server"):
        assert "set-cookie" not in world.http.get(path).headers, path
    for path in ("/token", "/par", "/revoke", "/introspect"):
        assert "set-cookie" not in world.http.post(path, data={"client_id": "x"}).headers, path


def test_two_apps_hold_nothing_by_which_they_could_find_the_same_person(world: World) -> None:
    bank = settle(world)
    world.app("other", APP)
    alice = world.person("Alice")
    moves_in(world, bank, alice)
    held: list[set[str]] = []
    for app in ("budget", "other"):
        body = world.agreed(world.browser(alice), app, [detail("harbour-bank", ALL)])
        answers = [world.read(body["access_token"], f"/data/harbour-bank{BASE}/{name}").json()
                   for name in ("accounts", "transactions", "balances")]  # fmt: skip
        held.append({claims(body["access_token"])["sub"], body["grant_id"], *_ids(answers)})
    assert not held[0] & held[1]


def _ids(value: Any) -> set[str]:
    if isinstance(value, list):
        return {found for each in value for found in _ids(each)}
    if isinstance(value, dict):
        own = {str(each) for name, each in value.items() if name.endswith("Id")}
        return own | {found for each in value.values() for found in _ids(each)}
    return set()


def test_a_banks_own_number_of_an_account_does_not_hide_in_other_numbers(world: World) -> None:
    """O3: an identifier built around the account's own number names it to every app alike."""

    class Building(Bank):
        def _transaction(self, account: str, word: str, age: float) -> dict[str, Any]:
            row = super()._transaction(account, word, age)
            return {**row, "TransactionId": f"{account}-{age}", "StatementReference": [f"S-{account}"]}

    settle(world)
    bank = Building(world.clock)
    world.organisations.responders["harbour-bank"] = bank
    fields = ["transaction.date", "transaction.amount", "transaction.ids"]
    rows = [{**row, "fields": fields} if row["dataset"] == "bank.transactions" else row for row in APP]
    world.app("numbers", rows)
    alice = world.person("Alice")
    moves_in(world, bank, alice)
    body = world.agreed(world.browser(alice), "numbers", [detail("harbour-bank", ALL)])
    answer = world.read(body["access_token"], f"/data/harbour-bank{BASE}/transactions")
    assert answer.status_code == 200
    assert not any(native in answer.text for native in natives(alice))


def claim(patient: str, number: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": number,
        "status": "active",
        "type": {"text": "x"},
        "use": "claim",
        "patient": {"reference": f"Patient/{patient}"},
        "billablePeriod": {"start": day, "end": day},
        "created": day,
        "insurer": {"display": "x"},
        "provider": {"display": "x"},
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"display": "x"}}],
    }


def test_a_claim_outside_of_the_period_looks_like_one_that_is_not_there(world: World) -> None:
    def insurer(_subject: str, path: str, _query: str) -> tuple[int, str, bytes]:
        if path.endswith("/old-claim"):
            return 200, "application/fhir+json", json.dumps(claim("patient-one", "old-claim", "2001-01-01")).encode()
        return 404, "application/fhir+json", b"{}"

    world.organisations.responders["meadow-health"] = insurer
    world.app(
        "budget",
        [{"organisation": "meadow-health", "dataset": "health.claims", "fields": ["claims.dates", "claims.ids"]}],
    )
    alice = world.person("Alice")
    world.link(alice, "meadow-health", ["patient-one"])
    body = world.agreed(world.browser(alice), "budget", [detail("meadow-health", ["health.claims"])])
    base = "/data/meadow-health/v2/fhir/ExplanationOfBenefit"
    answers = [world.read(body["access_token"], f"{base}/{name}") for name in ("old-claim", "no-claim")]
    old, absent = ({**answer.json(), "request_id": ""} for answer in answers)
    assert (answers[0].status_code, old) == (answers[1].status_code, absent)
    assert answers[0].status_code == 404
    assert answers[0].headers.keys() == answers[1].headers.keys()
