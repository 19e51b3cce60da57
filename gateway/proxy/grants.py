"""A grant: what one consent allows at one organisation, compiled once per state of what it depends on (`Standing`).

It is immutable, and answers without a read. compiling.py makes it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.catalogue import SignInNeeded
from gateway.catalogue.sign_ins import strictest
from gateway.errors import Refusal
from gateway.formats import paging
from gateway.formats.model import Asked, Denied, Plan, Upstream
from gateway.ground.calendar.instants import Window, narrowed
from gateway.ground.calendar.windows import CalendarWindow, window
from gateway.ground.http.connector import Headers, Pairs, Target
from gateway.house import House
from gateway.ledger import live
from gateway.ledger.contract import Count
from gateway.organisations import placing
from gateway.organisations.links import LinkView
from gateway.organisations.proofs import Proof
from gateway.organisations.views import OrganisationView

Field = tuple[bytes, bytes]

ROUTES_HELD = 32


@dataclass(slots=True)
class Limit:
    """At most `times` uses per calendar window."""

    consent: str
    item: str
    per: str
    zone: str
    times: int
    _now: CalendarWindow = CalendarWindow(0, 0)
    _count: Count = Count(("", "", "", 0), 0, 0)

    def count(self, now: datetime, epoch: float) -> Count:
        if not self._now.holds(epoch):
            self._now = window(self.per, self.zone, now)
            key = self.consent, self.item, self.per, self._now.start
            self._count = Count(key, self.times, self._now.end)
        return self._count


@dataclass(slots=True)
class GrantPart:
    """The items with one and the same period: one plan of the sector, one window."""

    plan: Plan
    period: Mapping[str, Any]
    zone: str
    granted_at: datetime
    agreed: Mapping[str, Any] | None = None  # where the token's own period is another: what bounds it
    _second: int = -1
    _window: Window = Window(None, None)

    def window(self, now: datetime, epoch: float) -> Window:
        second = int(epoch)
        if second != self._second:
            found = live.window(self.period, now, self.zone, self.granted_at)
            if self.agreed is not None:
                found = _within(found, live.window(self.agreed, now, self.zone, self.granted_at))
            if found != self._window:
                self._window = found
            self._second = second
        return self._window  # the same object as long as it is the same window


def _within(less: Window, whole: Window) -> Window:
    """What of the token's period is in the agreed one; where nothing is, a window in which no record lies."""
    never = less.start or less.end or whole.start
    return narrowed(whole, less.start, less.end) or Window(never, never)


@dataclass(frozen=True, slots=True)
class GrantedItem:
    """One dataset of the grant."""

    limits: tuple[Limit, ...]
    facts: Mapping[str, Any]  # of every log entry about it
    refusal: Refusal | None  # by policy, whatever the person agreed to; or none of its accounts is there any more
    sign_in: SignInNeeded | None = None  # behind the token of a call for it


@dataclass(frozen=True, slots=True)
class Route:
    """One call that the grant covers: what the sector makes of it, worked out once for as long as the window stands."""

    part: GrantPart
    window: Window
    upstream: Upstream
    path: str  # upstream, with its query
    body: bytes
    fields: Headers  # that name the customer
    named: bool  # whether the organisation is told whose data is asked for
    item: GrantedItem
    listing: str  # names the listing of which a call may be a following page
    facts: Mapping[str, Any]  # of its entries


@dataclass(frozen=True, slots=True)
class Acting:
    """Who may use a token in the app's place: what the log says of it, and why it may not now."""

    actor: str  # of the entry of an access
    facts: Mapping[str, Any]
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    terms: tuple[Any, ...]  # Standing.terms it was compiled from
    house: House  # with the policies it was compiled from
    granted_at: datetime
    until: datetime
    once: bool
    refusal: Refusal | None  # of everything at this organisation
    facts: Mapping[str, Any]
    acting: Mapping[str, Acting]  # by `Token.acting`: the app's processors, and the person's guardian
    beyond: Mapping[str, tuple[str, ...]]  # type of data → fields that the app may ask for as well, to be merged
    stale: float = math.inf  # epoch second from which on policies may decide otherwise: she comes of age
    parts: tuple[GrantPart, ...] = ()
    items: Mapping[str, GrantedItem] = field(default_factory=dict)
    target: Target | None = None
    organisation: OrganisationView | None = None
    link: LinkView | None = None
    proof: Proof | None = None  # of a link whose calls are made as the declaration says
    routes: dict[tuple[str, Pairs], Route] = field(default_factory=dict)  # the last calls seen
    assertions: dict[str, tuple[datetime, Field]] = field(default_factory=dict)  # by subject: the last one, when signed

    def route(self, asked: Asked, now: datetime, epoch: float) -> Route | Denied:
        """How the call is made, or the refusal that says most."""
        key = asked.path, asked.query
        route = self.routes.get(key)
        if route is not None and route.part.window(now, epoch) is route.window:
            return route
        denied = Denied("dataset", "datasets", allowed=" ".join(self.items))
        for part in self.parts:
            window = part.window(now, epoch)
            answer = part.plan.request(asked, window)
            if isinstance(answer, Upstream):
                if len(self.routes) >= ROUTES_HELD:
                    self.routes.clear()
                route = self.routes[key] = self._route(part, window, answer)
                return route
            if denied.reason == "dataset" != answer.reason:
                denied = answer
        return denied

    def page(self, route: Route, asked: Asked) -> Route | None:
        """A following page of a call, in the window of the first. None: it is not covered."""
        answer = route.part.plan.request(asked, route.window)
        return self._route(route.part, route.window, answer) if isinstance(answer, Upstream) else None

    def describes_like(self, other: "Grant", datasets: tuple[str, ...]) -> bool:
        """Whether the policies of both say the same of these types of data: what each field is and lets out."""
        ours, theirs = self.house.catalogue.datasets, other.house.catalogue.datasets
        return ours is theirs or all(ours.get(name) == theirs.get(name) for name in datasets)

    def _route(self, part: GrantPart, window: Window, upstream: Upstream) -> Route:
        assert self.link is not None and self.organisation is not None  # only a grant that is not refused has parts
        placed = placing.placed(upstream, self.link, self.organisation.connection)
        natives = [account.native for account in upstream.accounts]
        item = joined([self.items[name] for name in (upstream.dataset, *upstream.also)])
        return Route(
            part=part,
            window=window,
            upstream=upstream,
            path=placed.path,
            body=placed.body,
            fields=placed.fields,
            named=placed.named,
            item=item,
            listing=repr((self.facts["consent"], self.terms, upstream.operation, natives, paging.listing(upstream))),
            facts={
                **item.facts,
                "operation": upstream.operation,
                "accounts": [account.ref for account in upstream.accounts],
            },
        )


def joined(items: list[GrantedItem]) -> GrantedItem:
    """One call for several datasets: every limit and policy of theirs binds, and all of them are recorded."""
    if len(items) == 1:
        return items[0]
    first = items[0].facts
    facts = {
        **first,
        "datasets": [name for item in items for name in item.facts["datasets"]],
        "fields_delivered": [name for item in items for name in item.facts["fields_delivered"]],
        "fields_withheld": sum(item.facts["fields_withheld"] for item in items),
    }
    # a limit of the whole agreement (`max_uses`) is in every item and counts once
    limits = {(limit.item, limit.per): limit for item in items for limit in item.limits}
    refusal = next((item.refusal for item in items if item.refusal), None)
    return GrantedItem(tuple(limits.values()), facts, refusal, strictest(item.sign_in for item in items))
