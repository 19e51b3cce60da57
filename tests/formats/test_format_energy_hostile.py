"""Energy: what is unknown, hostile or too large is refused, as a whole and as a stream."""

import itertools
import re
import resource
import time

import pytest
from energy_documents import (
    BATCH,
    ESPI,
    HOUR,
    ROOT,
    START,
    all_of,
    block,
    city,
    cut,
    espi_entry,
    espi_feed,
    hours,
    seconds,
    starts,
    summary,
    usage_point,
)
from format_documents import (
    ALWAYS,
    FOREIGN,
    MINE,
    TYPES,
    sent,
)

from gateway.formats.espi.readings import lifted
from gateway.formats.model import LIMIT, TooLarge, UnknownShape


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize(
    "plant",
    [
        ("<IntervalReading>", "secret<IntervalReading>"),
        ("<quality>0", "<quality>secret"),
        ("<cost>12", "<cost>1<secret/>2"),
        ("<uom>72</uom>", "<uom>72</uom><uom>73</uom>"),
        ("<cost>12</cost>", "<cost>12</cost><cost>13</cost>"),
        ("<MeterReading xmlns", "<Secret xmlns"),
        ("<content>", "<content>secret"),
        ("<content>", "<content/><content>"),
        ("<id>urn:uuid:", "<id>x</id><id>urn:uuid:"),
        ('xmlns="http://naesb.org/espi"', 'xmlns="http://naesb.org/espi/customer"'),
        ("<updated>2025", "<updated>secret2025"),
        ('xmlns="http://www.w3.org/2005/Atom"', 'xmlns="http://www.w3.org/2005/Other"'),
        ("<billingPeriod><duration>", "<billingPeriod><duration>secret"),
        ("<timePeriod><duration>", "<timePeriod><duration>secret"),
        ("<entry>", "secret<entry>"),
        ("<published>", "secret<published>"),
    ],
)
def test_what_changes_the_meaning_of_something_known_refuses_the_whole_answer(plant, way):
    old, new = plant
    text, at = city().decode(), city().decode().find("<entry>") if plant[0].startswith("<id") else 0
    assert old in text[at:]
    with pytest.raises(UnknownShape):
        (cut if way == "whole" else streamed)((text[:at] + text[at:].replace(old, new, 1)).encode())


def test_the_slow_way_gives_the_same_as_the_fast_one(espi):
    """Prefixes, comments, character data and another order of children."""
    plain = cut(city()).body
    body = city().decode()
    prefixed = re.sub(
        r"<(/?)(Interval\w+|interval|cost|ReadingQuality|quality|timePeriod|duration|start|value|tou)>",
        r"<\1e:\2>",
        body,
    )
    prefixed = prefixed.replace("<IntervalBlock xmlns=", "<e:IntervalBlock xmlns:e=").replace(
        "</IntervalBlock>", "</e:IntervalBlock>"
    )
    prefixed = prefixed.replace("<UsageSummary xmlns=", '<UsageSummary xmlns:e="http://naesb.org/espi" xmlns=')
    variants = {
        "prefix": prefixed,
        "comment": body.replace("<timePeriod>", "<!-- 1/1 <value>9</value> --><timePeriod>"),
        "spaces": body.replace("<value>", "\n\t<value>"),
        "inner spaces": re.sub(r"<value>(\d+)", r"<value> \1 ", body),
        "character data": re.sub(r"<cost>(\d+)", r"<cost><![CDATA[\1]]>", body),
        "reference": body.replace("<cost>12", "<cost>&#49;2"),
    }
    for name, text in variants.items():
        found = cut(text.encode())
        espi(found.body)
        assert re.sub(rb"\s", b"", found.body) == re.sub(rb"\s", b"", plain), name


def test_a_run_inside_a_comment_is_no_reading():
    body = (
        city().decode().replace("<IntervalBlock xmlns", f"<!-- {hours(START - 99 * HOUR, 2)} --><IntervalBlock xmlns")
    )
    assert len(starts(cut(body.encode()))) == 24


