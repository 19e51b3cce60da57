"""The consents: what a person agreed to. Everything that is shown, issued or decided is read from here.

    request     what an app asks for, checked          facts       what other rooms know, as values
    asking      a request that waits for an answer     agreement   the person's yes, as one value
    deciding    agree, refuse, pause, stop, remove     actors      who acts, and in which role
    amending    what an app asks to change of a running agreement
    inbox       what it may ask of a person who is not there, and the silence after a refusal
    terms       versions of what was agreed            rules       the life cycle, as a table
    ending, expiry, events, entries, evidence          what is written of it
    meanwhile   what is stopped on a frozen log, kept apart
    granting    what a token says of it                lesser, running   a part of it; whether it runs, from one row
    words, described   the record in words, alike on every page

It knows no form, no token and no organisation's API. The consent screen and the "Data sharing" pages are rooms of
their own above it.

The one invariant: granted ⊆ asked ⊆ caps, and pages, tokens, decisions and log entries all read the same terms.
"""
