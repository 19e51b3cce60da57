"""What an operator must say where people have linked: of another address, and of fields that give more."""

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from organisations_world import DECLARATIONS
from sqlmodel import Session
from typer.testing import CliRunner

from gateway.app import build_house
from gateway.cli import app
from gateway.errors import Unavailable
from gateway.ground.keys import fresh
from gateway.ground.store import Connection, Store
from gateway.ground.store.statements import patient
from gateway.ground.store.tables import directory_turn
from gateway.log import Log, reading
from gateway.organisations import links, moving
from gateway.people.tables import Person
from gateway.settings import Settings

OLD, NEW = "http://localhost:8401", "http://localhost:9401"
CITY = DECLARATIONS / "city-energy.toml"
WATER = DECLARATIONS / "panel" / "eau-metropole.toml"


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


def people_link(settings: Settings, *people: str, organisation: str = "city-energy") -> None:
    house = build_house(settings)
    now = datetime.now(UTC)
    with house.store.write() as session:
        for person in people:
            session.add(Person(id=person, email=f"{person}@example.org", name=person.title(), created_at=now))
        for person in people:
            held = links.Credentials("access", "refresh", int(now.timestamp()) + 300)
            links.make(session, house.keys, person, organisation, now, new_id=fresh(), held=held)
    house.store.close()


def alice_links(settings: Settings, organisation: str = "city-energy") -> None:
    people_link(settings, "alice", organisation=organisation)


def linked(settings: Settings, *people: str) -> list[str]:
    """Who of these people is linked."""
    house = build_house(settings)
    with house.store.read() as session:
        found = [person for person in people if links.is_linked(session, person, "city-energy")]
    house.store.close()
    return found


def is_linked(settings: Settings) -> bool:
    return linked(settings, "alice") == ["alice"]


def told_of_the_end(settings: Settings, person: str) -> int:
    """How many entries in the person's log say that the link has ended."""
    house = build_house(settings)
    with house.store.read() as session:
        entries = list(reading.entries(session, house.log, person))
    house.store.close()
    return sum(entry.kind == "unlinked" for entry in entries)


def status(settings: Settings) -> tuple[str, str]:
    """Of the organisation, and its address."""
    (row,) = json.loads(aval("organisations", "list", "--json")[1])
    return row["status"], row["base_url"]


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


def test_links_end_a_few_people_at_a_time_and_a_command_that_was_broken_off_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    aval("organisations", "add", CITY, "--base-url", OLD)
    everybody = [f"person-{number}" for number in range(8)]
    people_link(settings, *everybody)
    monkeypatch.setattr(moving, "PEOPLE_AT_ONCE", 3)
    turns: list[int] = []
    taken = Log.turn

    def turn(log: Log, session: Session, *people: str) -> None:
        turns.append(len(people))
        if len(turns) == 3:
            raise Unavailable("the database went away")
        taken(log, session, *people)

    monkeypatch.setattr(Log, "turn", turn)
    code, _, error = aval("organisations", "add", CITY, "--base-url", NEW, "--replaced")
    assert code != 0
    assert "city-energy: links ended of 3 of 8 people\n" in error
    assert linked(settings, *everybody) == everybody[6:]
    assert status(settings) == ("leaving", OLD)  # no call, and no linking

    code, out, _ = aval("organisations", "add", CITY, "--base-url", NEW, "--replaced")
    assert (code, out) == (0, changed(OLD, NEW))
    assert linked(settings, *everybody) == []
    assert status(settings) == ("active", NEW)
    assert max(turns) == 3
    assert [told_of_the_end(settings, person) for person in everybody] == [1] * 8


