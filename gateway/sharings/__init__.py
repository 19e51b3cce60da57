"""The "Data sharing" pages: what a person shares, with whom, until when; stop, pause, remove; receipts.

Everything is read from the record (`consent`) and the access log (`log`); nothing is kept here.
It changes a consent only through `consent.deciding`, and it shows a sharing only to the person
herself and, while she is under age, to her guardian. It knows no token: what an app holds ends
by itself when the consent does.

The one invariant: stopping is no harder than agreeing.
"""
