"""Tries at an app's secret: as many as may be are answered, however many come at once and to whichever process."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from gateway.apps.tables import App
from gateway.authorization import clients, rules
from gateway.authorization.clients import Presented
from gateway.authorization.rules import Refused
from gateway.authorization.tables import FailedAuthentication
from gateway.errors import TooMany
from gateway.ground.keys import hashed
from gateway.ground.store import Store, open_store
from gateway.settings import Settings

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 5, 4, 9, 0, 30, tzinfo=UTC)
SECRET = "right"
REGISTERED = {"application_type": "web", "redirect_uris": [], "purposes": [], "jwks": None}


@pytest.fixture
def processes(migrated_database: str) -> Iterator[list[Store]]:
    """Two of them."""
    settings = Settings(database_url=migrated_database, database_connections=20)
    with contextlib.ExitStack() as until:
        stores = [until.enter_context(contextlib.closing(open_store(settings))) for _ in range(2)]
        with stores[0].write() as session:
            session.add(
                App(client_id="watts", metadata_=REGISTERED, metadata_sha256="", auth_method="client_secret_basic",
                    secret_sha256=hashed(SECRET), registered_at=NOW, changed_at=NOW)
            )  # fmt: skip
        yield stores


def tries(store: Store, secret: str, meanwhile: threading.Event | None = None) -> str:
    """As the token endpoint's door does it: what was refused is committed, but for too many tries."""
    basic = base64.b64encode(f"watts:{secret}".encode()).decode()
    shown = Presented({}, (f"Basic {basic}",), "192.0.2.7")
    try:
        with store.write() as session:
            try:
                clients.authenticate(session, shown, "https://gateway.example", NOW)
            except Refused as refused:
                return refused.error
            finally:
                if meanwhile is not None:
                    meanwhile.wait(10)
    except TooMany:
        return "too many"
    return "in"


def test_of_many_at_once_no_more_are_answered_than_may_be(
    processes: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    together, proved = threading.Barrier(20), clients._proved

    def all_at_once(*given: object) -> bool:
        together.wait(20)  # all have been let through by then
        return bool(proved(*given))  # type: ignore[arg-type]

    monkeypatch.setattr(clients, "_proved", all_at_once)
    with ThreadPoolExecutor(20) as crowd:
        found = sorted(crowd.map(lambda n: tries(processes[n % 2], f"wrong-{n}"), range(20)))
    assert found == ["invalid_client"] * rules.FAILURES_A_MINUTE + ["too many"] * (20 - rules.FAILURES_A_MINUTE)
    with processes[0].read() as session:
        assert [row.count for row in session.exec(select(FailedAuthentication))] == [rules.FAILURES_A_MINUTE]


def test_one_that_is_right_is_not_told_before_it_is_known_how_many_were_wrong(processes: list[Store]) -> None:
    for _ in range(rules.FAILURES_A_MINUTE - 1):
        assert tries(processes[0], "wrong") == "invalid_client"
    written = threading.Event()
    with ThreadPoolExecutor(2) as crowd:
        last = crowd.submit(tries, processes[0], "wrong", written)
        while not processes[0].engine.pool.checkedout():  # type: ignore[attr-defined]
            pass
        threading.Event().wait(0.3)
        right = crowd.submit(tries, processes[1], SECRET)
        threading.Event().wait(0.3)
        assert not right.done()
        written.set()
        assert (last.result(), right.result()) == ("invalid_client", "too many")


def test_an_apps_own_calls_do_not_wait_for_one_another(processes: list[Store]) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(2) as crowd:
        first = crowd.submit(tries, processes[0], SECRET, over)
        assert crowd.submit(tries, processes[1], SECRET).result(5) == "in"
        assert not first.done()
        over.set()
        assert first.result() == "in"
