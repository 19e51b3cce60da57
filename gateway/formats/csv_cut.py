"""What is left of a table: the columns that are given; of the rows those inside the period and of a granted account.

    head ── which columns leave ── each block: rows judged ── columns taken ── accounts' numbers looked for ── written

Blocks come from `csv_reading` and are written anew (RFC 4180): CRLF, quotes only where they are needed, in UTF-8, and
each cell with the text it had. A whole answer goes the same way as a stream.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import compress
from operator import and_
from typing import Any

from gateway.catalogue.formats import Format, FormatCall, Member, Only
from gateway.catalogue.shapes import NEVER, inner, members
from gateway.formats.coarser import stays_number
from gateway.formats.csv_coarser import Otherwise, changed, plain_number
from gateway.formats.csv_judging import Room, RowTimes, judged_columns, unlike
from gateway.formats.csv_reading import HEADER, Block, TableReader
from gateway.formats.drift import COLUMN, Seen, told
from gateway.formats.model import Counts, UnknownShape
from gateway.formats.table_plan import AT_ANY_TIME, TablePart
from gateway.formats.totals import Row
from gateway.ground.calendar.instants import Span, Window

_NUMBER = re.compile(r"[+-]?[0-9]{1,17}(?:[.,][0-9]{1,9})?(?:[eE][+-]?[0-9]{1,3})?")
_NUMBERS = ("i", "n", "d")  # words of columns in which a text of this form is an amount and no identifier
_WHOLE = ("i", "n")  # but for a number that is exactly an account's
_SELDOM = 8  # rows to one that may need quotes: where there are more, all are written by the csv module
_QUOTED = re.compile('[\\r\\n"]')
Cells = Sequence[str]
Rows = list[tuple[str, ...]]
Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column that leaves."""

    name: str
    number: int  # its place in the header line
    word: str
    instead: str | None = None  # what every cell has
    only: Only | None = None  # given only where another column has one of some values
    is_account: bool = False
    own_stay: bool = False  # the accounts' own numbers stay in it
    change: Change | None = None  # what is made of each cell before it leaves

    @property
    def searched(self) -> bool:
        return not (self.is_account or self.word == "p" or self.instead is not None or self.change is not None)


