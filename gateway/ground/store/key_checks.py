"""The pinned keys: a check value of each key file this database is used with. A wrong key would change the identifiers
of all people and could decrypt nothing, and this might be noticed only much later.

Whoever comes first pins all files of its folder at once, and makes those that are missing, before anything else is
written: each pins in its turn, so that of several who begin one database at the same moment one wins, and the others
find it pinned and have made nothing. Later only further files are added, never others under a name that is known.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.ground.store.contract import Connection, Store, translated
from gateway.ground.store.statements import prove, turns

Checks = Mapping[str, str]  # file → check value (`KeyRing.checks`)

_TURN = "keys"
_READ = "SELECT file, value FROM keycheck"
_PIN = "INSERT INTO keycheck (file, value) VALUES (?, ?)"
_PINNED = "SELECT 1 FROM keycheck WHERE file = ? AND value = ?"


@dataclass(frozen=True)
class Pinned:
    """How it ended. `foreign`: the files that hold another key than the one pinned; then nothing was written."""

    foreign: list[str]
    first: bool  # no key was pinned before


def known(connection: Connection) -> dict[str, str]:
    """The pinned ones."""
    return dict(connection.execute(_READ).fetchall())


def wrong(connection: Connection, checks: Checks) -> list[str]:
    """The key files whose key is not the one used before."""
    return _foreign(known(connection), checks)


def pin(store: Store, keys: Callable[[Connection, Checks], Checks]) -> Pinned:
    """Pin the keys, unless one of them is foreign. Writes only if something is new. Raises Unavailable.

    `keys`: told what is pinned, it reads the keys; only where nothing is may it make some. It has the turn then, and
    may be asked twice.
    """
    found = Pinned([], first=False)

    def work(writing: Connection) -> None:
        nonlocal found
        turns(writing, [_TURN])
        pinned = known(writing)
        checks = keys(writing, pinned)
        found = Pinned(_foreign(pinned, checks), first=not pinned)
        new = [(file, value) for file, value in checks.items() if file not in pinned]
        if new and not found.foreign:
            prove(writing, _PINNED, new[0])
            writing.executemany(_PIN, new)

    with translated(store), contextlib.closing(store.connect()) as connection:
        if pinned := known(connection):
            checks = keys(connection, pinned)
            foreign = _foreign(pinned, checks)
            if foreign or checks.keys() <= pinned.keys():
                return Pinned(foreign, first=False)
        store.batch(connection, work)
    return found


def claim(store: Store, checks: Checks) -> list[str]:
    """Pin the keys as they were read. Returns the files whose key is not the one used before; with one, none is pinned.
    Of two machines with different keys under one name, one is told so. Raises Unavailable."""
    return pin(store, lambda connection, pinned: checks).foreign


def _foreign(pinned: Checks, checks: Checks) -> list[str]:
    return [file for file, value in checks.items() if pinned.get(file, value) != value]
