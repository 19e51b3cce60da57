"""Compiling a grant from rows, in a worker thread, once for each state of what it depends on; the grants in memory."""

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from gateway.apps import views as apps
from gateway.catalogue import Dataset
from gateway.consent.facts import AppView
from gateway.consent.lesser import Portions, lessened
from gateway.consent.terms import granted_items, processors
from gateway.errors import Refusal
from gateway.formats import registry
from gateway.formats.model import Account, Granted
from gateway.ground.calendar.ages import comes_of_age, minor_now
from gateway.ground.store import raw
from gateway.house import House
from gateway.ledger import live
from gateway.ledger.live import LiveConsent
from gateway.organisations import links, proofs, views
from gateway.organisations.links import LinkView
from gateway.organisations.views import OrganisationView
from gateway.policy.cedar import PolicyFacts
from gateway.proxy.grants import Acting, Grant, GrantedItem, GrantPart, Limit

HELD = 4096


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
