"""A copy of the database as of one moment, taken beside a serving gateway.

By SQLite's own backup interface (sqlite.org/backup.html), in a process of its own: it holds the locks that a copied
file would not, so the copy has every committed transaction whole, also those that are only in the write-ahead log.
"""

import contextlib
import os
from pathlib import Path

from gateway.errors import Unavailable
from gateway.ground.store.engine import DatabaseFault, bare, connect


def draft(source: Path, target: Path) -> Path:
    """A checked copy beside `target`, under another name: one file, mode 0600. Raises Unavailable, OSError."""
    made = target.with_name(f"{target.name}.new")
    with contextlib.suppress(FileNotFoundError):
        made.unlink()  # of one that was broken off
    os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _copy(source, made)
    except DatabaseFault as error:
        made.unlink()
        raise Unavailable(f"{source}: {error}") from error
    except BaseException:
        made.unlink()
        raise
    return made


def keep(made: Path, target: Path) -> None:
    """The draft under its name, on the disk; in the place of what had that name. Raises OSError."""
    os.rename(made, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _copy(source: Path, made: Path) -> None:
    reading = connect(source)
    writing = bare(made)
    try:
        reading.backup(writing)  # all pages in one step: other writers do not make it begin again
        writing.execute("PRAGMA journal_mode=DELETE")  # whole in one file, nothing beside it
        for check in ("integrity_check", "foreign_key_check"):
            if any(row != ("ok",) for row in writing.execute(f"PRAGMA {check}")):
                raise Unavailable(f"{source}: is damaged ({check}); no copy was made")
    finally:
        writing.close()
        reading.close()
