"""Files with the records of many customers: `try` on one, and what `import`, `add`, `doctor` and `lint` say of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from telecom import as_csv, as_xml

Run = Callable[..., Aval]
CONNECTION = (
    ('kind = "assertion"\nbase_url = "https://api.north-telecom.example"', 'kind = "files"'),
    ('[connection.link]\nstart = "/link/start"\nconfirm = "/link/confirm"\nunlink = "/link/end"\n',
     '[connection.files]\nkept = "P40D"\ncustomer = "Numéro client"\n'),
)  # fmt: skip
NUMBERED = (*CONNECTION, ("_id:p ", '"Numéro client":- _id:p '))
HEAD = "Numéro client;_id;timestamp;msisdn;partner;length;note"
TABLE = f"""{HEAD}
C-1;a1;2026-01-03T10:00:00Z;33611111111;33699999999;61;été
C-2;b1;2026-01-04T10:00:00Z;33622222222;33699999998;62;
C-1;a2;2026-01-05T10:00:00Z;33611111111;33699999997;63;
"""
SEPARATOR = 'csv = { separator = ";" }'


def shop(folder: Path, *changes: tuple[str, str]) -> Path:
    path, _ = as_csv(folder)
    text = path.read_text(encoding="utf-8")
    for old, new in (*NUMBERED, *changes):
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path


def given(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "calls-1.csv"
    path.write_bytes(text.encode(encoding))
    return path


def tried(aval: Run, path: Path, sample: Path, *options: str) -> dict[str, Any]:
    done = aval("organisations", "try", path, "--answer", sample, "--json", *options)
    assert not done.err, done.err
    (found,) = json.loads(done.out)["answers"]
    assert done.code == (1 if found["refusal"] else 0)
    return found  # type: ignore[no-any-return]


# ---- one customer of many


def test_of_a_file_of_many_it_is_told_whose_records_are_tried(aval: Run, tmp_path: Path) -> None:
    path = shop(tmp_path)
    found = tried(aval, path, given(tmp_path, TABLE))
    assert found["counts"]["records"] == 3 and found["customer"] == ""
    assert found["warnings"] == [
        "the file has the records of 2 customers (C-1, C-2), and all of them are tried here: a live call gives only the"
        " person's own. Give --customer NUMBER to try it for one"
    ]
    alone = TABLE.replace("C-2;", "c-1;")  # spelt otherwise, and the same
    assert tried(aval, path, given(tmp_path, alone))["warnings"] == []


def test_for_one_customer_nobody_elses_record_is_there(aval: Run, tmp_path: Path) -> None:
    path, sample = shop(tmp_path), given(tmp_path, TABLE)
    found = tried(aval, path, sample, "--customer", "c-1")
    assert found["counts"]["records"] == len(found["records"]) == 2 and found["warnings"] == []
    assert "33699999998" not in json.dumps(found) and "33622222222" not in json.dumps(found)
    assert found["customer"] == "c-1, of whom 2 of 3 records are" and list(found["accounts"]) == ["33611111111"]
    other = aval("organisations", "try", path, "--answer", sample, "--customer", "C-3")
    assert other.code == 2 and "is of this customer; there are C-1, C-2" in other.err


def test_it_is_the_same_in_xml(aval: Run, tmp_path: Path) -> None:
    path, text = as_xml(tmp_path)
    declaration = path.read_text(encoding="utf-8")
    for old, new in CONNECTION:
        declaration = declaration.replace(old, new.replace("Numéro client", "msisdn"), 1)
    path.write_text(declaration, encoding="utf-8")
    sample = given(tmp_path, text)
    assert "2 customers" in tried(aval, path, sample)["warnings"][0]
    assert tried(aval, path, sample, "--customer", "33622222222")["counts"]["records"] == 1


def test_a_customer_belongs_to_files_alone(aval: Run, tmp_path: Path) -> None:
    path, text = as_csv(tmp_path)
    done = aval("organisations", "try", path, "--answer", given(tmp_path, text), "--customer", "C-1")
    assert done.code == 2 and 'kind = "files"' in done.err


# ---- a file that would not be taken in


@pytest.mark.parametrize(
    ("table", "encoding", "told"),
    [
        (TABLE.replace("Numéro client;", "Number;"), "utf-8", "there is no column Numéro client, which says whose"),
        (TABLE.replace("C-2;", ";"), "utf-8", "record 2: Numéro client must be there"),
        (TABLE, "windows-1252", 'seems to be iso-8859-1, and is read as utf-8: write encoding = "iso-8859-1"'),
        (TABLE.replace(";", ","), "utf-8", "separated by commas, and [format.csv] reads semicolons: write separator"),
        ("<html></html>", "utf-8", "it seems to be a page of HTML"),
        (TABLE.replace(";length", ";_id"), "utf-8", "the column _id stands twice"),
    ],
)  # fmt: skip
def test_try_and_import_refuse_the_same_and_say_what_it_seems_to_be(
    aval: Run, begun: Path, tmp_path: Path, table: str, encoding: str, told: str
) -> None:
    path, sample = shop(tmp_path), given(tmp_path, table, encoding)
    found = tried(aval, path, sample, "--call", "calls")
    assert told in found["refusal"] and not found["app_gets"] and found["counts"]["records"] == 0
    assert aval("organisations", "add", path).code == 0
    done = aval("organisations", "import", "north-telecom", sample, "--call", "calls")
    assert done.code == 1 and told in done.err, done.err
    right = aval("organisations", "import", "north-telecom", given(tmp_path, TABLE), "--call", "calls")
    assert right.code == 0 and "seems" not in right.out, right.err


def test_a_file_in_utf_8_for_another_encoding_is_told_by_import(aval: Run, begun: Path, tmp_path: Path) -> None:
    encoded = (SEPARATOR, 'csv = { separator = ";", encoding = "windows-1252" }')
    path = shop(tmp_path, encoded, ('customer = "Numéro client"', 'customer = "msisdn"'))
    assert aval("organisations", "add", path).code == 0
    seems = 'the file seems to be utf-8, and is read as windows-1252: write encoding = "utf-8"'
    table = TABLE.replace("Numéro client", "Number")
    done = aval("organisations", "import", "north-telecom", given(tmp_path, table), "--call", "calls")
    assert done.code == 0 and seems in done.out, "its texts are spelt wrongly: people would read été"
    done = aval("organisations", "import", "north-telecom", given(tmp_path, table, "windows-1252"), "--call", "calls")
    assert done.code == 0 and "seems" not in done.out
    by_number = shop(tmp_path, encoded)
    assert aval("organisations", "add", by_number).code == 0
    done = aval("organisations", "import", "north-telecom", given(tmp_path, TABLE), "--call", "calls")
    assert done.code == 1 and "there is no column Numéro client" in done.err and seems in done.err


def test_one_is_one(aval: Run, begun: Path, tmp_path: Path) -> None:
    assert aval("organisations", "add", shop(tmp_path)).code == 0
    one = given(tmp_path, "".join(TABLE.splitlines(keepends=True)[:2]))
    done = aval("organisations", "import", "north-telecom", one, "--call", "calls")
    assert "1 record of 1 customer, " in done.out
    codes = tmp_path / "codes.csv"
    codes.write_text("customer,code\nC-1,K7QX-M2PD\n")
    assert "1 code of 1 customer, " in aval("organisations", "import", "north-telecom", "--codes", codes).out
    assert "1 code that nobody has used" in aval("organisations", "files", "north-telecom").out


# ---- the folder


def test_a_folder_that_is_not_there_is_told_by_add_doctor_and_lint(aval: Run, begun: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    path = shop(
        tmp_path,
        ("[connection.files]\n", f'[connection.files]\nfolder = "{folder}"\n'),
        ('[[datasets]]\n', '[[connection.files.names]]\npattern = "calls-*.csv"\ncall = "calls"\n\n[[datasets]]\n'),
    )  # fmt: skip

    def all_three() -> list[str]:
        added, linted = aval("organisations", "add", path), aval("organisations", "lint", path)
        assert added.code == 0 and linted.code == 0
        return [added.err, linted.out, aval("doctor").out]

    assert all("in is not there" in " ".join(told.split()) for told in all_three())
    folder.write_text("")
    assert all("in is no folder" in " ".join(told.split()) for told in all_three())
    folder.unlink()
    folder.mkdir()
    assert not any(str(folder) in told for told in all_three())


def test_a_folder_of_two_organisations_is_told_by_doctor(aval: Run, begun: Path, tmp_path: Path) -> None:
    names = '[[connection.files.names]]\npattern = "calls-*.csv"\ncall = "calls"\n\n[[datasets]]\n'
    for name in ("north-telecom", "south-telecom"):
        path = shop(
            tmp_path,
            ("[connection.files]\n", f'[connection.files]\nfolder = "{tmp_path}"\n'),
            ("[[datasets]]\n", names),
            ('id = "north-telecom"', f'id = "{name}"'),
        )
        assert aval("organisations", "add", path).code == 0
        shared = f"its folder {tmp_path} is that of"
        assert (shared in " ".join(aval("doctor").out.split())) is (name == "south-telecom")
