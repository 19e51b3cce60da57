"""`aval apps`: apps that want to use people's data."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlmodel import Session, select

from gateway.cli import changes
from gateway.cli.opening import NO, opened, stop
from gateway.cli.tables import table
from gateway.errors import DeclarationError

if TYPE_CHECKING:
    from gateway.catalogue import Catalogue

commands = typer.Typer(no_args_is_help=True, help="Apps that want to use people's data.", rich_markup_mode=None)
Id = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="As `aval apps list` shows it.")]


@commands.command()
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Declarations (TOML).")],
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Its redirect address, instead of those in the file. May be repeated.")
    ] = None,
) -> None:
    """Register an app, or put a changed declaration in place of the old.

    \b
    aval apps add examples/apps/watt-coach.toml
    aval apps add clear-budget.toml --redirect-uri http://localhost:8412/callback

    What it changes of an app that is there already is printed, key by key.

    An app that proves who it is by a secret (client_secret_basic, client_secret_post) gets it here, once: only its hash
    is kept.
    If a file is wrong, prints all its faults (file, key, what is wrong, what would be right) and ends 1.
    """
    from gateway.apps import declare, signing

    with opened() as house:
        try:
            found = [declare.read(path, redirect_uris=redirect_uri) for path in files]
            with house.store.write() as session:
                made = [_registered(session, house.catalogue, declaration) for declaration in found]
        except DeclarationError as error:
            stop(str(error), NO)
        signing.make_missing(house, datetime.now(UTC))
    for declaration in found:
        for warning in declaration.warnings:
            typer.echo(f"aval: {declaration.file}: {warning}", err=True)
    for told, secret in made:
        typer.echo(told)
        if secret:
            _tell(secret)


def _registered(session: Session, catalogue: "Catalogue", declaration: Any) -> tuple[str, str | None]:
    """(what to tell, the secret if one was made)."""
    from gateway.apps import verbs
    from gateway.apps.tables import App

    row = session.get(App, declaration.client_id)
    before = {**row.metadata_, "verified": row.verified} if row else None
    row, secret = verbs.register(session, catalogue, declaration, datetime.now(UTC))
    after = {**row.metadata_, "verified": row.verified}
    return changes.told(row.client_id, before, after, added="registered"), secret


def _tell(secret: str) -> None:
    typer.echo(f"  client_secret: {secret}\n  (shown this once; keep it where the app keeps its secrets)")


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the apps: client_id, name, operator, how it authenticates, status."""
    from gateway.apps.tables import App

    with opened() as house, house.store.read() as session:
        rows = [
            {
                "client_id": row.client_id,
                "name": row.metadata_["name"][house.settings.default_language],
                "legal_entity": row.metadata_["legal_entity"],
                "authenticates": row.auth_method,
                "verified": row.verified,
                "status": row.status + (f" ({row.status_reason})" if row.status_reason else ""),
            }
            for row in session.exec(select(App).order_by(App.client_id))
        ]
    table(rows, as_json, "No app yet: aval apps add FILE")


@commands.command()
def suspend(app: Id, reason: Annotated[str, typer.Option(help="Why, as people and the app will read it.")]) -> None:
    """Refuse every request of an app until `resume`. What people agreed to stays.

    \b
    aval apps suspend watt-coach --reason "Its privacy policy is being checked."
    """
    from gateway.apps import verbs

    with opened() as house, house.store.write() as session:
        verbs.suspend(session, app, reason, datetime.now(UTC))
    typer.echo(f"{app}: suspended")


@commands.command()
def resume(app: Id) -> None:
    """End a suspension."""
    from gateway.apps import verbs

    with opened() as house, house.store.write() as session:
        verbs.resume(session, app, datetime.now(UTC))
    typer.echo(f"{app}: active")


@commands.command("renew-secret")
def renew_secret(app: Id) -> None:
    """Give an app a new secret, shown once. The old one stops working at once."""
    from gateway.apps import verbs

    with opened() as house, house.store.write() as session:
        secret = verbs.renew_secret(session, app, datetime.now(UTC))
    typer.echo(f"{app}:")
    _tell(secret)


@commands.command()
def preview(
    app: Id,
    request: Annotated[Path, typer.Option(metavar="FILE", help="Its authorization_details, as JSON.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the page is written.")],
    lang: Annotated[str, typer.Option(help="Language of the page: en or fr.")] = "en",
) -> None:
    """Write the consent page of a request to a file, to look at.

    It is the page people would see, with an invented person and invented accounts on it.

    \b
    aval apps preview watt-coach --request request.json --lang fr --out page.html

    The request is checked as it would be at the gateway; one that would be refused ends 1 and says which term is wrong.
    """
    from gateway.apps import views
    from gateway.consent.request import InvalidDetails, validate
    from gateway.ground.web.languages import NAMES
    from gateway.organisations.views import directory
    from gateway.screen import preview as screens

    if lang not in NAMES:
        stop(f"--lang {lang}: one of {', '.join(NAMES)}")
    now = datetime.now(UTC)
    with opened() as house, house.store.read() as session:
        found, known = views.find(session, app), directory(session)
        if found is None:
            stop(f"{app}: no such app; `aval apps list` shows them")
        try:
            ask = validate(_details(request), found, known, house.catalogue, house.settings.public_url, now)
        except InvalidDetails as error:
            told = {"asked": error.asked, "allowed": error.allowed}
            more = "".join(f"; {name}: {value}" for name, value in told.items() if value)
            stop(f"{request}: {error.term}: {error.why}{more}", NO)
        html = screens.page(house, session, found, known, ask, lang, now)
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        stop(f"{out}: {error.strerror}")
    typer.echo(f"{out}: written")


def _details(file: Path) -> list[Any]:
    """The authorization_details in a file: a list, or an object that has it as a member, as in a request to /par."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        stop(f"{file}: {error.strerror}")
    except ValueError:
        stop(f"{file}: is not JSON", NO)
    details = read.get("authorization_details") if isinstance(read, dict) else read
    if not isinstance(details, list):
        stop(f"{file}: authorization_details: a list is missing", NO)
    return details
