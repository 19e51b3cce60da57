"""`aval doctor`: checks what a running gateway depends on, and says what to do about each problem."""

import contextlib
import json
import os
import platform
import resource
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from gateway import compiled
from gateway.cli import doctor_tls
from gateway.cli.check import Check
from gateway.cli.opening import FOREIGN_KEY, KEYS_BACK, NO, demo_of, nothing_sealed, settings, source, tell_of_demo
from gateway.errors import Unavailable
from gateway.ground.store import Connection, Store, migrate, open_store
from gateway.ground.store.sqlite.engine import sqlite_fault, sqlite_version
from gateway.settings import Settings, contradictions, unsafe

OLDEST_PYTHON = (3, 11)
NEWER_SQLITE = "install pysqlite3, which carries a newer one, or a Python that does"
ANOTHER = "if a gateway runs already, name its folder in AVAL_DATA_DIR"
UNMARKED = "this machine has not served with it yet, or AVAL_MARK_FILE names another place"
MARK_BACK = "if it served, give this command the gateway's settings, or move its mark there before the next start"
UNUSED_DO = "it stands in the database since; keep a copy of it with those of the keys, and delete it here"
UNSEALED_DO = "put its row of the table signingkey back, or delete it"
LOW_DISK = 2**30  # bytes
FULL_DISK = 64 * 2**20  # bytes; twice the size of the write-ahead log at which it is copied into the database
REACH_SECONDS = 3.0
OTHER_FILES = 512  # open files besides callers' connections: the database, connections to organisations
LIMITS = (
    "app_calls_per_minute",
    "person_calls_per_minute",
    "organisation_calls_per_minute",
    "connections",
    "address_connections",
    "address_heads",
)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False) -> None:
    """Check everything a running gateway depends on; say what to do about what is not right.

    \b
    aval doctor          one line per check: ok, warn or FAIL
    aval doctor --json   for machines

    Ends 0 when nothing failed (warnings allowed), 1 when something did. Changes nothing.
    """
    using = settings()
    tell_of_demo(using, source("data_dir"))
    found = list(checks(using))
    for check in found:
        if as_json:
            typer.echo(json.dumps(asdict(check)))
        else:
            word = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}[check.status]
            typer.echo(f"{word}  {check.name}: {check.found}" + (f"\n      → {check.do}" if check.do else ""))
    if any(check.status == "fail" for check in found):
        raise typer.Exit(NO)


def checks(using: Settings) -> Iterator[Check]:
    yield _python()
    yield _compiled()
    if using.database_url:
        from gateway.cli import doctor_database  # here: a file needs no driver of a server

        yield from doctor_database.checks(using)
    else:
        yield _sqlite(using)
    yield from _settings(using)
    yield from _limits(using)
    yield from _addresses(using)
    yield from doctor_tls.checks(using, datetime.now(UTC))
    if not using.database_url or using.data_dir.exists():
        yield _data_dir(using)
        yield from _disk(using)
    yield from _keys(using)
    yield from _policies(using)
    yield from _database(using)


def _python() -> Check:
    fine = sys.version_info >= OLDEST_PYTHON
    return Check(
        "python", "ok" if fine else "fail", platform.python_version(), "" if fine else "run it with 3.11 or newer"
    )


def _compiled() -> Check:
    return Check("data plane", "ok", "compiled" if compiled.in_use() else "interpreted (`aval compile` is optional)")


def _sqlite(using: Settings) -> Check:
    if fault := sqlite_fault():
        return Check("sqlite", "fail" if using.mode == "production" else "warn", fault, NEWER_SQLITE)
    return Check("sqlite", "ok", sqlite_version())


def _settings(using: Settings) -> Iterator[Check]:
    faults = [*contradictions(using), *unsafe(using)]
    for name, why in faults:
        yield Check(f"settings.{name}", "fail", why)
    if not faults:
        yield Check("settings", "ok", f"{using.mode}; `aval settings` lists them")


def _limits(using: Settings) -> Iterator[Check]:
    """The limits that are wrong; nothing if all are right."""
    for name in LIMITS if using.mode == "production" else ():
        if getattr(using, name) == 0:
            yield Check(f"settings.{name}", "warn", "0 is no limit: one caller can take all there is", "set a number")
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = using.connections + OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        found = f"{allowed} open files allowed, {needed} needed for {using.connections} connections"
        yield Check("files", "warn", found, "raise the limit (LimitNOFILE, ulimit -Hn), or lower AVAL_CONNECTIONS")


