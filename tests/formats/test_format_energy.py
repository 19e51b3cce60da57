"""Energy: what leaves is valid ESPI, of the granted usage points, and of exactly the readings inside the period."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from energy_documents import (
    BATCH,
    DATASETS,
    ENERGY_CANARIES,
    ENERGY_NEVER,
    ESPI,
    HOUR,
    MIDNIGHT,
    POINT,
    ROOT,
    START,
    all_of,
    block,
    city,
    cut,
    cut_by,
    day,
    espi_entry,
    espi_feed,
    hours,
    reading,
    seconds,
    starts,
    summary,
    usage_point,
)
from format_documents import (
    ALWAYS,
    BASES,
    FOREIGN,
    MINE,
    OTHER,
    TYPES,
    YEAR,
    asked,
    free_fields,
    granted,
    later,
    plan,
    removals,
    sent,
    source,
)
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.formats.model import Account, Denied, NotThere, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window
from tests.torture import TORTURE


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_field_and_every_pair_of_fields_can_be_withheld(dataset, espi):
    for without in removals(dataset, pairs=True):
        found = cut(city(), plan(granted(dataset, without)))
        espi(found.body)
        text = found.body.decode()
        for field in without:
            assert not [canary for canary in ENERGY_CANARIES[dataset][field] if canary in text], (field, without)
        assert not [never for never in ENERGY_NEVER if never in text]
        if not without:
            for canaries in ENERGY_CANARIES[dataset].values():
                assert not [canary for canary in canaries if canary not in text]


def test_a_dataset_that_is_not_granted_leaves_no_trace(espi):
    for dataset in DATASETS:
        found = cut(city(), plan(granted(dataset)))
        espi(found.body)
        text = found.body.decode()
        assert ("MeterReading" in text) == ("IntervalBlock" in text) == (dataset == DATASETS[0])
        assert ("UsageSummary" in text) == (dataset == DATASETS[1])
        assert ("street-canary" in text) == (dataset == DATASETS[2])


def test_readings_without_value_and_cost_are_withheld():
    found = cut(city(), plan(granted(DATASETS[0], ["interval.value", "interval.cost"])))
    assert (found.counts.records, found.counts.records_withheld) == (0, 25) and b"MeterReading" not in found.body
    only_cost = cut(city(), plan(granted(DATASETS[0], ["interval.value"])))
    assert only_cost.counts.records == 24 and b"<cost>12</cost>" in only_cost.body


def test_a_summary_of_its_period_alone_is_withheld():
    found = cut(city(), plan(granted(DATASETS[1], free_fields(DATASETS[1]))))
    assert found.counts.records == 0 and b"UsageSummary" not in found.body


def test_counts_are_exact():
    counts = cut(city()).counts
    assert (counts.records, counts.records_withheld) == (26, 0)  # 24 readings, a bill, the usage point's file
    assert counts.fields_withheld == 3  # roleFlags, readRoute, readCycle
    assert (counts.start, counts.end) == (MIDNIGHT, MIDNIGHT + timedelta(days=30))
    fewer = cut(city(), plan(granted(DATASETS[0], ["interval.cost"]))).counts
    assert (fewer.records, fewer.records_withheld) == (24, 1)
    # cost and tariff band of 24 readings, currency, and three parts of the usage point
    assert fewer.fields_withheld == 48 + 1 + 3


@pytest.mark.parametrize(
    ("low", "high", "kept"), [(0, 24, 24), (1, 24, 23), (0, 23, 23), (5, 6, 1), (5, 5, 0), (24, 48, 0), (-9, 99, 24)]
)
@pytest.mark.parametrize("edge", [-1, 0, 1])
def test_the_window_is_exact_to_the_second(low, high, kept, edge, espi):
    of = plan(granted(DATASETS[0]))
    body = espi_feed(*usage_point(MINE.native, block(hours(START, 24))))
    for start, end in (
        (START + low * HOUR + edge, START + high * HOUR),
        (START + low * HOUR, START + high * HOUR + edge),
    ):
        if start >= end:
            continue
        found = of.cut(sent(of, "energy", BATCH), TYPES["energy"], body, seconds(start, end))
        espi(found.body)
        inside = [s for s in range(START, START + 24 * HOUR, HOUR) if s >= start and s + HOUR <= end]
        assert starts(found) == inside and found.counts.records_withheld == 24 - len(inside)
        if inside:
            span = f"<interval><duration>{len(inside) * HOUR}</duration><start>{inside[0]}</start></interval>"
            assert span.encode() in found.body
        else:
            assert b"IntervalBlock" not in found.body and b"MeterReading" not in found.body
    assert edge or kept == len([s for s in range(24) if s >= low and s + 1 <= high])


@pytest.mark.parametrize(("date", "count"), [((2025, 3, 30), 23), ((2025, 10, 26), 25), ((2024, 2, 29), 24)])
def test_a_local_day_has_its_own_number_of_hours(date, count):
    paris = ZoneInfo("Europe/Paris")
    start, end = datetime(*date, tzinfo=paris), datetime(*date, tzinfo=paris) + timedelta(days=1)
    body = espi_feed(*usage_point(MINE.native, block(hours(int(start.timestamp()) - 5 * HOUR, 40))))
    found = cut(body, plan(granted(DATASETS[0])), Window(start.astimezone(UTC), end.astimezone(UTC)))
    assert found.counts.records == count and starts(found)[0] == int(start.timestamp())


def test_readings_out_of_order_and_of_several_lengths_are_cut_one_by_one():
    mixed = [reading(START + 7200), reading(START, lasts=900), reading(START + 3600, lasts=5400), reading(START - 1)]
    found = cut(day(*mixed), window=seconds(START, START + 9000))
    assert starts(found) == [START, START + 3600] and found.counts.records_withheld == 2


@pytest.mark.parametrize(
    "time",
    [
        "<timePeriod><start>{start}</start></timePeriod>",
        "<timePeriod><duration>3600</duration></timePeriod>",
        "<timePeriod><duration>-3600</duration><start>{start}</start></timePeriod>",
        "<timePeriod><duration>3600</duration><start>999999999999999</start></timePeriod>",
        "<timePeriod><duration>9999999999</duration><start>253402300000</start></timePeriod>",
        "",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_reading_whose_time_cannot_be_told_is_outside_and_counted(time, first, espi):
    odd = f"<IntervalReading>{time.format(start=START)}<value>666</value></IntervalReading>"
    found = cut(day(odd, reading(START)) if first else day(reading(START), odd))
    espi(found.body)
    assert starts(found) == [START] and b"666" not in found.body
    assert (found.counts.records, found.counts.records_withheld) == (2, 1)


def test_a_bill_is_inside_only_when_wholly_inside():
    body = espi_feed(*usage_point(MINE.native, summaries=[summary(START, 86400)]))
    assert cut(body, plan(granted(DATASETS[1])), seconds(START, START + 86400)).counts.records == 1
    for window in (seconds(START + 1, START + 86400), seconds(START, START + 86399)):
        assert cut(body, plan(granted(DATASETS[1])), window).counts.records_withheld == 1


def test_a_usage_point_that_is_not_granted_goes_with_everything_that_hangs_from_it(espi):
    strange = usage_point(FOREIGN, block(hours(START, 3)), summaries=[summary()], shared=False)
    for body in (
        city(*strange),
        espi_feed(*strange, *usage_point(MINE.native, block(hours(START, 24)), summaries=[summary()])),
    ):
        found = cut(body)
        espi(found.body)
        assert FOREIGN.encode() not in found.body and found.counts.records_withheld == 4
        assert found.counts.records == 26


def test_each_dataset_has_its_own_usage_points():
    of = plan(granted(DATASETS[0], accounts=(MINE,)), granted(DATASETS[1], accounts=(OTHER,)))
    mine = usage_point(MINE.native, block(hours(START, 2)), summaries=[summary()])
    other = usage_point(OTHER.native, block(hours(START, 2)), summaries=[summary()], shared=False)
    found = cut(espi_feed(*mine, *other), of)
    assert (found.counts.records, found.counts.records_withheld) == (3, 3)
    assert found.body.count(b"<IntervalBlock") == found.body.count(b"<UsageSummary") == 1


def test_entries_are_joined_by_their_links_in_any_order_and_wherever_they_live(espi):
    """Addresses that do not tell the usage point, and children before their parents."""
    meter, kind = "/m/MeterReading/9", "/espi/1_1/resource/ReadingType/07"
    entries = usage_point(MINE.native)
    point = espi_entry(
        f"{ROOT}/{MINE.native}",
        f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>',
        ["/m/MeterReading"],
    )
    meter_entry = espi_entry(meter, f'<MeterReading xmlns="{ESPI}"/>', ["/b/IntervalBlock", kind])
    block_entry = espi_entry("/b/IntervalBlock/1", block(hours(START, 2)))
    found = cut(espi_feed(block_entry, entries[-1], meter_entry, point))
    espi(found.body)
    assert (found.counts.records, found.counts.records_withheld) == (2 + 1, 0)
    assert f"{POINT}/MeterReading/9/IntervalBlock/1".encode() in found.body
    claimed = espi_feed(block_entry, entries[-1], meter_entry, point, *_rival(meter))
    with pytest.raises(UnknownShape):
        cut(claimed)


LINKS = list(re.finditer(rb"<link[^>]*>", city()))


@pytest.mark.parametrize("number", range(1, len(LINKS)))
def test_a_bit_that_flips_in_a_link_drops_no_entry_without_a_word(number):
    """Refused, or all that was agreed is there."""
    body, link = city(), LINKS[number]
    whole = kinds(cut(body).body)
    for at in range(link.start(), link.end()):
        for bit in range(8) if TORTURE else (at % 8, (at + 5) % 8):
            flipped = bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]])
            try:
                left = kinds(cut(flipped).body)
            except UnknownShape:
                continue
            assert left == whole, flipped[link.start() : link.end()]


def kinds(body: bytes) -> list[bytes]:
    return re.findall(rb"<content><(\w+)", body)


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize(
    "entry",
    [
        espi_entry("/c/IntervalBlock/2", block(hours(START, 5))),
        espi_entry("/c/MeterReading/2", f'<MeterReading xmlns="{ESPI}"/>'),
        espi_entry("/c/UsageSummary/2", summary()),
        espi_entry(f"{ROOT}s/{OTHER.native}/2", f'<UsagePoint xmlns="{ESPI}"/>'),
    ],
    ids=["block", "meter", "bill", "usage point"],
)
def test_an_entry_that_does_not_say_whose_it_is_refuses_the_answer(entry, way):
    of = all_of()
    with pytest.raises(UnknownShape):
        cut_by(way, of, sent(of, "energy", BATCH), city(entry))


def _rival(meter: str) -> list[str]:
    inner = "<ServiceCategory><kind>0</kind></ServiceCategory>"
    return [espi_entry(f"{ROOT}/{FOREIGN}", f'<UsagePoint xmlns="{ESPI}">{inner}</UsagePoint>', [meter])]


def test_one_address_twice_refuses_the_answer():
    with pytest.raises(UnknownShape):
        cut(city(*usage_point(MINE.native, shared=False)))


def test_the_supplier_s_numbers_and_titles_stay_there(espi):
    found = cut(city())
    espi(found.body)
    text = found.body.decode()
    assert "rgb-street" not in text and "9B6C7070" not in text and MINE.native not in text
    prefix = source("energy").gateway_url + BASES["energy"]
    assert all(href.startswith(prefix) for href in re.findall('href="([^"]*)"', text))
    assert f'href="{prefix}{POINT}/MeterReading/01/IntervalBlock/0"' in text


@pytest.mark.parametrize("href", ["", " ", ".", "..", "?x", "#x", "./", "https://org.example", "//org.example/"])
def test_an_entry_without_an_address_of_its_own_does_not_take_the_feed_s(href):
    """The feed's ends with the number of her subscription."""
    own = f'{ROOT}/{MINE.native}/MeterReading/01/IntervalBlock/0"'
    with pytest.raises(UnknownShape):
        cut(city().replace(f'rel="self" href="{own}'.encode(), f'rel="self" href="{href}"'.encode()))


