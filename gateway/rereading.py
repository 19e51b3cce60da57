"""Policies and keys, read again when their files change, in every process and without a restart.

Nothing is asked of any request: a thread looks at the files' stat a few times a second. What has changed, and has then
stood still for one look, is read whole. What is valid takes the place of what was there, in one assignment. What has a
fault is not taken: the gateway goes on as it was, and says once in its log what is wrong where.

    policies   the catalogue and the rules of Cedar together; whoever is answering a request ends it under the old ones
    keys       those that never change: if one does, it is told, because what it sealed could not be opened

Token keys are rows of the database. They are read twice a second, by a thread of their own: whoever has ended one knows
for how long another process may still have accepted it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gateway.catalogue import Catalogue, CatalogueError
from gateway.errors import Unavailable
from gateway.formats.registry import checked
from gateway.ground.keys import KeyRing, files
from gateway.ground.ops.logs import logger
from gateway.ground.store import signing_keys
from gateway.house import House
from gateway.policy import Policies, PolicyError
from gateway.settings import PACKAGED_POLICIES

LOOK_SECONDS = 0.25  # twice that, and the reading, within a second
PATTERNS = ("*.cedar", "*.cedarschema", "*.json", "formats/*.toml", "sectors/*.toml", "datasets/*.toml",
            "purposes/*.toml", "scopes/*.toml")  # fmt: skip

State = tuple[tuple[str, ...], ...]


class NotTaken(Exception):
    """What was read is not taken. Each fault tells the file, and what is wrong or would be right."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Watched:
    """The files of one part. `read` returns what takes their content; it raises NotTaken, and so may what it returns,
    which may raise Unavailable as well: then it is tried again at the next look."""

    def __init__(self, name: str, files: Callable[[], Iterable[Path]], read: Callable[[], Callable[[], None]]) -> None:
        self._name, self._files, self._read = name, files, read
        self._seen: State | None = None
        self._done: State | None = None  # was taken or refused; None: it may have changed since the start read it
        self._faults: tuple[str, ...] = ()

    def fault(self) -> str:
        """Why the files are not taken as they are; empty: they are."""
        return "; ".join(self._faults)

    def look(self) -> None:
        seen, self._seen = self._seen, self._state()
        if self._seen != seen or self._seen == self._done:  # not changed; or changed just now, and perhaps half written
            return
        faults: tuple[str, ...] = ()
        try:
            take = self._read()
            if self._state() != self._seen:  # changed while it was read
                return
            take()
        except NotTaken as error:
            faults = error.faults
        except Unavailable as error:
            self._tell((error.detail,))
            return
        except Exception as error:  # whatever a file makes the reading do, it is said once, and the gateway goes on
            faults = (f"cannot be read: {type(error).__name__}",)
        self._done = self._seen
        self._tell(faults)

    def _tell(self, faults: tuple[str, ...]) -> None:
        if faults and faults != self._faults:
            logger().error(f"changed {self._name} are not taken; those before go on", faults=list(faults))
        elif self._faults and not faults:
            logger().info(f"{self._name} have no fault any more")
        self._faults = faults

    def _state(self) -> State:
        return tuple([_stat(path) for path in self._files()])


def _stat(path: Path) -> tuple[str, ...]:
    """What is another after any change to the file, whether it was written or another was put in its place."""
    try:
        found = os.stat(path)
    except OSError as error:
        return str(path), error.strerror or ""
    return str(path), f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_mode}"


class Rereading:
    """Both parts of one process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.policies = Watched("policies", self._policy_files, self._policies)
        self.keys = Watched("keys", self._key_files, self._keys)
        self._unopened: tuple[str, ...] = ()  # faults of token keys

    def look(self) -> bool:
        """Returns that there is no more to do at once."""
        self.policies.look()
        self.keys.look()
        return False

    # ---- policies

    def _policy_files(self) -> Iterable[Path]:
        folder = self._house.settings.policies
        if folder == PACKAGED_POLICIES:  # they belong to a version, and change only with another one
            return ()
        return sorted(path for pattern in PATTERNS for path in folder.glob(pattern))

    def _policies(self) -> Callable[[], None]:
        folder = self._house.settings.policies
        try:
            catalogue, policies = checked(Catalogue(folder)), Policies(folder)
        except CatalogueError as error:
            raise NotTaken(error.faults) from None
        except PolicyError as error:
            raise NotTaken((str(error),)) from None
        if not catalogue.purposes or not catalogue.datasets:  # a folder that is being filled, or is not mounted
            raise NotTaken((f"{folder}: no file in purposes/, or none in datasets/",))
        return lambda: self._take_policies(catalogue, policies)

    def _take_policies(self, catalogue: Catalogue, policies: Policies) -> None:
        latest = self._house.latest
        if (catalogue.sha256, policies.sha256) == (latest.catalogue.sha256, latest.policies.sha256):
            return
        self._house.renew(catalogue, policies)
        logger().info("policies taken", catalogue=catalogue.sha256[:12], rules=policies.sha256[:12])

    # ---- keys

    def key_fault(self) -> str:
        """Why the keys are not taken as they are; empty: they are."""
        return self.keys.fault() or "; ".join(self._unopened)

    def _key_files(self) -> Iterable[Path]:
        keys = self._house.keys
        return files.watched(keys.folder, keys.sealing.file)

    def _keys(self) -> Callable[[], None]:
        keys = self._house.keys
        try:
            found = KeyRing(keys.folder, sealing=keys.sealing)
        except Unavailable as error:
            raise NotTaken((error.detail,)) from None
        paths = set(self._key_files())
        open_ = [(path, mode) for path, mode in files.open_files(keys.folder) if path in paths]
        if open_:
            raise NotTaken([f"keys: {path}: others can read it; chmod {mode} {path}" for path, mode in open_])
        if foreign := keys.foreign(found):
            raise NotTaken([f"keys: {keys.place(name)}: never changes; put back the one before" for name in foreign])
        return lambda: None

    @contextlib.contextmanager
    def watching_keys(self) -> Iterator[None]:
        """Somebody calls `look_at_token_keys` all the time meanwhile; else it is noticed (`KeyRing.watch`)."""
        self._house.keys.watch(True)
        try:
            yield
        finally:
            self._house.keys.watch(False)

    def look_at_token_keys(self) -> bool:
        """Returns that there is no more to do at once. Raises Unavailable."""
        keys = self._house.keys
        before, signers = keys.signing, _signers(keys)
        wrong = signing_keys.read(self._house.store, keys, time.time())
        faults = tuple([f"keys: token key {signing_keys.short(kid)} {signing_keys.UNSEALED}" for kid in wrong])
        if faults and faults != self._unopened:
            logger().error("token keys are not accepted", faults=list(faults))
        self._unopened = faults
        if keys.signing is not before:
            logger().info("token keys taken", accepted=[signing_keys.short(key.kid) for key in keys.signing])
        for algorithm, kid in _signers(keys).items():
            if signers.get(algorithm) != kid:
                logger().info("another key signs", algorithm=algorithm, kid=signing_keys.short(kid))
        return False


def _signers(keys: KeyRing) -> dict[str, str]:
    return {algorithm: keys.signer_of(algorithm).kid for algorithm in keys.algorithms}
