"""Energy: the cut of readings against a reader of its own, on blocks put together at random, whole and broken ones.

The judge reads a block with the XML parser and knows nothing of runs. Where it finds the block in order, what leaves is
what it says; whatever it finds, what leaves is well-formed and holds nothing that is not agreed.
"""

import re
import resource
import time

import pytest
from energy_documents import ALWAYS, BATCH, DATASETS, ESPI, block, cut, espi_feed, usage_point
from format_documents import MINE, TYPES, granted, plan, sent
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.formats.espi.readings import lifted
from gateway.formats.model import LIMIT, UnknownShape
from tests.torture import many

COST = "98765"  # of every cost and class; a granted value or instant is never this
ONLY_VALUE = plan(granted(DATASETS[0], ["interval.cost", "interval.quality"]))
ORDER = ("cost", "ReadingQuality", "timePeriod", "value", "consumptionTier", "tou", "cpp")


def whole(number: int, cost: str = "", value: str = "7") -> str:
    period = f"<timePeriod><duration>60</duration><start>{number * 60}</start></timePeriod>"
    return f"<IntervalReading>{cost}{period}<value>{value}</value></IntervalReading>"


def only_value(readings: str, way: str = "whole") -> bytes:
    body = espi_feed(*usage_point(MINE.native, block(readings)))
    if way == "whole":
        return cut(body, ONLY_VALUE).body
    cutter = ONLY_VALUE.cutter(sent(ONLY_VALUE, "energy", BATCH), TYPES["energy"], ALWAYS)
    out = [cutter.feed(body[at : at + 50]) for at in range(0, len(body), 50)]
    return b"".join([*out, cutter.close()])


def values(document: bytes) -> list[tuple[int, str]]:
    """(start, value) of every reading that left."""
    readings = etree.fromstring(document).iter(f"{{{ESPI}}}IntervalReading")
    return [(int(each.findtext("{*}timePeriod/{*}start")), each.findtext("{*}value", "none")) for each in readings]


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("rest", [f"<IntervalReading><cost>{COST}", f"<IntervalReading><cost>{COST}</cost>"])
@pytest.mark.parametrize("first", [whole(1), whole(1) + whole(2), whole(1, value=" 2 "), ""])
def test_a_reading_that_breaks_off_after_whole_ones_refuses_the_answer(first, rest, way):
    with pytest.raises(UnknownShape):
        only_value(first + rest, way)


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("spaced_first", [True, False])
def test_blanks_around_a_number_change_nothing_wherever_the_reading_stands(spaced_first, way):
    """White space collapses in the numbers of XML Schema."""
    readings = [whole(1, value=" 2 "), whole(2, value="3")]
    out = only_value("".join(readings if spaced_first else reversed(readings)), way)
    assert sorted(values(out)) == [(60, "2"), (120, "3")]


# ---- at random

SPACES = st.sampled_from(["", "", "", " ", "\n\t", "<!-- - x -->", "<!---->", "<?x y?>", "<!-- <value>1</value> --> "])
NUMBERS = st.sampled_from(["7", "7", "-7", " 7 ", "07", "&#55;", "<![CDATA[7]]>", "<!-- -->7"])
BREAKS = [
    "<IntervalReading>", "</IntervalReading>", f"<cost>{COST}", f"<cost>{COST}</cost>", "</cost>", "<value>",
    "</value>", "</timePeriod>", "</IntervalBlock>", "<!--", "-->", "--", "<![CDATA[", "]]>", "<", ">", "&", "&lt;",
    "x", "\0", "<e:value>", "<IntervalReading/>", f"<secret>{COST}</secret>", "<aval-run>0</aval-run>",
    f"</IntervalReading><IntervalReading><cost>{COST}",
]  # fmt: skip


