"""`aval demo`: everything on one machine, for the browser, or as a story told in the terminal."""

import hashlib
import shlex
import signal
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.cli import demo_setup
from gateway.cli.demo_story import tell
from gateway.cli.opening import without_password

DEFAULT_PORT = 8400
_LEAVING = (signal.SIGTERM, signal.SIGHUP)  # asked to end, or the terminal was closed


def demo(
    story: Annotated[
        bool, typer.Option("--story", help="Run it without a browser; print and verify each step.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --story: one JSON object per step.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Where the demo keeps its data between starts. By default .demo, or a folder of its own in there "
            "for the story and for other ports.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="The gateway's port; the others follow it. 0: any free ones.")
    ] = DEFAULT_PORT,
    database_url: Annotated[
        str,
        typer.Option(
            "--database-url",
            help="Keep the gateway's data in this PostgreSQL database: an empty one, or this demo's own of before.",
        ),
    ] = "",
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes of the gateway; more than one needs --database-url.")
    ] = 1,
) -> None:
    """Start the gateway, three example organisations and two example apps, with data for four people.

    \b
    aval demo                          then open the address it prints
    aval demo --story                  the same story without a browser, each step verified
    aval demo --story --port 0 --json  for machines; ends 0, or names the step that failed
    aval demo --database-url postgresql://user@host/name --processes 2

    The password of that database is read from the file that AVAL_DATABASE_PASSWORD_FILE names.
    """
    if processes > 1 and not database_url:
        raise typer.BadParameter("several processes need a PostgreSQL database: name one with --database-url")
    if database_url:
        refuse_password(database_url)
    own = folder or own_folder(story, port, database_url)
    prepared = demo_setup.prepare(own, port, database_url, processes)
    if story:
        raise typer.Exit(tell(prepared, as_json))
    for number in (signal.SIGINT, *_LEAVING):
        signal.signal(number, signal.default_int_handler)
    try:
        _run(prepared)
    except RuntimeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. The data is kept for the next start.")


def _run(prepared: demo_setup.Demo) -> NoReturn:
    """Run until a signal (KeyboardInterrupt) or the end of any process (RuntimeError). Then stop all processes."""
    try:
        demo_setup.start(prepared, lambda line: typer.echo(f"  {line}"))
        _print_tour(prepared)
        for name in ("harbour-bank", "meadow-health"):
            demo_setup.codes(prepared, name)
        while True:
            time.sleep(1)
            for name, process in prepared.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended; see {prepared.folder / (name + '.log')}")
    finally:
        for number in (signal.SIGINT, *_LEAVING):  # a second Ctrl-C must not leave half of them running
            signal.signal(number, signal.SIG_IGN)
        demo_setup.stop(prepared)


def refuse_password(database_url: str) -> None:
    from gateway.ground.store.postgres.address import BadAddress, parameters

    try:
        given = parameters(database_url)
    except BadAddress as error:
        raise typer.BadParameter(f"--database-url: {error}") from None
    if given.get("password"):
        raise typer.BadParameter(
            "--database-url: everybody on this machine can read a command line; leave the password out, and name a file"
            " with it: export AVAL_DATABASE_PASSWORD_FILE=FILE"
        )


def _database(prepared: demo_setup.Demo) -> str:
    if not prepared.database_url:
        return ""
    password = demo_setup.password_file()
    file = f" AVAL_DATABASE_PASSWORD_FILE={shlex.quote(password)}" if password else ""
    return f" AVAL_DATABASE_URL='{without_password(prepared.database_url)}'{file}"


def own_folder(story: bool, port: int, database_url: str = "") -> Path:
    """The folder by default. It depends on the port, so that several demos can run side by side; and on the database,
    whose keys and mark are in it."""
    if database_url:
        return Path(".demo", f"postgresql-{hashlib.sha256(without_password(database_url).encode()).hexdigest()[:8]}")
    if story:
        return Path(".demo", "story")
    return Path(".demo") if port == DEFAULT_PORT else Path(".demo", f"port-{port}")


def _print_tour(prepared: demo_setup.Demo) -> None:
    typer.echo(
        f"""
Open {prepared.url("watt-coach")}      Watt Coach: advice on using less energy
  or {prepared.url("clear-budget")}      Clear Budget: bank and health refunds in one picture
 and {prepared.url("gateway")}      Aval: what you share, who read it, how to stop it

Sign in as     alice@example.org, bob@example.org, germaine@example.org or chloe@example.org (under age)
Password       {demo_setup.PASSWORD}

The first time, an organisation asks who you are there:
  City Energy    Alice is CE-1001 (same password, on its own page)
  Harbour Bank   Alice is HB-2001; the code it sends appears here, and at {prepared.url("harbour-bank")}/inbox/HB-2001
  Meadow Health  Alice is MH-3001; the code it sends appears here, and at {prepared.url("meadow-health")}/inbox/MH-3001
  Bob ends in 2 everywhere (CE-1002, …), Germaine in 3, Chloe in 4; Alice is the guardian of Chloe

For commands beside it, such as `aval apps add`, in another terminal:
  export AVAL_DATA_DIR={prepared.gateway_dir} AVAL_PUBLIC_URL={prepared.url("gateway")}{_database(prepared)}

Ctrl-C stops everything. The data stays in {prepared.folder}."""
    )
