"""Migrating a database to the schema of this version of the gateway.

All missing steps are one transaction: if the process is killed during it, the old schema is still
there and the next start tries again. A database of a newer gateway is not changed, and none that holds
the tables of something else: a gateway has its database to itself.
"""

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.exc import DatabaseError

from gateway.errors import Unavailable
from gateway.ground.store.contract import Connection, Store
from gateway.ground.store.opening import open_store
from gateway.ground.store.sqlite.engine import DatabaseFault, SqliteStore, bare
from gateway.ground.store.statements import raw
from gateway.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its own at its import

FOLDER = Path(__file__).parent / "migrations"
HEAD = "0211"  # the newest revision; known here so that a start needs no Alembic when nothing is to be done

COPYING = "0-copying"  # in the place of the revision, while `copying` fills the database: nobody may serve a part of it
UNFINISHED = "holds a part of a copy that was interrupted; run the same `aval store copy` again"

OWNER = "the database must belong to the user: createdb --encoding UTF8 --template template0 --owner aval aval"
READ_ONLY = "this server takes no writes"
PRIMARY = "name the primary in AVAL_DATABASE_URL, or all servers: then the one that takes writes is found"
_NOT_ALLOWED = ("42501", "3F000")  # SQLSTATE insufficient_privilege, and invalid_schema_name: may use no schema
_NO_WRITES = "25006"  # SQLSTATE read_only_sql_transaction
WRITABLE = "data_dir must be a folder that can be written"
_UNKNOWN = "A newer gateway made it: run that one; or a state from before the first release: begin with an empty"

_REVISION = re.compile(r"\d{4}")
# What alembic_version may stand beside: of PostgreSQL in the schema where tables would be made, without those that
# belong to an extension.
_IS_THERE = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = ?",
    "postgresql": "SELECT 1 WHERE to_regclass(?) IS NOT NULL",
}
_FIRST = "0200"  # the first release's; from it on `schemaserves` is there, and before it `logentry` was
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite#_%' ESCAPE '#'",
    "postgresql": """SELECT relname::text FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'f')
          AND NOT relispartition AND NOT EXISTS (SELECT 1 FROM pg_depend
              WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')""",
}


class Unfinished(Unavailable):
    """`copying` was interrupted while it filled the database."""


class Foreign(Unavailable):
    """The database holds the tables of something else."""


class NotShown(Unavailable):
    """The server does not let this user read what the database holds."""


def current(settings: Settings) -> str | None:
    """The revision of the database; None when there is no database, or an empty one. Raises Unavailable; Unfinished,
    Foreign, NotShown.

    Only SQLite reads its file, even to find out whether it is a database: this also runs in the serving process, where
    nothing else may open the file.
    """
    return schema(settings)[0]


def schema(settings: Settings) -> tuple[str | None, str]:
    """The revision of the database, and the oldest one whose program may go on serving it ("" before both are known).
    Raises Unavailable."""
    if settings.database_url:
        with contextlib.closing(open_store(settings)) as store, contextlib.closing(store.connect()) as connection:
            return _told(connection, store.where)
    if not settings.database.exists() or settings.database.stat().st_size == 0:
        return None, ""
    try:
        with contextlib.closing(bare(settings.database)) as connection:  # it may be something else's
            return _found(connection, "sqlite", str(settings.database))
    except DatabaseFault as error:
        more = "" if os.access(settings.data_dir, os.W_OK) else f"; {WRITABLE}"
        raise Unavailable(f"{settings.database}: {error}{more}") from error


def _told(connection: Connection, where: str) -> tuple[str | None, str]:
    """What is found on PostgreSQL. Raises Unavailable, for whatever the server says."""
    from psycopg import Error  # only where there is such a database

    try:
        return _found(connection, "postgresql", where)
    except Error as error:
        raise NotShown(f"{where}: {_why(error)}") from error


def _found(connection: Connection, engine: str, where: str) -> tuple[str | None, str]:
    if not _is_there(connection, engine, "alembic_version"):
        _require_empty(connection, engine, where)
        return None, ""
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is not None and str(row[0]) == COPYING:
        raise Unfinished(f"the database {UNFINISHED}")
    revision = str(row[0]) if row else ""
    own = "schemaserves" if revision >= _FIRST else "logentry"
    if not _REVISION.fullmatch(revision) or not _is_there(connection, engine, own):  # others use Alembic too
        raise _foreign(connection, engine, where)
    if revision < _FIRST:
        return revision, ""
    oldest = connection.execute("SELECT oldest FROM schemaserves").fetchone()
    return revision, str(oldest[0]) if oldest else ""


def _is_there(connection: Connection, engine: str, table: str) -> bool:
    return connection.execute(_IS_THERE[engine], (table,)).fetchone() is not None


