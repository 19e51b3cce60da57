"""Migrating a database to the schema of this version of the gateway.

All missing steps are one transaction: if the process is killed during it, the old schema is still
there and the next start tries again. A database of a newer gateway is not changed.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from gateway.errors import Unavailable
from gateway.ground.store.engine import DatabaseFault, Store, connect
from gateway.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its own at its import

FOLDER = Path(__file__).parent / "migrations"
HEAD = "0200"  # the newest revision; known here so that a start needs no Alembic when nothing is to be done

WRITABLE = "data_dir must be a folder that can be written"
UNKNOWN = "A newer gateway made it: run that one; or a state from before the first release: begin with an empty folder"


def current(settings: Settings) -> str | None:
    """The revision of the database; None when there is no database, or an empty one. Raises Unavailable.

    Only SQLite reads the file, even to find out whether it is a database: this also runs in the serving process, where
    nothing else may open the file.
    """
    if not settings.database.exists() or settings.database.stat().st_size == 0:
        return None
    try:
        connection = connect(settings.database)
        try:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
        finally:
            connection.close()
    except DatabaseFault as error:
        more = "" if os.access(settings.data_dir, os.W_OK) else f"; {WRITABLE}"
        raise Unavailable(f"{settings.database}: {error}{more}") from error
    return str(row[0]) if row else None


def is_current(settings: Settings) -> bool:
    return current(settings) == HEAD


def is_known(revision: str) -> bool:
    """Whether `upgrade` can start from this revision."""
    return any((FOLDER / "versions").glob(f"{revision}_*.py"))


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Migrate. Returns (revision before, revision now). Makes the data folder and the database if they are missing.

    Raises Unavailable for a database of a newer gateway, or of a state from before the first release.
    """
    before = current(settings)
    if before == HEAD:
        return before, HEAD
    if before is not None and not is_known(before):
        raise Unavailable(f"{settings.database}: schema {before} is not known to this version. {UNKNOWN}")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _made_private(settings.database)
    except OSError as error:
        raise Unavailable(
            f"{settings.database}: {error.strerror}; data_dir must be a folder that can be written"
        ) from None
    store = Store(settings.database)
    try:
        _run(store)
    except DatabaseError as error:
        raise Unavailable(f"{settings.database}: {error.orig}") from error
    finally:
        store.close()
    return before, HEAD


def _made_private(path: Path) -> None:
    """Create the empty database file with mode 0600, whatever the folder's mode. SQLite gives the files beside it the
    same mode. An existing file is not opened (see `current`)."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _run(store: Store) -> None:
    from alembic import command  # takes 0.2 s to import, so only imported when there is something to do

    with store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver is in autocommit mode and begins none by itself
        try:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise


def configuration() -> "Config":
    """Alembic's configuration, without an ini file. To compare schemas, put `metadata` into its attributes."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config
