"""A database that holds the tables of something else: no command begins a gateway in it."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from cli_run import Aval

from gateway.ground.store.migrate import HEAD
from tests.databases import opened

# Both engines are named by each test itself.
pytestmark = pytest.mark.sqlite
Run = Callable[..., Aval]

SHOP = ("CREATE TABLE customer (id text)", "CREATE TABLE invoice (id text)", "CREATE TABLE process (id text)")
OTHERS_ALEMBIC = (
    *SHOP,
    "CREATE TABLE alembic_version (version_num text)",
    "INSERT INTO alembic_version VALUES ('1975ea83b712')",
)


def numbered(revision: str) -> tuple[str, ...]:
    """Others number their revisions as we do."""
    return *OTHERS_ALEMBIC[:-1], f"INSERT INTO alembic_version VALUES ('{revision}')"


TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"


class Foreign:
    """A database of SQLite in the gateway's folder, or an address of PostgreSQL."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.where = url.rpartition("@")[2] if url else str(folder / "aval.sqlite3")
        self.own = "an empty database" if url else "an empty folder"

    def executes(self, *statements: str) -> "Foreign":
        if self.url:
            with psycopg.connect(self.url, autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
        else:
            self.folder.mkdir(exist_ok=True)
            with opened(self.folder / "aval.sqlite3") as connection:
                for statement in statements:
                    connection.execute(statement)
        return self

    def holds(self) -> object:
        """All of the file and what lies beside it, or the names of the tables."""
        if not self.url:
            return {each.name: each.read_bytes() for each in self.folder.rglob("*") if each.is_file()}
        with psycopg.connect(self.url) as connection:
            return [name for (name,) in connection.execute(TABLES)]

    def end(self, tmp_path: Path) -> list[str]:
        """As an option of `aval store copy`."""
        if not self.url:
            return ["--to", str(self.folder)]
        password = tmp_path / "password"
        parts = psycopg.conninfo.conninfo_to_dict(self.url)
        password.write_text(str(parts["password"]))
        return ["--to", self.url.replace(f":{parts['password']}@", "@"), "--to-password-file", str(password)]


@pytest.fixture(params=["sqlite", "postgresql"])
def foreign(request: pytest.FixtureRequest, folder: Path) -> Foreign:
    return Foreign(folder, "" if request.param == "sqlite" else request.getfixturevalue("database"))


@pytest.fixture
def there(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    """The settings name it."""
    monkeypatch.setenv("AVAL_DATABASE_URL", foreign.url)
    return foreign


@pytest.mark.parametrize("command", [("migrate",), ("serve",), ("people", "list")])
@pytest.mark.parametrize(
    ("tables", "shown"), [(SHOP, "3 tables of something else (customer, invoice, …)"),
                          (SHOP[:1], "a table of something else (customer)"),
                          (numbered("0001"), "4 tables of something else (alembic_version, customer, …)"),
                          (numbered("0200"), "4 tables of something else (alembic_version, customer, …)"),
                          (numbered("4711"), "4 tables of something else (alembic_version, customer, …)"),
                          (OTHERS_ALEMBIC, "4 tables of something else (alembic_version, customer, …)")],
)  # fmt: skip
def test_no_command_begins_a_gateway_among_them(
    aval: Run, there: Foreign, folder: Path, command: tuple[str, ...], tables: tuple[str, ...], shown: str
) -> None:
    before = there.executes(*tables).holds()
    done = aval(*command)
    assert done.code == 2, done.err
    (line,) = done.err.splitlines()
    assert f"{there.where}: holds {shown}; nothing was made. Name {there.own}, of its own only" in line
    assert there.holds() == before
    assert there.url == "" or not folder.exists()


def test_the_doctor_says_so(aval: Run, there: Foreign) -> None:
    before = there.executes(*SHOP).holds()
    done = aval("doctor")
    assert done.code == 1
    assert "holds 3 tables of something else (customer, invoice, …)" in " ".join(done.out.split())
    assert there.holds() == before


def test_nothing_is_copied_among_them(
    aval: Run, foreign: Foreign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = foreign.executes(*SHOP).holds()
    source = tmp_path / "source"
    monkeypatch.setenv("AVAL_DATA_DIR", str(source))
    assert aval("migrate").code == 0
    done = aval("store", "copy", "--from", str(source), *foreign.end(tmp_path))
    assert done.code == 2, done.err
    assert f"{foreign.where}: holds 3 tables of something else (customer, invoice, …)" in done.err
    assert foreign.holds() == before


def test_an_empty_database_is_begun_and_copied_into(aval: Run, there: Foreign) -> None:
    there.executes("CREATE TABLE gone (id text)", "DROP TABLE gone")
    assert f"made, empty, with schema {HEAD}" in aval("migrate").out
    assert "nothing to do" in aval("migrate").out


def test_what_extensions_and_other_schemas_hold_is_not_in_the_way(
    aval: Run, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAL_DATABASE_URL", database)
    Foreign(folder, database).executes(
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.customer (id text)",
        "CREATE TABLE spatial_ref_sys (id text)",
        "ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys",
        "CREATE VIEW report AS SELECT id FROM shop.customer",
    )
    assert f"made, empty, with schema {HEAD}" in aval("migrate").out


def test_only_the_schema_in_use_counts(aval: Run, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    Foreign(folder, database).executes(
        *SHOP, "CREATE SCHEMA aval", f'ALTER DATABASE "{name}" SET search_path = aval, public'
    )
    monkeypatch.setenv("AVAL_DATABASE_URL", database)
    assert f"made, empty, with schema {HEAD}" in aval("migrate").out
    assert "nothing to do" in aval("migrate").out
