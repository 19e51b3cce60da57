"""What every command begins with: reading the settings and opening the house."""

import contextlib
import fcntl
import os
import shlex
import sqlite3
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from gateway.errors import GatewayError, NotFound, Unavailable
from gateway.house import House
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import Connection, Store

NO = 1  # the answer is no: something was refused, is wrong or was tampered with
CANNOT = 2  # wrong command line or settings, or it could not be done or checked

LEAD_AGAIN_SECONDS = 1.0  # so often the lead is used: the server takes it from who is silent for four seconds

FOREIGN_KEY = "holds another key than this database was used with"
KEYS_BACK = "put the key files back from where you keep them"


def stop(text: str, code: int = CANNOT) -> NoReturn:
    """Print `text` to standard error, one line per fault, and exit with `code`."""
    for line in text.splitlines():
        print(f"aval: {line}", file=sys.stderr)
    raise typer.Exit(code)


def settings() -> Settings:
    """The settings. If some are wrong, all faults are printed, each with the place where it was set."""
    try:
        return Settings()
    except ValidationError as error:
        stop("\n".join(_fault(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()))
    except SettingsError as error:
        stop(f"settings: {error}")
    except OSError as error:
        stop(f"settings: {os.environ.get('AVAL_CONFIG')}: cannot be read ({error.strerror})")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        stop(f"settings: {os.environ.get('AVAL_CONFIG')}: is not TOML: {error}")


def _fault(name: str, message: str) -> str:
    wrong = message.removeprefix("Value error, ")
    if name not in Settings.model_fields:
        return f"{source(name)}: {name}: there is no such setting; `aval settings` lists them"
    return f"{source(name)}: {name}: {wrong[:1].lower()}{wrong[1:]} ({Settings.model_fields[name].description})"


def source(name: str) -> str:
    """Where a setting's value comes from: an environment variable, the file, or the default."""
    variable = f"AVAL_{name}".upper()
    if variable in {key.upper() for key in os.environ}:
        return variable
    config = os.environ.get("AVAL_CONFIG")
    with contextlib.suppress(OSError, ValueError):
        if config and name in tomllib.loads(Path(config).read_text(encoding="utf-8")):
            return config
    return "default" if name in Settings.model_fields else "settings"


def tell_begun(where: str, keys: Path) -> None:
    """Whoever was pointed at the wrong database, or has not the keys she thought, reads it here."""
    print(f"aval: a new gateway was begun at {where} with the keys in {keys}", file=sys.stderr)


@contextlib.contextmanager
def opened(*, make: bool = False, begun: Callable[[str, Path], None] = tell_begun) -> Iterator[House]:
    """The house, with its database migrated to this version and its keys pinned (`pinned`).

    `make`: where there is no database, begin one, with its folder and keys. Only for commands that can be a gateway's
    first; every other one can only have been pointed at the wrong folder, and must not leave an empty gateway there.
    `begun`: told where, and with which folder of keys, if the gateway is new.
    """
    from gateway.app import build_house
    from gateway.catalogue import CatalogueError
    from gateway.ground.store import migrate
    from gateway.policy import PolicyError

    named, using = source("data_dir"), settings()
    tell_of_demo(using, named)
    try:
        if not make and migrate.current(using) is None:
            no_gateway(using, named)
        house = build_house(using, keys_of=partial(_keys, using, begun))
    except (CatalogueError, PolicyError) as error:
        stop(f"policies: {error}")
    except Unavailable as error:
        stop(error.detail)
    except OSError as error:
        stop(f"{using.data_dir}: {error.strerror}; data_dir must be a folder that can be written")
    try:
        yield house
    except NotFound as error:
        stop(f"not found here: {error.detail}; `aval organisations list` and `aval apps list` show what there is")
    except GatewayError as error:
        stop(error.detail or error.say)
    finally:
        house.store.close()


@contextlib.contextmanager
def alone(house: House) -> Iterator[None]:
    """Only this process serves the data and signs its log: for the server, and for what none may run beside. Raises
    Unavailable."""
    from gateway.log import mark

    house.store.claim()
    if not house.store.alone:
        yield
        return
    with mark.held(house.settings.mark):
        yield


@contextlib.contextmanager
def nobody_serves(store: "Store") -> Iterator[Callable[[], "Connection"]]:
    """No process of a gateway serves this database meanwhile, on any machine: one of them always has the lead of the
    log. Raises Unavailable.

    Yields what gives the connection of the lead, for the last transaction: with the connection that would be lost, too.
    It raises Unavailable when the lead was lost before; another process may have led since.
    """
    lead, over, lost = store.lead("log"), threading.Event(), threading.Event()
    with contextlib.closing(lead):
        connection = lead.taken()
        if connection is None:
            raise Unavailable(f"a gateway serves {store.where}; stop all its processes first, on every machine")

        def keep() -> None:
            try:
                while not over.wait(LEAD_AGAIN_SECONDS):
                    connection.execute("SELECT 1")
            except Exception:  # whatever it is: it is not known any more that nobody else leads
                lost.set()

        keeping = threading.Thread(target=keep, name="lead", daemon=True)

        def leading() -> "Connection":
            over.set()
            keeping.join()
            if not lost.is_set():
                with contextlib.suppress(Exception):
                    connection.execute("SELECT 1")
                    return connection
            raise Unavailable(f"{store.where}: the connection that keeps gateways from serving it was lost meanwhile")

        keeping.start()
        try:
            yield leading
        finally:
            over.set()
            keeping.join()


@contextlib.contextmanager
def looking(using: Settings) -> Iterator[tuple[Any, bool]]:
    """(bare connection, whether one process alone serves this database), to read it as it is, however long that takes.
    Nothing is written. Raises Unavailable."""
    from gateway.ground.store import open_store
    from gateway.ground.store.contract import translated
    from gateway.ground.store.statements import unhurried
    from gateway.log import verify

    if using.database_url:
        with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
            with translated(store):
                connection.execute("SET default_transaction_read_only = on")
                unhurried(connection)
                yield connection, store.alone
        return
    try:
        with contextlib.closing(verify.open_read_only(using.database)) as connection:
            yield connection, True
    except sqlite3.OperationalError as error:
        raise Unavailable(f"{using.database}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"{using.database}: the file is damaged: {error}") from error


def is_there(using: Settings) -> bool:
    """Whether a gateway has begun its database there. A file is not opened for this."""
    from gateway.ground.store import migrate

    try:
        return migrate.current(using) is not None if using.database_url else using.database.exists()
    except Unavailable as error:
        stop(error.detail)


def where(using: Settings) -> str:
    """The database of these settings, for messages."""
    from gateway.ground.store.postgres.address import shown

    return shown(using.database_url) if using.database_url else str(using.database)


def no_gateway(using: Settings, named: str) -> NoReturn:
    """Stop: the folder is most likely not the one that was meant. `named`: where its name comes from."""
    if using.database_url:
        stop(f"{where(using)}: no gateway has its data there; nothing was made. A new one begins with `aval serve`")
    why = "AVAL_DATA_DIR is not set, and this is the default" if named == "default" else f"named by {named}"
    stop(
        f"{using.data_dir}: no gateway has its data there ({why}); nothing was made. "
        "Name the folder of one: export AVAL_DATA_DIR=FOLDER; a new one begins with `aval serve`"
    )


def tell_of_demo(using: Settings, named: str) -> None:
    """Beside a running demo, say which settings are its own. Told of no folder, a command works on another database
    than the one on the screen; told of no address, it names addresses where nobody answers."""
    if named == "default":
        for lock in sorted(Path(".demo").glob("**/demo.lock")) if not using.database_url else ():
            if (running := _running(lock))[0]:
                own = _exports(lock.resolve().with_name("gateway"), *running)
                print(f"aval: a demo runs at {running[0]}; to work on that one: export {own}", file=sys.stderr)
        return
    url, database, password = _running(_lock(using))
    unnamed = password if not using.database_password_file else ""
    if url and ((url, database) != (using.public_url, without_password(using.database_url)) or unnamed):
        own = _exports(None, url, database if not using.database_url else "", unnamed)
        print(f"aval: the demo of this folder runs at {url}: export {own}", file=sys.stderr)


def _exports(folder: Path | None, url: str, database: str, password: str) -> str:
    named = (
        ("DATA_DIR", folder),
        ("PUBLIC_URL", url),
        ("DATABASE_URL", database),
        ("DATABASE_PASSWORD_FILE", password),
    )
    return " ".join(f"AVAL_{name}={shlex.quote(str(value))}" for name, value in named if value)


def demo_of(using: Settings) -> str:
    """The address of the running `aval demo` whose gateway has its data in this folder; empty: none runs."""
    return _running(_lock(using))[0]


def _lock(using: Settings) -> Path:
    return using.data_dir.absolute().parent / "demo.lock"


def _running(lock: Path) -> tuple[str, str, str]:
    """Of the `aval demo` that holds the lock: its gateway's address; where its database is not in the folder, that of
    the database, and the file with its password, if it has one. All empty: none does."""
    with contextlib.suppress(OSError), lock.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            url, database, password, *_ = [*held.read().split("\n"), "", "", ""]
            return url, database, password
    return "", "", ""


def without_password(url: str) -> str:
    """An address as it may be shown: with its user, and without a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(hidden)"
    user, at, hosts = parts.netloc.rpartition("@")
    kept = [part for part in parts.query.split("&") if "password" not in part.lower()]
    if "@" in parts.path + parts.query + parts.fragment or "@" in user:  # a password that was not escaped
        return "(hidden)"
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + hosts, query="&".join(kept)))


def _keys(using: Settings, begun: Callable[[str, Path], None], store: "Store") -> "KeyRing":
    from gateway.ground.store import migrate

    migrate.upgrade(using)
    return pinned(using, store, begun)


def pinned(
    using: Settings, store: "Store", begun: Callable[[str, Path], None] = tell_begun, *, make: bool = True
) -> "KeyRing":
    """The keys, which are those of this database from now on: of several who begin one with different keys, the first
    pins its own, and the others stop here. `make`: missing ones are made, if none are pinned and nothing was sealed,
    which new ones could not open. Whoever loses has made none. Those whose commit failed stay: it may have happened all
    the same, and if not, they are pinned at the next start. Raises Unavailable."""
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import key_checks, signing_keys

    rings: list[KeyRing] = []
    pins: Mapping[str, str] = {}
    new = False

    def read(connection: "Connection", known: Mapping[str, str]) -> Mapping[str, str]:
        nonlocal pins, new
        pins, new = known, not known and not _sealed(connection)
        rings.append(KeyRing.of(using, create=make and new))
        return rings[-1].checks

    try:
        found = key_checks.pin(store, read)
    except Unavailable as error:
        if error.detail.startswith("keys:"):
            stop(f"{error.detail}; {_whose(using, store, pins)}")
        raise
    if found.foreign:
        faults = [f"keys: {rings[-1].place(file)}: {FOREIGN_KEY}" for file in found.foreign]
        stop("\n".join([*faults, f"keys: {_whose(using, store, pins)}"]))
    settle = timedelta(seconds=using.key_settle_seconds)
    signing_keys.begin(store, rings[-1], datetime.now(UTC), settle, make=make)
    if found.first and new:
        begun(store.where, using.keys)
    return rings[-1]


def _whose(using: Settings, store: "Store", pins: Mapping[str, str]) -> str:
    """Which keys are the right ones, and how they come here."""
    from gateway.ground.store import signing_keys

    if not pins:
        return KEYS_BACK
    with store.read() as session:
        newest = next((row.kid for row in signing_keys.rows(session)), "")
    shown = f", whose newest token key is {newest} in its /jwks.json" if newest else ""
    began = f"{store.where} was begun with the keys of another folder or machine{shown}"
    with contextlib.closing(store.connect()) as connection:
        anew = "" if _sealed(connection) else "; or, as nothing is kept under them yet, begin with an empty database"
    return f"{began}: copy the keys folder of the machine that began to {using.keys}, or {KEYS_BACK}{anew}"


def _sealed(connection: "Connection") -> bool:
    """Whether anything is kept that only the keys of then can open or name."""
    from gateway.log import record
    from gateway.organisations import views

    return record.are_there(connection) or views.are_there(connection)


def nothing_sealed(using: Settings) -> bool:
    """Whether no key was ever used with this database: none is there, or one without a pinned key and empty. Raises
    Unavailable."""
    from gateway.ground.store import key_checks, migrate, open_store

    if migrate.current(using) is None:
        return True
    with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
        return not (key_checks.known(connection) or _sealed(connection))
