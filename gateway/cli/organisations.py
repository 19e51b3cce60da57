"""`aval organisations`: organisations that hold people's data."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session, select

from gateway.cli import changes, organisations_lint, organisations_try
from gateway.cli.opening import NO, opened, stop
from gateway.cli.organisations_draft import draft
from gateway.cli.organisations_files import files, import_
from gateway.cli.tables import table
from gateway.errors import DeclarationError, NotFound
from gateway.house import House

commands = typer.Typer(no_args_is_help=True, help="Organisations that hold people's data.", rich_markup_mode=None)
commands.command("lint", short_help="Tell what is wrong with a declaration, and what is risky.")(
    organisations_lint.lint
)
commands.command("try", short_help="Show what an app would get of a sample answer, and why.")(organisations_try.try_)
Id = Annotated[str, typer.Argument(help="Its id, as `aval organisations list` shows it.")]

commands.command()(draft)
commands.command("import")(import_)
commands.command()(files)


@commands.command()
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Declarations (TOML).")],
    base_url: Annotated[str | None, typer.Option(help="Its address, instead of the one in the file.")] = None,
    moved: Annotated[
        bool | None,
        typer.Option(
            "--moved/--replaced",
            help="If the address has changed: it is still the same organisation, and links stay;"
            " or another one, and links end.",
        ),
    ] = None,
    wider: Annotated[
        bool,
        typer.Option(
            "--wider", help="If fields give more members than before: their words say so, and agreements give them."
        ),
    ] = False,
) -> None:
    """Put a declaration into force, or a changed one in place of the old.

    \b
    aval organisations add examples/organisations/city-energy.toml
    aval organisations add city-energy.toml --base-url http://localhost:8401
    aval organisations add city-energy.toml --moved

    What it changes of an organisation that is there already is printed, key by key.

    If a file is wrong, prints all its faults (file, key, what is wrong, what would be right) and ends 1.

    While anybody is linked, an address with another scheme, host or port is refused until you say whether the
    organisation has moved or was replaced: credentials from the old address must not go to another organisation.
    If it was replaced, people read in their logs that the service ended their links, and may link again. Until all
    have ended no call goes to it, as in a suspension; if the command is broken off, give it again.

    While anybody is linked, a field that gives members which it did not is refused until you say --wider: people
    agreed to its words, and only you can tell whether those say the new member, too, or it is one with a new name.
    """
    from gateway.organisations import declare

    with opened(make=True) as house:
        try:
            found = [declare.read(path, house.catalogue, base_url=base_url) for path in files]
            if moved is False:
                for declaration in found:
                    declare.leave(house, declaration, partial(_leaving, declaration.id))
            with house.store.write() as session:
                made = [_added(session, house, declaration, moved, wider) for declaration in found]
        except DeclarationError as error:
            stop(str(error), NO)
    for told in made:
        typer.echo(told)
    for declaration in found:
        _tell_of_folder(declaration.document)


def _tell_of_folder(document: Mapping[str, Any]) -> None:
    from gateway.organisations import folders

    folder = document["connection"].get("files", {}).get("folder", "")
    if folder and (why := folders.unusable(folder)):
        told = (
            f"{document['id']}: its folder {folder} {why}: until it is right where the gateway runs, no file is taken"
        )
        typer.echo(told, err=True)


def _leaving(organisation: str, done: int, people: int) -> None:
    typer.echo(f"{organisation}: links ended of {done} of {people} people", err=True)


def _added(session: Session, house: House, declaration: Any, moved: bool | None, wider: bool) -> str:
    """What to tell, once it is kept."""
    from gateway.organisations import declare
    from gateway.organisations.connections import SECRETS
    from gateway.organisations.tables import Organisation

    row = session.get(Organisation, declaration.id)
    before, status = (dict(row.declaration), row.status) if row else (None, "")
    secrets = declare.secrets(session, house.keys, declaration.id)
    outcome = declare.add(session, house, declaration, datetime.now(UTC), moved=moved, wider=wider)
    others = [place for place, secret in declaration.secrets.items() if secrets.get(place) != secret]
    otherwise = [f"connection.{place}.{SECRETS[place]}: another one" for place in others]
    if row is not None and row.status != status and before == declaration.document:  # one that had been broken off
        otherwise.append(f"status: {status} → {row.status}")
    return changes.told(declaration.id, before, declaration.document, added=outcome, otherwise=otherwise)


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the organisations: id, sector, status, types of data, address, and in how many places their answers hold
    what their declarations do not know. `show` has the paths, `drift` the places."""
    from gateway.ground.store import raw
    from gateway.organisations import undeclared
    from gateway.organisations.tables import Organisation

    with opened() as house, house.store.read() as session:
        places = undeclared.counts(raw(session))
        rows = [
            {
                "id": row.id,
                "sector": row.declaration["sector"],
                "status": row.status + (f" ({row.status_reason})" if row.status_reason else ""),
                "datasets": [dataset["id"] for dataset in row.declaration["datasets"]],
                "base_url": row.declaration["connection"].get("base_url", "(files)"),
                "undeclared": places.get(row.id, 0),
            }
            for row in session.exec(select(Organisation).order_by(Organisation.id))
        ]
    table(rows, as_json, "No organisation yet: aval organisations add FILE")


