"""`aval apps`: apps that want to use people's data."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlmodel import Session, select

from gateway.cli import changes
from gateway.cli.opening import NO, opened, stop
from gateway.cli.tables import table
from gateway.errors import DeclarationError

if TYPE_CHECKING:
    from gateway.house import House

commands = typer.Typer(no_args_is_help=True, help="Apps that want to use people's data.", rich_markup_mode=None)
_SHOWN = 12  # characters of the hash of an initial access token by which it is called
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
    from gateway.apps import declare, signing, verbs

    with opened() as house:
        try:
            found = [declare.read(path, redirect_uris=redirect_uri) for path in files]
            with house.store.write() as session:
                made = [_registered(session, house, declaration) for declaration in found]
                warned = [(*one.warnings, *verbs.unknown_recipients(session, one)) for one in found]
        except DeclarationError as error:
            stop(str(error), NO)
        signing.make_missing(house, datetime.now(UTC))
    for declaration, warnings in zip(found, warned, strict=True):
        for warning in warnings:
            typer.echo(f"aval: {declaration.file}: {warning}", err=True)
    for told, secret in made:
        typer.echo(told)
        if secret:
            _tell(secret)


def _registered(session: Session, house: "House", declaration: Any) -> tuple[str, str | None]:
    """(what to tell, the secret if one was made)."""
    from gateway.apps import verbs
    from gateway.apps.tables import App

    row = session.get(App, declaration.client_id)
    before = {**row.metadata_, "verified": row.verified} if row else None
    row, secret = verbs.register(session, house.catalogue, house.settings, declaration, datetime.now(UTC))
    after = {**row.metadata_, "verified": row.verified}
    return changes.told(row.client_id, before, after, added="registered"), secret


def _tell(secret: str) -> None:
    typer.echo(f"  client_secret: {secret}\n  (shown this once; keep it where the app keeps its secrets)")


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the apps: client_id, name, operator, how it came and authenticates, status.

    It came by a file of the operator's, registered itself (dynamic), or its client_id is a document.
    """
    from gateway.apps.tables import App

    with opened() as house, house.store.read() as session:
        rows = [
            {
                "client_id": row.client_id,
                "name": row.metadata_["name"][house.settings.default_language],
                "legal_entity": row.metadata_["legal_entity"],
                "came": row.came_by,
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
def invite(
    uses: Annotated[int, typer.Option(min=1, max=10_000, help="How many apps may register with it.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=366, help="For how long it is good.")] = 7,
    profile: Annotated[str, typer.Option(help="The only client profile they may have.")] = "",
) -> None:
    """Make an initial access token, shown once: whoever has it may register apps by POST /apps (RFC 7591).

    \b
    aval apps invite --uses 5 --days 30 --profile fapi2

    It counts while dynamic_registration is "token". `aval apps invites` lists what was made.
    """
    from gateway.apps import dynamic
    from gateway.apps.profiles import PROFILES
    from gateway.ground.keys import fresh

    if profile and profile not in PROFILES:
        stop(f"--profile {profile}: one of {', '.join(PROFILES)}")
    now, token = datetime.now(UTC), fresh()
    with opened() as house:
        with house.store.write() as session:
            row = dynamic.invite(session, token, profile, uses, now + timedelta(days=days), now)
            name = row.id[:_SHOWN]
        mode = house.settings.dynamic_registration
    typer.echo(f"{name}: initial access token: {token}\n  (shown this once; only its hash is kept)")
    if mode != "token":
        typer.echo(f'aval: dynamic_registration is "{mode}"; it is of use while that is "token"', err=True)


@commands.command()
def invites(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the initial access tokens: name, what is left of each, until when."""
    from gateway.apps import dynamic

    with opened() as house, house.store.read() as session:
        rows = [
            {
                "name": row.id[:_SHOWN],
                "profile": row.profile,
                "uses_left": row.uses_left,
                "until": row.until.date().isoformat(),
                "withdrawn": row.withdrawn_at.date().isoformat() if row.withdrawn_at else "",
            }
            for row in dynamic.invites(session)
        ]
    table(rows, as_json, "No initial access token yet: aval apps invite")


@commands.command()
def withdraw(name: Annotated[str, typer.Argument(metavar="NAME", help="As `aval apps invites` shows it.")]) -> None:
    """Withdraw an initial access token. The apps that registered with it stay: `aval apps suspend` them."""
    from gateway.apps import dynamic

    with opened() as house, house.store.write() as session:
        done = dynamic.withdraw(session, name, datetime.now(UTC)) if len(name) >= _SHOWN else 0
    if not done:
        stop(f"{name}: no such token, or withdrawn before; `aval apps invites` shows them", NO)
    typer.echo(f"{name}: withdrawn")


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
