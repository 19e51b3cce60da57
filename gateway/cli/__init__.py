"""The `aval` command, with everything an operator needs.

Commands only parse, ask a room, and print; they decide nothing. Exit codes: 0 done; 1 the answer is no (a check
failed, something was refused); 2 wrong command line or settings, or it could not be done. Faults go to standard error,
one clear line each: where, what is wrong, what would be right.

The one invariant: no secret is taken from a command line, which everybody on the machine can read, and none is printed
but a new one, once.
"""

import signal
from typing import Annotated

import typer

from gateway import __version__
from gateway.cli import apps, keys, log, migrating, organisations, people, store
from gateway.cli.backup import backup
from gateway.cli.compiling import compile_
from gateway.cli.demo import demo
from gateway.cli.demo_prepare import demo_prepare
from gateway.cli.doctor import doctor
from gateway.cli.reference import reference
from gateway.cli.serve import serve
from gateway.cli.settings import show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, which could contain a secret
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aval {__version__}")
        raise typer.Exit


@app.callback()
def aval(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Aval: a person agrees, an app reads exactly that, the person sees it and stops it.

    \b
    aval demo                                        everything on one machine, to look at
    aval serve                                       run the gateway
    aval organisations add examples/organisations/*.toml
    aval apps add examples/apps/*.toml
    aval doctor                                      what stands in the way, and what to do
    aval log verify                                  check the whole access log, offline
    aval backup FILE                                 a copy of the database, also while it is served

    Settings come from AVAL_… variables over the TOML file named by AVAL_CONFIG: `aval settings` lists them.
    Exit codes: 0 done, 1 the answer is no, 2 it could not be done.
    """


app.command()(demo)
app.command("demo-prepare", hidden=True)(demo_prepare)
app.command()(serve)
app.command()(doctor)
app.command("settings")(show)
app.command("compile")(compile_)
app.command()(reference)
app.command()(migrating.migrate)
app.command()(backup)
app.add_typer(organisations.commands, name="organisations")
app.add_typer(apps.commands, name="apps")
app.add_typer(people.commands, name="people")
app.add_typer(log.commands, name="log")
app.add_typer(keys.commands, name="keys")
app.add_typer(store.commands, name="store")


def main() -> None:
    try:
        app(prog_name="aval")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is done and said: a Ctrl-C ends the rest without a word