def test_our_own_mark_in_an_answer_is_refused():
    with pytest.raises(UnknownShape):
        cut(city().replace(b"<IntervalReading>", b"<aval-run>0</aval-run><IntervalReading>", 1))
    assert lifted(b"<a/>") == (b"<a/>", [])


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def declaring(declarations: str, text: str, use: str = "&a;") -> str:
    """The document with a DOCTYPE of these declarations, and a use of an entity where a text was."""
    return text.replace("<feed", f"<!DOCTYPE feed [{declarations}]><feed", 1).replace("rgb-street", use)


ATTACKS = {
    "billion laughs": lambda t: declaring(f'<!ENTITY l0 "lol">{LAUGHS}', t, "&l9;"),
    "quadratic blow-up": lambda t: declaring(f'<!ENTITY a "{"a" * 50_000}">', t, "&a;" * 5_000),
    "entities in circles": lambda t: declaring('<!ENTITY a "&b;"><!ENTITY b "&a;">', t),
    "entity in an attribute": lambda t: declaring('<!ENTITY a "x">', t).replace('rel="self"', 'rel="&a;"'),
    "external entity": lambda t: declaring('<!ENTITY a SYSTEM "file:///etc/passwd">', t),
    "external entity of a host": lambda t: declaring('<!ENTITY a SYSTEM "http://127.0.0.1/">', t),
    "external entity, not used": lambda t: declaring('<!ENTITY a SYSTEM "file:///etc/passwd">', t, "x"),
    "parameter entity": lambda t: declaring('<!ENTITY % a SYSTEM "http://127.0.0.1/">%a;', t, "x"),
    "parameter entity inside": lambda t: declaring("<!ENTITY % a '<!ENTITY b \"x\">'>%a;", t, "&b;"),
    "external subset": lambda t: t.replace("<feed", '<!DOCTYPE feed SYSTEM "http://127.0.0.1/x.dtd"><feed', 1),
    "doctype alone": lambda t: t.replace("<feed", "<!DOCTYPE feed><feed"),
    "entity without doctype": lambda t: t.replace("rgb-street", "&b;"),
    "xinclude in a reading": lambda t: t.replace(
        "<value>", '<value><i:include xmlns:i="http://www.w3.org/2001/XInclude" parse="text" href="/etc/passwd"/>', 1
    ),
    "attributes": lambda t: t.replace("<UsagePoint ", "<UsagePoint " + "".join(f'a{i}="1" ' for i in range(100_000))),
    "attributes of the feed": lambda t: t.replace("<feed ", "<feed " + "".join(f'a{i}="1" ' for i in range(100_000))),
    "content elsewhere": lambda t: t.replace("<content>", '<content src="file:///etc/passwd">', 1),
    "another base": lambda t: t.replace("<feed ", '<feed xml:base="https://mallory.example/" ', 1),
    "another base of an entry": lambda t: t.replace("<entry>", '<entry xml:base="/mallory/">', 1),
    "another base of a link": lambda t: t.replace("<link ", '<link xml:base="/mallory/" ', 2),
    "another base of a resource": lambda t: t.replace("<UsagePoint ", '<UsagePoint xml:base="/mallory/" '),
    "depth": lambda t: t.replace("<ServiceCategory>", "<ServiceCategory>" * 100_000),
    "depth closed": lambda t: t.replace("<kind>0</kind>", "<a>" * 100_000 + "</a>" * 100_000),
    "depth in the feed": lambda t: t.replace("<entry>", "<a>" * 100_000 + "</a>" * 100_000 + "<entry>", 1),
    "namespaces": lambda t: t.replace("<entry>", "<entry>" + "<a xmlns='b'>" * 5_000 + "</a>" * 5_000, 1),
    "named as UTF-7": lambda t: t.replace("UTF-8", "UTF-7"),
    "named as Latin": lambda t: t.replace("UTF-8", "ISO-8859-1"),
    "not closed": lambda t: t.replace("</feed>", ""),
    "twice": lambda t: t + t,
    "nothing": lambda t: "",
    "html": lambda t: "<html><body>sign in</body></html>",
    "zero": lambda t: t.replace("rgb-street", "rgb\0street"),
    "open readings": lambda t: t.replace("<IntervalReading>", "<IntervalReading><!-- " * 5000),
    "instruction": lambda t: t.replace("<feed", '<?xml-stylesheet href="http://127.0.0.1/"?><feed', 1) + BOMB,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_by_xml_is_refused_quickly_and_in_little_memory(attack, way):
    body = ATTACKS[attack](city().decode()).encode()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises((UnknownShape, TooLarge)):
        cut(body) if way == "whole" else streamed(body, step=64 * 1024)
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_markup_written_in_utf_7_is_text_and_not_markup(way):
    """`+ADw-` is `<` to whoever believes in UTF-7. Here it is what it says."""
    body = city().replace(b"rgb-street", b"+ADwAIQ-DOCTYPE x SYSTEM +ACI-file:///etc/passwd+ACIAPg-")
    out = cut(body).body if way == "whole" else streamed(body)[0]
    assert b"passwd" not in out  # the title of an entry never leaves
    named = body.replace(b"UTF-8", b"UTF-7")
    with pytest.raises(UnknownShape):
        cut(named) if way == "whole" else streamed(named)


def test_another_encoding_of_the_bytes_is_refused():
    with pytest.raises(UnknownShape):
        cut(city().decode().replace("UTF-8", "UTF-16").encode("utf-16"))
    with pytest.raises(UnknownShape):
        cut(city().replace(b"rgb-street", b"rgb-\xff"))


# ---- large answers


def streamed(body: bytes, of=None, window=ALWAYS, step=1000):
    of = of or all_of()
    cutter = of.cutter(sent(of, "energy", BATCH, window=window), TYPES["energy"], window)
    out = [cutter.feed(body[at : at + step]) for at in range(0, len(body), step)]
    return b"".join([*out, cutter.close()]), cutter.counts()


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 10**9])
def test_the_stream_gives_what_the_whole_gives(step, espi):
    strange = usage_point(FOREIGN, block(hours(START, 3)), shared=False)
    window = seconds(START + HOUR, START + 9 * HOUR)
    body = city(*strange)
    out, counts = streamed(body, window=window, step=step)
    espi(out)
    whole = cut(body, window=window)
    assert counts == whole.counts
    found = [re.sub(rb"<updated>.*?</updated>", b"", part) for part in (out, whole.body)]
    entries = [sorted(re.findall(rb"<entry>.*?</entry>", each)) for each in found]
    related = re.compile(rb'<link rel="related"[^>]*>')
    assert [related.sub(b"", each) for each in entries[0]] == [related.sub(b"", each) for each in entries[1]]


