"""What `--help` teaches, word for word: the golden text is what the README and people's scripts rely on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import typer
from cli_run import Aval

from gateway import __version__
from gateway.cli import app

GOLDEN = Path(__file__).parent / "help.golden.txt"


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from commands(inner, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_help_is_the_golden_text(aval: Callable[..., Aval]) -> None:
    """`GOLDEN=1 pytest tests/cli/test_help.py` writes it anew; review the difference like code."""
    told = "".join(f"$ aval {' '.join((*path, '--help'))}\n{aval(*path, '--help').out}\n" for path in ALL)
    if os.environ.get("GOLDEN"):
        GOLDEN.write_text(told, encoding="utf-8")
    assert told == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in ALL if path], ids=" ".join)
def test_every_command_says_what_it_does_and_every_option_what_it_is_for(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help and len(command.help) > 10
    for parameter in command.params:
        if isinstance(parameter, click.Option) or parameter.param_type_name == "option":
            assert getattr(parameter, "help", ""), f"{path}: {parameter.name}"


def test_the_version_is_the_packages(aval: Callable[..., Aval]) -> None:
    assert aval("--version").out == f"aval {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["log", "verify", "--nonsense"], ["people", "add"], ["serve", "x"]]
)
def test_a_wrong_command_line_ends_2_and_speaks_on_standard_error(
    aval: Callable[..., Aval], arguments: list[str]
) -> None:
    done = aval(*arguments)
    assert done.code == 2 and done.err and not done.out
