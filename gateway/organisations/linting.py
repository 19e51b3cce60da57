"""Everything that is to be said of a declaration before it is put into force: faults, gaps and risks, with their lines.

It reads one file and the policies, and nothing else: no database, no network, no environment. Of a folder it only looks
whether it is there.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.catalogue import Catalogue, Dataset, Format, shapes
from gateway.errors import DeclarationError, Fault
from gateway.formats import linting, registry
from gateway.formats.linting import TO_FILL, WHY
from gateway.formats.paths import pattern
from gateway.ground.declarations.lines import Lines
from gateway.organisations import declare, folders, gaps, knowing, owned
from gateway.organisations.addresses import Resolve, network_fault
from gateway.organisations.rules import FORM
from gateway.settings import plain_network

ERROR, WARNING = "error", "warning"
_AT_LINE = re.compile(r" \(at (?:line ([0-9]+), column [0-9]+|end of document)\)$")
_IN_SHAPES = re.compile(r"(?:format\.)?shapes\.[^.]+$")
_MEMBER = re.compile(r"(\S+?)(?: is in no field|: )")
_GUESSED = re.compile(r"#\s*guessed\b")


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing to be said. `why`: of a warning, why it matters."""

    level: str
    rule: str
    line: int
    key: str
    wrong: str
    right: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.line}: {self.key}: {self.wrong}" + (f"; {self.right}" if self.right else "")


@dataclass(frozen=True, slots=True)
class LintReport:
    file: str
    findings: tuple[LintFinding, ...]
    unseen: str = ""  # what could not be looked at, and why

    def of(self, level: str) -> list[LintFinding]:
        return [each for each in self.findings if each.level == level]


