"""What it costs to cut XML of a declared format, as a stream: CPU of one core, the best of several looks. No server.

Records of twelve elements of which six are given, written one below the other, some 10 MB. Most documents are of that
kind (`plain`); the others show what each step away from it costs.
"""

import random
import time
from collections.abc import Callable
from typing import Any

from gateway.catalogue import format_files
from gateway.catalogue.datasets import Dataset, Field
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.model import Account, Asked, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window

LOOKS = 3
ROWS = "shop.rows"
NATIVE, REF = "FR7630006000011234567890189", "pairwise_ref-of-aliceA"
GIVEN = ("account", "moment", "kind", "words", "amount", "currency")
NAMES = (*GIVEN, "balance", "valued", "reference", "country", "code", "city")
SHAPE = "account:s moment:s kind:s words:x amount:d currency:s balance:d valued:s reference:s country:s code:s city:s"
PIECE = 64 * 1024  # as they come from the network
DOCUMENT_BYTES = 10_000_000
ALWAYS = Window(None, None)
_NO_WORDS = {"fr": "", "en": ""}
Say = Callable[[str], None]


def run(say: Say) -> int:
    print(f"\n{'XML, 10 MB as a stream':36}{'MB/s':>8}")
    for name, written in DOCUMENTS.items():
        say(f"a document in XML: {name}")
        body = written()
        print(f"{name:36}{len(body) / _streamed(_shop(), body) / 1e6:8.0f}")
    return 0


def _document(prefix: str = "", words: str = "Boots the Chemist number {}", turned: bool = False) -> bytes:
    chance = random.Random(1)
    tag = f"{prefix}:" if prefix else ""
    pieces = [f'<?xml version="1.0"?>\n<{tag}Rows xmlns{":" if prefix else ""}{prefix}="urn:rows">\n']
    size = 0
    while size < DOCUMENT_BYTES:
        clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
        moment = f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{clock}+02:00"
        amounts = [f"{chance.randint(1, 9_999_999) / 100:.2f}" for _ in range(2)]
        says = words.format(chance.randint(1, 9999))
        values = [NATIVE, moment, "VIS", says, amounts[0], "EUR", amounts[1], moment,
                  f"REF{chance.randint(10**9, 10**10)}", "FR", "5912", "Lyon"]  # fmt: skip
        cells = [f"    <{tag}{name}>{value}</{tag}{name}>\n" for name, value in zip(NAMES, values, strict=True)]
        row = f"  <{tag}Row>\n{''.join(reversed(cells) if turned else cells)}  </{tag}Row>\n"
        pieces.append(row)
        size += len(row)
    return "".join([*pieces, f"</{tag}Rows>\n"]).encode()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "plain": _document,
    "another prefix": lambda: _document("shop"),
    "an ampersand in each record": lambda: _document(words="Marks &amp; Spencer number {}"),
    "elements in another order": lambda: _document(turned=True),
}


def _shop() -> Plan:
    table: dict[str, Any] = {
        "driver": "xml",
        "calls": [{"name": "rows", "dataset": ROWS, "path": "/rows", "records": "Row"}],
        "records": {"Row": {"at": "Rows.Row", "account": "account", "instant": "moment"}},
        "namespaces": {"": "urn:rows"},
        "shapes": {"Answer": "Rows:Rows", "Rows": "Row:Row*", "Row": SHAPE},
    }
    faults: list[str] = []
    form = format_files.read(FileTable("bench", table, faults), "")
    assert not faults, faults
    members = frozenset(("Row", name) for name in GIVEN)
    field = Field("row", _NO_WORDS, _NO_WORDS, True, "none", members, frozenset(), False)
    words = dict.fromkeys(("label", "short", "long", "account", "time"), _NO_WORDS)
    known = Dataset(ROWS, "shop", "", "shopping", sensitivity="none", fields={"row": field}, **words)
    where = ("https://gw.example/data/shop", "https://org.example")
    source = Source("shop", "shop", "", "Europe/Paris", *where, forms={"": form}, known={ROWS: known})
    return registry.plan(source, "", [Granted(ROWS, frozenset(["row"]), (Account(NATIVE, REF),))])


def _streamed(plan: Plan, body: bytes) -> float:
    """Seconds of CPU for one answer."""
    sent = plan.request(Asked("GET", "/rows"), ALWAYS)
    assert isinstance(sent, Upstream), sent
    pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]
    took = []
    for _ in range(LOOKS):
        begun = time.process_time()
        cutter = plan.cutter(sent, "application/xml", ALWAYS)
        assert cutter is not None
        for piece in pieces:
            cutter.feed(piece)
        cutter.close()
        took.append(time.process_time() - begun)
        assert cutter.counts().records > 0
    return min(took)
