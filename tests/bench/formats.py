"""What it costs to cut an answer: a declared format beside a shipped one, and a table as a stream. There is no server.

CPU of one core, the best of several looks. A declared format is the shipped bank's own file, read as an organisation's
own: what differs is only that it is declared. The table has twelve columns of which six are given; one file has days,
so that a few texts of time stand in all rows; one has a second of its own in each row; one has quotes in each row, and
one has a separator inside them.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from examples.data import bank
from gateway.catalogue import fields as governing
from gateway.catalogue import format_files
from gateway.catalogue.datasets import Dataset, Field
from gateway.catalogue.formats import Format
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.model import Account, Asked, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window
from tests.bench.documents import ACCOUNT

LOOKS = 5
SECONDS = 0.4  # of one look at a small answer
YEAR = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
ALWAYS = Window(None, None)
SHIPPED, TRANSACTIONS, ROWS = "uk-open-banking-4", "bank.transactions", "shop.rows"
NATIVE = "FR7630006000011234567890189"
REF = "pairwise_ref-of-aliceA"
GIVEN = ("account", "day", "kind", "words", "amount", "currency")
SHAPE = (
    """account:s day:s kind:s words:x amount:d currency:s balance:d value_day:s reference:s country:s code:s city:s"""
)
PIECE = 64 * 1024  # as they come from the network
TABLE_BYTES = 10_000_000
_NO_WORDS = {"fr": "", "en": ""}

Say = Callable[[str], None]


def run(say: Say) -> int:
    say("answers of a bank, as shipped and as declared")
    print(f"{'JSON':24}{'shipped, µs':>14}{'declared, µs':>14}{'ratio':>8}{'MB/s':>8}")
    for name, size in (("2 kB", 2_000), ("100 kB", 100_000)):
        body = _transactions(size)
        took = [_whole(_bank(declared), "application/json", body) for declared in (False, True)]
        mb = len(body) / took[1] / 1e6
        print(f"{name:24}{took[0] * 1e6:14.1f}{took[1] * 1e6:14.1f}{took[1] / took[0]:8.2f}{mb:8.0f}")
    print(f"{'records like rows, JSON':24}{'MB/s':>36}{'':8}{_rows_as_json():8.0f}")
    print(f"\n{'CSV, 10 MB as a stream':36}{'MB/s':>8}")
    for name, (written, moment, quoted) in TABLES.items():
        say(f"a table with {name}")
        body = _table(moment, quoted)
        print(f"{name:36}{len(body) / _streamed(_shop('csv', written), body) / 1e6:8.0f}")
    return 0


def _day(chance: random.Random) -> str:
    return f"{chance.randint(1, 28):02}/{chance.randint(1, 12):02}/2025"


def _second(chance: random.Random) -> str:
    clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    return f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{clock}+02:00"


TABLES: dict[str, tuple[str, Callable[[random.Random], str], str]] = {
    "days": ("dd/mm/yyyy", _day, ""),
    "a second of its own in each row": ("iso", _second, ""),
    "days, and quotes in each row": ("dd/mm/yyyy", _day, '"%s"'),
    "days, and a comma in each row": ("dd/mm/yyyy", _day, '"%s, Lyon"'),
}


# ---- plans


def _bank(declared: bool) -> Plan:
    form, known = governing.shipped().formats[SHIPPED], governing.shipped().datasets[TRANSACTIONS]
    source = Source("harbour", "bank", "", "Europe/Paris", "https://gw.example/data/harbour", "https://org.example")
    if declared:
        own = replace(form, id="")
        source = replace(source, forms={"": own}, known={TRANSACTIONS: replace(known, format="")})
    accounts = (Account(ACCOUNT.id, REF),)
    return registry.plan(
        source, "" if declared else SHIPPED, [Granted(TRANSACTIONS, frozenset(known.fields), accounts)]
    )


def _shop(driver: str, written: str) -> Plan:
    table: dict[str, Any] = {
        "driver": driver,
        "calls": [{"name": "rows", "dataset": ROWS, "path": "/rows", "records": "Row"}],
        "records": {"Row": {"account": "account", "instant": "day", "written": written}},
        "shapes": {"Row": SHAPE},
    }
    faults: list[str] = []
    form: Format = format_files.read(FileTable("bench", table, faults), "")
    assert not faults, faults
    members = frozenset(("Row", name) for name in GIVEN)
    field = Field("row", _NO_WORDS, _NO_WORDS, True, "none", members, frozenset(), False)
    words = dict.fromkeys(("label", "short", "long", "account", "time"), _NO_WORDS)
    known = Dataset(ROWS, "shop", "", "shopping", sensitivity="none", fields={"row": field}, **words)
    where = ("https://gw.example/data/shop", "https://org.example")
    source = Source("shop", "shop", "", "Europe/Paris", *where, forms={"": form}, known={ROWS: known})
    return registry.plan(source, "", [Granted(ROWS, frozenset(["row"]), (Account(NATIVE, REF),))])


# ---- answers


def _transactions(size: int) -> bytes:
    """Whole transactions of an example account, as often as they have to stand there for so many bytes."""
    rows = [row for row in bank.transactions(ACCOUNT, datetime(2026, 1, 1).date()) if row["Status"] == "BOOK"]
    each = len(json.dumps(rows[:50], separators=(",", ":"))) / 50
    many = (rows * (1 + int(size / each / len(rows))))[: max(1, round(size / each))]
    return json.dumps({"Data": {"Transaction": many}, "Links": {"Self": "https://x"}, "Meta": {}}).encode()


def _cells(moment: Callable[[random.Random], str]) -> list[list[str]]:
    chance = random.Random(1)
    rows = []
    for _ in range(TABLE_BYTES // 130):
        at = moment(chance)
        amounts = (f"{chance.randint(1, 99_999) / 100:.2f}", f"{chance.randint(1, 9_999_999) / 100:.2f}")
        words = f"Boots the Chemist number {chance.randint(1, 9999)}"
        reference = f"REF{chance.randint(10**9, 10**10)}"
        rows.append([NATIVE, at, "VIS", words, amounts[0], "EUR", amounts[1], at, reference, "FR", "5912", "Lyon"])
    return rows


def _names() -> list[str]:
    return [member.partition(":")[0] for member in SHAPE.split()]


def _table(moment: Callable[[random.Random], str], quoted: str) -> bytes:
    lines = [_names(), *_cells(moment)]
    for cells in lines[1:] if quoted else ():
        cells[3] = quoted % cells[3]
    return "".join(",".join(cells) + "\r\n" for cells in lines).encode()


def _rows_as_json() -> float:
    names = _names()
    records = [dict(zip(names, cells, strict=True)) for cells in _cells(_day)[:400]]
    body = json.dumps(records, separators=(",", ":")).encode()
    return len(body) / _whole(_shop("json", "dd/mm/yyyy"), "application/json", body) / 1e6


# ---- looks


def _asked(plan: Plan, window: Window) -> Upstream:
    path = "/rows" if ROWS in getattr(plan, "parts", {}) else f"/open-banking/v4.0/aisp/accounts/{REF}/transactions"
    found = plan.request(Asked("GET", path), window)
    assert isinstance(found, Upstream), found
    return found


def _whole(plan: Plan, media_type: str, body: bytes) -> float:
    """Seconds of CPU for one answer."""
    sent = _asked(plan, ALWAYS)
    assert plan.cut(sent, media_type, body, ALWAYS).counts.records > 0
    took = []
    for _ in range(LOOKS):
        begun, number = time.process_time(), 0
        while time.process_time() - begun < SECONDS:
            plan.cut(sent, media_type, body, ALWAYS)
            number += 1
        took.append((time.process_time() - begun) / number)
    return min(took)


def _streamed(plan: Plan, body: bytes) -> float:
    sent = _asked(plan, YEAR)
    pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]
    took = []
    for _ in range(LOOKS):
        begun = time.process_time()
        cutter = plan.cutter(sent, "text/csv", YEAR)
        assert cutter is not None
        for piece in pieces:
            cutter.feed(piece)
        cutter.close()
        took.append(time.process_time() - begun)
        assert cutter.counts().records > 0
    return min(took)
