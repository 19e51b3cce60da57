"""A grant: what one consent allows at one organisation, compiled once per state of what it depends on (`Standing`).

Built in a worker thread from rows; what comes out is immutable and answers without a read.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from gateway.apps import views as apps
from gateway.catalogue import Dataset, SignInNeeded
from gateway.catalogue.sign_ins import strictest
from gateway.consent.facts import AppView
from gateway.consent.lesser import Portions, lessened
from gateway.consent.terms import granted_items, processors
from gateway.errors import Refusal
from gateway.formats import paging, registry
from gateway.formats.model import Account, Asked, Denied, Granted, Plan, Upstream
from gateway.ground.calendar.ages import comes_of_age, minor_now
from gateway.ground.calendar.instants import Window, narrowed
from gateway.ground.calendar.windows import CalendarWindow, window
from gateway.ground.http.connector import Headers, Pairs, Target
from gateway.ground.store import raw
from gateway.house import House
from gateway.ledger import live
from gateway.ledger.contract import Count
from gateway.ledger.live import LiveConsent
from gateway.organisations import links, placing, proofs, views
from gateway.organisations.links import LinkView
from gateway.organisations.proofs import Proof
from gateway.organisations.views import OrganisationView
from gateway.policy.cedar import PolicyFacts

Field = tuple[bytes, bytes]

HELD = 4096
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


class Grants:
    """The compiled grants in memory. `get` on the event loop, `compiled` in a worker thread."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = threading.Lock()  # one compiling at a time
        self._held: OrderedDict[tuple[str, str, Portions | None], Grant] = OrderedDict()

    def get(self, consent: str, organisation: str, terms: tuple[Any, ...], parts: Portions | None) -> Grant | None:
        """`parts`: what alone the token carries of what was agreed; None: all of it."""
        grant = self._held.get((consent, organisation, parts))
        if grant is None or grant.terms != terms or not self.stands(grant):
            return None
        if grant.stale is not math.inf and self._house.clock().timestamp() >= grant.stale:
            return None
        return grant

    def stands(self, grant: Grant) -> bool:
        """Whether the policies are still those it was compiled from."""
        return grant.house is self._house.latest

    def compiled(
        self, consent: str, organisation: str, terms: tuple[Any, ...], parts: Portions | None = None
    ) -> Grant | None:
        """The grant, made and kept. None when the rows have changed since `terms` was read: read it again."""
        with self._lock:
            grant = self.get(consent, organisation, terms, parts)
            if grant is None:
                with self._house.store.read_apart() as session:  # one snapshot for all reads
                    grant = self._compile(session, consent, organisation, terms, parts)
                if grant is not None:
                    self._held[consent, organisation, parts] = grant
                    if len(self._held) > HELD:
                        self._held.popitem(last=False)
            return grant

    def _compile(
        self, session: Session, consent: str, organisation: str, terms: tuple[Any, ...], parts: Portions | None
    ) -> Grant | None:
        connection, house = raw(session), self._house.latest
        found = live.load(connection, consent)
        if found is None or found.generation != terms[0] or found.terms is None:
            return None
        app, view = apps.find(session, found.app), views.view(session, organisation)
        link = links.for_call(connection, self._house.keys, found.person, organisation)
        if (link.id, link.generation) != terms[3:5] if link else terms[3] is not None:
            return None
        base = _Base(house, found, organisation, app, view, house.clock())
        base = replace(base, acting=base.others(session))
        carried = found.terms if parts is None else lessened(found.terms, parts)
        items = [item for item in granted_items(carried) if item["organisation"] == organisation]
        if not items or view is None or app is None:
            return base.refused(terms, Refusal("dataset", "organisation", organisation))
        items = [_as_agreed(item, views.known(view, house.catalogue).get(item["dataset"])) for item in items]
        if link is None:
            return base.refused(terms, Refusal("not_linked", "organisation", organisation))
        base = replace(base, pair=self._ref(found, link, organisation, ""))
        known = [Account(native, self._ref(found, link, organisation, native)) for native in link.accounts]
        return Grant(
            **base.members(terms),
            refusal=None,
            parts=tuple(base.parts(items, known)),
            items={item["dataset"]: base.item(item, app, view, known) for item in items},
            target=views.target(view),
            organisation=view,
            link=link,
            proof=proofs.of(session, self._house.keys, view),
        )

    def _ref(self, found: LiveConsent, link: LinkView, organisation: str, native: str) -> str:
        return links.reference(self._house.keys, found.app, found.person, organisation, native, link.whose)


