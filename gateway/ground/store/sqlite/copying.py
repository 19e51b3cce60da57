"""A copy of the database as of one moment, taken while a gateway serves.

It uses SQLite's backup interface (sqlite.org/backup.html) in a separate process. Unlike copying the file, this takes
SQLite's locks, so that the copy contains every committed transaction, including those only in the write-ahead log.
"""

import contextlib
import os
from collections import Counter
from pathlib import Path

from gateway.errors import Unavailable
from gateway.ground.store.sqlite.engine import Connection, DatabaseFault, bare, connect


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
        if any(row != ("ok",) for row in writing.execute("PRAGMA integrity_check")):
            raise Unavailable(f"{source}: is damaged (integrity_check); no copy was made")
        if lost := missing_rows(writing):
            raise Unavailable(f"{source}: {'; '.join(lost)}; no copy was made. {MISSING_DO}")
    finally:
        writing.close()
        reading.close()


MISSING_DO = "Another program has deleted rows: put back a copy that `aval log verify` accepts"


def missing_rows(connection: Connection) -> list[str]:
    """Which tables refer to which rows that are not there: a sentence for each column. Reads every reference."""
    count: Counter[tuple[str, str, int]] = Counter()
    example: dict[tuple[str, str, int], int | None] = {}  # None: a table without numbers of rows
    for table, row, of, number in connection.execute("PRAGMA foreign_key_check").fetchall():
        count[table, of, number] += 1
        example.setdefault((table, of, number), row)
    told = []
    for (table, of, number), rows in sorted(count.items()):
        found = connection.execute('SELECT "from" FROM pragma_foreign_key_list(?) WHERE id = ?', (table, number))
        (column,) = found.fetchone()
        counted, refers = ("a row", "refers") if rows == 1 else (f"{rows} rows", "refer")
        named = column
        if (row := example[table, of, number]) is not None:
            (name,) = connection.execute(f'SELECT "{column}" FROM "{table}" WHERE rowid = ?', (row,)).fetchone()
            named += f" {name!r}" if rows == 1 else f", one of them {name!r}"
        told.append(f"{counted} of table {table} {refers} to a {of} that is not there ({named})")
    return told
