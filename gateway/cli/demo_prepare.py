"""`aval demo-prepare`: the demo gateway's database, in one process: tables, keys, organisations, apps, people."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from gateway.cli.demo_setup import APPS, CHECKOUT, ORGANISATIONS, PASSWORD
from gateway.cli.opening import is_there, opened, settings, stop, where
from gateway.ground.calendar.instants import local_day
from gateway.house import House


def demo_prepare(
    folder: Annotated[Path, typer.Option("--dir")],
    urls: Annotated[str, typer.Option(help="JSON: the address of each process by name")],
) -> None:
    """Used by `aval demo`; safe to run again on a folder that it prepared before."""
    addresses: dict[str, str] = json.loads(urls)
    now = datetime.now(UTC)
    _refuse_another()
    with opened(make=True) as house:
        with house.store.write() as session:
            _add_organisations(session, house, addresses, now)
        with house.store.write() as session:
            _add_apps(session, house, addresses, folder, now)
        _add_people(house, now)


def _refuse_another() -> None:
    """Stop before anything is written to a database that is not of this demo."""
    using = settings()
    if using.database_url and not (using.keys / "kek.hex").exists() and is_there(using):
        stop(
            f"{where(using)}: a gateway has its data there, and its keys are not in {using.data_dir.parent}; "
            "name an empty database, or the demo's folder with --dir"
        )


def _add_organisations(session: Session, house: House, addresses: dict[str, str], now: datetime) -> None:
    from gateway.organisations import declare

    for name in ORGANISATIONS:
        path = CHECKOUT / "examples" / "organisations" / f"{name}.toml"
        declare.add(session, house, declare.read(path, house.catalogue, base_url=addresses[name]), now)


def _add_apps(session: Session, house: "House", addresses: dict[str, str], folder: Path, now: datetime) -> None:
    """Register the apps. A secret is only told at registration, so the demo stores it for the app's process."""
    from gateway.apps import declare, verbs
    from gateway.apps.profiles import BY_SECRET

    kept = folder / "demo.json"
    shared = json.loads(kept.read_text())
    for name in APPS:
        path = CHECKOUT / "examples" / "apps" / f"{name}.toml"
        declaration = declare.read(path, redirect_uris=[f"{addresses[name]}/callback"])
        _, secret = verbs.register(session, house.catalogue, house.settings, declaration, now)
        if secret:
            shared[name] = secret
        elif declaration.auth_method in BY_SECRET and name not in shared:
            shared[name] = verbs.renew_secret(session, name, now)
    draft = kept.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(shared, file)
    os.replace(draft, kept)


def _add_people(house: House, now: datetime) -> None:
    from examples.data.people import PEOPLE
    from gateway.people import accounts, seeding

    for person in PEOPLE:
        with house.store.read() as session:
            known = accounts.find(session, person.email)
        if known is None:
            new = seeding.prepare(
                name=person.name,
                email=person.email,
                password=PASSWORD,
                today=local_day(now, house.settings.zone),
                language="",  # pages are then in the language of the browser of the person who plays the role
                birth_date=person.birth_date,
            )
            with house.store.write() as session:
                guardian = "alice@example.org" if person.key == "chloe" else None
                seeding.add_person(session, house.log, house.settings, new, now, guardian_email=guardian)
