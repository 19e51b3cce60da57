"""The schema: one revision that makes exactly the tables the code declares, whole or not at all."""

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


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_a_new_database_has_exactly_the_tables_that_the_code_declares(settings: Settings) -> None:
    assert migrate.upgrade(settings) == (None, migrate.HEAD)
    store = open_store(settings)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, schema.metadata) == []
    store.close()


def test_the_head_known_to_the_code_is_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(migrate.configuration())
    assert scripts.get_heads() == [migrate.HEAD]


def test_a_second_upgrade_has_nothing_to_do(settings: Settings) -> None:
    assert migrate.current(settings) is None
    migrate.upgrade(settings)
    assert migrate.is_current(settings)
    assert migrate.upgrade(settings) == (migrate.HEAD, migrate.HEAD)


def test_a_database_of_a_newer_gateway_is_refused_and_left_alone(settings: Settings) -> None:
    migrate.upgrade(settings)
    with opened(settings.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Unavailable, match="A newer gateway made it"):
        migrate.upgrade(settings)
    assert migrate.current(settings) == "9999"


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
