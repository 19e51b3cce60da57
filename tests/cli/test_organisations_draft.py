"""`aval organisations draft`: what an organisation's engineer gets in his first ten minutes, and how it says no."""

import json
import shutil
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval

from gateway.settings import shipped_policies

Run = Callable[..., Aval]
CALL = {
    "_id": "7b0e9a2c-3c1d-4f2a-9a6b-1f2e3d4c5b6a",
    "timestamp": "2024-05-17T10:00:00Z",
    "msisdn": "33698765432",
    "partner": "Zoé Kanarie",
    "length": 1234567,
    "note": "she called about the old loan of Kanarie",
}


@pytest.fixture
def draft(aval: Run) -> Run:
    def run(*arguments: str | Path) -> Aval:
        return aval("organisations", "draft", *arguments)

    return run


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "calls.json"
    path.write_text(json.dumps([CALL, {**CALL, "length": None}]), encoding="utf-8")
    return path


def lines(told: str) -> list[str]:
    return told.splitlines()


def test_a_draft_is_written_with_what_was_read_guessed_and_is_to_do(
    draft: Run, sample: Path, tmp_path: Path, folder: Path
) -> None:
    out = tmp_path / "my-telecom.toml"
    done = draft("--sample", sample, "--record", "PhoneCall", "--id", "my-telecom", "--out", out)
    assert done.code == 0 and not done.out
    document = tomllib.loads(out.read_text(encoding="utf-8"))
    assert document["id"] == "my-telecom" and document["datasets"][0]["id"] == "my-telecom.phone_call"
    assert document["format"]["records"]["PhoneCall"] == {"at": "", "account": "msisdn", "instant": "timestamp"}
    assert document["format"]["shapes"]["PhoneCall"] == "_id:p timestamp:s msisdn:s partner:s length:i note:x"
    told = lines(done.err)
    assert told[0] == "read: JSON: 1 file, 2 values at the outermost place"
    assert (
        told[1].startswith("wrote: 1 type of data, 5 fields, 1 call, 1 type in the table, ")
        and "texts TO FILL" in told[1]
    )
    assert "  PhoneCall: records at the outermost place; time instant 'timestamp'; account msisdn" in told
    what = (f"lint {out}", f"try {out} --answer AN-ANSWER", f"add {out}")
    assert told[-4:] == ["next:", *(f"  aval organisations {each}" for each in what)]
    assert not folder.exists()  # no gateway is begun for a draft


def test_without_out_the_draft_is_on_standard_output_alone(draft: Run, sample: Path) -> None:
    done = draft("--sample", sample, "--name", 'The "Old" Line', "--sector", "telecom")
    document = tomllib.loads(done.out)
    assert document["name"] == {"fr": 'The "Old" Line', "en": 'The "Old" Line'} and document["sector"] == "telecom"
    assert document["datasets"][0]["id"] == "telecom.record"
    assert lines(done.err)[0].startswith("read: ") and "[format" not in done.err


def test_every_text_to_fill_and_every_guess_is_marked(draft: Run, sample: Path) -> None:
    text = draft("--sample", sample).out

    def texts(value: Any) -> list[Any]:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [value] if isinstance(value, str) else [each for part in inside for each in texts(part)]

    document = tomllib.loads(text)
    assert texts(document["datasets"][0]["label"]) == ["TO FILL", "TO FILL"]
    assert "TO FILL" in document["connection"]["base_url"] and "TO FILL" in document["format"]["calls"][0]["path"]
    for line in lines(text):
        if line.startswith(("account = ", "instant = ", "sensitivity = ", "at = ")) and "TO FILL" not in line:
            assert "# guessed" in line, line


def test_nothing_of_a_sample_but_its_names_is_written_or_told(draft: Run, sample: Path) -> None:
    done = draft("--sample", sample)
    for each in ("anarie", "3369", "1234567", "7b0e", "2024", "loan", sample.name):
        assert each not in done.out and each not in done.err


def test_a_file_that_is_there_stays_as_it_is_unless_forced(draft: Run, sample: Path, tmp_path: Path) -> None:
    out = tmp_path / "there.toml"
    out.write_text("mine")
    done = draft("--sample", sample, "--out", out)
    assert done.code == 1 and out.read_text() == "mine"
    assert lines(done.err) == [
        f"aval: {out}: is there already, and was left as it is; name another file, or add --force"
    ]
    assert draft("--sample", sample, "--out", out, "--force").code == 0
    assert tomllib.loads(out.read_text(encoding="utf-8"))["datasets"]


def test_not_even_force_writes_over_what_is_read(draft: Run, sample: Path) -> None:
    before = sample.read_text()
    assert draft("--sample", sample, "--out", sample, "--force").code == 1
    assert sample.read_text() == before