SHARED_TYPE = "/espi/1_1/resource/ReadingType/07"


def flat() -> dict[str, str]:
    """Entries that are joined by their links alone: no address tells the usage point."""
    meter, points = (
        "/m/MeterReading/9",
        f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>',
    )
    return {
        "point": espi_entry(f"{ROOT}/{MINE.native}", points, ["/m/MeterReading", "/s/UsageSummary"]),
        "meter": espi_entry(meter, f'<MeterReading xmlns="{ESPI}"/>', ["/b/IntervalBlock", SHARED_TYPE]),
        "block": espi_entry("/b/IntervalBlock/1", block(hours(START, 2))),
        "bill": espi_entry("/s/UsageSummary/1", summary()),
        "other's": espi_entry(f"{ROOT}/{FOREIGN}/MeterReading/1/IntervalBlock/2", block(hours(START, 5))),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(flat())), ids="-".join)
def test_in_any_order_a_stream_gives_what_the_whole_gives(order):
    body = espi_feed(*(flat()[name] for name in order), usage_point(MINE.native)[-1])
    out, counts = streamed(body)
    whole = cut(body)
    assert counts == whole.counts and (counts.records, counts.records_withheld) == (1 + 2 + 1, 5)
    assert sorted(starts(whole)) == sorted(int(start) for start in re.findall(rb"<start>(\d+)</start></timeP", out))


