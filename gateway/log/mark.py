"""The high-water mark: which log was signed last, and how far, in a file of its own (`settings.mark`).

A database that was put back from a copy, or cut, is smaller than its mark, has another root at that size, or is of a
log that has ended since. Comparing the two before every signature is what keeps this log from ever signing two
histories. The file lies outside the data folder, where a copy of that folder does not bring an older mark along.

Each tree is marked before the next is signed. So the mark is of the last checkpoint, or of the one before it after a
crash between the two; an older one was put back itself, and no longer tells how far the log was signed. What it tells
is for those who put copies back: whoever may write this file can write whatever the database holds.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import Unavailable
from gateway.ground import disk
from gateway.log.notes import BadNote, decimal, decode64, encode64
from gateway.log.tree import EMPTY_ROOT, HASH

_HEADER = "aval-log-mark/v2"
TURN_SECONDS = 3.0  # whoever has the turn compares, signs and writes: some milliseconds, or as long as a commit takes
_ASK_SECONDS = 0.02


class BadMark(Exception):
    """The file is there, and is not a mark."""


class TurnHeld(OSError):
    """Another process has the turn of the mark, and does not give it back. Says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Mark:
    size: int
    root: bytes
    log: str = ""  # its name; "" is no log's


def nothing(log: str) -> Mark:
    """The mark of a log of which nothing has been signed yet."""
    return Mark(0, EMPTY_ROOT, log)


def read(path: Path) -> Mark | None:
    """None when there is no file. Raises BadMark, OSError."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise BadMark("not a mark") from error
    lines = text.split("\n")
    if len(lines) != 5 or lines[0] != _HEADER or lines[4]:
        raise BadMark("not a mark")
    try:
        mark = Mark(decimal(lines[2]), decode64(lines[3]), lines[1])
    except BadNote as error:
        raise BadMark(str(error)) from error
    if len(mark.root) != HASH or (mark.size == 0 and mark.root != EMPTY_ROOT):
        raise BadMark("not the root of a tree of that size")
    return mark


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else signs by this mark meanwhile, also no gateway on a copy of the data. Raises Unavailable.

    The lock lies beside it: the mark itself is replaced at every checkpoint. Where the folder cannot be written no mark
    can be either, and the log says so by itself: people must be able to stop what they share.
    """
    path = Path(os.path.realpath(path))
    lock = path.with_name(path.name + ".lock")
    with contextlib.ExitStack() as until:
        try:
            disk.private_folder(path.parent)
            opened = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
            until.callback(os.close, opened)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"another gateway signs by the mark {path}; stop that one first") from None
        except OSError as error:
            if path.parent.is_dir() and os.access(path.parent, os.W_OK):
                why = f"{lock}: cannot be locked ({error.strerror})"
                raise Unavailable(f"{why}; remove it when no gateway runs, or give it to this one's user") from None
        yield


@contextlib.contextmanager
def turn(path: Path, *, alone: bool) -> Iterator[None]:
    """Where several processes of a machine share a mark: one of them at a time compares it with the database, signs
    and writes it. So two databases that both continue one log cannot both be signed by one mark: the second finds it
    ahead. `alone`: the mark is `held` as long as the process serves. Raises OSError, and TurnHeld in time: a process
    that is stopped, or waits for its disk or for the database, keeps the turn."""
    with contextlib.ExitStack() as until:
        if not alone:
            path = Path(os.path.realpath(path))
            disk.private_folder(path.parent)
            turn = path.with_name(path.name + ".turn")
            opened = os.open(turn, os.O_RDWR | os.O_CREAT, 0o600)
            until.callback(os.close, opened)
            _take(opened, turn)
        yield


def _take(opened: int, turn: Path) -> None:
    end = time.monotonic() + TURN_SECONDS
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TurnHeld(_holds(opened, turn)) from None
            time.sleep(_ASK_SECONDS)
        else:
            break
    with contextlib.suppress(OSError):  # a full disk: then nobody can be named, and the turn is right all the same
        os.ftruncate(opened, 0)
        os.pwrite(opened, f"{os.getpid()} {os.uname().nodename}\n".encode(), 0)


def _holds(opened: int, turn: Path) -> str:
    process, _, host = os.pread(opened, 300, 0).decode("utf-8", "replace").strip().partition(" ")
    who = f"process {process} on {host}" if process.isdecimal() and host else "another process"
    return (
        f"{who} has {turn} and does not give it back, so nothing is signed from here; if it waits for the database or"
        " for the disk of the mark, repair that, and if it was stopped let it go on (kill -CONT) or end it (kill -KILL)"
    )


def write(path: Path, mark: Mark) -> None:
    """On the disk, whole, when this returns. Raises OSError, and then the old mark still stands.

    A link to a mark on another disk stays one: the file it points to is replaced, not the link.
    """
    path = Path(os.path.realpath(path))
    disk.private_folder(path.parent)
    draft = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it may lie among the keys
    with open(handle, "wb") as file:
        file.write(f"{_HEADER}\n{mark.log}\n{mark.size}\n{encode64(mark.root)}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    disk.renamed(draft, path)
