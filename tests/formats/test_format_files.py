"""Files cut into records and put together again for one customer, by each driver."""

import dataclasses
import io
import json
import tomllib
from typing import Any

import pytest

from gateway.catalogue import Format
from gateway.catalogue.formats import FormatCall
from gateway.formats import csv_everything, filed, json_values
from gateway.formats.drift import Seen
from gateway.formats.filed import BadFile, Filed
from gateway.organisations import owned
from tests.formats import flat_calls, xml_documents
from tests.worlds.filed import document

PATH = ("contractId",)
ZONE = "Europe/Paris"
NAMES = "contractId;timestamp;msisdn;partner;length\r\n"


def form(driver: str, **more: Any) -> Format:
    found, _ = owned.read(document())
    assert found is not None
    return dataclasses.replace(found, driver=driver, **more)


def read(its: Format, body: bytes) -> tuple[bytes, list[Filed]]:
    head, found = filed.DRIVERS[its.driver].opened(its, its.calls["calls"], io.BytesIO(body))
    return head, list(found)


def of(its: Format, body: bytes, customer: str) -> bytes:
    head, found = read(its, body)
    hers = [each.text for each in found if filed.identified(each, PATH) == customer]
    return filed.answer(its, call(its), head, list(filed.unpacked(filed.packed(hers))))


def call(its: Format) -> FormatCall:
    return its.calls["calls"]


def test_json_keeps_each_record_as_it_stands() -> None:
    body = b'{"result": {"items": [{"contractId": "A", "length": 1.50}, {"contractId": 2}], "n": 2}}'
    assert of(form("json"), body, "A") == b'{"result":{"items":[{"contractId": "A", "length": 1.50}]}}'
    assert of(form("json"), body, "2") == b'{"result":{"items":[{"contractId": 2}]}}'
    assert of(form("json"), body, "B") == b'{"result":{"items":[]}}'


def test_ndjson_is_read_line_by_line() -> None:
    body = b'\xef\xbb\xbf{"contractId":"A","length":1}\r\n\r\n{"contractId":"B"}\n{"contractId":"A"}'
    assert of(form("ndjson"), body, "A") == b'{"contractId":"A","length":1}\n{"contractId":"A"}\n'
    for wrong, told in ((b'{"contractId":"A"}\n[1]', "record 2"), (b'{"a":\n', "record 1"), (b'{"a":"\xe9"}', "UTF-8")):
        with pytest.raises(BadFile, match=told):
            read(form("ndjson"), wrong)


def test_csv_keeps_its_names_and_each_row_whatever_is_in_it() -> None:
    rows = 'A;2026-11-01;1;"two\r\nlines; ""quoted""";61\r\n\r\nB;x;2;;\r\n A ;y;3;é;5'
    its = form("csv", separator=";", encoding="windows-1252")
    found = of(its, (NAMES + rows).encode("cp1252"), "A").decode("cp1252")
    assert found == NAMES.strip() + '\nA;2026-11-01;1;"two\r\nlines; ""quoted""";61\n A ;y;3;é;5\n'
    assert of(its, (NAMES + rows).encode("cp1252"), "B") == f"{NAMES.strip()}\nB;x;2;;\n".encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a;a\r\n", "line 1: it names no column of PhoneCall"),
        (b"contractId;timestamp;msisdn;timestamp\r\n", "line 1: the column timestamp stands twice"),
        (b"a;b\r\n", "line 1: it names no column of PhoneCall"),
        (b"contractId;timestamp\r\n", "no column msisdn"),
        (b"", "names of the columns"),
        (b'"a;b\r\n', "line 1: a quotation mark"),
        (NAMES.encode() + b"A;1;2;3;4;5\r\n", "line 2: it has 6 cells"),
        (NAMES.encode() + b'A;1;2;3;4\r\nB;1;2;"3;4\r\n', "a quotation mark"),
        (NAMES.encode() + b"A;1;2;\xe9;4\r\n", "line 2: it is not utf-8"),
        (NAMES.encode() + b"A;1;2;\0;4\r\n", "line 2"),
        (NAMES.encode() + b"A" * (filed.RECORD + 5), "longer"),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(BadFile, match=told):
        read(form("csv", separator=";"), body)