def lint(path: Path, catalogue: Catalogue) -> LintReport:
    """Errors first, then warnings, each in the order of the file. Raises DeclarationError if it cannot be opened."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DeclarationError(str(path), [Fault("file", f"cannot be read ({error.strerror})")]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        wrong = LintFinding(ERROR, "toml", line, "file", "is not UTF-8", "save it as UTF-8")
        return LintReport(str(path), (wrong,), "the rest is looked at once it can be read")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = [_not_toml(text, str(error)), *_gaps_of_text(text)]
        return LintReport(str(path), tuple(found), "the rest is looked at once the file is TOML")
    return _report(str(path), text, document, catalogue)


def _not_toml(text: str, told: str) -> LintFinding:
    at = _AT_LINE.search(told)
    line = int(at[1]) if at and at[1] else text.count("\n") + 1
    return LintFinding(
        ERROR, "toml", line, "file", f"is not TOML: {_AT_LINE.sub('', told)}", "put this line right first"
    )


def _gaps_of_text(text: str) -> Iterator[LintFinding]:
    for number, line in enumerate(text.splitlines(), 1):
        if TO_FILL in line.partition("#")[0]:
            yield LintFinding(
                ERROR, "to-fill", number, line.partition("=")[0].strip(), f"is still {TO_FILL}", "write it"
            )


def _report(file: str, text: str, document: Mapping[str, Any], catalogue: Catalogue) -> LintReport:
    lines = Lines(text, document)
    errors = [
        _finding(lines, fault) for fault in gaps.told(declare.check(document, catalogue, _looked(document)), document)
    ]
    form, own = owned.read(document)
    unread = form is not None and any(True for _ in shapes.faults(form.shapes))
    risks = [*linting.risks(None if unread else form, own), *knowing.risks(document, catalogue, form, own)]
    warnings = [_warning(lines, document, risk) for risk in risks]
    warnings += _folder(lines, document)
    warnings += [*_uncalled(lines, document, catalogue, None if unread else form, own), *_guesses(text)]
    found = sorted(dict.fromkeys(errors), key=_order) + sorted(dict.fromkeys(warnings), key=_order)
    return LintReport(file, tuple(found), "more may follow once [format.shapes] can be read" if unread else "")


def _order(finding: LintFinding) -> tuple[int, str]:
    return finding.line, finding.key


# ---- errors


def _finding(lines: Lines, fault: Fault) -> LintFinding:
    wrong, right = fault.wrong, fault.right
    line = lines.line(fault.key)
    member = _MEMBER.match(right) if _IN_SHAPES.fullmatch(fault.key) else None
    if member is not None:
        line = lines.inside(fault.key, member[1])
    return LintFinding(ERROR, "to-fill" if wrong.startswith(gaps.STILL) else "wrong", line, fault.key, wrong, right)


def _looked(document: Mapping[str, Any]) -> Resolve:
    """In place of the network: this machine is where it always is, and any other name inside the declared networks."""
    connection = document.get("connection")
    networks = connection.get("networks") if isinstance(connection, dict) else None
    inside = [str(each) for each in networks if network_fault(each) is None] if isinstance(networks, list) else []

    def look_up(host: str) -> list[str]:
        if host == "localhost" or host.endswith(".localhost"):
            return ["127.0.0.1", "::1"]
        return [str(plain_network(inside[0]).network_address)] if inside else ["192.0.2.1"]

    return look_up


# ---- warnings


def _warning(lines: Lines, document: Mapping[str, Any], risk: linting.Risk) -> LintFinding:
    rows = document.get("datasets")
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    position = next((at for at, row in enumerate(listed) if row.get("id") == risk.dataset), 0)
    key = f"datasets[{position}].{risk.key}" if risk.dataset else f"format.{risk.key}"
    return LintFinding(WARNING, risk.rule, lines.line(key), key, risk.what, risk.better, WHY[risk.rule])


def _uncalled(
    lines: Lines, document: Mapping[str, Any], catalogue: Catalogue, own: Format | None, defined: Mapping[str, Dataset]
) -> Iterator[LintFinding]:
    """Rows whose `paths` are none of the format's calls."""
    rows = document.get("datasets")
    for position, row in enumerate(rows if isinstance(rows, list) else ()):
        paths = row.get("paths") if isinstance(row, dict) else None
        dataset = {**catalogue.datasets, **defined}.get(str(row.get("id"))) if isinstance(row, dict) else None
        form = None if dataset is None else own if dataset.format == "" else catalogue.formats.get(dataset.format)
        if dataset is None or form is None or not form.described or not FORM.fits("patterns", paths):
            continue
        calls = [re.sub(r"\{[a-z_]+\}", "x", path) for path in form.call_paths(dataset.id)]
        if calls and not any(pattern(each).fullmatch(call) for each in paths or () for call in calls):
            key = f"datasets[{position}].paths"
            better = f"the format has {', '.join(form.call_paths(dataset.id))}"
            wrong = f"no call of the format gives {dataset.id} at these paths"
            yield LintFinding(WARNING, "no-call", lines.line(key), key, wrong, better, WHY["no-call"])


def _folder(lines: Lines, document: Mapping[str, Any]) -> Iterator[LintFinding]:
    """A folder that the server would look into every minute, and which is not there."""
    connection = document.get("connection")
    files = connection.get("files") if isinstance(connection, dict) else None
    path = files.get("folder") if isinstance(files, dict) else None
    if isinstance(path, str) and FORM.fits("folder", path) and (why := folders.unusable(path)):
        key = "connection.files.folder"
        right = "make it where the gateway runs, for its user to read and write"
        yield LintFinding(
            WARNING, "folder", lines.line(key), key, f"{path} {why} on this machine", right, WHY["folder"]
        )


def _guesses(text: str) -> Iterator[LintFinding]:
    """The marks that a draft has left, told once."""
    found = [number for number, line in enumerate(text.splitlines(), 1) if _GUESSED.search(line)]
    if found:
        at = ", ".join(map(str, found[:9])) + (", …" if len(found) > 9 else "")
        what = f'{len(found)} {"guess" if len(found) == 1 else "guesses"} of a draft, marked "# guessed" (line {at})'
        right = "check each, and take its mark away"
        yield LintFinding(WARNING, "guessed", found[0], "draft", what, right, WHY["guessed"])


# ---- policies


def policies(folder: Path) -> Catalogue:
    """Raises CatalogueError."""
    return registry.checked(Catalogue(folder))
