"""Which store the settings mean: PostgreSQL where an address is given, else the SQLite file of the data folder."""

from gateway.errors import Unavailable
from gateway.ground.store.contract import Store
from gateway.ground.store.sqlite.engine import SqliteStore
from gateway.settings import Settings


def open_store(settings: Settings) -> Store:
    """Raises Unavailable for an address that is none, or a password file that cannot be read."""
    if not settings.database_url:
        return SqliteStore(settings.database, fsync=settings.log_fsync)
    # here: whoever only has a file loads no driver of a server
    from gateway.ground.store.postgres.address import BadAddress, parameters, shown
    from gateway.ground.store.postgres.engine import PostgresStore

    password, direct = settings.database_password_file, settings.database_direct_url
    try:
        return PostgresStore(
            shown(settings.database_url),
            parameters(settings.database_url, password),
            direct=parameters(direct, password) if direct else None,
            past=shown(direct) if direct else "",
            connections=settings.database_connections,
            fsync=settings.log_fsync,
        )
    except BadAddress as error:
        raise Unavailable(f"database_url: {error}") from None
    except OSError as error:
        raise Unavailable(f"{password}: cannot be read ({error.strerror})") from None
