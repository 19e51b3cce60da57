"""Files with the records of many customers: cut into records, checked, and put together again for one customer.

    file ──split──► records, each with its text ──check──► as an answer of the API would be
                                    (of one customer) ──answer──► the answer of the API, with these records alone

Each driver has a line in `DRIVERS`. NDJSON and CSV are read line by line; JSON is read whole, so that the largest file
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

from gateway.catalogue.formats import Format, FormatCall, Path
from gateway.catalogue.shapes import members
from gateway.formats.drift import Seen, told
from gateway.formats.json_reading import reading
from gateway.formats.model import FoundAccount, UnknownShape
from gateway.formats.names import nameless
from gateway.formats.shapes import encode

RECORD = 1 << 20  # bytes of one record, and of one line
CODECS = {"utf-8": "utf-8", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}
_MARK = b"\xef\xbb\xbf"  # byte order mark of UTF-8


class BadFile(Exception):
    """Why a file is not taken, and what would be right. Never a value of it."""


@dataclass(frozen=True, slots=True)
class Filed:
    """One record of a file."""

    number: int  # counted from 1
    text: bytes  # as it stands there
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Driver:
    """How files of one kind are read. `head`: what stands before the records; it is read first."""

    head: Callable[[Format, BinaryIO], bytes]
    records: Callable[[Format, FormatCall, bytes, BinaryIO], Iterator[Filed]]
    answer: Callable[[Format, FormatCall, bytes, Sequence[bytes]], bytes]
    fault: Callable[[Format, FormatCall, bytes, Sequence[bytes], Seen | None], str | None]


# ---- JSON


def _no_head(form: Format, file: BinaryIO) -> bytes:
    return b""


def _json_records(form: Format, call: FormatCall, head: bytes, file: BinaryIO) -> Iterator[Filed]:
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
        value = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise BadFile(f"record {number}: it is no JSON object, or it breaks off") from None
    return Filed(number, text, value)


def _json_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    text = records[0] if form.single(call) and records else b"[%b]" % b",".join(records)
    for name in reversed(form.place(call)):
        text = b"{%b:%b}" % (encode(name), text)
    return text


# ---- NDJSON


def _ndjson_records(form: Format, call: FormatCall, head: bytes, file: BinaryIO) -> Iterator[Filed]:
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


def _json_fault(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes], seen: Seen | None) -> str | None:
    how = reading(form, call.name, frozenset(), frozenset(), frozenset())
    body = DRIVERS[form.driver].answer(form, call, head, records)
    try:
        _, found, inside = how.answer(body, seen)
        how.cut(found, inside, None, None, _Any(), len(found), "UTC", [], [])
    except UnknownShape as shape:
        return shape.where or "the outermost place"
    return None


# ---- CSV


def _csv_head(form: Format, file: BinaryIO) -> bytes:
    line = file.readline(RECORD)
    names = _names(form, line)
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or not all(names):
        raise BadFile("line 1: it must name every column")
    if twice:
        raise BadFile(f"line 1: {', '.join(told(name) for name in twice)} stands twice")
    return line.removeprefix(_MARK).rstrip(b"\r\n") + b"\n"


def _names(form: Format, head: bytes) -> list[str]:
    try:
        text = head.removeprefix(_MARK).decode(CODECS[form.encoding])
        return [name.strip() for name in next(csv.reader([text], delimiter=form.separator, strict=True), [])]
    except UnicodeDecodeError:
        raise BadFile(f"line 1: it is not {form.encoding}: [format.csv] encoding says it is") from None
    except csv.Error:
        raise BadFile("line 1: a quotation mark does not end") from None


def _csv_records(form: Format, call: FormatCall, head: bytes, file: BinaryIO) -> Iterator[Filed]:
    names = _names(form, head)
    lines = _Lines(file, CODECS[form.encoding])
    number = 0
    try:
        for cells in csv.reader(lines, delimiter=form.separator, strict=True):
            text = lines.taken()
            if not text.strip():
                continue
            number += 1
            if len(cells) != len(names):
                raise BadFile(f"line {lines.number}: it has {len(cells)} cells, and line 1 names {len(names)} columns")
            yield Filed(number, text.rstrip(b"\r\n"), dict(zip(names, (cell.strip() for cell in cells), strict=True)))
    except UnicodeDecodeError:
        raise BadFile(f"line {lines.number}: it is not {form.encoding}") from None
    except csv.Error:
        wrong = "a quotation mark stands wrong or does not end, a cell is too long, or lines end with CR alone"
        raise BadFile(f"line {lines.number}: {wrong}") from None


class _Lines:
    """Lines as text, for the csv module, which takes several for a record with line ends inside quotes."""

    def __init__(self, file: BinaryIO, codec: str) -> None:
        self._lines, self._codec = _lines(file), codec
        self._taken: list[bytes] = []
        self.number = 1  # of the line that was read last; the head is the first

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            self._taken.append(line)
            if b"\0" in line:
                raise csv.Error
            yield line.decode(self._codec)

    def taken(self) -> bytes:
        text, self._taken = b"".join(self._taken), []
        return text


def _csv_answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    return head + b"".join(record + b"\n" for record in records)


def _csv_fault(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes], seen: Seen | None) -> str | None:
    """Columns that are not declared are told, or refused where nobody is told. What stands in the cells is judged when
    it is given."""
    unknown = [told(name) for name in _names(form, head) if name not in members(form.shapes, call.records)]
    if unknown and seen is None:
        return f"column {unknown[0]}"
    if unknown and seen is not None:
        seen.note(unknown)
    return None


DRIVERS: Mapping[str, Driver] = {
    "json": Driver(_no_head, _json_records, _json_answer, _json_fault),
    "ndjson": Driver(_no_head, _ndjson_records, _ndjson_answer, _json_fault),
    "csv": Driver(_csv_head, _csv_records, _csv_answer, _csv_fault),
}


# ---- what is done with them


def identified(record: Filed, path: Path) -> str:
    """What stands at a path and identifies somebody: a text or a whole number. Raises BadFile where there is none."""
    value: Any = record.value
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    found = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(found, str) or not found.strip():
        raise BadFile(f"record {record.number}: {'.'.join(path)} must be there, as a text or a whole number")
    return found


def require_declared(form: Format, call: FormatCall, head: bytes, records: Sequence[Filed], seen: Seen | None) -> None:
    """Judge records as they are judged when they are given. Raises BadFile. `seen` is told of members that are not
    declared; None: one is refused."""
    fault, alone = DRIVERS[form.driver].fault, 1 if form.single(call) else len(records)
    for begin in range(0, len(records), alone or 1):
        some = records[begin : begin + alone]
        if fault(form, call, head, [record.text for record in some], seen) is not None:
            for record in some:
                if where := fault(form, call, head, [record.text], seen):
                    place = where.replace("[0]", "", 1)
                    raise BadFile(f"record {record.number}: what stands at {place} is not as [format] says")
            raise BadFile(f"records {some[0].number} to {some[-1].number}: they are not as [format] says")


def answer(form: Format, call: FormatCall, head: bytes, records: Sequence[bytes]) -> bytes:
    """As the organisation would have answered the call, if these were all records it has of the customer."""
    return DRIVERS[form.driver].answer(form, call, head, records)


def accounts(form: Format, call: FormatCall, body: bytes) -> Iterator[FoundAccount]:
    """The accounts that the records of an answer name, each once, where the format lists none."""
    path, file, driver = form.records[call.records].account, io.BytesIO(body), DRIVERS[form.driver]
    seen: set[str] = set()
    for record in driver.records(form, call, driver.head(form, file), file) if path else ():
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
