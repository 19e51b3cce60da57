"""Rows on their way from one engine to the other: plain values of Python, the same whichever engine they are read from.

text, JSON   str       JSON as it was written, character by character
whole number int       true or false: bool
bytes        bytes
instant      datetime  UTC, to the microsecond
day          date
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, Boolean, Date, DateTime, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

from gateway.ground.store.contract import instant, stored

Row = tuple[Any, ...]

_encoder = msgspec.msgpack.Encoder()


class NotCopied(Exception):
    """This copy is not made, or does not say done. Says why: never what a row holds, but for its key."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is no text")
    if not value.isascii():
        value.encode()  # a text that is not UTF-8 was read with what cannot be written again
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("is not bytes")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError("is no whole number")
    return value


def _truth(value: Any) -> bool:
    if value not in (0, 1):
        raise TypeError("is neither true nor false")
    return bool(value)


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """Of a column: how SQLite's value is read and written, and PostgreSQL's type in a binary COPY."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    postgres: str


def _day(value: Any) -> date:
    return date.fromisoformat(_text(value))


def _instant(value: Any) -> datetime:
    return instant(_text(value))


# In this order: a big number is a number, too. A JSON column takes text as it is, where its own type would encode it.
_KINDS: tuple[tuple[type, Kind], ...] = (
    (LargeBinary, Kind(_bytes, _same, "bytea")),
    (Boolean, Kind(_truth, int, "bool")),
    (BigInteger, Kind(_number, _same, "int8")),
    (Integer, Kind(_number, _same, "int4")),
    (DateTime, Kind(_instant, stored, "timestamptz")),
    (Date, Kind(_day, date.isoformat, "date")),
    (JSON, Kind(_text, _same, "text")),
    (String, Kind(_text, _same, "text")),
)


@dataclass(frozen=True)
class Shape:
    """One table as it is copied."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    json: tuple[int, ...]  # which of the columns hold JSON
    small: tuple[int, ...]  # which of them hold 32 bits on PostgreSQL
    key: tuple[int, ...]  # which of the columns are its key

    @property
    def table(self) -> str:
        return quoted(self.name)

    @property
    def listed(self) -> str:
        return ", ".join(map(quoted, self.columns))

    @property
    def key_listed(self) -> str:
        return ", ".join(quoted(self.columns[at]) for at in self.key)

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        return [row[at] for at in self.key]


def quoted(name: str) -> str:
    return f'"{name}"'


def shapes(metadata: MetaData) -> list[Shape]:
    """Each table after those its foreign keys refer to."""
    return [_shape(table) for table in metadata.sorted_tables]


def _shape(table: Table) -> Shape:
    columns = list(table.columns)
    types = [each.type.impl_instance if isinstance(each.type, TypeDecorator) else each.type for each in columns]
    kinds = tuple(next(kind for type_, kind in _KINDS if isinstance(found, type_)) for found in types)
    return Shape(
        table.name,
        tuple(each.name for each in columns),
        kinds,
        tuple(at for at, found in enumerate(types) if isinstance(found, JSON)),
        tuple(at for at, kind in enumerate(kinds) if kind.postgres == "int4"),
        tuple(at for at, each in enumerate(columns) if each.primary_key),
    )


def from_sqlite(shape: Shape, rows: Iterable[Sequence[Any]]) -> list[Row]:
    """SQLite keeps a value of any type in any column. Raises NotCopied for one that is not of its column's."""
    reads = [kind.read for kind in shape.kinds]
    return [_row(shape, reads, row) for row in rows]


def _row(shape: Shape, reads: Sequence[Callable[[Any], Any]], row: Sequence[Any]) -> Row:
    try:
        return tuple([None if value is None else read(value) for read, value in zip(reads, row, strict=True)])
    except (TypeError, ValueError):
        for column, read, value in zip(shape.columns, reads, row, strict=True):
            try:
                None if value is None else read(value)
            except (TypeError, ValueError) as error:
                why = "is not UTF-8" if isinstance(error, UnicodeError) else "is not of its column's type"
                raise unfit(shape, row, column, why) from None
        raise


def to_sqlite(shape: Shape, rows: Iterable[Row]) -> Iterator[list[Any]]:
    writes = [kind.write for kind in shape.kinds]
    for row in rows:
        yield [None if value is None else write(value) for write, value in zip(writes, row, strict=True)]


def unfit(shape: Shape, row: Sequence[Any], column: str, why: str) -> NotCopied:
    key = ", ".join(value.hex() if isinstance(value, bytes) else ascii(value) for value in shape.key_of(row))
    return NotCopied(f"table {shape.name}, key {key}: {column} {why}")


def unfit_for_postgres(shape: Shape, rows: Iterable[Row]) -> NotCopied | None:
    """The first value that PostgreSQL cannot hold, and SQLite can."""
    for row in rows:
        for at, value in enumerate(row):
            if why := _unfit(value, shape.kinds[at].postgres, at in shape.json):
                return unfit(shape, row, shape.columns[at], why)
    return None


def too_large(value: int | None) -> bool:
    return value is not None and not -(2**31) <= value < 2**31


def _unfit(value: Any, kind: str, is_json: bool) -> str:
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL, which PostgreSQL cannot hold in a text"
    if kind == "int4" and too_large(value):
        return "is too large for PostgreSQL's column"
    if is_json and isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return "is not JSON"
    return ""


@dataclass(slots=True)
class Digest:
    """Of any number of rows, whatever their order: the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        hashes = (hashlib.sha256(_encoder.encode(row)).digest() for row in rows)
        self.total = (self.total + sum(int.from_bytes(each, "big") for each in hashes)) % 2**256