def test_a_refused_draft_leaves_no_file(draft: Run, tmp_path: Path) -> None:
    out, wrong = tmp_path / "out.toml", tmp_path / "wrong.json"
    wrong.write_text("[1, 2]")
    assert draft("--sample", wrong, "--out", out).code == 1 and not out.exists()
    assert draft("--sample", wrong.with_name("none.json"), "--out", out).code == 1 and not out.exists()


def test_a_folder_that_is_not_there_is_told(draft: Run, sample: Path, tmp_path: Path) -> None:
    done = draft("--sample", sample, "--out", tmp_path / "no" / "out.toml")
    assert done.code == 2 and "name a file in a folder that is there" in done.err


@pytest.mark.parametrize(
    "option, body, why",
    [
        ("--sample", None, "there is no such file; check the name and the folder"),
        ("--openapi", None, "there is no such file; check the name and the folder"),
        ("--sample", b"", "is empty; give an answer with at least one record"),
        ("--sample", b"{", "is not JSON (line 1, column 2:"),
        ("--sample", b"[1, 2]", "records are objects"),
        ("--sample", b'[{"a": "\xe9"}]', "is not UTF-8; convert it first: iconv -f"),
        ("--sample", b"\x1f\x8b\x08", "is packed; unpack it first: gunzip"),
        ("--schema", b"{}", "says nothing at its root"),
        ("--openapi", b"{}", "is no OpenAPI description"),
        ("--xsd", b"<a/>", "is no XML Schema"),
        ("--csv", b"2024-05-17,3\n", "holds data where the names of the columns should stand"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence_with_what_to_do(
    draft: Run, tmp_path: Path, option: str, body: bytes | None, why: str
) -> None:
    path = tmp_path / "given.json"
    if body is not None:
        path.write_bytes(body)
    done = draft(option, path)
    assert done.code == 1 and not done.out
    (told,) = lines(done.err)
    assert told.startswith(f"aval: {path}: ") and why in told


@pytest.mark.parametrize(
    "arguments, why",
    [
        ([], "give one of --openapi, --schema, --xsd, --sample, --csv, not none; --help has examples"),
        (["--sample", "a", "--csv", "b"], "not --sample and --csv"),
        (["--sample", "a", "--only", "x"], "--only goes with --openapi, not with --sample"),
        (["--openapi", "a", "--root", "x"], "--root goes with --schema or --xsd, not with --openapi"),
    ],
)
def test_a_wrong_command_line_ends_2(draft: Run, arguments: list[str], why: str) -> None:
    done = draft(*arguments)
    assert done.code == 2 and not done.out and why in done.err


def test_each_kind_of_source_is_read(draft: Run, tmp_path: Path) -> None:
    record = {"type": "object", "properties": {"when": {"type": "string", "format": "date-time"}}}
    answer = {"200": {"content": {"application/json": {"schema": {"type": "array", "items": record}}}}}
    api = {
        "openapi": "3.1.0",
        "paths": {"/calls": {"get": {"responses": answer}}, "/bills": {"get": {"responses": answer}}},
    }
    inside = '<xs:complexType><xs:attribute name="when" type="xs:dateTime"/></xs:complexType>'
    element = f'<xs:element name="Call">{inside}</xs:element>'
    sources = {
        "--openapi": json.dumps(api),
        "--schema": json.dumps({"$defs": {"Call": record}}),
        "--xsd": f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{element}</xs:schema>',
        "--csv": "when;what\n2024-05-17;a\n",
    }
    for option, text in sources.items():
        path = tmp_path / "source"
        path.write_text(text)
        done = draft(option, path, *(("--only", "/calls") if option == "--openapi" else ()))
        document = tomllib.loads(done.out)
        (times,) = document["format"]["records"].values()
        assert times["instant"].removeprefix("@") == "when", option
        assert len(document["format"]["calls"]) == 1


def test_no_address_is_opened(draft: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("an address was opened")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    path = tmp_path / "schema.json"
    path.write_text(
        json.dumps({"properties": {"it": {"$ref": "http://schemas.example/a.json"}, "a": {"type": "null"}}})
    )
    done = draft("--schema", path)
    assert (
        done.code == 0 and "#/properties/it/$ref: a reference that leads to another address, which is never" in done.err
    )


def test_the_help_has_two_examples_that_name_options_there_are(draft: Run) -> None:
    told = draft("--help").out
    examples = [line.split() for line in lines(told) if line.strip().startswith("aval organisations draft ")]
    assert len(examples) == 2
    for option in {word for example in examples for word in example if word.startswith("--")}:
        assert f"\n  {option} " in told


def test_a_sector_that_nobody_knows_is_told(draft: Run, sample: Path) -> None:
    done = draft("--sample", sample, "--sector", "telekom")
    assert done.code == 2 and not done.out and "'telekom' is none of bank, " in done.err
    assert '[[sector]] and id = "telekom", in a file of sectors/' in done.err


def test_a_sector_of_ones_own_policies_is_known(draft: Run, sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(shipped_policies(), folder)
    sectors = folder / "sectors" / "sectors.toml"
    sectors.write_text(sectors.read_text(encoding="utf-8").replace('id = "telecom"', 'id = "water"'), encoding="utf-8")
    assert draft("--sample", sample, "--sector", "water").code == 2
    done = draft("--sample", sample, "--sector", "water", "--policies", folder)
    assert done.code == 0 and tomllib.loads(done.out)["sector"] == "water", done.err
    assert draft("--sample", sample, "--sector", "telecom", "--policies", folder).code == 2


def test_on_standard_output_no_file_is_named_that_was_not_written(draft: Run, sample: Path) -> None:
    told = lines(draft("--sample", sample, "--id", "my-telecom").err)
    assert told[told.index("next:") + 1 :] == [
        "  keep it in a file, as --out FILE does",
        "  aval organisations lint FILE",
        "  aval organisations try FILE --answer AN-ANSWER",
        "  aval organisations add FILE",
    ]
    assert "my-telecom.toml" not in "\n".join(told)


READINGS = {
    "customerNo": "W-1", "meter": "M-1", "unit": "m3",
    "readings": [{"meter": "M-1", "ts": "2026-11-01 00:00", "litres": 12, "quality": "OK"}],
}  # fmt: skip
BILLS = {"page": 1, "bills": [{"billNo": "B-1", "from": "2026-10-01", "to": "2026-10-31", "amount": 41.3}]}


def test_samples_of_different_calls_are_a_call_each_and_that_is_said(draft: Run, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("1.json", "2.json", "3.json")]
    empty = {**READINGS, "readings": []}
    for path, value in zip(paths, (READINGS, BILLS, empty), strict=True):
        path.write_text(json.dumps(value))
    done = draft(*(part for path in paths for part in ("--sample", path)))
    form = tomllib.loads(done.out)["format"]
    assert {call["records"]: call.get("envelope", "Answer") for call in form["calls"]} == {
        "Reading": "Answer",
        "Bill": "BillAnswer",
    }
    assert form["records"]["Reading"]["at"] == "readings" and form["records"]["Bill"]["at"] == "bills"
    told = f"they look like answers of 2 calls, so one is drafted for each: {paths[0]} and {paths[2]}; {paths[1]}"
    assert told in lines(done.err)[0]
    alike = draft("--sample", paths[0], "--sample", paths[2])
    assert len(tomllib.loads(alike.out)["format"]["calls"]) == 1 and "look like" not in alike.err


def test_records_with_a_time_are_found_in_what_has_none_and_the_other_guess_is_named(
    draft: Run, tmp_path: Path
) -> None:
    path = tmp_path / "readings.json"
    path.write_text(json.dumps(READINGS))
    done = draft("--sample", path)
    assert tomllib.loads(done.out)["format"]["records"]["Reading"] == {"at": "readings", "instant": "ts"}
    assert "records at readings (if the whole answer is one record: --at '')" in done.err
    whole = draft("--sample", path, "--at", "")
    assert "one" in tomllib.loads(whole.out)["format"]["calls"][0]
    path.write_text(json.dumps({**READINGS, "readings": [{"meter": "M-1", "litres": 12}]}))
    done = draft("--sample", path)
    assert "one record at the outermost place (if they are the lists inside: --at readings)" in done.err


def test_a_table_may_be_a_file_and_its_customer_is_guessed(draft: Run, tmp_path: Path) -> None:
    path = tmp_path / "receipts.csv"
    path.write_text("Numero client;Date;Montant TTC\nC-1;12.11.2026;1 234,50\nC-2;13.11.2026;3,20\n")
    done = draft("--csv", path)
    assert 'if it gives files, kind = "files" as [connection] says; Numero client says whose a row is' in done.err
    commented = [line.removeprefix("# ") for line in lines(done.out) if line.startswith("# ")]
    begin = commented.index("[connection.files]")
    files = tomllib.loads("\n".join(commented[begin : begin + 4]))["connection"]["files"]
    assert files["customer"] == "Numero client" and files["kept"] == "P40D"
    assert tomllib.loads(done.out)["format"]["records"]["Record"]["account"] == "Numero client"
    path.write_text("Ticket;Date\nT-1;12.11.2026\n")
    assert "says whose" not in draft("--csv", path).err


def test_texts_in_comments_are_not_counted_as_to_be_filled(draft: Run, sample: Path) -> None:
    done = draft("--sample", sample)
    counted = sum(line.partition("#")[0].count("TO FILL") for line in lines(done.out))
    assert f"{counted} texts TO FILL" in lines(done.err)[1]
