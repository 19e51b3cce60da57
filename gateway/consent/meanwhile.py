"""What is stopped, paused, unlinked or revoked while the log is frozen, kept beside the high-water mark as well.

The database in which that was done is an older copy, and the newest one may still be put back. What people and apps
were told must hold there too: the next start on a log that is whole does again whatever its database does not know.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from sqlmodel import Session

from gateway.consent.actors import Actor
from gateway.ground import disk
from gateway.ground.store import Store
from gateway.log import Log

_logger = logging.getLogger("aval.consent")


@dataclass(frozen=True, slots=True)
class Done:
    """`reason`: why it ended, as its room names it. `at`: when it was done."""

    what: Literal["consent", "family", "link"]
    id: str
    act: str  # rules.Act: ended or paused
    actor: Actor
    reason: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]


# Does one act again in the database there is now. False: it knew of it already.
Again = Callable[[Session, Log, Done, datetime], bool]


def path(log: Log) -> Path:
    return log.mark.with_name(f"{log.mark.name}.meanwhile")


def keep(log: Log, done: Done) -> None:
    """Keep what is done, if the log is frozen: on the disk when this returns. Where it cannot be written she is still
    let stop: in this database it holds."""
    if not log.frozen:
        return
    file = path(log)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(handle, "ab") as opened:
            opened.write(b"\n" + msgspec.json.encode(done) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        disk.synced(file.parent)  # the file may be new
    except OSError as error:
        _logger.error("a stop on a frozen log is in its database only: %s: %s", file, error.strerror)


def kept(log: Log) -> list[Done]:
    """Raises OSError. A line that is cut off was never acknowledged."""
    file = path(log)
    if not file.exists():
        return []
    found = []
    for line in filter(None, file.read_bytes().split(b"\n")):
        try:
            found.append(msgspec.json.decode(line, type=Done))
        except msgspec.DecodeError:
            _logger.error("%s: one line is not of its form", file)
    return found


def forget(log: Log) -> None:
    path(log).unlink(missing_ok=True)


def redo(store: Store, log: Log, again: Mapping[str, Again], now: datetime) -> int:
    """Do again what was done while the log was frozen, in a database that is gone since. `again`: how, by `Done.what`.

    To be run on a whole log, before anything is given. Returns how many of these acts this database did not know.
    Raises Unavailable, OSError.
    """
    found = 0
    for done in kept(log):  # each in a transaction of its own, in the turn of its own person
        with store.write() as session:
            found += _redone(session, log, again, done, now)
    forget(log)
    return found


def _redone(session: Session, log: Log, again: Mapping[str, Again], done: Done, now: datetime) -> bool:
    try:
        return again[done.what](session, log, done, now)
    except (ValueError, KeyError):  # such as a reason that no room knows
        _logger.error("%s: one line is not of its form", path(log))
        return False
