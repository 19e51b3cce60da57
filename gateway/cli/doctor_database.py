"""`aval doctor` about a PostgreSQL server: whether it answers, keeps what it acknowledges, and has room for us."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from gateway.cli.check import Check
from gateway.errors import Unavailable
from gateway.ground.store import Connection, migrate, open_store
from gateway.ground.store.postgres import months, server
from gateway.ground.store.postgres.address import BadAddress, parameters, pooled, shown
from gateway.ground.store.postgres.server import ServerReport
from gateway.settings import BESIDES, Settings

LATE_SECONDS = 0.02  # of a commit: what a disk takes that keeps its word, and a standby nearby
APART_SECONDS = 5.0  # of two clocks


def checks(using: Settings) -> Iterator[Check]:
    """Of the server; nothing about what stands in the database."""
    yield from _password(using)
    if using.database_direct_url:
        yield _pooler(using)
    try:
        with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
            found = server.look(connection)
            yield Check(
                "postgresql", "ok", f"{found.version} at {shown(using.database_direct_url or using.database_url)}"
            )
            yield from _read_only(found)
            yield from _commit(connection, found, using)
            yield _encrypted(found, using)
            yield _room(found, using)
            yield from _clock(found)
    except Unavailable as error:
        yield Check("postgresql", "fail", error.detail, "then ask again: aval doctor")


def _password(using: Settings) -> Iterator[Check]:
    """What is wrong with where the password stands; nothing where all is right."""
    for name in ("database_url", "database_direct_url"):
        with contextlib.suppress(BadAddress):  # the connection tells of it
            if getattr(using, name) and parameters(getattr(using, name)).get("password"):
                do = "leave it out there, and name a file with it in AVAL_DATABASE_PASSWORD_FILE"
                yield Check(f"settings.{name}", "warn", "holds the password, which others may read there", do)
    for path, mode in open_password_file(using):
        status: Literal["warn", "fail"] = "fail" if using.mode == "production" else "warn"
        yield Check("settings.database_password_file", status, f"{path} is open to other users", f"chmod {mode} {path}")


def open_password_file(using: Settings) -> Iterator[tuple[Path, str]]:
    """(path, mode it should have), if others than this user may use it. Where the file is another's, as a mounted
    secret is root's, its group is how it is read."""
    path = using.database_password_file
    if path is None or not path.exists():
        return
    found = path.stat()
    own = found.st_uid == os.geteuid()
    if found.st_mode & (0o077 if own else 0o007):
        yield path, "600" if own else "o-rwx"


def _pooler(using: Settings) -> Check:
    """Of the address that pages and data calls use; the checks that follow are of the server past it."""
    where = shown(using.database_url)
    try:
        given = pooled(parameters(using.database_url, using.database_password_file))
    except (BadAddress, OSError) as error:
        return Check("pooler", "fail", f"{where}: {error}", "correct AVAL_DATABASE_URL, or its password's file")
    if why := server.silent(where, given):
        return Check("pooler", "fail", why, "then ask again: aval doctor")
    return Check("pooler", "ok", f"answers at {where}")


def tables(connection: Connection) -> Iterator[Check]:
    """Where there are none yet: whether they can be made."""
    if not server.may_make_tables(connection):
        yield Check("tables", "fail", "this user may not make any in this database", migrate.OWNER)


def _read_only(found: ServerReport) -> Iterator[Check]:
    if found.read_only:
        yield Check("writable", "fail", migrate.READ_ONLY, migrate.PRIMARY)


def _commit(connection: Connection, found: ServerReport, using: Settings) -> Iterator[Check]:
    for name, why in server.unsafe(found):
        if name != "sslmode":
            yield Check(f"postgresql.{name}", "fail" if using.mode == "production" else "warn", why)
    if found.read_only or found.commit == "off":
        return
    seconds = server.commit_seconds(connection)
    where = f"on {found.standbys} as well" if found.standbys else "on this server; no standby is waited for"
    told = f"{seconds * 1000:.1f} ms, {where} (synchronous_commit {found.commit})"
    if seconds > LATE_SECONDS:
        yield Check("commit", "warn", told, "every call waits for one: look at the disk of its write-ahead log")
    elif found.standbys and found.commit == "local":
        yield Check("commit", "warn", told, "local does not wait for the standby: set synchronous_commit to on")
    else:
        yield Check("commit", "ok", told)


def _encrypted(found: ServerReport, using: Settings) -> Check:
    if found.encrypted:
        return Check("encryption", "ok", "TLS")
    if found.local:
        return Check("encryption", "ok", "none, and none is needed: the server is on this machine")
    status = "fail" if using.mode == "production" else "warn"
    return Check("encryption", status, "none", "add ?sslmode=verify-full to AVAL_DATABASE_URL")  # type: ignore[arg-type]


def _room(found: ServerReport, using: Settings) -> Check:
    each = BESIDES + (0 if using.database_direct_url else using.database_connections)
    needed = each * using.processes
    told = (
        f"{found.most} allowed, {found.used} open; {using.processes} × {each} needed by the processes of this machine"
    )
    if needed > found.most:
        do = "raise max_connections, lower AVAL_DATABASE_CONNECTIONS, or put pgbouncer in front"
        return Check("connections", "fail", told, do)
    return Check("connections", "ok", told)


def _clock(found: ServerReport) -> Iterator[Check]:
    if abs(found.ahead) > APART_SECONDS:
        told = f"the server's is {abs(found.ahead):.0f} s {'ahead of' if found.ahead > 0 else 'behind'} this machine's"
        yield Check("clocks", "warn", told, "let both follow one time server")


def partitions(connection: Connection) -> Check:
    """Of the log: an entry of a month that has none goes to the one for all others, and is in the way later."""
    missing = server.missing_months(connection, datetime.now(UTC).date(), months.AHEAD)
    if not missing:
        return Check("partitions", "ok", f"of this month and the next {months.AHEAD}")
    return Check(
        "partitions", "warn", f"missing: {', '.join(missing)}", "a running gateway makes them; so does aval migrate"
    )
