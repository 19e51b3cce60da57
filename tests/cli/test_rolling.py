"""Processes of this version go on serving while a newer one migrates their database: first it adds, then it takes away.

The newer version is made up: what its migration would execute is executed here.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psycopg
from cli_run import Gateway

from gateway.cli.demo_visitor import Visitor
from gateway.ground.store import migrate
from tests.ports import free_port

LOAD_SECONDS = 6.0
PATIENCE = 90
EXPANDED = (
    "ALTER TABLE person ADD COLUMN nickname varchar",
    "ALTER TABLE consent ADD COLUMN weight integer",
    "CREATE TABLE madeup (id integer PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '9999'",
)


def signed_in(gateway: Gateway, name: str) -> Visitor:
    visitor = Visitor(gateway.url)
    form = {"name": name, "email": f"{name.lower()}@example.org", "password": "correct horse battery"}
    page = visitor.get(f"{gateway.url}/register")
    page = visitor.submit(page, page.form("/register"), **form)
    page = visitor.submit(page, page.form("/sign-in"), email=form["email"], password=form["password"])
    assert page.status == 200 and name in page.text
    return visitor


class Load:
    """A person who reads her pages, and an app that asks, one after the other until it is stopped."""

    def __init__(self, gateway: Gateway, visitor: Visitor) -> None:
        self.answers: list[str] = []
        self._gateway, self._visitor, self._over = gateway, visitor, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.05):
            self._note(lambda: self._visitor.get(f"{self._gateway.url}/").status)
            self._note(self._ask)

    def _ask(self) -> int:
        """An app that is not known here; its tries are limited."""
        return httpx2.post(f"{self._gateway.url}/par", data={"client_id": "nobody"}, timeout=30).status_code

    def _note(self, ask: Callable[[], int]) -> None:
        try:
            self.answers.append(str(ask()))
        except httpx2.HTTPError as error:
            self.answers.append(type(error).__name__)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._visitor._client.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_version_before_serves_until_what_it_needs_is_taken_away(
    folder: Path, database: str, tmp_path: Path
) -> None:
    url = {"AVAL_DATABASE_URL": database}
    first = Gateway(folder, tmp_path / "first.log", free_port(), **url).until_ready()
    second = Gateway(folder, tmp_path / "second.log", free_port(), **url).until_ready()
    gateways = (first, second)
    loads: list[Load] = []
    try:
        loads += [Load(each, signed_in(each, name)) for each, name in zip(gateways, ("Alice", "Bob"), strict=True)]
        time.sleep(LOAD_SECONDS / 2)
        with psycopg.connect(database) as connection:
            for statement in EXPANDED:
                connection.execute(statement)
        extended = time.monotonic()
        while time.monotonic() < extended + LOAD_SECONDS:
            assert [each.get("/readyz").status_code for each in gateways] == [200, 200]
            time.sleep(0.5)
        for load in loads:
            load.stop()
            assert set(load.answers) <= {"200", "401", "429"} and len(load.answers) > 4, load.answers

        with psycopg.connect(database) as connection:
            connection.execute("UPDATE schemaserves SET oldest = '9999'")
        until(lambda: [each.get("/readyz").status_code for each in gateways] == [503, 503])
        assert first.get("/readyz").json()["checks"]["schema"] == "failed"
        [told] = [line for line in first.lines() if line["event"] == "not ready" and line["check"] == "schema"]
        assert told["why"] == (
            f"schema 9999 of a newer version, beside which this one ({migrate.HEAD}) can no longer serve:"
            " run the newer one"
        )
    finally:
        for load in loads:
            load.stop()
        assert [each.ends() for each in gateways] == [0, 0]
