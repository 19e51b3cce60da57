"""Notices: what apps are told at addresses of their own, as that somebody has signed out. One outbox for all.

It owns the rows of what is still to be told, and the one sender. It knows nothing of what a notice says: each kind
comes with a function that makes the message at the time of sending, handed in by the composition root.

The one invariant: a row is written in the transaction of its cause, so that what has happened is told and what has not
happened is not, whatever ends in between. A notice may arrive twice; it is never made up.

    tables    the outbox
    outbox    putting a notice in, taking out what is due
    sending   telling: to each address by itself, again and again for a while; also what waits in boxes of other rooms
"""
