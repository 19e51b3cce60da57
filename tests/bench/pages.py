"""What a person's pages cost by how often apps have read her data in 30 days: as ratios of one page of her log.

In this process, without a socket: the doors as they are, on a database of their own. What is told is the cheapest of a
few looks: CPU, or on PostgreSQL, which works in processes of its own, time. The number on the home page is compared
with what was written.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.catalogue import Catalogue
from gateway.ground.keys import KeyRing
from gateway.ground.store import raw
from gateway.ground.web.doors import Door, route
from gateway.ground.web.translations import Translations
from gateway.log import Event
from gateway.log import pages as log_pages
from gateway.people import pages as people_pages
from gateway.policy import Policies
from gateway.rooms import Rooms
from gateway.settings import shipped_policies
from gateway.sharings import pages as sharing_pages
from tests.worlds import consent as worlds

ACCESSES = (0, 5_000, 20_000, 50_000)
PAGES = ("/", "/sharings")
LOOKS = 5
BATCH = 250
URL = "https://gateway.example"

Say = Callable[[str], None]
Clock = Callable[[], float]


def run(say: Say, engine: str) -> int:
    if engine == "postgres":
        from tests.engines import use_postgres

        use_postgres()
    clock = time.perf_counter if engine == "postgres" else time.process_time
    print(f"{'accesses':>10}{'a log page, ms':>16}" + "".join(f"{path:>12}" for path in PAGES))
    for number in ACCESSES:
        say(f"{number:,} accesses")
        with ExitStack() as stack:
            world = _world(stack)
            looked = _looked(world, _read(world, number), number, clock)
        print(f"{number:10,}{looked[0] * 1000:16.1f}" + "".join(f"{each / looked[0]:12.2f}" for each in looked[1:]))
    return 0


def _world(stack: ExitStack) -> worlds.World:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    policies = shipped_policies()
    keys = KeyRing(folder / "keys", create=True)
    return stack.enter_context(
        worlds.opened(folder, keys, Catalogue(policies), Policies(policies), Translations(), URL)
    )


def _read(world: worlds.World, number: int) -> worlds.Visitor:
    """Alice, whose data two apps have read so often, evenly over thirty days."""
    alice = world.visitors["alice"]
    consents = [world.asks(alice), world.asks(alice, worlds.CLEAR_BUDGET)]
    alice.allows(consents[0])
    alice.allows(consents[1], **worlds.BANK, duration="d90")
    length = timedelta(days=30) - timedelta(minutes=1)
    facts = {"client": "watt-coach", "client_name": "Watt Coach", "organisation": "city-energy",
             "organisation_name": "City Energy", "datasets": ["energy.electricity.usage"], "purpose": "energy-advice",
             "records": 744, "outcome": "delivered", "fields_withheld": 3, "present": False}  # fmt: skip
    begin = world.clock()
    for first in range(0, number, BATCH):
        events = [
            Event("access", "alice", begin + at * length / number, "app", {**facts, "consent": consents[at % 2]})
            for at in range(first, first + BATCH)
        ]
        with world.house.store.write() as session:
            world.house.log.append_all(raw(session), events, {})
    world.clock.passes(seconds=length.total_seconds())
    return alice


def _looked(world: worlds.World, alice: worlds.Visitor, number: int, clock: Clock) -> Sequence[float]:
    """Seconds of a page of the log, and of each page."""
    house = world.house
    doors: list[Door] = [
        *(door for door in people_pages.doors(lambda *_: 1, lambda *_: None) if door.path == "/"),
        *sharing_pages.doors(world.rooms),
        *log_pages.doors(Rooms(house)),
    ]
    caller = worlds.Caller(alice.id, alice.name, "en", alice.signed_in_at, ("pwd",), alice.id)
    application = Starlette(routes=[route(door, house, lambda *_: caller) for door in doors])
    client = TestClient(application, base_url=URL, headers=alice._headers())
    assert f"<strong>{number}</strong>" in client.get("/").text
    return [_cheapest(client, path, clock) for path in ("/log", *PAGES)]


def _cheapest(client: TestClient, path: str, clock: Clock) -> float:
    took = []
    for _ in range(LOOKS):
        begun = clock()
        assert client.get(path).status_code == 200
        took.append(clock() - begun)
    return min(took)