@dataclass(frozen=True, slots=True)
class _Base:
    """What every part of one compilation reads."""

    house: House
    consent: LiveConsent
    organisation_id: str
    app: AppView | None
    organisation: OrganisationView | None
    now: datetime
    pair: str = ""  # names app and person, for identifiers that each app gets others of
    acting: Mapping[str, Acting] = field(default_factory=dict)

    @property
    def agreed(self) -> Mapping[str, Any]:
        return self.consent.terms or {}

    def members(self, terms: tuple[Any, ...]) -> dict[str, Any]:
        valid = self.agreed["valid"]
        return {
            "terms": terms,
            "house": self.house,
            "granted_at": datetime.fromisoformat(valid["from"]),
            "until": datetime.fromisoformat(valid["until"]),
            "once": valid["max_uses"] == 1,
            "facts": self.facts(),
            "acting": self.acting,
            "beyond": self._beyond(),
            "stale": self._stale,
        }

    @property
    def _minor(self) -> bool:
        return minor_now(self.consent.birth_date, self.now, self.house.settings)

    @property
    def _stale(self) -> float:
        born = self.consent.birth_date
        return comes_of_age(born, self.house.settings).timestamp() if born and self._minor else math.inf

    def others(self, session: Session) -> dict[str, Acting]:
        if self.app is None:
            return {}
        named = {name: apps.find(session, name) for name in processors(self.agreed, self.app)}
        found = {f"app {name}": _processor(name, its) for name, its in named.items() if its is not None}
        if self._minor and self.consent.guardian:
            known_as = self.app.reader or self.app.client_id
            sub = self.house.keys.pairwise(self.consent.guardian, known_as)
            said = {"guardian": self.consent.guardian, "guardian_name": self.consent.guardian_name}
            found[f"person {sub}"] = Acting("guardian", said)
        return found

    def _beyond(self) -> dict[str, tuple[str, ...]]:
        """What the app has registered here for this purpose and does not have: all that may become part of the grant
        (`consent.amending`). Of a public client nothing: it merges no grants."""
        app, purpose = self.app, self.house.catalogue.purposes.get(self.agreed["purpose"]["code"])
        if app is None or purpose is None or app.auth_method == "none" or self.agreed["valid"]["max_uses"]:
            return {}
        has = {(item["organisation"], item["dataset"]): item["fields"] for item in granted_items(self.agreed)}
        found = {}
        for row in app.data:
            if row.organisation == self.organisation_id and row.dataset in purpose.datasets:
                had = has.get((row.organisation, row.dataset), ())
                found[row.dataset] = tuple(name for name in row.fields if name not in had)
        return {dataset: fields for dataset, fields in found.items() if fields}

    def refused(self, terms: tuple[Any, ...], refusal: Refusal) -> Grant:
        return Grant(**self.members(terms), refusal=refusal)

    def facts(self) -> dict[str, Any]:
        """As people read them in the log, in their language, also when app or organisation have gone."""
        facts: dict[str, Any] = {
            "consent": self.consent.id,
            "version": self.consent.version,
            "generation": self.consent.generation,
            "client": self.consent.app,
            "organisation": self.organisation_id,
            "purpose": self.consent.purpose,
        }
        if self.app is not None:
            facts["client_name"] = dict(self.app.name)
        if self.organisation is not None:
            facts["organisation_name"] = dict(self.organisation.name)
        return facts

    def parts(self, items: list[dict[str, Any]], known: list[Account]) -> list[GrantPart]:
        assert self.organisation is not None
        source = views.source(self.organisation, self.house)
        together: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by period and format
        for item in items:
            format_ = registry.form_of(source, item["dataset"])
            if format_ is not None:
                period = repr((sorted(item["period"].items()), item.get("agreed_period")))
                together.setdefault((period, format_), []).append(item)
        granted_at = datetime.fromisoformat(self.agreed["valid"]["from"])
        return [
            GrantPart(
                plan=registry.plan(source, format_, [_granted(item, known, self.pair) for item in its]),
                period=its[0]["period"],
                zone=live.zone(its[0], self.house.settings.zone),
                agreed=its[0].get("agreed_period"),
                granted_at=granted_at,
            )
            for (_, format_), its in together.items()
        ]

    def item(
        self, item: Mapping[str, Any], app: AppView, organisation: OrganisationView, known: list[Account]
    ) -> GrantedItem:
        name = f"{self.organisation_id}/{item['dataset']}"
        dataset = views.known(organisation, self.house.catalogue).get(item["dataset"])
        limits = [
            Limit(self.consent.id, name, per, zone, times)
            for per, (zone, times) in _limits(item, dataset, self.house.settings.zone).items()
        ]
        if self.agreed["valid"]["max_uses"] is not None:
            limits.append(Limit(self.consent.id, "", "ever", "UTC", self.agreed["valid"]["max_uses"]))
        return GrantedItem(
            limits=tuple(limits),
            facts={
                **self.facts(),
                "datasets": [item["dataset"]],
                "fields_delivered": list(item["fields"]),
                "fields_withheld": len(dataset.fields) - len(item["fields"]) if dataset else 0,
            },
            refusal=self._policy(item, app, organisation) or _gone(item, known),
            sign_in=dataset.sign_in if dataset else None,
        )

    def _policy(self, item: Mapping[str, Any], app: AppView, organisation: OrganisationView) -> Refusal | None:
        """Every policy permits it, for the state that is being compiled (law 6: what errs is refused)."""
        decision = self.house.policies.decide(
            "read",
            PolicyFacts(
                person=self.consent.person,
                minor=self._minor,
                app=app.client_id,
                app_active=app.active,
                app_purposes=app.purposes,
                organisation=organisation.id,
                organisation_active=organisation.active,
                purpose=self.consent.purpose,
                sensitivity=item["sensitivity"],
                guardian_agreed=self.consent.guardian_agreed,
            ),
        )
        return None if decision.permitted else Refusal(decision.reason, "policy", allowed=" ".join(decision.policies))


