"""Rows that are of no use after a while leave by themselves, beside the work.

No door deletes what has expired: it would make its caller pay for everybody's leftovers, and hold the one writer's
lock all the while. A room's rows stand in one table of `Leaving` (gateway/retention.py) instead, and the composition
root walks it every few seconds: a few rows of each in a short transaction of their own, again at once while there
are more. Whether a row still *counts* is never decided here: whoever reads it compares its times with the clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Delete, delete, inspect, select, tuple_
from sqlmodel import SQLModel

from gateway.ground.store.engine import Store

AT_ONCE = 100  # of each kind in one transaction: a few milliseconds during which other writers wait


@dataclass(frozen=True, slots=True)
class Leaving:
    """Rows of a table that may go, each by itself. `due` must be answered by an index."""

    table: type[SQLModel]
    due: Callable[[datetime], Any]  # now → the condition
    together: str = ""  # a column: rows with the same value leave at once, and are never more than a few

    def key(self) -> tuple[Any, ...]:
        """The columns that tell what leaves."""
        mapper = inspect(self.table)
        return (mapper.columns[self.together],) if self.together else tuple(mapper.primary_key)


def prune(store: Store, table: Sequence[Leaving], now: datetime) -> bool:
    """Delete the next few rows of each kind, in the order of the table. True: there may be more that are due."""
    return any([_next_few(store, rows, now) for rows in table])  # a list: each kind has its turn


def _next_few(store: Store, rows: Leaving, now: datetime) -> bool:
    with store.read() as session:  # mostly nothing is due, and then nobody's lock is taken
        found = select(*rows.key()).where(rows.due(now)).limit(AT_ONCE)
        keys = [tuple(row) for row in session.execute(found)]
    if keys:
        with store.write() as session:
            session.execute(deletion(rows, keys, now))
    return len(keys) == AT_ONCE


def deletion(rows: Leaving, keys: Sequence[tuple[Any, ...]], now: datetime) -> Delete:
    """Of the rows with these keys that are due now."""
    key = rows.key()
    these = tuple_(*key).in_(keys) if len(key) > 1 else key[0].in_([only for (only,) in keys])
    return delete(rows.table).where(these, rows.due(now)).execution_options(synchronize_session=False)