@st.composite
def a_reading(draw) -> str:
    def leaf(name: str, text: str) -> str:
        return f"<{name}>{text}</{name}>{draw(SPACES)}"

    number = draw(st.integers(0, 5000))
    span = leaf("duration", "60") + leaf("start", str(number * 60))
    parts = {
        "cost": leaf("cost", COST),
        "ReadingQuality": leaf("ReadingQuality", draw(SPACES) + leaf("quality", "987")),
        "timePeriod": leaf("timePeriod", draw(SPACES) + span),
        "value": leaf("value", draw(NUMBERS)),
        **{name: leaf(name, COST) for name in ORDER[4:]},
    }
    names = [name for name in ORDER if name in ("timePeriod", "value") or draw(st.booleans())]
    return f"<IntervalReading>{draw(SPACES)}{''.join(parts[name] for name in names)}</IntervalReading>{draw(SPACES)}"


@st.composite
def a_block(draw) -> tuple[str, bool]:
    """Readings as text, and whether they were left as they were made."""
    tokens = re.split("(<[^>]*>)", "".join(draw(st.lists(a_reading(), max_size=6))))
    broken = draw(
        st.lists(st.tuples(st.integers(0, 120), st.integers(0, 9), st.sampled_from(["", *BREAKS])), max_size=2)
    )
    for at, taken, put in broken:
        tokens[at : at + taken] = [put]
    return "".join(tokens), not broken


def judged(readings: str) -> list[tuple[int, str]] | None:
    """(start, value) of each reading of a block that has its time; None: the block is not in order."""
    try:
        root = etree.fromstring(block(readings).encode(), etree.XMLParser(remove_comments=True, remove_pis=True))
    except etree.XMLSyntaxError:
        return None
    found = []
    for each in root.iterchildren():
        if each.tag != f"{{{ESPI}}}IntervalReading":
            continue  # the interval, and what is not known
        start, lasts = each.findtext("{*}timePeriod/{*}start"), each.findtext("{*}timePeriod/{*}duration")
        if start and lasts:
            found.append((int(start), each.findtext("{*}value", "none").strip()))
    return found


@pytest.mark.parametrize("way", ["whole", "stream"])
@settings(max_examples=many(500))
@given(made=a_block())
def test_what_leaves_of_any_block_is_well_formed_and_holds_nothing_withheld(made, way):
    readings, as_made = made
    try:
        out = only_value(readings, way)
    except UnknownShape:
        assert not as_made, "a block in order is given"
        return
    left = values(out)  # parses, so it is well-formed
    text = re.sub(rb"urn:uuid:[0-9a-f-]+", b"", out)  # of digits too
    assert COST.encode() not in text and b">987<" not in text and b"<!--" not in text
    assert left == judged(readings)


@settings(max_examples=many(500))
@given(made=a_block(), prefix=st.sampled_from([b"", b"e:"]))
def test_a_run_is_whole_readings_and_nothing_else(made, prefix):
    text = re.sub(rb"<(/?)(?=[A-Za-z])", rb"<\1" + prefix, made[0].encode())
    for run in lifted(text)[1]:
        for each in etree.fromstring(b"<x>" + run + b"</x>"):
            assert each.tag == "IntervalReading" and not each.attrib and not (each.tail or "").strip()
            assert [child.tag for child in each] == sorted((child.tag for child in each), key=ORDER.index)


@pytest.mark.parametrize(
    "text",
    [
        b"<IntervalReading>" + b"<!---->" * (LIMIT // 7),
        b"<IntervalReading>" + b"<!-- " * (LIMIT // 5),
        b"<IntervalReading> <!-- " * (LIMIT // 23),
        b"<IntervalReading><!-- " + b"- " * (LIMIT // 2) + b"-->",
        b"<IntervalReading>" + b" " * LIMIT,
        b"<IntervalReading>" + b"<ReadingQuality><quality>1</quality></ReadingQuality>" * (LIMIT // 53),
        (whole(1) * (LIMIT // 120)).encode(),
        ((whole(1) + "<!-- -->") * (LIMIT // 130)).encode(),
    ],
    ids=["comments", "open comments", "open readings", "dashes", "blanks", "qualities", "readings", "commented"],
)
def test_looking_for_runs_takes_little_time_and_memory(text):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    lifted(text)
    assert time.process_time() - began < 20  # hours, if it went back
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * LIMIT // 1024  # KiB
