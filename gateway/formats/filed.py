"""Files with the records of many customers: cut into records, checked, and put together again for one customer.

    file ──split──► records, each with its text ──check──► as an answer of the API would be
                                    (of one customer) ──answer──► the answer of the API, with these records alone

Each driver has a line in `DRIVERS`. NDJSON and CSV are read line by line; JSON and XML whole, so that the largest file
of the declaration is what it takes of memory. What is wrong is told by the number of a record and the names of members,
never by a value.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
from msgspec import Raw

from gateway.catalogue.formats import Format, FormatCall, Path, Records
from gateway.catalogue.shapes import NEVER, members
from gateway.formats import json_values, xml_filed
from gateway.formats.csv_cut import places
from gateway.formats.csv_judging import RowTimes, judged_columns, unlike
from gateway.formats.csv_reading import CODECS, COLUMNS, HEADER
from gateway.formats.drift import COLUMN, Seen, told
from gateway.formats.json_reading import reading
from gateway.formats.model import FoundAccount, TooLarge, UnknownShape
from gateway.formats.names import nameless
from gateway.formats.shapes import encode
from gateway.ground.calendar.instants import Window

RECORD = 1 << 20  # bytes of one record, and of one line
_MARK = b"\xef\xbb\xbf"  # byte order mark of UTF-8
_PIECE = 1 << 16  # bytes read at once
_NOBODY = Seen(lambda *_: None)


class BadFile(Exception):
    """Why a file is not taken, and what would be right. Never a value of it."""


@dataclass(frozen=True, slots=True)
class Filed:
    """One record of a file."""

    number: int  # counted from 1
    text: bytes  # as it stands there
    value: Mapping[str, Any]

    def at(self, path: Path) -> Any:
        """What stands at a path; None: nothing."""
        value: Any = self.value
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True, slots=True)
class FiledJson(Filed):
    def at(self, path: Path) -> Any:
        """An empty list where a name stands twice, which is no text."""
        return [] if json_values.stands_twice(self.text, path) else Filed.at(self, path)


@dataclass(frozen=True, slots=True)
class Driver:
    """How files of one kind are read. `opened`: what stands before the records, and the records."""

    opened: Callable[[Format, FormatCall, BinaryIO], tuple[bytes, Iterator[Filed]]]
    answer: Callable[[Format, FormatCall, bytes, Sequence[bytes]], bytes]
    fault: Callable[[Format, FormatCall, str, bytes, Sequence[bytes], Seen | None], str | None]


# ---- JSON


def _json_opened(form: Format, call: FormatCall, file: BinaryIO) -> tuple[bytes, Iterator[Filed]]:
    return b"", _json_records(form, call, file)


def _json_records(form: Format, call: FormatCall, file: BinaryIO) -> Iterator[Filed]:
    body = file.read()
    place = form.place(call)
    try:
        body.decode()
        found: Any = msgspec.json.decode(body, type=Raw)
        for depth, name in enumerate(place):
            below = msgspec.json.decode(found, type=dict[str, Raw])
            if name not in below:
                raise BadFile(
                    f"there is no {'.'.join(place[: depth + 1])}: [format.records] says the records are there"
                )
            found = below[name]
        each = msgspec.json.decode(found, type=list[Raw])
    except UnicodeDecodeError:
        raise BadFile("it is not UTF-8: write it in UTF-8") from None
    except (msgspec.MsgspecError, RecursionError):
        where = f"with a list at {'.'.join(place)}" if place else "with a list at the outermost place"
        raise BadFile(f"it is no JSON {where}, or it breaks off") from None
    for number, text in enumerate(each, 1):
        yield _filed(number, bytes(text))


def _filed(number: int, text: bytes) -> Filed:
    if len(text) > RECORD:
        raise BadFile(f"record {number}: it is larger than {RECORD} bytes")
    try:
        value = json_values.members(text)
    except ValueError:
        raise BadFile(f"record {number}: it is no JSON object, or it breaks off") from None
    return FiledJson(number, text, value)


def _json_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    text = records[0] if form.single(call) and records else b"[%b]" % b",".join(records)
    for name in reversed(form.place(call)):
        text = b"{%b:%b}" % (encode(name), text)
    return text


# ---- NDJSON


def _ndjson_opened(form: Format, call: FormatCall, file: BinaryIO) -> tuple[bytes, Iterator[Filed]]:
    return b"", _ndjson_records(file)


def _ndjson_records(file: BinaryIO) -> Iterator[Filed]:
    number = 0
    for line in _lines(file):
        text = line.removeprefix(_MARK).strip() if not number else line.strip()
        if text:
            number += 1
            try:
                text.decode()
            except UnicodeDecodeError:
                raise BadFile(f"record {number}: it is not UTF-8: write it in UTF-8") from None
            yield _filed(number, text)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(RECORD + 1):
        number += 1
        if len(line) > RECORD:
            raise BadFile(f"line {number}: it is longer than {RECORD} bytes")
        yield line


def _ndjson_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    return b"".join(record + b"\n" for record in records)


# ---- what JSON and NDJSON share: they are judged by the same code that reads an answer


class _Any(dict[str, str]):
    """Every account, by its own name."""

    def get(self, name: str, other: Any = None) -> Any:
        return name


def _json_fault(
    form: Format, call: FormatCall, zone: str, head: bytes, records: Sequence[bytes], seen: Seen | None
) -> str | None:
    account = form.records[call.records].account
    if account and any(json_values.stands_twice(record, account) for record in records):
        return ".".join((*form.place(call), *account))
    how = reading(form, call.name, frozenset(), frozenset(), frozenset(), {})
    body = DRIVERS[form.driver].answer(form, call, head, records)
    try:
        _, found, inside = how.answer(body, seen)
        how.cut(found, inside, None, None, _Any(), len(found), zone, [], [])
    except UnknownShape as shape:
        return shape.where or "the outermost place"
    return None


# ---- CSV: what `csv_reading` reads of an answer is what is taken in, and each row is kept as it was written


def _csv_opened(form: Format, call: FormatCall, file: BinaryIO) -> tuple[bytes, Iterator[Filed]]:
    lines, its = _CsvLines(form, file), form.records[call.records]
    names: list[str] = []
    try:
        for cells in csv.reader(lines, delimiter=form.separator, strict=True):
            head = lines.taken()
            if any(cell.strip() for cell in cells):
                names = [cell.strip() for cell in cells]
                break
    except csv.Error:
        raise BadFile(f"line {lines.number}: a quotation mark stands wrong or does not end") from None
    if not names or len(names) > COLUMNS:
        raise BadFile(f"line {lines.number}: there must be the names of the columns, at most {COLUMNS}")
    try:
        found = places(names, members(form.shapes, call.records), _NOBODY)
    except UnknownShape as shape:
        raise BadFile(f"line {lines.number}: {_no_columns(form, call, names, shape.where)}") from None
    if absent := [name for name in judged_columns(its) if name not in found]:
        raise BadFile(
            f"line {lines.number}: there is no column {absent[0]}, which says of what time or account a row is"
        )
    return head + b"\n", _csv_records(form, names, lines)


def _no_columns(form: Format, call: FormatCall, names: Sequence[str], where: str) -> str:
    """What is wrong with the names of columns. One that is not declared is not told: it may be no name at all."""
    if where != HEADER:
        return f"the column {where} stands twice"
    known = set(names) & set(members(form.shapes, call.records))
    return "a column that is not declared stands twice" if known else f"it names no column of {call.records}"


def _csv_records(form: Format, names: Sequence[str], lines: "_CsvLines") -> Iterator[Filed]:
    number = 0
    try:
        for cells in csv.reader(lines, delimiter=form.separator, strict=True):
            text = lines.taken()
            if len(cells) < 2 and not "".join(cells).strip() and (len(names) > 1 or not text):
                continue  # a blank line
            number += 1
            if len(cells) > len(names):
                raise BadFile(f"line {lines.number}: it has {len(cells)} cells, and there are {len(names)} columns")
            if len(text) > RECORD:
                raise BadFile(f"line {lines.number}: the record is longer than {RECORD} bytes")
            yield Filed(number, text, dict(zip(names, (cell.strip() for cell in cells), strict=False)))
    except csv.Error:
        wrong = "a quotation mark stands wrong or does not end, or a cell is too long"
        raise BadFile(f"line {lines.number}: {wrong}") from None


class _CsvLines:
    """Lines as text, each with its end, be it CRLF, LF or CR, for the csv module, which takes several for a record with
    line ends inside quotes. Read piece by piece, so that a file of any size takes no memory."""

    def __init__(self, form: Format, file: BinaryIO) -> None:
        self._file, self._encoding, self._codec = file, form.encoding, CODECS[form.encoding]
        self._lines = self._read()
        self._taken: list[bytes] = []
        self._begun = False
        self.number = 0  # of the line that was read last

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if self.number == 1 and self._encoding == "utf-8":
            line = line.removeprefix(_MARK)
        if not self._begun:  # blanks before the first name may stand before its quotes, too
            line = line.lstrip(b" ")
            self._begun = bool(line.strip())
        self._taken.append(line)
        try:
            text = line.decode(self._codec)
        except UnicodeDecodeError:
            raise BadFile(f"line {self.number}: it is not {self._encoding}: [format.csv] encoding says it is") from None
        if "\0" in text:
            raise BadFile(f"line {self.number}: it has a zero byte: it is no text")
        return text

    def _read(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._file.read(_PIECE):
            lines = (rest + chunk).splitlines(keepends=True)
            rest = lines.pop()  # it may go on; of its end, a CR may be half
            yield from lines
            if len(rest) > RECORD:
                raise BadFile(f"line {self.number + 1}: it is longer than {RECORD} bytes")
        if rest:
            yield from rest.splitlines(keepends=True)

    def taken(self) -> bytes:
        """The lines of the record that was read last, as they were written, without the end."""
        text, self._taken = b"".join(self._taken), []
        return text.rstrip(b"\r\n")


def _csv_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    return head + b"".join(record + b"\n" for record in records)


def _csv_fault(
    form: Format, call: FormatCall, zone: str, head: bytes, records: Sequence[bytes], seen: Seen | None
) -> str | None:
    """Columns that are not declared are told, or refused where nobody is told. Each row must have what it is judged by,
    or fewer cells than there are columns: such a one is given to nobody."""
    known, its = members(form.shapes, call.records), form.records[call.records]
    names, *rows = [_cells(form, text) for text in (head, *records)]
    unknown = [told(name.strip(), COLUMN) for name in names if name.strip() not in known]
    if unknown and seen is None:
        return f"column {unknown[0]}"
    try:
        where = places(names, known, seen)
    except UnknownShape:
        return "the names of the columns"
    banned = [name for name in where if known[name] == "!"]
    if banned:
        return f"column {banned[0]}"
    whole = [row for row in rows if len(row) == len(names)]
    for name, number in where.items():
        if unlike(known[name], [row[number] for row in whole]) is not None:
            return f"column {name}"
    return _csv_unjudged(its, zone, where, whole)


def _csv_unjudged(its: Records, zone: str, where: Mapping[str, int], rows: Sequence[Sequence[str]]) -> str | None:
    """The column in which a row has nothing that it can be judged by."""
    times = RowTimes(its.time, zone, Window(None, None))
    if times.columns and rows:
        keys = times.keys([[row[where[name]] for row in rows] for name in times.columns])
        if times.verdicts(keys)[1]:
            return times.columns[0]
    account = its.account[0] if its.account else ""
    if its.time.lenient:
        return None
    return account if account and not all(row[where[account]].strip() for row in rows) else None


def _cells(form: Format, text: bytes) -> list[str]:
    source = io.StringIO(text.decode(CODECS[form.encoding]), newline="")
    return next(csv.reader(source, delimiter=form.separator, strict=True), [])


# ---- XML


def _xml_opened(form: Format, call: FormatCall, file: BinaryIO) -> tuple[bytes, Iterator[Filed]]:
    try:
        found = xml_filed.taken(form, call, file.read())
    except TooLarge:
        raise BadFile("its elements stand too deep inside each other") from None
    except UnknownShape as shape:
        raise BadFile(
            f"it is no XML as [format] says, or it breaks off: see {shape.where or 'its first element'}"
        ) from None
    return found.head, _xml_records(found.records)


def _xml_records(records: Sequence[tuple[bytes, dict[str, Any]]]) -> Iterator[Filed]:
    for number, (text, value) in enumerate(records, 1):
        if len(text) > RECORD:
            raise BadFile(f"record {number}: it is larger than {RECORD} bytes")
        yield Filed(number, text, value)


def _xml_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    return xml_filed.document(form, head, records)


DRIVERS: Mapping[str, Driver] = {
    "json": Driver(_json_opened, _json_answer, _json_fault),
    "ndjson": Driver(_ndjson_opened, _ndjson_answer, _json_fault),
    "csv": Driver(_csv_opened, _csv_answer, _csv_fault),
    "xml": Driver(_xml_opened, _xml_answer, xml_filed.fault),
}


# ---- what is done with them


def identified(record: Filed, path: Path) -> str:
    """What stands at a path and identifies somebody: a text or a whole number. Raises BadFile where there is none, or
    more than one."""
    value = record.at(path)
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(found, str) or not found.strip():
        raise BadFile(f"record {record.number}: {'.'.join(path)} must be there once, as a text or a whole number")
    return found


def has_time(record: Filed, its: Records) -> bool:
    """Whether something stands where its own time does, if such records have one."""
    return its.time.how == "none" or any(record.at(path) not in (None, "") for path in its.time.paths)


def require_times(its: Records, some: bool) -> None:
    """Raises BadFile for a file in which no record has its own time. `some`: one has."""
    if not some:
        where = " or ".join(".".join(path) for path in its.time.paths)
        raise BadFile(f"no record has its {where}, which says of what time it is: nothing of it could be given")


def require_customers(form: Format, head: bytes, path: Path) -> None:
    """Raises BadFile where a table has no column that says whose a record is."""
    if form.driver == "csv" and path[0] not in [cell.strip() for cell in _cells(form, head)]:
        raise BadFile(f"there is no column {path[0]}, which says whose a record is")


def columns_missing(form: Format, call: FormatCall, head: bytes) -> tuple[str, ...]:
    """The columns that a declaration gives away and a table has not: that an organisation renamed one is not seen in
    the rows."""
    if form.driver != "csv":
        return ()
    there = {cell.strip() for cell in _cells(form, head)}
    known = members(form.shapes, call.records).items()
    return tuple(name for name, word in known if word not in NEVER and name not in there)


def require_declared(
    form: Format, call: FormatCall, zone: str, head: bytes, records: Sequence[Filed], seen: Seen | None
) -> None:
    """Judge records as they are judged when they are given. `zone`: the organisation's. Raises BadFile. `seen` is told
    of members that are not declared; None: one is refused."""
    fault, alone = DRIVERS[form.driver].fault, 1 if form.single(call) else len(records)
    for begin in range(0, len(records), alone or 1):
        some = records[begin : begin + alone]
        if fault(form, call, zone, head, [record.text for record in some], seen) is not None:
            for record in some:
                if where := fault(form, call, zone, head, [record.text], seen):
                    place = where.replace("[0]", "", 1)
                    raise BadFile(f"record {record.number}: what stands at {place} is not as [format] says")
            raise BadFile(f"records {some[0].number} to {some[-1].number}: they are not as [format] says")


def answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    """As the organisation would have answered the call, if these were all records it has of the customer."""
    return DRIVERS[form.driver].answer(form, call, head, records)


def accounts(form: Format, call: FormatCall, body: bytes) -> Iterator[FoundAccount]:
    """The accounts that the records of an answer name, each once, where the format lists none."""
    path = form.records[call.records].account
    records = DRIVERS[form.driver].opened(form, call, io.BytesIO(body))[1] if path else ()
    seen: set[str] = set()
    for record in records:
        native = identified(record, path)
        if native not in seen:
            seen.add(native)
            yield FoundAccount(native, nameless(native), "")


def packed(records: Iterable[bytes]) -> bytes:
    """Records as one text to seal: the lengths first, so that it can be taken apart whatever they hold."""
    found = list(records)
    lengths = json.dumps([len(record) for record in found]).encode()
    return b"%d %b%b" % (len(lengths), lengths, b"".join(found))


def unpacked(text: bytes) -> Iterator[bytes]:
    size, _, rest = text.partition(b" ")
    at = int(size)
    for length in json.loads(rest[:at]):
        yield rest[at : at + length]
        at += length
