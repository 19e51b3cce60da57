"""`aval organisations try`: what an app would get of a sample answer, and why not the rest."""

import difflib
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gateway.cli.opening import NO, stop
from gateway.cli.organisations_lint import Policies, read_policies

if TYPE_CHECKING:
    from gateway.catalogue.formats import FormatCall
    from gateway.formats.trials import Trial, TrialTerms
    from gateway.formats.trying import Tried
    from gateway.ground.calendar.instants import Window
    from gateway.organisations.trying import Prepared
    from gateway.organisations.trying_files import FileTried


def try_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The declaration (TOML). A draft will do.")],
    answers: Annotated[
        list[Path],
        typer.Option(
            "--answer", metavar="SAMPLE", help="An answer of the organisation; - for standard input. Repeatable."
        ),
    ],
    calls: Annotated[
        list[str] | None,
        typer.Option(
            "--call", metavar="NAME", help="The call it is the answer of, once for each --answer. Not given: guessed."
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="ID", help="Guess among the calls of this type of data only.")] = "",
    fields: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="The fields agreed to, with commas between. Not given: all. Repeatable."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="All fields but these, with commas between. Repeatable.")
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Begin of the period: 2026-01-31, or an RFC 3339 time.")
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="TIME", help="End of the period. A day itself counts; a time does not.")
    ] = "",
    accounts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBERS",
            help="Accounts agreed to, as the organisation writes them, with commas between. Not given: all of them.",
        ),
    ] = None,
    customer: Annotated[
        str, typer.Option(metavar="NUMBER", help="Of a file with the records of many: those of this customer alone.")
    ] = "",
    records_max: Annotated[int | None, typer.Option(min=1, help="Most records in one answer.")] = None,
    query: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter that the app puts into its call. Repeatable."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every record, not only the first ones.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="OUT", help="Write it as one page without scripts, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
    policies: Policies = None,
) -> None:
    """Show what an app would get of a sample answer, and of all the rest why it does not leave.

    \b
    aval organisations try my-telecom.toml --answer calls.json
    aval organisations try my-telecom.toml --answer calls.json --without call.partner,call.place
    aval organisations try my-telecom.toml --answer calls.json --from 2026-01-01 --to 2026-01-31
    aval organisations try my-telecom.toml --answer calls.json --accounts 33611111111 --html calls.html
    curl -s … | aval organisations try my-telecom.toml --answer -

    The gateway's own engine cuts the sample, as it would cut an answer: no server runs, nothing is sent, and nothing
    is kept. You see the call that the organisation would get, then each record twice: as it sent it, and as the app
    gets it, with one reason for each member that does not leave. At the end stand the words people read on the
    consent screen, a line for each member that the declaration does not know, and warnings of what would go otherwise
    in a live call.

    In the call, words in capitals stand for what only a person's link or a secret has: CUSTOMER, TOKEN, SECRET. The
    accounts are those that the sample names; a live call takes those that the person's link knows, as is told.

    Where the call gives an answer over its records, you see that answer, which records count in it, and why the others
    do not. Several --answer of such a call, in their order, are its pages, or the parts in which its period is asked
    for.

    Of a file of kind = "files", all records are tried, whosever they are, with a warning where they are of several;
    give --customer for those of one, as a live call has them. It is refused if `import` would refuse it.

    \b
    --call      which call of [[format.calls]] the sample is the answer of, if it fits several
    --fields    what the person agreed to; fields with structural = true go with every answer
    --accounts  the others in the sample are then somebody else's, or not shared
    --query     what an app would add, as from=2026-01-01; for a further page give its answer as --answer

    Ends 0 if the app would get an answer; 1 if the call or the answer is refused, or the declaration is wrong (`lint`
    tells more); 2 if something could not be read, or the sample is of no call.
    """
    from gateway.errors import DeclarationError
    from gateway.formats.trials import NotTried
    from gateway.organisations.trying import prepare

    if calls and len(calls) != len(answers):
        stop(f"--call: give one for each --answer ({len(answers)}), in the same order, or none")
    if html is not None and html.resolve() in {file.resolve(), *(each.resolve() for each in answers)}:
        stop(f"--html {html}: is the declaration or a sample itself; name another file")
    try:
        prepared = prepare(file, read_policies(policies))
    except DeclarationError as error:
        unread = any(fault.key == "file" and "cannot be read" in fault.wrong for fault in error.faults)
        stop(str(error), NO if not unread else 2)
    except NotTried as error:
        stop(f"{file}: {error}")
    terms = _terms(prepared, fields, without, _window(prepared.zone, start, end), accounts, records_max, query)
    if customer and not prepared.filed:
        stop('--customer: is of files with the records of many, kind = "files"; an answer of an API is one person\'s')
    samples = []
    for number, path in enumerate(answers):
        body = _read(path)
        found = TriedSample(path, body, *_call(prepared, path, body, calls[number] if calls else "", dataset))
        samples.append(_of_file(prepared, found, customer))
    trials = list(_tried(samples, terms))
    _show(prepared, trials, terms, every, html, as_json)
    if any(trial.refusal for _, trial in trials):
        raise typer.Exit(NO)


class TriedSample(NamedTuple):
    path: Path
    body: bytes
    tried: "Tried"
    call: "FormatCall"
    also: tuple[str, ...]
    refused: str = ""  # why an import refuses the file
    warning: str = ""
    whose: str = ""  # of a file: the customer whose records these are


