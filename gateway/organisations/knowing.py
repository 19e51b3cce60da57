"""How a live call will know whose accounts a person has, as a declaration says it, and for whom it is made.

    listed   by [format.accounts], when she links           number   one: the customer number that her link keeps
    filed    as the records of her files name them          nobody   none: neither a list nor a number
    alone    one, with all rows of her files, of which no record names an account

A file with faults is read as far as it can be.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalogue import Catalogue, Dataset, Format, shapes
from gateway.formats import linting
from gateway.organisations import connections, file_rules
from gateway.organisations.connections import CustomerPlace, DeclaredConnection
from gateway.organisations.rules import FORM

LISTED, NUMBER, FILED, ALONE, NOBODY = "listed", "number", "filed", "alone", "nobody"
_PLACES = {"header": "field", "query": "parameter", "path": "prefix"}  # of [connection.person] → kind of value


@dataclass(frozen=True, slots=True)
class KnownAccounts:
    how: str
    call: str = ""  # listed: the call
    native: str = ""  # listed: the member of its records that names the account


def connection(document: Mapping[str, Any]) -> DeclaredConnection | None:
    """Without what it does not say rightly. None: its kind or how people are matched is not known yet."""
    table = document.get("connection")
    if not isinstance(table, dict) or table.get("kind") not in list(connections.KINDS):
        return None
    match = connections.match_of(table)
    if match not in connections.MATCHES:
        return None
    person, key, basic = (_table(table, name) for name in ("person", "api_key", "basic"))
    place = {name: person[name] for name, kind in _PLACES.items() if name in person and FORM.fits(kind, person[name])}
    headers = table.get("headers") if FORM.fits("headers", table.get("headers")) else {}
    return DeclaredConnection(
        kind=table["kind"],
        match=match,
        place=CustomerPlace(**place),
        api_key_header=str(key.get("header", "")),
        basic_user=str(basic.get("user", "")),
        headers=tuple((headers or {}).items()),
    )


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def accounts(connected: DeclaredConnection | None, forms: list[Format]) -> KnownAccounts | None:
    """`forms`: those of the organisation's types of data. None: it cannot be said yet, or an engine knows."""
    if connected is None or any(not form.described for form in forms):
        return None
    listing = next((form.accounts for form in forms if form.accounts is not None), None)
    if listing is not None:
        return KnownAccounts(LISTED, listing.call, ".".join(listing.native))
    if connected.kind == file_rules.KIND:
        named = any(records.account for form in forms for records in form.records.values())
        return KnownAccounts(FILED if named else ALONE)
    return KnownAccounts(NUMBER if connected.declared else NOBODY)


def risks(
    document: Mapping[str, Any], catalogue: Catalogue, own: Format | None, defined: Mapping[str, Dataset]
) -> Iterator[linting.Risk]:
    """That nothing would ever be given of what names an account, or too much. `own`: the file's format."""
    if own is None or not own.described or any(True for _ in shapes.faults(own.shapes)):
        return
    connected, named = connection(document), document.get("format")
    if connected is not None and not connected.names_itself and not connected.place.path:
        yield from linting.any_ids(own)
    said = isinstance(named, dict) and "accounts" in named  # a fault of its own, or still to be filled in
    known = accounts(connected, _forms(document, catalogue, own, defined))
    if connected is None or known is None or known.how != NOBODY or said:
        return
    risk = linting.accounts_unknown(own, connected.kind)
    if risk is not None:
        yield risk


def _forms(
    document: Mapping[str, Any], catalogue: Catalogue, own: Format, defined: Mapping[str, Dataset]
) -> list[Format]:
    rows = document.get("datasets")
    ids = [row.get("id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    held = {**catalogue.datasets, **defined}
    names = dict.fromkeys(held[each].format for each in ids if isinstance(each, str) and each in held)
    return [own if name == "" else catalogue.formats[name] for name in names]
