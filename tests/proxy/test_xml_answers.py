"""An organisation that answers in XML, through the door: cut whole and as a stream, in UTF-8, and counted."""

import http.client
from xml.etree import ElementTree as ET

import pytest

from gateway.formats import registry
from gateway.formats.xml_plan import XmlPlan
from tests.proxy.bank import FIELDS, NATIVE, Bank
from tests.proxy.declared_rows import MEGABYTE, declared, streams
from tests.proxy.raw import answer

KIND = "application/xml"
HEAD, FOOT = '<?xml version="1.0"?>\n<b:Book xmlns:b="urn:book">', "</b:Book>"
ROW = (
    f'<b:Row id="never"><b:number>{NATIVE}</b:number><b:booked>2026-11-01</b:booked><b:amount>12.50</b:amount>'
    "<b:words>Café</b:words></b:Row>\n"
)
FOREIGN_ROW = ROW.replace(NATIVE, "00088888").replace("Café", "foreign")
xml_plan = declared(
    XmlPlan,
    driver="xml",
    namespaces={"": "urn:book"},
    records={"Row": {"at": "Book.Row", "account": "number", "instant": "booked"}},
    shapes={
        "Answer": "Book:Book",
        "Book": "Row:Row*",
        "Row": "@id:- number:s booked:s amount:d words:x secret:-",
    },
)


@pytest.fixture
def book(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setattr(registry, "plan", xml_plan)
    return bank


def read(body: bytes) -> list[list[str]]:
    root = ET.fromstring(body)
    assert root.tag == "{urn:book}Book" and not any(row.attrib for row in root)
    return [[cell.text or "" for cell in row] for row in root]


def test_an_answer_leaves_with_the_elements_and_records_that_were_agreed(book: Bank) -> None:
    book.organisation.says(answer((HEAD + ROW + FOREIGN_ROW + FOOT).encode(), kind=KIND))
    found = book.reads()
    assert found.status == 200 and found.headers["content-type"] == KIND
    assert read(found.body) == [[book.ref, "2026-11-01", "12.50"]]
    entry = book.log()[-1]
    assert (entry["records"], entry["records_withheld"], entry["values_withheld"]) == (1, 1, 2)
    book.agrees(fields=[*FIELDS, "transaction.words"])
    assert read(book.reads().body)[0][-1] == "Café"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        HEAD + ROW,
        HEAD + ROW + FOOT + ROW,
        f'<!DOCTYPE b:Book [<!ENTITY e "x">]>{HEAD[22:]}{ROW.replace("Café", "&e;")}{FOOT}',
        HEAD + ROW.replace("2026-11-01", "planted") + FOOT,
    ],
)
def test_what_is_no_such_document_is_an_error_and_nothing_of_it_leaves(book: Bank, body: str) -> None:
    book.organisation.says(answer(body.encode(), kind=KIND))
    found = book.reads()
    assert found.status == 502 and found.reason == "organisation_answer_invalid"
    assert NATIVE.encode() not in found.body and b"planted" not in found.body


def test_an_answer_above_the_limit_is_cut_as_a_stream(book: Bank) -> None:
    piece = (ROW + FOREIGN_ROW).encode() * 1000
    count = 9 * MEGABYTE // len(piece) + 1
    streams(book.organisation, KIND, HEAD.encode(), *[piece] * count, FOOT.encode())
    found = book.reads()
    assert found.status == 200 and found.headers["content-type"] == KIND
    rows = read(found.body)
    assert len(rows) == 1000 * count and {tuple(row) for row in rows} == {(book.ref, "2026-11-01", "12.50")}
    last = book.log()[-1]
    assert (last["event"], last["outcome"], last["records"]) == ("access_outcome", "delivered", len(rows))


def test_a_stream_that_goes_wrong_is_cut_short_and_what_left_is_counted(book: Bank) -> None:
    piece = ROW.encode() * 10_000
    wrong = ROW.replace("<b:amount>", "<b:amount><planted/>").encode()
    streams(book.organisation, KIND, HEAD.encode(), *[piece] * 20, wrong, piece, FOOT.encode())
    with pytest.raises(http.client.IncompleteRead) as broken:
        book.reads()
    assert b"planted" not in broken.value.partial
    last = book.log()[-1]
    assert (last["event"], last["outcome"]) == ("access_outcome", "cut") and 0 < last["records"] <= 200_000