def test_nobody_waits_for_the_directory_while_it_is_read_who_is_linked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every data call needs the directory's turn (`tables.directory_turn`), and a region's links take long to read."""
    aval("organisations", "add", CITY, "--base-url", OLD)
    everybody = [f"person-{number}" for number in range(7)]
    people_link(settings, *everybody)
    monkeypatch.setattr(moving, "PEOPLE_AT_ONCE", 2)
    monkeypatch.setattr(moving, "PEOPLE_READ", 3)
    house, seen = build_house(settings), []

    @contextlib.contextmanager
    def looking_on(store: Store) -> Iterator[Connection]:
        with patient(store) as reading:
            assert status(settings) == ("leaving", OLD), "committed before"
            with house.store.write() as session:
                directory_turn(session)  # it waits for nobody
            seen.append(house.store.where)
            yield reading

    monkeypatch.setattr(moving, "patient", looking_on)
    code, _, error = aval("organisations", "add", CITY, "--base-url", NEW, "--replaced")
    house.store.close()
    assert code == 0 and len(seen) == 1
    assert [line.split()[4] for line in error.splitlines()] == ["0", "2", "3", "5", "6", "7"]
    assert linked(settings, *everybody) == [] and status(settings) == ("active", NEW)


@pytest.mark.parametrize(("most", "people"), [(2, "more than 2 people have"), (3, "3 people have")])
def test_of_very_many_people_it_does_not_count_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, most: int, people: str
) -> None:
    aval("organisations", "add", CITY, "--base-url", OLD)
    people_link(settings, "alice", "bob", "chloe")
    monkeypatch.setattr(moving, "MOST_COUNTED", most)
    assert f"where {people} linked an account" in aval("organisations", "add", CITY, "--base-url", NEW)[2]


def test_what_was_broken_off_can_be_taken_back(settings: Settings) -> None:
    aval("organisations", "add", CITY, "--base-url", OLD)
    alice_links(settings)
    house = build_house(settings)
    with house.store.write() as session:
        moving._leaving(session, "city-energy", datetime.now(UTC))
    house.store.close()
    assert status(settings) == ("leaving", OLD)
    for word in (("resume",), ("suspend", "--reason", "Quiet.")):
        code, out, error = aval("organisations", word[0], "city-energy", *word[1:])
        assert (code, out, error) == (1, "", f"aval: city-energy: {moving.AGAIN}\n")
    assert status(settings) == ("leaving", OLD)
    [check] = [line for line in aval("doctor", "--json")[1].splitlines() if "organisation city-energy" in line]
    assert (json.loads(check)["found"], json.loads(check)["do"]) == ("leaving", moving.AGAIN)
    assert aval("organisations", "add", CITY, "--base-url", OLD)[1].startswith("city-energy: changed")
    assert status(settings) == ("active", OLD)
    assert is_linked(settings)


def test_a_suspension_is_not_lifted_by_another_address(settings: Settings) -> None:
    aval("organisations", "add", CITY, "--base-url", OLD)
    alice_links(settings)
    aval("organisations", "suspend", "city-energy", "--reason", "Its certificate has expired.")
    assert aval("organisations", "add", CITY, "--base-url", NEW, "--replaced")[0] == 0
    assert status(settings) == ("suspended (Its certificate has expired.)", NEW)
    assert not is_linked(settings)


VOLUME = 'find = ["WaterDay/consommation"]'
TOLD = "datasets[0].field[1].find: water.volume gives more than it did: WaterDay/debit; say --wider"


def wider(folder: Path, shape: str = "consommation:n debit:n") -> Path:
    """The water company's file, whose field of the volume gives these members."""
    text = WATER.read_text(encoding="utf-8")
    find = ", ".join(f'"WaterDay/{word[:-2]}"' for word in shape.split())
    path = folder / "water.toml"
    path.write_text(text.replace(VOLUME, f"find = [{find}]").replace("consommation:n", shape), "utf-8")
    return path


def test_a_field_gives_more_only_if_the_operator_says_that_its_words_do(settings: Settings, tmp_path: Path) -> None:
    more = wider(tmp_path)
    assert aval("organisations", "add", WATER)[0] == 0
    alice_links(settings, "eau-metropole")
    code, out, error = aval("organisations", "add", more)
    assert (code, out) == (1, "") and TOLD in error and "field of its own" in error
    assert aval("organisations", "add", WATER)[1] == "eau-metropole: unchanged\n"
    assert aval("organisations", "add", more, "--wider")[0] == 0
    assert aval("organisations", "add", WATER)[0] == 0, "a field may give less"


def test_who_has_agreed_to_nothing_yet_is_not_asked_about(settings: Settings, tmp_path: Path) -> None:
    assert aval("organisations", "add", WATER)[0] == 0
    assert aval("organisations", "add", wider(tmp_path))[0] == 0


def test_a_new_name_in_place_of_the_old_is_more_too(settings: Settings, tmp_path: Path) -> None:
    assert aval("organisations", "add", WATER)[0] == 0
    alice_links(settings, "eau-metropole")
    renamed = wider(tmp_path, "debit:n")
    assert TOLD in aval("organisations", "add", renamed)[2]
