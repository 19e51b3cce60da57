"""One run of `aval` in this process: what it said, where, and how it ended."""

from pathlib import Path

from typer.testing import CliRunner

from gateway.cli import app

ROOT = Path(__file__).parents[2]
ORGANISATIONS = ROOT / "examples" / "organisations"
APPS = ROOT / "examples" / "apps"


class Aval:
    def __init__(self, *arguments: str | Path, stdin: str = "") -> None:
        done = CliRunner().invoke(app, [str(part) for part in arguments], input=stdin, prog_name="aval")
        self.code, self.out, self.err = done.exit_code, done.stdout, done.stderr
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
