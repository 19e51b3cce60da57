"""Receipts of a shop in ARTS XML, the samples of the standard: valid by its schema, whatever was withheld."""

import gzip
import itertools
from pathlib import Path

import pytest
from arts_receipts import CANARIES, FIELDS, NEVER, SAMPLES, receipts
from lxml import etree
from xml_documents import ALWAYS, MINE, plan_of, sent_of, streamed

from gateway.formats import registry
from gateway.formats.drift import Seen

PATH = f"/customers/{MINE.ref}/receipts"
NRF = "{http://www.nrf-arts.org/IXRetail/namespace/}"


@pytest.fixture(scope="module")
def sample(shared: Path):
    return lambda name: (shared / f"samples/retail/arts_digital_receipt/swe-standard-dr-{name}.xml").read_bytes()


@pytest.fixture(scope="module")
def schema(shared: Path) -> etree.XMLSchema:
    text = gzip.decompress((shared / "samples/schemas/arts/DigitalReceiptV2.0.0.xsd.gz").read_bytes())
    return etree.XMLSchema(etree.fromstring(text))


def cut(body: bytes, without=()):
    form, dataset = receipts()
    plan = plan_of(form, dataset, without)
    return plan.cut(sent_of(plan, PATH), "application/xml", body, ALWAYS)


def without_all() -> list[tuple[str, ...]]:
    fields = [name for name in FIELDS if name != "when"]
    return [(), *((field,) for field in fields), *itertools.combinations(fields, 2), tuple(fields)]


def test_the_declaration_has_no_fault():
    form, dataset = receipts()
    assert list(registry.form_faults(form, {"receipts": dataset})) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_every_field_and_every_pair_of_fields_can_be_withheld(name, sample, schema):
    body = sample(name)
    for without in without_all():
        found = cut(body, without)
        assert schema.validate(etree.fromstring(found.body)), (without, str(schema.error_log)[:500])
        assert found.counts.records == 1
        text = found.body.decode()
        for field, canaries in CANARIES.items():
            for canary in canaries:
                if field in without:
                    assert canary not in text, (field, canary, without)
        for never in NEVER:
            assert never not in text


@pytest.mark.parametrize("name", SAMPLES)
def test_with_everything_given_all_declared_texts_are_there(name, sample):
    body = sample(name)
    text = cut(body).body.decode()
    for canary in itertools.chain.from_iterable(CANARIES.values()):
        assert (canary in text) == (canary in body.decode())


def numbers(body: bytes) -> list[str]:
    return [each.findtext(f"{NRF}SequenceNumber") for each in etree.fromstring(body).iter(f"{NRF}LineItem")]


def test_lines_that_are_left_are_numbered_anew_and_the_others_leave_no_trace(sample):
    whole = numbers(cut(sample("sale")).body)
    assert whole == [str(number) for number in range(1, 8)]
    found = cut(sample("sale"), ["lines"]).body
    assert numbers(found) == ["1", "2", "3"] and b"ItemCount" not in found  # it would tell how many there were
    assert etree.fromstring(found).find(f".//{NRF}Total") is not None  # which was granted by itself
    assert numbers(cut(sample("sale"), ["lines", "tax", "payment"]).body) == []


def test_a_receipt_in_pieces_is_cut_as_the_whole(sample):
    form, dataset = receipts()
    plan = plan_of(form, dataset, ["cards", "person"], seen=Seen(lambda *_: None))
    body = sample("sample-1")
    whole = plan.cut(sent_of(plan, PATH), "application/xml", body, ALWAYS)
    for size in (1, 7, 500):
        assert streamed(plan, sent_of(plan, PATH), body, size) == (whole.body, whole.counts)
