"""`aval log`: checking the access log, and reading one person's."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from gateway.cli.opening import (
    CANNOT,
    KEYS_BACK,
    NO,
    alone,
    is_there,
    looking,
    no_gateway,
    nobody_serves,
    opened,
    settings,
    source,
    stop,
    tell_of_demo,
)
from gateway.settings import LANGUAGES, MARK, Settings, beside

if TYPE_CHECKING:
    from sqlmodel import Session

    from gateway.ground.store import Connection
    from gateway.house import House
    from gateway.log import Log
    from gateway.log.reading import Entry
    from gateway.log.restart import Ended

ALSO_MISSING = "see `aval apps list` and `aval organisations list` for what was added, changed or suspended"

commands = typer.Typer(no_args_is_help=True, help="The access log.", rich_markup_mode=None)


@commands.command()
def verify(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Data folder of a copy, on SQLite, to check instead.")
    ] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of the keys, instead of AVAL_KEYS_DIR.")] = None,
    key: Annotated[str | None, typer.Option(help="The log's verifier key, without its key folder.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A signed checkpoint somebody kept; it must be a prefix. May be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check a whole log, offline: no gateway is asked and nothing is written.

    \b
    aval log verify                            the log of this gateway
    aval log verify --dir /backups/friday      a copy
    aval log verify --dir COPY --key "$VKEY"   without the keys: the tree and its signatures, not the payloads
    aval log verify --checkpoint kept.txt      also against a checkpoint you kept

    Ends 0 when the log is whole (with a public key alone: its tree and signatures are), 1 when something was changed
    (each finding names the entry's index), 2 when it could not be checked: "whole" is then null in JSON.
    """
    using = settings()
    named = "--dir" if folder else source("data_dir")
    tell_of_demo(using, named)
    a_copy = folder is not None and folder.resolve() != using.data_dir.resolve()
    if folder is not None and a_copy:
        using = _of_copy(using, folder, keys)
    elif keys is not None:
        using = using.model_copy(update={"keys_dir": keys, "mark_file": using.mark})
    if not is_there(using):
        no_gateway(using, named)
    report = _checked(using, key, a_copy, [path.read_text(encoding="utf-8") for path in _readable(checkpoint or [])])
    typer.echo(json.dumps(_as_json(report), indent=2) if as_json else "\n".join(_as_text(report)))
    if (whole := verdict(report)) is not True:
        raise typer.Exit(CANNOT if whole is None else NO)


def verdict(report: Any) -> bool | None:
    """Whether the log is whole; None: no fault was found, but what would prove it could not be checked."""
    if not report.whole:
        return False
    return None if unproved(report) else True


def unproved(report: Any) -> list[str]:
    """What could not be checked and would have to be, for a log to be called whole."""
    return [text for text in report.unchecked if text.startswith(("signatures", "a kept checkpoint"))]


def _of_copy(using: Settings, folder: Path, keys: Path | None) -> Settings:
    """A copied data folder may hold its keys; otherwise those of the settings are meant. Its mark is one that was
    copied with it: the one in use is further on by now."""
    inside = folder / "keys"
    keys = keys or (inside if inside.is_dir() else using.keys)
    marked = inside / MARK if (inside / MARK).exists() else beside(folder)
    copied = {"data_dir": folder, "keys_dir": keys, "mark_file": marked, "database_url": ""}
    return using.model_copy(update=copied)


