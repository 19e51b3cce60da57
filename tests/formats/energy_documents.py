"""Small Green Button feeds: usage points with readings and bills, every part with relative links and no link types."""

import random
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape as xml

from format_documents import ALWAYS, MINE, TYPES, granted, plan, sent

from gateway.formats.espi.shapes import CHILDREN, SUMMARIES
from gateway.formats.model import Cut, Plan, Upstream
from gateway.ground.calendar.instants import Window

ATOM, ESPI = "http://www.w3.org/2005/Atom", "http://naesb.org/espi"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
HOUR = 3600
START = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())

ENERGY_CANARIES = {
    "energy.electricity.usage": {
        "interval.start": ["<start>", "<duration>"],
        "interval.value": ["<value>"],
        "interval.quality": ["<quality>"],
        "interval.cost": ["<cost>", "<currency>", "<tou>"],
    },
    "energy.electricity.summary": {
        "summary.period": ["<billingPeriod>"],
        "summary.consumption": ["overallConsumptionLastPeriod", "606060"],
        "summary.amounts": ["505050", "line-canary", "tariff-canary"],
        "summary.comparisons": ["707070", "previousDayOverallConsumption"],
    },
    "energy.point": {"point.location": ["street-canary", "agreement-canary"]},
}
ENERGY_NEVER = ["never", MINE.native, "9B6C7070", "rgb-street"]


def reading(start: int, value: int = 450, lasts: int = HOUR) -> str:
    return (
        f"<IntervalReading><cost>12</cost><ReadingQuality><quality>0</quality></ReadingQuality><timePeriod>"
        f"<duration>{lasts}</duration><start>{start}</start></timePeriod><value>{value}</value><tou>1</tou>"
        f"</IntervalReading>"
    )


def hours(start: int, count: int, lasts: int = HOUR) -> str:
    rng = random.Random(start)
    return "".join(reading(start + i * lasts, rng.randrange(10_000), lasts) for i in range(count))


def block(readings: str, start: int = START, lasts: int = HOUR) -> str:
    span = f"<interval><duration>{lasts}</duration><start>{start}</start></interval>"
    return f'<IntervalBlock xmlns="{ESPI}">{span}{readings}</IntervalBlock>'


def espi_entry(path: str, content: str, related: Iterable[str] = (), title: str = "rgb-street 7") -> str:
    links = f'<link rel="self" href="{path}"/><link rel="up" href="{path.rsplit("/", 1)[0]}"/>'
    links += "".join(f'<link rel="related" href="{to}"/>' for to in related)
    name = uuid5(NAMESPACE_URL, path)
    return (
        f"<entry><id>urn:uuid:{name}</id>{links}<title>{title}</title><content>{content}</content>"
        "<published>2025-07-01T00:00:00Z</published><updated>2025-07-01T00:00:00Z</updated></entry>"
    )


def espi_feed(*entries: str) -> bytes:
    head = f'<feed xmlns="{ATOM}"><id>urn:uuid:0</id><title>rgb-street</title><updated>2025-07-01T00:00:00Z</updated>'
    return f'{DECLARATION}\n{head}<link rel="self" href="/x/9B6C7070"/>{"".join(entries)}</feed>'.encode()


ROOT = "/espi/1_1/resource/RetailCustomer/9B6C7070/UsagePoint"


def usage_point(native: str, *blocks: str, summaries: Iterable[str] = (), shared: bool = True) -> list[str]:
    """The entries of one usage point: parts with relative links, blocks and summaries numbered from 0."""
    point = f"{ROOT}/{native}"
    meter = f"{point}/MeterReading/01"
    times, kind = "/espi/1_1/resource/LocalTimeParameters/01", "/espi/1_1/resource/ReadingType/07"
    location = (
        "<serviceDeliveryPoint><name>street-canary</name><tariffProfile>x</tariffProfile>"
        "<customerAgreement>agreement-canary</customerAgreement></serviceDeliveryPoint>"
    )
    entries = [
        espi_entry(
            point,
            f'<UsagePoint xmlns="{ESPI}"><roleFlags>01</roleFlags><ServiceCategory><kind>0</kind></ServiceCategory>'
            f"{location}<readRoute>route-never</readRoute></UsagePoint>",
            [f"{point}/MeterReading", f"{point}/UsageSummary", times],
        ),
        espi_entry(meter, f'<MeterReading xmlns="{ESPI}"/>', [f"{meter}/IntervalBlock", kind]),
        *(espi_entry(f"{meter}/IntervalBlock/{n}", text) for n, text in enumerate(blocks)),
        *(espi_entry(f"{point}/UsageSummary/{n}", text) for n, text in enumerate(summaries)),
    ]
    return entries + ([local_time(times), reading_type(kind)] if shared else [])


