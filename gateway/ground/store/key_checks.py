"""Checks that the keys are those this database was used with. A wrong key would change the identifiers of all people
and could decrypt nothing, and this might be noticed only much later."""

import contextlib
from collections.abc import Mapping

from gateway.ground.store.contract import Connection, Store, translated

_KEEP = "INSERT INTO keycheck (file, value) VALUES (?, ?) ON CONFLICT (file) DO UPDATE SET value = excluded.value"

_CLAIM = "INSERT INTO keycheck (file, value) VALUES (?, ?) ON CONFLICT (file) DO NOTHING"


def wrong(connection: Connection, checks: Mapping[str, str]) -> list[str]:
    """The key files whose key is not the one used before. `checks`: file → check value (`KeyRing.checks`)."""
    known = dict(connection.execute("SELECT file, value FROM keycheck"))
    return [file for file, value in checks.items() if known.get(file, value) != value]


def claim(store: Store, checks: Mapping[str, str]) -> list[str]:
    """Return the files whose key is not the one used before; if there is none, store the check values of new files. Of
    two machines with different keys under one name, one is told so. Raises Unavailable."""
    with translated(store), contextlib.closing(store.connect()) as connection:
        if found := wrong(connection, checks):
            return found
        store.batch(connection, lambda writing: writing.executemany(_CLAIM, list(checks.items())))
        return wrong(connection, checks)  # another machine may have been first


def keep(store: Store, checks: Mapping[str, str]) -> None:
    """Store these check values as the right ones. Writes only if something has changed."""
    connection = store.connect()
    try:
        known = dict(connection.execute("SELECT file, value FROM keycheck"))
        new = [(file, value) for file, value in checks.items() if known.get(file) != value]
        if new:
            store.batch(connection, lambda writing: writing.executemany(_KEEP, new))
    finally:
        connection.close()
