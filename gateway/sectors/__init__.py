"""Sector formats: what a record, a field and an instant are, and how to cut them.

Each folder knows one real format (ESPI, UK Open Banking, FHIR). It is pure: bytes
and terms in, bytes and counts out. It knows no consent, no person, no network and
no clock. What a field *is* in the format comes from the catalogue in policies/.

The one invariant: only what a granted field names leaves. A shape this package
does not know raises `UnknownShape`; nothing is ever passed through because it was
not recognised.
"""