def local_time(path: str) -> str:
    inner = "<dstEndRule>B40E2000</dstEndRule><dstOffset>3600</dstOffset><dstStartRule>360E2000</dstStartRule>"
    return espi_entry(
        path, f'<LocalTimeParameters xmlns="{ESPI}">{inner}<tzOffset>3600</tzOffset></LocalTimeParameters>'
    )


def reading_type(path: str) -> str:
    inner = (
        "<accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity><currency>978</currency>"
        "<flowDirection>1</flowDirection><intervalLength>3600</intervalLength><kind>12</kind>"
        "<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom>"
    )
    return espi_entry(path, f'<ReadingType xmlns="{ESPI}">{inner}</ReadingType>')


def summary(start: int = START, lasts: int = 30 * 86400) -> str:
    def measured(name: str, value: int) -> str:
        return f"<{name}><powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom><value>{value}</value></{name}>"

    return (
        f'<UsageSummary xmlns="{ESPI}"><billingPeriod><duration>{lasts}</duration><start>{start}</start>'
        "</billingPeriod><billLastPeriod>505050</billLastPeriod><costAdditionalDetailLastPeriod><amount>1</amount>"
        "<note>line-canary</note><itemKind>5</itemKind></costAdditionalDetailLastPeriod><currency>978</currency>"
        + measured("overallConsumptionLastPeriod", 606060)
        + measured("previousDayOverallConsumption", 707070)
        + f"<statusTimeStamp>{start + lasts}</statusTimeStamp><tariffProfile>tariff-canary</tariffProfile>"
        "<readCycle>cycle-never</readCycle></UsageSummary>"
    )


def city(*extra: str) -> bytes:
    """A feed of one usage point with a day of hours and a bill, and what is planted."""
    entries = usage_point(MINE.native, block(hours(START, 24), START, 24 * HOUR), summaries=[summary()])
    return espi_feed(*entries, *extra)


# ---- plans and cuts

DATASETS = tuple(ENERGY_CANARIES)
BATCH = "/Batch/Subscription/anything"
POINT = f"/Subscription/mine/UsagePoint/{MINE.ref}"
MIDNIGHT = datetime.fromtimestamp(START, UTC)


def all_of(without=(), accounts=(MINE,), most=None):
    return plan(*(granted(name, without, accounts, most) for name in DATASETS))


def cut(body: bytes, of=None, window=ALWAYS, path=BATCH) -> Cut:
    of = of or all_of()
    return of.cut(sent(of, "energy", path, window=window), TYPES["energy"], body, window)


def cut_by(way: str, of: Plan, call: Upstream, body: bytes, window: Window = ALWAYS) -> bytes:
    """What leaves of an answer, held as a "whole" or as a "stream" of small pieces."""
    if way == "whole":
        return of.cut(call, TYPES["energy"], body, window).body
    cutter = of.cutter(call, TYPES["energy"], window)
    assert cutter is not None
    return b"".join([*(cutter.feed(body[at : at + 99]) for at in range(0, len(body), 99)), cutter.close()])


def starts(found: Cut) -> list[int]:
    return [int(each) for each in re.findall(rb"<timePeriod><duration>\d+</duration><start>(\d+)", found.body)]


def day(*readings: str) -> bytes:
    return espi_feed(*usage_point(MINE.native, block("".join(readings))))


def seconds(start: int, end: int) -> Window:
    return Window(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))


def espi_filled(kind: str, text: str) -> str:
    """The children of an element with this text wherever the format has text, and in what is never given."""
    return "".join(
        f"<{name}>{xml(text) if word in ('t', 'n', '-') else espi_filled(word.rstrip('*'), text)}</{name}>"
        for name, word in CHILDREN[kind].items()
        if name != "billingPeriod"
    )


