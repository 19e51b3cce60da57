"""The rows of a page of CSV, for the person's accounts and her own copy: not judged, and with nothing taken out."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.catalogue.formats import Format
from gateway.formats.csv_reading import CODECS, HEADER
from gateway.formats.model import LIMIT, TooLarge, UnknownShape

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line of a table: its cells, and the text that the organisation wrote, without the line end."""

    cells: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class TableRow:
    head: TableLine
    line: TableLine

    @property
    def record(self) -> Mapping[str, str]:
        """Column → cell, both without blanks around them."""
        names = (name.strip() for name in self.head.cells)
        return {name: cell.strip() for name, cell in zip(names, self.line.cells, strict=False)}


def rows(form: Format, body: bytes) -> list[TableRow]:
    """Raises TooLarge, and UnknownShape for what is no table."""
    if len(body) > LIMIT:
        raise TooLarge(f"{len(body)} bytes")
    found = list(_lines(form, body))
    if not found:
        raise UnknownShape(HEADER)
    head, *others = found
    return [TableRow(head, line) for line in others]


def _lines(form: Format, body: bytes) -> Iterator[TableLine]:
    """All that are not blank. The first has the byte order mark, if there is one."""
    try:
        whole = body.decode(CODECS[form.encoding])
    except UnicodeError:
        raise UnknownShape("encoding") from None
    text = whole.removeprefix(BYTE_ORDER_MARK).lstrip(" \r\n")  # as `csv_reading` has it
    mark = BYTE_ORDER_MARK if whole.startswith(BYTE_ORDER_MARK) else ""
    source = io.StringIO(text, newline="")
    at = width = number = 0
    try:
        for cells in csv.reader(source, delimiter=form.separator, strict=True):
            line = text[at : source.tell()].rstrip("\r\n")
            at = source.tell()
            if not line.strip():
                continue
            if width and len(cells) > width:
                raise UnknownShape(f"[{number - 1}]")
            yield TableLine(tuple(cells), line if width else mark + line)
            width = width or len(cells)
            number += 1
    except csv.Error:
        raise UnknownShape(f"[{number - 1}]" if width else HEADER) from None
