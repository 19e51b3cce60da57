"""The store: one database, of one of two engines, behind one contract.

    contract    what every store does                 sqlite/     one file, one process: the embedded default
    opening     which one the settings mean           postgres/   any number of processes and machines
    statements  on a session, beside the ORM          migrate     the schema, brought to that of this version
    rows        the session itself, by bare statements
    together    what processes must agree on          pruning     rows that have expired leave
    many        many rows in few statements           key_checks  the keys are those the database was used with
                                                      signing_keys  token keys, sealed, one after the other

Nothing outside of this room, and the two files of the ledger that are written once per engine, knows which engine it
is on. The proxy reads and writes through bare connections, because a row through the ORM costs thirty times one
without it. It knows no room's tables.

The one invariant: a caller is answered only after COMMIT, and COMMIT means on the disk (SQLite: WAL, synchronous=FULL;
PostgreSQL: synchronous_commit=on, and on its synchronous standbys).
"""

from gateway.ground.store.contract import TRIES, Clash, Committed, Connection, Row, Store, instant, stored
from gateway.ground.store.opening import open_store
from gateway.ground.store.postgres.months import RUNNING
from gateway.ground.store.rows import found
from gateway.ground.store.sqlite.copies import CopyFault, open_copy
from gateway.ground.store.statements import insert, raw, row_of, turn, turn_beside

__all__ = [
    "RUNNING",
    "TRIES",
    "Clash",
    "Committed",
    "Connection",
    "CopyFault",
    "Row",
    "Store",
    "found",
    "insert",
    "instant",
    "open_copy",
    "open_store",
    "raw",
    "row_of",
    "stored",
    "turn",
    "turn_beside",
]
