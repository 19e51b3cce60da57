"""`aval keys`: lists the keys, without their private parts, and makes the next token key."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.opening import is_there, no_gateway, opened, settings, source, stop, tell_of_demo
from gateway.cli.tables import table
from gateway.ground.calendar.instants import local_day
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.ground.keys import KeyRing
    from gateway.ground.store import Store
    from gateway.ground.store.signing_keys import Rotated
    from gateway.house import House

commands = typer.Typer(no_args_is_help=True, help="The gateway's keys.", rich_markup_mode=None)

OTHERS_SECONDS = 300  # for so long others may keep /jwks.json


class Signing(StrEnum):
    ES256 = "ES256"
    PS256 = "PS256"
    RS256 = "RS256"
    EDDSA = "EdDSA"


@commands.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the keys: what for, algorithm, made when, where it is, its state, public name. No private part.

    \b
    aval keys list
    aval keys list --json | jq '.[] | select(.public == "KID") | .jwk'      the public key of an old receipt

    Of the token keys of an algorithm one signs; a next one does from the time on that is shown, and those before are
    accepted until what they have signed is over.

    The public name of a token key is its `kid`; that of the log key is the verifier key an auditor needs for
    `aval log verify --key`.
    """
    from gateway.errors import Unavailable
    from gateway.ground.keys import KeyRing
    from gateway.log.notes import Signer

    using, named = settings(), source("data_dir")
    tell_of_demo(using, named)
    try:
        ring = KeyRing.of(using)
    except Unavailable as error:
        if not is_there(using):
            no_gateway(using, named)
        stop(f"{error.detail}; `aval serve` makes them at its first start")
    try:
        verifier = str(Signer(_log_name(using), ring.log).verifier)
        rows = [
            *_token_keys(using, ring),
            _of_file("log", "Ed25519", using.keys / "log.pem", "signs", verifier, using.zone),
            _sealing(ring, using.zone),
            _of_file("derived secrets", "HKDF-SHA256", using.keys / "root.hex", "", "", using.zone),
        ]
    except Unavailable as error:
        stop(error.detail)
    for row in rows if not as_json else ():
        row.pop("jwk", None)
    table(rows, as_json, "No keys yet: aval serve makes them")


def _token_keys(using: Settings, ring: "KeyRing") -> list[dict[str, Any]]:
    """Those of the table, the newest first. Where it has none yet, none."""
    from gateway.ground.store import migrate, signing_keys

    if migrate.serves(using):
        return []
    now = datetime.now(UTC)
    with _store(using) as store:
        wrong = signing_keys.read(store, ring, now.timestamp())
        with store.read() as session:
            rows = signing_keys.rows(session)
    signers = {ring.signer_of(name).kid for name in ring.algorithms}
    return [
        {
            "for": "tokens",
            "algorithm": row.algorithm,
            "made": local_day(row.created_at, using.zone).isoformat(),
            "place": "database",
            "state": "cannot be opened" if row.kid in wrong else signing_keys.state(row, row.kid in signers, now),
            "public": row.kid,
            "jwk": json.loads(row.public),
        }
        for row in rows
    ]


def _sealing(ring: "KeyRing", zone: str) -> dict[str, Any]:
    if ring.sealing.file is not None:
        return _of_file("sealing", "AES-256-GCM", ring.sealing.file, "", "", zone)
    return {
        "for": "sealing",
        "algorithm": "AES-256-GCM",
        "made": "",
        "place": ring.sealing.where,
        "state": "",
        "public": "",
    }


def _of_file(use: str, algorithm: str, path: Path, state: str, name: str, zone: str) -> dict[str, Any]:
    found = path.stat()
    return {
        "for": use,
        "algorithm": algorithm,
        "made": local_day(datetime.fromtimestamp(found.st_mtime, UTC), zone).isoformat(),
        "place": f"{path} ({found.st_mode & 0o777:03o})",
        "state": state,
        "public": name,
    }


def _log_name(using: Settings) -> str:
    from gateway.ground.store import migrate
    from gateway.log.signed import first_name, origin

    if migrate.serves(using):
        return first_name(using)
    with _store(using) as store, contextlib.closing(store.connect()) as connection:
        return origin(connection, using)


@contextlib.contextmanager
def _store(using: Settings) -> "Iterator[Store]":
    from gateway.ground.store import open_store

    with contextlib.closing(open_store(using)) as store:
        yield store


# ---- the sealing key, for a hardware module


