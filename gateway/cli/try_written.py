"""A trial on a terminal: two sides, from 60 columns on. Colour only underlines what the marks say."""

import re
import textwrap
from collections.abc import Callable, Iterator
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import try_told
from gateway.cli.organisations_lint import coloured
from gateway.organisations import trying
from gateway.settings import LANGUAGES

if TYPE_CHECKING:
    from gateway.formats.explaining import ComparedRow
    from gateway.formats.trials import Fate, Trial, TrialTerms
    from gateway.organisations.trying import Prepared

SHOWN = 3  # records given that are shown, without --all
LISTED = 5  # records not given that are named one by one
MARKS = {"same": "=", "changed": "~", "withheld": "x", "added": "+"}
COLOURS: dict[str, dict[str, Any]] = {
    "same": {}, "changed": {"fg": "yellow"}, "withheld": {"fg": "red"}, "added": {"fg": "yellow"},
    "heading": {"bold": True}, "quiet": {"dim": True},
}  # fmt: skip
LEGEND = "= as it was   ~ changed   x does not leave   + added by the gateway"


def write(prepared: "Prepared", trials: "list[tuple[str, Trial]]", terms: "TrialTerms", *, every: bool) -> None:
    width = min(160, max(60, get_terminal_size().columns))
    for number, (path, trial) in enumerate(trials):
        if number:
            typer.echo()
        for line in _lines(prepared, path, trial, terms, width, every):
            typer.echo(line.rstrip())


def _styled(text: str, style: str) -> str:
    return typer.style(text, **COLOURS[style]) if coloured() and COLOURS[style] else text


def _heading(text: str, width: int) -> list[str]:
    return ["", _styled(f"── {text} " + "─" * max(0, width - len(text) - 4), "heading")]


def _at_parameters(text: str, width: int) -> list[str]:
    """Lines of a text; an address that is too long goes on before a parameter."""
    if len(text) <= width or "?" not in text:
        return textwrap.wrap(text, width)
    lines = [""]
    for part in re.split(r"(?=[?&])", text):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return [part for line in lines for part in textwrap.wrap(line, width)]


def _pairs(
    pairs: list[tuple[str, str]], width: int, wrap: Callable[[str, int], list[str]] = textwrap.wrap
) -> Iterator[str]:
    widest = max(len(name) for name, _ in pairs)
    for name, text in pairs:
        first, *more = wrap(text, max(20, width - widest - 2)) or [""]
        yield f"{name:{widest}}  {first}"
        yield from (f"{'':{widest}}  {line}" for line in more)


def _lines(
    prepared: "Prepared", path: str, trial: "Trial", terms: "TrialTerms", width: int, every: bool
) -> Iterator[str]:
    yield _styled(f"{prepared.file} on {path}", "heading")
    yield from _pairs(list(try_told.agreed(prepared, trial, terms)), width)
    yield from _heading("the call", width)
    yield from _pairs(list(_request(prepared, trial)), width, _at_parameters)
    if refused := try_told.refusal(trial):
        yield ""
        yield from (_styled(line, "withheld") for line in textwrap.wrap(f"REFUSED: {refused}", width))
    yield from _answers(trial, width, every)
    yield from _records(trial, width, every)
    if trial.around:
        yield from _heading("beside the records", width)
        yield from _sides(trial.around, width)
    yield from _unleft(trial, width, every)
    yield from _unknown(trial, width)
    yield from _screen(prepared, trial, width)
    for text in trying.warnings(prepared, trial):
        yield ""
        yield from (_styled(line, "changed") for line in textwrap.wrap(f"WARNING: {text}.", width))
    yield from _counted(trial, width)


def _request(prepared: "Prepared", trial: "Trial") -> Iterator[tuple[str, str]]:
    yield "the app asks", try_told.asked(trial)
    sent = try_told.request(prepared, trial)
    if sent is None:
        yield "the organisation", try_told.unasked(trial)
        return
    yield "the organisation", f"{sent['method']} {sent['address']}"
    yield from ((f"  {name}", value) for name, value in sent.get("headers", {}).items())
    if "body" in sent:
        yield "  body", f"{sent['content_type']} {sent['body']}"
    yield from ((f"  {word}", f"stands for {what}") for word, what in sent.get("stands_for", {}).items())


# ---- an answer over records


def _answers(trial: "Trial", width: int, every: bool) -> Iterator[str]:
    if trial.over is None or not trial.over.answers:
        return
    yield from _heading("the answer that the app gets, in place of records", width)
    shown = trial.over.answers if every else trial.over.answers[:SHOWN]
    for number, rows in enumerate(shown, 1):
        yield ""
        yield _styled(f"answer {number} of {len(trial.over.answers)}", "heading")
        for row in rows:
            why = row.reason.text if row.reason else ""
            text = f"{MARKS[row.fate]} {row.path}: {row.right} ({why})" if row.right else f"x {row.path}: {why}"
            yield from (_styled(line, row.fate) for line in textwrap.wrap(text, width, subsequent_indent="    "))
    if len(trial.over.answers) > len(shown):
        yield ""
        yield from textwrap.wrap(f"and {len(trial.over.answers) - len(shown)} more. --all shows them.", width)
    if trial.over.reveals:
        yield from _heading("what it still reveals", width)
        yield from _pairs(list(trial.over.reveals.items()), width)


