"""`aval serve --processes`: one parent, and the processes behind one port, each an `aval serve` of its own.

The parent answers no request and has no connection to the database. It starts the processes, starts one again that has
died, and ends them all when it is told to.

Each process listens on the port with a socket of its own, so that the kernel spreads the connections among them
(socket(7), SO_REUSEPORT); where it does not, they share one. A channel ties each to its parent: on it the process says
that it serves, and it ends by itself when the other end is gone, however the parent died.
"""

import contextlib
import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gateway.ground.http.server import Ports
from gateway.ground.ops import logs

SPREADS = sys.platform == "linux"  # elsewhere one of the sockets gets all connections
LIVED_SECONDS = 30.0  # whoever has served for so long did not die at once
PAUSES = (0.5, 1.0, 2.0, 4.0)  # before a process is started again that died at once, again and again
END_SECONDS = 14.0  # running requests have 10 s (listener.py); whoever has not ended by then is killed
LOOK_SECONDS = 0.2
READY = b"r"
SCARCE = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS)  # what a machine has again some time


class GaveUp(Exception):
    """No process serves, and each died at once again and again."""


def addresses(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    """(family, address) of each address that this host is here. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def bound(host: str, port: int, *, shared: bool, kept: bool = False) -> list[socket.socket]:
    """A socket for each address of this host, all on one port, and none of them listens yet. `shared`: others of this
    user may have theirs on the same port. `kept`: nobody else; SO_REUSEADDR would let any user listen on a port on
    which nobody listens yet. Raises OSError."""
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses(host, port):
            try:
                each = socket.socket(family, socket.SOCK_STREAM)
            except OSError:  # the name has an address of a kind that this machine does not speak
                continue
            sockets.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not kept)
            if shared:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = port or (sockets[0].getsockname()[1] if len(sockets) > 1 else 0)
            each.bind((address[0], port, *address[2:]))
    except BaseException:
        close(sockets)
        raise
    return sockets


def reserved(host: str, port: int) -> list[socket.socket]:
    """Raises OSError."""
    if SPREADS:
        with contextlib.suppress(OSError):  # connections of an earlier server that shared with nobody are not over yet
            return bound(host, port, shared=True, kept=True)
    return bound(host, port, shared=SPREADS)


def close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


@dataclass(frozen=True)
class Place:
    """What a process of several was handed: its number, the channel to its parent, and its sockets."""

    number: int
    channel: socket.socket
    ports: Ports = field(default_factory=Ports)

    @classmethod
    def read(cls, text: str) -> "Place":
        """`text`: number, channel, sockets of the port; behind a semicolon those of the port for mutual TLS."""
        first, _, second = text.partition(";")
        number, channel, *main = map(int, first.split(","))
        mutual = map(int, second.split(",")) if second else ()
        ports = Ports([socket.socket(fileno=each) for each in main], [socket.socket(fileno=each) for each in mutual])
        return cls(number, socket.socket(fileno=channel), ports)

    def serves(self) -> None:
        with contextlib.suppress(OSError):  # the parent is gone; `follow` sees it
            self.channel.send(READY)

    def follow(self) -> None:
        """End when the parent is gone, as at a SIGTERM; and when that takes too long, at once."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal tells all its processes; here the parent decides
        threading.Thread(target=self._follow, name="parent", daemon=True).start()

    def _follow(self) -> None:
        with contextlib.suppress(OSError):
            while self.channel.recv(1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(END_SECONDS)
        os._exit(1)


@dataclass
class Child:
    """One of the processes: the one that runs now, or when to start it again."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    channel: socket.socket | None = None
    serves: bool = False
    since: float = 0.0  # of serving
    deaths: int = 0  # one after the other, at once
    due: float = 0.0  # when to start it again


class Processes:
    """The parent's work. Use: `with Processes(…) as processes: processes.run()`. Raises OSError if the port is taken.

    `command`: starts a process, behind which the text of its Place is put. `ended`: told the number of each process
    that has ended, before it is started again. `mtls_port`: a second port; 0: none.
    """

    def __init__(
        self,
        command: list[str],
        count: int,
        host: str,
        port: int,
        ended: Callable[[int], None] = lambda number: None,
        mtls_port: int = 0,
    ) -> None:
        self._command, self._host, self._tell_ended = command, host, ended
        self._mtls_port = mtls_port
        wanted = (port, mtls_port) if mtls_port else (port,)
        for each in wanted:  # or else another gateway of this user would share its port with us
            close(bound(host, each, shared=False))
        self._reserved = [reserved(host, each) for each in wanted]  # as long as we live, whoever of ours dies
        self.port = int(self._reserved[0][0].getsockname()[1])
        self._children = [Child(number) for number in range(1, count + 1)]
        self._selector = selectors.DefaultSelector()
        self._ending = False
        self._told = False

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for sockets in self._reserved:
            close(sockets)
        self._selector.close()

    def run(self) -> None:
        """Until SIGTERM, SIGINT or SIGHUP. Raises GaveUp."""
        with handling(self._end_soon):
            try:
                while not self._ending:
                    self._start_due()
                    self._listen()
                    self._tell()
                    if all(child.process is None and child.deaths > len(PAUSES) for child in self._children):
                        raise GaveUp
            finally:
                self._end()

    def _end_soon(self) -> None:
        self._ending = True

    def _tell(self) -> None:
        if not self._told and all(child.serves for child in self._children):
            self._told = True
            logs.logger().info("all processes serve", processes=len(self._children), host=self._host, port=self.port)

    # ---- start

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is None and child.due <= now and not self._ending:
                try:
                    self._start(child)
                except OSError as error:
                    self._not_started(child, error)

    def _start(self, child: Child) -> None:
        """Raises OSError, and then nothing of the try is left."""
        channel, theirs = socket.socketpair()
        made: list[list[socket.socket]] = []
        try:
            for port in (self.port, self._mtls_port)[: len(self._reserved)] if SPREADS else ():
                made.append(bound(self._host, port, shared=True))
            main, *mutual = [[each.fileno() for each in sockets] for sockets in made or self._reserved]
            place = ",".join(map(str, (child.number, theirs.fileno(), *main)))
            place += "".join(";" + ",".join(map(str, sockets)) for sockets in mutual)
            handed = [theirs.fileno(), *main, *(each for sockets in mutual for each in sockets)]
            self._selector.register(channel, selectors.EVENT_READ, child)
            child.channel = channel
            child.process = subprocess.Popen([*self._command, place], pass_fds=handed, stdin=subprocess.DEVNULL)
        except BaseException:
            self._forget(child)
            channel.close()
            raise
        finally:
            close([theirs, *(each for sockets in made for each in sockets)])

    def _not_started(self, child: Child, error: OSError) -> None:
        """The others serve on. Only for want of what may come again it is tried for ever, also when none serves."""
        scarce = error.errno in SCARCE
        child.deaths += not scarce
        pause = PAUSES[-1] if scarce else PAUSES[min(child.deaths, len(PAUSES)) - 1]
        child.due = time.monotonic() + pause
        logs.logger().error(
            "a process cannot be started", number=child.number, why=error.strerror, again_in_seconds=pause
        )

    # ---- what they say

    def _listen(self) -> None:
        for key, _ in self._selector.select(LOOK_SECONDS):
            child: Child = key.data
            assert child.channel is not None
            try:
                said = child.channel.recv(1)
            except OSError:
                said = b""
            if said == READY:
                child.serves, child.since = True, time.monotonic()
            else:
                self._ended(child)

    def _ended(self, child: Child) -> None:
        assert child.process is not None
        code = waited(child.process, 5.0)
        now = time.monotonic()
        lived = child.serves and now - child.since >= LIVED_SECONDS
        child.deaths = 1 if lived else child.deaths + 1
        pause = PAUSES[min(child.deaths, len(PAUSES)) - 1]
        self._forget(child)
        child.due = now + pause
        if not self._ending:
            logs.logger().error("a process has ended", number=child.number, exit=code, again_in_seconds=pause)

    def _forget(self, child: Child) -> None:
        if child.channel is not None:
            self._selector.unregister(child.channel)
            child.channel.close()
        child.process = child.channel = None
        child.serves = False
        self._tell_ended(child.number)

    # ---- end

    def _end(self) -> None:
        self._ending = True
        running = [child for child in self._children if child.process is not None]
        for child in running:
            assert child.process is not None
            child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + END_SECONDS
        for child in running:
            assert child.process is not None
            if waited(child.process, until - time.monotonic()) == -signal.SIGKILL:
                logs.logger().error("a process did not end in time", number=child.number, seconds=END_SECONDS)
            self._forget(child)


def waited(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Its exit code; it is killed if it has not ended by then."""
    try:
        return process.wait(max(seconds, 0))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextlib.contextmanager
def handling(end: Callable[[], None]) -> Iterator[None]:
    """The signals that mean the end. SIGHUP too: when the terminal is closed, nothing goes on behind it; but not where
    it is ignored, as by nohup."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, lambda *_: end()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
