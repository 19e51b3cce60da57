"""The entries of the log, kept month by month on PostgreSQL, so that ten years of them stay operable.

An entry's id is the number of its month above 44 bits, and a running number below: at 5,000 entries a second these last
for 110 years. Partitions are ranges of ids. So an id alone says which partition holds its entry, and no other one is
looked at (PostgreSQL, "Partition Pruning").
"""

from collections.abc import Callable
from datetime import date

from gateway.ground.store.contract import Connection

BITS = 44
RUNNING: int = 2**BITS - 1  # the running number of an id
FIRST_YEAR = 2020
AHEAD = 3  # months that have their partition before they begin

ID = (
    f"(((extract(year from now() AT TIME ZONE 'UTC')::bigint - {FIRST_YEAR}) * 12"
    f" + extract(month from now() AT TIME ZONE 'UTC')::bigint - 1) << {BITS}) | nextval('logentry_id_seq')"
)
TABLE = f"""
    CREATE TABLE logentry (
        id bigint NOT NULL DEFAULT {ID} PRIMARY KEY,
        person_id varchar NOT NULL, seq bigint NOT NULL,
        salt bytea NOT NULL, sealed bytea NOT NULL, commitment bytea NOT NULL
    ) PARTITION BY RANGE (id)"""
# Takes the entries of a month that has no partition, as when the clock is far off.
OTHERS = "CREATE TABLE logentry_others PARTITION OF logentry DEFAULT"


def number(day: date) -> int:
    return (day.year - FIRST_YEAR) * 12 + day.month - 1


def prepare(execute: Callable[[str], object], today: date, count: int = AHEAD) -> None:
    """Make the partitions of this month and of the next ones, where they are missing."""
    for month in upcoming(today, count):
        _make(execute, month)


def prepare_missing(connection: Connection, today: date, count: int = AHEAD) -> None:
    """The same while others write: mostly nothing is missing, and then nobody waits. Making one needs the log's table
    for a moment for itself; whoever writes meanwhile waits, so this one does not wait for long."""
    missing = [month for month in upcoming(today, count) if not _is_there(connection, month)]
    if missing:
        connection.execute("SET LOCAL lock_timeout = '1s'")
    for month in missing:
        _make(connection.execute, month)


def upcoming(today: date, count: int) -> range:
    return range(number(today), number(today) + count + 1)


def name_of(month: int) -> str:
    return f"logentry_{FIRST_YEAR + month // 12}_{month % 12 + 1:02}"


def _is_there(connection: Connection, month: int) -> bool:
    found = connection.execute("SELECT to_regclass(?) IS NOT NULL", (name_of(month),)).fetchone()
    return bool(found[0])


def _make(execute: Callable[[str], object], month: int) -> None:
    name, begin, end = name_of(month), month << BITS, (month + 1) << BITS
    execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF logentry FOR VALUES FROM ({begin}) TO ({end})")
    execute(f"CREATE UNIQUE INDEX IF NOT EXISTS {name}_person_seq ON {name} (person_id, seq)")