def _processor(name: str, app: AppView) -> Acting:
    said = {"processor": name, "processor_name": dict(app.name)}
    return Acting("app", said, None if app.active else Refusal("suspended", "app", name))


def _gone(item: Mapping[str, Any], known: list[Account]) -> Refusal | None:
    """What she agreed to is not at the other end of her link any more: that is no answer without records."""
    left = any(account.ref in item["accounts"] for account in known)
    return None if left else Refusal("account", "accounts")


def _as_agreed(item: dict[str, Any], dataset: Dataset | None) -> dict[str, Any]:
    """Without the fields that were agreed to coarser than they are now."""
    if dataset is None or "made" not in item:
        return item
    return {**item, "fields": dataset.as_agreed(item["fields"], item["made"])}


def _granted(item: Mapping[str, Any], known: list[Account], pair: str) -> Granted:
    return Granted(
        dataset=item["dataset"],
        fields=frozenset(item["fields"]),
        accounts=tuple(account for account in known if account.ref in item["accounts"]),
        records_max=item["records_max"],
        pair=pair,
        others=tuple(account.native for account in known if account.ref not in item["accounts"]),
    )


def _limits(item: Mapping[str, Any], dataset: Dataset | None, default: str) -> dict[str, tuple[str, int]]:
    """Calendar window → its zone and uses: those of the terms, and the type of data's own where it is tighter, which
    may have been declared since."""
    limits = {row["per"]: (row["zone"], row["times"]) for row in item["frequency"]}
    if dataset is not None and dataset.frequency is not None:
        times, per = dataset.frequency
        zone, agreed = limits.get(per, (live.zone(item, default), times))
        limits[per] = zone, min(agreed, times)
    return limits
