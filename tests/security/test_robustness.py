"""Every address with every kind of rubbish, and a store that fails: no fault of ours, nothing half-written."""

import csv
import io
import itertools
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from security_world import BASE, World, detail, settle, transactions, with_alice
from sqlalchemy import event
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import app
from gateway.ground.http import listener
from gateway.ground.store.sqlite.engine import sqlite3  # type: ignore[attr-defined]  # whichever module the store took
from gateway.ledger.sqlite import Standings

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
FORM = "application/x-www-form-urlencoded"
BODIES: tuple[tuple[str, bytes], ...] = (
    (FORM, b""),
    (FORM, b"a=1&a=2&csrf=&csrf="),
    (FORM, b"csrf=%00%ff%fe&decision=allow&seen=.&at=%F0%9F&token=%00"),
    (FORM, b"&".join(b"f%d=x" % n for n in range(101))),
    (FORM, b"a=" + b"x" * 70_000),
    (FORM, "client_id=bùdget&name=\ud83d".encode("utf-8", "surrogatepass")),
    ("application/json", b'{"a": ' * 500),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("text/plain; charset=\x7f", b"\x00"),
    ("", b"\xff" * 10),
)
QUERIES = (
    "",
    "a=1&a=2",
    "client_id=%00&request_uri=urn:ietf:params:oauth:request_uri:x&state=%ff",
    "next=//evil.example&again=1&at=x&before=-1&from=0000-00-00&q=%00&attempt=x&state=x&code=x&sort=%F0",
    "&".join(f"q{n}=1" for n in range(120)),
    "error=" + "x" * 7000,
    ";;&&==&%",
)


