"""The same electricity as Green Button: entries of NAESB ESPI in Atom feeds.

An `Entry` is one resource with its place in the tree of addresses; the server picks entries by address. Interval
blocks are cut per calendar month of Europe/Paris, and at the edges of the time asked for, so that every block sent
lies wholly inside it. One UUID per resource over all downloads (UUIDv5), another one for a block cut shorter.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr

from examples.data import energy
from examples.data.energy import HOUR, Point, Reading, Statement

RESOURCE = "/espi/1_1/resource"
_LOCAL_TIME = "LocalTimeParameters/paris"
_READING_TYPE = "ReadingType/electricity-hourly-wh"
# Rule bits: month, 7 = last such day of the month, Sunday, hour of local time (espi.xsd, DstRuleType).
_DST_START = f"{3 << 28 | 7 << 25 | 7 << 17 | 2 << 12:08X}"
_DST_END = f"{10 << 28 | 7 << 25 | 7 << 17 | 3 << 12:08X}"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start, end) in epoch seconds."""

    start: int = 0
    end: int = 1 << 40

    def holds(self, start: int, end: int) -> bool:
        return start >= self.start and end <= self.end


ALWAYS = Window()


@dataclass(frozen=True, slots=True)
class Entry:
    kind: str  # name of the resource
    path: str  # below the resource address, e.g. "Subscription/x/UsagePoint/y"
    title: str
    updated: int
    name: str  # what its UUID is made from
    body: Callable[[], str]
    related: tuple[tuple[str, str], ...] = ()  # (type, path)

    @property
    def up(self) -> str:
        return self.path.rsplit("/", 1)[0]


def entries(points: Iterable[Point], subscription: str, today: date, window: Window = ALWAYS) -> Iterator[Entry]:
    """All resources of a subscription: parts that all points share first, then point by point."""
    at = energy.midnight(today)
    yield Entry("LocalTimeParameters", _LOCAL_TIME, "Europe/Paris", at, "local time", _local_time)
    yield Entry("ReadingType", _READING_TYPE, "Hourly electricity in Wh", at, "reading type", _reading_type)
    for point in points:
        yield from _point_entries(point, f"Subscription/{subscription}/UsagePoint/{point.id}", today, window)


def _point_entries(point: Point, path: str, today: date, window: Window) -> Iterator[Entry]:
    at = energy.midnight(today)
    meter = f"{path}/MeterReading/hourly"
    related = (
        ("espi-feed/MeterReading", f"{path}/MeterReading"),
        ("espi-feed/UsageSummary", f"{path}/UsageSummary"),
        ("espi-entry/LocalTimeParameters", _LOCAL_TIME),
    )
    title = f"{point.home.name}, {point.home.address}"
    yield Entry("UsagePoint", path, title, at, point.id, partial(_usage_point, point), related)
    below = (("espi-feed/IntervalBlock", f"{meter}/IntervalBlock"), ("espi-entry/ReadingType", _READING_TYPE))
    yield Entry("MeterReading", meter, "Hourly electricity", at, f"{point.id}/hourly", _meter_reading, below)
    for month in energy.months(today):
        readings = [r for r in energy.month_readings(point, month, today) if window.holds(r.start, r.start + HOUR)]
        if readings:
            yield _block_entry(point, meter, month, readings)
    for statement in energy.statements(point, today):
        if window.holds(statement.start, statement.end):
            name = f"{point.id}/statement/{statement.month}"
            place = f"{path}/UsageSummary/{statement.month:%Y%m}"
            title = f"Statement of {statement.month:%Y-%m}"
            yield Entry("UsageSummary", place, title, statement.end, name, partial(_summary, point, statement))


def _block_entry(point: Point, meter: str, month: date, readings: list[Reading]) -> Entry:
    start, end = readings[0].start, readings[-1].start + HOUR
    name = f"{point.id}/block/{start}/{end}"
    place = f"{meter}/IntervalBlock/{month:%Y%m}"
    return Entry("IntervalBlock", place, f"Hours of {month:%Y-%m}", end, name, partial(_block, readings))


# ---- documents


def feed(base: str, path: str, title: str, updated: int, found: Iterable[Entry]) -> bytes:
    """An Atom feed. `base` is the address of the server, `path` that of this feed below the resource address."""
    self_link = _link(base, "self", path, "espi-feed/" + path.rsplit("/", 1)[-1] if "Batch" not in path else _BATCH)
    head = f"<id>{_uuid('feed/' + path)}</id><title>{escape(title)}</title><updated>{_instant(updated)}</updated>"
    parts = [_XML, '<feed xmlns="http://www.w3.org/2005/Atom">', head, self_link]
    parts += [_entry(base, entry, "<entry>") for entry in found]
    return "\n".join([*parts, "</feed>", ""]).encode()


def document(base: str, entry: Entry) -> bytes:
    """One entry as a document of its own."""
    return f"{_XML}\n{_entry(base, entry, _ENTRY)}\n".encode()


def service_status() -> bytes:
    return f'{_XML}\n<ServiceStatus xmlns="{_ESPI}"><currentStatus>1</currentStatus></ServiceStatus>\n'.encode()


def authorization(base: str, subscription: str, at: int) -> bytes:
    """What the token stands for, as an ESPI Authorization: active, with the address of its data."""
    resource = f"{base}{RESOURCE}"
    body = (
        f'<Authorization xmlns="{_ESPI}"><status>1</status><expires_at>{at + 400 * 86400}</expires_at>'
        "<grant_type>authorization_code</grant_type><scope>FB=4_5_15;IntervalDuration=3600;BlockDuration=monthly;"
        "HistoryLength=13</scope><token_type>Bearer</token_type>"
        f"<resourceURI>{resource}/Batch/Subscription/{subscription}</resourceURI>"
        f"<authorizationURI>{resource}/Authorization/{subscription}</authorizationURI></Authorization>"
    )
    path = f"Authorization/{subscription}"
    return document(base, Entry("Authorization", path, "Authorization", at, path, lambda: body))