def _addresses(using: Settings) -> Iterator[Check]:
    public = urlsplit(using.public_url)
    port = public.port or (443 if using.secure else 80)
    if using.local and port != using.port and demo_of(using) != using.public_url:  # a demo chooses its ports itself
        do = "set AVAL_PORT or AVAL_PUBLIC_URL so that both name one port"
        yield Check("public_url", "warn", f"{using.public_url} is not where the gateway listens ({using.port})", do)
    elif using.secure and not using.trusted_proxies and not using.speaks_tls:
        found = f"{using.public_url} needs a proxy that ends TLS in front of {using.host}:{using.port}"
        yield Check(
            "public_url", "warn", found, "name its address in AVAL_TRUSTED_PROXIES, else all callers look like one"
        )
    else:
        yield Check("public_url", "ok", using.public_url)


def _data_dir(using: Settings) -> Check:
    folder = using.data_dir
    if not folder.exists():
        return Check("data_dir", "warn", f"{folder} does not exist yet", f"`aval serve` makes it; {ANOTHER}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("data_dir", "fail", f"{folder} cannot be written", "give it to the user that runs the gateway")
    for path in open_database_files(using):
        status: Literal["warn", "fail"] = "fail" if using.mode == "production" else "warn"
        return Check("data_dir", status, f"{path} is open to other users", f"chmod 600 {path}")
    if folder.stat().st_mode & 0o077:
        return Check("data_dir", "warn", f"{folder} is open to other users", f"chmod 700 {folder}")
    return Check("data_dir", "ok", str(folder))


def _disk(using: Settings) -> Iterator[Check]:
    """Reports the disk only if it is nearly full."""
    folder = next(path for path in (using.data_dir.absolute(), *using.data_dir.absolute().parents) if path.exists())
    left = shutil.disk_usage(folder).free
    if left < LOW_DISK:
        status: Literal["warn", "fail"] = "fail" if left < FULL_DISK else "warn"
        yield Check("disk", status, f"{left // 2**20} MB left for {using.data_dir}", "free some, or move data_dir")


def open_key_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, mode it should have) of every key file or folder that group or others may use."""
    from gateway.ground.keys import files

    yield from files.open_files(folder)


def open_database_files(using: Settings) -> Iterator[Path]:
    """The database's files that group or others may use: 600 is right for each."""
    for path in sorted(using.data_dir.glob(f"{using.database.name}*")):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path


def open_sealing_file(using: Settings) -> Iterator[tuple[Path, str]]:
    """The same of the file of the sealing key, where it has one outside of the keys folder."""
    path = using.sealing_key_file
    if path is not None and path.exists() and path.stat().st_mode & 0o077:
        yield path, "600"


def _keys(using: Settings) -> Iterator[Check]:
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import signing_keys

    if not using.keys.exists() and _unused(using):
        yield Check("keys", "warn", f"none in {using.keys} yet", "`aval serve` makes them at its first start")
        return
    for path, mode in (*open_key_files(using.keys), *open_sealing_file(using)):
        yield Check("keys", "fail", f"{path} is open to other users", f"chmod {mode} {path}")
    try:
        ring = KeyRing.of(using)
    except Unavailable as error:
        yield Check("keys", "fail", error.detail, KEYS_BACK)
    else:
        sealing = "" if ring.sealing.file == using.keys / "kek.hex" else f"; the sealing key from {ring.sealing.where}"
        yield Check("keys", "ok", f"in {using.keys}{sealing}")
        for file in signing_keys.unused_files(ring):
            yield Check("keys", "warn", f"{file} is not used any more", UNUSED_DO)


def _unused(using: Settings) -> bool:
    try:
        return nothing_sealed(using)
    except Unavailable:  # of which another check tells
        return bool(using.database_url)  # a file that cannot be read was in use; a server may have anything