def _readable(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_file():
            stop(f"{path}: cannot be read")
        yield path


def _checked(using: Settings, vkey: str | None, a_copy: bool, kept: list[str]) -> Any:
    from gateway.errors import Unavailable
    from gateway.ground.keys import KeyRing
    from gateway.log import Log, mark, verify
    from gateway.log.notes import BadNote, VerifierKey
    from gateway.log.signed import origin

    try:
        opener = Log(KeyRing.of(using), using.mark)
    except Unavailable:
        opener = None
    try:
        known = VerifierKey.parse(vkey) if vkey else None
        marked: Any = mark.read(using.mark)
        with looking(using) as (connection, single):
            if marked is None and (a_copy or not single):  # it lies where the gateway runs, on one of its machines
                marked = "elsewhere"
            key = known or verify.public_key(using.keys, origin(connection, using))
            return verify.check(connection, key=key, opener=opener, marked=marked, kept=kept)
    except BadNote as error:
        stop(f"--key: {error}")
    except mark.BadMark as error:
        stop(f"{using.mark}: {error}", NO)
    except Unavailable as error:
        stop(error.detail)


def _as_text(report: Any) -> Iterator[str]:
    for finding in report.findings:
        span = f"{finding.index}" if finding.last in (None, finding.index) else f"{finding.index} to {finding.last}"
        yield f"index {span}: {finding.what}"
    yield from report.notes
    yield from (text for text in report.unchecked if report.findings or text not in unproved(report))
    yield (
        f"{report.entries} entries of {report.people} people, {report.waiting} not yet numbered, "
        f"{report.checkpoints} checkpoints, {report.opened} payloads opened"
    )
    if report.findings:
        yield f"NOT whole: {len(report.findings)} finding{'s' if len(report.findings) != 1 else ''}"
    elif verdict(report) is None:
        yield f"not proved whole: no fault was found, but not checked: {'; '.join(unproved(report))}"
    else:
        closed = any(text.startswith("payloads") for text in report.unchecked)
        yield f"{'tree and signatures whole, payloads not opened' if closed else 'whole'}: signed up to {report.signed}"


def _as_json(report: Any) -> dict[str, Any]:
    found = [{"index": finding.index, "last": finding.last, "what": finding.what} for finding in report.findings]
    counts = ("entries", "waiting", "people", "checkpoints", "signed", "opened", "erased")
    return {"whole": verdict(report), **{name: getattr(report, name) for name in counts}, "findings": found,
            "unchecked": report.unchecked, "notes": report.notes}  # fmt: skip


@commands.command()
def restart(
    accept: Annotated[
        int | None, typer.Option(min=0, help="The number of entries in the database: you confirm that these are all.")
    ] = None,
    sharings: Annotated[
        Literal["pause", "keep"],
        typer.Option(help="What becomes of running sharings, of which some may have been stopped in what is missing."),
    ] = "pause",
) -> None:
    """End a frozen log, and begin another with what the database holds. With all servers stopped.

    \b
    aval log restart                 why it is frozen, and what you would accept; nothing is written
    aval log restart --accept 1204   that many entries are the true history

    Running sharings are paused, and each person is told and resumes what she wants to go on; `--sharings keep` leaves
    them running: only when you know that nobody stopped anything since the copy was made.

    First look for the newest database: putting it back thaws the log and loses nothing. What is ended is kept as
    evidence in `log-ended` of the data folder, and the new log holds an entry that names it.

    With very many entries it takes minutes. Broken off, it leaves the log frozen; the same command goes on.

    For another gateway of this machine set AVAL_DATA_DIR, and AVAL_KEYS_DIR and AVAL_MARK_FILE where it has them.
    """
    from gateway.log import restart as restarting

    using = settings()
    if accept is None:  # otherwise `opened` tells
        tell_of_demo(using, source("data_dir"))
    found, earlier = _frozen(using)
    (_agreed_before if found.only_mark_missing else _agreed)(found, earlier, accept)
    with opened() as house, alone(house), nobody_serves(house.store) as leading:
        if _looked_at(using, lambda: restarting.ended(house)) != found:
            stop("the log has changed meanwhile; ask again: aval log restart", NO)
        with _going_on(found):
            name, paused = _restarted(house, found, earlier, sharings == "pause", leading)
        typer.echo(f"{_ended(found)} has ended; {house.settings.data_dir / restarting.FOLDER} holds its evidence")
        told = f", and the pauses of {paused} running sharings" if paused else ""
        typer.echo(f"{name} begins with these {found.entries - earlier} entries{told}; tell whoever keeps checkpoints")
        typer.echo(f"what you changed since the copy is missing, too: {ALSO_MISSING}")


def _ended(found: "Ended") -> str:
    """The name of the log that ends, or has ended already and only its mark is still there."""
    return found.marked.log if found.only_mark_missing and found.marked else found.origin


def _restarted(
    house: "House", found: "Ended", earlier: int, pause: bool, leading: Callable[[], "Connection"]
) -> tuple[str, int]:
    """The new log's name, and how many sharings were paused, those of `earlier` tries among them."""
    from gateway.consent import deciding
    from gateway.consent.actors import OPERATOR
    from gateway.log import restart as restarting

    now = datetime.now(UTC)
    pause = pause and not found.only_mark_missing  # what becomes of them was decided with all else
    more = deciding.pause_all(house.store, house.log, OPERATOR, "restored", now) if pause else 0
    paused = earlier + more
    found = replace(found, entries=found.entries + more)
    return restarting.restart(house, found, now, paused if pause or earlier else None, leading), paused


@contextlib.contextmanager
def _going_on(found: "Ended") -> Iterator[None]:
    """Stops, and says what to do, when what is done within is broken off by a fault."""
    from gateway.errors import Unavailable

    again = (
        f"the restart of {_ended(found)} was broken off; when that is mended, give the same command again: it goes on"
    )
    try:
        yield
    except Unavailable as error:
        stop(f"{error.detail}; {again}")
    except OSError as error:
        stop(f"{error.filename or 'evidence'}: {error.strerror or error}; {again}")


def _frozen(using: Settings) -> tuple["Ended", int]:
    """Why the log is frozen, and how many sharings were paused by a restart of it that was broken off. With nothing
    written: what is asked about may be a copy beside a running gateway."""
    from gateway.consent import deciding
    from gateway.consent.actors import OPERATOR
    from gateway.errors import Unavailable
    from gateway.ground.keys import files
    from gateway.log import restart as restarting
    from gateway.log.signed import last_signed, parts

    if not is_there(using):
        no_gateway(using, source("data_dir"))
    try:
        key = files.log_key(using.keys)
    except Unavailable as error:
        stop(f"{error.detail}; {KEYS_BACK}")
    try:
        with looking(using) as (connection, single):
            found = _looked_at(using, lambda: restarting.looked_at(connection, using, key, alone=single))
            signed = last_signed(connection)
            # Where a restart has begun this log and nothing of it is signed yet, the pauses are of that one.
            again = signed is not None or parts(found.origin)[1] == 1
            return found, deciding.paused_by(connection, OPERATOR, signed) if again else 0
    except Unavailable as error:
        stop(error.detail)


def _looked_at(using: Settings, look: Callable[[], "Ended"]) -> "Ended":
    """What `look` finds; stops when there is nothing to restart, or not with this mark."""
    from gateway.log import restart as restarting

    try:
        return look()
    except restarting.NotFrozen:
        stop("the log is not frozen", NO)
    except restarting.OtherLog as error:
        own = "name this gateway's own in AVAL_MARK_FILE, or where that is lost, a file that is not there yet"
        stop(f"{using.mark}: {error}; {own}")
    except OSError as error:
        stop(f"{using.mark}: cannot be read ({error.strerror}); that must be mended first")


def _agreed(found: "Ended", earlier: int, accept: int | None) -> None:
    """Say what would be accepted; goes on only when that was. The pauses of `earlier` tries are not asked about again:
    the number that was accepted then is still the right one."""
    signed = str(found.marked.size) if found.marked else "an unknown number of"
    held = found.entries - earlier
    typer.echo(f"{found.origin} is frozen: {found.why}")
    more = f", and {earlier} pauses by a restart that was broken off" if earlier else ""
    typer.echo(f"signed: {signed} entries; the database holds {held}, {found.size} of them signed{more}")
    if accept != held:
        again = f"{found.do}; or accept what is here: aval log restart --accept {held}"
        stop(again if accept is None else f"not {accept}; {again}", NO)


def _agreed_before(found: "Ended", _: int, accept: int | None) -> None:
    """The database was agreed to, and is of the new log: any number goes on, as the one that was given then, which this
    database does not tell any more. Without one nothing is written."""
    typer.echo(
        f"{_ended(found)} has ended, and {found.origin} has begun with {found.entries} entries: broken off there"
    )
    if accept is None:
        stop(f"only the mark of {found.origin} is missing: aval log restart --accept {found.entries}", NO)


@commands.command()
def show(
    person: Annotated[str, typer.Option(help="Address of the person's account.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries, newest first.")] = 50,
    language: Annotated[str, typer.Option(help="fr or en.")] = "en",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per entry: the payload as it was written.")
    ] = (False),
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of a copy of this gateway's data; nothing is written there.")
    ] = None,
) -> None:
    """Read one person's entries, as she reads them. Recorded in her log: reading it is an access too.

    \b
    aval log show --person alice@example.org
    aval log show --person alice@example.org --language fr --limit 10
    aval log show --person alice@example.org --dir /backups/friday   what a copy holds; recorded here

    For another gateway of this machine set AVAL_DATA_DIR, and AVAL_KEYS_DIR and AVAL_MARK_FILE where it has them.
    """
    from gateway.log import Event
    from gateway.log.sentences import Voice
    from gateway.people import accounts
    from gateway.rooms import Rooms

    if language not in LANGUAGES:
        stop(f"--language: {language!r} is not known; one of {', '.join(LANGUAGES)}")
    using = settings()
    copy = folder / using.database.name if folder and folder.resolve() != using.data_dir.resolve() else None
    if copy and not copy.is_file():
        stop(f"{copy}: there is no such copy")
    with opened() as house:
        with house.store.write() as session:
            found = accounts.find(session, person.lower())
            if found is None:
                stop(f"nobody has the address {person}", NO)
            house.log.record(session, Event("log_read", found.id, datetime.now(UTC), "operator"))
        with house.store.read() as session:
            zone, names = ZoneInfo(house.settings.zone), Rooms(house).names(session)
            voice = Voice(language, house.translations.of(language), zone, names)
            for entry in _newest(session, house.log, found.id, copy, limit):
                typer.echo(entry.payload.decode() if as_json else _line(entry, voice))


def _newest(session: "Session", log: "Log", person: str, copy: Path | None, limit: int) -> Iterator["Entry"]:
    """Her newest entries, from this gateway's database or from a copy of it."""
    from gateway.log import reading

    with reading.of_copy(copy) if copy else contextlib.nullcontext(session) as source_of_them:
        shown = itertools.islice(reading.entries(source_of_them, log, person), limit)
        first = next(shown, None)
        if first is None:
            stop(f"{copy}: no entry of this person; only a copy of this gateway's own data can be read here", NO)
        yield first
        yield from shown


def _line(entry: Any, voice: Any) -> str:
    told = voice.tell(entry.kind, entry.actor, entry.facts)
    at = entry.at.astimezone(voice.zone).strftime("%Y-%m-%d %H:%M:%S") if entry.at else "?"
    return f"{entry.seq:>6}  {at}  {' '.join((told.sentence, *told.notes))}"
