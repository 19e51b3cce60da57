"""Feeds as large utilities send them, through the data plane: given, or refused where something is missing."""

import logging
import re

import pytest

from tests.proxy.raw import answer
from tests.proxy.supplier import ESPI, KIND, Supplier, feed

HINT = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x:y"'
PROGRAMS = (
    f'<entry><content><ProgramIdMappings xmlns="{ESPI}"><programIdMapping><name>canary</name></programIdMapping>'
    "</ProgramIdMappings></content></entry>"
)


def utility_feed() -> str:
    hinted = re.sub(r"<(entry|link|content|title|MeterReading)(?=[ >])", rf"<\1 {HINT}", feed().decode())
    return hinted.replace("ReadingType/1", "ReadingType/NzI6bnVsbDozNjAwOjE=").replace("</feed>", PROGRAMS + "</feed>")


def test_the_feed_of_a_large_utility_is_given(supplier: Supplier) -> None:
    supplier.organisation.says(answer(utility_feed().encode(), kind=KIND))
    found = supplier.reads()
    assert found.status == 200 and found.body.count(b"<IntervalReading>") == 24
    assert b"/ReadingType/x.NzI6bnVsbDozNjAwOjE_3D" in found.body and b"<uom>72</uom>" in found.body
    assert b"canary" not in found.body and b"xsi" not in found.body and b"point-one" not in found.body
    (entry,) = [entry for entry in supplier.log() if entry["event"] == "access"]
    assert (entry["records"], entry["records_withheld"]) == (24, 1)


@pytest.mark.parametrize("kind", ["UsagePoint", "MeterReading", "ReadingType"])
def test_readings_without_what_they_need_are_refused_and_the_operator_is_told_what(
    supplier: Supplier, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = feed().decode()
    entries = [entry for entry in re.findall("<entry>.*?</entry>", whole) if f"<{kind} " in entry]
    assert len(entries) == 1
    supplier.organisation.says(answer(whole.replace(entries[0], "").encode(), kind=KIND))
    with caplog.at_level(logging.INFO):
        found = supplier.reads()
    assert (found.status, found.reason) == (502, "organisation_answer_invalid")
    assert f"unknown shape at feed/without[{kind}]" in caplog.text
