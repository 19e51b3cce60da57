"""The supported FHIR calls, and the translation of their addresses in both directions.

A FHIR id has no underscore, so pairwise references are written with a hyphen instead. Apps may send either.

A link to another page is opaque (R4 §3.1.1): servers put what they like into it, often an address that only they know.
Whatever it is becomes the query of one more call to the insurer, and an app gets it sealed (`formats.paging`).
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET

from gateway.formats import paging
from gateway.formats.model import Account, Asked, Denied, Source, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paging import TOKEN, TOKEN_FORM, Following, Step, Unusable
from gateway.formats.paths import checked_query, link, pattern
from gateway.ground.calendar.instants import Window, local_day, midnight, narrowed, span, window_text
from gateway.ground.http.connector import Pairs

BASE = "/v2/fhir"
MEDIA_TYPE = "application/fhir+json"
MEDIA_TYPES = (MEDIA_TYPE, "application/json", "application/json+fhir")
FHIR_ID = {ord("_"): "-"}

SERVICE_DATE = "service-date"
COUNT_MOST = 50  # of one page, as Blue Button allows
TWICE = (SERVICE_DATE, "_lastUpdated")  # parameters for both ends of a span (R4 §3.1.1.4.4: all of them must hold)
UNUSABLE = "next-page-unusable"
WHOLE_ADDRESS = "the whole address of a following page, unchanged"
_SERVICE_DATE = re.compile(r"(eq|ge|gt|le|lt)?([0-9T:.+Z-]{4,40})")
_IDS = r"[A-Za-z0-9._-]{1,128}"
_FORMS = {
    "_count": re.compile(r"[0-9]{1,6}"),
    "startIndex": re.compile(r"[0-9]{1,7}"),
    "_id": re.compile(rf"{_IDS}(?:,{_IDS})*"),
    "_lastUpdated": re.compile(r"(?:eq|ne|ge|gt|le|lt|sa|eb|ap)?[0-9T:.+Z-]{4,40}"),
    "_format": re.compile(r"(?:application/)?(?:fhir\+|json\+)?(?:json|fhir)"),
}
# in a path: a type of resource (written so, and no word in capitals, as a server may be called), or an operation
_ANOTHER_CALL = re.compile(r"[A-Z][a-z][A-Za-z]*|[_$].*")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")  # of a resource (R4 §2.24.0.1)
_PATH = re.compile(
    r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+"
)  # RFC 3986, path-absolute; nothing upwards
_SEARCH = ("_format", "_id", "_lastUpdated", "_count", "startIndex")


@dataclass(frozen=True, slots=True)
class HealthCall:
    dataset: str
    resource: str
    path: str  # below the base
    person: str = ""  # the search parameter that names the person
    query: tuple[str, ...] = ("_format",)

    @property
    def is_search(self) -> bool:
        return "{" not in self.path


# The searches that CARIN Blue Button requires, and Blue Button 2.0's own `startIndex`. `_include` is not among them:
# what it brings along is of other types of data.
CALLS = {
    "patients": HealthCall("health.person", "Patient", "/Patient", "_id", _SEARCH),
    "patient": HealthCall("health.person", "Patient", "/Patient/{account}"),
    "coverages": HealthCall("health.coverage", "Coverage", "/Coverage", "beneficiary", (*_SEARCH, "beneficiary")),
    "coverage": HealthCall("health.coverage", "Coverage", "/Coverage/{id}"),
    "claims": HealthCall(
        "health.claims",
        "ExplanationOfBenefit",
        "/ExplanationOfBenefit",
        "patient",
        (*_SEARCH, "patient", SERVICE_DATE, "type", "identifier"),
    ),
    "claim": HealthCall("health.claims", "ExplanationOfBenefit", "/ExplanationOfBenefit/{id}"),
}
KINDS = {call.dataset: call.resource for call in CALLS.values()}  # type of data → type of resource
# A call by number, or for one type, tells something about the number or type even without returning it. So it needs
# that field. "": the call itself
NEEDS = {
    ("coverage", ""): "coverage.ids",
    ("coverages", "_id"): "coverage.ids",
    ("claim", ""): "claims.ids",
    ("claims", "_id"): "claims.ids",
    ("claims", "identifier"): "claims.ids",
    ("claims", "type"): "claims.type",
}


def paths(dataset: str) -> list[str]:
    """Of the calls that give a type of data, below the base."""
    return [call.path for call in CALLS.values() if call.dataset == dataset]


def base(source: Source) -> str:
    return source.base_path or BASE


def recognised(source: Source, path: str) -> tuple[str, str | None] | None:
    """The operation that a path means, and the person or resource in it."""
    for operation, call in CALLS.items():
        found = pattern(base(source) + call.path).fullmatch(path)
        if found:
            return operation, next(iter(found.groups()), None)
    return None


# ---- what an app asks


def upstream(
    source: Source, operation: str, names: AccountNames, asked: Asked, named: str | None, window: Window
) -> Upstream | Denied:
    """The call to the insurer, with the person's id there and a period no wider than the window; or a refusal."""
    asked = Asked(asked.method, asked.path, _by_one_name(CALLS[operation], asked.query))
    tokens = [value for name, value in asked.query if name == TOKEN]
    if not tokens:
        return _first(source, operation, names, asked, named, window)
    query = tuple(pair for pair in asked.query if pair[0] != TOKEN)
    first = _first(source, operation, names, Asked(asked.method, asked.path, query), named, window)
    if isinstance(first, Denied):
        return first
    context = _context(source, operation, names, first.accounts, query)
    opened = paging.opened(source, tokens[0], *context) if len(tokens) == 1 else None
    if opened is None:
        return Denied("field", TOKEN, allowed=WHOLE_ADDRESS)
    own = opened.period
    period = narrowed(first.period or Window(None, None), own.start, own.end)
    if period is None:
        return Denied("period", SERVICE_DATE, asked=window_text(own), allowed=window_text(window))
    return _following(source, replace(first, shown=query, period=period, listing=opened.listing), opened.step)


