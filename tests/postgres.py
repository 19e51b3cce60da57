"""PostgreSQL servers of the tests' own, what stands in front of one, and what may happen to it.

    with Cluster() as cluster:
        cluster.create("aval")
        cluster.execute("SELECT 1", "aval")

A server lives in a folder of its own (in memory, or under /tmp), listens on a free port of 127.0.0.1 and on a socket in
its folder, and is stopped by the process number it was started with. PostgreSQL and pgbouncer refuse to run as root:
started by root, they run as Debian's system user `postgres`.
"""

import asyncio
import contextlib
import functools
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port

MISSING = "PostgreSQL is missing. As root: apt-get install postgresql"
BOUNCER_MISSING = "pgbouncer is missing. As root: apt-get install pgbouncer"
ADMINISTRATOR = "postgres"  # the superuser inside every cluster; also Debian's system user
MEMORY = "/dev/shm"
ROOM = 4 * 1024**3  # bytes
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
def version() -> int:
    """The server's major one."""
    said = subprocess.run([tool("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.findall(r"\d+", said)[0])


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


def own_folder(*, durable: bool = False) -> Path:
    """A new one that only the servers' user (and root) can enter, at a short path, since a socket's must be short.

    On the disk when durable, else in memory where there is room: a database is made of 300 files, which takes a disk
    ten times as long.
    """
    place = "/tmp" if durable or not roomy(MEMORY) else MEMORY
    folder = Path(tempfile.mkdtemp(prefix="aval-postgres-", dir=place))
    hand_over(folder)
    return folder


def roomy(place: str) -> bool:
    return os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM


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


class Server:
    """A program that listens on a port of its own and keeps all it has in a folder of its own."""

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.port = free_port()
        self.folder = own_folder(durable=durable)
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        raise NotImplementedError

    def stop(self, mode: Mode = "fast") -> None:
        raise NotImplementedError

    def restart(self, mode: Mode = "fast") -> None:
        """On the same port."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


class Cluster(Server):
    """A PostgreSQL server of its own.

    `durable` puts it on the disk and leaves fsync on: it does the work that it does in production. Without, what was
    committed survives `stop("immediate")` too, but not a loss of power. `quick`: thousands connect, each for a moment,
    and a password is compared in less time than SCRAM is meant to take. `settings` go to postgresql.conf.
    """

    def __init__(self, *, durable: bool = False, quick: bool = False, **settings: str | int) -> None:
        super().__init__(durable=durable)
        self.password = secrets.token_hex(16)
        self.roles = [ADMINISTRATOR]
        self._auth = "md5" if quick else "scram-sha-256"
        self.data = self.folder / "data"
        self._settings = {"max_connections": 200, "fsync": "on" if durable else "off"} | settings
        self._copying = "" if durable or version() < 15 else " STRATEGY FILE_COPY"
        self._spent = 0.0  # CPU seconds of its earlier lives

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

    def pause(self) -> None:
        """Stop all its processes where they are: connections stay open and nothing answers."""
        pause(self._pid())

    def resume(self) -> None:
        resume(self._pid())

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
        # its files are copied: a third of the time that is needed to write each page to the log as well
        self._say(f"CREATE DATABASE {{}} TEMPLATE {{}}{self._copying}", database, template or "template0")

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

    def wait_for_standbys(self, names: str) -> None:
        """Whom each commit waits for from now on, also those of sessions that are open; "": nobody.

        One process after the other reads the settings again, and it is the checkpointer that tells all sessions whether
        to wait. A new session shows that it has been woken; a checkpoint begins only after it has read them.
        """
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.execute("SELECT pg_reload_conf()")
        until(lambda: self.execute("SHOW synchronous_standby_names") == [(names,)], "the settings are read again")
        self.execute("CHECKPOINT")

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
            f"--auth={self._auth}", "--encoding=UTF8", "--locale=C", "--no-sync",
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


class Standby(Cluster):
    """A second server that follows `primary`, made from a copy of it. It answers, but refuses to write.

    `synchronous`: the primary says that something is committed only when this one has written it down too. While this
    one is away the primary's commits wait; `close` frees them.
    """

    def __init__(self, primary: Cluster, *, synchronous: bool = False) -> None:
        super().__init__(durable=primary.durable)
        self.primary = primary
        self.password, self.roles = primary.password, primary.roles
        self.synchronous = synchronous

    def start(self) -> None:
        super().start()
        if self.synchronous and self.primary.running and self.follows():
            self.primary.wait_for_standbys("*")
            until(lambda: self._state() == [("sync",)], "the standby is synchronous")

    def follows(self) -> bool:
        return bool(self.execute("SELECT pg_is_in_recovery()")[0][0])

    def promote(self) -> None:
        """From now on it follows nobody and may write."""
        self.execute("SELECT pg_promote()")
        until(lambda: not self.follows(), "the standby is promoted")

    def close(self) -> None:
        if self.synchronous and self.primary.running:
            self.primary.wait_for_standbys("")
        super().close()

    def _make(self) -> None:
        run(
            tool("pg_basebackup"), "--dbname", self.primary.url(ADMINISTRATOR), "--pgdata", self.data,
            "--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync",
        )  # fmt: skip

    def _state(self) -> list[tuple[Any, ...]]:
        return self.primary.execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")


class Bouncer(Server):
    """pgbouncer in front of a cluster, on a port of its own: a connection of the server is lent for one transaction.

    It knows the users that the cluster has when it starts. `settings` go to its configuration.
    """

    def __init__(self, cluster: Cluster, **settings: str | int) -> None:
        super().__init__()
        self.cluster = cluster
        self._settings = settings

    def start(self) -> None:
        if self.running:
            return
        users = [f'"{name}" "{self.cluster.password}"\n' for name in self.cluster.roles]
        write_for_server(self.folder / "users", "".join(users))
        write_for_server(self.folder / "bouncer.ini", self._configuration())
        process = self._process = launch([bouncer(), self.folder / "bouncer.ini"], self.log)
        until(lambda: listens(self.port) or process.poll() is not None, "pgbouncer listens")
        if process.poll() is not None:
            raise RuntimeError(f"pgbouncer did not start: {self._last_words()}")

    def stop(self, mode: Mode = "fast") -> None:
        """At once, by either name: what runs is cut off."""
        if self._process is not None:
            end(self._process, signal.SIGQUIT if bouncer_version() >= (1, 23) else signal.SIGTERM)
            self._process = None

    def url(self, database: str, user: str = ADMINISTRATOR, **options: str) -> str:
        return at_port(self.cluster.url(database, user, **options), self.port)

    def _configuration(self) -> str:
        settings: dict[str, object] = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self.folder,
            "auth_type": "scram-sha-256",
            "auth_file": self.folder / "users",
            "pool_mode": "transaction",
            "max_client_conn": 500,
            "default_pool_size": 20,
            "ignore_startup_parameters": "extra_float_digits",
        }
        if bouncer_version() >= (1, 21):
            settings["max_prepared_statements"] = 200
        lines = [f"{name} = {value}\n" for name, value in (settings | self._settings).items()]
        return f"[databases]\n* = host=127.0.0.1 port={self.cluster.port}\n[pgbouncer]\n{''.join(lines)}"


def bouncer() -> str:
    program = bouncer_program()
    if program is None:
        raise RuntimeError(BOUNCER_MISSING)
    return program


@functools.cache
def bouncer_version() -> tuple[int, ...]:
    """From 1.21 on it carries prepared statements through transaction pooling."""
    said = subprocess.run([bouncer(), "--version"], capture_output=True, text=True, check=True, **account()).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class TcpFaults:
    """A way to a port of 127.0.0.1 on which faults are made: connect to `port`, or to what `url` gives.

    It carries bytes until it is told otherwise. One thread of its own does the work, on an event loop; the methods may
    be called from any other thread and return when what they say is done.
    """

    BOUND = 256  # connections at the same time; further ones are reset
    CHUNK = 64 * 1024

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.commits_cut = 0
        self._cuts = 0  # of COMMITs that are still to be cut
        self._passed_on = True
        self._patience = 0.05
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._bound: socket.socket | None = None  # keeps the port while connections are refused
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._thread.start()
        self._do(self._listen())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, url: str) -> str:
        """The same address, but on this way."""
        return at_port(url, self.port)

    def cut(self) -> None:
        """Reset all connections, on both sides. New ones are carried."""
        self._do(self._cut())

    def hold(self) -> None:
        """Carry nothing: connections stay open, new ones are accepted, and no byte arrives on either side."""
        self._do(self._hold())

    def refuse(self) -> None:
        """Refuse new connections. Those that are open go on."""
        self._do(self._refuse())

    def release(self) -> None:
        """End `hold` and `refuse`, and cut no COMMIT any more. What was held arrives now."""
        self._do(self._release())

    def cut_at_commit(self, times: int = 1, *, passed_on: bool = True, patience: float = 0.05) -> None:
        """Reset the connections of the next `times` clients that say COMMIT, and give them no answer.

        The server gets the COMMIT and is given `patience` seconds to answer: it is committed, and the client cannot
        know. Not `passed_on`: the server never hears of it, and the client cannot know that either.
        """
        self._do(self._arm(times, passed_on, patience))

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        bound = self._bound or reserved(self.port)
        self._bound = None
        self._server = await asyncio.start_server(self._carry, sock=bound, limit=self.CHUNK)

    async def _cut(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    async def _hold(self) -> None:
        self._flows.clear()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._bound = reserved(self.port)

    async def _release(self) -> None:
        self._cuts = 0
        self._flows.set()
        if self._server is None:
            await self._listen()

    async def _arm(self, times: int, passed_on: bool, patience: float) -> None:
        self._cuts, self._passed_on, self._patience = times, passed_on, patience

    async def _end(self) -> None:
        await self._refuse()
        if self._bound is not None:
            self._bound.close()
        await self._cut()
        others = asyncio.all_tasks() - {cast(asyncio.Task[Any], asyncio.current_task())}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its last."""
        if len(self._connections) >= self.BOUND:
            return reset(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=self.CHUNK)
        except OSError:
            return reset(writer)
        connection = Connection(writer, server_writer)
        self._connections.add(connection)
        ways = [self._to_server(reader, connection), self._to_client(server_reader, connection)]
        try:
            await asyncio.gather(*ways)
        except (ConnectionError, OSError):
            connection.reset()  # one side is gone: the other shall see it
        finally:
            self._connections.discard(connection)
            connection.reset()

    async def _to_server(self, client: asyncio.StreamReader, connection: "Connection") -> None:
        tail = b""  # a COMMIT may come in two pieces
        while data := await client.read(self.CHUNK):
            await self._flows.wait()
            if self._cuts and b"COMMIT" in tail + data:
                return await self._cut_commit(connection, data)
            tail = data[-5:]
            await write(connection.server, data)
        connection.server.write_eof()

    async def _to_client(self, server: asyncio.StreamReader, connection: "Connection") -> None:
        while data := await server.read(self.CHUNK):
            await self._flows.wait()
            if connection.doomed:
                return connection.answered.set()
            await write(connection.client, data)
        connection.answered.set()
        if not connection.doomed:
            connection.client.write_eof()

    async def _cut_commit(self, connection: "Connection", data: bytes) -> None:
        self._cuts -= 1
        connection.doomed = True
        if self._passed_on:
            await write(connection.server, data)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.answered.wait(), self._patience)
        connection.reset()
        self.commits_cut += 1


class Connection:
    """Both ends of what is carried. `doomed`: its client gets no byte more; `answered`: the server spoke since then."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.doomed = False
        self.answered = asyncio.Event()

    def reset(self) -> None:
        reset(self.client)
        reset(self.server)


async def write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, not with an end: the other side gets an error. Once is enough."""
    if not writer.transport.is_closing():
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def reserved(port: int) -> socket.socket:
    """The port, bound and not yet listening: whoever connects is refused, and nobody else can listen there."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
