"""How a CSV file is written: encoding, separator, header line, decimal mark."""

import csv
import io
import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue.formats import SEPARATORS
from gateway.formats.drafting import guesses
from gateway.formats.drafting.nodes import Remark, Unreadable

_WORDS = {mark: word for word, mark in SEPARATORS.items()}
_TRIED = 200  # lines from which the separator is guessed
_WIDEST = 2000  # columns
_NO_NAME = guesses.TIMES | {"uuid", "mail", "iban", "phone", "digits", "decimal", "comma"}


@dataclass(slots=True)
class Columns:
    names: list[str]
    rows: list[list[str]]
    keys: dict[str, str]  # of [format.csv]
    notes: list[Remark]
    line: int  # in which the names stand


def decoded(path: Path, body: bytes) -> tuple[str, str]:
    """(text, the word for its encoding). Raises Unreadable for what no declaration can say."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in body[:1000]:
        raise Unreadable(f"{path}: is UTF-16 or no text; convert it: iconv -f UTF-16 -t UTF-8 {path} > utf8.csv")
    try:
        return body.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    special = any(0x80 <= byte <= 0x9F for byte in body)  # letters in Windows-1252, control characters in ISO 8859-1
    coding = "windows-1252" if special else "iso-8859-1"
    return body.decode(coding, errors="replace"), coding


def read(path: Path, body: bytes) -> Columns:
    """Raises Unreadable."""
    text, coding = decoded(path, body)
    if "\r" in text and "\n" not in text:
        name = shlex.quote(str(path))
        raise Unreadable(
            f"{path}: has lines that end in CR alone, which is no CSV (RFC 4180); convert it: "
            f"tr '\\r' '\\n' < {name} > lines.csv"
        )
    notes: list[Remark] = []
    if text[:4].lower() == "sep=":
        notes.append(Remark("line 1", "a line that only says the separator", "have the organisation leave it out"))
        text = text.partition("\n")[2]
    separator = _separator(text)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise Unreadable(f"{path}: is no CSV ({error}); correct it, or name another file") from None
    filled = [(number, row) for number, row in enumerate(lines, 1) if any(cell.strip() for cell in row)]
    if not filled:
        raise Unreadable(f"{path}: has no line with anything in it; give a file with a header line and records")
    if len(filled) < len(lines):
        notes.append(Remark("between lines", "blank lines", "nothing: they hold nothing"))
    wide = Counter(len(row) for _, row in filled).most_common(1)[0][0]
    if wide > _WIDEST:
        raise Unreadable(f"{path}: has more than {_WIDEST} columns; draft from a part of them")
    at = next((position for position, (_, row) in enumerate(filled) if len(row) == wide), 0)
    number, names = filled[at]
    if at:
        notes.append(
            Remark(f"lines before {number}", "lines in front of the names of the columns", "have them left out")
        )
    rows = [row for _, row in filled[at + 1 :]]
    odd = [number for number, row in filled[at + 1 :] if len(row) != wide]
    if odd:
        notes.append(
            Remark(f"line {odd[0]}", f"{len(odd)} lines of another width", "such a line is no record: have it left out")
        )
    _check(path, names, number, rows, notes)
    fitting = [row for row in rows if len(row) == wide]
    keys = {"separator": _WORDS[separator], "decimal": _decimal(fitting), "encoding": coding}
    return Columns(names, fitting, keys, notes, number)


def _separator(text: str) -> str:
    """The one by which most lines have the same number of cells, and more than one."""
    head = "\n".join(text.splitlines()[:_TRIED])

    def fits(separator: str) -> tuple[float, int]:
        try:
            wide = Counter(len(row) for row in csv.reader(io.StringIO(head), delimiter=separator) if row)
        except csv.Error:
            return 0.0, 0
        columns, lines = wide.most_common(1)[0] if wide else (1, 0)
        return (lines / max(1, sum(wide.values())), columns) if columns > 1 else (0.0, 1)

    return max(_WORDS, key=fits)


def _check(path: Path, names: list[str], number: int, rows: list[list[str]], notes: list[Remark]) -> None:
    for position, name in enumerate(names, 1):
        if name.strip() and (guesses.kinds(name) & _NO_NAME or "@" in name):
            raise Unreadable(
                f"{path}: line {number} holds data where the names of the columns should stand (column {position}); "
                "put a line with the names of the columns in front"
            )
        if not name.strip():
            notes.append(Remark(f"column {position}", "a column without a name", "have it named or left out"))
        elif name != name.strip():
            notes.append(Remark(f"column {position}", "a blank around a name", "kept as it is written, in quotes"))
    for position, name in enumerate(names):
        if name.strip() and name in names[:position]:
            raise Unreadable(
                f"{path}: columns {names.index(name) + 1} and {position + 1} have one name; give each a name of its own"
            )
        if name.strip() and any(len(row) > position and row[position] == name for row in rows[:5000]):
            raise Unreadable(
                f"{path}: line {number} seems to hold data: column {position + 1} has the same value again below; "
                "put a line with the names of the columns in front"
            )
    if not rows:
        notes.append(
            Remark(f"line {number}", "names of columns and no record", "no kind could be guessed: add records")
        )


def _decimal(rows: list[list[str]]) -> str:
    commas = points = 0
    for row in rows[:5000]:
        for cell in row:
            cell = cell.strip()
            if "," in cell and guesses.kinds(cell, ["comma"]):
                commas += 1
            elif "." in cell and guesses.kinds(cell, ["decimal"]):
                points += 1
    return "," if commas > points else "."


def number_reader(decimal: str) -> Callable[[str], str]:
    """A text with the decimal mark of the file, as others write it."""
    if decimal == ".":
        return lambda text: text
    return lambda text: text.replace(",", ".") if "," in text and guesses.kinds(text, ["comma"]) else text
