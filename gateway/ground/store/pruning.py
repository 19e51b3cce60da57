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

from sqlalchemy import Delete, delete, select

from gateway.ground.store.engine import Store

AT_ONCE = 100  # of each kind in one transaction: a few milliseconds during which other writers wait


@dataclass(frozen=True, slots=True)
class Leaving:
    """Rows that may go. `due` must be answered by an index; all rows with the same `key` leave together."""

    key: Any  # a column
    due: Callable[[datetime], Any]  # now → the condition


def prune(store: Store, table: Sequence[Leaving], now: datetime) -> bool:
    """Delete the next few rows of each kind, in the order of the table. True: there may be more that are due."""
    return any([_next_few(store, rows, now) for rows in table])  # a list: each kind has its turn


def _next_few(store: Store, rows: Leaving, now: datetime) -> bool:
    with store.read() as session:  # mostly nothing is due, and then nobody's lock is taken
        keys = list(session.execute(select(rows.key).where(rows.due(now)).limit(AT_ONCE)).scalars())
    if keys:
        with store.write() as session:
            session.execute(deletion(rows, keys, now))
    return len(keys) == AT_ONCE


def deletion(rows: Leaving, keys: Sequence[Any], now: datetime) -> Delete:
    """Of the rows with these keys that are due now."""
    gone = delete(rows.key.class_).where(rows.key.in_(keys), rows.due(now))
    return gone.execution_options(synchronize_session=False)