def _policies(using: Settings) -> Iterator[Check]:
    from gateway.catalogue import Catalogue, CatalogueError
    from gateway.formats.registry import checked
    from gateway.policy import Policies, PolicyError

    try:
        catalogue, _ = checked(Catalogue(using.policies)), Policies(using.policies)
    except (CatalogueError, PolicyError, OSError) as error:
        yield Check("policies", "fail", str(error), f"correct the file in {using.policies}")
    else:
        found = f"{len(catalogue.datasets)} types of data, {len(catalogue.purposes)} purposes"
        yield Check("policies", "ok", found)


# ---- what the database says


def _database(using: Settings) -> Iterator[Check]:
    try:
        found = migrate.current(using)
    except Unavailable as error:
        said = isinstance(error, migrate.Unfinished | migrate.Foreign | migrate.NotShown)  # with what to do
        if using.database_url and not said:
            return  # another check has told of it
        writable = os.access(using.data_dir, os.W_OK)  # if it is not, `_data_dir` has reported that already
        do = "put a copy back that `aval log verify` accepts" if writable and not said else ""
        yield Check("schema", "fail", error.detail, do)
        return
    if found is None:
        if not using.database_url:
            yield Check("schema", "warn", "there is no database yet", f"`aval serve` makes it; {ANOTHER}")
        else:
            do = "`aval migrate` makes them; if a gateway runs already, name its database in AVAL_DATABASE_URL"
            yield Check("schema", "warn", "there are no tables yet", do)
            from gateway.cli import doctor_database

            with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
                yield from doctor_database.tables(connection)
    elif migrate.serves(using):
        do = "aval migrate" if migrate.is_known(found) else migrate.unknown(using)
        yield Check("schema", "fail", f"{found}; this version needs {migrate.HEAD}", do)
    else:
        newer = "" if found == migrate.HEAD else f", of a newer version that this one ({migrate.HEAD}) may serve beside"
        yield Check("schema", "ok", f"{found}{newer}")
        with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
            foreign = list(_same_keys(connection, using))
            yield from foreign
            if not foreign:
                yield from _token_keys(using, store)
            if using.database_url:
                from gateway.cli import doctor_database

                yield doctor_database.partitions(connection)
            else:
                yield from _missing_rows(connection)
            yield from _clock(connection, datetime.now(UTC))
            if not foreign:  # what another key signed is no fault of the log
                yield from _log(connection, using, store.alone)
            yield from _mark(using, any_signed(connection))
            yield from _organisations(connection)


def _same_keys(connection: Connection, using: Settings) -> Iterator[Check]:
    """The keys that are wrong. Not those that cannot be read, which `_keys` has reported."""
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import key_checks

    with contextlib.suppress(Unavailable):
        ring = KeyRing.of(using)
        for name in key_checks.wrong(connection, ring.checks):
            yield Check("keys", "fail", f"{ring.place(name)} {FOREIGN_KEY}", KEYS_BACK)


def _token_keys(using: Settings, store: Store) -> Iterator[Check]:
    """What the database has of them; what cannot be opened is told, one by one."""
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import signing_keys

    try:
        ring = KeyRing.of(using)
    except Unavailable:
        return  # `_keys` has reported it
    for kid in signing_keys.read(store, ring, datetime.now(UTC).timestamp()):
        yield Check("token keys", "fail", f"{kid} {signing_keys.UNSEALED}", UNSEALED_DO)
    if not ring.algorithms:
        yield Check("token keys", "warn", "none yet", "`aval serve` makes the first at its start")
    else:
        signs = ", ".join(f"{name} {ring.signer_of(name).kid}" for name in ring.algorithms)
        yield Check("token keys", "ok", f"signing: {signs}")


def _missing_rows(connection: Connection) -> Iterator[Check]:
    """Of SQLite, where whoever opens the file may delete what others refer to. Nothing where all is there."""
    from gateway.ground.store.sqlite import copying

    for lost in copying.missing_rows(connection):
        yield Check("references", "fail", lost, copying.MISSING_DO)


