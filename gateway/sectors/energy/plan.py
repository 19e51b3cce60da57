"""One consent version at one energy supplier, compiled: which calls it may make and what is left of the answers."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from gateway.sectors import catalogue
from gateway.sectors.energy import feed
from gateway.sectors.energy.calls import ALL, CALLS, MEDIA_TYPE, MEDIA_TYPES, SUMMARY, USAGE, recognised, upstream
from gateway.sectors.energy.cutting import Cutting
from gateway.sectors.energy.shapes import CHILDREN
from gateway.sectors.energy.stream import Stream
from gateway.sectors.media import expect
from gateway.sectors.model import (
    LIMIT,
    Asked,
    Cut,
    Cutter,
    Denied,
    Granted,
    Source,
    TooLarge,
    Upstream,
    Window,
)
from gateway.sectors.names import Names
from gateway.sectors.paths import Following, declared


class Terms:
    """What is granted at this supplier, as the cutting asks for it."""

    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        items = catalogue.by_dataset("energy", granted, source.policies)
        known = catalogue.datasets("energy", source.policies)
        self.source = source
        self.granted = tuple(name for name in ALL if name in items)
        self.accounts = {name: {a.native for a in item.accounts} for name, item in items.items()}
        self.names = Names({a.native: a for item in items.values() for a in item.accounts}.values())
        self.records_max = min((i.records_max for i in items.values() if i.records_max is not None), default=None)
        fields = {name: known[name].given(item.fields) for name, item in items.items()}
        given = {member for name, item in items.items() for member in known[name].members(item.fields)}
        given |= {("ElectricPowerUsageSummary", name) for kind, name in given if kind == "UsageSummary"}
        governed = catalogue.governed("energy", source.policies) | {"ElectricPowerUsageSummary"}
        withheld = {(kind, name) for kind in governed for name in CHILDREN[kind] if (kind, name) not in given}
        self.withheld = frozenset(withheld)
        self.without_location = frozenset(withheld | {("UsagePoint", "serviceDeliveryPoint")})
        order = ("cost", "ReadingQuality", "value", "consumptionTier", "tou", "cpp")
        self.reading_withheld = tuple(name for name in order if ("IntervalReading", name) in withheld)
        # A reading with neither amount nor cost says nothing but that there was one.
        self.readings = bool({"interval.value", "interval.cost"} & fields.get(USAGE, set()))
        self.summaries = len(fields.get(SUMMARY, ())) > 1
        self.whole = not any(withheld)
        # One namespace of ids per app and person, so that two apps cannot compare what they hold.
        refs = ",".join(sorted(a.ref for a in self.names.accounts))
        self.namespace = uuid5(NAMESPACE_URL, f"{source.gateway_url}#{refs}")
        self.signature = ",".join(sorted(name for given_fields in fields.values() for name in given_fields))


class EnergyPlan:
    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        self._terms = Terms(source, granted)
        self._following = Following()

    def request(self, asked: Asked, window: Window) -> Upstream | Denied:
        terms = self._terms
        found = recognised(terms.source, asked.path)
        if found is None:
            return Denied("dataset", "path", allowed=" ".join(terms.granted))
        operation, words = found
        wanted = CALLS[operation].datasets
        fitting = [n for n in wanted if n in terms.granted and declared(terms.source, n, asked.path)]
        if not fitting:
            return Denied("dataset", "datasets", asked=" ".join(wanted), allowed=" ".join(terms.granted))
        ref = words.get("account")
        if ref is not None:
            native = terms.names.native.get(ref)
            fitting = [name for name in fitting if native in terms.accounts[name]]
            if not fitting:
                allowed = " ".join(a.ref for a in terms.names.accounts)
                return Denied("account", "accounts", asked=ref, allowed=allowed)
        sent = upstream(terms.source, operation, fitting[0], terms.names, words, asked, window, self._following)
        return replace(sent, also=tuple(fitting[1:])) if isinstance(sent, Upstream) else sent

    def cut(self, sent: Upstream, media_type: str, body: bytes, window: Window) -> Cut:
        expect(media_type, MEDIA_TYPES)
        if len(body) > LIMIT:
            raise TooLarge(f"{len(body)} bytes")
        document = feed.read(body)
        cutting = Cutting(self._terms, sent, window, self._following)
        for entry in document.entries:
            cutting.learn(entry)
        text = cutting.document(document)
        return Cut(text, MEDIA_TYPE, cutting.counts())

    def cutter(self, sent: Upstream, media_type: str, window: Window) -> Cutter | None:
        expect(media_type, MEDIA_TYPES)
        return Stream(Cutting(self._terms, sent, window, self._following))


def plan(source: Source, granted: Iterable[Granted]) -> EnergyPlan:
    return EnergyPlan(source, granted)