def test_columns_that_are_not_declared_are_told_or_refused() -> None:
    its, places = form("csv"), []
    head, found = read(its, b"contractId,timestamp,msisdn,colour\nA,2026-11-01T10:00:00Z,1,red\n")
    filed.require_declared(its, call(its), ZONE, head, found, Seen(lambda some, answers, at: places.extend(some)))
    assert places == ["colour"]
    with pytest.raises(BadFile, match="column colour"):
        filed.require_declared(its, call(its), ZONE, head, found, None)


AT = "2026-11-01T10:00:00Z"


@pytest.mark.parametrize(
    "body",
    [
        f"contractId,timestamp,msisdn,length\rA,{AT},1,61\rB,{AT},2,5\r",
        f"\ufeff contractId , timestamp ,msisdn,length\r\n\r\nA,{AT},1,61\r\nB,{AT},2,5",
        f' "contractId","timestamp","msisdn","length"\n"A","{AT}","1","61"\n"B","{AT}",2,"5"\n',
        f"contractId,timestamp,msisdn,length,partner,\nA,{AT},1,61\n   \nB,{AT},2,5,,\n",
    ],
)
def test_tables_are_taken_as_they_come(body: str) -> None:
    its = form("csv")
    head, found = read(its, body.encode())
    filed.require_declared(its, call(its), ZONE, head, found, Seen(lambda *_: None))
    assert [(each.number, each.value["contractId"], each.value["length"]) for each in found] == [
        (1, "A", "61"),
        (2, "B", "5"),
    ]
    given = csv_everything.rows(its, filed.answer(its, call(its), head, [found[0].text]))
    assert [row.record["length"] for row in given] == ["61"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A,someday,1,61", "record 2: what stands at timestamp"),
        (f"A,{AT},,61", "record 2: what stands at msisdn"),
        ("A", ""),
        ("Total,,", ""),
    ],
)
def test_a_whole_row_must_have_what_it_is_judged_by(row: str, told: str) -> None:
    its = form("csv")
    head, found = read(its, f"contractId,timestamp,msisdn,length\nA,{AT},1,61\n{row}\n".encode())
    if not told:  # of fewer cells, such as a sum: it is taken and given to nobody
        filed.require_declared(its, call(its), ZONE, head, found, None)
        return
    with pytest.raises(BadFile, match=told):
        filed.require_declared(its, call(its), ZONE, head, found, None)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_are_the_same_wherever_the_pieces_of_a_file_end(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filed, "_PIECE", size)
    body = f'contractId,timestamp,msisdn,partner\r\nA,{AT},1,"two\r\nlines"\rB,{AT},2,"a\rb"\n\nC,{AT},3,é'.encode()
    _, found = read(form("csv"), body)
    assert [each.value["partner"] for each in found] == ["two\r\nlines", "a\rb", "é"]


@pytest.mark.parametrize("value", [None, "", " ", True, 1.5, ["A"], {"a": 1}])
def test_only_a_text_or_a_whole_number_says_whose_a_record_is(value: Any) -> None:
    with pytest.raises(BadFile, match="record 3: contractId must be there once"):
        filed.identified(Filed(3, b"", {"contractId": value}), PATH)


def test_accounts_are_those_that_the_records_name() -> None:
    its = form("json")
    body = json.dumps({"result": {"items": [{"msisdn": "+33600000001"}, {"msisdn": "+33600000001"}]}}).encode()
    [one] = filed.accounts(its, call(its), body)
    assert (one.native, one.label) == ("+33600000001", "•••• 0001")


# ---- XML

