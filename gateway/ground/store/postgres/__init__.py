"""The store on PostgreSQL: any number of processes on any number of machines, with no other shared service.

    engine   sessions and bare connections through psycopg, and what a fault of the server means
    address  the address of the servers, with the password from its file

Writers run side by side. What one lock does on SQLite, two things do here:

    turn     an advisory lock of one key, held until the transaction ends: whoever decides by what she has read of one
             person takes that person's turn before she reads it
    rows     what is single (codes, tokens, proofs) is spent by one conditional statement, whose row count decides

A transaction reads what is committed when each of its statements begins (READ COMMITTED): after a turn was taken, it
sees all that was written in the turns before it. Reading sessions see one moment (REPEATABLE READ).
"""
