"""What must be true together when data is given: judge, count, end and record, in one transaction.

It owns the open streams, and alone names tables of other rooms in its SQL: the consent, the token's family, the
directory, the link, her birth date and the counted uses are read, and where a use ends the consent written, in the
very transaction that writes the entry of a disclosure. So nothing is given under terms that had ended before, and
nothing is given that is not written down.

    standing   what a verdict rests on, in one reading       uses       counted uses, per calendar window
    live       a consent and its terms, as they are now
    writer     many calls in one commit, then the disk       recovery   streams that a crash left open

It knows no HTTP and no format; the data plane hands it entries with what must hold for each. SQLite today; another
engine would stand behind the same few verbs.

The one invariant: nothing is given under terms that had ended before, and nothing is given that is not written down.
"""
