"""Where the sealing key comes from: the key-encryption key, under which the database keeps what it must not be able
to read. Whoever starts the gateway says so in one of four settings; the ring asks once, at its start.

    a file       sealing_key_file, by default kek.hex among the keys; a systemd credential is a file, too
    a variable   sealing_key_variable names an environment variable that holds it
    a command    sealing_key_command prints it: the client of a key management service
    a module     sealing_key_pkcs11 names a key of a hardware module, which unwraps kek.wrapped (hardware.py)

In the first three it is 64 hexadecimal digits, 256 bits. Nothing of it, and nothing of what a command prints, is told.
"""

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import Unavailable
from gateway.settings import Settings

WRAPPED = "kek.wrapped"  # among the keys
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
        try:
            words = shlex.split(self.command)
        except ValueError:
            raise Unavailable(f"keys: {self.where}: its quotation marks do not fit together") from None
        return secret(printed(words, self.where), self.where)


@dataclass(frozen=True, slots=True)
class KeyFromModule:
    uri: str  # RFC 7512
    wrapped: Path

    @property
    def where(self) -> str:
        return "sealing_key_pkcs11"

    @property
    def file(self) -> Path | None:
        return None

    def read(self) -> bytes:
        return secret(by_module("unwrap", self.uri, str(self.wrapped)), self.where)

    def wrap(self, key: bytes) -> bytes:
        """What `wrapped` is to hold. Raises Unavailable."""
        return by_module("wrap", self.uri, told=key.hex().encode())


def by_module(*arguments: str, told: bytes = b"") -> bytes:
    """What hardware.py prints. Of the folder it starts in it takes no code (-P). Raises Unavailable."""
    words = [sys.executable, "-P", "-m", "gateway.ground.keys.hardware", *arguments]
    return printed(words, "sealing_key_pkcs11", told)


def printed(words: Sequence[str], where: str, told: bytes = b"") -> bytes:
    """What a command prints that is told this. What it says on its standard error goes where the gateway's goes. Raises
    Unavailable."""
    try:
        done = subprocess.run(words, input=told, stdout=subprocess.PIPE, timeout=COMMAND_SECONDS, check=False)
    except OSError as error:
        raise Unavailable(f"keys: {where}: {words[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:  # it holds what was printed so far: not to be shown
        raise Unavailable(f"keys: {where}: printed no key within {COMMAND_SECONDS} seconds") from None
    if done.returncode:
        how = f"ended with {done.returncode}" if done.returncode > 0 else f"was ended by signal {-done.returncode}"
        raise Unavailable(f"keys: {where}: {how}")
    if len(done.stdout) > PRINTED:
        raise Unavailable(f"keys: {where}: printed more than a key")
    return done.stdout


def source(settings: Settings) -> SealingKeySource:
    if settings.sealing_key_pkcs11:
        return KeyFromModule(settings.sealing_key_pkcs11, settings.keys / WRAPPED)
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
