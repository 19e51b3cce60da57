"""The data plane: one call of an app for one person's data, from the first byte in to the last byte out.

    call      the six steps of a data call, in order: the file to read first
    shown, tokens   whose token is it, who holds it      keys.access, keys.dpop   how it is read, and its proof
    admit     is this call permitted now                 grants, compiling        what was agreed, compiled from rows
    rates     calls a minute, beside what was agreed     fetch                    the organisation's answer
    streams   answers too large to be held               ledger.writer            the entry, before the first byte
    refuse    the answer when there is none              denials                  refusals written down, and counted
    scoped    which scopes would be needed               browsers                 pages of registered origins
    headers   which fields pass, each way                http.guard               what an HTTP request must look like

It owns no terms and no formats: terms are read from the consent as it is now, and cut by
the sector. It refuses to know how a person signs in or what a screen looks like.

The one invariant: no byte of data leaves before the entry of its disclosure, written under
the same state of the consent as was judged, is on the disk.
"""
