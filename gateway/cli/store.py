"""`aval store`: moving a gateway's database."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli.opening import CANNOT, NO, settings, stop, where
from gateway.errors import Unavailable
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.ground.store.copying import Side, StoreCopy

commands = typer.Typer(no_args_is_help=True, help="The database.", rich_markup_mode=None)

POSTGRES = ("postgresql://", "postgres://")
SAY_SECONDS = 1.5


@dataclass(frozen=True)
class StoreCopied:
    tables: int
    rows: int
    root: str | None  # base64, as in checkpoints; None: nothing was signed yet
    size: int
    unchecked: str  # why signatures were not checked; empty: they were
    resumed: bool
    already: bool  # nothing was written: the target was this copy
    seconds: float


@commands.command()
def copy(
    source: Annotated[str, typer.Option("--from", help="Data folder, or postgresql:// address, to copy.")],
    target: Annotated[str, typer.Option("--to", help="Data folder, or postgresql:// address, to copy into.")],
    source_password: Annotated[
        Path | None, typer.Option("--from-password-file", help="File with the password for the address in --from.")
    ] = None,
    target_password: Annotated[
        Path | None, typer.Option("--to-password-file", help="File with the password for the address in --to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Move a stopped gateway's database into an empty one, of the same engine or the other.

    \b
    aval store copy --from /var/lib/aval --to postgresql://aval@db.example/aval --to-password-file /etc/aval/db
    aval store copy --from postgresql://aval@db.example/aval --to ./laptop      and back, into a folder

    Stop every gateway on both first. The target's schema is made here; where it is PostgreSQL, name an empty database
    and the server itself, past any pooler. How far it is goes to standard error. Interrupted at any moment, the same
    command goes on where it stopped; until the copy is done, no gateway serves its target, and the source is never
    changed.

    Before it says done, every table is read on both sides and must be the same, and the access log is checked with its
    signatures. Keys and mark are no part of the database and stay where they are: AVAL_KEYS_DIR and AVAL_MARK_FILE.

    Ends 0 when the copy is done, 1 when it was refused or is not the same, 2 when it could not be made.
    """
    from gateway.ground.store.copying_rows import NotCopied
    from gateway.log import verify

    began, using = time.monotonic(), settings()
    from_, to = _named(using, source, source_password, "--from"), _named(using, target, target_password, "--to")
    if where(from_) == where(to):
        stop("--from and --to name the same database")
    keys = next((end for end in (from_, to) if not end.database_url and (end.keys / "log.pem").exists()), using)
    try:
        with (
            _said_of("--from", _claimed_source(from_)) as reading,
            _said_of("--to", _claimed_target(to)) as writing,
            Progress() as progress,
        ):
            copying, already = _copied(reading, writing, progress)
            report, root = _checked(keys, copying, progress)
            if _known(reading) != copying.known:  # one that was about to serve when the copy began
                raise NotCopied(f"{where(from_)}: a gateway has written to it meanwhile; stop it, and copy anew")
            if not already:
                progress.told("putting back what was set aside", 0)
                copying.end()
    except NotCopied as error:
        stop(str(error), NO)
    except Unavailable as error:
        stop(error.detail)
    except Exception as error:
        _interrupted(error)
    except KeyboardInterrupt:
        stop("interrupted; run the same command again: it goes on there", CANNOT)
    seconds = round(time.monotonic() - began, 1)
    keyless = f"signatures not checked: no keys in {keys.keys}"
    unchecked = keyless if verify.public_key(keys.keys, "log") is None else ""
    done = StoreCopied(
        len(copying.tables), copying.rows, root, report.signed, unchecked, copying.resumed, already, seconds
    )
    typer.echo(json.dumps(asdict(done)) if as_json else _told(done, keys, from_, to))


