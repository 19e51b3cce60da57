"""Energy: what real utilities send is read. What the format does not know is skipped, counted and noted by its place;
nothing of it leaves. What would change the meaning of something known is refused."""

import re
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from energy_documents import (
    BATCH,
    DATASETS,
    DAY_BILL,
    DAY_TYPE,
    ENERGY_CANARIES,
    ENERGY_NEVER,
    ESPI,
    HOUR,
    PROGRAMS,
    ROOT,
    START,
    all_of,
    block,
    city,
    cut,
    day_feed,
    espi_entry,
    espi_feed,
    hinted_entry,
    hours,
    prefixed,
    reading,
    reading_type,
    starts,
    summary,
    usage_point,
)
from format_documents import (
    ALWAYS,
    BASES,
    FOREIGN,
    MINE,
    TYPES,
    YEAR,
    asked,
    granted,
    later,
    plan,
    removals,
    sent,
    source,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.exports.readings import download
from gateway.formats.espi import atom, feed
from gateway.formats.espi.accounts import accounts
from gateway.formats.espi.calls import NONE, PUBLICATION, PUBLISHED, USAGE_TIME
from gateway.formats.espi.ids import Ids, is_id
from gateway.formats.espi.plan import EnergyPlan
from gateway.formats.espi.skipped import ELSEWHERE, PLACES
from gateway.formats.model import Account, Denied, NotThere, UnknownShape, Upstream
from gateway.formats.names import AccountNames

PREFIX = source("energy").gateway_url + BASES["energy"]


def as_whole(body: bytes, of=None) -> tuple[bytes, object]:
    found = cut(body, of)
    return found.body, found.counts


def as_stream(body: bytes, of=None) -> tuple[bytes, object]:
    of = of or all_of()
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    out = [cutter.feed(body[at : at + 500]) for at in range(0, len(body), 500)]
    return b"".join([*out, cutter.close()]), cutter.counts()


WAYS = pytest.mark.parametrize("way", [as_whole, as_stream])


def hrefs(body: bytes) -> list[str]:
    return [each.removeprefix(PREFIX) for each in re.findall('href="([^"]*)"', body.decode())]


# ---- a whole feed of such a utility

LARGE = "8675309001"


@WAYS
@pytest.mark.parametrize("native", [LARGE, "Mjk1NjM6MQ==", "1", "a:b@c;d,e", "12%2034"])
def test_the_day_feed_of_a_large_utility_is_read(native, way, espi):
    of = all_of(accounts=(Account(native, MINE.ref),))
    out, counts = way(day_feed(native), of)
    espi(out)
    assert len(starts(cut(day_feed(native), of))) == 24
    assert (counts.records, counts.records_withheld) == (24 + 1 + 1, 1)  # readings, bill, point; programs
    text = out.decode()
    assert "rgb-street" not in text and "never" not in text and "ns0" not in text and "xsi" not in text
    if len(native) > 1:
        assert native not in text
    assert all(re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]{1,128})+", path) for path in hrefs(out)), hrefs(out)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_pair_of_fields_can_be_withheld_of_that_feed_too(dataset, espi):
    for without in removals(dataset, pairs=True):
        found = cut(day_feed(LARGE), plan(granted(dataset, without, (Account(LARGE, MINE.ref),))))
        espi(found.body)
        text = re.sub("urn:uuid:[0-9a-f-]+", "", found.body.decode())
        for field in without:
            assert not [canary for canary in ENERGY_CANARIES[dataset][field] if canary in text], (field, without)
        assert not [never for never in (*ENERGY_NEVER, LARGE, "program", "ns0") if never in text]


def test_the_links_of_that_feed_can_be_followed_and_lead_to_the_utility_s_own_ids():
    of = all_of(accounts=(Account(LARGE, MINE.ref),))
    calls = [of.request(asked("energy", path), ALWAYS) for path in hrefs(cut(day_feed(LARGE), of).body)]
    assert all(isinstance(call, Upstream) for call in calls)
    paths = {call.path.removeprefix(BASES["energy"]) for call in calls}
    point = f"/Subscription/{{subscription}}/UsagePoint/{LARGE}"
    assert {f"/ReadingType/{DAY_TYPE}", f"{point}/UsageSummary/{DAY_BILL}", f"{point}/MeterReading/{LARGE}"} <= paths