def _by_one_name(call: HealthCall, query: Pairs) -> Pairs:
    """A search for cover names the person as `beneficiary` or as `patient` (R4, Coverage), which are the same here."""
    if call.person != "beneficiary":
        return query
    return tuple((call.person if name == "patient" else name, value) for name, value in query)


def _first(
    source: Source, operation: str, names: AccountNames, asked: Asked, named: str | None, window: Window
) -> Upstream | Denied:
    call = CALLS[operation]
    spans = {name: [value for each, value in asked.query if each == name] for name in TWICE}
    for name, values in spans.items():
        if len(values) > 2 or (values and name not in call.query):
            return Denied("field", "query", asked=name, allowed=" ".join(call.query))
    rest = tuple(pair for pair in asked.query if pair[0] not in TWICE)
    query = checked_query(Asked(asked.method, asked.path, rest), call.query)
    if isinstance(query, Denied):
        return query
    updated = tuple(("_lastUpdated", value) for value in spans["_lastUpdated"])
    for name, value in (*query.items(), *updated):
        if name in _FORMS and not _FORMS[name].fullmatch(value):
            return Denied("field", name, asked="malformed")
    accounts = _accounts(call, names, query)
    if isinstance(accounts, Denied):
        return accounts
    period = _asked_period(source, spans[SERVICE_DATE], window) if SERVICE_DATE in call.query else None
    if isinstance(period, Denied):
        return period
    if "_count" in query:
        if not int(query["_count"]):  # it asks for the number of all, withheld ones included (R4 §3.1.1.5.2)
            return Denied("field", "_count", asked="0", allowed=f"1 to {COUNT_MOST}")
        query["_count"] = str(min(int(query["_count"]), COUNT_MOST))
    if named is not None and not _ID.fullmatch(names.inward(named)):
        return Denied("field", "id", asked="malformed")
    whose = _whose(call, accounts)
    page = (*whose, *updated, *((name, names.inward(value)) for name, value in query.items()))
    sent = _whole_days(period, source.zone) + page
    return Upstream(
        dataset=call.dataset,
        path=base(source) + re.sub(r"\{\w+\}", names.inward(named or ""), call.path),
        query=sent,
        accept=MEDIA_TYPE,
        accounts=accounts,
        operation=operation,
        page=page,
        shown=tuple((name, names.outward_text(names.outward(value))) for name, value in sent),
        period=period,
    )


def _accounts(call: HealthCall, names: AccountNames, query: dict[str, str]) -> tuple[Account, ...] | Denied:
    """The persons that are asked about; the parameter that names one is taken out of the query."""
    if call.person not in query:
        return names.accounts
    refs = [each.removeprefix("Patient/") for each in query.pop(call.person).split(",")]
    unknown = next((ref for ref in refs if ref not in names.native), None)
    if unknown is not None:
        return Denied("account", "accounts", asked=unknown, allowed=" ".join(a.ref for a in names.accounts))
    natives = {names.native[ref] for ref in refs}
    return tuple(account for account in names.accounts if account.native in natives)


def _asked_period(source: Source, dates: list[str], window: Window) -> Window | Denied:
    """What of the window was asked for."""
    asked = Window(None, None)
    for text in dates:
        try:
            edge = _asked_dates(text, source.zone)
        except (ValueError, OverflowError):
            return Denied("period", SERVICE_DATE, asked="malformed", allowed=window_text(window))
        both = narrowed(asked, edge.start, edge.end)
        if both is None:
            return Denied("period", SERVICE_DATE, asked="empty", allowed=window_text(window))
        asked = both
    kept = narrowed(window, asked.start, asked.end)
    return kept or Denied("period", SERVICE_DATE, asked=window_text(asked), allowed=window_text(window))


