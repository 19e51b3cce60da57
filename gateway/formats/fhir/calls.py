"""The supported FHIR calls, and the translation of their addresses in both directions.

A FHIR id has no underscore, so pairwise references are written with a dot instead. Apps may send either.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.formats.model import Asked, Denied, Source, UnknownShape, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paths import Following, checked_query, link, pattern, query_of
from gateway.ground.calendar.instants import Window, local_day, midnight, narrowed, span, window_text
from gateway.ground.http.connector import Pairs

BASE = "/v2/fhir"
MEDIA_TYPE = "application/fhir+json"
MEDIA_TYPES = (MEDIA_TYPE, "application/json", "application/json+fhir")
FHIR_ID = {ord("_"): "."}

PAGING = ("_count", "startIndex")
COUNT_MOST = 50  # of one page, as Blue Button allows
_SERVICE_DATE = re.compile(r"(eq|ge|gt|le|lt)?([0-9T:.+Z-]{4,40})")
_FORMS = {
    "_count": re.compile(r"[0-9]{1,2}"),
    "startIndex": re.compile(r"[0-9]{1,7}"),
    "_lastUpdated": re.compile(r"(?:eq|ne|ge|gt|le|lt)?[0-9T:.+Z-]{4,40}"),
    "_format": re.compile(r"(?:application/)?(?:fhir\+|json\+)?(?:json|fhir)"),
}


@dataclass(frozen=True, slots=True)
class HealthCall:
    dataset: str
    resource: str
    path: str  # below the base
    person: str = ""  # the search parameter that names the person
    query: tuple[str, ...] = ("_format",)


CALLS = {
    "patients": HealthCall("health.person", "Patient", "/Patient", query=("_format", "_lastUpdated", *PAGING)),
    "patient": HealthCall("health.person", "Patient", "/Patient/{account}"),
    "coverages": HealthCall(
        "health.coverage", "Coverage", "/Coverage", "beneficiary", ("_format", "beneficiary", "_lastUpdated", *PAGING)
    ),
    "coverage": HealthCall("health.coverage", "Coverage", "/Coverage/{id}"),
    "claims": HealthCall(
        "health.claims",
        "ExplanationOfBenefit",
        "/ExplanationOfBenefit",
        "patient",
        ("_format", "patient", "service-date", "type", "_lastUpdated", *PAGING),
    ),
    "claim": HealthCall("health.claims", "ExplanationOfBenefit", "/ExplanationOfBenefit/{id}"),
}
# A call by number, or for one type, tells something about the number or type even without returning it. So it needs
# that field.
NEEDS = {"coverage": "coverage.ids", "claim": "claims.ids", "type": "claims.type"}


def base(source: Source) -> str:
    return source.base_path or BASE


def recognised(source: Source, path: str) -> tuple[str, str | None] | None:
    """The operation that a path means, and the person or resource in it."""
    for operation, call in CALLS.items():
        found = pattern(base(source) + call.path).fullmatch(path)
        if found:
            return operation, next(iter(found.groups()), None)
    return None


def upstream(
    source: Source,
    operation: str,
    names: AccountNames,
    asked: Asked,
    named: str | None,
    window: Window,
    following: Following,
) -> Upstream | Denied:
    """The call to the insurer, with the person's id there and a period no wider than the window; or a refusal."""
    call = CALLS[operation]
    dates = [value for name, value in asked.query if name == "service-date"]
    rest = tuple(pair for pair in asked.query if pair[0] != "service-date")
    if len(dates) > 2 or (dates and "service-date" not in call.query):
        return Denied("field", "query", asked="service-date", allowed=" ".join(call.query))
    query = checked_query(Asked(asked.method, asked.path, rest), call.query)
    if isinstance(query, Denied):
        return query
    for name, value in query.items():
        if name in _FORMS and not _FORMS[name].fullmatch(value):
            return Denied("field", name, asked="malformed")
    return _upstream(source, operation, names, query, dates, named, window, asked in following)


