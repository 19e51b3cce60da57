"""CSV for people, with every cell changed that a spreadsheet might run as a formula."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
_STARTS = ("=", "+", "-", "@", "\t", "\r")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")  # reverses text, so that a cell looks different


def cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula. Numbers stay numbers, also negative ones."""
    text = _BIDI.sub("", text)
    return f"'{text}" if text.startswith(_STARTS) and not _NUMBER.fullmatch(text) else text


def written(rows: Iterable[Sequence[str]]) -> bytes:
    """The rows as UTF-8 CSV, LF at line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([cell(text) for text in row] for row in rows)
    return out.getvalue().encode()
