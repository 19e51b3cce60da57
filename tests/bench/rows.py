"""Rows of twelve members of which six are given, as JSON, lines of it, CSV and XML, and the plan that cuts them."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from gateway.catalogue import format_files
from gateway.catalogue.datasets import Dataset, Field
from gateway.catalogue.made import Made
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.model import Account, Granted, Plan, Source

NATIVE, REF, ROWS = "FR7630006000011234567890189", "pairwise_ref-of-aliceA", "shop.rows"
GIVEN = ("account", "day", "kind", "words", "amount", "currency")
NAMES = (*GIVEN, "balance", "valued", "reference", "country", "code", "city")
SHAPE = "account:s day:s kind:s words:x amount:d currency:s balance:d valued:s reference:s country:s code:s city:s"
BYTES = 10_000_000
_NO_WORDS = {"fr": "", "en": ""}
Moment = Callable[[random.Random], str]


def day(chance: random.Random) -> str:
    """A few texts of time for all rows."""
    return f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def second(chance: random.Random) -> str:
    """One of its own in nearly each row."""
    clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    return f"{day(chance)}T{clock}+02:00"


def cells(moment: Moment = day, words: str = "Boots the Chemist number {}") -> Iterator[list[str]]:
    chance = random.Random(1)
    while True:
        at = moment(chance)
        amounts = (f"{chance.randint(1, 99_999) / 100:.2f}", f"{chance.randint(1, 9_999_999) / 100:.2f}")
        says, reference = words.format(chance.randint(1, 9999)), f"REF{chance.randint(10**9, 10**10)}"
        yield [NATIVE, at, "VIS", says, amounts[0], "EUR", amounts[1], at, reference, "FR", "5912", "Lyon"]


def _some(texts: Iterator[str], size: int) -> str:
    """So many of them, written one behind the other."""
    found: list[str] = []
    while size > 0:
        found.append(next(texts))
        size -= len(found[-1])
    return "".join(found)


def table(moment: Moment = day, words: str = "Boots the Chemist number {}", size: int = BYTES) -> bytes:
    return (",".join(NAMES) + "\r\n" + _some((",".join(row) + "\r\n" for row in cells(moment, words)), size)).encode()


def lines(size: int = BYTES) -> bytes:
    return _some((json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in cells()), size).encode()


def array(size: int) -> bytes:
    return b"[" + lines(size).rstrip().replace(b"\n", b",") + b"]"


def document(
    moment: Moment = second, words: str = "Boots the Chemist number {}", prefix: str = "", turned: bool = False
) -> bytes:
    """`turned`: elements in another order than the declaration's."""
    tag = f"{prefix}:" if prefix else ""

    def row(texts: list[str]) -> str:
        found = [f"    <{tag}{name}>{text}</{tag}{name}>\n" for name, text in zip(NAMES, texts, strict=True)]
        return f"  <{tag}Row>\n{''.join(reversed(found) if turned else found)}  </{tag}Row>\n"

    head = f'<?xml version="1.0"?>\n<{tag}Rows xmlns{":" if prefix else ""}{prefix}="urn:rows">\n'
    return f"{head}{_some(map(row, cells(moment, words)), BYTES)}</{tag}Rows>\n".encode()


_AROUND: dict[str, dict[str, Any]] = {
    "xml": {"namespaces": {"": "urn:rows"}, "shapes": {"Answer": "Rows:Rows", "Rows": "Row:Row*"}},
}


def shop(driver: str, coarse: bool = False) -> Plan:
    """`coarse`: each amount rounded."""
    around = _AROUND.get(driver, {})
    declared = {
        **around,
        "driver": driver,
        "calls": [{"name": "rows", "dataset": ROWS, "path": "/rows", "records": "Row"}],
        "records": {"Row": {"account": "account", "instant": "day", **({"at": "Rows.Row"} if around else {})}},
        "shapes": {**around.get("shapes", {}), "Row": SHAPE},
    }
    faults: list[str] = []
    form = format_files.read(FileTable("bench", declared, faults), "")
    assert not faults, faults
    amount = frozenset([("Row", "amount")])
    given = frozenset(("Row", name) for name in GIVEN)
    fields = {"row": _field("row", given - amount if coarse else given)}
    if coarse:
        fields["about"] = _field("about", amount, Made("round", "10"))
    words = dict.fromkeys(("label", "short", "long", "account", "time"), _NO_WORDS)
    known = Dataset(ROWS, "shop", "", "shopping", sensitivity="none", fields=fields, **words)
    where = ("https://gw.example/data/shop", "https://org.example")
    source = Source("shop", "shop", "", "Europe/Paris", *where, forms={"": form}, known={ROWS: known})
    return registry.plan(source, "", [Granted(ROWS, frozenset(fields), (Account(NATIVE, REF),))])


def _field(name: str, members: frozenset[tuple[str, str]], made: Made | None = None) -> Field:
    return Field(name, _NO_WORDS, _NO_WORDS, True, "none", members, frozenset(), False, made=made)