def test_two_apps_cannot_compare_ids_and_one_app_finds_the_same_again():
    bob = Account(MINE.native, "another-pairwise-ref-x")
    ids = [set(re.findall(rb"<id>(.*?)</id>", cut(city(), all_of(accounts=(who,))).body)) for who in (MINE, MINE, bob)]
    assert ids[0] == ids[1] and not ids[0] & ids[2]
    part = cut(city(), window=seconds(START, START + HOUR)).body
    assert len(set(re.findall(rb"<id>(.*?)</id>", part)) - ids[0]) == 1  # the shortened block is another resource


def test_no_more_records_than_agreed():
    found = cut(city(), plan(granted(DATASETS[0], most=5)))
    assert found.counts.records == 5 and len(starts(found)) == 5


# ---- calls


def test_the_period_asked_for_is_clamped_to_the_agreed_one():
    of = all_of()
    call = sent(of, "energy", BATCH, ("published-min", "2020-01-01T00:00:00Z"), window=YEAR)
    assert call.path == f"{BASES['energy']}/Batch/Subscription/{{subscription}}"
    assert dict(call.query) == {"published-min": "2025-01-01T00:00:00Z", "published-max": "2026-01-01T00:00:00Z"}
    narrow = sent(
        of, "energy", BATCH, ("published-min", "2025-02-01T00:00:00+01:00"), ("max-results", "5"), window=YEAR
    )
    assert dict(narrow.query)["published-min"] == "2025-01-31T23:00:00Z" and not narrow.continues


