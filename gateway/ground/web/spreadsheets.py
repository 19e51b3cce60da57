"""CSV for people: every cell that a spreadsheet might run as a formula is disarmed."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_STARTS = ("=", "+", "-", "@", "\t", "\r")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")  # could show a cell other than it is


def cell(text: str) -> str:
    """A cell no spreadsheet takes for a formula. Numbers stay numbers, negative ones too."""
    text = _BIDI.sub("", text)
    return f"'{text}" if text.startswith(_STARTS) and not _NUMBER.fullmatch(text) else text


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as UTF-8 CSV, LF at line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([cell(text) for text in row] for row in rows)
    return out.getvalue().encode()