def test_what_a_link_leads_to_is_given_under_the_same_address(espi):
    of = all_of(accounts=(Account(LARGE, MINE.ref),))
    (address,) = {path for path in hrefs(cut(day_feed(LARGE), of).body) if path.startswith("/ReadingType/")}
    content = re.search("<content>(.*)</content>", reading_type("/x/1"))[1]
    single = hinted_entry(f"/ReadingType/{DAY_TYPE}", prefixed(content)).encode()
    found = of.cut(sent(of, "energy", address), TYPES["energy"], single, ALWAYS)
    espi(found.body)
    assert hrefs(found.body)[0] == address and b"<uom>72</uom>" in found.body


def test_the_usage_points_of_that_utility_are_listed():
    body = day_feed(LARGE)
    (found,) = accounts(source("energy"), lambda call: (TYPES["energy"], body))
    assert (found.native, found.kind) == (LARGE, "electricity")


# ---- ids


@WAYS
@pytest.mark.parametrize(
    "own",
    [
        "~",
        "a=b",
        "1,2",
        "a:b",
        "a@b",
        "(a)",
        "x.a",
        "d.a",
        "a_b=",
        "a%20b",
        "é",
        "%C3%A9",
        "*'!$&;+",
        "a" * 200,
        "a%2Fb",
    ],
)
def test_an_id_may_be_whatever_an_address_may_hold(own, way, espi):
    body = city().replace(b"ReadingType/07", f"ReadingType/{own.replace('&', '&amp;')}".encode())
    out, counts = way(body)
    espi(out)
    assert counts.records == 26
    (address,) = {path for path in hrefs(out) if path.startswith("/ReadingType/")}
    call = all_of().request(asked("energy", address), ALWAYS)
    if isinstance(call, Denied):  # told apart and not called
        assert "/ReadingType/d." in address and (len(own) > 128 or "%2F" in own)
    else:
        assert atom.path_of(call.path, "") == atom.path_of(f"{BASES['energy']}/ReadingType/{own}", "")


@WAYS
@pytest.mark.parametrize("own", [".", "..", "%2e%2E", "..;x", ".;", "a b", "a{b", 'a"b', "a^b", "a|b"])
def test_what_is_no_segment_of_an_address_is_no_id(own, way):
    with pytest.raises(UnknownShape):
        way(city().replace(b"IntervalBlock/0", f"IntervalBlock/{own.replace(chr(34), '&quot;')}".encode()))


@pytest.mark.parametrize(
    "word", ["x.", "x.a", "x._2F", "x._2E_2E", "x._2E_2E_3Bx", "x._252F", "x.a_2f", "x._5C", "x.a_", "d.00", "x._C3"]
)
def test_no_call_smuggles_a_path_into_an_id(word):
    for path in (f"/ReadingType/{word}", f"/Subscription/mine/UsagePoint/{MINE.ref}/UsageSummary/{word}"):
        assert isinstance(all_of().request(asked("energy", path), ALWAYS), Denied)


@WAYS
def test_two_spellings_of_one_address_are_one_resource(way, espi):
    body = city().replace(b"ReadingType/07", b"ReadingType/a=b", 1).replace(b"ReadingType/07", b"ReadingType/a%3db")
    out, counts = way(body)
    espi(out)
    assert counts.records == 26 and len({path for path in hrefs(out) if "ReadingType/" in path}) == 1


@pytest.mark.parametrize("native", ["native-4711", "Mjk1NjM6MQ==", "4711", "4,711"])
@pytest.mark.parametrize(
    "kind", ["ReadingType", "LocalTimeParameters", "MeterReading", "IntervalBlock", "UsageSummary"]
)
def test_a_resource_may_be_called_like_a_usage_point(kind, native, espi):
    """Of her own, or of one that the app may not see: its name never leaves, and the link leads back."""
    other = "unseen-0815" if native == MINE.native else "815"
    mine = Account(native, MINE.ref)
    of = plan(*(granted(name, (), (mine,), others=(other, "9", "99999")) for name in DATASETS))
    old = {"ReadingType": "07", "LocalTimeParameters": "01", "MeterReading": "01"}.get(kind, "0")
    for name in (native, other):
        body = city().replace(MINE.native.encode(), native.encode())
        found = cut(body.replace(f"{kind}/{old}".encode(), f"{kind}/{name}".encode()), of)
        espi(found.body)
        assert found.counts.records == 26
        text = re.sub(r"urn:uuid:[0-9a-f-]+|<(value|start|duration)>\d+", "", found.body.decode())
        assert native not in text and other not in text
        addresses = {path for path in hrefs(found.body) if f"/{kind}/" in path}
        assert addresses
        for path in addresses:
            call = of.request(asked("energy", path), ALWAYS)
            assert isinstance(call, Upstream) and f"/{kind}/{name}" in call.path


