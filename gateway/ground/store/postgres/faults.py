"""Why there is no connection, in a sentence that says what to do. It holds no password: libpq's messages have none."""

import psycopg

ADDRESS, PASSWORD_FILE = "AVAL_DATABASE_URL", "AVAL_DATABASE_PASSWORD_FILE"
DIRECT = "AVAL_DATABASE_DIRECT_URL"
OLDEST = (
    140000  # as libpq writes it; the first one that ends an idle session (idle_session_timeout: engine.PostgresLead)
)
ENCODING = "UTF8"
CREATEDB = "createdb --encoding UTF8 --template template0 --owner aval aval"

# SQLSTATE classes (PostgreSQL, appendix A) of "cannot do it now": connection, read-only or aborted transaction, rolled
# back for others, out of connections or disk, lock or statement timed out, shut down or starting, system.
_NOW = ("08", "25", "40", "53", "55", "57", "58")
_ENDED = ("08", "57")  # those of them after which there is no connection

# A part of what the server or libpq says → what is the matter, and what to do. A server told to speak another language
# says none of these; then its own words stand alone.
_SAYS = (
    ("unsupported startup parameter", "that is a pgBouncer: AVAL_DATABASE_DIRECT_URL names the server itself"),
    ('" does not exist', "createdb makes a database, createuser --login a user"),
    ("password authentication failed", "correct the password in the file that AVAL_DATABASE_PASSWORD_FILE names"),
    ("no password supplied", "AVAL_DATABASE_PASSWORD_FILE names the file with the password"),
    ("no pg_hba.conf entry", "the server lets nobody in from here: add a line to its pg_hba.conf"),
    ("onnection refused", "no server listens there: start it, or correct AVAL_DATABASE_URL"),
    ("No such file or directory", "no server listens there: start it, or correct AVAL_DATABASE_URL"),
    ("timeout", "no server answers there: correct AVAL_DATABASE_URL, or let this machine through to it"),
    ("resolve host", "correct the host in AVAL_DATABASE_URL"),
    ("does not support SSL", "turn TLS on at the server: ssl = on"),
    ("certificate", "sslrootcert in AVAL_DATABASE_URL names the file with the authority that signed it"),
    ("too many", "raise max_connections, or lower AVAL_DATABASE_CONNECTIONS or AVAL_PROCESSES"),
    ("remaining connection slots", "raise max_connections, or lower AVAL_DATABASE_CONNECTIONS or AVAL_PROCESSES"),
    ("session is read-only", "none of these servers takes writes: bring the primary back"),
    ("starting up", "wait until it is there"),
    ("shutting down", "wait until it is back"),
)


def sentence(where: str, error: psycopg.Error) -> str:
    said = _said(str(error))
    do = next((do for part, do in _SAYS if part in said), "")
    return f"{where}: {said}" + (f"; {do}" if do else "")


def for_option(said: str, option: str) -> str:
    """The sentence for an address that an option of a command names, as its password's file."""
    return said.replace(PASSWORD_FILE, f"{option}-password-file").replace(ADDRESS, option)


def _said(text: str) -> str:
    """Of a message of several lines, one for each server that was tried, the last that says what happened."""
    lines = [line.strip() for line in text.splitlines() if "failed" in line or "rror" in line] or [text.strip()]
    return lines[-1].rpartition("FATAL: ")[2].removeprefix("connection failed: ").strip(" -") or type(text).__name__


def unfit(where: str, connection: "psycopg.Connection[object]") -> str:
    """Why nothing can be kept there: it is too old, or cannot write every name. Empty: it can. Asks nobody."""
    version = connection.info.server_version
    if version < OLDEST:
        return f"{where}: PostgreSQL {version // 10000} is too old; {OLDEST // 10000} or newer is needed"
    encoding = connection.info.parameter_status("server_encoding") or ENCODING
    return "" if encoding == ENCODING else f"{where}: its encoding is {encoding}; make one with {CREATEDB}"


def state(error: BaseException) -> str:
    """The SQLSTATE, of either driver's error; empty: the server said none."""
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None) or ""


def is_now(error: BaseException) -> bool:
    """Whether the server says that it cannot do it now."""
    return state(error)[:2] in _NOW


def is_ended(error: BaseException) -> bool:
    """Whether the server says that it has ended the connection."""
    return state(error)[:2] in _ENDED
