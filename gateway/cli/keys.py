"""`aval keys`: lists the keys, without their private parts."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.opening import is_there, no_gateway, settings, source, stop, tell_of_demo
from gateway.cli.tables import table
from gateway.ground.calendar.instants import local_day
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.ground.keys import KeyRing
    from gateway.ground.keys.ring import SigningKey

commands = typer.Typer(no_args_is_help=True, help="The gateway's keys.", rich_markup_mode=None)


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the keys: what for, algorithm, made when, file and its mode, when it signs, public name. No private part.

    \b
    aval keys list

    Of the token keys one signs now; a newer one does from the time on that is shown (AVAL_KEY_SETTLE_SECONDS after its
    file came), and what the older ones have signed is accepted as long as their files are there.

    The public name of a token key is its `kid`; that of the log key is the verifier key an auditor needs for
    `aval log verify --key`.
    """
    from gateway.errors import Unavailable
    from gateway.ground.keys import KeyRing
    from gateway.log.notes import Signer

    using, named = settings(), source("data_dir")
    tell_of_demo(using, named)
    try:
        ring = KeyRing(using.keys, settle_seconds=using.key_settle_seconds)
    except Unavailable as error:
        if not is_there(using):
            no_gateway(using, named)
        stop(f"{error.detail}; `aval serve` makes them at its first start")
    files = sorted(using.keys.glob("token-*.pem"), reverse=True)
    try:
        verifier = str(Signer(_log_name(using), ring.log).verifier)
    except Unavailable as error:
        stop(error.detail)
    found = [
        *(
            ("tokens", "ES256", key.kid, path, when)
            for (key, when), path in zip(_turns(ring, using), files, strict=True)
        ),
        ("log", "Ed25519", verifier, using.keys / "log.pem", "now"),
        ("sealing", "AES-256-GCM", "", using.keys / "kek.hex", ""),
        ("derived secrets", "HKDF-SHA256", "", using.keys / "root.hex", ""),
    ]
    rows = [_row(*key, using.zone) for key in found]
    table(rows, as_json, "No keys yet: aval serve makes them")


def _turns(ring: "KeyRing", using: Settings) -> "Iterator[tuple[SigningKey, str]]":
    """Each token key, newest first, and when it signs: now, from a time on that is to come, or not any more."""
    to_come = True
    for key in ring.signing:
        if key is ring.signer:
            to_come = False
            yield key, "now"
        else:
            begins = datetime.fromtimestamp(key.since + using.key_settle_seconds, UTC)
            yield key, f"from {begins:%Y-%m-%d %H:%M} UTC" if to_come else "no more"


def _log_name(using: Settings) -> str:
    from gateway.ground.store import migrate, open_store
    from gateway.log.signed import first_name, origin

    if migrate.serves(using):
        return first_name(using)
    with contextlib.closing(open_store(using)) as store, contextlib.closing(store.connect()) as connection:
        return origin(connection, using)


def _row(use: str, algorithm: str, name: str, path: Path, signs: str, zone: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "for": use,
        "algorithm": algorithm,
        "made": local_day(datetime.fromtimestamp(found.st_mtime, UTC), zone).isoformat(),
        "mode": f"{found.st_mode & 0o777:03o}",
        "file": str(path),
        "signs": signs,
        "public": name,
    }
