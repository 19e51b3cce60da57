"""`aval organisations draft`: a declaration to start from, read from a schema or from samples."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.opening import CANNOT, NO, stop
from gateway.cli.organisations_lint import Policies, read_policies


def draft(
    openapi: Annotated[Path | None, typer.Option(metavar="FILE", help="An OpenAPI description, 3.1 or 3.0.")] = None,
    schema: Annotated[Path | None, typer.Option(metavar="FILE", help="A JSON Schema of one answer.")] = None,
    xsd: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An XML Schema; what it includes stands beside.")
    ] = None,
    sample: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="An answer (JSON, NDJSON, XML, CSV). As often as you like."),
    ] = None,
    csv: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A CSV file with a line of names. As often as you like.")
    ] = None,
    id: Annotated[str, typer.Option(help="The id of the organisation, as in harbour-bank.")] = "",
    name: Annotated[str, typer.Option(help="Its name, as people know it.")] = "",
    sector: Annotated[str, typer.Option(help="Its sector.")] = "",
    only: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="With --openapi: only paths with this in them. Repeatable.")
    ] = None,
    root: Annotated[
        str,
        typer.Option(
            metavar="PLACE", help="With --schema: where an answer begins, '#/$defs/Page'; --xsd: its element."
        ),
    ] = "",
    at: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Where the records stand, if the guess is wrong: data.items; '' outermost."),
    ] = None,
    record: Annotated[str, typer.Option(metavar="NAME", help="What one record is, as PhoneCall.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, not on standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    policies: Policies = None,
) -> None:
    """Write a declaration to start from, out of a schema or of sample answers that you have.

    \b
    aval organisations draft --openapi bank.json --only /accounts --id harbour-bank --out harbour-bank.toml
    aval organisations draft --sample calls-1.json --sample calls-2.json --record PhoneCall --out my-telecom.toml

    Give exactly one kind of source. Kinds of values, times, identifiers, parameters and pages are guessed, and marked
    "# guessed". Texts that only you can write say TO FILL. What a declaration cannot say is told at the end, with its
    place and what to write instead, and so is what to do next.

    Of samples only names and kinds are written, never a value; still, read the names once, for a file may have
    people's names where others have names of members. Nothing is fetched from anywhere: a reference to another address
    is told, and files are opened only in the folder of the one you name.
    """
    from gateway.formats.drafting.drafts import Options, compose
    from gateway.formats.drafting.nodes import Unreadable
    from gateway.formats.drafting.sources import read
    from gateway.formats.drafting.writing import report, toml
    from gateway.organisations.rules import FORM

    given = {"--openapi": openapi, "--schema": schema, "--xsd": xsd, "--sample": sample, "--csv": csv}
    named = [option for option, value in given.items() if value]
    if len(named) != 1:
        stop(f"give one of {', '.join(given)}, not {' and '.join(named) or 'none'}; --help has examples", CANNOT)
    for option, used, goes_with in (("--only", only, ("--openapi",)), ("--root", root, ("--schema", "--xsd"))):
        if used and named[0] not in goes_with:
            stop(f"{option} goes with {' or '.join(goes_with)}, not with {named[0]}", CANNOT)
    if id and not FORM.fits("id", id):
        stop(f"--id: {id!r} is none: 1 to 40 of a-z, 0-9 and -, as in city-energy", CANNOT)
    known = read_policies(policies).sectors
    if sector and sector not in known:
        stop(
            f"--sector: {sector!r} is none of {', '.join(sorted(known))}. A sector of your own is two lines,"
            f' [[sector]] and id = "{sector}", in a file of sectors/ in your folder of policies',
            CANNOT,
        )
    value = given[named[0]]
    paths = value if isinstance(value, list) else [value] if value else []
    if out is not None and out.exists() and (not force or out.resolve() in {path.resolve() for path in paths}):
        stop(
            f"{out}: is there already, and was left as it is; name another file{'' if force else ', or add --force'}",
            NO,
        )
    try:
        reading = read(named[0].removeprefix("--"), paths, only or [], root)
        found = compose(reading, Options(id, sector, name, at, record), str(paths[0]))
    except Unreadable as problem:
        stop(str(problem), NO)
    text = toml(found)
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            with out.open("w" if force else "x", encoding="utf-8") as written:
                written.write(text)
        except OSError as error:
            stop(f"{out}: cannot be written ({error.strerror}); name a file in a folder that is there", CANNOT)
    for line in report(found, str(out or "FILE"), unwritten=out is None):
        typer.echo(line, err=True)