@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        ("/Batch/RetailCustomer/1", (), "dataset"),
        ("/Batch/Bulk/1", (), "dataset"),
        ("/Authorization", (), "dataset"),
        (f"{POINT}/ElectricPowerQualitySummary", (), "dataset"),
        (f"{POINT}/UsageSummary", (), "dataset"),
        ("/Batch/Subscription/../x", (), "dataset"),
        (f"/Subscription/mine/UsagePoint/{OTHER.ref}", (), "account"),
        (f"/Subscription/mine/UsagePoint/{MINE.native}", (), "account"),
        (BATCH, (("published-max", "2024-01-01T00:00:00Z"),), "period"),
        (BATCH, (("published-min", "2025-01-01"),), "period"),
        (BATCH, (("updated-min", "x"),), "period"),
        (BATCH, (("published-min", "0001-01-01T00:00:00+14:00"),), "period"),
        (BATCH, (("depth", "9"),), "field"),
        (BATCH, (("max-results", "-1"),), "field"),
    ],
)
def test_what_is_not_agreed_is_refused_with_the_term(path, query, reason):
    found = plan(granted(DATASETS[0])).request(asked("energy", path, *query), YEAR)
    assert isinstance(found, Denied) and found.reason == reason and found.term


def test_the_links_of_an_answer_can_be_followed_and_give_the_same(espi):
    of = all_of()
    prefix = source("energy").gateway_url + BASES["energy"]
    hrefs = {h.removeprefix(prefix) for h in re.findall('href="([^"]*)"', cut(city()).body.decode())}
    assert len(hrefs) >= 10
    for href in hrefs:
        found = of.request(asked("energy", href), ALWAYS)
        assert isinstance(found, Upstream), href
        assert MINE.ref not in found.path
    single = usage_point(MINE.native, block(hours(START, 3)))[2].replace(
        "<entry>", '<entry xmlns="http://www.w3.org/2005/Atom">'
    )
    found = cut(single.encode(), of, path=f"{POINT}/MeterReading/01/IntervalBlock/0")
    espi(found.body)
    assert found.counts.records == 3 and etree.fromstring(found.body).tag.endswith("}entry")
    with pytest.raises(NotThere):
        cut(single.encode(), of, seconds(0, 1), path=f"{POINT}/MeterReading/01/IntervalBlock/0")


