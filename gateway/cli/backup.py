"""`aval backup`: a copy of the database that can be put back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.log import unproved
from gateway.cli.opening import NO, no_gateway, settings, source, stop, tell_of_demo, where
from gateway.errors import Unavailable
from gateway.ground import disk
from gateway.settings import Settings

OPERATING = 'gateway/docs/operating.md, "Backup, and putting one back", says how'


def backup(
    file: Annotated[Path, typer.Argument(help="Where the copy goes.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Copy an SQLite database, beside a running gateway too, and check the copy.

    \b
    aval backup /backups/aval-monday.sqlite3

    One file, mode 0600, of one moment: everything that was acknowledged before. Its pages and its log's signatures
    are checked before it gets its name. Keys are not in it: back them up apart. After it was put back the log is
    frozen until `aval log restart`, because what came later is missing.

    Ends 1 when the copy was made and its log is not whole, or not proved whole because the log's key cannot be read;
    2 when there is no copy.
    """
    from gateway.ground.store import migrate
    from gateway.ground.store.sqlite import copying

    using, named = settings(), source("data_dir")
    tell_of_demo(using, named)
    if using.database_url:
        stop(f"{where(using)}: is backed up by PostgreSQL itself, by pg_basebackup or pg_dump; {OPERATING}")
    target = file.absolute()
    if target.parent.resolve() == using.data_dir.resolve() and target.name.startswith(using.database.name):
        stop(f"{file}: is the gateway's own; name another file, best on another disk")
    if target.exists() and not force:
        stop(f"{file}: exists already; name another file, or replace it with --force")
    try:
        if migrate.current(using) is None:
            no_gateway(using, named)
        marked = _marked(using)
        made = copying.draft(using.database, target)
        try:
            report = _checked(using, made, marked)
            disk.renamed(made, target)
        except BaseException:
            made.unlink(missing_ok=True)
            raise
    except Unavailable as error:
        stop(error.detail)
    except OSError as error:
        stop(f"{file}: {error.strerror}; no copy was made")
    told = f"{file}: {report.entries + report.waiting} entries of the log"
    if not report.whole:
        stop(f"{told}, NOT whole: {report.findings[0].what}; `aval log verify` shows all", NO)
    if missing := unproved(report):
        stop(f"{told}, not proved whole: {'; '.join(missing)}", NO)
    typer.echo(f"{told}, signed up to {report.signed}, whole")


def _marked(using: Settings) -> Any:
    """The largest tree that was signed before copying. The copy must contain it."""
    from gateway.log import mark

    try:
        return mark.read(using.mark)
    except mark.BadMark as error:
        raise Unavailable(f"{using.mark}: {error}") from error


def _checked(using: Settings, copy: Path, marked: Any) -> Any:
    from gateway.log import verify
    from gateway.log.signed import origin

    connection = verify.open_read_only(copy)
    try:
        return verify.check(
            connection, key=verify.public_key(using.keys, origin(connection, using)), opener=None, marked=marked
        )
    finally:
        connection.close()
