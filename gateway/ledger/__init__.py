"""Recording a disclosure: check the consent again, count the use, end a single-use consent and write the log entry,
all in one transaction.

Only this room names tables of other rooms in its SQL. The transaction that writes the log entry also reads the
consent, the token family, the directory, the link, the person's birth date and the counted uses, and ends the consent
when this was its last use. So no data is given under terms that have already ended, and none without a log entry.
The room owns the table of open streams.

    standing   what a decision depends on, in one read       uses       counted uses, per calendar window
    live       a consent and its terms, as they are now
    writer     many calls in one commit, then the disk       recovery   streams that a crash left open

It knows no HTTP and no format; the data plane hands it entries with what must hold for each. SQLite today; another
engine would stand behind the same few verbs.

The one invariant: nothing is given under terms that had ended before, and nothing is given that is not written down.
"""