def espi_filled_feed(native: str, text: str) -> bytes:
    point = f"{ROOT}/{native}"
    meter, shared = f"{point}/MeterReading/m-{native}", [f"/espi/LocalTimeParameters/{native}", "/espi/ReadingType/1"]
    period = f"<billingPeriod><duration>3600</duration><start>{START}</start></billingPeriod>"
    inner = {kind: espi_filled(kind, text) for kind in ("UsagePoint", *(name.split("/")[2] for name in shared))}
    inner |= {kind: period + espi_filled(kind, text) for kind in SUMMARIES}
    whole = {kind: f'<{kind} xmlns="{ESPI}">{each}</{kind}>' for kind, each in inner.items()}
    readings = f'<IntervalBlock xmlns="{ESPI}">{reading(START)}</IntervalBlock>'
    return espi_feed(
        espi_entry(point, whole["UsagePoint"], [f"{point}/MeterReading", shared[0]]),
        espi_entry(meter, f'<MeterReading xmlns="{ESPI}"/>', [f"{meter}/IntervalBlock", shared[1]]),
        espi_entry(f"{meter}/IntervalBlock/b.{native.lower()}", readings),
        *(espi_entry(f"{point}/{kind}/{native}", whole[kind]) for kind in SUMMARIES),
        *(espi_entry(path, whole[path.split("/")[2]]) for path in shared),
    )


# ---- the form of a large utility's day feed: hints of schemas on every element, ids of any characters, one id for
# the subscription, the usage point and the meter, and resources that are never given beside the readings

HINT = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ns1:{}Type"'
DAY_TYPE, DAY_BILL = "NzI6bnVsbDozNjAwOjE=", "1,436,684,400,000"
DAY_ROOT = "https://api.org.example/GreenButtonConnect/espi/1_1/resource"


def hinted_entry(path: str, content: str, related: Iterable[str] = ()) -> str:
    def link(rel: str, to: str) -> str:
        return f'<ns1:link href="{DAY_ROOT}{to}" rel="{rel}" {HINT.format("link")}/>'

    def text(name: str, words: str, more: str = "") -> str:
        return f"<ns1:{name} {more}{HINT.format(name)}>{words}</ns1:{name}>"

    links = link("up", path.rpartition("/")[0]) + link("self", path) + "".join(link("related", to) for to in related)
    return (
        f'<ns1:entry xmlns:ns1="{ATOM}">{text("id", str(uuid5(NAMESPACE_URL, path)))}{links}'
        + text("title", "rgb-street 7", 'type="text" ')
        + text("published", "2025-06-02T07:24:36.43Z")
        + text("updated", "2025-06-02T07:24:36.431Z")
        + text("content", content)
        + "</ns1:entry>\n"
    )


def prefixed(content: str) -> str:
    """ESPI under a prefix, declared on the resource."""
    text = re.sub(r"<(/?)(?=[A-Za-z])", r"<\1ns0:", content)
    return text.replace(f' xmlns="{ESPI}"', f' xmlns:ns0="{ESPI}"')


PROGRAMS = f"""<ProgramIdMappings xmlns="{ESPI}"><programIdMapping><programIdType>1</programIdType><code>1</code>
<name>program-never</name></programIdMapping></ProgramIdMappings>"""


def day_feed(native: str, *more: str, kind: str = DAY_TYPE, head: str = "") -> bytes:
    """A day of hours and a bill of one usage point, in that form."""
    point = f"/Subscription/{native}/UsagePoint/{native}"
    meter, times, unit = f"{point}/MeterReading/{native}", "/LocalTimeParameters/1", f"/ReadingType/{kind}"
    inner = "<ServiceCategory><kind>0</kind></ServiceCategory>"
    shared = [re.search("<content>(.*)</content>", make("/x/1"))[1] for make in (local_time, reading_type)]
    entries = [
        hinted_entry(times, prefixed(shared[0])),
        hinted_entry(unit, prefixed(shared[1])),
        hinted_entry(
            point,
            prefixed(f'<UsagePoint xmlns="{ESPI}">{inner}</UsagePoint>'),
            [f"{point}/MeterReading", f"{point}/UsageSummary", times],
        ),
        hinted_entry(meter, prefixed(f'<MeterReading xmlns="{ESPI}"/>'), [f"{meter}/IntervalBlock", unit, times]),
        hinted_entry(f"{meter}/IntervalBlock/{START}", prefixed(block(hours(START, 24), START, 24 * HOUR))),
        hinted_entry(f"{point}/UsageSummary/{DAY_BILL}", prefixed(summary())),
        hinted_entry("/ProgramIdMappings/1", prefixed(PROGRAMS)),
    ]
    own = f"{DAY_ROOT}/Batch/Subscription/{native}/UsagePoint/{native}"
    start = (
        f'<ns1:feed xmlns:ns0="{ESPI}" xmlns:ns1="{ATOM}"><ns1:id>x</ns1:id><ns1:title type="text">Green</ns1:title>'
        f'<ns1:updated>2025-06-02T07:24:36.43Z</ns1:updated><ns1:link href="{own}" rel="self"/>{head}'
    )
    return f"{start}{''.join(entries)}{''.join(more)}</ns1:feed>".encode()
