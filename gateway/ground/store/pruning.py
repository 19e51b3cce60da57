"""Deleting rows that have expired, in the background.

No door deletes expired rows: its caller would have to wait for it, and it would hold the writer's lock for long.
Instead gateway/retention.py lists all kinds of such rows as `Leaving`, and the composition root goes through that list
every few seconds. It deletes a few rows of each kind in a short transaction, and goes on at once while there are more.
Whether a row is still *valid* does not depend on this: code that reads a row compares its times with the clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Delete, delete, inspect, select, tuple_
from sqlmodel import SQLModel

from gateway.ground.store.contract import Store


@dataclass(frozen=True, slots=True)
class Leaving:
    """One kind of rows to delete. `due` must be covered by an index. All due rows with the same `key` are deleted
    together."""

    table: type[SQLModel]
    due: Callable[[datetime], Any]  # now → the condition
    together: str = ""  # a column: rows with the same value leave at once, and are never more than a few

    def key(self) -> tuple[Any, ...]:
        """The columns that tell what leaves."""
        mapper = inspect(self.table)
        return (mapper.columns[self.together],) if self.together else tuple(mapper.primary_key)


def prune(store: Store, table: Sequence[Leaving], now: datetime) -> bool:
    """Delete the next few rows of each kind, in the order of the table. True: there may be more that are due."""
    return any([_next_few(store, rows, now) for rows in table])  # a list, so that `any` does not skip later kinds


def _next_few(store: Store, rows: Leaving, now: datetime) -> bool:
    with store.read() as session:  # mostly nothing is due, and then nobody's lock is taken
        found = select(*rows.key()).where(rows.due(now)).limit(store.leaving_at_once)
        keys = [tuple(row) for row in session.execute(found)]
    if keys:
        with store.write() as session:
            session.execute(deletion(rows, keys, now))
    return len(keys) == store.leaving_at_once


def deletion(rows: Leaving, keys: Sequence[tuple[Any, ...]], now: datetime) -> Delete:
    """Of the rows with these keys that are due now."""
    key = rows.key()
    these = tuple_(*key).in_(keys) if len(key) > 1 else key[0].in_([only for (only,) in keys])
    return delete(rows.table).where(these, rows.due(now)).execution_options(synchronize_session=False)
