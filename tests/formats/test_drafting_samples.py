"""Samples become shapes that admit every record of them, and of their values nothing is written."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from drafted_declarations import admits, drafted, faults, shapes
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.formats.drafting.nodes import Unreadable
from tests.torture import many

LETTERS = st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters='"\\')  # as names may have
KNOWN = st.sampled_from(["id", "date", "note", "amount", "start", "end", "type"])
NAMES = st.one_of(KNOWN, st.text(LETTERS, min_size=1))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=6), min_size=1, max_size=6)


def sample(folder: Path, value: Any, name: str = "answer.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def words(folder: Path, *records: dict[str, Any]) -> dict[str, str]:
    text = drafted("sample", sample(folder, list(records)))
    assert not faults(text)
    return shapes(tomllib.loads(text))["Record"]


@settings(max_examples=many(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS)
def test_the_shapes_of_any_records_admit_them_all(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    try:
        text = drafted("sample", sample(tmp_path, records))
    except Unreadable as refused:
        reasons = ("keys that are data", "no member with a name", "no member of its records has a value")
        assume(not any(reason in str(refused) for reason in reasons))
        raise
    assert not faults(text)
    table = shapes(tomllib.loads(text))
    assert all(admits(table, "Record", record) for record in records)


@settings(max_examples=many(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS)
def test_no_text_of_a_sample_is_written(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    """Each text is replaced by one that comes nowhere else."""

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: marked(each) for name, each in value.items()}
        if isinstance(value, list):
            return [marked(each) for each in value]
        return f"KANARIE {value}" if isinstance(value, str) else value

    try:
        assert "KANARIE" not in drafted("sample", sample(tmp_path, marked(records)))
    except Unreadable as refused:
        assert "KANARIE" not in str(refused)


CANARIES = {
    "name": "Zoé Kanarienvogel",
    "mail": "zoe@kanarie.example",
    "iban": "FR7630006000011234567890189",
    "phone": "+33 6 98 76 54 32",
    "born": "1987-11-23",
    "seen": 1698765432,
    "balance": "98765.43",
    "note": "Called Zoé back about the other loan, she was not at home",
    "id": "7b0e9a2c-3c1d-4f2a-9a6b-1f2e3d4c5b6a",
    "by_mail": {"zoe@kanarie.example": {"calls": 3}, "bob@kanarie.example": {"calls": 4}},
    "by_day": {"2024-05-17": 12, "2024-05-18": 13},
    "by_name": {"Zoé Kanarienvogel": {"calls": 3}, "Bob van Kanarie": {"calls": 4}},
    "mixed": [{"Kanarie": 1}, "Kanarie", 98765],
}
TELLING = ("anarie", "FR76", "98 76", "1987", "16987", "98765", "loan", "7b0e9a2c", "2024-05")


@pytest.mark.parametrize("name", ["answer.json", "answer.ndjson"])
def test_no_value_and_no_key_that_is_data_is_written_or_told(tmp_path: Path, name: str) -> None:
    value = f"{json.dumps(CANARIES)}\n{json.dumps(CANARIES)}\n" if name.endswith("ndjson") else [CANARIES, CANARIES]
    text = drafted("sample", sample(tmp_path, value, name))
    assert not faults(text)
    assert not [each for each in TELLING if each in text.replace(str(tmp_path), "")]
    table = shapes(tomllib.loads(text))
    assert {table["Record"][name][-2:] for name in ("by_mail", "by_day", "by_name")} == {"{}"}


def test_names_of_members_are_written_as_they_are(tmp_path: Path) -> None:
    """Beside the canaries: what is no data is not lost, whatever its letters."""
    found = words(tmp_path, {"Date d’opération": "2024-05-17", "a:b": True, "@id": "x", "prix€": 1.5})
    assert found == {"Date d’opération": "s", "a:b": "b", "@id": "p", "prix€": "n"}


def test_a_member_without_a_name_is_left_out_and_told(tmp_path: Path) -> None:
    text = drafted("sample", sample(tmp_path, [{"": "x", "cost": 1.5}]))
    assert shapes(tomllib.loads(text))["Record"] == {"cost": "n"}
    assert "or no name" in text and not faults(text)


@pytest.mark.parametrize(
    "values, word",
    [
        ([1, 2], "i"),
        ([1, 2.5], "n"),
        ([10**30], "n"),
        ([True, None], "b"),
        ([None, None], "-"),
        ([[], None], "-"),
        ([{}], "-"),
        (["a", "b"], "s"),
        (["a", 1], "v"),
        ([True, 1], "v"),
        (["12.50", "-3.00"], "d"),
        (["12.50", ""], "s"),
        (["12", "13"], "s"),
        ([[1], [2.5]], "n*"),
        ([[[1]], []], "i**"),
        ([{"a": 1}, "a"], "j"),
        ([{"a": 1}, [1]], "j"),
        (["she called about the broken meter again"], "x"),
        (["2024-05-17T10:00:00Z"], "s"),
    ],
    ids=str,
)
def test_a_member_gets_the_word_for_all_that_was_seen_of_it(tmp_path: Path, values: list[Any], word: str) -> None:
    assert words(tmp_path, *({"it": value, "other": 1} for value in values))["it"] == word


def test_a_member_that_some_records_miss_is_there(tmp_path: Path) -> None:
    assert words(tmp_path, {"a": 1}, {"b": "x"}, {"a": 2.5, "b": None}) == {"a": "n", "b": "s"}


def test_the_shapes_of_several_files_are_one(tmp_path: Path) -> None:
    one, two = sample(tmp_path, [{"a": 1}], "1.json"), sample(tmp_path, [{"a": "x", "parts": [{"c": 1}]}], "2.json")
    table = shapes(tomllib.loads(drafted("sample", one, two)))
    assert table == {"Record": {"a": "v", "parts": "Part*"}, "Part": {"c": "i"}}


@pytest.mark.parametrize(
    "record, keys",
    [
        ({"timestamp": "2024-05-17T10:00:00Z", "updatedAt": "2024-05-18T10:00:00Z"}, {"instant": "timestamp"}),
        ({"birthDate": "1980-01-01", "bookingDate": "2024-05-17"}, {"instant": "bookingDate"}),
        ({"date": "17/05/2024"}, {"instant": "date", "written": "dd/mm/yyyy"}),
        ({"date": "05/17/2024"}, {"instant": "date", "written": "mm/dd/yyyy"}),
        ({"date": "20240517"}, {"instant": "date", "written": "yyyymmdd"}),
        ({"date": "17052024"}, {"instant": "date", "written": "ddmmyyyy"}),
        ({"heure": "17/05/2024 10:30"}, {"instant": "heure", "written": "dd/mm/yyyy HH:MM"}),
        ({"time": 1715940000}, {"instant": "time", "written": "epoch-s"}),
        ({"time": 1715940000000}, {"instant": "time", "written": "epoch-ms"}),
        ({"month": "2024-05"}, {"instant": "month", "written": "iso"}),
        ({"start": "2024-05-17", "end": "2024-05-18"}, {"span": ["start", "end"]}),
        ({"validFrom": "2024-05-17", "validTo": "2024-05-18"}, {"span": ["validFrom", "validTo"]}),
        ({"year": 2024, "month": 5, "day": 17}, {"parts": ["year", "month", "day"]}),
        ({"when": {"start": "2024-05-17T10:00:00Z"}}, {"instant": "when.start"}),
    ],
    ids=str,
)
def test_the_time_of_a_record_is_guessed(tmp_path: Path, record: dict[str, Any], keys: dict[str, Any]) -> None:
    text = drafted("sample", sample(tmp_path, [{**record, "value": 1.5}]))
    assert not faults(text)
    found = tomllib.loads(text)["format"]["records"]["Record"]
    assert {name: value for name, value in found.items() if name not in ("at", "account")} == keys


@pytest.mark.parametrize("record", [{"birthDate": "1980-01-01"}, {"number": 1715940000}, {"code": "20240517"}], ids=str)
def test_what_only_looks_like_a_time_is_none(tmp_path: Path, record: dict[str, Any]) -> None:
    found = tomllib.loads(drafted("sample", sample(tmp_path, [record])))["format"]["records"]["Record"]
    assert set(found) == {"at"}


def test_a_day_that_could_be_a_month_is_decided_by_the_other_records(tmp_path: Path) -> None:
    records = [{"date": "04/03/2024"}, {"date": "03/14/2024"}]
    found = tomllib.loads(drafted("sample", sample(tmp_path, records)))["format"]["records"]["Record"]
    assert found["written"] == "mm/dd/yyyy"


def test_identifiers_and_free_text_stand_in_fields_of_their_own_and_are_not_structural(tmp_path: Path) -> None:
    record = {
        "account_id": "12345678901",
        "timestamp": "2024-05-17T10:00:00Z",
        "uid": "7b0e9a2c-3c1d-4f2a-9a6b-1f2e3d4c5b6a",
        "kind": "in",
        "to": {"name": "x", "iban": "FR7630006000011234567890189", "city": "y", "comment": "she is not at home today"},
    }
    text = drafted("sample", sample(tmp_path, [record]), id="my-telecom")
    assert not faults(text)
    fields = {field["id"]: field["find"] for field in tomllib.loads(text)["datasets"][0]["field"]}
    assert fields == {
        "record.when": ["Record/timestamp", "Record/account_id"],
        "record.uid": ["Record/uid"],
        "record.kind": ["Record/kind"],
        "record.to_iban": ["Record/to", "To/iban"],
        "record.to_comment": ["Record/to", "To/comment"],
        "record.to": ["Record/to", "To/name", "To/city"],
    }
    table = shapes(tomllib.loads(text))
    assert table["Record"]["uid"] == "p" and table["Record"]["account_id"] == "s" and table["To"]["comment"] == "x"


def test_a_split_type_is_one_for_each_place_so_that_no_field_gives_the_other(tmp_path: Path) -> None:
    party = {"name": "x", "iban": "FR7630006000011234567890189"}
    schema = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"payer": {"$ref": "#/$defs/Party"}, "payee": {"$ref": "#/$defs/Party"}},
        },
        "$defs": {"Party": {"type": "object", "properties": {name: {"type": "string"} for name in party}}},
    }
    text = drafted("schema", sample(tmp_path, schema))
    assert not faults(text)
    finds = [field["find"] for field in tomllib.loads(text)["datasets"][0]["field"]]
    assert ["Record/payer", "Party/iban"] in finds and ["Record/payee", "RecordPayee/iban"] in finds


@pytest.mark.parametrize(
    "answer, at, one",
    [
        ([{"a": 1}], "", False),
        ({"items": [{"a": 1}], "total": 1}, "items", False),
        ({"data": {"calls": [{"a": 1}]}, "links": {"next": "x"}}, "data.calls", False),
        ({"id": "1", "name": "x", "city": "y", "lines": [{"a": 1}]}, "", True),
        ({"data": {"id": "1", "name": "x", "city": "y"}, "links": {"self": "x"}}, "data", True),
    ],
    ids=str,
)
def test_the_place_of_the_records_is_guessed(tmp_path: Path, answer: Any, at: str, one: bool) -> None:
    text = drafted("sample", sample(tmp_path, answer))
    assert not faults(text)
    form = tomllib.loads(text)["format"]
    (record,) = form["records"].values()
    assert record["at"] == at and form["calls"][0].get("one", False) is one


def test_the_operator_says_the_place_where_the_guess_is_wrong(tmp_path: Path) -> None:
    path = sample(tmp_path, {"id": "1", "name": "x", "city": "y", "lines": [{"a": 1}]})
    text = drafted("sample", path, at="lines", record="Line")
    assert not faults(text)
    assert tomllib.loads(text)["format"]["records"] == {"Line": {"at": "lines"}}
    with pytest.raises(Unreadable, match="there is no line there, but id, name, city, lines"):
        drafted("sample", path, at="line")


def test_pages_are_guessed_from_what_is_beside_the_records(tmp_path: Path) -> None:
    linked = sample(tmp_path, {"items": [{"a": 1}], "paging": {"next": "https://a.example/?p=2"}}, "1.json")
    assert tomllib.loads(drafted("sample", linked))["format"]["pages"] == {"by": "link", "at": "paging.next"}
    cursor = sample(tmp_path, {"items": [{"a": 1}], "next_cursor": "abc"}, "2.json")
    assert tomllib.loads(drafted("sample", cursor))["format"]["pages"]["at"] == "next_cursor"
    assert "pages" not in tomllib.loads(drafted("sample", sample(tmp_path, [{"a": 1}], "3.json")))["format"]


@pytest.mark.parametrize(
    "value, why",
    [
        ("", "is empty"),
        ("   \n", "is empty"),
        ("[]", "is an empty list"),
        ("[1, 2]", "a list of bare values"),
        ("[[1], [2]]", "a list of bare values or of lists"),
        ('"text"', "one bare value"),
        ("{", "is not JSON"),
        ("Date;Amount", "for CSV write --csv"),
        ('{"openapi": "3.1.0", "paths": {}}', "is an OpenAPI description; write --openapi"),
        ('{"$schema": "https://json-schema.org/draft/2020-12/schema"}', "is a JSON Schema; write --schema"),
        ('<s:schema xmlns:s="http://www.w3.org/2001/XMLSchema"/>', "is an XML Schema; write --xsd"),
        ("[NaN]", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"a":' + "[" * 200 + "]" * 200 + "}]", "nested more than"),
        ('{"2024-05-17": {"a": 1}, "2024-05-18": {"a": 2}}', "under keys that are data"),
    ],
    ids=range(15),
)
def test_what_cannot_be_drafted_from_is_refused_in_one_sentence(tmp_path: Path, value: str, why: str) -> None:
    path = sample(tmp_path, value)
    with pytest.raises(Unreadable, match=why) as refused:
        drafted("sample", path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_another_encoding_is_told_with_the_command_that_changes_it(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes('[{"a": "é"}]'.encode("latin-1"))
    with pytest.raises(Unreadable, match="is not UTF-8; convert it first: iconv -f WINDOWS-1252 -t UTF-8"):
        drafted("sample", path)
    path.write_bytes('[{"a": "é"}]'.encode("utf-16"))
    with pytest.raises(Unreadable, match="is not UTF-8; convert it first: iconv -f UTF-16 -t UTF-8"):
        drafted("sample", path)
    path.write_bytes(b"\xef\xbb\xbf" + '[{"a": "é"}]'.encode())
    assert not faults(drafted("sample", path))