def _copied(reading: "Side", writing: "Side", progress: "Progress") -> "tuple[StoreCopy, bool]":
    """The copy, made and compared; and whether the target was that copy already: killed after its last step, the
    command is run again, too."""
    from gateway import schema
    from gateway.ground.store.copying import StoreCopy
    from gateway.ground.store.copying_rows import NotCopied

    known = _known(reading)
    copying = StoreCopy(reading, writing, schema.metadata, known, progress.told)
    try:
        copying.begin()
    except NotCopied:
        if copying.resumed or _known(writing) != known:
            raise
        with contextlib.suppress(NotCopied):
            copying.compare()
            return copying, True
        raise
    copying.copy()
    copying.compare()
    return copying, False


def _known(side: "Side") -> str:
    """Whose log it is, and how far it goes: a gateway that went on has another."""
    from gateway.log import record

    return record.how_far(side.connection)


def _checked(keys: Settings, copying: "StoreCopy", progress: "Progress") -> tuple[Any, str | None]:
    """The report on the target's log, which is whole and signed as far as the source's, and its root. `keys`: where the
    log's key and mark are. Raises NotCopied."""
    from gateway.ground.store.copying_rows import NotCopied
    from gateway.log import mark, record, verify
    from gateway.log.notes import encode64
    from gateway.log.signed import origin

    progress.told("checking the log", 0)
    rows = [record.last_tree(side.connection) for side in (copying.source, copying.target)]
    connection = copying.target.connection
    name = origin(connection, keys)
    try:
        marked: Any = mark.read(keys.mark)
    except (mark.BadMark, OSError):
        marked = None
    if marked is None or marked.log != name:
        marked = "elsewhere"
    key = verify.public_key(keys.keys, name)
    if key is not None and verify.of_another(connection, key):
        raise NotCopied(
            f"{keys.keys / 'log.pem'}: the key of another gateway, not of the one whose log this is; "
            "name this one's folder in AVAL_KEYS_DIR, and run the same command again"
        )
    report = verify.check(connection, key=key, opener=None, marked=marked)
    if not report.whole:
        raise NotCopied(
            f"the log of the copy is not whole: {report.findings[0].what}; ask `aval log verify` of the source"
        )
    size, root = rows[0] or (0, None)
    if rows[0] != rows[1] or report.signed != size:
        raise NotCopied(f"the log of the copy is signed up to {report.signed}, and the source's up to {size}")
    return report, encode64(root) if root else None


# ---- the two ends


def _named(using: Settings, end: str, password: Path | None, option: str) -> Settings:
    """The settings of a gateway whose database is there."""
    from gateway.ground.store.postgres.address import BadAddress, parameters

    if not end.startswith(POSTGRES):
        if "://" in end or not end:
            stop(f"{option}: write a folder, or postgresql://user@host/name")
        if password is not None:
            stop(f"{option}-password-file: only an address has a password; {option} is a folder")
        folder = Path(end)
        another = folder.resolve() != using.data_dir.resolve() and (folder / "keys").is_dir()
        given = {"keys_dir": None, "mark_file": None} if another else {}
        return using.model_copy(update={"data_dir": folder, "database_url": "", **given})
    try:
        if parameters(end).get("password"):
            stop(f"{option}: everybody on this machine can read a command line; {option}-password-file FILE instead")
        parameters(end, password)
    except BadAddress as error:
        stop(f"{option}: {error}")
    except OSError as error:
        stop(f"{password}: cannot be read ({error.strerror})")
    return using.model_copy(update={"database_url": end, "database_password_file": password, "database_direct_url": ""})


@contextlib.contextmanager
def _claimed_source(using: Settings) -> "Iterator[Side]":
    from gateway.ground.store import migrate

    found = migrate.current(using)
    if found is None:
        raise Unavailable(f"{where(using)}: no gateway has its data there")
    if found != migrate.HEAD:
        raise Unavailable(f"{where(using)}: schema {found}, this version copies {migrate.HEAD}: aval migrate")
    with contextlib.closing(_side(using)) as side:
        side.claim()
        yield side


