"""`aval organisations try` on samples that are not what the declaration says: what is wrong, what is right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from telecom import ANSWER, answer, as_csv, as_xml, call, declared

Run = Callable[..., Aval]
BOM = "\ufeff"
BY_LINE = (
    ('path = "/calls"', 'path = "/lines/{account}/calls"'),
    ('account = "msisdn"\n', ""),
    ('"Meta/total" = "only-page"', '"Meta/total" = "only-page"\n"Meta/line" = "account"'),
    ("total:i server:s", "total:i server:s line:s"),
)


def refusal(aval: Run, path: Path, sample: bytes, *options: str) -> str:
    """As it is told with the call named."""
    (path.parent / "sample").write_bytes(sample)
    found = whole(aval, path, path.parent / "sample", "--call", "calls", *options)
    return str(found["refusal"])


def whole(aval: Run, path: Path, sample: Path, *options: str) -> dict[str, Any]:
    done = aval("organisations", "try", path, "--answer", sample, "--json", *options)
    assert not done.err, done.err
    (found,) = json.loads(done.out)["answers"]
    assert done.code == (1 if found["refusal"] else 0)
    return found  # type: ignore[no-any-return]


# ---- a table


@pytest.mark.parametrize(
    ("separator", "name", "written"), [(",", "commas", ","), ("\t", "tabs", "\\t"), ("|", "|", "|")]
)
def test_another_separator_is_told_and_no_columns_are_proposed(
    aval: Run, tmp_path: Path, separator: str, name: str, written: str
) -> None:
    path, _ = as_csv(tmp_path)
    table = "_id;timestamp;msisdn\nc1;2026-01-03T10:00:00Z;33611111111\n"
    assert not refusal(aval, path, table.encode())
    told = (
        f'its columns seem to be separated by {name}, and [format.csv] reads semicolons: write separator = "{written}"'
    )
    other = table.replace(";", separator).encode()
    assert refusal(aval, path, other) == f"its first line names no column of PhoneCall; {told}"
    assert whole(aval, path, tmp_path / "sample", "--call", "calls")["undeclared"] == []


def test_what_is_told_of_a_separator_makes_it_right(aval: Run, tmp_path: Path) -> None:
    path, text = as_csv(tmp_path)
    tabs = "_id\ttimestamp\tmsisdn\nc1\t2026-01-03T10:00:00Z\t33611111111\n"
    assert refusal(aval, path, tabs.encode())
    path.write_text(path.read_text().replace('separator = ";"', 'separator = "\\t"'))
    assert not refusal(aval, path, tabs.encode())


@pytest.mark.parametrize(
    ("declares", "encoding", "told"),
    [
        ("utf-8", "iso-8859-1", "the file seems to be iso-8859-1, and is read as utf-8: write encoding"),
        ("utf-8", "windows-1252", "the file seems to be windows-1252, and is read as utf-8: write encoding"),
        ("utf-8", "utf-16", "it seems to be UTF-16: save it as UTF-8"),
        ("windows-1252", "utf-16", "it seems to be UTF-16: save it as UTF-8"),
    ],
)
def test_another_encoding_is_told(aval: Run, tmp_path: Path, declares: str, encoding: str, told: str) -> None:
    path, _ = as_csv(tmp_path)
    path.write_text(path.read_text().replace('separator = ";"', f'separator = ";", encoding = "{declares}"'))
    mark = "€" if encoding == "windows-1252" else "é"
    table = f"_id;timestamp;msisdn;note\nc1;2026-01-03T10:00:00Z;33611111111;{mark}\n"
    assert told in refusal(aval, path, table.encode(encoding))
    assert not refusal(aval, path, table.replace(mark, "e").encode(declares))


def test_text_that_would_be_given_wrongly_spelt_is_a_warning(aval: Run, tmp_path: Path) -> None:
    path, _ = as_csv(tmp_path)
    path.write_text(path.read_text().replace('separator = ";"', 'separator = ";", encoding = "windows-1252"'))
    table, sample = "_id;timestamp;msisdn;note\nc1;2026-01-03T10:00:00Z;33611111111;été\n", tmp_path / "sample"
    sample.write_bytes(table.encode())
    found = whole(aval, path, sample)
    told = 'the file seems to be utf-8, and is read as windows-1252: write encoding = "utf-8" in [format.csv]'
    assert not found["refusal"] and told in found["warnings"]
    sample.write_bytes(table.encode("windows-1252"))
    assert "seems" not in " ".join(whole(aval, path, sample)["warnings"])


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("_id;msisdn\nc1;3361\n", "the column timestamp is not there, and records are judged by it"),
        ("_id;timestamp;msisdn;_id\n", "the column _id stands twice in its first line"),
        ("_id;timestamp;msisdn\nc1;2026-01-03;3361;x\n", "record 1 has more cells than its first line has names"),
        (ANSWER, 'its first line names no column of PhoneCall; it seems to be JSON: is driver = "json" right?'),
    ],
)
def test_what_else_is_wrong_with_a_table(aval: Run, tmp_path: Path, table: str, told: str) -> None:
    path, _ = as_csv(tmp_path)
    assert refusal(aval, path, table.encode()).startswith(told)


# ---- another kind of answer


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ("", "it is not JSON (line 1, column 1); it is empty"),
        ("<!DOCTYPE html><html></html>", "it is not JSON (line 1, column 1); it seems to be a page of HTML"),
        (
            '<?xml version="1.0"?><a/>',
            'it is not JSON (line 1, column 1); it seems to be XML: is driver = "xml" right?',
        ),
        (
            '{"a": 1}\n{"a": 2}\n',
            'it is not JSON (line 2, column 1); it seems to be NDJSON: is driver = "ndjson" right?',
        ),
        ("a;b\n1;2\n3;4\n", 'it is not JSON (line 1, column 1); it seems to be CSV: is driver = "csv" right?'),
        (BOM + ANSWER, "it begins with a byte order mark, which JSON does not have"),
    ],
)
def test_an_answer_of_another_kind_is_told(aval: Run, tmp_path: Path, sample: str, told: str) -> None:
    assert refusal(aval, declared(tmp_path), sample.encode()).startswith(told)


def test_json_in_another_encoding_is_told(aval: Run, tmp_path: Path) -> None:
    text = answer(call(3, note="été"))
    assert "it is not UTF-8, which JSON is written in" in refusal(aval, declared(tmp_path), text.encode("latin-1"))
    assert not refusal(aval, declared(tmp_path), text.encode())


def test_an_xml_of_another_root_or_namespace_is_told(aval: Run, tmp_path: Path) -> None:
    path, text = as_xml(tmp_path)
    assert not refusal(aval, path, text.encode())
    none = refusal(aval, path, text.replace(' xmlns="urn:calls"', "").encode())
    assert none == 'Calls has no namespace, and the namespace "urn:calls" is declared in [format.namespaces]'
    other = refusal(aval, path, text.replace("urn:calls", "urn:others").encode())
    assert other.startswith('Calls has the namespace "urn:others", and the namespace "urn:calls" is declared')
    named = refusal(aval, path, text.replace("Calls", "Rows").encode())
    assert named == "its outermost element is Rows, and Calls is declared"
    assert refusal(aval, path, text[:-3].encode()).startswith("it is not XML (line ")


LATIN = "its first line says ISO-8859-1, and it"


@pytest.mark.parametrize(
    ("declares", "says", "written", "told"),
    [
        ("utf-8", "ISO-8859-1", "iso-8859-1", f'{LATIN} is read as utf-8: write encoding = "iso-8859-1" in [format]'),
        ("iso-8859-1", "UTF-8", "utf-8", 'is read as iso-8859-1: write encoding = "utf-8" in [format]'),
        ("iso-8859-1", "windows-1252", "iso-8859-1", 'write encoding = "windows-1252" in [format]'),
        ("utf-8", "", "iso-8859-1", 'it seems to be iso-8859-1, and is read as utf-8: write encoding = "iso-8859-1"'),
        ("utf-8", "ISO-8859-15", "iso-8859-15", "its first line says ISO-8859-15, which is not read"),
        ("utf-8", "ISO-8859-1", "utf-8", f"{LATIN} seems to be utf-8: the organisation has to send what it says"),
        ("utf-8", "UTF-8", "utf-16", "it seems to be UTF-16: save it as UTF-8"),
    ],
)
def test_an_xml_in_another_encoding_is_told(
    aval: Run, tmp_path: Path, declares: str, says: str, written: str, told: str
) -> None:
    path, text = as_xml(tmp_path)
    path.write_text(path.read_text().replace('driver = "xml"', f'driver = "xml"\nencoding = "{declares}"'))
    text = text.replace("call mum", "été").replace('"1.0"', f'"1.0" encoding="{says}"' if says else '"1.0"')
    assert told in refusal(aval, path, text.encode(written))
    assert not refusal(aval, path, (text.replace(says, declares) if says else text).encode(declares))


def test_an_xml_that_names_no_encoding_is_tried_in_the_declared_one(aval: Run, tmp_path: Path) -> None:
    path, text = as_xml(tmp_path)
    path.write_text(path.read_text().replace('driver = "xml"', 'driver = "xml"\nencoding = "iso-8859-1"'))
    (tmp_path / "sample").write_bytes(text.replace("call mum", "été").encode("latin-1"))
    found = whole(aval, path, tmp_path / "sample")
    assert not found["refusal"] and "été on" in str(found["records"]) and "seems" not in str(found["warnings"])
    (tmp_path / "sample").write_bytes(text.replace("call mum", "été").encode())
    told = 'it seems to be utf-8, and is read as iso-8859-1: write encoding = "utf-8" in [format]'
    assert told in whole(aval, path, tmp_path / "sample")["warnings"]


def test_records_that_are_elsewhere_are_told_with_their_whole_place(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('at = "items"', 'at = "result.items"'),
        ('Answer = "items:PhoneCall* paging', 'Answer = "result:Result paging'),
        ("[format.shapes]", '[format.shapes]\nResult = "items:PhoneCall*"'),
    )
    told = "result.items is not there, or not as declared"
    assert refusal(aval, path, b'{"data": []}') == told
    assert not refusal(aval, path, b'{"result": {"items": []}}')


# ---- an answer of another, and a call of an app


def test_an_answer_of_another_customer_says_whose_it_is(aval: Run, tmp_path: Path) -> None:
    path = declared(tmp_path, *BY_LINE)
    text = json.dumps({"items": [call(3)], "meta": {"line": "33622222222"}}).encode()
    assert not refusal(aval, path, text)
    assert refusal(aval, path, text, "--accounts", "33611111111") == (
        "line is 33622222222, and the call is for 33611111111: it says whose the answer is"
        ' ("Meta/line" = "account"); one of another is refused'
    )


@pytest.mark.parametrize("parameter", ["cursor=abc", "cursor=abcdefghijklmnopqrstuvwxyz", "page_token=abc"])
def test_a_page_that_an_app_cannot_name_is_explained(aval: Run, tmp_path: Path, parameter: str) -> None:
    path = declared(
        tmp_path,
        ('by = "link"\nat = "paging.next"', 'by = "cursor"\nat = "paging.next"\nparameter = "cursor"'),
        ("limit = {", 'cursor = { as = "page" }\nlimit = {'),
        ('"limit"]', '"limit", "cursor"]'),
    )
    told = refusal(aval, path, ANSWER.encode(), "--query", parameter)
    assert "leads to a page, and only the gateway writes it" in told and "fields" not in told
    assert not refusal(aval, path, ANSWER.encode(), "--query", "limit=5")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (["lmit=5"], "lmit is no parameter of [format.parameters], so no app may send it. Term: query. Asked: lmit."),
        (["limit=5 0"], "The value of limit is empty, too long, or has other characters than"),
        (["limit=5", "limit=6"], "limit stands twice in the call."),
    ],
)
def test_a_parameter_that_no_app_may_send_is_explained(
    aval: Run, tmp_path: Path, parameters: list[str], told: str
) -> None:
    options = [each for parameter in parameters for each in ("--query", parameter)]
    assert told in refusal(aval, declared(tmp_path), ANSWER.encode(), *options)


def test_an_answer_of_somebody_elses_api_is_not_taken_for_the_nearest_call(aval: Run, tmp_path: Path) -> None:
    more = (
        '[[format.calls]]\nname = "lines"\ndataset = "telecom.calls"\nrecords = "Line"\npath = "/lines"\n\n'
        '[format.records.Line]\nat = "lines"\n\n[format.pages]'
    )
    path = declared(
        tmp_path,
        ("[format.pages]", more),
        ('"PhoneCall/_id"]', '"PhoneCall/_id", "Line/name"]'),
        ('Answer = "', 'Line = "name:s"\nAnswer = "lines:Line* '),
    )
    (tmp_path / "other").write_text(json.dumps({"meta": {"total": 1, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5}}))
    done = aval("organisations", "try", path, "--answer", tmp_path / "other")
    assert done.code == 2 and "it looks like none of the calls; nearest is calls (telecom.calls), lines" in done.err
    assert "of its members 2 are declared and 5 are not" in done.err


# ---- of several things the one that was refused


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("1 234;2026-13-45", 'record 2: timestamp is no time as written = "iso" says, or not in its parts'),
        ("1 234;2026-01-03\nc3;abc;2026-01-04", "record 3: length is declared as a whole number (i), and is a text"),
    ],
)
def test_what_the_engine_refused_is_named_and_nothing_that_it_takes(
    aval: Run, tmp_path: Path, rows: str, told: str
) -> None:
    path, _ = as_csv(tmp_path)
    text = path.read_text(encoding="utf-8").replace('account = "msisdn"\n', "")
    text = text.replace('"PhoneCall/msisdn", ', "").replace("msisdn:s", "msisdn:-")
    path.write_text(text, encoding="utf-8")
    table = f"_id;length;timestamp\nc1;1 234;2026-01-03T10:00:00Z\nc2;{rows}\n"
    assert refusal(aval, path, table.encode()) == told
    assert not refusal(aval, path, table.replace("2026-13-45", "2026-01-03").replace("abc", "1 234").encode())


def test_an_answer_that_says_whose_it_is_is_explained_record_by_record(aval: Run, tmp_path: Path) -> None:
    path = declared(
        tmp_path,
        ('"Meta/total" = "only-page"', '"Meta/server" = "account"'),
        ('account = "msisdn"\n', ""),
        ('"PhoneCall/msisdn", ', ""),
        ("msisdn:s", "msisdn:-"),
    )
    sample = tmp_path / "sample.json"
    sample.write_text(answer(call(3), call(28, timestamp="2026-02-03T10:00:00Z")), encoding="utf-8")
    found = whole(aval, path, sample, "--to", "2026-01-31")
    assert [each["reason"] and each["reason"]["kind"] for each in found["records"]] == [None, "period"]


def test_a_row_with_too_few_cells_is_given_to_nobody_and_says_so(aval: Run, tmp_path: Path) -> None:
    path, _ = as_csv(tmp_path)
    sample = tmp_path / "sample"
    whole_row = "c1;2026-01-03T10:00:00Z;33611111111;63;;\n"
    sample.write_text(f"_id;timestamp;msisdn;length;;\n{whole_row}c2;no time\n", encoding="utf-8")
    found = whole(aval, path, sample)
    assert [each["reason"] and each["reason"]["text"] for each in found["records"]] == [
        None,
        "it has fewer cells than the first line has names",
    ]
