"""Where a call names whom it is about. Every such name is the link's own; nothing that an app sends takes its place.

{subscription}   a word in the path, for tokens that are of a subscription
{customer}       a word in path, query or body, where the format of the organisation writes one
[connection.person]   a header field, a parameter, or a path before every path
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote, quote_plus, urlencode

from gateway.formats.model import Upstream
from gateway.ground.http.connector import Headers
from gateway.organisations.connections import WORD, DeclaredConnection
from gateway.organisations.links import DECLARED, LinkView

# last word of the body's media type → how a text stands in it
_WRITTEN: Mapping[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps(text)[1:-1],
    "xml": escape,
    "x-www-form-urlencoded": quote_plus,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """The parts of a call that may name the customer."""

    path: str = field(repr=False)  # with its query
    body: bytes = field(repr=False)
    fields: Headers = field(repr=False)
    named: bool  # whether the organisation is told for whom the call is


def placed(upstream: Upstream, link: LinkView, connection: DeclaredConnection) -> Placed:
    path = upstream.path.replace("{subscription}", link.resource)
    if link.kind != DECLARED:
        return Placed(_with(path, upstream.query), upstream.body, [], True)
    customer, place = link.customer, connection.place
    path = (place.path + path).replace(WORD, quote(customer, safe=""))
    written = upstream.placed
    query = tuple(
        [(name, value.replace(WORD, customer) if name in written else value) for name, value in upstream.query]
    )
    if place.query:
        query = (*[pair for pair in query if pair[0].lower() != place.query.lower()], (place.query, customer))
    body = _body(upstream, customer)
    fields: Headers = [(place.header.lower().encode(), customer.encode())] if place.header else []
    by_word = WORD in upstream.path or query != upstream.query or body != upstream.body
    named = connection.names_itself or (bool(customer) and (bool(place.header or place.path) or by_word))
    return Placed(_with(path, query), body, fields, named)


def _body(upstream: Upstream, customer: str) -> bytes:
    if WORD.encode() not in upstream.body:
        return upstream.body
    written = _WRITTEN.get(upstream.content_type.split(";")[0].strip().lower().replace("+", "/").rpartition("/")[2])
    if written is None:  # nobody knows how to write it there: then the call names nobody
        return upstream.body
    return upstream.body.replace(WORD.encode(), written(customer).encode())


def _with(path: str, query: tuple[tuple[str, str], ...]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote, safe=':,')}" if query else path
