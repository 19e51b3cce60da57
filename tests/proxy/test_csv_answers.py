"""An organisation that answers in CSV, through the door: cut whole and as a stream, in UTF-8, and counted."""

import csv
import http.client
import io

import pytest

from gateway.formats import registry
from gateway.formats.csv_plan import CsvPlan
from tests.proxy.bank import FIELDS, NATIVE, Bank
from tests.proxy.declared_rows import MEGABYTE, declared, streams
from tests.proxy.raw import answer

LATIN = "text/csv; charset=iso-8859-1"
ROW = f"{NATIVE};2026-11-01;12,50;Café;never\r\n"
FOREIGN_ROW = "00088888;2026-11-01;99,99;foreign;never\r\n"
HEAD = "number;booked;amount;words;secret\r\n"
csv_plan = declared(
    CsvPlan,
    driver="csv",
    csv={"separator": ";", "decimal": ",", "encoding": "iso-8859-1"},
    records={"Row": {"account": "number", "instant": "booked"}},
    shapes={"Row": "number:s booked:s amount:d words:x secret:-"},
)


@pytest.fixture
def tables(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.setattr(registry, "plan", csv_plan)
    return bank


def read(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), delimiter=";", strict=True))


def test_a_table_leaves_with_the_columns_and_rows_that_were_agreed(tables: Bank) -> None:
    tables.organisation.says(answer((HEAD + ROW + FOREIGN_ROW).encode("latin-1"), kind=LATIN))
    found = tables.reads()
    assert found.status == 200 and found.headers["content-type"] == "text/csv; charset=utf-8"
    assert read(found.body) == [["number", "booked", "amount"], [tables.ref, "2026-11-01", "12,50"]]
    entry = tables.log()[-1]
    assert (entry["records"], entry["records_withheld"], entry["values_withheld"]) == (1, 1, 2)


def test_what_is_given_of_it_is_in_utf_8(tables: Bank) -> None:
    tables.agrees(fields=[*FIELDS, "transaction.words"])
    tables.organisation.says(answer((HEAD + ROW).encode("latin-1"), kind=LATIN))
    assert read(tables.reads().body)[1][-1] == "Café"


@pytest.mark.parametrize("body", [b"", b"<html>", (HEAD + ROW[:-2] + ";more").encode("latin-1"), HEAD.encode() + b'"'])
def test_what_is_no_table_is_an_error_and_nothing_of_it_leaves(tables: Bank, body: bytes) -> None:
    tables.organisation.says(answer(body, kind=LATIN))
    found = tables.reads()
    assert found.status == 502 and found.reason == "organisation_answer_invalid"
    assert NATIVE.encode() not in found.body


def test_a_table_above_the_limit_is_cut_as_a_stream(tables: Bank) -> None:
    count = 9 * MEGABYTE // len(ROW + FOREIGN_ROW)
    piece = (ROW + FOREIGN_ROW).encode("latin-1") * 1000
    streams(tables.organisation, LATIN, HEAD.encode(), *[piece] * (count // 1000 + 1))
    found = tables.reads()
    assert found.status == 200 and found.headers["content-type"] == "text/csv; charset=utf-8"
    rows = read(found.body)
    assert len(rows) == 1 + 1000 * (count // 1000 + 1)
    assert {tuple(row) for row in rows[1:]} == {(tables.ref, "2026-11-01", "12,50")}
    last = tables.log()[-1]
    assert (last["event"], last["outcome"], last["records"]) == ("access_outcome", "delivered", len(rows) - 1)


def test_a_stream_that_stops_being_a_table_is_cut_short_and_what_left_is_counted(tables: Bank) -> None:
    piece = ROW.encode("latin-1") * 10_000
    wrong = (ROW.rstrip() + ";planted\r\n").encode("latin-1")
    streams(tables.organisation, LATIN, HEAD.encode(), *[piece] * 30, wrong, piece)
    with pytest.raises(http.client.IncompleteRead) as broken:
        tables.reads()
    assert b"planted" not in broken.value.partial
    last = tables.log()[-1]
    assert (last["event"], last["outcome"]) == ("access_outcome", "cut") and 0 < last["records"] <= 300_000
