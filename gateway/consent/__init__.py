"""THE record: what a person agreed to, and everything that is read from it.

    request     what an app asks for, checked          facts       what other rooms know, as values
    asking      a request that waits for an answer     agreement   her yes, as one value
    deciding    agree, refuse, pause, stop, remove     actors      who acts, and in which role
    terms       versions of what was agreed            rules       the life cycle, as a table
    ending, expiry, events, entries, evidence          what is written of it
    meanwhile   what is stopped on a frozen log, kept apart
    granting    what a token says of it                words, described   the record in words, alike on every page

It knows no form, no token and no organisation's API. The screen and "Data sharing" are rooms of their own above it.

The one invariant: granted ⊆ asked ⊆ caps, and whatever is shown, issued, decided or
logged is read from the same terms.
"""
