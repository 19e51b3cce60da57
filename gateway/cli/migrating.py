"""`aval migrate`: the database brought to the schema of this version."""

import typer

from gateway.cli.opening import settings, stop
from gateway.errors import Unavailable


def migrate() -> None:
    """Bring the database to the schema of this version. `aval serve` does so too at its start.

    \b
    aval migrate

    One transaction: if it is interrupted, the old schema stays. Ends 2 on a database of a newer version.
    """
    from gateway.ground.store import migrate as steps

    try:
        before, now = steps.upgrade(settings())
    except Unavailable as error:
        stop(error.detail)
    typer.echo(f"schema {now}: nothing to do" if before == now else f"schema {before or 'none'} → {now}")
