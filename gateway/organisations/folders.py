"""Folders into which organisations drop their files. `look` runs every minute in the process that leads common work.

A file is taken when it has not changed for ten seconds, or its checksum lies beside it (NAME.sha256). What was taken in
is deleted here, since it is kept sealed in the database and no longer than declared: `done/` gets a receipt in its
place. What was refused is moved to `refused/`, with the reason beside it, and leaves when a file would have left.

Whoever may write into the folder is not trusted: only regular files are read, never through a link, in the folder that
was opened once; nothing that is not of a declared name is touched. What comes under the name of a file while it is read
stays, for the next look.
"""

import contextlib
import json
import logging
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial

from gateway.errors import GatewayError, where
from gateway.formats.filed import BadFile
from gateway.ground.store import Connection
from gateway.house import House
from gateway.organisations import file_codes, files, given_files, views
from gateway.organisations.file_rules import KIND, FileName, FilesView
from gateway.organisations.given_files import SUM_DIGITS, FileState, GivenFile
from gateway.organisations.views import OrganisationView

LOOK_SECONDS = 60
STILL_SECONDS = 10
KEPT_BYTES = 200  # of a name, behind the moment: a file's name has 255 at most
DONE, REFUSED = "done", "refused"
_log = logging.getLogger("gateway.organisations")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folders:
    """What was told once is remembered until a restart."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._told: set[tuple[str, str]] = set()
        # (organisation, states of the file and its checksum) → how it is put away, where that could not be done yet
        self._left: dict[tuple[str | FileState | None, ...], Callable[[int], None]] = {}

    def look(self) -> bool:
        """Take what is there. A fault of one folder keeps nobody from another. Returns False: once is enough."""
        with self._house.store.read() as session:
            found = [view for view in views.directory(session).values() if view.kind == KIND and not view.leaving]
        folders = Counter(os.path.realpath(view.files.folder) for view in found if view.files and view.files.folder)
        for view in found:
            if view.files is None or not view.files.folder:
                continue
            if folders[os.path.realpath(view.files.folder)] > 1:
                text = "its folder is another organisation's as well, and nothing is taken: give each its own"
                self._once(view.id, "shared", text)
            else:
                self._look_into(view, view.files)
        return False

    def _look_into(self, view: OrganisationView, declared: FilesView) -> None:
        try:
            with _opened(declared.folder) as folder:
                for name in sorted(os.listdir(folder)):
                    self._consider(view, declared, folder, name)
                _forget_refused(declared, folder, self._house.clock())
        except OSError as error:
            inside = f"{error.filename} in " if error.filename in (DONE, REFUSED) else ""
            text = f"{inside}its folder cannot be used ({error.strerror}): correct it, or its rights"
            self._once(view.id, "folder", text)
        else:
            self._told.discard((view.id, "folder"))

    def _once(self, organisation: str, what: str, text: str) -> None:
        if (organisation, what) not in self._told:
            self._told.add((organisation, what))
            _log.warning("files: %s: %s", organisation, text)

    def _consider(self, view: OrganisationView, declared: FilesView, folder: int, name: str) -> None:
        if name in (DONE, REFUSED) or name.endswith(".sha256"):
            return
        known = next((each for each in declared.names if fnmatchcase(name, each.pattern)), None)
        if known is None:
            # not its name: people name files after people; and once for all, since there may be thousands
            self._once(view.id, "name", "files of no declared name lie in its folder and are left there")
        elif _ready(folder, name):
            try:
                self._take(view, declared, known, folder, name)
            except OSError as error:
                if error.filename in (DONE, REFUSED):
                    raise
                text = f"a file for {known.call or 'codes'} cannot be taken or put away, and is left there"
                self._once(view.id, f"cannot {name}", f"{text} ({error.strerror})")
            except GatewayError:
                raise
            except Exception as error:  # a fault of ours, which must not keep other files from being taken
                self._once(view.id, f"fault {name}", f"a file cannot be read and is left there: {where(error)}")

    def _take(self, view: OrganisationView, declared: FilesView, known: FileName, folder: int, name: str) -> None:
        now = self._house.clock()
        read = {each: _state(folder, each) for each in (name, f"{name}.sha256")}
        key = (view.id, *read.values())
        if key not in self._left:
            # first: what could not be put away would come every minute
            with _opened(DONE, folder, make=True):
                self._left[key] = self._read(view, declared, known, folder, name, read, now)
        self._left[key](folder)
        del self._left[key]

    def _read(
        self,
        view: OrganisationView,
        declared: FilesView,
        known: FileName,
        folder: int,
        name: str,
        read: Mapping[str, FileState | None],
        now: datetime,
    ) -> Callable[[int], None]:
        """Take the file in, or not. Returns how it is put away, which may be tried again."""
        try:
            with given_files.opened(name, folder) as file:
                given = GivenFile(file, given_files.beside(name, folder), declared.most_bytes)
                if known.call:
                    done = files.bring(self._house, view, known.call, given, now)
                else:
                    done = file_codes.bring(self._house, view, given, now)
        except BadFile as wrong:
            _log.warning("files: %s: a file for %s is refused: %s", view.id, known.call or "codes", wrong)
            return partial(_refuse, name=name, read=read, why=str(wrong), now=now)
        told = f"{files.told(view.id, done)}\nSHA-256 {done.sha256}\n"
        its = read if given.state == read[name] else {}  # and not one that came between
        return partial(_receipt, name=name, read=its, told=told, now=now)


def unusable(folder: str) -> str:
    """Why nothing can be taken from a declared folder, as far as whoever asks can see; "": it can."""
    if not os.path.exists(folder):
        return "is not there"
    if not os.path.isdir(folder):
        return "is no folder"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return "cannot be read and written by this user"
    return ""


def of(connection: Connection) -> list[tuple[str, str]]:
    """(id, folder) of each organisation that has one. Uses a bare connection, as `views.addresses`."""
    rows = connection.execute("SELECT id, declaration FROM organisation ORDER BY id")
    found = [(name, json.loads(declaration)["connection"].get("files", {})) for name, declaration in rows]
    return [(name, table["folder"]) for name, table in found if table.get("folder")]


@contextlib.contextmanager
def _opened(path: str, inside: int | None = None, *, make: bool = False) -> Iterator[int]:
    """A folder, never through a link where it is inside another."""
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700, dir_fd=inside)
    handle = os.open(path, _FOLDER if inside is not None else _FOLDER & ~os.O_NOFOLLOW, dir_fd=inside)
    try:
        yield handle
    finally:
        os.close(handle)


def _ready(folder: int, name: str) -> bool:
    """Whether it is a whole file, as far as one can see."""
    found, beside = given_files.looked_at(name, folder), given_files.looked_at(f"{name}.sha256", folder)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False
    if beside is not None and beside.st_size >= SUM_DIGITS:  # else it may be half written itself
        return True
    return _age(beside or found) >= STILL_SECONDS


def _age(found: os.stat_result) -> float:
    """Seconds since its last change, by this machine's clock: its own times may be of another's making."""
    return time.time() - found.st_ctime


def _state(folder: int, name: str) -> FileState | None:
    """None: there is no such file."""
    found = given_files.looked_at(name, folder)
    return None if found is None or stat.S_ISDIR(found.st_mode) else given_files.state_of(found)


def _unchanged(folder: int, read: Mapping[str, FileState | None]) -> Iterator[str]:
    """The names under which still is what was read."""
    for name, state in read.items():
        if state is not None and _state(folder, name) == state:
            yield name


def _receipt(folder: int, name: str, read: Mapping[str, FileState | None], told: str, now: datetime) -> None:
    with _opened(DONE, folder, make=True) as there, contextlib.suppress(FileExistsError):
        _write(there, f"{_stamped(name, now)}.txt", told)
    for each in _unchanged(folder, read):
        os.unlink(each, dir_fd=folder)


def _refuse(folder: int, name: str, read: Mapping[str, FileState | None], why: str, now: datetime) -> None:
    with _opened(REFUSED, folder, make=True) as there:
        kept = _stamped(name, now)
        with contextlib.suppress(FileExistsError):
            _write(there, f"{kept}.why", f"{why}\n")
        for each in _unchanged(folder, read):
            os.rename(each, kept + each.removeprefix(name), src_dir_fd=folder, dst_dir_fd=there)


def _stamped(name: str, now: datetime) -> str:
    """A file of the same name comes every day. Of a long name its end."""
    return f"{now:%Y%m%dT%H%M%S%f}-{os.fsdecode(os.fsencode(name)[-KEPT_BYTES:])}"


def _write(folder: int, name: str, text: str) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _forget_refused(declared: FilesView, folder: int, now: datetime) -> None:
    """A refused file lies there as it came, with people's data in it."""
    with contextlib.suppress(FileNotFoundError), _opened(REFUSED, folder) as there:
        for name in os.listdir(there):
            found = os.stat(name, dir_fd=there, follow_symlinks=False)
            since = datetime.fromtimestamp(found.st_ctime, now.tzinfo)
            if stat.S_ISREG(found.st_mode) and declared.kept.after(since) <= now:
                os.unlink(name, dir_fd=there)
