"""Random records, fields and periods through the real door, in each format, against an oracle of the records alone."""

import itertools
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.organisations import declare
from tests.formats.flat_calls import DRIVERS, MEMBERS, TYPES, Record, declaration, document, records_of
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation, answer

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
HEAD = (Path(__file__).parent / "coarser.toml").read_text().partition("[[datasets]]")[0]
FIELDS = {"code": "partner", "band": "length", "about": "price", "cut": "tax", "noted": "note", "area": "place"}
# clocks change, and a month ends
EDGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 5, 31, 22, tzinfo=UTC),
]
OWN, HER_OTHER, ELSES = "line-4711", "line-4712", "line-9999"
ROUNDS = 25
WORD = re.compile(r"canary\w+|[0-9]{7}|line-[0-9]{4}")  # of values that are found nowhere else
_numbers = itertools.count(1)


class Caller:
    """Alice's two lines at an organisation of this test alone, of which she shares one with an app."""

    def __init__(self, world: World, organisation: RawOrganisation, driver: str, folder: Path) -> None:
        self.world, self.organisation, self.driver = world, organisation, driver
        self.id = f"random-{next(_numbers)}"
        text = HEAD.replace('id = "blurred"', f'id = "{self.id}"') + declaration(driver).replace(
            "blurred.", f"{self.id}."
        )
        for name in ("month", "code", "band", "about", "cut", "noted", "area"):  # everything exactly
            text = exact(text, name)
        (folder / "own.toml").write_text(text)
        found = declare.read(folder / "own.toml", world.house.catalogue, base_url=organisation.url)
        with world.house.store.write() as session:
            declare.add(session, world.house, found, world.clock())
        world.app(f"{self.id}-app")
        self.person = world.person(f"alice-{self.id}")
        world.link(self.person, self.id, [OWN, HER_OTHER])
        self.ref = world.ref(f"{self.id}-app", self.person, self.id, OWN)

    def agrees(self, fields: list[str], low: datetime, high: datetime) -> None:
        period = {"history": None, "from": low.isoformat(), "to": high.isoformat(), "future": False}
        item = self.world.item(self.id, f"{self.id}.calls", ["line", "month", *fields], [self.ref], period=period)
        consent = self.world.consent(self.person, f"{self.id}-app", [item])
        self.token = self.world.token(consent, [self.id], f"{self.id}-app")

    def reads(self, query: str) -> Answer:
        return Bank.reads(self, f"/data/{self.id}/lines/{self.ref}/calls{query}")  # type: ignore[arg-type]


def exact(text: str, name: str) -> str:
    begin = text.index(f'id = "{name}"')
    end = text.index("[[", begin)
    kept = "".join(line + "\n" for line in text[begin:end].splitlines() if not line.startswith("made"))
    return text[:begin] + kept + text[end:]


@pytest.fixture
def clocked(world: World, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    organisation.reset()
    monkeypatch.setenv("BLURRED_SECRET", "s")
    before, world.clock = world.clock, lambda: NOW
    yield world
    world.clock = before


def a_record(chance: random.Random, canary: str) -> Record:
    near = chance.choice(EDGES) + timedelta(seconds=chance.choice([-1, 0, 1, -3600, 3600]))
    at = chance.choice([near, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(500_000))])
    zone = chance.choice([UTC, PARIS])
    return {
        "at": at.astimezone(zone).isoformat(),
        "line": chance.choice([OWN, OWN, OWN, HER_OTHER, ELSES]),
        "partner": chance.choice([None, f"partner-{canary}"]),
        "length": chance.choice([None, str(chance.randrange(10**6, 10**7))]),
        "price": f"{chance.randrange(-(10**6), 10**6) / 1000:.3f}",
        "tax": chance.choice([None, f"{chance.randrange(10**5) / 100:.2f}"]),
        "note": chance.choice([None, f'a "note", of {canary} <b>&']),
        "place": chance.choice([None, f"place-{canary}; x"]),
    }


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_leaves_is_what_was_agreed_and_nothing_else(
    clocked: World, organisation: RawOrganisation, driver: str, tmp_path: Path
) -> None:
    caller, chance = Caller(clocked, organisation, driver, tmp_path), random.Random(driver)
    for turn in range(ROUNDS):
        low, high = sorted(chance.sample(EDGES, 2))
        fields = chance.sample(sorted(FIELDS), chance.randrange(len(FIELDS) + 1))
        records = [a_record(chance, f"canary{turn}x{number}x") for number in range(chance.randrange(12))]
        caller.agrees(fields, low, high)
        organisation.says(answer(document(driver, records), kind=TYPES[driver]))
        found = caller.reads("")
        assert found.status == 200, found.body
        inside = [r for r in records if r["line"] == OWN and low <= datetime.fromisoformat(str(r["at"])) < high]
        given = {"at", "line", *(FIELDS[name] for name in fields)}
        expected = [
            {name: caller.ref if name == "line" else value for name, value in record.items() if name in given and value}
            for record in inside
        ]
        assert records_of(driver, found.body) == expected, (turn, fields)
        assert leaked(found.body, records, inside, given) == []
        [entry] = [each for each in clocked.entries(caller.person) if each["event"] == "access"][-1:]
        assert (entry["records"], entry["records_withheld"]) == (len(inside), len(records) - len(inside))


def leaked(body: bytes, records: list[Record], inside: list[Record], given: set[str]) -> list[str]:
    """The words that stand in the bytes and may not: of records withheld, and of fields withheld."""
    may = {word for record in inside for name in given for word in WORD.findall(str(record[name]))}
    told = {word for record in records for text in record.values() for word in WORD.findall(str(text))}
    return sorted(word for word in told - may if word in body.decode())


def test_the_leak_would_be_found() -> None:
    record: Record = {**dict.fromkeys(MEMBERS), "place": "place-canary1x; x"}
    assert leaked(json.dumps(record).encode(), [record], [record], {"at"}) == ["canary1x"]
    assert leaked(json.dumps(record).encode(), [record], [record], {"place"}) == []
