"""Sector formats: what records, fields and times are in a format, and how an answer is cut to what was granted.

Each folder knows one real format (ESPI, UK Open Banking, FHIR). Its functions are pure: they take bytes and terms and
return bytes and counts. They know no consent, no person and no network; a clock that is handed to them tells which
days are over. Which members belong to a field is said by the catalogue in policies/.

    model      what a sector must be                 *.plan       one grant compiled: judges calls, cuts answers
    registry   the formats there are                 *.calls      which calls there are, and their period
    shapes     members by name, strict readers       *.reading    which members one grant gives
    paths      paths and queries                     *.accounts   the accounts of a person
    paging     following pages, as sealed tokens     periods      what is asked for, in whole units and in parts
    names      an account's two names, exchanged     coarser      what is given in place of an exact value
    veiled, sought   where a name stands disguised   totals, answering   answers over records, page by page

The one invariant: only members named by a granted field are given. A shape that this package
does not know raises `UnknownShape`: nothing passes because it was not recognised.
"""