def _clock(connection: Connection, now: datetime) -> Iterator[Check]:
    from gateway.log.signed import set_back

    was = set_back(connection, now)
    if was is not None:
        found = f"{now:%Y-%m-%d %H:%M} UTC is before the log was signed last, {was:%Y-%m-%d %H:%M}"
        do = "set the clock right: sharings would end too late; if it is right and was wrong then, start the gateway:"
        yield Check("clock", "fail", found, f"{do} an entry of the log marks that its time goes back")
    else:
        yield Check("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def any_signed(connection: Connection) -> bool:
    from gateway.log.signed import last_signed

    return last_signed(connection) is not None


def _mark(using: Settings, signed: bool) -> Iterator[Check]:
    """A mark that comes back together with the database can say nothing about it. Production refuses the first case."""
    folder = using.mark.resolve().parent  # the mark may be a link to another disk
    do = "stop the gateway, move the mark elsewhere, and say where in AVAL_MARK_FILE"
    if using.in_data_dir(using.mark):
        found = f"{using.mark} lies in the data folder: an older copy of that folder put back is not noticed"
        yield Check("mark", "warn" if using.mode == "development" else "fail", found, do)
    elif folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
        yield Check("mark", "fail", f"{folder} cannot be written", do)
    elif signed and using.database_url and not using.mark.exists():
        found = f"{using.mark} is not there: {UNMARKED}"
        yield Check("mark", "warn", found, f"{MARK_BACK}; without a mark an older database put back is not noticed")
    elif (
        using.mode == "production"
        and not using.database_url
        and folder.is_dir()
        and folder.stat().st_dev == using.data_dir.stat().st_dev
    ):
        found = f"{using.mark} is on the same file system as the data: a snapshot put back takes both back"
        yield Check("mark", "warn", found, do)
    else:
        yield Check("mark", "ok", str(using.mark))


def _log(connection: Connection, using: Settings, alone: bool) -> Iterator[Check]:
    from gateway.ground.keys import files
    from gateway.log.notes import Signer
    from gateway.log.signed import Frozen, origin, renamed, standing

    try:
        key = Signer(origin(connection, using), files.log_key(using.keys)).verifier
        head, _ = standing(connection, using.mark, key, alone=alone)
    except Frozen as error:
        do = f"{error.do}; where that cannot be done, `aval log restart`; no data is given until then"
        yield Check("log", "fail", f"frozen: {error}", do)
    except Unavailable:
        return  # `_keys` has reported it
    else:
        kept = (
            "; public_url was another host when it began, and it keeps its name" if renamed(connection, using) else ""
        )
        yield Check("log", "ok", f"{head.checkpoint.size} entries signed as {key.name}{kept}")


def _organisations(connection: Connection) -> Iterator[Check]:
    from gateway.organisations import folders, moving, undeclared, views
    from gateway.organisations.tables import LEAVING

    places, taken = undeclared.counts(connection), folders.of(connection)
    for name, status, address in views.addresses(connection):
        if places.get(name):
            times = "1 place" if places[name] == 1 else f"{places[name]} places"
            found = f"sends what its declaration does not know, in {times}"
            yield Check(f"organisation {name}", "warn", found, f"aval organisations drift {name}")
        yield from _folder(name, taken)
        base = urlsplit(address)
        where = (base.hostname or "", base.port or (443 if base.scheme == "https" else 80))
        if status != "active":
            do = moving.AGAIN if status == LEAVING else f"aval organisations resume {name}"
            yield Check(f"organisation {name}", "warn", status, do)
            continue
        if not address:
            yield Check(f"organisation {name}", "ok", f"gives files: aval organisations files {name}")
            continue
        try:
            socket.create_connection(where, REACH_SECONDS).close()
        except OSError as error:
            found = f"{base.scheme}://{base.netloc} cannot be reached: {error.strerror or error}"
            yield Check(f"organisation {name}", "warn", found, "ask the organisation, or correct its declaration")
        else:
            yield Check(f"organisation {name}", "ok", f"answers at {base.scheme}://{base.netloc}")


def _folder(name: str, taken: list[tuple[str, str]]) -> Iterator[Check]:
    """Of an organisation's folder, from which nothing is taken; nothing if it can be."""
    from gateway.organisations import folders

    for path in [path for whose, path in taken if whose == name]:
        others = [
            whose for whose, other in taken if whose != name and os.path.realpath(other) == os.path.realpath(path)
        ]
        if why := folders.unusable(path):
            do = "make it, or correct its rights, where the gateway runs; or correct the declaration"
            yield Check(f"organisation {name}", "warn", f"its folder {path} {why}: no file is taken from it", do)
        elif others:
            found = f"its folder {path} is that of {', '.join(others)} as well: no file is taken from it"
            yield Check(f"organisation {name}", "warn", found, "give each its own")
