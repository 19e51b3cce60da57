"""Malformed answers are UnknownShape and nothing else: no other exception, no part of them delivered."""

import json
import threading
from functools import cache
from pathlib import Path

import pytest
from format_documents import ALWAYS, HEALTH, MINE, TYPES, bank, bundle, claim, granted, patient, plan, sent, transaction

from gateway.formats.model import UnknownShape
from gateway.formats.names import AccountNames
from gateway.ground.web.spreadsheets import cell, written

PLACE = '"PLACE"'
DEEP = 100_000

# a document of each format with one place for any JSON: kept text, kept number, withheld subtree, whole record
HOLES = {
    "bank text": ("bank.transactions", lambda: {**transaction(), "TransactionInformation": "PLACE"}),
    "bank number": ("bank.transactions", lambda: _exchange(transaction())),
    "bank withheld": ("bank.transactions", lambda: {**transaction(), "SupplementaryData": "PLACE"}),
    "bank record": ("bank.transactions", lambda: "PLACE"),
    "health number": ("health.claims", lambda: _quantity(claim())),
    "health withheld": ("health.person", lambda: {**patient(), "text": "PLACE"}),
    "health record": ("health.claims", lambda: "PLACE"),
}


def _exchange(record):
    record["CurrencyExchange"]["ExchangeRate"] = "PLACE"
    return record


def _quantity(record):
    record["item"][0]["quantity"]["value"] = "PLACE"
    return record


@cache
def whole(dataset: str):
    return plan(granted(dataset))


def cut(dataset: str, body: bytes):
    of = whole(dataset)
    sector = dataset.partition(".")[0]
    path = "/transactions" if sector == "bank" else HEALTH[dataset][0]
    return of.cut(sent(of, sector, path), TYPES[sector], body, ALWAYS)


def with_hole(name: str, text: bytes) -> tuple[str, bytes]:
    dataset, make = HOLES[name]
    if dataset.startswith("bank"):
        whole = bank("Transaction", [make()])
    else:
        record = make()
        body = bundle([claim()])
        whole = json.dumps(json.loads(body) | {"entry": [{"resource": record}]}).encode()
    assert whole.count(PLACE.encode()) == 1
    return dataset, whole.replace(PLACE.encode(), text)


def vectors(shared: Path, kind: str) -> list[Path]:
    """JSONTestSuite's files: n_ no JSON, i_ as the parser likes, y_ JSON."""
    found = sorted((shared / "vectors/json-parsing").glob(f"{kind}_*.json"))
    if not found:
        pytest.skip("the JSON parsing vectors are not beside this checkout")
    return found


@pytest.mark.parametrize("dataset", ["bank.transactions", "health.claims", "health.person"])
def test_no_malformed_json_is_an_answer(dataset, shared):
    for path in vectors(shared, "[niy]"):
        with pytest.raises(UnknownShape):  # well-formed ones are not answers either
            cut(dataset, path.read_bytes())


@pytest.mark.parametrize("hole", HOLES)
def test_no_malformed_json_hides_inside_an_answer(hole, shared):
    for path in vectors(shared, "n"):
        text = path.read_bytes()
        if text.strip() in (b"", b"{}}", b"1]") or b"]" in text[-2:] and text.count(b"[") < text.count(b"]"):
            continue  # together with what stands around it this may be well-formed
        dataset, body = with_hole(hole, text)
        try:
            found = cut(dataset, body)
        except UnknownShape:
            continue
        json.loads(found.body)
        assert text not in found.body, path.name


@pytest.mark.parametrize("hole", HOLES)
def test_what_a_parser_may_like_or_not_is_an_answer_or_an_unknown_shape_and_nothing_else(hole, shared):
    for path in vectors(shared, "i"):
        dataset, body = with_hole(hole, path.read_bytes())
        try:
            json.loads(cut(dataset, body).body)
        except UnknownShape:
            continue


@pytest.mark.parametrize("hole", ["bank withheld", "health withheld"])
def test_all_well_formed_json_can_be_withheld(hole, shared):
    for path in vectors(shared, "y"):
        dataset, body = with_hole(hole, path.read_bytes())
        found = cut(dataset, body)
        assert found.counts.records == 1 and b"PLACE" not in found.body, path.name
        assert json.loads(found.body) == json.loads(cut(dataset, with_hole(hole, b"1")[1]).body), path.name