# ---- records, side by side


def _records(trial: "Trial", width: int, every: bool) -> Iterator[str]:
    given = [each for each in trial.records if each.given]
    shown = given if every else given[:SHOWN]
    if shown:
        yield from _heading("records: as they were sent, and as the app gets them", width)
        yield from (_styled(line, "quiet") for line in textwrap.wrap(LEGEND, width))
    for each in shown:
        yield ""
        yield _styled(f"record {each.number} of {len(trial.records)}", "heading")
        yield from _sides(each.rows, width)
    if len(given) > len(shown):
        yield ""
        numbers = try_told.grouped(each.number for each in given[len(shown) :])
        yield from textwrap.wrap(f"given, too: record {numbers}. --all shows them.", width)
    yield from _not_given(trial, width, every)


def _not_given(trial: "Trial", width: int, every: bool) -> Iterator[str]:
    kinds: dict[str, list[Fate]] = {}
    for each in trial.records:
        if each.reason is not None and not trial.refusal:
            kinds.setdefault(each.reason.kind, []).append(each)
    if kinds:
        yield from _heading("records that are not given" if trial.over is None else "records", width)
    for found in kinds.values():
        named = found if every or len(found) <= LISTED else found[: LISTED - 1]
        for each in named:
            why = each.reason.text if each.reason else ""
            mark = "✓" if each.counts else "x"
            first, *more = textwrap.wrap(f"{mark} record {each.number}: {why}", width, subsequent_indent="    ")
            yield from (_styled(line, "same" if each.counts else "withheld") for line in (first, *more))
            held = ", ".join(f"{row.path}: {row.left}" for row in each.rows)
            yield _styled("    " + _cut(held, width - 4), "quiet")
        if len(named) < len(found):
            numbers = try_told.grouped(each.number for each in found[len(named) :])
            told = "✓ and so do" if found[0].counts else "x and for the same reason:"
            yield from textwrap.wrap(f"{told} record {numbers}", width, subsequent_indent="    ")


def _sides(rows: "tuple[ComparedRow, ...]", width: int) -> Iterator[str]:
    """member  what was sent │ mark  what the app gets, or why not. What is inside another stands below its name."""
    name = min(max((len(_shown_name(row.path)) for row in rows), default=8), width * 3 // 10)
    left = (width - name - 6) * 45 // 100
    right = width - name - left - 6
    around = ""
    for row in rows:
        outer = row.path.rpartition(".")[0]
        if outer and outer != around:
            yield f"{_cut(outer, width * 3 // 4):{name + left + 2}}│" if len(outer) < name + left else outer
        around = outer
        cells = [_wrapped(_shown_name(row.path), name), _wrapped(_cut(row.left, left * 2), left)]
        cells.append(_wrapped(_right(row, right), right))
        for number in range(max(map(len, cells))):
            member, sent, gets = (cell[number] if number < len(cell) else "" for cell in cells)
            mark = MARKS[row.fate] if number == 0 else " "
            yield f"{member:{name}}  {sent:{left}}│{_styled(f'{mark} {gets}', row.fate)}"


def _shown_name(path: str) -> str:
    outer, _, name = path.rpartition(".")
    return f"  {name}" if outer else name


def _right(row: "ComparedRow", width: int) -> str:
    why = row.reason.text if row.reason else ""
    return why if row.fate == "withheld" else _cut(row.right, width * 2) + (f" ({why})" if why else "")


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# ---- and the rest


def _unleft(trial: "Trial", width: int, every: bool) -> Iterator[str]:
    """Of all records, where not all are shown."""
    if every or sum(each.given for each in trial.records) <= SHOWN:
        return
    yield from _heading("members that do not leave, of all records given", width)
    found = [(member, f"{why} ({times}×)") for member, why, times in try_told.summary(trial)]
    yield from _pairs(found or [("none", "")], width)


def _unknown(trial: "Trial", width: int) -> Iterator[str]:
    lines = try_told.proposals(trial)
    if lines:
        yield from _heading("members that the declaration does not know", width)
        text = "Add them to [format.shapes] and to a field's find. Write - for what nobody needs."
        yield from textwrap.wrap(text, width)
    for line in lines:
        yield f"  {line}"


def _screen(prepared: "Prepared", trial: "Trial", width: int) -> Iterator[str]:
    yield from _heading("what people read", width)
    if try_told.unwritten(prepared, trial):
        yield from textwrap.wrap("Texts of it still say TO FILL: `aval organisations lint` lists them.", width)
        return
    for language in LANGUAGES:
        words = try_told.screen(prepared, trial)[language]
        yield from textwrap.wrap(f"{language}  {words['heading'] or words['label']}", width, subsequent_indent="    ")
        for line in (f"{words['label']}: {words['short']}", words["long"], words["time"]):
            yield from textwrap.wrap(line, width, initial_indent="    ", subsequent_indent="    ")
        for field in words["fields"]:
            text = f"{field['state']:10}  {field['label']}: {field['short']} {field['comes_with']}".rstrip()
            yield from textwrap.wrap(text, width, initial_indent="    ", subsequent_indent=" " * 16)


def _counted(trial: "Trial", width: int) -> Iterator[str]:
    yield ""
    yield from (_styled(line, "heading") for line in textwrap.wrap(try_told.ending(trial), width))
