"""Whether the keys are those this database was used with: a foreign one would change every person's identifiers, and
could open nothing, long before anybody noticed."""

from collections.abc import Mapping

from gateway.ground.store.engine import Connection, Store

_KEEP = "INSERT INTO keycheck (file, value) VALUES (?, ?) ON CONFLICT (file) DO UPDATE SET value = excluded.value"


def wrong(connection: Connection, checks: Mapping[str, str]) -> list[str]:
    """The files that hold another key than they did. `checks`: file → check value (`KeyRing.checks`)."""
    known = dict(connection.execute("SELECT file, value FROM keycheck"))
    return [file for file, value in checks.items() if known.get(file, value) != value]


def keep(store: Store, checks: Mapping[str, str]) -> None:
    """From now on these are the right ones; writes only what is new."""
    connection = store.connect()
    try:
        known = dict(connection.execute("SELECT file, value FROM keycheck"))
        new = [(file, value) for file, value in checks.items() if known.get(file) != value]
        if new:
            store.batch(connection, lambda writing: writing.executemany(_KEEP, new))
    finally:
        connection.close()
