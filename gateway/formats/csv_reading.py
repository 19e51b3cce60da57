"""CSV as it comes: from bytes in pieces of any size to whole rows, block by block, with limited memory.

    bytes ── decoded ── up to the last whole row ── split where quotes do not matter, else read by the csv module

What is read is what organisations write: a byte order mark, CRLF, LF or CR, blank lines, every cell in quotes, blanks
around names in the header line, fewer cells in a row. What has more cells than the header line, breaks off inside
quotes, or has a zero byte or bytes of another encoding, is no table (RFC 4180). Both ways of reading find the same rows
wherever the pieces end.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from typing import Any

from gateway.formats.model import UnknownShape

RECORD = 1 << 20  # characters of one row, and so of one cell
COLUMNS = 4096
HEADER = "header"  # the place told where a header line is none
_PIECE = 1 << 17  # bytes decoded at once
_BATCH = 1 << 16  # characters that are waited for
CODECS: Mapping[str, str] = {"utf-8": "utf-8", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}

csv.field_size_limit(RECORD)  # of the process, in which nothing else reads CSV


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table, of as many cells as the header line has."""

    count: int = 0
    cells: Sequence[str] = ()  # row after row
    stride: int = 1  # from a cell to the one below it
    first: int = 0  # number of the first row in the table
    short: frozenset[int] = frozenset()  # rows that had fewer cells, by their place in the block
    full: bool = False  # no cell is empty
    plain: bool = False  # no cell has a quote, a separator or a line end, but those of `quoted` rows
    quoted: frozenset[int] = frozenset()
    rows: Sequence[Sequence[str]] = ()  # in place of `cells` where some are short: many, filled up, could be very large

    def column(self, number: int) -> Sequence[str]:
        if self.rows:
            return [row[number] if number < len(row) else "" for row in self.rows]
        return self.cells[number :: self.stride]


