"""What the example organisations share: starting, checking assertions, linking a customer, and faults on demand.

serve(name, port, build)   parse the command line, bind, build the app, print one line, run
Assertions.subject(…)      who the gateway speaks of; raises Refused
Links                      subject ↔ customer, made with a one-time code
faulty(app, …)             the same app, with the ways a real one fails
"""

import argparse
import hashlib
import hmac
import secrets
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from examples.organisations.faults import Faults

ZONE = ZoneInfo("Europe/Paris")
ASSERTION_SECONDS = 60
CODE_SECONDS = 600
TRIES = 5
STARTS_PER_HOUR = 20
SKEW = 5  # seconds two clocks may differ


class Refused(Exception):
    """The caller may not have it. `status` and `code` are for the organisation's own error format."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Setup:
    """What a server is told at its start. `today` and `now` are its only clock."""

    base_url: str
    gateway: str
    folder: Path
    options: argparse.Namespace
    fixed_day: date | None = None

    def now(self) -> float:
        return time.time()

    def today(self) -> date:
        return self.fixed_day or datetime.now(ZONE).date()


# ---- starting


def serve(
    name: str,
    port: int,
    build: Callable[[Setup], Starlette],
    data_prefix: str,
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Run one organisation until it is told to stop. Prints `ready http://localhost:PORT` once it listens."""
    parser = argparse.ArgumentParser(prog=f"python -m examples.organisations.{name}")
    parser.add_argument("--port", type=int, default=port, help="0 picks a free one")
    parser.add_argument("--gateway", default="http://localhost:8400", help="public address of the gateway")
    parser.add_argument("--dir", type=Path, default=Path(".demo") / name.replace("_", "-"), help="where links are kept")
    parser.add_argument("--base-url", help="address under which the gateway knows this server")
    parser.add_argument("--today", type=date.fromisoformat, help="pretend that it is this day (YYYY-MM-DD)")
    parser.add_argument("--faults", action="store_true", help="obey POST /_fault; for tests only")
    if more:
        more(parser)
    options = parser.parse_args()
    sockets = listen(options.port)
    base_url = (options.base_url or f"http://localhost:{sockets[0].getsockname()[1]}").rstrip("/")
    options.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    setup = Setup(base_url, options.gateway.rstrip("/"), options.dir, options, options.today)
    app = build(setup)
    run(Faults(app, data_prefix) if options.faults else app, sockets, f"http://localhost:{sockets[0].getsockname()[1]}")


def listen(port: int) -> list[socket.socket]:
    """Loopback only, in both families where the machine has both: `localhost` may mean either."""
    four = socket.create_server(("127.0.0.1", port))
    try:
        six = socket.create_server(("::1", four.getsockname()[1]), family=socket.AF_INET6)
    except OSError:
        return [four]
    return [four, six]


def run(app: Any, sockets: list[socket.socket], address: str) -> None:
    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"ready {address}", flush=True)

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, server_header=False
    )
    try:
        Announcing(config).run(sockets)
    except KeyboardInterrupt:
        sys.exit(0)


# ---- assertions