class TableCutter:
    """Cuts one answer: a `model.Cutter`. `pair` makes an app's own identifier of the organisation's."""

    def __init__(
        self,
        form: Format,
        call: FormatCall,
        part: TablePart,
        refs: Mapping[str, str],
        window: Window,
        zone: str,
        pair: Callable[[str], str],
        rows: list[Row] | None = None,
    ) -> None:
        """`rows`: in place of writing records, what counts of them goes there."""
        self._form, self._call, self._part, self._refs = form, call, part, refs
        self._records = form.records[call.records]
        self._account = self._records.account[0] if self._records.account else ""
        self._reader = TableReader(form.encoding, form.separator)
        self._times = RowTimes(self._records.time, zone, window)
        self._pair = pair
        self._made: dict[str, tuple[dict[str, str], Room]] = {}  # column → text → what is made of it
        self._rows = rows
        self._owners_room = Room()
        self._owners: dict[str, str | None] = {}  # cell of the account's column → reference; None: of no account here
        self._places: dict[str, int] = {}
        self._columns: list[Column] = []
        self._withheld: list[int] = []
        self._left = part.records_max if rows is None else None
        self._plain = True
        self._given = self._seen = self._fields = 0
        self._reach: Span | None = None
        self.media_type = f"{form.accept}; charset=utf-8"

    @property
    def records(self) -> int:
        """How many there were, given and withheld."""
        return self._seen

    def feed(self, chunk: bytes) -> bytes:
        return self._cut(self._reader.blocks(chunk))

    def close(self) -> bytes:
        return self._cut(self._reader.blocks(b"", last=True))

    def counts(self) -> Counts:
        start, end = self._reach or (None, None)
        return Counts(self._given, self._seen - self._given, self._fields, start, end)

    def _cut(self, blocks: Iterator[Block]) -> bytes:
        return "".join([self._block(block) if block.count else self._opened() for block in blocks]).encode()

    # ---- the header line

    def _opened(self) -> str:
        """Decides which columns leave, and returns their header line. Raises UnknownShape."""
        head = self._reader.head
        kind, part = self._records.kind, self._part
        known = members(self._form.shapes, kind)
        self._places = places(head, known, part.seen)
        for name in judged_columns(self._records):
            if name not in self._places:
                raise UnknownShape(name)
        for name in sorted(self._places, key=self._places.__getitem__):
            if known[name] == "!":
                raise UnknownShape(name)
            column = self._column(name, known[name])
            if column is not None:
                self._columns.append(column)
        given = {column.name for column in self._columns if column.instead is None}
        self._withheld = [number for name, number in self._places.items() if name not in given]
        if self._rows is not None:
            return ""
        neutral = (_constant(value) for (kind, _), value in self._form.instead.items() if kind == self._records.kind)
        texts = [*self._refs.values(), *neutral]
        self._plain = not any(_QUOTED.search(text) or self._form.separator in text for text in texts)
        if self._form.separator == self._form.decimal and self._part.coarse:  # which may get decimals
            self._plain = False
        if not self._columns:  # of the columns that are given none is here
            self._left = 0
            return ""
        return written([tuple(column.name for column in self._columns)], self._form.separator)

    def _column(self, name: str, word: str) -> Column | None:
        member = (self._records.kind, name)
        number = self._places[name]
        if member in self._part.read and word not in NEVER:
            is_account = name == self._account
            own_stay = member in self._form.numbers
            only, change = self._form.only.get(member), self._change(member, word)
            return Column(name, number, word, None, only, is_account, own_stay, change)
        if member in self._form.instead:
            return Column(name, number, word, _constant(self._form.instead[member]))
        return None

    def _change(self, member: Member, word: str) -> Change | None:
        how = self._part.coarse.get(member)
        if how is None:
            return None
        otherwise: Otherwise = ""
        if member in self._form.instead:
            otherwise = _constant(self._form.instead[member])
        elif member in self._form.required:
            otherwise = UnknownShape("/".join(member))
        change = changed(how, word, self._part.makers.get(member), self._form.decimal, otherwise)
        if stays_number(how):
            return lambda text: self._part.names.outward_whole(change(text))
        return change

    # ---- rows

    def _block(self, block: Block) -> str:
        chosen = self._chosen(block)
        given = block.count if chosen is None else sum(chosen)
        self._seen += block.count
        self._given += given
        if self._left is not None:
            self._left -= given
        if not given:
            return ""
        if self._rows is not None:
            self._rows += self._counted(block, chosen, given)
            return ""
        self._fields += self._withheld_cells(block, chosen, given)
        columns = [self._cells(column, block, chosen, given) for column in self._columns]
        if block.plain and self._plain and len(block.quoted) * _SELDOM <= block.count:
            return self._joined(columns, _places_of(block.quoted, block.count, chosen))
        rows = list(zip(*columns, strict=True))
        return written(self._named(rows, written(rows, self._form.separator)), self._form.separator)

    def _counted(self, block: Block, chosen: list[bool] | None, given: int) -> Iterator[Row]:
        """What counts of each row that is inside."""
        answer = self._call.answer
        assert answer is not None, "only of a call that gives one"
        spans = self._times.spans([block.column(self._places[name]) for name in self._times.columns])
        within = [AT_ANY_TIME] * given if spans is None else spans if chosen is None else compress(spans, chosen)
        number = self._places.get(answer.of[0]) if answer.of else None
        cells = [""] * given if number is None else _taken(block.column(number), chosen)
        for (start, end), text in zip(within, cells, strict=True):
            yield start, end, plain_number(text, self._form.decimal)

    def _chosen(self, block: Block) -> list[bool] | None:
        """Of each row whether it is given; None: every row is. Raises UnknownShape for a row that cannot be judged."""
        chosen: list[bool] | None = None
        keys: Sequence[Any] = ()
        if self._times.columns:
            keys = self._times.keys([block.column(self._places[name]) for name in self._times.columns])
            chosen, unreadable = self._times.verdicts(keys)
            if unreadable:
                self._judgeable(block, self._times.columns[0], (key in unreadable for key in keys))
        if self._account:
            chosen = self._owned(block, chosen)
        if self._left is not None and self._left < block.count:
            chosen = _first(chosen or [True] * block.count, self._left)
        if chosen is not None and all(chosen):
            chosen = None
        if keys:
            self._reaches(self._times.reach(keys if chosen is None else compress(keys, chosen)))
        return chosen

    def _owned(self, block: Block, chosen: list[bool] | None) -> list[bool]:
        owners = block.column(self._places[self._account])
        known, distinct = self._owners, set(owners)
        if not self._owners_room.has(distinct.difference(known)):
            known.clear()
            self._owners_room.has(distinct)
        for text in distinct.difference(known):
            known[text] = self._refs.get(text) or self._refs.get(text.strip())
        found = [known[text] is not None for text in owners]
        if not self._records.time.lenient and not all(map(str.strip, distinct)):
            here = chosen or [True] * block.count
            self._judgeable(block, self._account, (h and not o.strip() for h, o in zip(here, owners, strict=True)))
        return found if chosen is None else list(map(and_, chosen, found))

    def _judgeable(self, block: Block, column: str, faults: Iterable[bool]) -> None:
        """A row with fewer cells than the header line, such as a sum at the end, may be no record: it is not given.
        Any other must have what it is judged by."""
        for number, fault in enumerate(faults):
            if fault and number not in block.short:
                raise UnknownShape(f"[{block.first + number}].{column}")

    def _reaches(self, span: Span | None) -> None:
        if span is not None:
            low, high = self._reach or span
            self._reach = min(low, span[0]), max(high, span[1])

    def _withheld_cells(self, block: Block, chosen: list[bool] | None, given: int) -> int:
        """How many cells of the rows given are not: an empty one says nothing that could be withheld."""
        if block.full:
            return len(self._withheld) * given
        found = 0
        for number in self._withheld:
            cells = block.column(number)
            found += given - (cells if chosen is None else list(compress(cells, chosen))).count("")
        return found

    # ---- cells

    def _cells(self, column: Column, block: Block, chosen: list[bool] | None, given: int) -> Cells:
        if column.instead is not None:
            return [column.instead] * given
        cells = _taken(block.column(column.number), chosen)
        if column.only is not None:
            cells = self._where(column.only, cells, block, chosen)
        wrong = unlike(column.word, cells)
        if wrong is not None:
            row = wrong if chosen is None else list(compress(range(block.count), chosen))[wrong]
            raise UnknownShape(f"[{block.first + row}].{column.name}")
        if column.is_account:
            return [self._owners[text] or "" for text in cells]
        if column.change is not None:
            found = self._changed(column.name, column.change, cells)
            self._fields += max(found.count("") - cells.count(""), 0)
            return found
        if column.word == "p":
            return self._changed(column.name, lambda text: self._pair(text) if text else "", cells)
        return cells

    def _where(self, only: Only, cells: Cells, block: Block, chosen: list[bool] | None) -> Cells:
        other = next((each for each in self._columns if each.name == only.member and each.instead is None), None)
        there = [""] * len(cells) if other is None else _taken(block.column(other.number), chosen)
        values = frozenset(only.values)
        kept = [text if said in values else "" for text, said in zip(cells, there, strict=True)]
        self._fields += kept.count("") - cells.count("")
        return kept

    def _changed(self, column: str, change: Change, cells: Cells) -> Cells:
        """What is made of each cell: once of a text that comes again."""
        (made, room), distinct = self._made.setdefault(column, ({}, Room())), set(cells)
        if not room.has(distinct.difference(made)):
            made.clear()
            room.has(distinct)
        for text in distinct.difference(made):
            made[text] = change(text)
        return [made[text] for text in cells]

    # ---- written anew

    def _joined(self, columns: list[Cells], quoted: Iterable[int]) -> str:
        """Rows of which only the `quoted` may have what needs quotes."""
        separator = self._form.separator
        if len(columns) == 1:
            lines = [text or '""' for text in columns[0]]  # else it would be a blank line
        else:
            lines = list(map(separator.join, zip(*columns, strict=True)))
        for number in quoted:
            lines[number] = written([tuple(column[number] for column in columns)], separator).removesuffix("\r\n")
        lines.append("")
        text = "\r\n".join(lines)
        named = self._part.names.lines(text.encode())
        for number in named:
            row = self._outward(tuple(column[number] for column in columns))
            lines[number] = written([row], separator).removesuffix("\r\n")
        return "\r\n".join(lines) if named else text

    def _named(self, rows: Rows, text: str) -> Rows:
        """The rows without any name of an account. `text`: as they are written."""
        if text.count("\n") != len(rows):  # of these line ends some stand in cells
            text = "\n".join([" ".join(" ".join(row).splitlines()) for row in rows])
        for number in self._part.names.lines(text.encode()):
            rows[number] = self._outward(rows[number])
        return rows

    def _outward(self, row: tuple[str, ...]) -> tuple[str, ...]:
        names = self._part.names
        return tuple(
            names.outward_cell(
                text,
                _NUMBER if column.word in _NUMBERS else None,
                own_stay=column.own_stay,
                whole=column.word in _WHOLE,
            )
            if column.searched
            else text
            for column, text in zip(self._columns, row, strict=True)
        )


