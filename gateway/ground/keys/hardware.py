"""The sealing key behind a hardware module (PKCS #11): it lies wrapped in a file, and only a private key that never
leaves the module unwraps it. Which module, token and key is said by a URI of RFC 7512:

    pkcs11:token=NAME;object=KEY?module-path=/usr/lib/…/module.so&pin-source=file:/etc/aval/pin

A program of its own, run once at the start of a process and then gone: a module is somebody's C library, which may
start threads and cannot be taken along by a fork. So none of it is ever in a gateway that serves.

    python -m gateway.ground.keys.hardware unwrap URI FILE     prints the key: 64 hexadecimal digits
    python -m gateway.ground.keys.hardware wrap URI            reads it so, and prints what FILE is to hold

RSA-OAEP with SHA-1 (RFC 8017 §7.1), because smart cards, TPMs, network modules and SoftHSM all have it; what OAEP asks
of the hash is not what SHA-1 has lost, which is only that two texts of one hash are hard to find. What is wrapped is
useless to whoever has no PIN and no module; another file in its place gives another key, which the database does not
take.
"""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

EXTRA = "aval[pkcs11]"
PATH = frozenset(("token", "object", "id", "serial"))  # attributes that say which token and key
QUERY = frozenset(("module-path", "pin-source"))
SECRET_BYTES = 32
PIN_LONGEST = 256  # characters


class NoKey(Exception):
    """Why the key cannot be had. Names no secret."""


@dataclass(frozen=True, slots=True)
class ModuleKey:
    """A key of a token."""

    module: Path
    pin_file: Path
    token: str
    object: str | None  # the key's label
    id: bytes | None  # … and its CKA_ID; at least one of the two
    serial: bytes | None  # of the token, where several have one name


def place(uri: str) -> ModuleKey:
    """RFC 7512 §2.3, of which only what is needed is taken. Raises NoKey."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    said = {**_attributes(path, ";", PATH), **_attributes(query, "&", QUERY)}
    whole = {"token", "module-path", "pin-source"} <= said.keys() and {"object", "id"} & said.keys()
    if scheme != "pkcs11" or not whole:
        raise NoKey("write pkcs11:token=NAME;object=KEY?module-path=/…/module.so&pin-source=file:/…/pin")
    return ModuleKey(
        module=Path(unquote(said["module-path"])),
        pin_file=Path(unquote(said["pin-source"]).removeprefix("file:")),
        token=unquote(said["token"]),
        object=unquote(said["object"]) if "object" in said else None,
        id=_bytes(said.get("id")),
        serial=_bytes(said.get("serial")),
    )


def _attributes(text: str, between: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(between)):
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise NoKey("pin-value is not taken: settings are shown, put the PIN into a file (pin-source)")
        if name not in known or name in found or not value:
            raise NoKey(f"{name}: is unknown, empty, or stands twice")
        found[name] = value
    return found


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else unquote(text, "latin-1").encode("latin-1")


def _pin(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise NoKey(f"{path}: others can read it; chmod 600 {path}")
        pin = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoKey(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}") from None
    if not 0 < len(pin) <= PIN_LONGEST:
        raise NoKey(f"{path}: holds no PIN")
    return pin


class _Module:
    """A session with the token, signed in. A wrong PIN is tried once: modules lock after a few."""

    def __init__(self, where: ModuleKey) -> None:
        try:
            import pkcs11
        except ImportError:
            raise NoKey(f"python-pkcs11 is missing: pip install '{EXTRA}'") from None
        self.pkcs11, self.where = pkcs11, where

    def does(self, secret: bytes, wraps: bool) -> bytes:
        pkcs11, where = self.pkcs11, self.where
        pin, library = _pin(where.pin_file), self._library()
        try:
            token = library.get_token(token_label=where.token, token_serial=where.serial)
            with token.open(user_pin=pin) as session:
                private = self._key(session, pkcs11.ObjectClass.PRIVATE_KEY)
                if not wraps:
                    return bytes(private.decrypt(secret, **self._oaep()))
                wrapped = bytes(self._key(session, pkcs11.ObjectClass.PUBLIC_KEY).encrypt(secret, **self._oaep()))
                if bytes(private.decrypt(wrapped, **self._oaep())) != secret:
                    raise NoKey("what the module has wrapped it does not unwrap")
                return wrapped
        except pkcs11.exceptions.PKCS11Error as error:
            raise NoKey(f"token {where.token}: {type(error).__name__}") from None

    def _library(self) -> Any:
        try:
            return self.pkcs11.lib(str(self.where.module))
        except (OSError, RuntimeError):  # it is not there, is none, or does not begin
            raise NoKey(f"{self.where.module}: cannot be used as a module") from None

    def _key(self, session: Any, kind: Any) -> Any:
        said = {"label": self.where.object, "id": self.where.id}
        return session.get_key(
            object_class=kind, key_type=self.pkcs11.KeyType.RSA, **{name: one for name, one in said.items() if one}
        )

    def _oaep(self) -> dict[str, Any]:
        hashes, pkcs11 = self.pkcs11.Mechanism, self.pkcs11
        return {"mechanism": hashes.RSA_PKCS_OAEP, "mechanism_param": (hashes.SHA_1, pkcs11.MGF.SHA1, None)}


def unwrapped(uri: str, file: Path) -> bytes:
    """The key that the file holds wrapped. Raises NoKey."""
    try:
        wrapped = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except OSError as error:
        raise NoKey(f"{file}: {error.strerror}; `aval keys wrap` makes it") from None
    except ValueError:
        raise NoKey(f"{file}: is not what `aval keys wrap` makes") from None
    secret = _Module(place(uri)).does(wrapped, wraps=False)
    if len(secret) != SECRET_BYTES:
        raise NoKey(f"{file}: holds something else than a key")
    return secret


def wrapped(uri: str, secret: bytes) -> bytes:
    """What the file is to hold: the module has unwrapped it once. Raises NoKey."""
    return _Module(place(uri)).does(secret, wraps=True)


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["unwrap", uri, file]:
                print(unwrapped(uri, Path(file)).hex())
            case ["wrap", uri]:
                print(wrapped(uri, bytes.fromhex(sys.stdin.read().strip())).hex())
            case _:
                raise NoKey("unwrap URI FILE, or wrap URI")
    except NoKey as wrong:
        print(f"keys: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
