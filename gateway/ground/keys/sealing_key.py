"""Where the sealing key comes from: the key-encryption key, under which the database keeps what it must not be able
to read. Whoever starts the gateway says so in one of three settings; the ring asks once, at its start.

    a file       sealing_key_file, by default kek.hex among the keys; a systemd credential is a file, too
    a variable   sealing_key_variable names an environment variable that holds it
    a command    sealing_key_command prints it: the client of a key management service or of a hardware module

In all three it is 64 hexadecimal digits, 256 bits. Nothing of it, and nothing of what a command prints, is told.
"""

import os
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import Unavailable
from gateway.settings import Settings

FILE = "kek.hex"  # its default name, and the name under which its check value is pinned wherever it comes from
SECRET_BYTES = 32
COMMAND_SECONDS = 30
PRINTED = 4096  # bytes that a command may print


class SealingKeySource(Protocol):
    """`where`: names the source in messages. `file`: where it is a file, that one."""

    @property
    def where(self) -> str: ...

    @property
    def file(self) -> Path | None: ...

    def read(self) -> bytes:
        """The 32 bytes. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class KeyFromFile:
    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def file(self) -> Path | None:
        return self.path

    def read(self) -> bytes:
        return secret(read_file(self.path), self.where)


@dataclass(frozen=True, slots=True)
class KeyFromVariable:
    name: str

    @property
    def where(self) -> str:
        return f"environment variable {self.name}"

    @property
    def file(self) -> Path | None:
        return None

    def read(self) -> bytes:
        text = os.environ.get(self.name)
        if not text:
            raise Unavailable(f"keys: {self.where}: is not set")
        return secret(text.encode("utf-8", "surrogateescape"), self.where)


@dataclass(frozen=True, slots=True)
class KeyFromCommand:
    command: str  # its words as a shell would split them; no shell runs it

    @property
    def where(self) -> str:
        return "sealing_key_command"

    @property
    def file(self) -> Path | None:
        return None

    def read(self) -> bytes:
        """What it says on its standard error goes where the gateway's goes."""
        try:
            words = shlex.split(self.command)
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_SECONDS, check=False
            )
        except ValueError:
            raise Unavailable(f"keys: {self.where}: its quotation marks do not fit together") from None
        except OSError as error:
            raise Unavailable(f"keys: {self.where}: {words[0]}: {error.strerror}") from None
        except subprocess.TimeoutExpired:  # it holds what was printed so far: not to be shown
            raise Unavailable(f"keys: {self.where}: printed no key within {COMMAND_SECONDS} seconds") from None
        if done.returncode:
            how = f"ended with {done.returncode}" if done.returncode > 0 else f"was ended by signal {-done.returncode}"
            raise Unavailable(f"keys: {self.where}: {how}")
        if len(done.stdout) > PRINTED:
            raise Unavailable(f"keys: {self.where}: printed more than a key")
        return secret(done.stdout, self.where)


def source(settings: Settings) -> SealingKeySource:
    if settings.sealing_key_command:
        return KeyFromCommand(settings.sealing_key_command)
    if settings.sealing_key_variable:
        return KeyFromVariable(settings.sealing_key_variable)
    return KeyFromFile(settings.sealing_key_file or settings.keys / FILE)


def secret(text: bytes, where: str) -> bytes:
    """The secret that is written there. Raises Unavailable."""
    try:
        found = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        found = b""
    if len(found) != SECRET_BYTES:
        raise Unavailable(f"keys: {where}: is not the key it should be")
    return found


def read_file(path: Path) -> bytes:
    """Raises Unavailable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Unavailable(f"keys: {path}: is not a file")  # and reading a pipe would wait for its other end
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"keys: {path}: {error.strerror}") from error
