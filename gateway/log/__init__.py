"""The access log: what happened to a person's data, written down so that any later change can be detected.

An event is recorded in the same transaction as its cause (`record`), numbered later by the
`sequencer`, which extends one RFC 6962 tree and signs its head. Leaves are salted commitments;
what they commit to is kept beside the tree, encrypted under a key per person.

    record     one entry, in the transaction of its cause     tree, notes   the mathematics and the text forms
    sequencer  numbers entries, signs the tree's head         verify        checks a whole log, offline
    signed     whether what was signed still stands, and what to try first where it does not
    events     every kind of event and its wording            reading       a person's entries, in plain sentences
    mark       what was signed, kept outside the database     folding       a run of like accesses as one line
    restart    the end of a frozen log, and another           readiness     whether it can be written and proved
    sentences  an entry in words                              pages         the person's doors
    numbering  which entries get the next indices
    tally      accesses counted as they are written, so that a page tells how many without opening them

The log knows people, apps and organisations by identifier only; their names come in as
`sentences.Names`. It refuses to know why a call was allowed.

The one invariant: nothing here updates or deletes an entry, and no entry holds a value of anybody's data.
"""

from gateway.log.record import Event, Log

__all__ = ["Event", "Log"]
