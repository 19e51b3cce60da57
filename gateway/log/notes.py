"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint), Ed25519 only.

    <text, ends in a line feed>
    <empty line>
    — <name> <base64(key id ‖ signature)>        one or more

A note's text may be used only after a known key's signature on it has been checked.
Reading is strict: whatever could be written in two ways is refused.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
SIGNATURES_LIMIT = 100
_MARK = "\N{EM DASH} "
_SIZE_LIMIT = 1 << 64


class BadNote(Exception):
    """Not a note, or not one that a known key signed."""


def decode64(text: str) -> bytes:
    """Standard base64 with padding, canonical, nothing else (RFC 4648 §4). Raises BadNote."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadNote("not base64") from error
    if encode64(data) != text:
        raise BadNote("base64 with stray bits")
    return data


def encode64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decimal(text: str) -> int:
    """ASCII digits without sign and leading zeros, below 2^64."""
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0") or len(text) > 20:
        raise BadNote("not a decimal number")
    number = int(text)
    if number >= _SIZE_LIMIT:
        raise BadNote("number too large")
    return number


# ---- keys


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name: `name+hex8(key id)+base64(type ‖ key)`."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Raises BadNote, also when the key id does not follow from name and key."""
        name, _, rest = text.partition("+")
        id_hex, _, encoded = rest.partition("+")
        material = decode64(encoded)
        if not _is_name(name) or material[:1] != ED25519 or len(material) != 33:
            raise BadNote("not an Ed25519 verifier key")
        key = cls(name, material[1:])
        if key.id.hex() != id_hex:
            raise BadNote("key id does not match")
        return key

    def verifies(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name."""

    name: str
    private: Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise ValueError(f"{self.name!r} cannot name a key: no spaces, no plus sign")

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """`PRIVATE+KEY+name+hex8+base64(type ‖ seed)`, as Go's tools write it. Raises BadNote."""
        if not text.startswith("PRIVATE+KEY+"):
            raise BadNote("not a private key")
        name, _, rest = text.removeprefix("PRIVATE+KEY+").partition("+")
        id_hex, _, encoded = rest.partition("+")
        material = decode64(encoded)
        if not _is_name(name) or material[:1] != ED25519 or len(material) != 33:
            raise BadNote("not an Ed25519 private key")
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(material[1:]))
        if signer.verifier.id.hex() != id_hex:
            raise BadNote("key id does not match")
        return signer

    def sign(self, text: str) -> str:
        """The whole note. `text` ends in a line feed."""
        if not text.endswith("\n") or _control(text):
            raise ValueError("a note's text is lines")
        signature = self.verifier.id + self.private.sign(text.encode())
        return f"{text}\n{_MARK}{self.name} {encode64(signature)}\n"


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() for char in name) and not _control(name)


def _control(text: str) -> bool:
    return any(char < " " and char != "\n" for char in text)


# ---- notes


@dataclass(frozen=True, slots=True)
class Note:
    text: str
    signed_by: tuple[VerifierKey, ...]


def open_note(note: str | bytes, keys: Iterable[VerifierKey]) -> Note:
    """The text, if a known key signed it and every known key that is named did. Raises BadNote."""
    known = {(key.name, key.id): key for key in keys}
    text, lines = _split(note)
    verified: dict[tuple[str, bytes], VerifierKey] = {}
    for line in lines:
        name, material = _signature(line)
        which = (name, material[:4])
        if which not in known or which in verified:
            continue
        if not known[which].verifies(text.encode(), material[4:]):
            raise BadNote(f"the signature of {name} does not fit")
        verified[which] = known[which]
    if not verified:
        raise BadNote("no known key signed this")
    return Note(text, tuple(verified.values()))


def signers(note: str) -> set[tuple[str, bytes]]:
    """(name, key id) of each key that is said to have signed; nothing is checked. Raises BadNote."""
    return {(name, material[:4]) for name, material in map(_signature, _split(note)[1])}


def _split(note: str | bytes) -> tuple[str, list[str]]:
    if isinstance(note, bytes):
        try:
            note = note.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadNote("not UTF-8") from error
    at = note.rfind("\n\n")
    if at < 0 or not note.endswith("\n") or _control(note):
        raise BadNote("not a signed note")
    text, lines = note[: at + 1], note[at + 2 : -1].split("\n")
    if not 1 <= len(lines) <= SIGNATURES_LIMIT:
        raise BadNote("no or too many signatures")
    return text, lines


def _signature(line: str) -> tuple[str, bytes]:
    if not line.startswith(_MARK):
        raise BadNote("not a signature line")
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    material = decode64(encoded)
    if not _is_name(name) or len(material) < 5:
        raise BadNote("not a signature line")
    return name, material


# ---- checkpoints


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The first three lines; extension lines are allowed and ignored. Raises BadNote."""
        if not text.endswith("\n"):
            raise BadNote("a checkpoint ends in a line feed")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise BadNote("a checkpoint has three lines that say something")
        root = decode64(lines[2])
        if len(root) != 32:
            raise BadNote("a root is 32 bytes")
        return cls(lines[0], decimal(lines[1]), root)


def open_checkpoint(note: str | bytes, keys: Iterable[VerifierKey], origin: str) -> Checkpoint:
    """A signed checkpoint of this origin. Raises BadNote."""
    checkpoint = Checkpoint.parse(open_note(note, keys).text)
    if checkpoint.origin != origin:
        raise BadNote("a checkpoint of another log")
    return checkpoint
