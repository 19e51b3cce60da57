"""The files in the keys folder: those that are for good, and token keys of releases before."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.errors import Unavailable
from gateway.ground import disk
from gateway.ground.keys import sealing_key
from gateway.ground.keys.algorithms import DEFAULT, SigningKey
from gateway.ground.keys.opaque import fresh_bytes

LOG, ROOT = "log.pem", "root.hex"
TOKENS = "token-*.pem"


@dataclass(frozen=True)
class TokenFile:
    """A token key as releases before kept it."""

    path: Path
    key: SigningKey
    since: float  # epoch second of the last change to the file


def make_missing(folder: Path, sealing: Path | None) -> None:
    """`sealing`: the file of the sealing key, where it is one. Raises Unavailable."""
    try:
        disk.private_folder(folder)
        if not (folder / LOG).exists():
            _write(folder / LOG, _pem(ed25519.Ed25519PrivateKey.generate()))
        for path in (sealing, folder / ROOT):
            if path is not None and not path.exists():
                _write(path, fresh_bytes(sealing_key.SECRET_BYTES).hex().encode() + b"\n")
    except OSError as error:
        raise Unavailable(f"keys: {folder}: none can be made there ({error.strerror})") from error


def log_key(folder: Path) -> ed25519.Ed25519PrivateKey:
    """Raises Unavailable."""
    found = _private(folder / LOG)
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise _other(folder / LOG)
    return found


def root(folder: Path) -> bytes:
    """Raises Unavailable."""
    return sealing_key.secret(sealing_key.read_file(folder / ROOT), str(folder / ROOT))


def token_files(folder: Path) -> list[TokenFile]:
    """The newest first, by name. Raises Unavailable."""
    found = []
    for path in sorted(folder.glob(TOKENS), reverse=True):
        private: Any = _private(path)
        try:
            packed = private.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            key = SigningKey.unpacked(packed, DEFAULT)
        except (ValueError, AttributeError):
            raise _other(path) from None
        found.append(TokenFile(path, key, _changed_at(path)))
    return found


def put_wrapped(path: Path, wrapped: bytes) -> None:
    """Raises Unavailable."""
    try:
        _write(path, wrapped.strip() + b"\n")
    except OSError as error:
        raise Unavailable(f"keys: {path}: {error.strerror}") from error


def watched(folder: Path, sealing: Path | None) -> Iterator[Path]:
    """The files that never change."""
    yield from (folder / LOG, folder / ROOT)
    if sealing is not None:
        yield sealing


def open_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, mode it should have) of every file in the folder, or the folder, that group or others may use."""
    for path in (folder, *sorted(folder.glob("*"))) if folder.is_dir() else ():
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:  # it has just gone, or is a link to nothing, as an editor leaves one beside a file
            continue
        if stat.S_IMODE(mode) & 0o077:
            yield path, "700" if stat.S_ISDIR(mode) else "600"


def _private(path: Path) -> object:
    try:
        return serialization.load_pem_private_key(sealing_key.read_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the library's message could quote the file
        raise _other(path) from None


def _other(path: Path) -> Unavailable:
    return Unavailable(f"keys: {path}: is not the key it should be")


def _changed_at(path: Path) -> float:
    """When the file came here or was changed, by the kernel's word: a copy keeps the rest of its times."""
    try:
        return path.stat().st_ctime
    except OSError as error:
        raise Unavailable(f"keys: {path}: {error.strerror}") from error


def _pem(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file of mode 0600. It is complete and on the disk afterwards, or not there at all."""
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    disk.renamed(draft, path)
