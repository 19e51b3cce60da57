"""Connections for the event loop, through asyncpg: of the two drivers the one that costs a data call less."""

import contextlib
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import asyncpg

from gateway.ground.store.postgres import faults
from gateway.ground.store.postgres.address import CONNECT_SECONDS

COMMAND_SECONDS = 15.0
_VERSIONS = {"ssl_min_protocol_version": "minimum_version", "ssl_max_protocol_version": "maximum_version"}
_TLS = ("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation", *_VERSIONS)

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
    tls = {name: str(parameters[name]) for name in _TLS if parameters.get(name)}
    seconds = int(parameters.get("connect_timeout") or 0)
    settings = {name: str(parameters[name]) for name in ("options", "application_name") if parameters.get(name)}
    return await asyncpg.connect(
        f"postgresql://?{urlencode(tls)}",
        host=host or None,
        port=int(port) if port else None,
        user=parameters.get("user"),
        password=parameters.get("password"),
        passfile=parameters.get("passfile"),
        database=parameters.get("dbname"),
        ssl=_trusting_the_system(tls) if tls.get("sslrootcert") == "system" else None,
        krbsrvname=parameters.get("krbsrvname"),
        target_session_attrs=parameters.get("target_session_attrs"),
        timeout=seconds if seconds > 0 else CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=settings,
    )


def _trusting_the_system(tls: Mapping[str, str]) -> ssl.SSLContext:
    """As libpq reads `sslrootcert=system`, which asyncpg takes for a file: who is asked is checked by name as well."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    if "sslcrl" in tls:
        context.load_verify_locations(tls["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "sslcert" in tls:
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), tls.get("sslpassword", ""))
    for name in _VERSIONS.keys() & tls.keys():
        setattr(context, _VERSIONS[name], ssl.TLSVersion[tls[name].replace(".", "_")])
    return context


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke or the server ended it."""
    broken = isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)
    return broken or faults.is_ended(error)


def is_now(error: BaseException) -> bool:
    """Whether the database cannot do it now, as opposed to a statement that is wrong."""
    return is_lost(error) or faults.is_now(error)