def _require_empty(connection: Connection, engine: str, where: str) -> None:
    """Raises Foreign. All our tables come in one transaction: who sees some of them sees alembic_version afterwards."""
    if _tables(connection, engine) and not _is_there(connection, engine, "alembic_version"):
        raise _foreign(connection, engine, where)


def _foreign(connection: Connection, engine: str, where: str) -> Foreign:
    names = _tables(connection, engine)
    shown = ", ".join(names[:2]) + (", …" if len(names) > 2 else "")
    count = "a table" if len(names) == 1 else f"{len(names)} tables"
    own = "an empty database" if engine == "postgresql" else "an empty folder"
    return Foreign(f"{where}: holds {count} of something else ({shown}); nothing was made. Name {own}, of its own only")


def _tables(connection: Connection, engine: str) -> list[str]:
    return sorted(str(name) for (name,) in connection.execute(_TABLES[engine]).fetchall())


def serves(settings: Settings) -> str:
    """Why this version cannot serve the database as it is; empty: it can. One that a newer version has extended can
    be served until that version has taken away what this one needs (expand, then contract). Raises Unavailable."""
    return _refused(*schema(settings))


def still_serves(store: Store) -> str:
    """The same, asked by a process that serves, of the store that it has open."""
    with store.read() as session:
        engine = "sqlite" if isinstance(store, SqliteStore) else "postgresql"
        return _refused(*_found(raw(session), engine, store.where))


def _refused(found: str | None, oldest: str) -> str:
    if found == HEAD or (found is not None and found > HEAD and "" < oldest <= HEAD):
        return ""
    if found is not None and found > HEAD:
        return (
            f"schema {found} of a newer version, beside which this one ({HEAD}) can no longer serve: run the newer one"
        )
    return f"schema {found}, this version needs {HEAD}: aval migrate"


def unknown(settings: Settings) -> str:
    """What a revision is that this version does not know, and what to do."""
    return f"{_UNKNOWN} {'database' if settings.database_url else 'folder'}"


def is_known(revision: str) -> bool:
    """Whether `upgrade` can start from this revision."""
    return any((FOLDER / "versions").glob(f"{revision}_*.py"))


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Migrate. Returns (revision before, revision now). On SQLite it makes the data folder and the file if they are
    missing; a database of PostgreSQL must be there.

    A database that a newer gateway has extended is left as it is where this version may serve it (`serves`). Raises
    Unavailable for any other of a newer gateway, or of a state from before the first release.
    """
    before = current(settings)
    if before is not None and not serves(settings):
        return before, before
    if before is not None and not is_known(before):
        where = settings.database if not settings.database_url else "the database"
        raise Unavailable(f"{where}: schema {before} is not known to this version. {unknown(settings)}")
    if not settings.database_url:
        _folder(settings)
    store = open_store(settings)
    try:
        before = _run(store)
    except DatabaseError as error:
        raise Unavailable(f"{store.where}: {_why(error.orig)}") from error
    finally:
        store.close()
    return before, HEAD


def _why(error: BaseException | None) -> str:
    if not (state := getattr(error, "sqlstate", None)):
        return str(error)
    if state == _NO_WRITES:
        return f"{READ_ONLY}; {PRIMARY}"
    said = str(error).splitlines()[0]  # without the statement that was refused
    return f"{said}; {OWNER}" if state in _NOT_ALLOWED else said


def _folder(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _made_private(settings.database)
    except OSError as error:
        raise Unavailable(f"{settings.database}: {error.strerror}; {WRITABLE}") from None


def _made_private(path: Path) -> None:
    """Create the empty database file with mode 0600, whatever the folder's mode. SQLite gives the files beside it the
    same mode. An existing file is not opened (see `current`)."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _run(store: Store) -> str | None:
    """All missing steps in one transaction, which waits for another process that migrates. Returns the revision that it
    began from: with another process at the same moment, the one that this has made."""
    from alembic import command  # takes 0.2 s to import, so only imported when there is something to do

    with store.engine.connect() as connection:
        _begin(store, connection)
        try:
            is_made = inspect(connection).has_table("alembic_version")
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first() if is_made else None
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.exec_driver_sql("COMMIT")
            return str(found[0]) if found else None
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise


def _begin(store: Store, connection: Any) -> None:
    if not isinstance(store, SqliteStore):
        # The driver has begun the transaction. A change of a large table may take its time, and so whoever migrates at
        # the same moment waits. Waiting for tables may not: whoever reads one meanwhile waits behind us.
        (patience,) = connection.exec_driver_sql("SELECT current_setting('lock_timeout')").one()
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.connection.driver_connection.patience = None
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7262006)")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{patience}'")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver is in autocommit mode and begins none by itself


def configuration() -> "Config":
    """Alembic's configuration, without an ini file. To compare schemas, put `metadata` into its attributes."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config
