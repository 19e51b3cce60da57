"""The store: one SQLite file with many readers and one writer at a time.

Every write of the process goes through `Store.write()` or `Store.batch()`; both hold the same lock and begin
IMMEDIATE, so no write ever waits on a lock inside SQLite and no reader ever sees half of one. The proxy reads
and writes through bare connections of the same kind (`connect()`), because a row through the ORM costs thirty
times one without it. It knows no room's tables.

In the serving process nobody but SQLite opens or closes the database's file, or the index beside its write-ahead
log (`-shm`): the locks that keep other programs from removing the log hang on them, and closing any descriptor of
a file drops them all.

The one invariant: a caller is answered only after COMMIT, and COMMIT means on the disk (WAL, synchronous=FULL).
"""

from gateway.ground.store.engine import Store, connect, sqlite_fault, sqlite_version

__all__ = ["Store", "connect", "sqlite_fault", "sqlite_version"]
