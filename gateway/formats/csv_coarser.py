"""Cells of CSV made coarser. An empty cell is not there; of one of which nothing can be made nothing is given.

Numbers are read as the declaration says they are written, and written so again: "1 234,56" rounded to "1235".
"""

import re
from collections.abc import Callable

from gateway.catalogue.made import Made
from gateway.formats.coarser import NUMERIC, Make, stays_number
from gateway.formats.model import UnknownShape

# thousands are only seen where blanks stand between them
_GROUPED = re.compile("[+-]?[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+(?:[.,][0-9]*)?")
_BLANKS = str.maketrans("", "", " \u00a0\u202f")
Otherwise = str | UnknownShape  # in place of what nothing can be made of: a text, or a fault


def plain_number(text: str, decimal: str) -> str:
    """The text of a cell with a point for its decimals and without blanks between thousands. Of one that is not
    written so, something that is no number: a point may stand between thousands where a comma is declared."""
    text = text.strip()
    if _GROUPED.fullmatch(text):
        text = text.translate(_BLANKS)
    if decimal == ",":
        return text.replace(".", "?").replace(",", ".")
    return text


def changed(how: Made, word: str, make: Make | None, decimal: str, otherwise: Otherwise) -> Callable[[str], str]:
    """The function for the cells of one column. `word`: of shapes. `make` of its text; None: whether it is there.
    Raises `otherwise`."""
    if make is None:
        return lambda text: "true" if text.strip() else "false"
    numeric = stays_number(how) or (how.word == "keep" and word in NUMERIC)
    reads_number = numeric or how.word == "band"

    def change(text: str) -> str:
        text = text.strip()
        if not text:
            return ""
        found = make(plain_number(text, decimal) if reads_number else text)
        if found is None:
            if isinstance(otherwise, UnknownShape):
                raise otherwise
            return otherwise
        return found.replace(".", decimal) if numeric else found

    return change
