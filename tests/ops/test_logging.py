"""What the operator's log says, and what it never says."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text as sql

from gateway.app import build_house
from gateway.ground.ops import interactions, logs, requests
from gateway.ground.ops.redaction import HIDDEN, redacted
from gateway.house import House
from gateway.people.tables import Person
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import migrated

OPAQUE = "8a1ETdOjgoi26zVGPDTY4DNJckdvnLgFo1HsseUI-2w"  # as keys.fresh() makes them
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = io.StringIO()
    before = logging.root.handlers, logging.root.level
    logs.configure("info", stream)
    structlog.contextvars.clear_contextvars()
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # a server of another test may have set them
        theirs = logging.getLogger(name)
        theirs.disabled, theirs.propagate = False, True
        theirs.setLevel(logging.NOTSET)
        theirs.handlers.clear()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.root.handlers, logging.root.level = before
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


SECRETS = [
    "Bearer abcdef",
    "DPoP abc.def",
    "Basic YWxpY2U6c2VjcmV0",
    "code=4711",
    "/authorize/back?state=x&code=SplxlOBeZQQYbYS6WxSbIA",
    "refresh_token=abc",
    "client_secret=abc",
    "code_verifier=abc",
    "request_uri=urn:ietf:params:oauth:request_uri:abc",
    JWT,
    OPAQUE,
    f"consent {OPAQUE} ended",
    "alice@example.org",
    "mailto:alice.martin+x@mail.example.co.uk",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_survives_in_a_text(text: str) -> None:
    secret = text.split("=")[-1].split()[-1 if "consent" not in text else 1]
    assert HIDDEN in redacted(text) and secret not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "request",
        "/data/city-energy/espi/1_1/resource/UsagePoint",
        "city-energy answered 502 after 3.0 s",
        "a" * 42,
        "log frozen: a tree of 6 was signed; the database only knows one of 3",
        "http://localhost:8400",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_survives_anywhere_in_a_line(lines: Lines, text: str) -> None:
    logs.logger().info(text, detail=text, nested={"deep": [text, (text,)]}, raw=text.encode(), error=ValueError(text))
    logging.getLogger("library").warning("%s", text)
    logging.getLogger("library").warning("found %r", {"value": text})
    written = json.dumps(lines())
    secret = text.split("=")[-1].split()[-1 if "consent" not in text else 1]
    assert secret not in written and written.count(HIDDEN) >= 7


@pytest.mark.parametrize(
    "name",
    [
        *("password", "access_token", "token", "client_secret", "code", "user_code", "Authorization", "cookie"),
        *("email", "otp", "code_verifier", "client_assertion", "customer_number", "request_uri"),
    ],
)
def test_a_value_under_a_secrets_name_is_never_written_whatever_it_looks_like(lines: Lines, name: str) -> None:
    logs.logger().info("x", **{name: "plain", "inner": {name: "plain"}})
    [line] = lines()
    assert line[name] == HIDDEN == line["inner"][name]


def test_what_postgres_tells_of_a_row_is_not_written() -> None:
    row = "null value\nDETAIL:  Failing row contains (a1, Chloé\nDurand, 2015-02-28).\n[SQL: INSERT INTO person]"
    assert redacted(row) == f"null value\nDETAIL:  Failing row contains {HIDDEN}\n[SQL: INSERT INTO person]"
    key = "DETAIL:  Key (person_id, name)=(a1, Chloé) already exists."
    assert redacted(key) == f"DETAIL:  Key (person_id, name)={HIDDEN} already exists."


def test_a_traceback_is_redacted_too(lines: Lines) -> None:
    try:
        raise ValueError(f"bad token {JWT} of alice@example.org")
    except ValueError:
        logs.logger().exception("it broke")
        logging.getLogger("library").exception("it broke")
    for line in lines():
        assert JWT not in line["exception"] and "alice@" not in line["exception"]
        assert "ValueError: bad token" in line["exception"]


def test_lines_of_ours_and_of_libraries_are_json_with_time_and_level(lines: Lines) -> None:
    logs.logger().warning("ours", organisation="city-energy")
    logging.getLogger("uvicorn.error").info("theirs")
    logging.getLogger("uvicorn.error").debug("too fine")
    ours, theirs = lines()
    assert (ours["event"], ours["level"], ours["organisation"]) == ("ours", "warning", "city-energy")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("theirs", "info", "uvicorn.error")
    assert ours["timestamp"].endswith("Z")


# ---- requests


def client(app: Any) -> TestClient:
    return TestClient(requests.Requests(app), raise_server_exceptions=False)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    logs.logger().info("inside")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def test_each_request_has_an_id_of_ours_in_its_answer_and_in_every_line(lines: Lines) -> None:
    visitor = client(hello)
    answers = [visitor.get("/a?code=secret", headers={"X-Request-Id": "forged"}) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2 and "forged" not in ids
    assert [line["request_id"] for line in lines()] == [ids[0], ids[0], ids[1], ids[1]]


def test_a_request_is_one_line_without_its_query(lines: Lines) -> None:
    client(hello).get("/authorize?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj")
    line = lines()[-1]
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "GET", "/authorize", 201)
    assert line["ms"] >= 0 and "Splx" not in json.dumps(lines()) and "af0if" not in json.dumps(lines())


def test_the_id_by_which_an_app_names_its_call_is_in_its_lines_if_it_is_one(lines: Lines) -> None:
    visitor = TestClient(interactions.Interactions(requests.Requests(hello), ["/token"]))
    given = "93bac548-d2de-4546-b106-880a5018460d"
    visitor.post("/token", headers={"x-fapi-interaction-id": given})
    assert [line["interaction_id"] for line in lines()] == [given, given]


@pytest.mark.parametrize("given", [None, "alice@example.org", "x", "93bac548-d2de-4546-b106-880a5018460d x"])
def test_anything_else_that_it_sends_is_in_no_line(lines: Lines, given: str | None) -> None:
    visitor = TestClient(interactions.Interactions(requests.Requests(hello), ["/token"]))
    answer = visitor.post("/token", headers={"x-fapi-interaction-id": given} if given else {})
    assert "interaction" not in json.dumps(lines()) and answer.headers["x-fapi-interaction-id"] != given


def test_health_checks_fill_no_log(lines: Lines) -> None:
    client(hello).get("/readyz")
    assert [line["event"] for line in lines()] == ["inside"]


def test_a_fault_is_logged_with_its_traceback_and_answered_without(lines: Lines) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("secret inside")

    answer = client(broken).get("/x")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json" and answer.headers["x-request-id"]
    failed, request = lines()
    assert "RuntimeError: secret inside" in failed["exception"] and request["status"] == 500


def test_a_person_reads_of_a_fault_in_words_even_when_no_page_can_be_made(lines: Lines) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the template of the error page is broken")

    answer = client(broken).get("/x", headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 500 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Nothing was changed" in answer.text and "Rien n’a été modifié" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"] and "template" not in answer.text


def test_a_fault_after_the_answer_has_begun_adds_nothing_to_it(lines: Lines) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-request-id", b"own")]})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise RuntimeError

    answer = client(broken).get("/x")
    assert answer.text == "part" and answer.headers.get_list("x-request-id") == ["own"]


def test_a_line_that_cannot_be_encoded_is_written_escaped_and_harms_nobody(lines: Lines) -> None:
    logs.logger().info("half \ud800", path="/\ud83d")
    record = logging.LogRecord("elsewhere", logging.WARNING, __file__, 1, "wrong %d", ("number",), None)
    [handler] = [each for each in logging.root.handlers if isinstance(each, logs._Handler)]
    handler.handle(record)
    half, wrong = lines()
    assert half["event"] == "half \ud800" and wrong["event"] == "a log line could not be made"


# ---- faults of the database

NAME = "canary-name"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path)
    migrated(settings)
    made = build_house(settings, create_keys=True)
    yield made
    made.store.close()


def alice(**changed: Any) -> Person:
    """Every value is one to look for."""
    given = {
        "id": "canary-id",
        "email": "canary@",
        "name": "canary-name",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Person(**(given | changed))


def twice(house: House) -> None:
    """A key that is there already: IntegrityError."""
    for _ in range(2):
        with house.store.write() as session:
            session.add(alice())


def nothing(house: House) -> None:
    """A column that must not be empty."""
    with house.store.write() as session:
        session.add(alice(name=None))


def odd(house: House) -> None:
    """A value that no column takes: ProgrammingError, or what the driver says of it."""
    with house.store.write() as session:
        session.add(alice(name=[NAME]))


def misspelt(house: House) -> None:
    """OperationalError, as a StatementError with its parameters."""
    with house.store.engine.connect() as connection:
        connection.execute(sql("SELECT * FROM nowhere WHERE name = :name"), {"name": NAME})


def many(house: House) -> None:
    """Several rows at once are echoed as a list of parameters."""
    with house.store.write() as session:
        session.add_all([alice(id=f"{NAME}-{number}") for number in range(3)])


@pytest.mark.parametrize("fault", [twice, nothing, odd, misspelt, many])
def test_an_exception_of_the_database_never_shows_a_value(
    house: House, lines: Lines, fault: Callable[[House], None]
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        fault(house)

    answer = client(broken).get("/x")
    assert answer.status_code == 500
    failed = lines()[0]
    assert failed["event"] == "request failed" and "Error" in failed["exception"]
    written = json.dumps(lines())
    assert "canary" not in written, written[-1500:]