def addresses(world: World) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every door with something plausible, and something absurd, in the place of each word of its path."""
    for door in app.doors(world.house):
        parts = door.path.replace("{seq:int}", "{n}").split("/")
        words = [part for part in parts if part.startswith("{")]
        for filling in (("x", "1"), ("~" * 200, "9" * 30)) if words else (("", ""),):
            yield "/".join(filling[part == "{n}"] if part.startswith("{") else part for part in parts), door.methods


def send(world: World, method: str, path: str, query: str, media: str, body: bytes, cookie: str = "") -> Any:
    headers = {"content-type": media} if media else {}
    headers |= {"cookie": cookie} if cookie else {}
    content = body if method not in ("GET", "HEAD", "TRACE", "OPTIONS") else b""
    return world.http.request(method, f"{path}?{query}" if query else path, headers=headers, content=content)


def test_no_address_answers_rubbish_with_a_fault_of_ours(world: World) -> None:
    alice = world.person("Alice")
    cookie = world.browser(alice).http.headers["cookie"]
    before = world.rows("SELECT count(*) FROM consent"), world.rows("SELECT count(*) FROM authorizationrequest")
    bodies, queries, seen = itertools.cycle(BODIES), itertools.cycle(QUERIES), 0
    for path, _ in [*addresses(world), ("/nowhere", ()), ("/data/x/y", ()), (f"/data/harbour-bank{BASE}/x", ())]:
        for method, who in itertools.product(METHODS, ("", cookie)):
            media, body = next(bodies)
            answer = send(world, method, path, next(queries), media, body, who)
            seen += 1
            assert answer.status_code < 500 or path == "/readyz", (method, path, answer.status_code, answer.text[:300])
            assert "Traceback" not in answer.text
    assert seen > 800
    assert before == (
        world.rows("SELECT count(*) FROM consent"),
        world.rows("SELECT count(*) FROM authorizationrequest"),
    )


@pytest.mark.parametrize(
    "path",
    [
        "/log/" + "1" * 5000,
        "/sharings/done?what=stopped&at=0001-01-01T00:00:00%2B14:00",
        "/sharings/done?what=stopped&at=9999-12-31T23:59:59-14:00",
    ],
)
def test_numbers_and_instants_beyond_all_bounds_are_not_found(world: World, path: str) -> None:
    assert world.browser(world.person("Alice")).get(path).status_code in (400, 404)


# ---- a store that fails


def reading(world: World) -> tuple[str, str]:
    _, alice = with_alice(world)
    body = world.agreed(world.browser(alice), "budget", [detail("harbour-bank", ALL)])
    return body["access_token"], transactions(body["authorization_details"][0]["accounts"][0])


@pytest.mark.inside
def test_a_read_while_the_database_cannot_be_read_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, path = reading(world)

    def locked(*_: Any) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(Standings, "get", locked)
        answer = world.read(token, path)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    assert world.read(token, path).status_code == 200


@pytest.fixture
def read_only(world: World) -> Iterator[Any]:
    """Switch the whole database to reading only, and back."""
    state = {"on": False}

    def checked_out(raw: Any, _record: Any, _proxy: Any) -> None:
        raw.execute(f"PRAGMA query_only={'ON' if state['on'] else 'OFF'}")

    event.listen(world.house.store.engine, "checkout", checked_out)
    yield lambda on: state.update(on=on)
    event.remove(world.house.store.engine, "checkout", checked_out)


def test_a_store_that_cannot_be_written_never_tells_of_a_success(world: World, read_only: Any) -> None:
    bank, alice = with_alice(world)
    browser = world.browser(alice)
    body = world.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    consent, state = body["grant_id"], world.rows("SELECT state, generation FROM consent")
    read_only(True)
    failing: dict[str, Callable[[], Any]] = {
        "stop": lambda: browser.post(f"/sharings/{consent}/stop"),
        "pause": lambda: browser.post(f"/sharings/{consent}/pause"),
        "remove": lambda: browser.post(f"/sharings/{consent}/remove", {"remove": "item:harbour-bank:bank.accounts"}),
        "authorize": lambda: browser.get(f"/authorize?client_id=budget&request_uri={'x' * 43}"),
        "par": lambda: world.pushed("budget", [detail("harbour-bank", ALL)]),
        "token": lambda: world.refresh(body["refresh_token"], "budget"),
        "revoke": lambda: world.oauth("/revoke", {"token": body["refresh_token"]}, "budget"),
        "unlink": lambda: browser.post("/organisations/harbour-bank/unlink"),
        "sign out": lambda: browser.post("/sign-out"),
    }
    for what, tries in failing.items():
        answer = tries()
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5"), (what, answer.text[:300])
        assert "invalid_grant" not in answer.text and "invalid_client" not in answer.text
    for path in ("/", "/sharings", f"/sharings/{consent}", "/log", "/organisations", "/account"):
        assert browser.get(path).status_code == 200, path  # reading goes on
    read_only(False)
    assert world.rows("SELECT state, generation FROM consent") == state
    assert world.refresh(body["refresh_token"], "budget").status_code == 200  # the refused refresh spent nothing


@pytest.mark.inside
def test_no_data_leaves_when_its_entry_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token, path = reading(world)

    def fails(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(world.house.log, "append_all", fails)
    answer = world.read(token, path)
    assert answer.status_code == 503 and "retry-after" in answer.headers and "Data" not in answer.text
    monkeypatch.undo()
    assert world.read(token, path).status_code == 200


# ---- a flood


def test_one_app_cannot_fill_the_store_with_requests_that_nobody_signed(world: World) -> None:
    settle(world)
    answers = [world.pushed("budget", [detail("harbour-bank", ALL)]).status_code for _ in range(130)]
    assert answers[0] == 201 and answers[-1] == 429
    world.clock.passes(minutes=1)
    assert world.pushed("budget", [detail("harbour-bank", ALL)]).status_code == 201


@pytest.mark.inside
def test_an_app_that_floods_the_log_does_not_stand_in_the_way_of_stopping(world: World) -> None:
    bank, alice = with_alice(world)
    browser = world.browser(alice)
    body = world.agreed(browser, "budget", [detail("harbour-bank", ALL)])
    for _ in range(20):  # refusals, twenty a minute: twenty minutes of an app that wants to
        for _ in range(20):
            assert world.read(body["access_token"], "/data/harbour-bank/nothing").status_code in (401, 403)
        world.clock.passes(minutes=1.1)
        body |= world.refresh(body["refresh_token"], "budget").json()
    world.signs_in(browser)
    opened, real = [0], world.house.log.read

    def counted(*given: Any) -> bytes:
        opened[0] += 1
        return real(*given)

    world.house.log.read = counted  # type: ignore[method-assign,assignment]
    began = time.monotonic()
    assert browser.post(f"/sharings/{body['grant_id']}/stop").status_code == 303
    assert opened[0] < 100, (opened, time.monotonic() - began)


# ---- D8: tricks against the framework underneath. Seconds are of CPU: a busy machine is no fault

PART = b'Content-Disposition: form-data; name="a"\r\n\r\n\r\n--x\r\n'
FORGED = {
    "x-forwarded-host": "mallory.example",
    "x-forwarded-proto": "https",
    "x-forwarded-prefix": "/mallory",
    "x-original-url": "/mallory",
    "forwarded": "host=mallory.example",
    "origin": "https://mallory.example",
}
LEAST = {"starlette": "1.3.1", "python-multipart": "0.0.20", "httptools": "0.9", "uvicorn": "0.54"}


def test_a_range_of_thousands_of_parts_costs_nothing(world: World) -> None:
    for parts in (1000, 6000):
        ranges = "bytes=" + ",".join(f"{n}-{n}" for n in range(parts))
        began = time.process_time()
        answer = world.http.get("/static/aval.css", headers={"range": ranges[:30_000]})
        assert answer.status_code < 500 and time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\n" + PART * 900),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 9000),
        ("multipart/form-data; boundary=" + "x" * 5000, b"-" * 60_000),
        ("multipart/form-data", b"--\r\n" * 10_000),
        (FORM, b"a=1&" * 15_000),
        (FORM, b"&".join(b"a%d=1" % n for n in range(7000))),
        (FORM, b"a=" + b"%" * 60_000),
        (FORM, b"a=" + b"x" * 10_000_000),
        ("application/json", b"[" * 60_000),
    ],
    ids=["parts", "part headers", "boundary", "no boundary", "one field", "fields", "escapes", "ten megabytes", "json"],
)  # fmt: skip
def test_a_body_made_to_hurt_is_refused_at_once_at_every_door_that_takes_one(
    world: World, media: str, body: bytes
) -> None:
    alice = world.browser(world.person("Alice"))
    for path in ("/token", "/par", "/introspect", "/sign-in", "/register", "/language", "/sharings/x/stop"):
        for http in (world.http, alice.http):
            began = time.process_time()
            answer = http.post(path, content=body, headers={"content-type": media})
            assert 300 <= answer.status_code < 500, (path, answer.status_code)
            assert time.process_time() - began < 1.0, path
    assert world.rows("SELECT count(*) FROM person") == [(1,)]


@pytest.mark.parametrize(
    "host",
    ["mallory.example", "localhost:8400/@mallory.example", "user@localhost:8400", "localhost:8400#", "localhost"],
)
def test_no_other_host_reaches_the_framework(world: World, host: str) -> None:
    for path in ("/", "/.well-known/oauth-authorization-server", "/static/aval.css"):
        answer = world.http.get(path, headers={"host": host})
        assert answer.status_code == 400 and "mallory" not in answer.text


@pytest.mark.parametrize(
    "path", ["/@mallory.example", "/@mallory.example/sign-in", "/sign-in@mallory.example", "/data/@mallory.example/x"]
)
def test_an_at_sign_in_a_path_leads_nowhere(world: World, path: str) -> None:
    alice = world.browser(world.person("Alice"))
    for http in (world.http, alice.http):
        answer = http.get(path)
        assert answer.status_code in (400, 401, 404)
        location = answer.headers.get("location", "") + answer.headers.get("www-authenticate", "")
        assert "//mallory" not in location and "@mallory.example/" not in location.replace(path, "")


def test_addresses_we_tell_are_of_the_settings_and_never_of_the_request(world: World) -> None:
    settle(world)
    for path in (
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/data/harbour-bank",
        "/jwks.json",
        "/data/harbour-bank/x",
        "/sharings",
        "/sign-in?next=/sharings",
    ):
        plain, answer = world.http.get(path), world.http.get(path, headers=FORGED)
        assert answer.status_code == plain.status_code
        assert "mallory" not in answer.text + str(answer.headers), path
    found = world.http.get("/.well-known/oauth-authorization-server", headers=FORGED).json()
    assert found["issuer"] == world.house.settings.public_url
    assert all(str(url).startswith(found["issuer"]) for name, url in found.items() if name.endswith("_endpoint"))


@pytest.mark.parametrize(("package", "least"), LEAST.items())
def test_the_framework_is_of_a_version_without_its_known_holes(package: str, least: str) -> None:
    """CVE-2025-62727, CVE-2026-48710, CVE-2026-54282, GHSA-82w8-qh3p-5jfq; h11 and old httptools take two framings."""
    found = tuple(int(part) for part in version(package).split(".")[:3])
    assert found >= tuple(int(part) for part in least.split("."))


def test_the_parser_of_the_server_is_the_strict_one(world: World) -> None:
    assert listener.config(world.application, world.house.settings).http.func is listener.Listener  # type: ignore[union-attr]
    assert issubclass(listener.Listener, HttpToolsProtocol)


# ---- D18: what a spreadsheet would run

CARRIAGE_RETURN = ("\r=1+1", "x\r=1+1", "@SUM(1)\r\n=1+1", '=HYPERLINK("http://mallory.example","x")')
FORMULAS = ('=HYPERLINK("http://mallory.example","x")', "+1+cmd|' /C calc'!A0", "-1+1", "@SUM(1+1)", "\t=1+1",
            "\u202e=1+1", "\u2066=1+1\u2069", "\u200f@SUM(1)", '",=1+1,"', "x\n=1+1")  # fmt: skip
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@pytest.mark.parametrize("formulas", [FORMULAS, CARRIAGE_RETURN], ids=["starts", "carriage return"])
def test_no_cell_of_a_download_is_run_by_a_spreadsheet(world: World, formulas: tuple[str, ...]) -> None:
    bank, alice = with_alice(world)
    words = itertools.cycle(formulas)

    def hostile(subject: str, path: str, query: str) -> tuple[int, str, bytes]:
        status, media, body = bank(subject, path, query)
        found = json.loads(body)
        for row in found["Data"].get("Transaction", []):
            row["MerchantDetails"]["MerchantName"] = next(words)
            row["BankTransactionCode"] = {"Code": next(words), "SubCode": next(words)}
            row["ProprietaryBankTransactionCode"] = {"Code": next(words)}
            row["TransactionInformation"] = next(words)
        return status, media, json.dumps(found).encode()

    world.organisations.responders["harbour-bank"] = hostile
    answer = world.browser(alice).post("/organisations/harbour-bank/download")
    assert answer.status_code == 200, answer.text[:500]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        tables = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".csv")}
    cells = [cell for text in tables.values() for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert len(tables) == 2 and len(cells) > 50
    assert any("HYPERLINK" in cell for cell in cells) and any(cell.startswith("'@SUM") for cell in cells)
    for cell in cells:
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or NUMBER.fullmatch(cell), repr(cell)
        assert not BIDI & set(cell), repr(cell)
    for text in tables.values():
        assert {len(row) for row in csv.reader(io.StringIO(text, newline=""))} <= {5, 3}
