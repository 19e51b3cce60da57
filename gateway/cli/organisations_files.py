"""`aval organisations import` and `files`: what organisations without an API give instead."""

from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from gateway.cli.opening import NO, opened, stop
from gateway.cli.tables import table
from gateway.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from gateway.ground.store import Store
    from gateway.house import House
    from gateway.organisations.files import Imported
    from gateway.organisations.given_files import GivenFile
    from gateway.organisations.views import OrganisationView

Id = Annotated[str, typer.Argument(help="Its id, as `aval organisations list` shows it.")]
TOLD_EVERY = 50_000  # records


def import_(
    organisation: Id,
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]…", help="Files of records.")] = None,
    call: Annotated[str, typer.Option(help="The call whose records they are; else their names say it.")] = "",
    codes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV with the line customer,code: by which people link.")
    ] = None,
    sha256: Annotated[str, typer.Option(help="Of the one file: 64 digits. Else of FILE.sha256, if it is there.")] = "",
) -> None:
    """Take in files of an organisation that has no API.

    \b
    aval organisations import axiome calls-2026-11.csv
    aval organisations import axiome export.ndjson --call calls --sha256 9f86d081…
    aval organisations import axiome --codes codes.csv

    A file is read to its end first. It takes the place of the call's earlier one whole, in one moment; if anything is
    wrong with it, the earlier one stays, what is wrong is told, and the command ends 1. It is kept encrypted, by
    customer, for as long as the declaration says. Nothing of it is printed.
    """
    if not paths and codes is None:
        stop("name a file of records, or --codes FILE")
    if sha256 and len(paths or []) + (codes is not None) != 1:
        stop("--sha256: of one file; give one at a time")
    with opened() as house:
        view = _found(house.store, organisation)
        for path in paths or []:
            _tell(house, view, path, partial(_records, house, view, path, call, sha256))
        if codes is not None:
            _tell(house, view, codes, partial(_codes, house, view, codes, sha256))


def _found(store: "Store", organisation: str) -> "OrganisationView":
    from gateway.organisations import views
    from gateway.organisations.file_rules import KIND

    with store.read() as session:
        view = views.view(session, organisation)
    if view is None:
        raise NotFound(organisation)
    if view.kind != KIND:
        stop(f'{organisation} has an API and gives no files: its declaration says kind = "{view.kind}"')
    return view


def _tell(house: "House", view: "OrganisationView", path: Path, bring: Callable[[], "Imported"]) -> None:
    from gateway.organisations import files

    try:
        done = bring()
    except files.BadFile as wrong:
        stop(f"{path}: {wrong}\nwhat was imported before stays", NO)
    except Unavailable as error:
        stop(f"{path}: {error}\nwhat was imported before stays; give it again when the database can be written", NO)
    if house.undeclared is not None:
        house.undeclared.write(house.store)
    typer.echo(files.told(view.id, done))
    typer.echo(f"SHA-256 {done.sha256}")


def _records(house: "House", view: "OrganisationView", path: Path, call: str, sha256: str) -> "Imported":
    from gateway.organisations import files, given_files

    with given_files.opened(path) as file:
        named, call = bool(call), call or _by_name(view, path.name)
        if view.form is None or call not in view.form.calls:
            known = ", ".join(view.form.calls) if view.form is not None else "none"
            wrong = f"--call {call}: there is no such call" if named else "no call has files of this name: say --call"
            raise files.BadFile(f"{wrong}, one of {known}")
        return files.bring(house, view, call, _given(view, file, path, sha256), datetime.now(UTC), _progress(path))


def _by_name(view: "OrganisationView", name: str) -> str:
    names = view.files.names if view.files is not None else ()
    return next((each.call for each in names if fnmatchcase(name, each.pattern)), "")


def _codes(house: "House", view: "OrganisationView", path: Path, sha256: str) -> "Imported":
    from gateway.organisations import file_codes, given_files

    with given_files.opened(path) as file:
        return file_codes.bring(house, view, _given(view, file, path, sha256), datetime.now(UTC))


def _given(view: "OrganisationView", file: IO[bytes], path: Path, sha256: str) -> "GivenFile":
    from gateway.organisations import given_files

    expected = given_files.checksum(sha256) if sha256 else given_files.beside(str(path))
    return given_files.GivenFile(file, expected, view.files.most_bytes if view.files is not None else 0)


def _progress(path: Path) -> Callable[[int, int], None]:
    def told(records: int, size: int) -> None:
        if records % TOLD_EVERY == 0:
            typer.echo(f"{path.name}: {records} records, {size} bytes read", err=True)

    return told


def files(
    organisation: Id, as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON list.")] = False
) -> None:
    """List the files that are kept of an organisation: which call, since when, how much, until when.

    \b
    aval organisations files axiome
    """
    from gateway.organisations import file_codes
    from gateway.organisations import files as kept

    with opened() as house:
        view, now = _found(house.store, organisation), datetime.now(UTC)
        with house.store.read() as session:
            rows = [
                {
                    "call": row.call,
                    "imported": f"{row.at:%Y-%m-%d %H:%M}",
                    "records": row.records,
                    "customers": row.customers,
                    "kept until": f"{row.until:%Y-%m-%d %H:%M}",
                    "bytes": row.size,
                    "sha256": row.sha256,
                }
                for row in kept.all_of(session, view.id, now)
            ]
            codes = file_codes.count(session, view.id, now)
    table(rows, as_json, f"No file: aval organisations import {organisation} FILE")
    if not as_json:
        typer.echo(f"{codes} {'code' if codes == 1 else 'codes'} that nobody has used")
