"""What a server says of itself: whether it may be served on (`aval serve`), and how it does (`aval doctor`)."""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

import psycopg

from gateway.ground.store import contract
from gateway.ground.store.postgres import faults, months
from gateway.ground.store.postgres.bare import Bare

COMMITS = 5
_LOOK = """SELECT current_setting('server_version'), current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'), current_setting('fsync') = 'on',
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on',
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true), '0')::int,
    (SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL)"""


@dataclass(frozen=True, slots=True)
class ServerReport:
    version: str
    commit: str  # synchronous_commit
    standbys: str  # synchronous_standby_names
    fsync: bool
    read_only: bool
    most: int  # connections that it allows, of all its databases together
    used: int
    encrypted: bool
    local: bool  # reached without a network
    ahead: float  # seconds by which its clock is before ours


def look(connection: contract.Connection) -> ServerReport:
    assert isinstance(connection, Bare)
    found = connection.execute(_LOOK).fetchone()
    assert found is not None
    version, commit, standbys, fsync, read_only, most, used = found
    info = connection.psycopg.info
    return ServerReport(
        version.split(" ")[0],
        commit,
        standbys,
        fsync,
        read_only,
        most,
        used,
        bool(connection.psycopg.pgconn.ssl_in_use),
        _is_local(info.host, info.hostaddr),
        _ahead(connection),
    )


def silent(where: str, parameters: Mapping[str, Any]) -> str:
    """Why no pages are served by way of this address; empty: it answers."""
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return faults.sentence(where, error)
    return ""


def _is_local(host: str, address: str) -> bool:
    return host.startswith("/") or not (host or address) or (bool(address) and ip_address(address).is_loopback)


def _ahead(connection: Bare) -> float:
    before = datetime.now(UTC)
    (theirs,) = connection.execute("SELECT clock_timestamp()").fetchone() or ("",)
    after = datetime.now(UTC)
    return (contract.instant(theirs) - before - (after - before) / 2).total_seconds()


def unsafe(found: ServerReport) -> Iterator[tuple[str, str]]:
    """(setting of the server, why and what to do) for each with which production is not served."""
    if found.commit == "off":
        yield "synchronous_commit", "off: an access could be lost in a power cut; set it to on at the server"
    if not found.fsync:
        yield "fsync", "off: the database could be lost in a power cut; set it to on at the server"
    if not (found.encrypted or found.local):
        yield "sslmode", "the connection is not encrypted; add ?sslmode=verify-full to AVAL_DATABASE_URL"


def commit_seconds(connection: contract.Connection) -> float:
    """How long a commit takes that changes nothing: a message in the write-ahead log, to nobody."""
    taken = []
    for _ in range(COMMITS):
        connection.execute("BEGIN")
        connection.execute("SELECT pg_logical_emit_message(true, 'aval', '')")
        began = time.perf_counter()
        connection.execute("COMMIT")
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def missing_months(connection: contract.Connection, today: date, count: int) -> list[str]:
    """The partitions of the log that this month and the `count` next ones would have."""
    names = [months.name_of(month) for month in months.upcoming(today, count)]
    found = connection.execute("SELECT name FROM unnest(?::text[]) AS name WHERE to_regclass(name) IS NULL", (names,))
    return [name for (name,) in found]


def may_make_tables(connection: contract.Connection) -> bool:
    """In the schema that is used. From PostgreSQL 15 on only a database's owner may, by default."""
    found = connection.execute("SELECT has_schema_privilege(current_user, current_schema(), 'CREATE')").fetchone()
    return bool(found and found[0])
