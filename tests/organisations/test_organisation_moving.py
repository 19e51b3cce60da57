"""Another address for an organisation that people have linked, from the operator's command line."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from organisations_world import DECLARATIONS
from typer.testing import CliRunner

from gateway.app import build_house
from gateway.cli import app
from gateway.ground.keys import fresh
from gateway.organisations import links
from gateway.people.tables import Person
from gateway.settings import Settings

OLD, NEW = "http://localhost:8401", "http://localhost:9401"
CITY = DECLARATIONS / "city-energy.toml"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("AVAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CITY_ENERGY_CLIENT_SECRET", "a secret of the tests")
    return Settings()


def aval(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments], prog_name="aval")
    return done.exit_code, done.stdout, done.stderr


def alice_links(settings: Settings) -> None:
    house = build_house(settings)
    now = datetime.now(UTC)
    with house.store.write() as session:
        session.add(Person(id="alice", email="alice@example.org", name="Alice", created_at=now))
        held = links.Credentials("access", "refresh", int(now.timestamp()) + 300)
        links.make(session, house.keys, "alice", "city-energy", now, new_id=fresh(), held=held)
    house.store.close()


def is_linked(settings: Settings) -> bool:
    house = build_house(settings)
    with house.store.read() as session:
        found = links.is_linked(session, "alice", "city-energy")
    house.store.close()
    return found


def changed(old: str, new: str) -> str:
    return f"city-energy: changed\n  connection.base_url: {old} → {new}\n"


def test_another_address_needs_a_word_as_soon_as_somebody_is_linked(settings: Settings) -> None:
    assert aval("organisations", "add", CITY, "--base-url", OLD)[0] == 0
    assert aval("organisations", "add", CITY, "--base-url", NEW)[:2] == (0, changed(OLD, NEW))
    assert aval("organisations", "add", CITY, "--base-url", OLD)[:2] == (0, changed(NEW, OLD))
    alice_links(settings)
    code, out, error = aval("organisations", "add", CITY, "--base-url", NEW)
    assert (code, out) == (1, "")
    assert f"connection.base_url: was {OLD}, where one person has linked an account; say --moved" in error
    assert aval("organisations", "add", CITY, "--base-url", OLD)[1] == "city-energy: unchanged\n"
    assert is_linked(settings)


@pytest.mark.parametrize(("word", "stays"), [("--moved", True), ("--replaced", False)])
def test_the_word_decides_whether_links_stay(settings: Settings, word: str, stays: bool) -> None:
    aval("organisations", "add", CITY, "--base-url", OLD)
    alice_links(settings)
    assert aval("organisations", "add", CITY, "--base-url", NEW, word)[:2] == (0, changed(OLD, NEW))
    assert is_linked(settings) is stays