@commands.command()
def wrap(
    uri: Annotated[str, typer.Argument(help="The module, token and key, as in sealing_key_pkcs11 (RFC 7512).")],
) -> None:
    """Wrap the sealing key for a hardware module: only the module unwraps it again.

    \b
    aval keys wrap "pkcs11:token=aval;object=kek?module-path=/usr/lib/module.so&pin-source=file:/etc/aval/pin"

    The sealing key is read from where it is now, and kek.wrapped is written among the keys. With the same URI in
    AVAL_SEALING_KEY_PKCS11 the gateway asks the module from then on. Keep kek.hex where no machine reads it: if the
    module is lost, nothing else opens the data.
    """
    from gateway.errors import Unavailable
    from gateway.ground.keys import files, sealing_key

    using = settings()
    tell_of_demo(using, source("data_dir"))
    module = sealing_key.KeyFromModule(uri, using.keys / sealing_key.WRAPPED)
    try:
        files.put_wrapped(module.wrapped, module.wrap(sealing_key.source(using).read()))
    except Unavailable as error:
        stop(error.detail)
    typer.echo(f"{module.wrapped}: only the module unwraps it")


# ---- the next one


@dataclass(frozen=True)
class RotatedKeys:
    """What was done, for `--json`."""

    keys: list[dict[str, Any]]
    families: int  # token families that were ended
    people: int  # who had one that could still be used, and read it in their logs


@commands.command()
def rotate(
    algorithm: Annotated[
        Signing | None, typer.Option(help="Of which algorithm; without it ES256, and in an emergency all.")
    ] = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="A key has leaked: end the present ones, and all tokens of apps, now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Make the next token key.

    \b
    aval keys rotate                         published now, signs AVAL_KEY_SETTLE_SECONDS later
    aval keys rotate --algorithm RS256       makes the first for clients that know nothing else
    aval keys rotate --emergency             what the present keys have signed is refused at once

    The key before is accepted for an hour after the next one signs, and leaves by itself; no token is refused in
    between. The gateway also rotates by itself (AVAL_KEY_ROTATION_DAYS). A next one that is published already and does
    not sign yet is taken: it signs as soon as it has settled.

    --emergency ends all keys of the algorithm, also those before that are still accepted, and deletes their private
    parts. Every process looks twice a second and refuses what they have signed within a second; one that cannot look
    gives no data after ten. New keys sign at once. Then all token families end, a few hundred people at a time, and
    each person whose data an app could still read finds a sentence about it in her log. Agreements stay: apps send
    people here again. Interrupted, the same command goes on there, or the gateway does by itself.
    """
    from gateway.ground.store import signing_keys

    with opened() as house:
        now = datetime.now(UTC)
        if emergency:
            done = _emergency(house, [algorithm.value] if algorithm else [], now)
        else:
            settle = timedelta(seconds=house.settings.key_settle_seconds)
            name = algorithm.value if algorithm else Signing.ES256.value
            with house.store.write() as session:
                done = _done([signing_keys.rotate(session, house.keys, name, now, settle)])
    if as_json:
        typer.echo(json.dumps({"keys": done.keys, "families": done.families, "people": done.people}))
        return
    for key in done.keys:
        typer.echo(_sentence(key, now))
    if emergency:
        typer.echo(f"{done.families} token families ended; {done.people} people find it in their logs")
        typer.echo(
            "refused by every process within a second; whoever checks signatures by a copy of /jwks.json may go on for "
            f"{OTHERS_SECONDS} seconds"
        )


def _done(made: "list[Rotated]", families: int = 0, people: int = 0) -> RotatedKeys:
    keys = [
        {
            "kid": each.key,
            "algorithm": each.algorithm,
            "signs_from": each.signs_from.isoformat(),
            "ended": list(each.ended),
        }
        for each in made
    ]
    return RotatedKeys(keys, families, people)


def _sentence(key: dict[str, Any], now: datetime) -> str:
    begins = datetime.fromisoformat(key["signs_from"])
    signs = "signs now" if begins <= now else f"is published, and signs from {begins:%Y-%m-%d %H:%M:%S} UTC"
    ended = f"; ended: {', '.join(key['ended'])}" if key["ended"] else ""
    return f"{key['algorithm']}: {key['kid']} {signs}{ended}"


def _emergency(house: "House", algorithms: list[str], now: datetime) -> RotatedKeys:
    """The keys first, in one transaction; then people by people. Goes on with one that was broken off."""
    from gateway.authorization import families_ending
    from gateway.ground.store import signing_keys

    with house.store.write() as session:
        began = signing_keys.emergency(session)
        made = [] if began else signing_keys.end_at_once(session, house.keys, algorithms, now)
    if began:
        typer.echo(f"goes on with the emergency of {began:%Y-%m-%d %H:%M:%S} UTC, whose keys are ended", err=True)
    families = people = 0
    while few := families_ending.next_few(house, began or now, datetime.now(UTC)):
        families, people = families + few[0], people + few[1]
        typer.echo(f"token families ended: {families:,}", err=True)
    return _done(made, families, people)
