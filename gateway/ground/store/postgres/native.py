"""Connections for the event loop, through asyncpg: of the two drivers the one that costs a data call less."""

import contextlib
from collections.abc import Mapping
from typing import Any

import asyncpg

from gateway.ground.store.postgres.address import CONNECT_SECONDS

COMMAND_SECONDS = 15.0
_NOW = ("08", "25", "40", "53", "55", "57", "58")  # as in engine.py
_TLS = ("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "target_session_attrs", "passfile", "krbsrvname")


# Whatever a statement may raise. An internal error of the driver is one of its connection: that breaks in many ways.
FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# After which libpq too tries the next host; a server that refuses a password has answered.
_NEXT = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TargetServerAttributeNotMatched,
)


async def connected(parameters: Mapping[str, Any]) -> "asyncpg.Connection[Any]":
    """`parameters`: libpq's. Raises OSError, TimeoutError, asyncpg's errors.

    Of several hosts each has its own time, as libpq gives it: asyncpg would give it to all together, and one that
    stands still would hide those behind it.
    """
    hosts = str(parameters.get("host") or "").split(",")
    ports = str(parameters.get("port") or "").split(",")
    tried = list(zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True))
    for host, port in tried[:-1]:
        with contextlib.suppress(*_NEXT):
            return await _connected(parameters, host, port)
    return await _connected(parameters, *tried[-1])


async def _connected(parameters: Mapping[str, Any], host: str, port: str) -> "asyncpg.Connection[Any]":
    more = {name: parameters[name] for name in _TLS if parameters.get(name)}
    query = "&".join(f"{name}={value}" for name, value in more.items() if name.startswith("ssl"))
    settings = dict(part.split("=", 1) for part in str(parameters.get("options", "")).split("-c ") if "=" in part)
    return await asyncpg.connect(
        f"postgresql://?{query}",
        host=host or None,
        port=int(port) if port else None,
        user=parameters.get("user"),
        password=parameters.get("password"),
        passfile=parameters.get("passfile"),
        database=parameters.get("dbname"),
        target_session_attrs=parameters.get("target_session_attrs"),
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={name.strip(): value.strip() for name, value in settings.items()}
        | {"application_name": str(parameters.get("application_name", "aval"))},
    )


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke or the server ended it."""
    state = getattr(error, "sqlstate", None) or ""
    return isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError) or state[:2] in (
        "08",
        "57",
    )


def is_now(error: BaseException) -> bool:
    """Whether the database cannot do it now, as opposed to a statement that is wrong."""
    return is_lost(error) or (getattr(error, "sqlstate", None) or "")[:2] in _NOW
