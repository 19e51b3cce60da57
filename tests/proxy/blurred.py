"""An organisation whose data leave coarser than they are, or as answers over them (`coarser.toml`)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.organisations import declare
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation, answer

FILE = Path(__file__).parent / "coarser.toml"
LINE = "+33600000001"
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
COARSE = ["call.line", "call.month", "call.area", "call.county", "call.about", "call.band", "call.code", "call.noted"]
ALL = ["month.which", "month.price", "month.about", "month.calls"]  # of totals by month
EXACT = [b"48.8534", b"2.3488", b"75011", b"0.1234", b"0.3737", b"612345", b"canary", b"10:11:12", b"2026-10-03"]


def call(at: str = "2026-10-03T10:11:12Z", **more: Any) -> dict[str, Any]:
    return {
        "at": at,
        "line": LINE,
        "partner": "+33612345678",
        "length": 612345,
        "price": 0.1234,
        "tax": "0.3737",
        "note": "canary",
        "place": {"latitude": 48.85341, "longitude": 2.3488, "postcode": "75011"},
        **more,
    }


def page(*calls: Any, **beside: Any) -> bytes:
    return json.dumps({"items": list(calls), **beside}).encode()


class Blurred:
    """Alice's line, shared with an app."""

    def __init__(self, world: World, organisation: RawOrganisation) -> None:
        self.world, self.organisation, self.id = world, organisation, "blurred"
        found = declare.read(FILE, world.house.catalogue, base_url=organisation.url)
        with world.house.store.write() as session:
            declare.add(session, world.house, found, world.clock())
        world.app("blurred-app")
        self.person = world.person("alice-blurred")
        world.link(self.person, self.id, [LINE])
        self.ref = world.ref("blurred-app", self.person, self.id, LINE)
        self.agrees("blurred.calls", COARSE)

    def agrees(self, dataset: str, fields: list[str], **item: Any) -> "Blurred":
        found = self.world.item(self.id, dataset, fields, [self.ref], **item)
        self.consent = self.world.consent(self.person, "blurred-app", [found])
        self.token = self.world.token(self.consent, [self.id], "blurred-app")
        return self

    def says(self, *calls: Any, **beside: Any) -> None:
        self.organisation.says(answer(page(*calls, **beside)))

    def reads(self, what: str = "calls", query: str = "", method: str = "GET") -> Answer:
        at = f"/data/{self.id}/lines/{self.ref}/{what}{query}"
        return Bank.reads(self, at, method=method)  # type: ignore[arg-type]  # a world and a token are all it takes


def nothing_exact(given: Answer) -> bool:
    return not any(each in given.body or each in str(given.headers).encode() for each in EXACT)
