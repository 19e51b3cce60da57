"""An energy supplier in the small world, and the feed it answers with."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.proxy.bank import Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
BASE = "/espi/1_1/resource"
PATHS = {"energy.electricity.usage": [f"{BASE}/Batch/Subscription/{{subscription}}"]}
POINT = "point-one"
FIELDS = ["interval.start", "interval.value"]
KIND = "application/atom+xml"
_numbers = itertools.count(1)


class Supplier(Bank):
    """Alice's usage point at a supplier of this test alone, shared with an app."""

    def __init__(self, world: World, organisation: RawOrganisation) -> None:
        number = next(_numbers)
        self.world, self.organisation = world, organisation
        self.id, self.person, self.app = f"city-{number}", f"germaine-{number}", f"watts-{number}"
        world.organisation(self.id, "energy", organisation.url, PATHS)
        world.app(self.app)
        world.person(self.person)
        world.link(self.person, self.id, [POINT], resource="subscription-one")
        self.ref = world.ref(self.app, self.person, self.id, POINT)
        self.consent = self.agree()
        self.token = world.token(self.consent, [self.id], self.app)

    def agree(self, *, once: bool = False, days: float = 90, **item: Any) -> str:
        items = [self.world.item(self.id, "energy.electricity.usage", FIELDS, [self.ref], **item)]
        return self.world.consent(self.person, self.app, items, purpose="energy-advice", once=once, days=days)

    @property
    def path(self) -> str:
        return f"/data/{self.id}{BASE}/Batch/Subscription/mine"


def feed(blocks: int = 1, readings: int = 24) -> bytes:
    return b"".join(pieces(blocks, readings))


def pieces(blocks: int, readings: int = 24) -> Iterator[bytes]:
    """One usage point with its meter, and blocks of hourly readings that end today, a piece for each."""
    head = '<id>urn:uuid:0</id><title>t</title><updated>2026-11-01T00:00:00Z</updated><link rel="self" href="/x"/>'
    yield f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="{ATOM}">{head}'.encode()
    point = f"{BASE}/Subscription/s/UsagePoint/{POINT}"
    kind = "<ServiceCategory><kind>0</kind></ServiceCategory>"
    yield _entry(point, f'<UsagePoint xmlns="{ESPI}">{kind}</UsagePoint>', f"{point}/MeterReading")
    meter = f"{point}/MeterReading/m1"
    unit = f"{BASE}/ReadingType/1"
    yield (
        _entry(meter, f'<MeterReading xmlns="{ESPI}"/>', f"{meter}/IntervalBlock", unit)
        + _entry(unit, f'<ReadingType xmlns="{ESPI}"><uom>72</uom></ReadingType>')
    )
    start = int((datetime.now(UTC) - timedelta(days=1)).timestamp()) // 3600 * 3600 - readings * 3600
    values = "".join(
        f"<IntervalReading><timePeriod><duration>3600</duration><start>{start + 3600 * n}</start></timePeriod>"
        f"<value>{450 + n % 50}</value></IntervalReading>"
        for n in range(readings)
    )
    interval = f"<interval><duration>{3600 * readings}</duration><start>{start}</start></interval>"
    body = f'<IntervalBlock xmlns="{ESPI}">{interval}{values}</IntervalBlock>'
    for number in range(blocks):
        yield _entry(f"{meter}/IntervalBlock/b{number}", body)
    yield b"</feed>"


def _entry(path: str, content: str, *related: str) -> bytes:
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{path.rsplit("/", 1)[0]}"/>'
    links += "".join(f'<link rel="related" href="{to}"/>' for to in related)
    return (
        f"<entry><id>urn:uuid:{uuid5(NAMESPACE_URL, path)}</id>{links}<title>t</title><content>{content}</content>"
        "<published>2026-11-01T00:00:00Z</published><updated>2026-11-01T00:00:00Z</updated></entry>"
    ).encode()
