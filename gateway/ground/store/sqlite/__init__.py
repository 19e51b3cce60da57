"""The store on SQLite: one file, one process, many readers and one writer at a time.

Every write of the process goes through `SqliteStore.write()` or `.batch()`; both hold the same lock and begin
IMMEDIATE, so no write ever waits on a lock inside SQLite and no reader ever sees half of one. So nothing can happen
between what a transaction reads and what it writes, and `turn` has nothing to do.

In the serving process nobody but SQLite opens or closes the database's file, or the index beside its write-ahead
log (`-shm`): the locks that keep other programs from removing the log hang on them, and closing any descriptor of
a file drops them all. It knows no room's tables.

    engine   sessions and bare connections over the file     copies   copied databases, read as they lie there
    copying  a copy as of one moment, while it is served

The invariant: a caller is answered only after COMMIT, and COMMIT means on the disk (WAL, synchronous=FULL).
"""
