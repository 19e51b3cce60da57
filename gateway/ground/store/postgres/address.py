"""The address of the PostgreSQL servers, as libpq reads it, with what the gateway adds."""

import errno
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

CONNECT_SECONDS = 3
# Of every session. A transaction that waits for a lock, or that its process has forgotten, must not hold up all others.
SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "20s",
    "client_min_messages": "warning",
}
# Each statement sees what was committed before it, or a turn would tell nothing of those before.
ISOLATION = "read committed"
# These come last: no setting of a role, a database or a server may take their place, and none of the address either. A
# commit that was told not to wait for its standby says so in a warning, which must arrive.
_LAST = {"default_transaction_isolation": ISOLATION, "client_min_messages": SESSION["client_min_messages"]}
# libpq's own; the other driver knows no other. Text is text, whatever a role or the environment was set to.
_TEXT = {"client_encoding": "UTF8"}
# A host that has gone without a word is noticed within these seconds, and not after the hours of the system's default.
_ALIVE = {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 5000}
# What the pages' driver reads and that of the data calls does not: these would go elsewhere, or ask less of the server.
_HALF = ("service", "require_auth", "requirepeer", "sslcrldir")
_HALF_IF_REQUIRED = ("channel_binding", "gssencmode")


ESCAPED = "in a password : / ? # @ % are written %3A %2F %3F %23 %40 %25, or name a file in AVAL_DATABASE_PASSWORD_FILE"


class BadAddress(ValueError):
    """Not an address of PostgreSQL. Says why, without a password."""


def _told(message: str) -> str:
    """Without what libpq quotes: it may be the password."""
    unknown = re.match(r'invalid URI query parameter: "([^"]*)"', message.strip())
    names = [option.keyword.decode() for option in Conninfo.get_defaults()] if unknown else []
    if unknown and (near := get_close_matches(unknown[1], names, n=1, cutoff=0.8)):
        return f"one of its parameters is unknown; is {near[0]} meant?"
    first = re.sub(r'"[^"]*("|$)', "…", message.strip().splitlines()[0])
    return f"{first}; {ESCAPED}"


def _is_cut(given: dict[str, Any]) -> bool:
    """Whether a password with a character of the address's own was taken for its end: a part of it stands elsewhere."""
    port = str(given.get("port") or "0").replace(",", "")
    return not port.isdecimal() or "@" in f"{given.get('host')}{given.get('dbname')}"


def _named_once(given: dict[str, Any]) -> None:
    """The servers stand in `host`, and all that is asked of them is asked by both drivers. Raises BadAddress."""
    if address := given.pop("hostaddr", None):
        if given.setdefault("host", address) != address:
            raise BadAddress("hostaddr beside host holds for the pages alone; name the servers by one of the two")
    required = [name for name in _HALF_IF_REQUIRED if given.get(name) == "require"]
    for name in [*(name for name in _HALF if given.get(name)), *required]:
        do = "write out what it stands for" if name == "service" else "leave it out; sslmode=verify-full is for both"
        raise BadAddress(f"{name} holds for the pages alone, and not for data calls; {do}")


def parameters(url: str, password_file: Path | None = None, **session: str) -> dict[str, Any]:
    """libpq's parameters (PostgreSQL, "Database Connection Control Functions"). `session`: settings of the session.

    Where several servers are named, the one that takes writes is meant: the others follow it. Raises BadAddress, and
    OSError when the password cannot be read.
    """
    try:
        given = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError as error:
        raise BadAddress(_told(str(error))) from None
    if _is_cut(given):
        raise BadAddress(f"it is cut in the wrong places; {ESCAPED}")
    _named_once(given)
    if "," in str(given.get("host", "")):
        given.setdefault("target_session_attrs", "read-write")
    if password_file is not None:
        given["password"] = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        if not given["password"]:
            raise OSError(errno.ENODATA, "it is empty")
    options, last = _written({**SESSION, **session}), _written(_LAST)
    own = {"connect_timeout": CONNECT_SECONDS, "application_name": "aval", **_ALIVE}
    return {**own, **given, **_TEXT, "options": f"{options} {given.get('options', '')} {last}"}


def _written(settings: Mapping[str, str]) -> str:
    return " ".join("-c {}={}".format(name, value.replace(" ", r"\ ")) for name, value in settings.items())


def pooled(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a connection through a pooler: what is prepared or set on one of its sessions is not on the next.
    Each transaction sets SESSION for itself, and says ISOLATION where it begins."""
    return {**given, "prepare_threshold": None, "options": ""}


def shown(url: str) -> str:
    """The address in messages: hosts and database, no user and no password."""
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError:
        return "the database of AVAL_DATABASE_URL"
    if _is_cut(given):
        return "the database of AVAL_DATABASE_URL"
    hosts = str(given.get("host") or given.get("hostaddr") or "localhost").split(",")
    ports = str(given.get("port") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    where = ",".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=False))
    return f"postgresql://{where}/{given.get('dbname') or given.get('user') or ''}"