class Assertions:
    """Checks the gateway's signed assertions. Keys are fetched when first needed and again for an unknown key id."""

    def __init__(self, setup: Setup) -> None:
        self._issuer = setup.gateway
        self._audience = setup.base_url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = 0.0
        self._seen: dict[str, float] = {}  # jti → expiry
        self._since = int(setup.now())
        self._lock = threading.Lock()

    def subject(self, request: Request, now: float, *, once: bool = False) -> str:
        """The pairwise subject of a call.

        1. a bearer token of our type   2. signed by a key the gateway publishes now   3. issued by it, for us
        4. young, and no older than this process   5. `once`: never seen before (linking; reads may share one)
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "assertion_missing")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != "aval-assertion+jwt":  # 1.
                raise Refused(401, "assertion_type")
            claims = jwt.decode(  # 2. and 3.; time is checked below, against our own clock
                token,
                self._key(str(header.get("kid", "")), now),
                algorithms=["ES256"],
                audience=self._audience,
                issuer=self._issuer,
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "strict_aud": True,
                },
            )
        except jwt.PyJWTError as error:
            raise Refused(401, "assertion_invalid") from error
        self._check_time(claims["iat"], claims["exp"], now)
        if once:
            self._spend(str(claims["jti"]), claims["exp"], now)
        return str(claims["sub"])

    def _check_time(self, iat: Any, exp: Any, now: float) -> None:
        if not isinstance(iat, int | float) or not isinstance(exp, int | float):
            raise Refused(401, "assertion_invalid")
        young = iat <= now + SKEW and now < exp <= iat + ASSERTION_SECONDS
        # What was used before this process began is not remembered, so nothing older is taken.  4.
        if not young or iat < self._since:
            raise Refused(401, "assertion_expired")

    def _spend(self, jti: str, exp: float, now: float) -> None:
        with self._lock:
            if jti in self._seen:  # 5.
                raise Refused(401, "assertion_replayed")
            self._seen = (
                {old: end for old, end in self._seen.items() if end > now} if len(self._seen) > 999 else self._seen
            )
            self._seen[jti] = exp

    def _key(self, kid: str, now: float) -> jwt.PyJWK:
        with self._lock:
            if kid not in self._keys and now - self._fetched > 1:  # an unknown id must not become a flood of fetches
                self._fetched = now
                self._keys = _fetch_keys(self._issuer)
            if kid not in self._keys:
                raise Refused(401, "assertion_key_unknown")
            return self._keys[kid]


def _fetch_keys(gateway: str) -> dict[str, jwt.PyJWK]:
    try:
        answer = httpx2.get(f"{gateway}/jwks.json", timeout=5, trust_env=False, follow_redirects=False)
        answer.raise_for_status()
        keys = answer.json()["keys"]
        return {
            k["kid"]: jwt.PyJWK(k, algorithm="ES256") for k in keys if k.get("use") == "sig" and k.get("kty") == "EC"
        }
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
        raise Refused(503, "gateway_keys_unavailable") from error


# ---- links

_TABLES = """
CREATE TABLE IF NOT EXISTS link (subject TEXT PRIMARY KEY, customer TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS attempt (subject TEXT PRIMARY KEY, customer TEXT NOT NULL, code_sha256 TEXT NOT NULL,
    tries INTEGER NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS message (customer TEXT NOT NULL, at REAL NOT NULL, code TEXT NOT NULL);
"""


def database(path: Path, tables: str) -> sqlite3.Connection:
    """One connection for all threads; the caller holds a lock around each use."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL;" + tables)
    return connection


class Links:
    """Which subject of the gateway is which customer of ours."""

    def __init__(self, folder: Path) -> None:
        self._db = database(folder / "links.sqlite3", _TABLES)
        self._lock = threading.Lock()

    def customer(self, subject: str) -> str:
        with self._lock:
            row = self._db.execute("SELECT customer FROM link WHERE subject = ?", (subject,)).fetchone()
        if row is None:
            raise Refused(403, "not_linked")
        return str(row[0])

    def start(self, subject: str, customer: str, now: float) -> str:
        """A fresh one-time code for the customer's own inbox. Starting again voids the code before."""
        code = f"{secrets.randbelow(10**6):06d}"
        with self._lock:
            recent = self._db.execute(
                "SELECT count(*) FROM message WHERE customer = ? AND at > ?", (customer, now - 3600)
            ).fetchone()[0]
            if recent >= STARTS_PER_HOUR:
                raise Refused(429, "too_many_codes")
            row = (subject, customer, _hash(subject, code), 0, now + CODE_SECONDS)
            self._db.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?)", row)
            self._db.execute("INSERT INTO message VALUES (?, ?, ?)", (customer, now, code))
        return code

    def confirm(self, subject: str, customer: str, code: str, now: float) -> None:
        """Bind subject and customer. Raises Refused 403 for a wrong code, 410 when none can be right any more."""
        with self._lock:
            # One statement takes the try, so that two confirmations at once count as two.
            self._db.execute("UPDATE attempt SET tries = tries + 1 WHERE subject = ?", (subject,))
            row = self._db.execute(
                "SELECT customer, code_sha256, tries, expires_at FROM attempt WHERE subject = ?", (subject,)
            ).fetchone()
            if row is None or now >= row[3] or row[2] > TRIES:
                raise Refused(410, "code_expired")
            if not hmac.compare_digest(row[1], _hash(subject, code)) or row[0] != customer:
                raise Refused(403, "code_wrong")
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM attempt WHERE subject = ?", (subject,))
            self._db.execute("INSERT OR REPLACE INTO link VALUES (?, ?, ?)", (subject, customer, now))
            self._db.execute("COMMIT")

    def end(self, subject: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM link WHERE subject = ?", (subject,))

    def messages(self, customer: str) -> list[tuple[float, str]]:
        """(when, code), newest first: what the customer's phone would show."""
        with self._lock:
            return self._db.execute(
                "SELECT at, code FROM message WHERE customer = ? ORDER BY at DESC LIMIT 5", (customer,)
            ).fetchall()


def _hash(subject: str, code: str) -> str:
    return hashlib.sha256(f"{subject}\n{code}".encode()).hexdigest()