def test_two_reading_types_called_like_usage_points_unseen_stay_two(espi):
    of = plan(granted(DATASETS[0], others=("point-one", "point-two")))
    point, meter, each, *_ = usage_point(MINE.native, block(hours(START, 2)))
    first, second = "/espi/1_1/resource/ReadingType/point-one", "/espi/1_1/resource/ReadingType/point-two"
    meter = meter.replace("/espi/1_1/resource/ReadingType/07", first)
    again = [text.replace("MeterReading/01", "MeterReading/02") for text in (meter.replace(first, second), each)]
    types = reading_type(first), reading_type(second).replace("<uom>72", "<uom>38")
    found = cut(espi_feed(point, meter, each, *again, *types), of)
    espi(found.body)
    assert found.counts.records == 4 and b"point-" not in found.body
    assert len({path for path in hrefs(found.body) if path.startswith("/ReadingType/")}) == 2


def test_two_ids_that_would_look_the_same_to_the_app_refuse_the_answer():
    """Both are spellings of her usage point's name."""
    native = "FR0412345678901234"
    of = all_of(accounts=(Account(native, MINE.ref),))
    feed_of = city().replace(MINE.native.encode(), native.encode())
    alike = [reading_type(f"/espi/1_1/resource/ReadingType/{name}") for name in (native.lower(), f"FR04-{native[4:]}")]
    meter = b'MeterReading/01/IntervalBlock"/>'
    links = b"".join(
        b'<link rel="related" href="/espi/1_1/resource/ReadingType/%b"/>' % name
        for name in (native.lower().encode(), b"FR04-" + native[4:].encode())
    )
    assert cut(feed_of, of).counts.records == 26
    with pytest.raises(UnknownShape) as fault:
        cut(feed_of.replace(meter, meter + links, 1).replace(b"</feed>", "".join(alike).encode() + b"</feed>"), of)
    assert fault.value.where == "entry[ReadingType]/link[id]"


@pytest.mark.parametrize("own", ["a=b", "x.y", "NzI6bnVsbDozNjAwOjE=", "1,436,684,400,000", "plain", "a_b~c", "a%20b"])
def test_ids_are_written_out_and_read_back(own):
    ids = Ids(AccountNames([MINE]), ["hidden-1"], plan(granted(DATASETS[0])).terms.namespace)
    for name in (own, f"{own}{MINE.native}", f"hidden-1{own}"):
        shown = ids.shown(name)
        assert ids.own(shown) == name and MINE.native not in shown and "hidden" not in shown.replace("withheld", "")


IDS = st.text(st.sampled_from("aZ09._~!$&'()*+,;=:@-%"), min_size=1, max_size=20)
HERS = ("native-4711", "a:b=c", "123456789", "77")
UNSEEN = ("hidden-0815", "d,e;f", "987654321")


def her_ids() -> Ids:
    names = AccountNames([Account(native, f"pairwise{number}ref") for number, native in enumerate(HERS)])
    return Ids(names, UNSEEN, plan(granted(DATASETS[0])).terms.namespace)


