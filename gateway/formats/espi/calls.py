"""Which ESPI calls the gateway carries, and how addresses change sides.

Outside, an address names the app's own view: `Subscription/mine`, the pairwise ref of a usage point, and the
organisation's names of what lies below it. Going in, the connector puts the link's own subscription in the place of
`{subscription}`, so no other subscription can be asked for, whatever an app writes there.

A following page is one that an answer has linked (RFC 5005 §3); any other call is a use of its own, whatever
`start-index` it asks for.

By the published API `published-min` and `published-max` bound when a resource was published; many suppliers take them
for the time of use. What this one does is `PUBLISHED`. A supplier that goes by publication leaves out usage points and
reading types that are older than the period, so to it the gateway never sends the agreed one: it is kept by the cut.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from gateway.formats.espi.ids import canonical
from gateway.formats.model import Asked, Denied, Source, UnknownShape, Upstream
from gateway.formats.paths import Following, asked_period, checked_query, link, pattern, query_of
from gateway.ground.calendar.instants import Window, instant, utc_text
from gateway.ground.http.connector import Pairs

if TYPE_CHECKING:
    from gateway.formats.espi.terms import EnergyTerms

BASE = "/espi/1_1/resource"
MEDIA_TYPE = "application/atom+xml"
MEDIA_TYPES = (MEDIA_TYPE, "application/xml", "text/xml")
MINE = "mine"
USAGE, SUMMARY, POINT = "energy.electricity.usage", "energy.electricity.summary", "energy.point"
ALL = (USAGE, SUMMARY, POINT)
PERIOD = ("published-min", "published-max")
UPDATED = ("updated-min", "updated-max")
PAGING = ("max-results", "start-index")
USAGE_TIME, PUBLICATION, NONE = "usage", "publication", "none"
PUBLISHED = (USAGE_TIME, PUBLICATION, NONE)  # what a supplier takes `published-min` and `published-max` for
_COUNT = re.compile(r"[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class EnergyCall:
    datasets: tuple[str, ...]  # any of these lets the call through
    path: str  # below the base
    kind: str  # of the entries; "" for a batch of all kinds
    query: tuple[str, ...] = PERIOD + UPDATED + PAGING


_BATCH = "/Batch/Subscription/{subscription}"
_POINT = "/Subscription/{subscription}/UsagePoint/{account}"
_METER = _POINT + "/MeterReading"
CALLS = {
    "batch": EnergyCall(ALL, _BATCH, ""),
    "batch-points": EnergyCall(ALL, _BATCH + "/UsagePoint", ""),
    "batch-point": EnergyCall(ALL, _BATCH + "/UsagePoint/{account}", ""),
    "points": EnergyCall(ALL, "/Subscription/{subscription}/UsagePoint", "UsagePoint"),
    "point": EnergyCall(ALL, _POINT, "UsagePoint"),
    "meters": EnergyCall((USAGE,), _METER, "MeterReading"),
    "meter": EnergyCall((USAGE,), _METER + "/{meter}", "MeterReading"),
    "blocks": EnergyCall((USAGE,), _METER + "/{meter}/IntervalBlock", "IntervalBlock"),
    "block": EnergyCall((USAGE,), _METER + "/{meter}/IntervalBlock/{block}", "IntervalBlock"),
    "summaries": EnergyCall((SUMMARY,), _POINT + "/UsageSummary", "UsageSummary"),
    "summary": EnergyCall((SUMMARY,), _POINT + "/UsageSummary/{summary}", "UsageSummary"),
    "old-summaries": EnergyCall((SUMMARY,), _POINT + "/ElectricPowerUsageSummary", "UsageSummary"),
    "old-summary": EnergyCall((SUMMARY,), _POINT + "/ElectricPowerUsageSummary/{summary}", "UsageSummary"),
    "times": EnergyCall((USAGE, SUMMARY), "/LocalTimeParameters", "LocalTimeParameters", ()),
    "time": EnergyCall((USAGE, SUMMARY), "/LocalTimeParameters/{id}", "LocalTimeParameters", ()),
    "types": EnergyCall((USAGE,), "/ReadingType", "ReadingType", ()),
    "type": EnergyCall((USAGE,), "/ReadingType/{id}", "ReadingType", ()),
}


def base(source: Source) -> str:
    return source.base_path or BASE


def recognised(source: Source, path: str) -> tuple[str, dict[str, str]] | None:
    """The operation a path is, and the words it fills in."""
    for operation, call in CALLS.items():
        found = pattern(base(source) + call.path).fullmatch(path)
        if found:
            return operation, found.groupdict()
    return None


@lru_cache(maxsize=64)
def _called(path: str) -> re.Pattern[str]:
    """The path of a call to the organisation, whose ids may hold more than ours."""
    parts = re.split(r"\{([a-z]+)\}", path)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def upstream(
    terms: "EnergyTerms",
    operation: str,
    dataset: str,
    words: Mapping[str, str],
    asked: Asked,
    window: Window,
    following: Following,
    published: str = USAGE_TIME,
) -> Upstream | Denied:
    """The call as the organisation gets it: its own names, period no wider than the window, where it has one."""
    call, names = CALLS[operation], terms.names
    query = checked_query(asked, [name for name in call.query if published != NONE or name not in PERIOD])
    if isinstance(query, Denied):
        return query
    for name in PAGING:
        if name in query and not _COUNT.fullmatch(query[name]):
            return Denied("field", name, asked="malformed")
    period = _period(call, query, window if published == USAGE_TIME else Window(None, None))
    if isinstance(period, Denied):
        return period
    path = base(terms.source) + call.path
    ref = words.get("account")
    for word, value in words.items():
        if word == "subscription":
            continue
        own = names.native[value] if word == "account" else terms.ids.own(value)
        if own is None:
            return Denied("field", word, asked="malformed")
        path = path.replace("{" + word + "}", own)
    return Upstream(
        dataset=dataset,
        path=path,
        query=period + tuple((name, value) for name, value in query.items() if name in UPDATED + PAGING),
        accept=MEDIA_TYPE,
        accounts=tuple(a for a in names.accounts if ref is None or a.native == names.native[ref]),
        continues=asked in following,
        operation=operation,
    )


def outer_path(terms: "EnergyTerms", sent: Upstream) -> str:
    """The path of a call as the app writes it."""
    path = base(terms.source) + CALLS[sent.operation].path
    found = _called(path).fullmatch(sent.path)
    for word, value in found.groupdict().items() if found else ():
        if word == "subscription":
            shown = MINE
        else:
            shown = terms.names.ref[value] if word == "account" else terms.ids.shown(value)
        path = path.replace("{" + word + "}", shown)
    return path


def pages(terms: "EnergyTerms", sent: Upstream, found: Mapping[str, str], following: Following) -> Pairs:
    """(relation, address at the gateway) of the paging links of a feed. `following` learns where the next page is.

    `last` tells how many pages there are, withheld records included, so it goes. Raises UnknownShape for a link that
    does not continue this call: without its next page the answer would pass for a whole one.
    """
    path = outer_path(terms, sent)
    kept = tuple(pair for pair in sent.query if pair[0] in PERIOD + UPDATED)
    here = tuple(pair for pair in sent.query if pair[0] in PAGING)
    rewritten = []
    for relation in ("first", "previous", "next"):
        if relation in found:
            paging = _paging(sent, found[relation])
            if paging is None:
                raise UnknownShape(f"feed/link[{relation}]")
            rewritten.append((relation, link(terms.source.gateway_url, path, kept + paging)))
            if relation == "next" and paging and paging != here:
                following.linked(path, kept + paging)
    return tuple(rewritten)


def next_page(sent: Upstream, address: str) -> Upstream:
    """The next page upstream, for reading everything: whatever the supplier's links carry, they are its own.

    Raises UnknownShape: the link does not continue this call.
    """
    query = _continued(sent, address)
    if not query:
        raise UnknownShape("feed/link[next]")
    return replace(sent, query=tuple(query.items()))


def _paging(sent: Upstream, address: str) -> Pairs | None:
    """The paging parameters of a link to another page of this call; None: it is something else.

    Whatever subscription it names, the connector puts the link's own in its place.
    """
    query = _continued(sent, address)
    if query is None or not query.keys() <= {*PERIOD, *UPDATED, *PAGING}:
        return None
    if not all(_COUNT.fullmatch(query[name]) for name in PAGING if name in query):
        return None
    return tuple((name, value) for name, value in query.items() if name in PAGING)


def _continued(sent: Upstream, address: str) -> dict[str, str] | None:
    """The query of a link to this call again; None: it leads elsewhere."""
    path = address.partition("?")[0]
    if not path:
        return query_of(address, "") if "?" in address else None
    found = re.search(f"{_called(sent.path).pattern}/?$", canonical(path))
    return query_of(address, path) if found else None


def _period(call: EnergyCall, query: Mapping[str, str], window: Window) -> Pairs | Denied:
    if PERIOD[0] not in call.query:
        return ()
    kept = asked_period(PERIOD + UPDATED, query, window, _rfc3339)
    if isinstance(kept, Denied):
        return kept
    edges = zip(PERIOD, (kept.start, kept.end), strict=True)
    return tuple((name, utc_text(edge)) for name, edge in edges if edge is not None)


def _rfc3339(text: str) -> datetime:
    """RFC 3339 wants an offset; without one the instant is not known."""
    if not re.search(r"(?:Z|[+-][0-9]{2}:[0-9]{2})$", text):
        raise ValueError("no offset")
    return instant(text, "UTC")