def places(head: Sequence[str], known: AbstractSet[str] | Mapping[str, str], seen: Seen | None) -> dict[str, int]:
    """Where each declared column stands. Blanks around its name do not matter; one without any name is not declared.

    Raises UnknownShape where no column is declared, for a name that stands twice, and for a column that is not declared
    when there is nobody to be told of it.
    """
    found: dict[str, int] = {}
    others: dict[str, None] = {}
    for number, text in enumerate(head):
        name = text if text in known else text.strip()
        if name in found or (name and name in others):
            raise UnknownShape(name if name in found else HEADER)
        if name in known:
            found[name] = number
        else:
            others[name] = None
    if not found or (others and seen is None):
        raise UnknownShape(HEADER)
    if others and seen is not None:
        seen.note(dict.fromkeys(told(name, COLUMN) for name in others))
    return found


def written(rows: Iterable[tuple[str, ...]], separator: str) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def faults(form: Format) -> Iterator[tuple[str, str, str]]:
    """What a declaration says that a table cannot have."""
    for records in form.records.values():
        if records.at:
            yield "", f"records.{records.kind}.at", "leave it out: a table has nothing around its rows"
        for name, word in members(form.shapes, records.kind).items() if records.kind in form.shapes else ():
            if inner(word) != word or word in form.shapes:
                yield "", f"shapes.{records.kind}", f"{name}: a column has one word, as {name}:s, and no type or list"
    for call in form.calls.values():
        if call.at:
            yield "", f"calls.{call.name}.at", "leave it out: a table has nothing around its rows"
    if form.around:
        yield "", "around", "leave it out: a table has nothing around its rows"
    if form.pages is not None and form.pages.by in ("link", "cursor"):
        yield "", "pages.by", "link-header, page or offset: a table has no member that leads on"


def _taken(cells: Cells, chosen: list[bool] | None) -> Cells:
    return cells if chosen is None else list(compress(cells, chosen))


def _places_of(rows: AbstractSet[int], count: int, chosen: list[bool] | None) -> Iterable[int]:
    """Where rows of a block stand among those that are given."""
    if chosen is None or not rows:
        return rows
    return [place for place, row in enumerate(compress(range(count), chosen)) if row in rows]


def _first(chosen: list[bool], most: int) -> list[bool]:
    """No more than so many of them."""
    kept = []
    for each in chosen:
        kept.append(each and most > 0)
        most -= each
    return kept


def _constant(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
