"""A file that an organisation gave, as it lies on a disk: opened, never through a link, read once, and whole.

Whoever wrote it is not trusted: it may change while it is read, or be something else than a file.
"""

import errno
import hashlib
import io
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from gateway.formats.filed import BadFile

LOOKED_AT = 1 << 16  # bytes of a file by which it is guessed what it is
SUM_BYTES = 400  # of a file with a checksum
SUM_DIGITS = 64
_SUM = re.compile(r"([0-9a-fA-F]{64})(?:[ \t].*)?", re.DOTALL)


class _Summed(io.RawIOBase):
    """A file that is read once, from the beginning to the end: its checksum and size are of exactly what was read."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self.sum, self.size, self.begin = hashlib.sha256(), 0, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self.size += count
        if self.size > self._most:
            raise _too_large(self._most)
        self.sum.update(memoryview(buffer)[:count])
        if len(self.begin) < LOOKED_AT:
            self.begin += bytes(memoryview(buffer)[: min(count, LOOKED_AT - len(self.begin))])
        return count


def _too_large(most: int) -> BadFile:
    return BadFile(f"it is larger than {most} bytes: raise most_bytes in [connection.files], or split what it is")


@dataclass
class GivenFile:
    """A regular file, opened. `expected`: its checksum, where there is one."""

    file: IO[bytes]
    expected: str
    most: int
    summed: _Summed = field(init=False)

    def __post_init__(self) -> None:
        self.state = state_of(os.fstat(self.file.fileno()))
        if self.state.size > self.most:
            raise _too_large(self.most)
        self.summed = _Summed(self.file, self.most)

    def reader(self) -> BinaryIO:
        return io.BufferedReader(self.summed, 1 << 16)

    def require_whole(self) -> None:
        """Raises BadFile if what was read is not the whole file, as whoever gave it meant it."""
        if self.state != state_of(os.fstat(self.file.fileno())) or self.summed.size != self.state.size:
            raise BadFile("it was changed while it was read: give it again when it is whole")
        if self.expected and self.expected != self.sha256:
            raise BadFile("its checksum is another: it did not arrive whole, give it again")

    def require_some(self, count: int) -> None:
        """Raises BadFile for a file with nothing in it, unless its checksum says that it is meant so."""
        if not count and not self.expected:
            raise BadFile("there is nothing in it: where there is really nothing any more, give its checksum as well")

    @property
    def sha256(self) -> str:
        return self.summed.sum.hexdigest()

    @property
    def begin(self) -> bytes:
        """Of what was read, whole lines or all of it, to guess what the file is."""
        begin = self.summed.begin
        return begin if len(begin) < LOOKED_AT else begin[: begin.rfind(b"\n") + 1] or begin


def looked_at(name: str, folder: int | None = None) -> os.stat_result | None:
    """What stands under a name, also a link; None: nothing, or nothing may have so long a name."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
            return None
        raise


class FileState(NamedTuple):
    """Which file it is, and of what moment."""

    device: int
    number: int
    size: int
    written: int  # nanoseconds; who writes may set it
    changed: int  # nanoseconds, by the machine


def state_of(found: os.stat_result) -> FileState:
    return FileState(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def opened(name: str | Path, folder: int | None = None) -> IO[bytes]:
    """A regular file, never through a link. `folder`: in which the name is. Raises BadFile."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise BadFile("there is no such file") from None
    except OSError as error:
        raise BadFile(f"it cannot be read ({error.strerror}), or is a link: name the file itself") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadFile("it is no file: name a regular one")
    return os.fdopen(handle, "rb", buffering=0)


def checksum(text: str) -> str:
    """Of `sha256sum`, or the 64 digits alone. Raises BadFile."""
    found = _SUM.fullmatch(text.strip())
    if not found:
        raise BadFile("the checksum is none: write the 64 digits of its SHA-256, as sha256sum does")
    return found[1].lower()


def beside(name: str, folder: int | None = None) -> str:
    """The checksum in NAME.sha256; "" where there is no such file. Raises BadFile."""
    if looked_at(f"{name}.sha256", folder) is None:
        return ""
    try:
        with opened(f"{name}.sha256", folder) as file:
            return checksum((file.read(SUM_BYTES) or b"").decode("ascii", "replace"))
    except BadFile as wrong:
        raise BadFile(f"its .sha256: {wrong}") from None
