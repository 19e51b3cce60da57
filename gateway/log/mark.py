"""The high-water mark: the largest tree ever signed, kept in a file of its own beside the database.

A database that was put back from a copy, or cut, is smaller than its mark or has another root at
that size. Comparing the two before every signature is what keeps this log from ever signing two
histories.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.log.notes import BadNote, decimal, decode64, encode64
from gateway.log.tree import EMPTY_ROOT, HASH

FILE = "log.high-water"
_HEADER = "aval-log-mark/v1"


class BadMark(Exception):
    """The file is there, and is not a mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    size: int
    root: bytes


NOTHING = Mark(0, EMPTY_ROOT)


def read(path: Path) -> Mark | None:
    """None when there is no file. Raises BadMark, OSError."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise BadMark("not a mark") from error
    lines = text.split("\n")
    if len(lines) != 4 or lines[0] != _HEADER or lines[3]:
        raise BadMark("not a mark")
    try:
        mark = Mark(decimal(lines[1]), decode64(lines[2]))
    except BadNote as error:
        raise BadMark(str(error)) from error
    if len(mark.root) != HASH:
        raise BadMark("a root is 32 bytes")
    return mark


def write(path: Path, mark: Mark) -> None:
    """On the disk, whole, when this returns. Raises OSError, and then the old mark still stands."""
    draft = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    with open(draft, "xb") as file:
        file.write(f"{_HEADER}\n{mark.size}\n{encode64(mark.root)}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
