"""An organisation that answers in CSV: its declaration, put together for each test, and tables in what it may write."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from format_documents import ALWAYS, MINE, OTHER

from gateway.catalogue import format_files
from gateway.catalogue.datasets import Dataset, dataset
from gateway.catalogue.formats import Format
from gateway.catalogue.words import FileTable
from gateway.formats import registry
from gateway.formats.drift import Seen
from gateway.formats.model import Account, Asked, Cut, Granted, Plan, Source, Upstream
from gateway.ground.calendar.instants import Window

WORDS = {"fr": "mots", "en": "words"}
ROWS = "shop.receipts"
TYPE = "text/csv"
ZONE = "Europe/Paris"
SHAPE = (
    'card:s at:s total:d articles:i label:x "Merchant/Description":x "Date of birth":s ticket:p secret:- forbidden:!'
)
COLUMNS = ("card", "at", "total", "articles", "label", "Merchant/Description", "Date of birth", "ticket", "secret")
FIELDS: Mapping[str, Sequence[str]] = {
    "receipt.when": ("card", "at"),
    "receipt.total": ("total",),
    "receipt.articles": ("articles", "label"),
    "receipt.shop": ("Merchant/Description",),
    "receipt.birth": ("Date of birth",),
    "receipt.ticket": ("ticket",),
}
FREE = tuple(FIELDS)[1:]


def format_of(
    shape: str = SHAPE,
    driver: str = "csv",
    records: Mapping[str, Any] | None = None,
    types: Mapping[str, str] | None = None,
    **more: Any,
) -> Format:
    """`records`: of the type `Row`; `types`: lines of other types of record; `more`: further keys of the format."""
    rows = {"account": "card", "instant": "at"} if records is None else records
    call = {"name": "receipts", "dataset": ROWS, "path": "/receipts", "records": "Row"}
    one = {"name": "card-receipts", "dataset": ROWS, "path": "/cards/{account}/receipts", "records": "Row"}
    others: Mapping[str, str] = types or {}
    table = {
        "driver": driver,
        "calls": [call, one],
        "records": {"Row": rows, **dict.fromkeys(others, {})},
        "shapes": {"Row": shape, **others},
        **more,
    }
    faults: list[str] = []
    found = format_files.read(FileTable("format", table, faults), "")
    assert not faults, faults
    return found


def dataset_of(fields: Mapping[str, Sequence[str]] = FIELDS, structural: Iterable[str] = ("receipt.when",)) -> Dataset:
    rows = [
        {"id": name, "label": WORDS, "short": WORDS, "find": [f"Row/{column}" for column in columns],
         "structural": name in set(structural)}
        for name, columns in fields.items()
    ]  # fmt: skip
    table = {"id": ROWS, "category": "shopping", "sensitivity": "none", "field": rows, "time": WORDS,
             "account": WORDS, "label": WORDS, "short": WORDS, "long": WORDS}  # fmt: skip
    faults: list[str] = []
    found = dataset(FileTable("dataset", table, faults), "shop", "")
    assert not faults, faults
    return found


def source_of(form: Format, known: Dataset, seen: Seen | None) -> Source:
    where = ("https://gw.example/data/shop-org", "https://org.example")
    return Source("shop-org", "shop", "", ZONE, *where, forms={"": form}, known={ROWS: known}, seen=lambda _: seen)


def plan_of(
    form: Format,
    without: Iterable[str] = (),
    accounts: tuple[Account, ...] = (MINE,),
    most: int | None = None,
    seen: Seen | None = None,
    known: Dataset | None = None,
    others: tuple[str, ...] = (),
) -> Plan:
    held = known or dataset_of()
    item = Granted(ROWS, frozenset(held.fields) - set(without), accounts, most, others, pair="app+alice")
    return registry.plan(source_of(form, held, seen), "", [item])


def sent(of: Plan, path: str = "/receipts", window: Window = ALWAYS) -> Upstream:
    found = of.request(Asked("GET", path), window)
    assert isinstance(found, Upstream), found
    return found


def row(native: str = MINE.native, at: str = "2025-06-15T10:00:00Z", **more: str) -> dict[str, str]:
    found = {
        "card": native, "at": at, "total": "771.01", "articles": "3", "label": "label-canary",
        "Merchant/Description": "Boots, the Chemist", "Date of birth": "1980-02-29", "ticket": "ticket-canary",
        "secret": "secret-never",
    }  # fmt: skip
    return found | more


def table(rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS, **how: Any) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, extrasaction="ignore", restval="", **how)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def cut(of: Plan, body: bytes, window: Window = ALWAYS, path: str = "/receipts", media_type: str = TYPE) -> Cut:
    return of.cut(sent(of, path, window), media_type, body, window)


def streamed(of: Plan, body: bytes, window: Window = ALWAYS, size: int = 7) -> bytes:
    cutter = of.cutter(sent(of, window=window), TYPE, window)
    assert cutter is not None
    out = [cutter.feed(body[at : at + size]) for at in range(0, len(body), size)]
    return b"".join([*out, cutter.close()])


def read(body: bytes, separator: str = ",") -> list[dict[str, str]]:
    """As a reader of its own sees it. Fails where a row has other cells than the header line."""
    rows = list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=separator, strict=True))
    assert all(len(each) == len(rows[0]) for each in rows)
    return [dict(zip(rows[0], each, strict=True)) for each in rows[1:]]


__all__ = ["ALWAYS", "MINE", "OTHER"]