def _of_file(prepared: "Prepared", sample: TriedSample, customer: str) -> TriedSample:
    """Of a file what a live call has: the records of one customer, or all with a warning. Another sample as it is."""
    from gateway.organisations import trying_files

    found = prepared.filed_as(sample.tried, sample.call, sample.body)
    if found is None:
        return sample
    if found.refused:
        return sample._replace(refused=f"`aval organisations import` refuses the file: {found.refused}")
    if not customer and not sample.tried.form.single(sample.call):
        return sample._replace(warning=_of_many(found))
    customer = customer or next(iter(found.customers), "")
    records = found.of(customer)
    if records is None:
        stop(f"--customer {customer}: nothing in {sample.path} is of this customer; there are {found.named or 'none'}")
    body = trying_files.answer(sample.tried.form, sample.call, found, records)
    return sample._replace(body=body, whose=f"{customer}, of whom {len(records)} of {found.records} records are")


def _of_many(found: "FileTried") -> str:
    if len(found.customers) < 2:
        return ""
    return (
        f"the file has the records of {len(found.customers)} customers ({found.named}), and all of them are tried here:"
        " a live call gives only the person's own. Give --customer NUMBER to try it for one"
    )


def _tried(samples: "list[TriedSample]", terms: "TrialTerms") -> "Iterator[tuple[str, Trial]]":
    """(what was tried, what became of it). Samples of one call that gives an answer over records are pages of it."""
    while samples:
        first = samples[0]
        alike = next(found for _, found in itertools.groupby(samples, lambda each: each.call.name))
        _, *more = [each.body for each in alike]
        trial = first.tried.run(first.call, first.body, terms, more=more, refused=first.refused)
        trial.also, trial.whose = first.also, first.whose
        trial.warnings += [first.warning] if first.warning else []
        taken = len(trial.over.pages) if trial.over is not None else 1
        yield ", ".join(str(each.path) for each in samples[:taken]), trial
        samples = samples[taken:]


def _show(
    prepared: "Prepared",
    trials: list[tuple[str, "Trial"]],
    terms: "TrialTerms",
    every: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    from gateway.cli import try_page, try_told, try_written

    if as_json:
        typer.echo(json.dumps(try_told.told(prepared, trials, terms), indent=2, ensure_ascii=False))
    else:
        try_written.write(prepared, trials, terms, every=every)
    if html is not None:
        _save(html, try_page.page(prepared, trials, terms))
        typer.echo(f"{html}: written; it holds the data of the sample", err=as_json)


def _save(path: Path, text: str) -> None:
    """For its owner's eyes only: a sample may be of a real person."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        stop(f"--html {path}: cannot be written ({error.strerror}); name a file in a folder that is there")


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        stop(f"--answer {path}: cannot be read ({error.strerror})")


# ---- what was agreed


def _listed(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for text in texts or () for each in text.split(",") if each.strip()))


def _terms(
    prepared: "Prepared",
    fields: list[str] | None,
    without: list[str] | None,
    window: "Window",
    accounts: list[str] | None,
    records_max: int | None,
    query: list[str] | None,
) -> "TrialTerms":
    from gateway.formats.trials import TrialTerms

    chosen, left_out = _listed(fields), _listed(without)
    known = {field.id: field for held in prepared.datasets.values() for field in held.fields.values()}
    for option, names in (("--fields", chosen), ("--without", left_out)):
        for name in names:
            if name not in known:
                stop(f"{option} {name}: there is no such field; {_near(name, list(known))}")
    for name in left_out:
        if known[name].structural:
            stop(f"--without {name}: it is always given (structural = true), so nobody can leave it out")
    pairs = []
    for text in query or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            stop(f"--query {text}: write NAME=VALUE")
        pairs.append((name, value))
    return TrialTerms(
        frozenset(chosen) if fields else None, frozenset(left_out), window, _listed(accounts), records_max, tuple(pairs)
    )


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"


def _window(zone: str, start: str, end: str) -> "Window":
    from gateway.ground.calendar.instants import Window

    low, high = _edge("--from", start, zone, 0), _edge("--to", end, zone, 1)
    if low is not None and high is not None and low >= high:
        stop(f"--to {end}: is not after --from {start}; the period would be empty")
    return Window(low, high)


def _edge(option: str, text: str, zone: str, side: int) -> Any:
    from gateway.ground.calendar.instants import span

    if not text:
        return None
    try:
        return span(text.replace(" ", "T", 1), zone)[side]
    except (ValueError, OverflowError):
        stop(f"{option} {text}: write a day as 2026-01-31, or a time as 2026-01-31T12:00:00Z")


# ---- which call it is the answer of


def _call(
    prepared: "Prepared", path: Path, body: bytes, name: str, dataset: str
) -> tuple["Tried", "FormatCall", tuple[str, ...]]:
    from gateway.formats.trials import NotTried
    from gateway.formats.trying_calls import guess

    if dataset and dataset not in prepared.datasets:
        stop(f"--dataset {dataset}: is not in the declaration; {_near(dataset, list(prepared.datasets))}")
    known = {call.name: (tried, call) for tried in prepared.formats for call in tried.calls()}
    if name:
        if name not in known:
            stop(f"--call {name}: there is no such call; {_near(name, list(known))}")
        return (*known[name], ())
    found, why = [], []
    for tried in prepared.formats:
        try:
            found.append((tried, *guess(tried, body, dataset)))
        except NotTried as error:
            why.append(str(error))
    if not found:
        stop(f"--answer {path}: {why[0]}")
    if len(found) > 1:
        names = ", ".join(call.name for _, call, _ in found)
        stop(f"--answer {path}: it could be the answer of several calls: say which with --call: {names}")
    return found[0]