@pytest.mark.parametrize("claimed", ["/m/MeterReading", "/m/MeterReading/9", "/s/UsageSummary", "/s/UsageSummary/1"])
@pytest.mark.parametrize("at", range(6))
def test_what_another_usage_point_claims_too_is_refused_wherever_that_is_said(claimed, at):
    rival = f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>'
    entries = list(flat().values())
    entries.insert(at, espi_entry(f"{ROOT}/{FOREIGN}", rival, [claimed]))
    for way in (cut, streamed):
        with pytest.raises(UnknownShape):
            way(espi_feed(*entries))


@pytest.mark.parametrize("at", range(6))
def test_a_block_that_a_meter_of_another_claims_too_is_refused_wherever_that_is_said(at):
    """The meter's own address is flat, and its usage point is the last thing to come."""
    entries = [
        *usage_point(MINE.native, block(hours(START, 2)), shared=False),
        espi_entry("/x/LocalTimeParameters/1", f'<LocalTimeParameters xmlns="{ESPI}"/>'),
    ]
    theirs = f"{ROOT}/{MINE.native}/MeterReading/01/IntervalBlock/0"
    entries.insert(min(at, len(entries)), espi_entry("/m/MeterReading/8", f'<MeterReading xmlns="{ESPI}"/>', [theirs]))
    rival = f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>'
    entries.append(espi_entry(f"{ROOT}/{FOREIGN}", rival, ["/m/MeterReading"]))
    for way in (cut, streamed):
        with pytest.raises(UnknownShape):
            way(espi_feed(*entries))


def test_a_stream_says_when_it_cannot_hold_what_came_too_early():
    of = all_of()
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    cutter.feed(espi_feed().removesuffix(b"</feed>"))
    with pytest.raises(TooLarge):
        for number in range(200):
            cutter.feed(espi_entry(f"/b/IntervalBlock/{number}", block(hours(START, 720))).encode())


def test_a_stream_holds_one_entry_and_no_more():
    of = all_of()
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    entries = usage_point(MINE.native)
    out = len(cutter.feed(espi_feed(*entries).removesuffix(b"</feed>")))
    meter = f"{ROOT}/{MINE.native}/MeterReading/01/IntervalBlock"
    for number in range(60):
        entry = espi_entry(f"{meter}/{number}", block(hours(START + number * 720 * HOUR, 720))).encode()
        out += len(cutter.feed(entry))
        assert len(cutter._buffer) < 100
    out += len(cutter.feed(b"</feed>"))
    cutter.close()
    assert cutter.counts().records == 60 * 720 + 1 and out > LIMIT


def test_a_single_entry_above_the_limit_is_too_large():
    of = all_of()
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    with pytest.raises(TooLarge):
        for _ in range(10):
            cutter.feed(b"<feed xmlns='http://www.w3.org/2005/Atom'><entry>" + b" " * 1_000_000)
    with pytest.raises(TooLarge):
        cut(b" " * (LIMIT + 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("</feed>", ""),
        lambda t: t.replace("<value>", "<value><secret/>", 1),
        lambda t: t.replace("<entry>", "secret<entry>", 3),
        lambda t: t.replace("<feed", BOMB + "<feed"),
        lambda t: t.replace("</content>", "<![CDATA[</entry>]]></content>", 1),
        lambda t: t.replace("<UsagePoint ", "<!-- </entry> --><UsagePoint "),
        lambda t: "<html/>",
        lambda t: "",
    ],
)
def test_a_stream_refuses_what_the_whole_refuses(change):
    with pytest.raises(UnknownShape):
        streamed(change(city().decode()).encode())