_XML = '<?xml version="1.0" encoding="UTF-8"?>'
_ESPI = "http://naesb.org/espi"
_ENTRY = '<entry xmlns="http://www.w3.org/2005/Atom">'
_BATCH = "espi-entry/Subscription"


def _entry(base: str, entry: Entry, opening: str) -> str:
    links = [
        _link(base, "self", entry.path, f"espi-entry/{entry.kind}"),
        _link(base, "up", entry.up, f"espi-feed/{entry.kind}"),
        *(_link(base, "related", path, kind) for kind, path in entry.related),
    ]
    at = _instant(entry.updated)
    return (
        f"{opening}<id>{_uuid(entry.name)}</id>{''.join(links)}<title>{escape(entry.title)}</title>"
        f"<content>{entry.body()}</content><published>{at}</published><updated>{at}</updated></entry>"
    )


def _link(base: str, rel: str, path: str, kind: str) -> str:
    return f"<link rel={quoteattr(rel)} href={quoteattr(f'{base}{RESOURCE}/{path}')} type={quoteattr(kind)}/>"


def _uuid(name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, 'city-energy/' + name)}"


def _instant(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- bodies, children in the order of the schema


def _local_time() -> str:
    return (
        f'<LocalTimeParameters xmlns="{_ESPI}"><dstEndRule>{_DST_END}</dstEndRule><dstOffset>3600</dstOffset>'
        f"<dstStartRule>{_DST_START}</dstStartRule><tzOffset>3600</tzOffset></LocalTimeParameters>"
    )


def _reading_type() -> str:
    return (
        f'<ReadingType xmlns="{_ESPI}"><accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity>'
        "<currency>978</currency><dataQualifier>12</dataQualifier><flowDirection>1</flowDirection>"
        f"<intervalLength>{HOUR}</intervalLength><kind>12</kind><phase>769</phase>"
        "<powerOfTenMultiplier>0</powerOfTenMultiplier><timeAttribute>0</timeAttribute><uom>72</uom></ReadingType>"
    )


def _usage_point(point: Point) -> str:
    tariff = "Heures creuses" if point.home.night_tariff else "Base"
    return (
        f'<UsagePoint xmlns="{_ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory><status>1</status>'
        f"<serviceDeliveryPoint><name>{escape(point.home.address)}</name><tariffProfile>{tariff}</tariffProfile>"
        f"<customerAgreement>{point.agreement}</customerAgreement></serviceDeliveryPoint></UsagePoint>"
    )


def _meter_reading() -> str:
    return f'<MeterReading xmlns="{_ESPI}"/>'


def _interval(start: int, end: int) -> str:
    return f"<duration>{end - start}</duration><start>{start}</start>"


def _block(readings: list[Reading]) -> str:
    span = _interval(readings[0].start, readings[-1].start + HOUR)
    return (
        f'<IntervalBlock xmlns="{_ESPI}"><interval>{span}</interval>'
        + "".join(
            f"<IntervalReading><cost>{r.cost}</cost><ReadingQuality><quality>{r.quality}</quality></ReadingQuality>"
            f"<timePeriod>{_interval(r.start, r.start + HOUR)}</timePeriod><value>{r.wh}</value></IntervalReading>"
            for r in readings
        )
        + "</IntervalBlock>"
    )


def _measured(name: str, wh: int, at: int) -> str:
    return (
        f"<{name}><powerOfTenMultiplier>0</powerOfTenMultiplier><timeStamp>{at}</timeStamp><uom>72</uom>"
        f"<value>{wh}</value></{name}>"
    )


def _line(amount: int, at: int, note: str, kind: int) -> str:
    return (
        f"<costAdditionalDetailLastPeriod><amount>{amount}</amount><dateTime>{at}</dateTime><note>{note}</note>"
        f"<itemKind>{kind}</itemKind></costAdditionalDetailLastPeriod>"
    )


def _summary(point: Point, s: Statement) -> str:
    """A statement drawn up at the end of its month: what is "to date" is the month itself."""
    readings = energy.month_readings(point, s.month, date.max)
    quality = energy.VALID if all(r.quality == energy.VALID for r in readings) else energy.MIXED
    return (
        f'<UsageSummary xmlns="{_ESPI}"><billingPeriod>{_interval(s.start, s.end)}</billingPeriod>'
        f"<billLastPeriod>{s.amount}</billLastPeriod><billToDate>{s.amount}</billToDate>"
        f"<costAdditionalLastPeriod>{energy.STANDING_CHARGE + s.tax}</costAdditionalLastPeriod>"
        + _line(energy.STANDING_CHARGE, s.end, "Abonnement", 2)
        + _line(s.tax, s.end, "Taxes", 5)
        + "<currency>978</currency>"
        + _measured("overallConsumptionLastPeriod", s.wh, s.end)
        + _measured("currentBillingPeriodOverAllConsumption", s.wh, s.end)
        + _measured("previousDayLastYearOverallConsumption", s.last_day_a_year_ago_wh, s.end)
        + _measured("previousDayOverallConsumption", s.last_day_wh, s.end)
        + f"<qualityOfReading>{quality}</qualityOfReading><statusTimeStamp>{s.end}</statusTimeStamp>"
        f"<commodity>1</commodity></UsageSummary>"
    )
