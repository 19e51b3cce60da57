"""Which ESPI calls the gateway carries, and how addresses change sides.

Outside, an address names the app's own view: `Subscription/mine`, the pairwise ref of a usage point, and the
organisation's names of what lies below it. Going in, the connector puts the link's own subscription in the place of
`{subscription}`, so no other subscription can be asked for, whatever an app writes there.

How a supplier's pages follow is its own affair (RFC 5005 §3): whatever its links carry becomes the query of one more
call of the same path, and an app gets it sealed (`formats.paging`). Any other call is a use of its own, whatever
`start-index` it asks for.

By the published API `published-min` and `published-max` bound when a resource was published; many suppliers take them
for the time of use. What this one does is `PUBLISHED`. A supplier that goes by publication leaves out usage points and
reading types that are older than the period, so to it the gateway never sends the agreed one: it is kept by the cut.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gateway.formats import paging
from gateway.formats.espi.ids import canonical
from gateway.formats.model import Asked, Denied, Source, UnknownShape, Upstream
from gateway.formats.paging import TOKEN, TOKEN_FORM, Following, Unusable
from gateway.formats.paths import asked_period, checked_query, link, pattern, remember
from gateway.ground.calendar.instants import Window, instant, narrowed, utc_text, window_text
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
UNUSABLE = "next-page-unusable"
OPEN = Window(None, None)
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


def paths(dataset: str) -> list[str]:
    """Of the calls that give a type of data, below the base."""
    return [call.path for call in CALLS.values() if dataset in call.datasets]


def base(source: Source) -> str:
    return source.base_path or BASE


def recognised(source: Source, path: str) -> tuple[str, dict[str, str]] | None:
    """The operation a path is, and the words it fills in."""
    for operation, call in CALLS.items():
        found = pattern(base(source) + call.path).fullmatch(path)
        if found:
            return operation, found.groupdict()
    return None


# ---- what an app asks


def upstream(
    terms: "EnergyTerms",
    operation: str,
    datasets: Sequence[str],
    words: Mapping[str, str],
    asked: Asked,
    window: Window,
) -> Upstream | Denied:
    """The call as the organisation gets it: its own names, period no wider than the window, where it has one.
    `datasets`: those that let it through."""
    tokens = [value for name, value in asked.query if name == TOKEN]
    shown = tuple(pair for pair in asked.query if pair[0] != TOKEN)
    first = _first(terms, operation, datasets, words, replace(asked, query=shown), window)
    if isinstance(first, Denied) or not tokens:
        return first
    opened = paging.opened(terms.source, tokens[0], *_context(terms, first)) if len(tokens) == 1 else None
    if opened is None:
        return Denied("field", TOKEN, allowed="the whole address of a following page, unchanged")
    own = opened.period
    period = narrowed(first.period or OPEN, own.start, own.end)
    if period is None:
        return Denied("period", "period", asked=window_text(own), allowed=window_text(window))
    return _another(replace(first, listing=opened.listing), opened.step[1], period)


def _first(
    terms: "EnergyTerms",
    operation: str,
    datasets: Sequence[str],
    words: Mapping[str, str],
    asked: Asked,
    window: Window,
) -> Upstream | Denied:
    call, names = CALLS[operation], terms.names
    query = checked_query(asked, [name for name in call.query if terms.published != NONE or name not in PERIOD])
    if isinstance(query, Denied):
        return query
    for name in PAGING:
        if name in query and not _COUNT.fullmatch(query[name]):
            return Denied("field", name, asked="malformed")
    period = _asked_period(call, query, window if terms.published == USAGE_TIME else OPEN)
    if isinstance(period, Denied):
        return period
    path = _inner_path(terms, call, words)
    if isinstance(path, Denied):
        return path
    ref = words.get("account")
    page = tuple((name, value) for name, value in query.items() if name in UPDATED + PAGING)
    return Upstream(
        dataset=datasets[0],
        path=path,
        query=_edges(period) + page,
        accept=MEDIA_TYPE,
        accounts=tuple(a for a in names.accounts if ref is None or a.native == names.native[ref]),
        operation=operation,
        also=tuple(datasets[1:]),
        page=page,
        shown=asked.query,
        period=period,
    )


def _inner_path(terms: "EnergyTerms", call: EnergyCall, words: Mapping[str, str]) -> str | Denied:
    """The path of a call as the organisation knows it."""
    path = base(terms.source) + call.path
    for word, value in words.items():
        if word == "subscription":
            continue
        own = terms.names.native[value] if word == "account" else terms.ids.own(value)
        if own is None:
            return Denied("field", word, asked="malformed")
        path = path.replace("{" + word + "}", own)
    return path


def _asked_period(call: EnergyCall, query: Mapping[str, str], window: Window) -> Window | Denied:
    return asked_period(PERIOD + UPDATED, query, window, _rfc3339) if PERIOD[0] in call.query else OPEN


def _edges(period: Window) -> Pairs:
    """A period in the parameters of a call."""
    edges = zip(PERIOD, (period.start, period.end), strict=True)
    return tuple((name, utc_text(edge)) for name, edge in edges if edge is not None)


def _rfc3339(text: str) -> datetime:
    """RFC 3339 wants an offset; without one the instant is not known."""
    if not re.search(r"(?:Z|[+-][0-9]{2}:[0-9]{2})$", text):
        raise ValueError("no offset")
    try:
        return instant(text, "UTC")
    except OverflowError:
        raise ValueError("outside the calendar") from None


# ---- other pages


def leads_on(sent: Upstream, address: str) -> Upstream | None:
    """The call that a link to another page means; None: this one. Raises Unusable.

    The server it names does not matter, nor the subscription: the connector puts the link's own in its place. Of the
    period it may only want a part.
    """
    path, _, query = address.partition("#")[0].partition("?")
    if path and not _is_path_of(sent, path):
        raise Unusable
    told = parse_qsl(query, keep_blank_values=True)
    edges = {name: _edge(value) for name, value in told if name in PERIOD}
    period = narrowed(sent.period or OPEN, edges.get(PERIOD[0]), edges.get(PERIOD[1]))
    if period is None:
        raise Unusable
    names = {name for name, _ in told}
    kept = tuple(pair for pair in sent.page if pair[0] in UPDATED and pair[0] not in names)
    page = _another(sent, kept + tuple(pair for pair in told if pair[0] not in PERIOD), period)
    if set(page.query) != set(sent.query):
        return page
    if None in edges.values():  # what is new in it cannot be read
        raise Unusable
    return None


def _is_path_of(sent: Upstream, path: str) -> bool:
    try:
        return re.search(f"{_called(sent.path).pattern}/?$", canonical(path)) is not None
    except UnknownShape:
        return False


def _edge(text: str) -> datetime | None:
    """An end of the period that a link is of; None: it cannot be read."""
    try:
        return _rfc3339(text)
    except ValueError:
        return None


def _another(sent: Upstream, page: Pairs, period: Window) -> Upstream:
    """The call for another page, with the period put back."""
    listing = paging.listing(sent)
    return replace(sent, query=_edges(period) + page, page=page, period=period, continues=True, listing=listing)


def links(terms: "EnergyTerms", sent: Upstream, found: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The links to other pages of a feed as addresses of the gateway, by relation, and a notice.

    `last` would tell how many pages there are, withheld records included, so it is left out.
    """
    key = (sent.path, sent.query, sent.shown, sent.period, sent.listing, *found.items())
    held = terms.links.get(key)
    return held if held is not None else remember(terms.links, key, _links(terms, sent, found))


