"""`aval people`: accounts that the operator opens, and guardians that the operator appoints."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlmodel import select

from gateway.cli.opening import NO, opened, stop
from gateway.cli.tables import table
from gateway.ground.calendar.instants import local_day
from gateway.settings import LANGUAGES

commands = typer.Typer(no_args_is_help=True, help="People's accounts.", rich_markup_mode=None)


@commands.command()
def add(
    email: Annotated[str, typer.Argument(help="The address to sign in with.")],
    name: Annotated[str, typer.Option(help="As people and guardians read it.")],
    birth_date: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Decides who is under age.")] = None,
    guardian: Annotated[str | None, typer.Option(help="Address of who decides for a child.")] = None,
    language: Annotated[str, typer.Option(help="fr or en.")] = "en",
) -> None:
    """Open an account. Asks for a password; nothing is taken from the command line.

    \b
    aval people add alice@example.org --name "Alice Martin"
    aval people add chloe@example.org --name "Chloé Petit" --birth-date 2012-05-17 --guardian alice@example.org
    echo "a long pass phrase" | aval people add bob@example.org --name "Bob Leroy"
    """
    from gateway.people import seeding

    if language not in LANGUAGES:
        stop(f"--language: {language!r} is not known; one of {', '.join(LANGUAGES)}")
    now = datetime.now(UTC)
    with opened(make=True) as house:
        try:
            new = seeding.prepare(
                name=name,
                email=email,
                password=_password(),
                today=local_day(now, house.settings.zone),
                language=language,
                birth_date=birth_date.date() if birth_date else None,
            )
            with house.store.write() as session:
                seeding.add_person(session, house.log, house.settings, new, now, guardian_email=guardian)
        except ValueError as error:
            stop(str(error), NO)
    typer.echo(f"{email}: added")


def _password() -> str:
    stdin = typer.get_text_stream("stdin")
    if stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return stdin.readline().rstrip("\n")


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the accounts: address, name, language, guardian. No password, no agreement is shown."""
    from gateway.people.tables import Person

    with opened() as house, house.store.read() as session:
        found = list(session.exec(select(Person).order_by(Person.email)))
        addresses = {person.id: person.email for person in found}
        rows = [
            {
                "email": person.email,
                "name": person.name,
                "language": person.language,
                "guardian": addresses.get(person.guardian_id or "", ""),
                "since": local_day(person.created_at, house.settings.zone).isoformat(),
                "closed": person.closed_at is not None,
            }
            for person in found
        ]
    table(rows, as_json, "Nobody yet: aval people add ADDRESS --name NAME")


@commands.command()
def guardian(
    child: Annotated[str, typer.Argument(help="Address of the child's account.")],
    by: Annotated[str, typer.Option("--by", help="Address of the guardian's account; empty: nobody any more.")],
) -> None:
    """Say who decides for a child, or that nobody does any more.

    \b
    aval people guardian chloe@example.org --by alice@example.org
    aval people guardian chloe@example.org --by ""
    """
    from gateway.people import accounts

    with opened() as house, house.store.write() as session:
        young, older = accounts.find(session, child), accounts.find(session, by) if by else None
        if young is None or (by and older is None):
            stop(f"nobody has the address {child if young is None else by}", NO)
        today, majority = local_day(datetime.now(UTC), house.settings.zone), house.settings.majority_age
        refused = accounts.appoint_guardian(session, young, older, today, majority)
        if refused:
            stop(refused, NO)
    typer.echo(f"{child}: {by + ' decides' if by else 'has no guardian any more'}")