@pytest.mark.parametrize(("hole", "wanted"), [("bank text", str), ("bank number", float), ("health number", float)])
def test_all_well_formed_json_of_the_right_kind_is_given_as_it_is_and_no_other(hole, wanted, shared):
    member = {"bank text": "TransactionInformation", "bank number": "ExchangeRate", "health number": "value"}[hole]
    for path in vectors(shared, "y"):
        text = path.read_bytes()
        value = json.loads(text)
        dataset, body = with_hole(hole, text)
        fits = isinstance(value, str) if wanted is str else type(value) in (int, float)
        fits = fits or (value is None and hole.startswith("bank"))  # FHIR has no null
        if not fits:
            with pytest.raises(UnknownShape):
                cut(dataset, body)
            continue
        values: list[object] = []
        json.loads(cut(dataset, body).body, object_hook=lambda found: values.append(found.get(member)) or found)  # noqa: B023
        assert value in values, path.name


@pytest.mark.parametrize(
    "text", [b"9" * 1_000_000, b"1e400", b"-1E400", b"1" + b"0" * 4300, b"1.5", b"18446744073709551616", b"NaN"]
)
def test_a_count_of_any_length_is_an_integer_or_an_unknown_shape(text):
    for old in (b'"sequence": 1,', b'"total": 1,'):
        body = bundle([claim()])
        assert old in body
        body = body.replace(old, old.partition(b":")[0] + b": " + text + b",")
        try:
            json.loads(cut("health.claims", body).body, parse_int=str)
        except UnknownShape:
            continue


@pytest.mark.parametrize("name", [b'"Status"', b'"Amount"', b'"TransactionId"'])
def test_a_key_that_stands_twice_is_given_once(name):
    body = bank("Transaction", [transaction()])
    at = body.index(name)
    end = body.index(b", ", body.index(b"}", at) if name == b'"Amount"' else at)
    twice = body[:at] + body[at:end].replace(b"771.01", b"13.37").replace(b"BOOK", b"PDNG") + b", " + body[at:]
    assert cut("bank.transactions", twice).body == cut("bank.transactions", body).body


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize(
    "text",
    [
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'"\xff"',
        b'"\\ud800"',
        b"NaN",
        b"Infinity",
        b"'x'",
        b"01",
    ],
    ids=["arrays", "objects", "closed", "bytes", "surrogate", "nan", "infinity", "quotes", "zero"],
)
def test_depth_bytes_and_words_that_are_no_json_are_refused(hole, text):
    dataset, body = with_hole(hole, text)
    with pytest.raises(UnknownShape):
        cut(dataset, body)


@pytest.mark.parametrize("hole", ["bank number", "health number"])
@pytest.mark.parametrize("text", [b"1" * 1_000_000, b"1e400", b"-0.0", b"1E+2"])
def test_any_number_passes_as_it_is_written(hole, text):
    dataset, body = with_hole(hole, text)
    assert text in cut(dataset, body).body


def test_cuts_in_many_threads_do_not_mix_their_counts():
    of = plan(granted("bank.transactions", ["transaction.merchant"]))
    call = sent(of, "bank", "/transactions")
    body = bank("Transaction", [transaction()] * 20)
    found: list[int] = []

    def work() -> None:
        for _ in range(50):
            found.append(of.cut(call, TYPES["bank"], body, ALWAYS).counts.fields_withheld)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {120} and len(found) == 400


def test_names_change_sides_inside_strings_and_nowhere_else():
    names = AccountNames([MINE])
    assert names.inward(names.outward(f"part-a-{MINE.native}")) == f"part-a-{MINE.native}"
    assert names.outward("another") == "another"
    long = MINE.native.encode()
    body = b'{"a":"x\\\\","%b":"\\"%b\\\\\\"","b":%b}' % (long, long, long)
    ref = MINE.ref.encode()
    assert names.outward_bytes(body) == b'{"a":"x\\\\","%b":"\\"%b\\\\\\"","b":%b}' % (ref, ref, long)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+33 6", "'+33 6"),
        ("-Bob", "'-Bob"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-50.00", "-50.00"),
        ("+5", "+5"),
        ("-50,00", "-50,00"),
        ("plain", "plain"),
        ("a\u202eb", "ab"),
        ("\u202e=1", "'=1"),
    ],
)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(text, shown):
    assert cell(text) == shown


def test_cells_with_commas_quotes_and_lines_stay_one_cell():
    assert written([("a,b", 'say "x"', "two\nlines")]) == b'"a,b","say ""x""","two\nlines"\n'
