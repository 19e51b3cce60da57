"""Records of JSON in a line each, as a stream: the same as whole, wherever pieces end."""

import json
import random

import pytest
from csv_documents import MINE, format_of, plan_of, row, sent
from format_documents import FOREIGN, YEAR

from gateway.formats.json_lines import LINE
from gateway.formats.model import UnknownShape

TYPE = "application/x-ndjson"
SHAPE = 'card:s at:s label:x articles:s total:d "Merchant/Description":x "Date of birth":x ticket:p secret:-'
FORM = format_of(SHAPE, "ndjson")


def lines(count: int, end: str = "\n") -> bytes:
    chance = random.Random(1)
    found = []
    for number in range(count):
        record = row(chance.choice([MINE.native, FOREIGN]), f"202{chance.choice('45')}-{chance.randint(1, 12):02}-05")
        record["label"] = f"été {number} " + chance.choice(["", "to native-4711", "x" * chance.randrange(3000)])
        found.append(json.dumps(record, ensure_ascii=chance.random() < 0.5))
    return end.join(["", *found[:1], "", *found[1:]]).encode() + b"\n"


def streamed(of, body: bytes, size: int, media_type: str = TYPE):
    cutter = of.cutter(sent(of), media_type, YEAR)
    out = [cutter.feed(body[at : at + size]) for at in range(0, len(body), size)]
    return b"".join([*out, cutter.close()]), cutter.counts()


@pytest.mark.parametrize("without", [(), ("receipt.articles",)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_leaves_as_a_stream_and_whole(end, without):
    of = plan_of(FORM, without)
    body = lines(1000, end)
    whole = of.cut(sent(of), TYPE, body, YEAR)
    assert 100 < whole.counts.records < 400 and MINE.native.encode() not in whole.body
    for size in (1, 1000, 70_000, len(body)) if not without else (5000,):
        assert streamed(of, body, size) == (whole.body, whole.counts)
    assert streamed(of, body.rstrip(), 1000)[0] == whole.body


def test_no_more_records_than_agreed_over_all_pieces():
    found, counts = streamed(plan_of(FORM, most=150), lines(1000), 5000)
    assert found.count(b"\n") == counts.records == 150 and counts.records + counts.records_withheld == 1000


@pytest.mark.parametrize(
    "bad", [b"{", b"[]", b'{"card": "native-4711", "at": "2025-01-05", "planted": 1}', b"\xff", b"1"]
)
def test_a_line_that_is_no_record_refuses_the_answer(bad):
    of = plan_of(FORM)
    with pytest.raises(UnknownShape) as refused:
        streamed(of, lines(200) + bad, 5000)
    assert "planted" not in refused.value.where


def test_a_line_above_its_limit_and_another_media_type_are_refused():
    of = plan_of(FORM)
    with pytest.raises(UnknownShape):
        streamed(of, b" " * (LINE + 200_000), 50_000)
    with pytest.raises(UnknownShape):
        streamed(of, lines(1), 10, "text/csv")


def test_one_list_of_json_is_cut_whole_only():
    of = plan_of(format_of(driver="json"))
    assert of.cutter(sent(of), "application/json", YEAR) is None