class TableReader:
    """Of one answer. `head` is there before the first block, which is empty."""

    def __init__(self, encoding: str, separator: str) -> None:
        self.head: list[str] = []
        self._decoder = codecs.getincrementaldecoder(CODECS[encoding])()
        self._separator = separator
        self._waiting: list[str] = []
        self._size = 0
        self._wanted = _BATCH
        self._begun = False
        self._rows = 0

    def blocks(self, chunk: bytes, *, last: bool = False) -> Iterator[Block]:
        """The rows that are whole now. `last`: nothing comes after. Raises UnknownShape."""
        for at in range(0, len(chunk), _PIECE):
            yield from self._blocks(self._decoded(chunk[at : at + _PIECE]), last=False)
        if last:
            yield from self._blocks(self._decoded(b"", last=True), last=True)
            if not self.head:
                raise UnknownShape(HEADER)

    def _decoded(self, chunk: bytes, *, last: bool = False) -> str:
        try:
            text = self._decoder.decode(chunk, last)
        except UnicodeError:
            raise UnknownShape("encoding") from None
        if "\0" in text:
            raise UnknownShape("encoding")
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        return text

    def _blocks(self, text: str, *, last: bool) -> Iterator[Block]:
        self._waiting.append(text)
        self._size += len(text)
        if self._size < self._wanted and not last:
            return
        text = "".join(self._waiting)
        end = len(text) if last else _line_end(text)
        begin = 0
        if not self.head:
            self.head, begin = _head(text, end, self._separator, last)
            if self.head:
                yield Block()
        if self.head:
            block, begin = self._block(text, begin, end, last)
            if block.count:
                self._rows += block.count
                yield block
        self._wait(text[begin:])

    def _wait(self, rest: str) -> None:
        if len(rest) > RECORD + 1:  # a carriage return at its end may be half of a line end
            raise UnknownShape(f"[{self._rows}]")
        self._waiting, self._size = [rest], len(rest)
        # what was looked through in vain is not looked through again for each small piece that comes
        self._wanted = max(_BATCH, 2 * len(rest))

    def _block(self, text: str, begin: int, end: int, last: bool) -> tuple[Block, int]:
        part = text[begin:end]
        if '"' not in part:
            return self._split(part), end
        if len(part) <= RECORD:
            block = self._undressed(part) or self._mixed(part)
            if block is not None:
                return block, end
        rows, end = _exact(text, begin, end, self._separator, last, self._rows)
        return self._listed(rows, plain=False), end

    def _split(self, text: str) -> Block:
        """Rows without any quote. Where each has as many cells as it should, which costs little to see, all cells are
        split at once."""
        text = _one_line_end(text)
        width, separator = len(self.head), self._separator
        if len(text) > RECORD and max(map(len, text.split("\n"))) > RECORD:
            raise UnknownShape(f"[{self._rows}]")
        marked = text.replace("\n", f"{separator}\n{separator}")
        cells = marked.split(separator)
        ends = cells[width :: width + 1]  # each must be the mark of a line's end, and all of them must be here
        if width > 1 and ends.count("\n") == len(ends) == text.count("\n") and len(cells) % (width + 1) == width:
            full = separator * 2 not in marked and bool(cells[0]) and bool(cells[-1])
            return Block(len(ends) + 1, cells, width + 1, self._rows, full=full, plain=True)
        return self._listed((line.split(separator) for line in text.split("\n") if line), plain=True)

    def _undressed(self, text: str) -> Block | None:
        """Rows in which quotes stand around whole cells, and none needs them: the same as without. None: they are
        others."""
        text = _one_line_end(text)
        parts = text.split('"')  # outside, inside, outside, …
        inside = "".join(parts[1::2])
        if len(self.head) < 2 or len(parts) % 2 == 0 or self._separator in inside or "\n" in inside:
            return None
        edges = (self._separator, "\n")
        between = set(parts[2:-1:2])
        if not all(part.startswith(edges) and part.endswith(edges) for part in between):
            return None
        if not (parts[0] == "" or parts[0].endswith(edges)) or not (parts[-1] == "" or parts[-1].startswith(edges)):
            return None
        return self._split("".join(parts))

    def _mixed(self, text: str) -> Block | None:
        """Rows of one line each, of which some have quotes: only those are read by the csv module. None: one row has
        several lines, or the module reads none of them."""
        separator = self._separator
        lines = [line for line in _one_line_end(text).split("\n") if line]
        marks = ['"' in line for line in lines]
        quoted = list(compress(lines, marks))
        try:
            exact = list(csv.reader(quoted, delimiter=separator, strict=True))
        except csv.Error:
            return None
        if len(exact) != len(quoted):
            return None
        others = iter(exact)
        rows = (next(others) if mark else line.split(separator) for line, mark in zip(lines, marks, strict=True))
        return self._listed(rows, plain=True, marks=marks)

    def _listed(self, rows: Iterable[list[str]], *, plain: bool, marks: Iterable[bool] = ()) -> Block:
        """`marks`: which rows were read by the csv module."""
        found: list[list[str]] = []
        short: list[int] = []
        quoted: list[int] = []
        width = len(self.head)
        for cells, mark in zip(rows, marks or repeat(False)):  # noqa: B905  # no marks: as many as there are rows
            if len(cells) > width:
                raise UnknownShape(f"[{self._rows + len(found)}]")
            if len(cells) < width:
                if len(cells) < 2 and not "".join(cells).strip():
                    continue  # a blank line
                short.append(len(found))
            if mark:
                quoted.append(len(found))
            found.append(cells)
        flat = list(chain.from_iterable(found))
        kept: dict[str, Any] = {"rows": found} if short else {"cells": flat, "stride": width, "full": "" not in flat}
        return Block(
            len(found), first=self._rows, short=frozenset(short), plain=plain, quoted=frozenset(quoted), **kept
        )


def _one_line_end(text: str) -> str:
    """The text with LF alone between its lines."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n")


def _line_end(text: str) -> int:
    """Up to where whole lines reach. A carriage return that comes last may be half of a line end."""
    return max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1 if text else 0


def _head(text: str, end: int, separator: str, last: bool) -> tuple[list[str], int]:
    """The first line that is not blank, and where it ends; none: it has not come yet. Raises UnknownShape."""
    begin = end - len(text[:end].lstrip(" \r\n"))  # a blank before the first name may stand before its quotes, too
    source = io.StringIO(text[begin:end], newline="")
    try:
        for cells in csv.reader(source, delimiter=separator, strict=True):
            if any(cell.strip() for cell in cells):
                if len(cells) > COLUMNS or source.tell() > RECORD:
                    raise UnknownShape(HEADER)
                return cells, begin + source.tell()
    except csv.Error:
        if last or begin + source.tell() < end:
            raise UnknownShape(HEADER) from None
    return [], 0


def _exact(text: str, begin: int, end: int, separator: str, last: bool, number: int) -> tuple[list[list[str]], int]:
    """The whole rows of a part of the text as the csv module reads them, and where they end."""
    source = io.StringIO(text[begin:end], newline="")
    rows: list[list[str]] = []
    at = 0
    try:
        for cells in csv.reader(source, delimiter=separator, strict=True):
            after = source.tell()
            if after - at > RECORD and len(text[begin + at : begin + after].rstrip("\r\n")) > RECORD:
                raise UnknownShape(f"[{number + len(rows)}]")
            rows.append(cells)
            at = after
    except csv.Error:
        if last or source.tell() < end - begin:
            raise UnknownShape(f"[{number + len(rows)}]") from None
    return rows, begin + at
