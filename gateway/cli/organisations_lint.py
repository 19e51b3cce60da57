"""`aval organisations lint`: all that is wrong with a declaration, and what is risky in it."""

import json
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.opening import CANNOT, NO, stop

if TYPE_CHECKING:
    from gateway.catalogue import Catalogue
    from gateway.organisations.linting import LintFinding, LintReport

Policies = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", envvar="AVAL_POLICIES_DIR", help="Folder of the policies. Not given: those shipped with Aval."
    ),
]


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Declarations (TOML).")],
    strict: Annotated[bool, typer.Option("--strict", help="End 1 if there are warnings, too.")] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Leave out warnings of this rule, as in [same-words]. Repeatable."),
    ] = None,
    policies: Policies = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """Tell everything that is wrong with a declaration, and what is risky in it.

    \b
    aval organisations lint my-telecom.toml
    aval organisations lint --strict --ignore same-words declarations/*.toml      in a build
    aval organisations lint --json my-telecom.toml                                for an editor

    Errors are what `add` would refuse, the texts of a draft that still say TO FILL among them:

    \b
    my-telecom.toml:14: contact.privacy: is missing; write a mail address

    Warnings are allowed and risky, such as free text in a field that is always given, or accounts that no link would
    know. Each says why it matters, and has the name of its rule in brackets.

    Nothing is opened but the files and the policies: no gateway is needed, and no name is looked up.

    Ends 0 if there are no errors, 1 if there are, 2 if a file cannot be read.
    """
    from gateway.errors import DeclarationError
    from gateway.formats.linting import WHY
    from gateway.organisations.linting import WARNING, lint

    if unknown := sorted(set(ignore or ()) - WHY.keys()):
        stop(f"--ignore {unknown[0]}: there is no such rule; one of {', '.join(WHY)}")
    catalogue = read_policies(policies)
    try:
        reports = [lint(path, catalogue) for path in files]
    except DeclarationError as error:
        stop(str(error), CANNOT)
    kept = [[each for each in report.findings if each.rule not in (ignore or ())] for report in reports]
    if as_json:
        rows = [
            {"file": report.file, **asdict(each)} for report, found in zip(reports, kept, strict=True) for each in found
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for report, found in zip(reports, kept, strict=True):
            _tell(report, found)
    levels = [each.level for found in kept for each in found]
    if any(level != WARNING or strict for level in levels):
        raise typer.Exit(NO)


def read_policies(folder: Path | None) -> "Catalogue":
    """Those of the folder, or as shipped. Stops if they are wrong."""
    from gateway.catalogue import CatalogueError
    from gateway.organisations.linting import policies
    from gateway.settings import shipped_policies

    if folder is not None and not folder.is_dir():
        stop(f"--policies {folder}: is no folder; name one with datasets/, purposes/ and the like")
    try:
        return policies(folder or shipped_policies())
    except CatalogueError as error:
        stop("\n".join(f"policies: {fault}" for fault in error.faults))


def coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _tell(report: "LintReport", found: Sequence["LintFinding"]) -> None:
    from gateway.organisations.linting import ERROR, WARNING

    errors, warnings = ([each for each in found if each.level == level] for level in (ERROR, WARNING))
    for each in errors:
        typer.echo(f"{_place(report, each)}{_red(each.key)}: {_said(each)}")
    if errors and warnings:
        typer.echo()
    told: set[str] = set()
    width = max(60, get_terminal_size().columns)
    for each in warnings:
        typer.echo(f"{_place(report, each)}{_yellow('warning')}: {each.key}: {_said(each)} [{each.rule}]")
        if each.rule not in told:
            typer.echo(textwrap.fill(each.why, width, initial_indent="    ", subsequent_indent="    "))
        told.add(each.rule)
    if found:
        typer.echo()
    typer.echo(f"{report.file}: {_counted(len(errors), 'error')}, {_counted(len(warnings), 'warning')}")
    if report.unseen:
        typer.echo(f"{report.file}: {report.unseen}")


def _place(report: "LintReport", finding: "LintFinding") -> str:
    return f"{report.file}:{finding.line}: "


def _said(finding: "LintFinding") -> str:
    return f"{finding.wrong}; {finding.right}" if finding.right else finding.wrong


def _red(text: str) -> str:
    return typer.style(text, fg="red", bold=True) if coloured() else text


def _yellow(text: str) -> str:
    return typer.style(text, fg="yellow", bold=True) if coloured() else text


def _counted(number: int, of: str) -> str:
    return f"{number or 'no'} {of}{'' if number == 1 else 's'}"
