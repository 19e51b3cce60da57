"""A table of the organisation's own for the person: its rows as they were written, and one header line for all pages.

Where a spreadsheet would run a cell as a formula, that row is written anew and the cell is changed.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from gateway.catalogue.formats import Format
from gateway.catalogue.shapes import members
from gateway.formats.csv_everything import BYTE_ORDER_MARK, TableLine, TableRow
from gateway.formats.csv_reading import CODECS
from gateway.ground.web.spreadsheets import cell


def table(form: Format, kind: str, rows: Sequence[TableRow]) -> bytes:
    """In the organisation's encoding, LF at line ends. Without rows: the columns that are declared."""
    lines = list(_lines(form, rows)) or [_written(tuple(members(form.shapes, kind)), form.separator)]
    return "".join(f"{line}\n" for line in lines).encode(CODECS[form.encoding])


def media_type(form: Format) -> str:
    return form.accept if form.encoding == "utf-8" else f"{form.accept}; charset={form.encoding}"


def _lines(form: Format, rows: Sequence[TableRow]) -> Iterator[str]:
    head: tuple[str, ...] = ()
    for row in rows:
        if row.head.cells != head:  # the first page, or one that has other columns
            mark = BYTE_ORDER_MARK if not head and row.head.text.startswith(BYTE_ORDER_MARK) else ""
            head = row.head.cells
            yield mark + _harmless(row.head, form.separator)
        yield _harmless(row.line, form.separator)


def _harmless(line: TableLine, separator: str) -> str:
    cells = tuple(cell(text) for text in line.cells)
    return line.text.removeprefix(BYTE_ORDER_MARK) if cells == line.cells else _written(cells, separator)


def _written(cells: tuple[str, ...], separator: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\r\n").writerow(cells)  # so that both are quoted inside cells
    return out.getvalue().removesuffix("\r\n")
