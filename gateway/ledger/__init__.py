"""Recording a disclosure: check the consent again, count the use, end a single-use consent and write the log entry,
all in one transaction.

Only this room names tables of other rooms in its SQL. The transaction that writes the log entry also reads the
consent, the token family, the directory, the link, the birth date and the counted uses, and ends the consent with its
last use. The room owns the tables of open streams, spent proofs and listings.

    contract     what the data plane asks of it: an item, its verdict, a batch   opening   which ledger is whose
    writer       gathers what calls want written while a batch is on its way
    transaction  the one order: holds → spend → end → entries
    sqlite       the hot statements on SQLite, and the disk thread
    postgres     the same on PostgreSQL, and why stopping is exact    postgres_reading   what is read, and remembered
    postgres_parts, postgres_once   what is written there            postgres_commits   what has become of a commit
    standing     what a decision depends on, as one row      uses       counted uses, per calendar window
    live         a consent and its terms, as they are now    recovery   streams whose process has ended

It knows no HTTP and no format; the data plane hands it entries with what must hold for each.

Stopping is exact for the same reason on both engines: a byte of data leaves only after its entry is committed, and the
committing transaction finds everything it rests on as it was judged, while nobody can change it. On SQLite there is one
writer. On PostgreSQL the batch has each person's turn and locks her rows, as does whoever stops her sharing. What is
remembered, and kept fresh by notices, only saves reading: an old memory costs a second judgement, never a byte. And by
none an organisation is asked once the person was told: her page waits until all have heard (store/postgres/notices.py).

The one invariant: nothing is given under terms that had ended before, and nothing is given that is not written down.
"""
