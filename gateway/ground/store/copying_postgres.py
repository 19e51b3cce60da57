"""PostgreSQL as one end of a copy."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.adapt import Loader

from gateway.errors import Unavailable
from gateway.ground.store.contract import key_of, name_of
from gateway.ground.store.copying import ALIVE_SECONDS, Side, largest_ids, running
from gateway.ground.store.copying_rows import NotCopied, Row, Shape, quoted, too_large, unfit_for_postgres
from gateway.ground.store.postgres import faults, months
from gateway.ground.store.postgres.bare import Bare, marks
from gateway.ground.store.postgres.engine import COPY

# As in engine.py: while this connection lives, whoever serves cannot have the leads, and nobody begins to serve.
HELD = (COPY, "lead log", "lead work")
PATIENCE = 5.0  # seconds: of a copy that was killed, the server may be about to end the last statement
UNLIMITED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
BEFORE = "logentry_before"  # of entries whose id has no month
_ALIVE = f"SELECT count(*) FROM process WHERE seen_at > now() - interval '{ALIVE_SECONDS} seconds'"
# Each by itself, those of partitions too: before 15 a server has other rules for whether a change of a table's trigger
# is one of its partitions' as well (these are clones, and marked as the server's own).
_TRIGGERS = """
    SELECT coalesce(root.relname, c.relname), c.relname, tgname, tgenabled::text
      FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid LEFT JOIN pg_class root ON root.oid = pg_partition_root(c.oid)
     WHERE NOT tgisinternal OR (tgparentid <> 0 AND tgconstraint = 0)"""
_ENABLED = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER", "R": "ENABLE REPLICA TRIGGER"}  # else it is not
_TO_ITSELF = (
    "SELECT relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid"
    " WHERE contype = 'f' AND conrelid = confrelid"
)


class _AsText(Loader):
    """JSON as it was written."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()


class PostgresSide(Side):
    """`parameters`: libpq's, past any pooler, with UNLIMITED."""

    def __init__(self, where: str, parameters: Mapping[str, Any]) -> None:
        self.where = where
        try:
            self._raw: psycopg.Connection[Any] = psycopg.connect(**parameters, autocommit=True)
        except psycopg.Error as error:
            raise Unavailable(faults.sentence(where, error)) from error
        if why := faults.unfit(where, self._raw):
            self._raw.close()
            raise Unavailable(why)
        self.connection = Bare(self._raw)

    def claim(self) -> None:
        until = time.monotonic() + PATIENCE
        for lock in HELD:
            while not self._one("SELECT pg_try_advisory_lock(?)", key_of(lock)):
                if time.monotonic() > until:
                    raise Unavailable(f"{self.where}: a gateway serves it, or another copy runs; stop that one first")
                time.sleep(0.1)
        # After a copy that was killed these are the source's; and nobody serves a part of a copy (`migrate`).
        if self.holds("process") and not self.holds("storecopy") and self._one(_ALIVE):
            raise Unavailable(
                f"{self.where}: a gateway has served it in the last {ALIVE_SECONDS} seconds; stop it, and wait as long"
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with self._raw.transaction():
            yield

    def holds(self, table: str) -> bool:
        return bool(self._one("SELECT to_regclass(?) IS NOT NULL", table))

    def read(self, statement: str, values: Sequence[Any], shape: Shape) -> list[Row]:
        with self._raw.cursor(binary=True) as cursor:
            cursor.adapters.register_loader("json", _BinaryText)
            return cursor.execute(marks(statement), values).fetchall()

    def put(self, shape: Shape, rows: Sequence[Row]) -> None:
        if any(too_large(row[at]) for at in shape.small for row in rows):  # the driver would cut it off
            raise unfit_for_postgres(shape, rows) or AssertionError
        copy = f"COPY {shape.table} ({shape.listed}) FROM STDIN (FORMAT BINARY)"
        try:
            with self._raw.cursor() as cursor, cursor.copy(copy) as writing:
                writing.set_types([kind.postgres for kind in shape.kinds])
                for row in rows:
                    writing.write_row(row)
        except psycopg.errors.ForeignKeyViolation as error:
            named = error.diag.message_detail or name_of(error)
            raise NotCopied(f"table {shape.name}: a row refers to one that is not there: {named}") from None
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            what = unfit_for_postgres(shape, rows)
            raise what or NotCopied(f"table {shape.name}: PostgreSQL refuses its rows ({name_of(error)})") from None

    def set_aside(self, tables: Sequence[Shape]) -> list[str]:
        """Triggers; and foreign keys of a table to itself, since a row may come before the one it refers to."""
        names = {shape.name for shape in tables}
        back: list[str] = []
        for name, table, trigger, enabled in self.connection.execute(_TRIGGERS).fetchall():
            if name in names and enabled in _ENABLED:
                alter = f"ALTER TABLE ONLY {quoted(table)}"
                self.connection.execute(f"{alter} DISABLE TRIGGER {quoted(trigger)}")
                back.append(f"{alter} {_ENABLED[enabled]} {quoted(trigger)}")
        for name, constraint, definition in self.connection.execute(_TO_ITSELF).fetchall():
            if name in names:
                self.connection.execute(f"ALTER TABLE {quoted(name)} DROP CONSTRAINT {quoted(constraint)}")
                back.append(f"ALTER TABLE {quoted(name)} ADD CONSTRAINT {quoted(constraint)} {definition}")
        return back

    def make_room(self, source: Side) -> None:
        """A partition for each month of which there are entries."""
        for month in largest_ids(source):
            if month:
                day = date(months.FIRST_YEAR + month // 12, month % 12 + 1, 1)
                months.prepare(self.connection.execute, day, 0)
            else:
                end = 1 << months.BITS
                self.connection.execute(
                    f"CREATE TABLE {BEFORE} PARTITION OF logentry FOR VALUES FROM (MINVALUE) TO ({end})"
                )
                self.connection.execute(f"CREATE UNIQUE INDEX {BEFORE}_person_seq ON {BEFORE} (person_id, seq)")
        months.prepare(self.connection.execute, datetime.now(UTC).date())

    def settle(self, tables: Sequence[Shape]) -> None:
        last = max(map(running, largest_ids(self).values()), default=0)
        self._go_on("logentry_id_seq", last)
        for shape in tables:
            for column in shape.columns:
                sequence = self._one("SELECT pg_get_serial_sequence(?, ?)", shape.table, column)
                if sequence:
                    self._go_on(sequence, self._one(f"SELECT max({quoted(column)}) FROM {shape.table}") or 0)
            self.connection.execute(f"ANALYZE {shape.table}")

    def _go_on(self, sequence: str, last: int) -> None:
        self.connection.execute("SELECT setval(?::regclass, ?::bigint, ?)", (sequence, max(last, 1), last > 0))

    def check(self) -> None:
        """Was done with each row; for keys of a table to itself it is when they are put back."""

    def close(self) -> None:
        self._raw.close()

    def _one(self, statement: str, *values: Any) -> Any:
        row = self.connection.execute(statement, values).fetchone()
        return row[0] if row else None


class _BinaryText(_AsText):
    format = psycopg.pq.Format.BINARY