def _whole_days(kept: Window | None, zone_name: str) -> Pairs:
    """A period in the insurer's parameter, which has no time of day."""
    pairs = []
    if kept is not None and kept.start is not None:
        pairs.append((SERVICE_DATE, f"ge{local_day(kept.start, zone_name).isoformat()}"))
    if kept is not None and kept.end is not None:
        last = local_day(kept.end, zone_name)
        if midnight(last, zone_name) == kept.end:
            last -= timedelta(days=1)
        pairs.append((SERVICE_DATE, f"le{last.isoformat()}"))
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


# ---- other pages


def leads_on(source: Source, sent: Upstream, address: Any) -> Upstream | None:
    """The call that a link of an answer means; None: there is no link. Raises Unusable."""
    if address == "":
        return None
    if address is UNSET:
        raise Unusable
    return _following(source, sent, _step(source, sent, address))


def _step(source: Source, sent: Upstream, address: str) -> Step:
    """Path and query of a link. It may name a host that only the insurer knows, and mean its server rather than the
    search that it goes on with."""
    call = CALLS[sent.operation]
    try:
        parts = urlsplit(address)
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise Unusable from None
    segments = parts.path.rstrip("/").removesuffix("/_search").split("/")
    if segments[-1] == call.resource:
        return base(source) + call.path, query
    if _ANOTHER_CALL.fullmatch(segments[-1]):
        raise Unusable
    if parts.netloc and segments == [""]:
        return base(source), query
    try:
        there, query = paging.of_address(source, sent, address)
    except Unusable:
        if not query or any(_ANOTHER_CALL.fullmatch(each) for each in segments):
            raise
        return base(source), query
    if there and not _PATH.fullmatch(there):
        raise Unusable
    return there or sent.path, query


def _following(source: Source, sent: Upstream, step: Step) -> Upstream:
    """The call for another page: what the link says, with the person and the period put back."""
    path, own = step
    person = CALLS[sent.operation].person
    own = tuple(pair for pair in own if _plain(pair[0]) != SERVICE_DATE)
    if person not in {_plain(name) for name, _ in own}:
        own = (*_whose(CALLS[sent.operation], sent.accounts), *own)
    query = _whole_days(sent.period, source.zone) + own
    return replace(sent, path=path, query=query, page=own, continues=True, listing=paging.listing(sent))


def _whose(call: HealthCall, accounts: Iterable[Account]) -> Pairs:
    """The persons that a search is about: any of them (R4 §3.1.1.4.5)."""
    natives = ",".join(account.native for account in accounts)
    return ((call.person, natives),) if call.person and natives else ()


def _plain(name: str) -> str:
    """A search parameter without its modifier ("patient:Patient")."""
    return name.partition(":")[0]


def _context(
    source: Source, operation: str, names: AccountNames, accounts: Iterable[Account], shown: Pairs
) -> tuple[str, ...]:
    """What a token for another page is bound to: the app and person (by their references), the call, and its query."""
    refs = sorted(names.ref[account.native] for account in accounts)
    return (source.organisation, operation, *refs, *(f"{name}={value}" for name, value in sorted(shown)))


def links(
    source: Source, sent: Upstream, names: AccountNames, found: Iterable[tuple[Any, Any]]
) -> tuple[list[dict[str, str]], str, str]:
    """The links of a page as addresses of the gateway, that of the next page ("": there is none), and a notice.

    `last` would tell how many pages there are including withheld records, so it is left out.
    """
    address = base(source) + CALLS[sent.operation].path
    known, notice = dict(found), ""

    def of(page: Upstream | None) -> str:
        query = () if page is None else ((TOKEN, _token(source, page, names)),)
        return link(source.gateway_url, address, sent.shown + query)

    after = {"first": of(None), "self": of(None)}
    if sent.continues:
        with suppress(Unusable):
            after["self"] = of(sent)
    for relation, spelt in (("previous", ("previous", "prev")), ("next", ("next",))):
        try:
            led = next((known[each] for each in spelt if each in known), "")
            page = leads_on(source, sent, led)
            if page is not None and (page.path, set(page.query)) != (sent.path, set(sent.query)):
                after[relation] = of(page)
        except Unusable:
            notice = UNUSABLE if relation == "next" else notice
    kept = [{"relation": relation, "url": url} for relation, url in after.items()]
    return kept, after.get("next", ""), notice


def _token(source: Source, page: Upstream, names: AccountNames) -> str:
    """Raises Unusable where it would be too long for an address."""
    context = _context(source, page.operation, names, page.accounts, page.shown)
    following = Following((page.path, page.page), page.period or Window(None, None), page.listing)
    token = paging.sealed(source, following, *context)
    if not TOKEN_FORM.fullmatch(token):
        raise Unusable
    return token