def _upstream(
    source: Source,
    operation: str,
    names: AccountNames,
    query: dict[str, str],
    dates: list[str],
    named: str | None,
    window: Window,
    continues: bool,
) -> Upstream | Denied:
    call = CALLS[operation]
    accounts = names.accounts
    if call.person and call.person in query:
        ref = query.pop(call.person).removeprefix("Patient/")
        if ref not in names.native:
            return Denied("account", "accounts", asked=ref, allowed=" ".join(a.ref for a in names.accounts))
        accounts = tuple(a for a in accounts if a.native == names.native[ref])
    whose = ((call.person, accounts[0].native),) if call.person and len(accounts) == 1 else ()
    period = _period(source, call, dates, window)
    if isinstance(period, Denied):
        return period
    if "_count" in query:
        query["_count"] = str(min(max(int(query["_count"]), 1), COUNT_MOST))
    path = base(source) + re.sub(r"\{\w+\}", names.inward(named or ""), call.path)
    return Upstream(
        dataset=call.dataset,
        path=path,
        query=whose + period + tuple(query.items()),
        accept=MEDIA_TYPE,
        accounts=accounts,
        continues=continues,
        operation=operation,
    )


def _period(source: Source, call: HealthCall, dates: list[str], window: Window) -> Pairs | Denied:
    """The service-date parameters for the insurer: what was asked, cut to the window, in whole local days (the
    parameter has no time of day)."""
    if "service-date" not in call.query:
        return ()
    asked = Window(None, None)
    for text in dates:
        try:
            edge = _asked_dates(text, source.zone)
        except ValueError:
            return Denied("period", "service-date", asked="malformed", allowed=window_text(window))
        both = narrowed(asked, edge.start, edge.end)
        if both is None:
            return Denied("period", "service-date", asked="empty", allowed=window_text(window))
        asked = both
    kept = narrowed(window, asked.start, asked.end)
    if kept is None:
        return Denied("period", "service-date", asked=window_text(asked), allowed=window_text(window))
    return _whole_days(kept, source.zone)


def _whole_days(kept: Window, zone_name: str) -> Pairs:
    pairs = []
    if kept.start is not None:
        pairs.append(("service-date", f"ge{local_day(kept.start, zone_name).isoformat()}"))
    if kept.end is not None:
        last = local_day(kept.end, zone_name)
        if midnight(last, zone_name) == kept.end:
            last -= timedelta(days=1)
        pairs.append(("service-date", f"le{last.isoformat()}"))
    return tuple(pairs)


def _asked_dates(text: str, zone_name: str) -> Window:
    """The span that a service-date parameter asks for. FHIR prefixes that could widen it are refused."""
    found = _SERVICE_DATE.fullmatch(text)
    if found is None:
        raise ValueError("not a date")
    start, end = span(found[2], zone_name)
    edges: dict[str, tuple[datetime | None, datetime | None]] = {
        "ge": (start, None),
        "gt": (end, None),
        "le": (None, end),
        "lt": (None, start),
    }
    return Window(*edges.get(found[1] or "eq", (start, end)))


def links(
    source: Source, sent: Upstream, names: AccountNames, found: Mapping[str, str], pages: Following
) -> list[dict[str, str]]:
    """The insurer's paging links as addresses of the gateway. The address of the next page is added to `pages`.

    `last` would tell how many pages there are including withheld records, so it is dropped unless there is only one.
    """
    call = CALLS[sent.operation]
    fixed = tuple(pair for pair in sent.query if pair[0] not in PAGING)
    pairs = tuple((name, names.outward(value)) for name, value in fixed)
    path = base(source) + call.path
    here = tuple(pair for pair in sent.query if pair[0] in PAGING)
    kept = []
    for relation in ("first", "previous", "self", "next"):
        if relation not in found:
            continue
        query = query_of_search(found[relation], sent.path, call)
        if query is None:
            raise UnknownShape(f"link[{relation}]")
        paging = tuple((name, names.outward_text(value)) for name, value in query.items() if name in PAGING)
        kept.append({"relation": relation, "url": link(source.gateway_url, path, pairs + paging)})
        if relation == "next" and paging and paging != here:
            pages.linked(path, pairs + paging)
    return kept


def query_of_search(address: str, path: str, call: HealthCall) -> Mapping[str, str] | None:
    """The query of a link, if the link belongs to this search and has no other parameters; otherwise None."""
    head, mark, tail = address.partition("?")
    pieces = tail.split("&") if mark else []
    own = "&".join(piece for piece in pieces if not piece.startswith("service-date="))
    query = query_of(f"{head}?{own}", path)
    return query if query is not None and query.keys() <= set(call.query) else None


def overlaps(window: Window, start: datetime | None, end: datetime | None) -> bool:
    """Whether a period from start to end (None: open) overlaps the window."""
    return (window.end is None or start is None or start < window.end) and (
        window.start is None or end is None or end > window.start
    )