def test_part_of_a_tree_knows_its_usage_point_by_its_address(espi):
    of = all_of()
    entries = usage_point(MINE.native, block(hours(START, 3)))
    foreign = usage_point(FOREIGN, block(hours(START, 4)))
    found = cut(espi_feed(entries[2], foreign[2]), of, path=f"{POINT}/MeterReading/01/IntervalBlock")
    espi(found.body)
    assert (found.counts.records, found.counts.records_withheld) == (3, 4)
    points = cut(espi_feed(entries[0], foreign[0]), of, path="/Subscription/mine/UsagePoint")
    espi(points.body)
    assert points.body.count(b"<entry>") == 1 and b"MeterReading" in points.body
    meters = cut(espi_feed(entries[1]), of, path=f"{POINT}/MeterReading")
    espi(meters.body)
    types = cut(espi_feed(entries[-1]), of, path="/ReadingType")
    espi(types.body)
    assert b"<currency>" in types.body
    times = cut(espi_feed(entries[-2]), of, path="/LocalTimeParameters")
    espi(times.body)


# ---- properties


@given(
    offsets=st.lists(st.integers(0, 40).map(lambda n: n * 1800), max_size=30),
    lasts=st.sampled_from([900, 3600]),
    low=st.integers(-2, 70_000),
    high=st.integers(-2, 70_000),
    without=st.sets(st.sampled_from(free_fields(DATASETS[0]))),
)
def test_the_cut_never_holds_more_than_is_granted(offsets, lasts, low, high, without):
    body = day(*(reading(START + each, lasts=lasts) for each in offsets))
    window = Window(later(MIDNIGHT, min(low, high)), later(MIDNIGHT, max(low, high) + 1))
    found = cut(body, plan(granted(DATASETS[0], without)), window)
    agreed = [START + each for each in offsets if each >= min(low, high) and each + lasts <= max(low, high) + 1]
    if {"interval.value", "interval.cost"} <= without:
        agreed = []
    assert starts(found) == agreed and found.counts.records == len(agreed)
    for field in without:
        assert not [canary for canary in ENERGY_CANARIES[DATASETS[0]][field] if canary.encode() in found.body]


