"""PostgreSQL servers of the tests' own, what stands in front of one, and what may happen to it.

    with Cluster() as cluster:
        cluster.create("aval")
        cluster.execute("SELECT 1", "aval")

A server lives in a folder of its own under /tmp, listens on a free port of 127.0.0.1 and on a socket in its folder, and
is stopped by the process number it was started with. PostgreSQL and pgbouncer refuse to run as root: started by root,
they run as Debian's system user `postgres`.
"""

import contextlib
import functools
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port

MISSING = "PostgreSQL is missing. As root: apt-get install postgresql"
BOUNCER_MISSING = "pgbouncer is missing. As root: apt-get install pgbouncer"
ADMINISTRATOR = "postgres"  # the superuser inside every cluster; also Debian's system user
PATIENCE = 30  # seconds for a server to start or to stop

Mode = Literal["fast", "immediate"]
SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}  # what pg_ctl sends


@functools.cache
def programs() -> Path | None:
    """The folder with initdb, postgres and the others: the one in PATH, else the newest of Debian's."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(debian, key=lambda path: [int(part) for part in re.findall(r"\d+", str(path))], default=None)


@functools.cache
def bouncer_program() -> str | None:
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


def system_user() -> bool:
    """Debian's package makes one."""
    try:
        return bool(pwd.getpwnam(ADMINISTRATOR))
    except KeyError:
        return False


def require() -> None:
    """Skip the test where there is no PostgreSQL, or root has nobody to run it as; say what to install."""
    if programs() is None or (os.geteuid() == 0 and not system_user()):
        pytest.skip(MISSING)


def require_bouncer() -> None:
    """Skip the test where PostgreSQL or pgbouncer is not there, and say what to install."""
    require()
    if bouncer_program() is None:
        pytest.skip(BOUNCER_MISSING)


