"""CSV files become one type and what [format.csv] must say of them."""

import tomllib
from pathlib import Path

import pytest
from drafted_declarations import drafted, faults, shapes

from gateway.formats.drafting.nodes import Unreadable


def file(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "answer.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text, encoding, keys, words",
    [
        (
            "Date,Libellé,Montant\n17/05/2024,Café,12.50\n",
            "utf-8",
            {"separator": ",", "decimal": ".", "encoding": "utf-8"},
            {"Date": "s", "Libellé": "x", "Montant": "n"},
        ),
        (
            "\n\nDate;Libellé;Montant\n17/05/2024;Café;12,50\n\n18/05/2024;Bar;1 012,50\n",
            "iso-8859-1",
            {"separator": ";", "decimal": ",", "encoding": "iso-8859-1"},
            {"Date": "s", "Libellé": "x", "Montant": "s"},
        ),
        (
            "Prix;Note\n12,50;5 €\n",
            "windows-1252",
            {"separator": ";", "decimal": ",", "encoding": "windows-1252"},
            {"Prix": "n", "Note": "x"},
        ),
        (
            "sep=;\nA;B\n1;true\n",
            "utf-8-sig",
            {"separator": ";", "decimal": ".", "encoding": "utf-8"},
            {"A": "i", "B": "b"},
        ),
        (
            'A\t"B ""x"", y"\n1\t"two\nlines"\n',
            "utf-8",
            {"separator": "tab", "decimal": ".", "encoding": "utf-8"},
            {"A": "i", 'B "x", y': "x"},
        ),
        (
            "A| B|C\n1|2|007\n",
            "utf-8",
            {"separator": "|", "decimal": ".", "encoding": "utf-8"},
            {"A": "i", " B": "i", "C": "s"},
        ),
    ],
    ids=["plain", "blank lines and Latin", "euro", "sep= and a mark", "quoted", "a blank in front"],
)
def test_how_the_file_is_written_is_guessed(
    tmp_path: Path, text: str, encoding: str, keys: dict[str, str], words: dict[str, str]
) -> None:
    found = drafted("csv", file(tmp_path, text, encoding))
    assert not faults(found)
    document = tomllib.loads(found)
    assert document["format"]["csv"] == keys
    assert shapes(document) == {"Record": words}


def test_an_account_number_is_a_text_and_a_column_without_values_too(tmp_path: Path) -> None:
    found = drafted("csv", file(tmp_path, "account_number,other\n12345678901,\n12345678902,\n"))
    assert shapes(tomllib.loads(found)) == {"Record": {"account_number": "s", "other": "s"}}
    assert tomllib.loads(found)["format"]["records"]["Record"]["account"] == "account_number"


def test_lines_that_are_no_records_are_told_with_their_place(tmp_path: Path) -> None:
    found = drafted("csv", file(tmp_path, "Releve\nDate,A,B\n2024-05-17,1,2\n2024-05-18,3,4\nTotal,4\n"))
    assert "lines before 2: lines in front of the names" in found and "line 5: 1 lines of another width" in found
    assert shapes(tomllib.loads(found)) == {"Record": {"Date": "s", "A": "i", "B": "i"}}


@pytest.mark.parametrize(
    "text",
    [
        "Zoé Kanarie,2024-05-17,12.50\nBob Kanarie,2024-05-18,13.50\n",
        "Zoé Kanarie,Paris\nBob,Paris\nZoé Kanarie,Lyon\n",
        "zoe@kanarie.example,Paris\nx,y\n",
    ],
    ids=["a date", "a name that comes again", "an address"],
)
def test_a_first_line_that_is_data_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable, match="put a line with the names of the columns in front") as refused:
        drafted("csv", file(tmp_path, text))
    assert "anarie" not in str(refused.value)


@pytest.mark.parametrize(
    "text, why",
    [
        ("A,B,A\n1,2,3\n", "columns 1 and 3 have one name"),
        ("\n\n", "is empty"),
        (",,\n , ,\n", "has no line with anything"),
    ],
)
def test_a_file_without_names_of_its_own_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        drafted("csv", file(tmp_path, text))


def test_utf_16_is_told_with_the_command_that_changes_it(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="iconv -f UTF-16"):
        drafted("csv", file(tmp_path, "A,B\n1,2\n", "utf-16"))


def test_lines_that_end_in_cr_alone_are_told_with_the_command_that_changes_them(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"tr '\\r' '\\n' < ") as refused:
        drafted("csv", file(tmp_path, "A,B\r1,2\r"))
    assert "universal-newline" not in str(refused.value)


def test_no_cell_is_written_or_told(tmp_path: Path) -> None:
    text = (
        "name,iban,note,born\nZoé Kanarie,FR7630006000011234567890189,called Kanarie back on Monday then,1987-11-23\n"
    )
    found = drafted("csv", file(tmp_path, text)).replace(str(tmp_path), "")
    assert not [each for each in ("anarie", "FR76", "1987") if each in found] and "born" in found