# ---- public samples

SAMPLES = {
    "dmd_electricity_hourly_1y_8760": 8762,
    "dmd_electricity_15min_1340": 1342,
    "dmd_electricity_daily_1y_binned_monthly": 446,
    "dmd_gas_monthly": 15,
    "dmd_water": 4,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_public_samples_are_cut_to_valid_feeds(name, shared, espi):
    body = (shared / f"samples/energy/greenbutton/{name}.xml").read_bytes()
    native = "1" if b'UsagePoint/1"' in body else "5446AF3F"
    of = all_of(accounts=(Account(native, MINE.ref),))
    found = cut(body, of)
    espi(found.body)
    assert found.counts.records == SAMPLES[name] and b"SOMEPLACE" not in found.body
    for without in [(field,) for dataset in DATASETS for field in free_fields(dataset)]:
        espi(cut(body, all_of(without, (Account(native, MINE.ref),))).body)
    assert cut(body, all_of()).counts.records == 0


@pytest.mark.parametrize(
    ("name", "native", "records", "withheld"),
    [
        ("dmd_INVALID_legacy_hourly", "2", 216 + 2, 0),  # an element of an older version is skipped
        ("cmd_usage_subscription_feed", "test-usage-point-id", 1, 0),  # a type inside a meter, which has no readings
        ("cmd_customer_subscription_feed", "none", 0, 1),
        ("cmd_multiple_authorization_feed", "none", 0, 2),
    ],
)
def test_of_samples_that_the_schema_refuses_what_is_known_leaves(name, native, records, withheld, shared, espi):
    body = (shared / f"samples/energy/greenbutton/{name}.xml").read_bytes()
    found = cut(body, all_of(accounts=(Account(native, MINE.ref),)))
    espi(found.body)
    assert (found.counts.records, found.counts.records_withheld) == (records, withheld)
    assert all(word not in found.body for word in (b"customer", b"Authorization", b"ServiceDeliveryPoint", b"token"))


def test_a_sample_with_another_root_is_refused(shared):
    with pytest.raises(UnknownShape):
        cut((shared / "samples/energy/greenbutton/cmd_notification_batchlist.xml").read_bytes())