@given(before=IDS, name=st.sampled_from((*HERS, *UNSEEN, "")), after=IDS)
def test_whatever_an_id_is_no_name_leaves_and_what_can_be_called_leads_back(before, name, after):
    ids = her_ids()
    for own in (name, before + name, before + name + after):
        try:
            own = atom.path_of(f"/x/{own}", "").rpartition("/")[2]
        except UnknownShape:
            continue
        if not is_id(own):
            continue
        shown = ids.shown(own)
        assert re.fullmatch(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}", shown)
        read = re.sub("_([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), shown)
        assert not [each for each in (*HERS, *UNSEEN) if len(each) > 4 and each in read]
        assert ids.own(shown) == own or shown.startswith("d.") or ids.shown(ids.own(shown) or "") == shown


@given(shown=st.text(st.sampled_from("x.d_2F5C0E3B%~-aZ9"), min_size=1, max_size=20).map("x.{}".format))
def test_whatever_an_app_writes_as_an_id_is_one_segment_or_none(shown):
    own = her_ids().own(shown)
    assert own is None or (is_id(own) and not re.search("%(2F|5C|2E|25|0|1|7F)", own) and her_ids().shown(own) == shown)


@pytest.mark.parametrize("words", ["{}", "{}:2025", "72:null:{}:1", "a/{}?"])
@pytest.mark.parametrize("name", [LARGE, "9990001112223"])
def test_a_name_in_base64_does_not_leave(name, words, espi):
    mine = Account(LARGE, MINE.ref)
    of = plan(*(granted(each, (), (mine,), others=("9990001112223",)) for each in DATASETS))
    for coded in (b64encode, urlsafe_b64encode):
        kind = coded(words.format(name).encode()).decode().replace("/", "%2F")
        for spelt in (kind, kind.rstrip("=")):
            found = cut(day_feed(LARGE, kind=spelt), of)
            espi(found.body)
            assert found.counts.records == 26 and spelt.rstrip("=") not in found.body.decode()
    plain = b64encode(words.format("8675309002").encode()).decode()  # another number
    assert plan(granted(DATASETS[0])).terms.ids.own(of.terms.ids.shown(plain)) == plain or "/" in plain


# ---- a reading type for every usage point


@WAYS
def test_a_reading_type_may_be_told_again_in_the_same_words(way, espi):
    *_, times, kind = entries()
    out, counts = way(city(times, kind, kind))
    espi(out)
    assert (counts, out.count(b"<ReadingType ")) == (way(city())[1], 1)
    for other in (kind.replace("<uom>72", "<uom>38"), kind.replace("ReadingType xmlns", "LocalTimeParameters xmlns")):
        with pytest.raises(UnknownShape):
            way(city(other))
    with pytest.raises(UnknownShape):
        way(city(entries()[2]))  # a block


def test_every_page_of_a_download_may_tell_the_reading_type():
    point, meter, first, *shared = entries()[:3] + entries()[-2:]
    second = first.replace("IntervalBlock/0", "IntervalBlock/1").replace(str(START), str(START + 99 * HOUR))
    link = f'<link rel="next" href="{BASES["energy"]}/Batch/Subscription/s?start-index=2"/>'.encode()
    pages = [espi_feed(point, meter, first, *shared), espi_feed(point, meter, second, *shared)]
    pages[0] = pages[0].replace(b"<entry>", link + b"<entry>", 1)

    def table(*sent_pages: bytes) -> bytes:
        left = iter(sent_pages)
        return download(source("energy"), lambda call: (TYPES["energy"], next(left)), (MINE,))[-1].body

    assert table(*pages).count(b",Wh,") == 6
    with pytest.raises(UnknownShape):
        table(pages[0], pages[1].replace(b"<uom>72", b"<uom>38"))


# ---- entries that are never given

OTHERS = [
    PROGRAMS,
    *(
        f'<{kind} xmlns="{ESPI}"><any>never</any></{kind}>'
        for kind in (
            "ElectricPowerQualitySummary ApplicationInformation Authorization ServiceStatus BatchList BatchItemInfo"
            " IntervalReading ReadingQuality IdentifiedObject Object DateTimeInterval SummaryMeasurement"
        ).split()
    ),
]
UNKNOWN = [
    f'<Tomorrow xmlns="{ESPI}"><any>never</any></Tomorrow>',
    '<Customer xmlns="http://naesb.org/espi/customer"><name>never</name></Customer>',
    '<x xmlns="urn:never">never</x>',
]


@WAYS
@pytest.mark.parametrize("content", OTHERS + UNKNOWN)
@pytest.mark.parametrize("bare", [True, False])
def test_an_entry_that_is_never_given_is_dropped_and_counted(bare, content, way, espi):
    whole = espi_entry(f"{ROOT}/{MINE.native}/Any/1", content)
    entry = f"<entry><content>{content}</content></entry>" if bare else whole
    for body in (city(entry), city().replace(b"<entry>", entry.encode() + b"<entry>", 1)):
        out, counts = way(body)
        espi(out)
        assert (counts.records, counts.records_withheld) == (26, 1) and b"never" not in out
        places = feed.read(body).skipped.places()
        assert len(places) == (content in UNKNOWN) and "never" not in repr(places)


def test_a_document_of_one_entry_that_is_never_given_is_not_there():
    single = espi_entry("/espi/1_1/resource/ReadingType/07", PROGRAMS)
    single = single.replace("<entry>", '<entry xmlns="http://www.w3.org/2005/Atom">')
    with pytest.raises(NotThere):
        cut(single.encode(), path="/ReadingType/07")


@WAYS
@pytest.mark.parametrize("content", ["<content/>", "<content>never</content>", "", "<content><a/><a/></content>"])
def test_an_entry_that_holds_no_one_resource_is_refused(content, way):
    bad = content.replace("<a/>", f'<Any xmlns="{ESPI}"/>')
    with pytest.raises(UnknownShape):
        way(city(espi_entry("/x/1", "PLACE").replace("<content>PLACE</content>", bad)))


# ---- what is unknown in what is known

SKIPPED = {
    # (old, new): place, elements of granted records
    ("<value>", "<never>1</never><value>"): ("entry/content/IntervalBlock/IntervalReading/never", 1),
    ("</IntervalReading>", "<never/></IntervalReading>"): ("entry/content/IntervalBlock/IntervalReading/never", 1),
    ("<IntervalReading>", '<IntervalReading never="1">'): ("entry/content/IntervalBlock/IntervalReading/@never", 0),
    ("<value>", '<value x:never="1" xmlns:x="urn:never">'): (
        "entry/content/IntervalBlock/IntervalReading/value/@other:never",
        0,
    ),
    ("<interval>", "<never><IntervalReading/></never><interval>"): ("entry/content/IntervalBlock/never", 1),
    ("<interval>", '<value xmlns="urn:never">666</value><interval>'): ("entry/content/IntervalBlock/other:value", 1),
    ("<accumulationBehaviour>", "<never/><accumulationBehaviour>"): ("entry/content/ReadingType/never", 1),
    ("<accumulationBehaviour>", '<uom xmlns="urn:never">38</uom><accumulationBehaviour>'): (
        "entry/content/ReadingType/other:uom",
        1,
    ),
    ("<kind>0", "<kind never='1'>0"): ("entry/content/UsagePoint/ServiceCategory/kind/@never", 0),
    ("<UsagePoint ", "<UsagePoint never='1' "): ("entry/content/UsagePoint/@never", 0),
    ("<ServiceCategory>", '<x:zone xmlns:x="urn:never">never</x:zone><ServiceCategory>'): (
        "entry/content/UsagePoint/other:zone",
        1,
    ),
    ("</ServiceCategory>", "<never><never>never</never></never></ServiceCategory>"): (
        "entry/content/UsagePoint/ServiceCategory/never",
        1,
    ),
    ("<readRoute>", "<IntervalReading/><readRoute>"): ("entry/content/UsagePoint/IntervalReading", 1),
    ("<billingPeriod>", "<never>never</never><billingPeriod>"): ("entry/content/UsageSummary/never", 1),
    ("<content>", "<never/><content>"): ("entry/never", 0),
    ("<content>", '<content><x xmlns="urn:never"/>'): ("entry/content/other:x", 0),
    ("<published>", '<x xmlns="http://x">never</x><published>'): ("entry/other:x", 0),
    ("<entry>", '<entry onload="never">'): ("entry/@onload", 0),
    ("<title>", '<title never="x">'): ("feed/title/@never", 0),
    ('<link rel="self"', '<link never="1" rel="self"'): ("feed/link/@never", 0),
    ('rel="up"', 'never="1" rel="up"'): ("entry/link/@never", 0),
    ("</feed>", "<never/></feed>"): ("feed/never", 0),
    ("<title>", '<o:totalResults xmlns:o="urn:never">9</o:totalResults><title>'): ("feed/other:totalResults", 0),
    ("<title>", '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="/etc/passwd"/><title>'): (
        "feed/other:include",
        0,
    ),
    ("<accumulationBehaviour>", "<é/><accumulationBehaviour>"): ("entry/content/ReadingType/?", 1),
    ("<accumulationBehaviour>", f"<{'n' * 99}/><accumulationBehaviour>"): ("entry/content/ReadingType/?", 1),
}


@WAYS
@pytest.mark.parametrize("plant", SKIPPED)
def test_what_is_not_known_is_skipped_and_noted(plant, way, espi):
    (old, new), (place, elements) = plant, SKIPPED[plant]
    text = city().decode()
    assert old in text
    body = text.replace(old, new, 1).encode()
    out, counts = way(body)
    espi(out)
    plain, before = way(city())
    assert counts.fields_withheld - before.fields_withheld == elements
    assert (counts.records, counts.records_withheld) == (before.records, before.records_withheld)
    assert feed.read(body).skipped.places() == ((place, 1),)
    contents = [sorted(re.findall(rb"<content>.*?</content>", each)) for each in (out, plain)]
    assert contents[0] == contents[1] and b"never" not in out


@WAYS
@pytest.mark.parametrize("hint", ['xsi:type="x:y"', 'xsi:schemaLocation="a b"', 'xsi:hint="x"', 'xml:lang="en"'])
@pytest.mark.parametrize(
    "tag", ["feed", "entry", "link", "content", "UsagePoint", "kind", "value", "timePeriod", "uom"]
)
def test_hints_of_schemas_say_nothing(tag, hint, way, espi):
    declared = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {hint}'
    body = re.sub(rf"<{tag}(?=[ >])", f"<{tag} {declared}", city().decode()).encode()
    assert body != city()
    out, counts = way(body)
    espi(out)
    assert counts == way(city())[1] and not feed.read(body).skipped.places() and b"xsi" not in out


@WAYS
def test_a_value_that_says_it_is_none_is_none(way, espi):
    nil = '<cost xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    out, counts = way(city().replace(b"<cost>12</cost>", nil.encode(), 1))
    espi(out)
    assert out.count(b"<cost>12</cost>") == 23 and counts.records == 26
    with pytest.raises(UnknownShape):
        way(city().replace(b"<cost>12</cost>", nil.replace("true", "false").encode(), 1))


def test_where_something_was_skipped_is_told_of_so_many_places_and_no_more():
    more = "".join(f"<never{number}/>" * 2 for number in range(2 * PLACES))
    places = dict(
        feed.read(
            city().replace(b"<accumulationBehaviour>", more.encode() + b"<accumulationBehaviour>", 1)
        ).skipped.places()
    )
    assert len(places) == PLACES + 1 and places[ELSEWHERE] == 2 * PLACES
    assert places["entry/content/ReadingType/never0"] == 2


@WAYS
def test_a_bill_without_its_time_is_outside_and_counted(way):
    for old in (b"<billingPeriod>", b"</billingPeriod>"):
        assert old in city()
    for part in (rb"<billingPeriod>.*?</billingPeriod>", rb"(?<=<billingPeriod>)<duration>\d+</duration>"):
        counts = way(re.sub(part, b"", city()))[1]
        assert (counts.records, counts.records_withheld) == (25, 1)
    with pytest.raises(UnknownShape):
        way(city().replace(b"<billingPeriod><duration>", b"<billingPeriod><duration>x", 1))


# ---- an answer that lacks what its readings need

LACKING = {
    "UsagePoint": lambda entry: "<UsagePoint" not in entry,
    "MeterReading": lambda entry: "<MeterReading" not in entry,
    "ReadingType": lambda entry: "<ReadingType" not in entry,
}


def entries() -> list[str]:
    return usage_point(MINE.native, block(hours(START, 3)), summaries=[summary()])


@WAYS
@pytest.mark.parametrize("kind", LACKING)
def test_an_answer_that_lacks_what_its_readings_need_says_so(kind, way):
    body = espi_feed(*filter(LACKING[kind], entries()))
    with pytest.raises(UnknownShape) as fault:
        way(body)
    assert fault.value.where == f"feed/without[{kind}]"
    bills, counts = way(body, plan(granted(DATASETS[1])))  # no readings of it are given
    assert counts.records == 1 and b"UsageSummary" in bills


@WAYS
def test_a_meter_that_names_no_reading_type_gives_no_reading_without_a_unit(way):
    link = b'<link rel="related" href="/espi/1_1/resource/ReadingType/07"/>'
    with pytest.raises(UnknownShape) as fault:
        way(espi_feed(*filter(LACKING["ReadingType"], entries())).replace(link, b""))
    assert fault.value.where == "feed/without[ReadingType]"


@pytest.mark.parametrize("kind", LACKING)
@pytest.mark.parametrize(
    "query", [(("start-index", "101"),), (("max-results", "5"),), (("updated-min", "2025-01-01T00:00:00Z"),)]
)
def test_a_page_or_what_has_changed_may_leave_it_to_another_answer(query, kind):
    of = all_of()
    body = espi_feed(*filter(LACKING[kind], entries()))
    assert of.cut(sent(of, "energy", BATCH, *query), TYPES["energy"], body, ALWAYS).counts.records >= 3


@WAYS
@pytest.mark.parametrize("relation", ["next", "previous"])
def test_an_answer_that_has_other_pages_may_leave_it_to_them(relation, way):
    link = f'<link rel="{relation}" href="{BASES["energy"]}/Batch/Subscription/s?start-index=9"/>'
    body = espi_feed(*filter(LACKING["ReadingType"], entries())).replace(b"</feed>", link.encode() + b"</feed>")
    assert way(body)[1].records == 3 + 1 + 1


def test_a_table_of_readings_without_their_type_gives_no_number_for_a_value():
    """The reading's own number means nothing without its multiplier; the feed beside it has it as it was sent."""
    body = espi_feed(*filter(LACKING["ReadingType"], entries()))
    xml, table = download(source("energy"), lambda call: (TYPES["energy"], body), (MINE,))
    assert xml.body == body and [row.split(",")[3:5] for row in table.body.decode().splitlines()[1:]] == [["", ""]] * 3


# ---- what published-min and published-max are taken for


def by(published: str) -> EnergyPlan:
    return EnergyPlan(replace(source("energy"), published=published), [granted(name) for name in DATASETS])


ASKED = ("published-min", "2025-02-01T00:00:00Z")


def test_the_agreed_period_is_sent_to_a_supplier_that_goes_by_the_time_of_use_and_to_no_other():
    edges = {"published-min": "2025-01-01T00:00:00Z", "published-max": "2026-01-01T00:00:00Z"}
    found = {name: dict(sent(by(name), "energy", BATCH, window=YEAR).query) for name in PUBLISHED}
    assert found == {USAGE_TIME: edges, PUBLICATION: {}, NONE: {}}
    assert dict(sent(plan(granted(DATASETS[0])), "energy", BATCH, window=YEAR).query) == edges


def test_what_an_app_asks_for_goes_to_a_supplier_as_that_supplier_takes_it():
    assert dict(sent(by(USAGE_TIME), "energy", BATCH, ASKED, window=YEAR).query)["published-min"] == ASKED[1]
    long_ago = (
        "published-min",
        "1999-01-01T00:00:00Z",
    )  # when it was published; the readings are cut whenever that was
    assert dict(sent(by(PUBLICATION), "energy", BATCH, long_ago, window=YEAR).query) == dict([long_ago])
    malformed = by(PUBLICATION).request(asked("energy", BATCH, ("published-min", "x")), YEAR)
    assert isinstance(malformed, Denied) and malformed.reason == "period"
    refused = by(NONE).request(asked("energy", BATCH, ASKED), YEAR)
    assert isinstance(refused, Denied) and (refused.reason, refused.asked) == ("field", "published-min")


@pytest.mark.parametrize("published", PUBLISHED)
def test_whatever_is_sent_nothing_outside_the_agreed_period_leaves(published):
    of = by(published)
    window = YEAR.__class__(later(YEAR.start, 0), later(YEAR.start, 10 * HOUR))
    first = int(YEAR.start.timestamp())
    body = espi_feed(*usage_point(MINE.native, block(hours(first - 5 * HOUR, 24))))
    found = of.cut(sent(of, "energy", BATCH, window=window), TYPES["energy"], body, window)
    assert starts(found) == [first + hour * HOUR for hour in range(10)]


# ---- following pages, read by the gateway itself


@pytest.mark.parametrize(
    "query", ["?start-index=2", "?pageToken=abc%3D&amp;x=1", "?published-min=2020-01-01T00:00:00Z"]
)
@pytest.mark.parametrize("path", ["", "/x/espi/1_1/resource/Subscription/9B6C7070/UsagePoint"])
def test_what_the_gateway_reads_itself_is_read_to_its_last_page(path, query):
    link = f'<link rel="next" href="{path}{query}"/>'
    pages = [espi_feed(usage_point(native)[0]) for native in (MINE.native, FOREIGN)]
    pages[0] = pages[0].replace(b"<entry>", link.encode() + b"<entry>", 1)
    calls: list[Upstream] = []

    def fetch(call: Upstream) -> tuple[str, bytes]:
        calls.append(call)
        return TYPES["energy"], pages[len(calls) - 1]

    assert [found.native for found in accounts(source("energy"), fetch)] == [MINE.native, FOREIGN]
    assert calls[0].path == calls[1].path and calls[0].query == () and len(calls[1].query) == query.count("=")


@pytest.mark.parametrize(
    "href", ["", "/elsewhere?start-index=2", "?", "?a=1&amp;a=2", "https://mallory.example/", "/x/UsagePoint/../?a=1"]
)
def test_a_following_page_that_is_no_page_of_this_call_is_not_asked_for(href):
    page = espi_feed(usage_point(MINE.native)[0]).replace(
        b"<entry>", f'<link rel="next" href="{href}"/><entry>'.encode(), 1
    )
    with pytest.raises(UnknownShape) as fault:
        accounts(source("energy"), lambda call: (TYPES["energy"], page))
    assert fault.value.where == "feed/link[next]"


def test_a_page_of_a_usage_point_with_an_odd_id_is_linked_under_the_app_s_name():
    mine = Account("Mjk1NjM6MQ==", MINE.ref)
    of = all_of(accounts=(mine,))
    path = f"/Batch/Subscription/mine/UsagePoint/{MINE.ref}"
    call = sent(of, "energy", path)
    assert call.path.endswith(f"/UsagePoint/{mine.native}")
    own = f"https://org.example{call.path.replace('{subscription}', '77')}"
    for spelt in (own, own.replace("=", "%3D")):
        body = day_feed(mine.native, head=f'<ns1:link rel="next" href="{spelt}?start-index=2"/>')
        found = of.cut(call, TYPES["energy"], body, ALWAYS).body
        (following,) = [urlsplit(h) for h in hrefs(found) if "page_token" in h]
        again = sent(of, "energy", following.path, *parse_qsl(following.query))
        assert following.path == path and again.continues
        assert (again.path, again.query) == (call.path, (("start-index", "2"),))


# ---- a stream gives what the whole gives


def test_blocks_before_their_meter_under_flat_addresses_are_given_in_a_stream_too():
    meter = espi_entry(
        "/m/MeterReading/9",
        f'<MeterReading xmlns="{ESPI}"/>',
        ["/b/IntervalBlock", "/espi/1_1/resource/ReadingType/07"],
    )
    point = espi_entry(f"{ROOT}/{MINE.native}", f'<UsagePoint xmlns="{ESPI}"/>', ["/m/MeterReading"])
    blocks = [espi_entry(f"/b/IntervalBlock/{n}", block(hours(START + n * 24 * HOUR, 24))) for n in range(60)]
    body = espi_feed(*blocks, meter, point, entries()[-1])
    whole, streamed = cut(body), as_stream(body)
    assert whole.counts == streamed[1] and whole.counts.records == 60 * 24 + 1
    assert sorted(starts(whole)) == sorted(
        int(start) for start in re.findall(rb"<start>(\d+)</start></timeP", streamed[0])
    )


def test_a_reading_of_unknown_time_among_unknown_elements_is_outside():
    odd = f"<IntervalReading><timePeriod><start>{START}</start></timePeriod><value>666</value><x/></IntervalReading>"
    found = cut(espi_feed(*usage_point(MINE.native, block(odd + reading(START)))))
    assert starts(found) == [START] and found.counts.records_withheld == 1 and b"666" not in found.body