HEADER = b'<?xml version="1.0" encoding="UTF-8"?>\n<Calls xmlns="urn:calls" xmlns:e="urn:more" version="3"><?why?>\n'


def xml_call(customer: str, number: int = 1, more: str = "", at: str = "2026-11-01T10:00:00Z") -> bytes:
    line = f"3360000000{number}"
    return f'<Call id="{customer}"><when>{at}</when><line>{line}</line><length>{number}</length>{more}</Call>'.encode()


def xml_form() -> tuple[Format, FormatCall]:
    its = xml_documents.form_of(xml_documents.CALLS)
    return its, its.calls["all-calls"]


def read_xml(*records: bytes) -> tuple[bytes, list[Filed]]:
    its, of_all = xml_form()
    head, found = filed.DRIVERS["xml"].opened(its, of_all, io.BytesIO(HEADER + b"\n".join(records) + b"</Calls>"))
    return head, list(found)


def test_xml_keeps_the_bytes_of_each_record_and_the_tags_around_them() -> None:
    its, of_all = xml_form()
    mine = xml_call("A", 1, "<partner>caf\u00e9 &amp; co</partner><e:cell><![CDATA[<x>]]></e:cell>")
    head, found = read_xml(mine, xml_call("B", 2))
    assert [filed.identified(each, ("@id",)) for each in found] == ["A", "B"]
    filed.require_declared(its, of_all, ZONE, head, found, None)
    body = filed.answer(its, of_all, head, [found[0].text])
    assert mine in body and b"33600000002" not in body and body.count(b"<Call ") == 1
    [again] = filed.DRIVERS["xml"].opened(its, of_all, io.BytesIO(body))[1]
    assert again.text == mine
    assert list(filed.DRIVERS["xml"].opened(its, of_all, io.BytesIO(filed.answer(its, of_all, head, [])))[1]) == []
    assert [each.native for each in filed.accounts(its, of_all, body)] == ["33600000001"]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (xml_call("A", at="someday"), "record 2: what stands at Calls.Call.when"),
        (b"<Call><when>2026-11-01T10:00:00Z</when></Call>", "record 2: what stands at Calls.Call.line"),
        (xml_call("A", more="<length>2</length>"), "record 2: what stands at Calls.Call"),
        (xml_call("A", more="<colour>red</colour>"), "record 2: what stands at Calls.Call"),
    ],
)
def test_a_record_in_xml_is_judged_before_it_is_taken(record: bytes, told: str) -> None:
    its, of_all = xml_form()
    head, found = read_xml(xml_call("B"), record)
    with pytest.raises(BadFile, match=told):
        filed.require_declared(its, of_all, ZONE, head, found, None)


def test_elements_that_are_not_declared_are_told() -> None:
    its, of_all = xml_form()
    places: list[str] = []
    head, found = read_xml(xml_call("B"), xml_call("A", more="<colour>red</colour>"))
    filed.require_declared(its, of_all, ZONE, head, found, Seen(lambda some, answers, at: places.extend(some)))
    assert [place.rpartition(".")[2] for place in places] == ["colour"]


@pytest.mark.parametrize(
    "body",
    [
        b"<Calls xmlns='urn:calls'><Call>",
        b"<Others/>",
        b"<!DOCTYPE Calls><Calls xmlns='urn:calls'/>",
        b"",
        b"<Calls xmlns='urn:calls'>\xff</Calls>",
    ],
)
def test_what_is_no_such_xml_is_refused(body: bytes) -> None:
    its, of_all = xml_form()
    with pytest.raises(BadFile, match="no XML as"):
        filed.DRIVERS["xml"].opened(its, of_all, io.BytesIO(body))


# ---- whose a record is, where that stands twice


