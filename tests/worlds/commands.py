"""A command of `aval` in the process of the tests."""

from functools import cache

from typer import testing

from gateway.cli import app

testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined] # made anew for every run


def run(arguments: list[str], stdin: str = "") -> testing.Result:
    """What it said on either side, and how it ended. Raises what it raised, if that is no way to end."""
    done = testing.CliRunner().invoke(app, arguments, input=stdin, prog_name="aval")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done
