"""What it costs to cut an answer of a declared format. There is no server: CPU of one core, the best of several looks.

JSON is that of the example bank, beside the least that any JSON costs: read and written again as it is. The goal is
what the bank's own engine came to beside it, before there were tables. Everything else is 10 MB of rows as a stream.
"""

import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from json import dumps

import msgspec

from examples.data import bank
from gateway.catalogue import fields as governing
from gateway.formats import registry
from gateway.formats.model import Account, Asked, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window
from tests.bench import rows
from tests.bench.documents import ACCOUNT

LOOKS = 5
SECONDS = 0.4  # of one look at a small answer
AT_ONCE = 20  # small answers between two looks at the clock
ALWAYS = Window(None, None)
SHIPPED, TRANSACTIONS = "uk-open-banking-4", "bank.transactions"
PIECE = 64 * 1024  # as they come from the network
# size → what the bank's own engine took, in times of the least
BANKS_OWN = {2_000: 2.71, 100_000: 1.49}
WITHIN = 1.10
CSV_LEAST, XML_LEAST = 50, 60  # MB/s of plain rows

Say = Callable[[str], None]


def run(say: Say) -> int:
    say("answers of a bank")
    good = [_json(size, before) for size, before in BANKS_OWN.items()]
    print(f"\n{'10 MB as a stream':44}{'MB/s':>8}{'MB of memory':>14}")
    for name, (least, driver, body, plan) in STREAMS.items():
        say(name)
        good.append(_stream(name, least, driver, body(), plan()))
    return 0 if all(good) else 1


STREAMS: dict[str, tuple[int, str, Callable[[], bytes], Callable[[], Plan]]] = {
    "JSON in lines": (0, "ndjson", rows.lines, lambda: rows.shop("ndjson")),
    "CSV, days": (CSV_LEAST, "csv", rows.table, lambda: rows.shop("csv")),
    "CSV, a second of its own in each row": (0, "csv", lambda: rows.table(rows.second), lambda: rows.shop("csv")),
    "CSV, quotes in each row": (0, "csv", lambda: rows.table(words='"Boots {}"'), lambda: rows.shop("csv")),
    "CSV, a comma inside quotes in each row": (
        0, "csv", lambda: rows.table(words='"Boots, {}"'), lambda: rows.shop("csv")
    ),
    "CSV, amounts made coarser": (0, "csv", rows.table, lambda: rows.shop("csv", coarse=True)),
    "XML": (XML_LEAST, "xml", rows.document, lambda: rows.shop("xml")),
    "XML, another prefix": (0, "xml", lambda: rows.document(prefix="shop"), lambda: rows.shop("xml")),
    "XML, an ampersand in each record": (
        0, "xml", lambda: rows.document(words="Marks &amp; Spencer {}"), lambda: rows.shop("xml")
    ),
    "XML, elements in another order": (0, "xml", lambda: rows.document(turned=True), lambda: rows.shop("xml")),
    "XML, amounts made coarser": (0, "xml", rows.document, lambda: rows.shop("xml", coarse=True)),
}  # fmt: skip


# ---- JSON, whole


def _json(size: int, before: float) -> bool:
    body, plan = _transactions(size), _bank()
    sent = _asked(plan, f"/open-banking/v4.0/aisp/accounts/{REF}/transactions")
    assert plan.cut(sent, "application/json", body, ALWAYS).counts.records > 0
    least = _seconds(lambda: msgspec.json.encode(msgspec.json.decode(body)))
    took = _seconds(lambda: plan.cut(sent, "application/json", body, ALWAYS))
    times, good = took / least, took / least <= WITHIN * before
    beside = f"{times:.2f} times the least; the bank's own engine took {before:.2f}"
    said = f"{took * 1e6:.1f} µs, {len(body) / took / 1e6:.0f} MB/s, {beside}"
    print(f"JSON, {len(body) / 1000:.0f} kB: {said}{'' if good else f': MORE THAN {WITHIN} TIMES THAT'}")
    return good


REF = rows.REF


def _bank() -> Plan:
    known = governing.shipped().datasets[TRANSACTIONS]
    source = Source("harbour", "bank", "", "Europe/Paris", "https://gw.example/data/harbour", "https://org.example")
    return registry.plan(source, SHIPPED, [Granted(TRANSACTIONS, frozenset(known.fields), (Account(ACCOUNT.id, REF),))])


def _transactions(size: int) -> bytes:
    """Whole transactions of an example account, as often as they have to stand there for so many bytes."""
    found = [row for row in bank.transactions(ACCOUNT, datetime(2026, 1, 1).date()) if row["Status"] == "BOOK"]
    each = len(dumps(found[:50], separators=(",", ":"))) / 50
    many = (found * (1 + int(size / each / len(found))))[: max(1, round(size / each))]
    return dumps({"Data": {"Transaction": many}, "Links": {"Self": "https://x"}, "Meta": {}}).encode()


def _seconds(work: Callable[[], object]) -> float:
    """Of CPU, for once."""
    took = []
    for _ in range(LOOKS):
        begun, number = time.process_time(), 0
        while time.process_time() - begun < SECONDS:
            for _ in range(AT_ONCE):
                work()
            number += AT_ONCE
        took.append((time.process_time() - begun) / number)
    return min(took)


# ---- streams


def _stream(name: str, least: int, driver: str, body: bytes, plan: Plan) -> bool:
    speed = len(body) / min(_cut(driver, body, plan) for _ in range(LOOKS)) / 1e6
    tracemalloc.start()
    _cut(driver, body, plan)
    most = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    good = speed >= least
    print(f"{name:44}{speed:8.0f}{most:14.1f}{'' if good else f'   LESS THAN {least}'}")
    return good


TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv", "xml": "application/xml"}


def _cut(driver: str, body: bytes, plan: Plan) -> float:
    """Seconds of CPU for one answer."""
    sent = _asked(plan, "/rows")
    begun = time.process_time()
    cutter = plan.cutter(sent, TYPES[driver], ALWAYS)
    assert cutter is not None
    for at in range(0, len(body), PIECE):
        cutter.feed(body[at : at + PIECE])
    cutter.close()
    took = time.process_time() - begun
    assert cutter.counts().records > 0
    return took


def _asked(plan: Plan, path: str) -> Upstream:
    found = plan.request(Asked("GET", path), ALWAYS)
    assert isinstance(found, Upstream), found
    return found
