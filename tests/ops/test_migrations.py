"""The schema: one revision that makes exactly the tables the code declares, whole or not at all."""

import contextlib
import re
from pathlib import Path
from typing import Any

import alembic.op
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway import schema
from gateway.errors import Unavailable
from gateway.ground.store import migrate, open_store
from gateway.settings import Settings
from tests.databases import opened

MONTHS = re.compile(r"logentry_(20\d\d_\d\d|others)")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a gateway on SQLite."""
    made = Settings(data_dir=tmp_path / "data")
    return made.model_copy(update={"database_url": ""})


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Of a gateway on each engine, where nothing has been made yet."""
    if request.param == "sqlite":
        return settings
    return settings.model_copy(update={"database_url": request.getfixturevalue("database")})


def declared(thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    """Not what each partition of the log has by itself: SQLAlchemy knows none, so the code declares the one table that
    stands for all, with an index that PostgreSQL only lets each partition have (store/postgres/months.py)."""
    if kind == "table":
        return not MONTHS.fullmatch(str(name))
    return not (kind == "index" and thing.table.name == "logentry" and [*thing.columns.keys()] == ["person_id", "seq"])


def test_a_new_database_has_exactly_the_tables_that_the_code_declares(either: Settings) -> None:
    assert migrate.upgrade(either) == (None, migrate.HEAD)
    store = open_store(either)
    with store.engine.connect() as connection:
        options = {"compare_type": True, "render_as_batch": True}
        if either.database_url:
            options |= {"include_object": declared}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []
    store.close()


def test_the_head_known_to_the_code_is_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(migrate.configuration())
    assert scripts.get_heads() == [migrate.HEAD]


def test_a_second_upgrade_has_nothing_to_do(either: Settings) -> None:
    assert migrate.current(either) is None
    migrate.upgrade(either)
    assert migrate.current(either) == migrate.HEAD
    assert migrate.upgrade(either) == (migrate.HEAD, migrate.HEAD)


def newer(settings: Settings, *, oldest: str) -> None:
    """As if a newer gateway had migrated it, beside which one of the revision `oldest` may serve."""
    with contextlib.closing(open_store(settings)) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql(f"UPDATE schemaserves SET oldest = '{oldest}'")


def while_serving(settings: Settings) -> str:
    with contextlib.closing(open_store(settings)) as store:
        return migrate.still_serves(store)


def test_a_database_of_a_newer_gateway_is_refused_and_left_alone(either: Settings) -> None:
    migrate.upgrade(either)
    newer(either, oldest="9999")
    with pytest.raises(Unavailable, match="A newer gateway made it"):
        migrate.upgrade(either)
    assert migrate.current(either) == "9999" and "run the newer one" in migrate.serves(either)
    assert while_serving(either) == migrate.serves(either)


def test_a_database_that_a_newer_gateway_has_only_extended_is_served(either: Settings) -> None:
    migrate.upgrade(either)
    newer(either, oldest=migrate.HEAD)
    assert migrate.upgrade(either) == ("9999", "9999") and migrate.serves(either) == ""
    assert while_serving(either) == ""


@pytest.mark.parametrize("text", [b"no", b"no database at all", b"not one either, and long" * 999])
def test_a_file_that_is_no_database_is_told_in_a_sentence_and_left_alone(settings: Settings, text: bytes) -> None:
    settings.data_dir.mkdir()
    settings.database.write_bytes(text)
    with pytest.raises(Unavailable, match="aval.sqlite3: file is not a database"):
        migrate.upgrade(settings)
    assert settings.database.read_bytes() == text


def test_an_upgrade_that_breaks_off_leaves_the_database_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    real, made = alembic.op.create_table, []

    def create_table(name: str, *columns: Any, **options: Any) -> Any:
        if len(made) == 5:
            raise Killed
        made.append(name)
        return real(name, *columns, **options)

    monkeypatch.setattr("alembic.op.create_table", create_table)
    with pytest.raises(Killed):
        migrate.upgrade(settings)
    with opened(settings.database) as connection:
        assert made and connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    assert migrate.upgrade(settings) == (None, migrate.HEAD)