@contextlib.contextmanager
def _claimed_target(using: Settings) -> "Iterator[Side]":
    """Claimed before it is migrated, where there is something to claim."""
    from gateway.ground.store import migrate

    if not using.database_url and not using.database.exists():
        migrate.upgrade(using)
    with contextlib.closing(_side(using)) as side:
        with contextlib.suppress(migrate.Unfinished):  # it goes on there
            migrate.current(using)  # before a claim, which is made in what is ours only
        side.claim()
        if not side.holds("storecopy"):
            migrate.upgrade(using)
        yield side


@contextlib.contextmanager
def _said_of(option: str, opening: "contextlib.AbstractContextManager[Side]") -> "Iterator[Side]":
    """What keeps it from being opened is said with the options of this command."""
    from gateway.ground.store.postgres import faults

    with contextlib.ExitStack() as stack:
        try:
            side = stack.enter_context(opening)
        except Unavailable as error:
            raise Unavailable(faults.for_option(error.detail, option)) from error
        yield side


def _side(using: Settings) -> "Side":
    from gateway.ground.store.copying_postgres import UNLIMITED, PostgresSide
    from gateway.ground.store.copying_sqlite import SqliteSide
    from gateway.ground.store.postgres.address import parameters
    from gateway.ground.store.sqlite.engine import SqliteStore

    if not using.database_url:
        return SqliteSide(SqliteStore(using.database))
    return PostgresSide(where(using), parameters(using.database_url, using.database_password_file, **UNLIMITED))


# ---- what is said


class Progress:
    """Says every second or two what is done, how many rows of it, and how fast; from a thread of its own, because one
    statement may take long. A copy that is over before says nothing."""

    def __init__(self) -> None:
        self._what, self._rows, self._new, self._began = "looking at both ends", 0, 0, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def told(self, what: str, rows: int) -> None:
        """`rows` more of it. The first time it is told, these were done before."""
        if what != self._what:
            self._what, self._rows, self._new, self._began = what, rows, 0, time.monotonic()
        else:
            self._rows += rows
            self._new += rows

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAY_SECONDS):
            seconds = time.monotonic() - self._began
            count = f": {self._rows:,} rows, {self._new / seconds:,.0f} rows/s" if self._rows else f": {seconds:.0f} s"
            print(f"{self._what}{count}", file=sys.stderr, flush=True)


def _told(done: StoreCopied, keys: Settings, from_: Settings, to: Settings) -> str:
    log = f"root {done.root} of size {done.size} the same" if done.root else "all the same; nothing was signed yet"
    lines = [f"done: {done.tables} tables, {done.rows} rows, {log}"]
    if done.unchecked:
        lines.append(f"{done.unchecked}; `aval log verify` checks them where the keys are")
    if done.already:
        lines.append(f"{where(to)} was this copy already; nothing was written")
    if to.database_url:
        lines.append("next: set AVAL_DATABASE_URL to this address (AVAL_DATABASE_PASSWORD_FILE to the password's file)")
    else:
        lines.append(f"next: export AVAL_DATA_DIR={to.data_dir} without AVAL_DATABASE_URL")
    found = (keys.keys / "log.pem").exists()
    these = f"AVAL_KEYS_DIR={keys.keys} AVAL_MARK_FILE={keys.mark}" if found else "AVAL_KEYS_DIR and AVAL_MARK_FILE"
    lines.append(f"keys and mark stay where they are: {these}")
    lines.append(f"keep {where(from_)} until `aval log verify` finds the copy whole; never serve both")
    return "\n".join(lines)


def _interrupted(error: Exception) -> NoReturn:
    """A database that could not do it now; what is wrong with the program itself is not hidden."""
    from gateway.ground.store.contract import name_of
    from gateway.ground.store.copying import FAULTS

    if not isinstance(error, FAULTS):
        raise error
    stop(f"the database could not go on ({name_of(error)}); run the same command again: it goes on there", CANNOT)
