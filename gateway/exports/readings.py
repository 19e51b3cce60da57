"""All an energy supplier holds of a person: the Green Button file, and a plain CSV beside it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from gateway.formats.espi.accounts import call, pages
from gateway.formats.espi.calls import MEDIA_TYPE
from gateway.formats.espi.family import Family
from gateway.formats.espi.feed import Feed, FeedEntry
from gateway.formats.espi.readings import CLOSE, EARLIEST, LATEST
from gateway.formats.espi.shapes import ESPI, SUMMARIES
from gateway.formats.model import LIMIT, Account, Download, Fetch, Source, TooLarge
from gateway.ground.calendar.instants import zone
from gateway.ground.web.spreadsheets import written

HEADER = ("usage_point", "start", "duration_s", "value", "unit", "cost", "currency", "quality")
UNITS = {"38": "W", "42": "m3", "72": "Wh", "119": "ft3", "169": "therm"}
CURRENCIES = {"36": "AUD", "756": "CHF", "826": "GBP", "840": "USD", "978": "EUR"}
MOST = 8 * LIMIT  # bytes of her own file: two meters of quarter hours over some years
MONEY = Decimal("0.00001")  # of the currency, whatever the reading's multiplier is


def download(source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> list[Download]:
    """`GreenButtonDownload.xml` as the supplier sends it, a file for each page, and `readings.csv` of all of them."""
    files: list[Download] = []
    documents: list[Feed] = []
    rows: list[tuple[str, ...]] = []
    seconds: list[int] = []
    size = 0
    for body, document in pages(fetch, call(source, "batch"), MOST):
        size += len(body)
        if size > MOST:
            raise TooLarge(f"{size} bytes")
        documents.append(document)
        name = f"GreenButtonDownload{f'-{len(documents)}' if files else ''}.xml"
        files.append(Download(name, MEDIA_TYPE, body, "energy", 0))
    family = _family(documents)
    types = {e.self: e for document in documents for e in document.entries if e.kind == "ReadingType"}
    wanted = {account.native for account in accounts}
    for number, document in enumerate(documents):
        own, found = _rows(source, document, family, types, wanted)
        records = len(own) + sum(entry.kind in SUMMARIES for entry in document.entries)
        files[number] = replace(files[number], records=records, start=_first(found), end=_last(found))
        rows += own
        seconds += found
    text = written([HEADER, *rows])
    table = Download(
        "readings.csv", "text/csv", text, "energy.electricity.usage", len(rows), _first(seconds), _last(seconds)
    )
    return [*files, table]


def _family(documents: list[Feed]) -> Family:
    """Of all pages: each may tell again of the usage points and meters that its readings hang from."""
    family = Family()
    for document in documents:
        for entry in document.entries:
            if entry.kind in ("UsagePoint", "MeterReading") and (
                entry.self in family.points or entry.self in family.meters
            ):
                family.claim(entry)
            else:
                family.learn(entry)
    return family


def _rows(
    source: Source, document: Feed, family: Family, types: dict[str, FeedEntry], wanted: set[str]
) -> tuple[list[tuple[str, ...]], list[int]]:
    rows: list[tuple[str, ...]] = []
    seconds: list[int] = []
    for entry in document.entries:
        point = family.point(entry) if entry.kind == "IntervalBlock" else None
        if point not in wanted:
            continue
        meter = family.meters.get(family.meter(entry) or "")
        kind = next((types[path] for path in meter.related if path in types), None) if meter else None
        for start, row in _readings(entry, kind, source.zone):
            rows.append((point or "", *row))
            seconds += (start, start + int(row[1]))
    return rows, seconds


def _readings(block: FeedEntry, kind: FeedEntry | None, zone_name: str) -> list[tuple[int, tuple[str, ...]]]:
    """Without its type a reading has no unit and no multiplier: its number is in the feed, and not in the table."""
    power = Decimal(10) ** int(_text(kind, "powerOfTenMultiplier") or 0)
    unit = UNITS.get(_text(kind, "uom"), _text(kind, "uom"))
    currency = CURRENCIES.get(_text(kind, "currency"), _text(kind, "currency"))
    found: list[tuple[int, tuple[str, ...]]] = []
    for run in filter(None, (run.within(EARLIEST, LATEST) for run in block.runs)):
        for piece, start, lasts in zip(run.text.split(CLOSE), run.starts, run.durations, strict=False):
            value, cost = _number(piece, b"value"), _number(piece, b"cost")
            moment = datetime.fromtimestamp(start, UTC).astimezone(zone(zone_name)).isoformat()
            row = (
                moment,
                str(lasts),
                f"{Decimal(value) * power:f}" if value and kind is not None else "",
                unit,
                f"{Decimal(cost) * MONEY:f}" if cost else "",
                currency if cost else "",
                _number(piece, b"quality"),
            )
            found.append((start, row))
    return found


def _number(piece: bytes, name: bytes) -> str:
    """The text of one element of a reading in plain form; empty when it is not there."""
    _, found, after = piece.partition(b"<%b>" % name)
    return after.partition(b"<")[0].decode() if found else ""


def _text(entry: FeedEntry | None, name: str) -> str:
    return "" if entry is None else (entry.content.findtext(f"{{{ESPI}}}{name}") or "").strip()


def _first(seconds: list[int]) -> datetime | None:
    return datetime.fromtimestamp(min(seconds), UTC) if seconds else None


def _last(seconds: list[int]) -> datetime | None:
    return datetime.fromtimestamp(max(seconds), UTC) if seconds else None