def _links(terms: "EnergyTerms", sent: Upstream, found: Mapping[str, str]) -> tuple[dict[str, str], str]:
    after: dict[str, str] = {}
    notice = ""
    if "first" in found:
        after["first"] = _address(terms, replace(sent, continues=False))
    for relation in ("previous", "next"):
        try:
            page = leads_on(sent, found[relation]) if relation in found else None
            if page is not None and not (relation == "next" and set(page.query) <= set(sent.query)):
                after[relation] = _address(terms, page)
        except Unusable:
            notice = UNUSABLE if relation == "next" else notice
    return after, notice


def own_address(terms: "EnergyTerms", sent: Upstream) -> str:
    """Of the page itself."""
    try:
        return _address(terms, sent)
    except Unusable:
        return _address(terms, replace(sent, continues=False))


def _address(terms: "EnergyTerms", sent: Upstream) -> str:
    """Of a call at the gateway, as the app may make it. Raises Unusable where its token would be too long for one."""
    token: Pairs = ()
    if sent.continues:
        page = Following(("", sent.page), sent.period or OPEN, paging.listing(sent))
        sealed = paging.sealed(terms.source, page, *_context(terms, sent))
        if not TOKEN_FORM.fullmatch(sealed):
            raise Unusable
        token = ((TOKEN, sealed),)
    return link(terms.source.gateway_url, outer_path(terms, sent), sent.shown + token)


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


@lru_cache(maxsize=64)
def _called(path: str) -> re.Pattern[str]:
    """The path of a call to the organisation, whose ids may hold more than ours."""
    parts = re.split(r"\{([a-z]+)\}", path)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def _context(terms: "EnergyTerms", sent: Upstream) -> tuple[str, ...]:
    """What a token for another page is bound to: the app and person (by their references), and the call."""
    refs = sorted(terms.names.ref[account.native] for account in sent.accounts)
    shown = (f"{name}={value}" for name, value in sorted(sent.shown))
    return (terms.source.organisation, outer_path(terms, sent), *refs, *shown)
