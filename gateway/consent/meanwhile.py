"""What people stop or pause while the log is frozen, kept beside the high-water mark as well.

The database in which they did it is an older copy, and the newest one may still be put back. What they were told must
hold there too: the next start on a log that is whole does again whatever its database does not know (`expiry.redo`).
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.consent.actors import Actor
from gateway.settings import Settings

_logger = logging.getLogger("aval.consent")


@dataclass(frozen=True, slots=True)
class Done:
    consent: str
    act: str  # rules.Act: ended or paused
    actor: Actor
    reason: str  # rules.EndReason of an end
    at: str  # of its event, RFC 3339


def path(settings: Settings) -> Path:
    return settings.mark.with_name(f"{settings.mark.name}.meanwhile")


def keep(settings: Settings, done: Done) -> None:
    """On the disk when this returns. Where it cannot be written she is still let stop: in this database it holds."""
    file = path(settings)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(handle, "ab") as opened:
            opened.write(b"\n" + msgspec.json.encode(done) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file may be new
        finally:
            os.close(folder)
    except OSError as error:
        _logger.error("a stop on a frozen log is in its database only: %s: %s", file, error.strerror)


def kept(settings: Settings) -> list[Done]:
    """Raises OSError. A line that is cut off was never acknowledged."""
    file = path(settings)
    if not file.exists():
        return []
    found = []
    for line in filter(None, file.read_bytes().split(b"\n")):
        try:
            found.append(msgspec.json.decode(line, type=Done))
        except msgspec.DecodeError:
            _logger.error("%s: one line is not of its form", file)
    return found


def forget(settings: Settings) -> None:
    path(settings).unlink(missing_ok=True)