def at_port(url: str, port: int) -> str:
    """The same database through another port of 127.0.0.1: a bouncer's, or the one where faults are made."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for it, but not for ever."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {PATIENCE} s still not: {what}")
        time.sleep(0.01)


# Programs that refuse root


def account() -> dict[str, Any]:
    """Whom a server runs as: arguments for subprocess."""
    return {"user": ADMINISTRATOR, "group": ADMINISTRATOR, "extra_groups": []} if os.geteuid() == 0 else {}


def own_folder() -> Path:
    """A new one that only the servers' user (and root) can enter. In /tmp: a socket's path must be short."""
    folder = Path(tempfile.mkdtemp(prefix="aval-postgres-", dir="/tmp"))
    hand_over(folder)
    return folder


def hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, ADMINISTRATOR, ADMINISTRATOR)


def write_for_server(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
    hand_over(path)


def run(*command: str | Path, **environment: str) -> None:
    """A program that ends by itself, as the servers' user."""
    done = subprocess.run(
        command, env=os.environ | environment, cwd="/tmp", stdin=subprocess.DEVNULL, capture_output=True, **account()
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")


def launch(command: list[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """A program that stays. It also ends when the tests are killed, where Linux can be asked for that.

    Linux watches the thread that started it, so it is only asked from the main thread, which lives to the end.
    """
    leash: list[str | Path] = []
    if shutil.which("setpriv") and threading.current_thread() is threading.main_thread():
        leash = ["setpriv", "--pdeathsig", "QUIT"]
    with log.open("ab") as output:
        return subprocess.Popen(
            leash + command, cwd="/tmp", stdin=subprocess.DEVNULL, stdout=output, stderr=output, **account()
        )


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ask it to end, and make it when it does not."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# What /proc tells of processes


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: after the name, which may hold blanks. Empty: it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def children(pid: int) -> list[int]:
    running = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [each for each in running if stat(each)[1:2] == [str(pid)]]


def ticks(pid: int, first: int, last: int) -> int:
    """Sum of fields, numbered as in proc(5): 14 user, 15 system, 16 and 17 the same of children that have ended."""
    return sum(int(field) for field in stat(pid)[first - 3 : last - 2])


def family_ticks(pid: int) -> int:
    """A process and its children. Read again when a child ended meanwhile: its time went over to the parent's."""
    while True:
        ended = ticks(pid, 16, 17)
        running = sum(ticks(each, 14, 17) for each in children(pid))
        if ended == ticks(pid, 16, 17):
            return ticks(pid, 14, 15) + ended + running


class Cluster:
    """A PostgreSQL server of its own.

    `durable` leaves fsync on: what was committed survives `stop("immediate")` either way, since the system's cache
    does; with fsync the server also does the work that it does in production. `settings` go to postgresql.conf.
    """

    def __init__(self, *, durable: bool = False, **settings: str | int) -> None:
        self.password = secrets.token_hex(16)
        self.roles = [ADMINISTRATOR]
        self.port = free_port()
        self.folder = own_folder()
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._settings = {"max_connections": 200, "fsync": "on" if durable else "off"} | settings
        self._process: subprocess.Popen[bytes] | None = None
        self._spent = 0.0  # CPU seconds of its earlier lives

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Until it answers. One that runs is only woken when it was paused."""
        if self.running:
            self.resume()
            return
        first = not self.data.exists()
        if first:
            self._make()
        for _ in range(20):
            self._process = launch(self._command(), self.log)
            until(lambda: self._answers() or not self.running, "the server answers")
            if self.running:
                return
            if "Address already in use" not in self._last_words():
                break
            if first:  # nobody knows the old port yet
                self.port = free_port()
            time.sleep(0.2)
        raise RuntimeError(f"PostgreSQL did not start: {self._last_words()}")

    def stop(self, mode: Mode = "fast") -> None:
        """`fast` ends all sessions and writes everything down, `immediate` is a crash: the next start recovers."""
        if self._process is None:
            return
        self._spent = self.cpu_seconds()
        process, self._process = self._process, None
        if process.poll() is None:
            resume(process.pid)
        end(process, SIGNALS[mode])

    def restart(self, mode: Mode = "fast") -> None:
        """On the same port."""
        self.stop(mode)
        self.start()

    def pause(self) -> None:
        """Stop all its processes where they are: connections stay open and nothing answers."""
        pause(self._pid())

    def resume(self) -> None:
        resume(self._pid())

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = ADMINISTRATOR, **options: str) -> str:
        """For any driver; `options` follow the question mark."""
        query = f"?{urlencode(options)}" if options else ""
        return f"postgresql://{quote(user)}:{self.password}@127.0.0.1:{self.port}/{quote(database, safe='')}{query}"

    def execute(self, statement: str, database: str = ADMINISTRATOR, *values: object) -> list[tuple[Any, ...]]:
        """As the superuser, each statement a transaction of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def create(self, database: str, template: str | None = None) -> None:
        """Empty, or a copy. Nobody may be connected to the template meanwhile."""
        self._say("CREATE DATABASE {} TEMPLATE {}", database, template or "template0")

    def drop(self, database: str) -> None:
        """Also when somebody is connected to it, or it is not there."""
        self._say("DROP DATABASE IF EXISTS {} WITH (FORCE)", database)

    def role(self, name: str) -> None:
        """A user who may log in, with the cluster's password, and nothing else."""
        self._say(f"CREATE ROLE {{}} LOGIN PASSWORD '{self.password}'", name)
        self.roles.append(name)

    def read_only(self, database: str, on: bool) -> None:
        """Whether new sessions may only read. Those that are open are ended."""
        change = "SET default_transaction_read_only = on" if on else "RESET default_transaction_read_only"
        self._say(f"ALTER DATABASE {{}} {change}", database)
        self.end_sessions(database)

    def end_sessions(self, database: str) -> None:
        """And wait until they have ended."""
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        self.execute(f"{ended} AND pid <> pg_backend_pid()", ADMINISTRATOR, database)

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far, also of those that have ended.

        What its processes use while they are stopped is not known.
        """
        if self._process is None or self._process.poll() is not None:
            return self._spent
        return self._spent + family_ticks(self._process.pid) / os.sysconf("SC_CLK_TCK")

    def _make(self) -> None:
        """A new data folder."""
        secret = self.folder / "password"
        write_for_server(secret, self.password)
        run(
            tool("initdb"), "--pgdata", self.data, "--username", ADMINISTRATOR, "--pwfile", secret,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        secret.unlink()
        with (self.data / "postgresql.conf").open("a") as config:
            config.writelines(f"{name} = '{value}'\n" for name, value in self._settings.items())

    def _command(self) -> list[str | Path]:
        """What may never come from a configuration that was copied from another server stands here."""
        here = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder}
        options = [part for name, value in here.items() for part in ("-c", f"{name}={value}")]
        return [tool("postgres"), "-D", self.data, *options]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(ADMINISTRATOR), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def _say(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url(ADMINISTRATOR), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def tool(name: str) -> Path:
    folder = programs()
    if folder is None:
        raise RuntimeError(MISSING)
    return folder / name


def pause(pid: int) -> None:
    """The parent first, so that no further child is born."""
    for each in [pid, *children(pid)]:
        send(each, signal.SIGSTOP)


def resume(pid: int) -> None:
    for each in [*children(pid), pid]:
        send(each, signal.SIGCONT)


def send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)