@commands.command()
def show(
    organisation: Id, as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON list.")] = False
) -> None:
    """Show the addresses at which apps read from an organisation, by type of data.

    \b
    aval organisations show harbour-bank

    "first" marks where an app can begin: that address needs nothing that an answer tells. {account} is one of the
    account references of the app's token response; other words in braces are ids that answers hold. Every call needs
    an access token that carries the type of data.
    """
    from gateway.organisations import views

    with opened() as house, house.store.read() as session:
        found = views.view(session, organisation)
        if found is None:
            raise NotFound(organisation)
        source = views.source(found, house)
        base = source.gateway_url
        called = {name: paths or _of_format(source, name) for name, paths in found.datasets.items()}
    rows = [row for name, paths in called.items() for row in _addresses(name, base, paths)]
    if not as_json:
        rows = [{**row, "first": "first" if row["first"] else ""} for row in rows]
    table(rows, as_json, "It holds no data.")


def _of_format(source: Any, dataset: str) -> Sequence[str]:
    """The paths of a type of data, where the declaration names none: all that its format has."""
    from gateway.formats import registry

    name = registry.form_of(source, dataset)
    return () if name is None else registry.form(source, name).call_paths(dataset)


def _addresses(dataset: str, base: str, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The gateway writes the person's own subscription in that place, whatever stands there."""
    called = [path.replace("{subscription}", "mine") for path in paths]
    first = next((path for path in called if "{" not in path and "…" not in path), None)
    for path in called:
        yield {"type of data": dataset, "first": path == first, "address": base + path}


@commands.command()
def suspend(
    organisation: Id, reason: Annotated[str, typer.Option(help="Why, as people and apps will read it.")]
) -> None:
    """Let nothing through from this organisation until `resume`. Links and agreements stay.

    \b
    aval organisations suspend city-energy --reason "Its certificate has expired."
    """
    from gateway.organisations import declare

    with opened() as house, _not_leaving(organisation), house.store.write() as session:
        declare.suspend(session, organisation, reason, datetime.now(UTC))
    typer.echo(f"{organisation}: suspended")


@commands.command()
def resume(organisation: Id) -> None:
    """End a suspension."""
    from gateway.organisations import declare

    with opened() as house, _not_leaving(organisation), house.store.write() as session:
        declare.resume(session, organisation, datetime.now(UTC))
    typer.echo(f"{organisation}: active")


@commands.command()
def drift(
    organisation: Annotated[str | None, typer.Argument(help="One of them; else all.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Begin to count anew, when the declaration was changed.")
    ] = False,
    letter: Annotated[
        bool, typer.Option("--letter", help="A message about it to the organisation's contact, in French and English.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """List what organisations send that their declarations do not know: what changed since somebody wrote them.

    \b
    aval organisations drift
    aval organisations drift harbour-bank
    aval organisations drift harbour-bank --letter
    aval organisations drift harbour-bank --forget

    It never leaves, whatever it is; where another type stands than is declared, or nothing by which a record can be
    judged, the whole answer is refused. Each place is a path of member names, with the number of answers in which it
    stood, and since when; never a value, and "…" in place of a name that could be one. Add the member that is proposed
    to its line of [format.shapes]: as it stands it is given to nobody, and not told any more. To give it to apps, write
    the word for what it is in place of -, and name the member in a field.
    """
    from gateway.organisations import letters, undeclared, views

    with opened() as house:
        if letter and organisation is None:
            stop("--letter: to which organisation?")
        if forget:
            if organisation is None:
                stop("--forget: of which organisation?")
            with house.store.write() as session:
                count = undeclared.forget(session, organisation)
                typer.echo(f"{organisation}: {count} {'place' if count == 1 else 'places'} forgotten")
            return
        with house.store.read() as session:
            known = views.directory(session)
            if organisation is not None and organisation not in known:
                raise NotFound(organisation)
            found = undeclared.all_of(session, organisation)
            if letter and found and organisation is not None:
                typer.echo(letters.letter(known[organisation], found), nl=False)
                return
            rows = [
                {
                    "organisation": row.organisation_id,
                    "type of data": row.dataset,
                    "place": row.place,
                    "then": "the answer is refused" if row.refused else "it is left out",
                    "answers": row.answers,
                    "since": f"{row.first_at:%Y-%m-%d %H:%M}",
                    "last": f"{row.last_at:%Y-%m-%d %H:%M}",
                    "line to add": undeclared.proposed(known.get(row.organisation_id), house.catalogue, row),
                }
                for row in found
            ]
    if not as_json:
        rows = [{**row, "line to add": undeclared.said(str(row["line to add"]))} for row in rows]
    table(rows, as_json, "Every organisation sends what its declaration says, and nothing else.")


@contextlib.contextmanager
def _not_leaving(organisation: str) -> Iterator[None]:
    from gateway.organisations import declare

    try:
        yield
    except declare.IsLeaving as error:
        stop(f"{organisation}: {error}", NO)
