"""A supplier whose one batch holds everything of a usage point: readings, a bill, and where it is."""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from fortress import Fort, Reply

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
BASE = "/espi/1_1/resource"
BATCH = f"{BASE}/Batch/Subscription/mine"
DATASETS = ["energy.electricity.usage", "energy.electricity.summary", "energy.point"]
START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
APP = [
    {"organisation": "city-energy", "dataset": name, "fields": fields}
    for name, fields in (
        (DATASETS[0], ["interval.start", "interval.value"]),
        (DATASETS[1], ["summary.period", "summary.consumption", "summary.amounts"]),
        (DATASETS[2], ["point.location"]),
    )
]


def entry(path: str, content: str, *related: str) -> str:
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{path.rsplit("/", 1)[0]}"/>'
    links += "".join(f'<link rel="related" href="{to}"/>' for to in related)
    return (
        f"<entry><id>urn:uuid:{uuid5(NAMESPACE_URL, path)}</id>{links}<title>t</title><content>{content}</content>"
        "<published>2026-11-01T00:00:00Z</published><updated>2026-11-01T00:00:00Z</updated></entry>"
    )


def batch(native: str = "point-one", subscription: str = "s") -> bytes:
    point = f"{BASE}/Subscription/{subscription}/UsagePoint/{native}"
    period = f"<duration>3600</duration><start>{START}</start>"
    reading = f"<IntervalReading><timePeriod>{period}</timePeriod><value>450</value></IntervalReading>"
    place = "<ServiceCategory><kind>0</kind></ServiceCategory>"
    place += "<serviceDeliveryPoint><name>street</name></serviceDeliveryPoint>"
    bill = f"<billingPeriod>{period}</billingPeriod><billLastPeriod>505050</billLastPeriod>"
    entries = [
        entry(point, f'<UsagePoint xmlns="{ESPI}">{place}</UsagePoint>', f"{point}/MeterReading",
              f"{point}/UsageSummary"),
        entry(f"{point}/MeterReading/m1", f'<MeterReading xmlns="{ESPI}"/>', f"{point}/MeterReading/m1/IntervalBlock"),
        entry(f"{point}/MeterReading/m1/IntervalBlock/b1",
              f'<IntervalBlock xmlns="{ESPI}"><interval>{period}</interval>{reading}</IntervalBlock>'),
        entry(f"{point}/UsageSummary/u1", f'<UsageSummary xmlns="{ESPI}">{bill}</UsageSummary>'),
    ]  # fmt: skip
    head = '<id>urn:uuid:0</id><title>t</title><updated>2026-11-01T00:00:00Z</updated><link rel="self" href="/x"/>'
    return f'<feed xmlns="{ATOM}">{head}{"".join(entries)}</feed>'.encode()


def settle(fort: Fort) -> str:
    """Alice, with one usage point linked."""
    fort.organisations.responders["city-energy"] = lambda *_: reply()
    fort.app("meter", APP, purposes=["energy-advice"])
    alice = fort.person("Alice")
    fort.link(alice, "city-energy", ["point-one"])
    return alice


def reply() -> Reply:
    return 200, "application/atom+xml", batch()
