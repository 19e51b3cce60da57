"""The store on PostgreSQL: any number of processes on any number of machines, with no other shared service.

    engine    sessions and connections through psycopg           bare      one of these, spoken to as SQLite's is
    address   of the servers, with the password from its file    native    those of the event loop, through asyncpg
    months    the log's entries, kept month by month             notices   what changed, told by the database itself
    faults    what a fault means, in a sentence                  server    what an operator must know of it
    patient   no connection waits for ever

Writers run side by side. What one lock does on SQLite, two things do here. A *turn* is an advisory lock of one key,
held until the transaction ends: whoever decides by what she has read of one person takes that person's turn before she
reads it. And what is single (codes, tokens, proofs) is spent by one conditional statement, whose row count decides.

A transaction reads what is committed when each of its statements begins (READ COMMITTED): after a turn was taken, it
sees all that was written in the turns before it. Reading sessions see one moment (REPEATABLE READ). It knows no room's
rows, but for the entries of the log, which it keeps apart by month.

The invariant: what is told as committed is on the disk, and on the synchronous standbys; what is not known is asked.
"""
