"""`aval demo`: the whole story on one machine, in the browser or told by the terminal."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import demo_setup
from gateway.cli.demo_story import tell


def demo(
    story: Annotated[
        bool, typer.Option("--story", help="Run it without a browser; print and verify each step.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --story: one JSON object per step.")] = False,
    folder: Annotated[Path, typer.Option("--dir", help="Where the demo keeps its data between starts.")] = Path(
        ".demo"
    ),
    port: Annotated[int, typer.Option(help="The gateway's port; the others follow it. 0: any free ones.")] = 8400,
) -> None:
    """Start the gateway, three example organisations and two example apps, with data for four people.

    \b
    aval demo                          then open the address it prints
    aval demo --story                  the same story without a browser, each step verified
    aval demo --story --port 0 --json  for machines; ends 0, or names the step that failed
    """
    prepared = demo_setup.prepare(folder, port)
    if story:
        raise typer.Exit(tell(prepared, as_json))
    try:
        demo_setup.start(prepared, lambda line: typer.echo(f"  {line}"))
    except RuntimeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    _print_tour(prepared)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    unfollow = [demo_setup.codes(prepared, name) for name in ("harbour-bank", "meadow-health")]
    try:
        while not ended.wait(1):
            for name, process in prepared.processes.items():
                if process.poll() is not None:
                    typer.echo(f"{name} has ended; see {prepared.folder / (name + '.log')}", err=True)
                    raise typer.Exit(1)
    finally:
        for each in unfollow:
            each()
        demo_setup.stop(prepared)
    typer.echo("Stopped. The data is kept for the next start.")


def _print_tour(prepared: demo_setup.Demo) -> None:
    typer.echo(
        f"""
Open {prepared.url("watt-coach")}      Watt Coach: advice on using less energy
  or {prepared.url("clear-budget")}      Clear Budget: bank and health refunds in one picture
 and {prepared.url("gateway")}      Aval: what you share, who read it, how to stop it

Sign in as     alice@example.org, bob@example.org, germaine@example.org or chloe@example.org (under age)
Password       {demo_setup.PASSWORD}

The first time, an organisation asks who you are there:
  City Energy    Alice is CE-1001 (its own password: {demo_setup.PASSWORD})
  Harbour Bank   Alice is HB-2001; the code it sends appears here, and at {prepared.url("harbour-bank")}/inbox/HB-2001
  Meadow Health  Alice is MH-3001; the code it sends appears here, and at {prepared.url("meadow-health")}/inbox/MH-3001

Ctrl-C stops everything. The data stays in {prepared.folder}."""
    )
