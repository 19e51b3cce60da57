"""A port that speaks TLS: who comes is counted before the handshake, and the handshake has its time.

The sockets are accepted here and not by the event loop's own server, which tells nobody of a connection until its
handshake is done: whoever never ends one would take places that no limit counts.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from gateway.ground.http.listener import Doorstep, Listener
from gateway.ground.http.tls import Mutual, Renewing

HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 5.0  # for the client's part of the end of a connection
AT_ONCE = 128  # connections accepted in one turn of the event loop
REST_SECONDS = 1.0  # when the process has no file descriptor left

_logger = logging.getLogger("gateway.http")
Make = Callable[..., Listener]


class Entrance:
    """The sockets of one port. `make` makes the protocol of a connection. Like asyncio's servers for who closes it."""

    def __init__(
        self,
        sockets: list[socket.socket],
        contexts: "Renewing[ssl.SSLContext] | Renewing[Mutual]",
        doorstep: Doorstep,
        make: Make,
        backlog: int,
    ) -> None:
        self.sockets = sockets
        self._contexts, self._doorstep, self._make, self._backlog = contexts, doorstep, make, backlog
        self._greeting: set[asyncio.Task[None]] = set()
        self._loop: Any = None  # of the event loop that it is opened in

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        for each in self.sockets:
            each.setblocking(False)
            each.listen(self._backlog)
            self._loop.add_reader(each.fileno(), self._accept, each)

    def close(self) -> None:
        """Accept nobody any more, and end the handshakes under way."""
        for each in self.sockets:
            if each.fileno() >= 0:
                self._loop.remove_reader(each.fileno())
                each.close()
        for task in self._greeting:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._greeting, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                _logger.error("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(REST_SECONDS, self._accept_again, listening)
                return
            place = self._doorstep.enter(str(address[0]))
            if place is None:
                connection.close()  # a refusal that could be read would need the handshake
                continue
            task = self._loop.create_task(self._greet(connection, place))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    async def _greet(self, connection: socket.socket, place: str) -> None:
        """Lead a connection through its handshake. The listener takes the place over with the connection."""
        listener: Listener | None = None
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found = await self._contexts.current()
            listener = self._make(_loop=self._loop)
            listener.place = place
            if isinstance(found, Mutual):
                listener.mutual = found
            await self._loop.connect_accepted_socket(
                lambda: listener,
                connection,
                ssl=found.context if isinstance(found, Mutual) else found,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=GOODBYE_SECONDS,
            )
        except OSError:  # ssl.SSLError too: whatever the client did, it is its own business
            pass
        finally:
            if listener is None or listener.transport is None:  # no connection was made
                self._doorstep.leave(place)
                with contextlib.suppress(OSError):
                    connection.close()
