"""`aval migrate`: the database brought to the schema of this version."""

import contextlib

import typer

from gateway.cli.opening import pinned, settings, source, stop, tell_of_demo, where
from gateway.errors import Unavailable
from gateway.settings import Settings


def migrate() -> None:
    """Bring the database to the schema of this version. `aval serve` does so too at its start.

    \b
    aval migrate

    One transaction: if it is interrupted, the old schema stays. Ends 2 on a database of a newer version, and on
    one that holds the tables of something else.

    A new database is pinned to the keys of AVAL_KEYS_DIR, if they are there; it makes none. The token-*.pem of a
    release before become rows of the database then, where they are there; else at the first start.
    """
    from gateway.ground.store import migrate as steps

    using = settings()
    tell_of_demo(using, source("data_dir"))
    try:
        before, now = steps.upgrade(using)
    except Unavailable as error:
        stop(error.detail)
    if before is None:
        done = f"made, empty, with schema {now} of this version"
    elif now > steps.HEAD:
        done = f"has schema {now} of a newer version, beside which this one may serve; nothing to do"
    elif before == now:
        done = f"has schema {now} of this version; nothing to do"
    else:
        done = f"brought from schema {before} to {now} of this version"
    typer.echo(f"{where(using)}: {done}")
    if before is None or _has_no_token_key(using):
        _pin(using)


def _has_no_token_key(using: Settings) -> bool:
    from gateway.ground.store import open_store, signing_keys

    try:
        with contextlib.closing(open_store(using)) as store, store.read() as session:
            return not signing_keys.rows(session)
    except Unavailable as error:
        stop(error.detail)


def _pin(using: Settings) -> None:
    """Only once: afterwards this may run from anywhere, and needs no keys."""
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import open_store

    try:
        KeyRing.of(using)
    except Unavailable:  # not here, or not all of them, or not for whoever migrates: the first that serves pins its own
        return
    try:
        with contextlib.closing(open_store(using)) as store:
            pinned(using, store, make=False)
    except Unavailable as error:
        stop(error.detail)
