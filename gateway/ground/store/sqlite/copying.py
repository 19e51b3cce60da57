"""A copy of the database as of one moment, taken while a gateway serves.

It uses SQLite's backup interface (sqlite.org/backup.html) in a separate process. Unlike copying the file, this takes
SQLite's locks, so that the copy contains every committed transaction, including those only in the write-ahead log.
"""

import contextlib
import os
from pathlib import Path

from gateway.errors import Unavailable
from gateway.ground.store.sqlite.engine import DatabaseFault, bare, connect


def draft(source: Path, target: Path) -> Path:
    """Make and check a copy: one file of mode 0600 beside `target`, under another name. Raises Unavailable, OSError."""
    made = target.with_name(f"{target.name}.new")
    with contextlib.suppress(FileNotFoundError):
        made.unlink()  # the draft of an earlier copy that was interrupted
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


def _copy(source: Path, made: Path) -> None:
    reading = connect(source)
    writing = bare(made)
    try:
        reading.backup(writing)  # all pages in one step, because a write by others between steps would restart it
        writing.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file, without a -wal beside it
        for check in ("integrity_check", "foreign_key_check"):
            if any(row != ("ok",) for row in writing.execute(f"PRAGMA {check}")):
                raise Unavailable(f"{source}: is damaged ({check}); no copy was made")
    finally:
        writing.close()
        reading.close()
