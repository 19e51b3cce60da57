"""What is granted at one energy supplier, compiled for the cutting: accounts, fields, names of the app's view."""

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gateway.catalogue import fields as catalogue
from gateway.formats.espi.calls import ALL, SUMMARY, USAGE, USAGE_TIME
from gateway.formats.espi.ids import Ids
from gateway.formats.espi.shapes import CHILDREN
from gateway.formats.model import Granted, Source
from gateway.formats.names import AccountNames


class EnergyTerms:
    """What is granted at this supplier, as the cutting asks for it."""

    def __init__(self, source: Source, granted: Iterable[Granted]) -> None:
        items = catalogue.by_dataset("espi-4", granted, source.known)
        known = catalogue.datasets("espi-4", source.known)
        self.source = source
        self.published = source.published or USAGE_TIME
        self.granted = tuple(name for name in ALL if name in items)
        self.accounts = {name: {a.native for a in item.accounts} for name, item in items.items()}
        others = {name for item in items.values() for name in item.others}
        self.names = AccountNames(
            {a.native: a for item in items.values() for a in item.accounts}.values(), others=others
        )
        self.records_max = min((i.records_max for i in items.values() if i.records_max is not None), default=None)
        fields = {name: known[name].given(item.fields) for name, item in items.items()}
        given = {member for name, item in items.items() for member in known[name].members(item.fields)}
        given |= {("ElectricPowerUsageSummary", name) for kind, name in given if kind == "UsageSummary"}
        governed = catalogue.governed("espi-4", source.known) | {"ElectricPowerUsageSummary"}
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
        self.ids = Ids(self.names, others, self.namespace)
        self.links: dict[tuple[Any, ...], tuple[dict[str, str], str]] = {}
        self.signature = ",".join(sorted(name for given_fields in fields.values() for name in given_fields))
