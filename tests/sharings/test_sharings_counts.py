"""How often an app has read: the pages tell exactly what the log holds, through a whole history."""

import random
import re
from collections import Counter
from datetime import timedelta

from gateway.ground.store import raw
from gateway.log import reading
from gateway.log.tally import BLOCK, WINDOW
from tests.worlds.consent import Visitor, World, cards, words


def told(alice: Visitor) -> dict[str, int]:
    """Sharing → the number on its card in the list. A sharing that was never used tells none."""
    found = {}
    for card in cards(alice.gets("/sharings")):
        consent = card.xpath(".//a[contains(@href, '/sharings/')]/@href")[0].split("/")[2]
        number = re.search(r"\((\d+) access(?:es)? in 30 days\)", words(card))
        found[consent] = int(number[1]) if number else 0
    return found


def counted(world: World) -> Counter[str]:
    """The accesses of Alice's log in thirty days, opened one by one."""
    since = world.clock() - WINDOW
    with world.house.store.read() as session:
        entries = [e for e in reading.entries(session, world.house.log, "alice") if e.kind == "access"]
        return Counter(str(e.facts["consent"]) for e in entries if e.at and e.at >= since)


def test_every_card_tells_what_the_log_holds_while_months_pass(
    world: World, alice: Visitor, several: dict[str, str]
) -> None:
    chance = random.Random(30)
    names = list(several.values())
    for month in range(5):
        for _ in range(BLOCK):
            kind = chance.choice(("access", "access", "denied", "access_outcome"))
            world.reads(chance.choice(names), kind)
            world.clock.passes(minutes=chance.randrange(900))
        if month == 1:
            alice.does(several["budget"], "resume")
        if month == 2:
            alice.does(several["watt"], "stop")
            names.append(world.asks(alice))  # asked for anew
            alice.allows(names[-1])
        assert told(alice) == {name: counted(world)[name] for name in names}
    with world.house.store.read() as session:
        assert raw(session).execute("SELECT count(*) FROM logtally").fetchone()[0] >= 5


def test_an_access_is_told_for_thirty_days_to_the_instant(world: World, alice: Visitor, consent: str) -> None:
    world.reads(consent)
    for days, told_then in ((WINDOW, 1), (timedelta(milliseconds=1), 0)):
        world.clock.passes(seconds=days.total_seconds())
        assert told(alice) == {consent: told_then}