@pytest.mark.parametrize(
    "record",
    [
        '{"contractId":"A","contractId":"B"}',
        '{"contractId":"A","contractId":"A"}',
        '{"contractId":"A","length":1,"contract\\u0049d":"B"}',
        '{"contractId":"A","contractId":null}',
    ],
)
@pytest.mark.parametrize("driver", ["json", "ndjson"])
def test_a_customer_who_stands_twice_in_json_is_nobody(driver: str, record: str) -> None:
    [found] = read(form(driver), (f'{{"result":{{"items":[{record}]}}}}' if driver == "json" else record).encode())[1]
    with pytest.raises(BadFile, match="record 1: contractId must be there once"):
        filed.identified(found, PATH)


@pytest.mark.parametrize(
    "record",
    [
        '{"contractId":"A","in":{"contractId":"B"}}',
        '{"in":{"contractId":"B","contractId":"C"},"contractId":"A"}',
        '{"in":["contractId","contractId"],"contractId":"A","x":"\\""}',
        '{"contractId":"A","x":1,"x":2}',
    ],
)
def test_the_same_name_elsewhere_is_another_members(record: str) -> None:
    [found] = read(form("ndjson"), record.encode())[1]
    assert filed.identified(found, PATH) == "A"
    assert json_values.stands_twice(b'{"a":{"b":1,"b":2}}', ("a", "b"))
    assert not json_values.stands_twice(b'{"a":{"b":1},"b":2}', ("a", "b"))


@pytest.mark.parametrize("driver", ["json", "ndjson"])
def test_an_account_that_stands_twice_in_json_refuses_the_file(driver: str) -> None:
    its, _ = owned.read(tomllib.loads(flat_calls.exact(driver)))
    assert its is not None
    body = flat_calls.document(driver, [flat_calls.one(), flat_calls.one()])
    head, found = read(its, body.replace(b'"line"', b'"line":"other","line"', 1))
    with pytest.raises(BadFile, match="record 1: what stands at .*line is not as"):
        filed.require_declared(its, call(its), ZONE, head, found, Seen(lambda *_: None))


@pytest.mark.parametrize(
    ("written", "customer"),
    [
        ("<place>A</place><place>B</place>", None),
        ("<place>A</place><place>A</place>", None),
        ("<place>A<i/>B</place>", None),
        ("<place><i>A</i></place>", None),
        ("<place>A<!-- x -->B</place>", "AB"),
        ("<place><![CDATA[A]]></place>", "A"),
        ('<place>A</place><place xmlns="urn:other">B</place>', "A"),
    ],
)
def test_a_customer_in_xml_stands_once_and_has_nothing_inside(written: str, customer: str | None) -> None:
    its, _ = owned.read(tomllib.loads(flat_calls.exact("xml")))
    assert its is not None
    body = flat_calls.document("xml", [flat_calls.one(place="P")]).replace(b"<place>P</place>", written.encode())
    _, [found] = read(its, body)
    if customer is not None:
        assert filed.identified(found, ("place",)) == customer
        return
    with pytest.raises(BadFile, match="record 1: place must be there once"):
        filed.identified(found, ("place",))


# ---- times


def spanned(driver: str, start: str, end: str) -> None:
    text = flat_calls.exact(driver).replace('instant = "at"', 'span = ["at", "place"]')
    its, _ = owned.read(tomllib.loads(text.replace("made = { keep = 2 }", "structural = true")))
    assert its is not None
    head, found = read(its, flat_calls.document(driver, [flat_calls.one(at=start, place=end)]))
    filed.require_declared(its, call(its), ZONE, head, found, None)


@pytest.mark.parametrize("driver", flat_calls.DRIVERS)
def test_times_are_judged_in_the_zone_of_the_organisation(driver: str) -> None:
    spanned(driver, "2026-03-02T00:00:00", "2026-03-01T23:30:00Z")  # half an hour, in Paris alone
    with pytest.raises(BadFile, match="at is not as"):
        spanned(driver, "2026-03-01T23:30:00Z", "2026-03-02T00:00:00")  # its end would be before its start there
