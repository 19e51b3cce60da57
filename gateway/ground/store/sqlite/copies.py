"""A copied database, read as it lies there. By the library of Python itself: the file is not one that this process
serves."""

import sqlite3
from pathlib import Path

from gateway.ground.store.contract import Connection

CopyFault: type[Exception] = sqlite3.Error


def open_copy(path: Path) -> Connection:
    """Read only; nothing is written beside it. Raises CopyFault."""
    live = path.with_name(path.name + "-wal").exists()  # without one nobody has it open, and it needs no index file
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?{'mode=ro' if live else 'immutable=1'}", uri=True, isolation_level=None
    )
