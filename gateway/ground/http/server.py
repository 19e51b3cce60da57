"""The gateway's server: uvicorn's, whose ports speak TLS where the settings name a certificate.

The sockets of its ports are made by who starts it, so that a port that is taken is told before anything begins.
"""

import logging
import socket
from dataclasses import dataclass, field
from functools import partial

import uvicorn

from gateway.ground.http import listener, tls
from gateway.ground.http.entrance import Entrance
from gateway.settings import Settings

_logger = logging.getLogger("gateway.http")


@dataclass(frozen=True)
class Ports:
    """Bound sockets, all of one port each. `mutual`: of that on which certificates are asked for; empty: there is
    none."""

    main: list[socket.socket] = field(default_factory=list)
    mutual: list[socket.socket] = field(default_factory=list)


class HttpServer(uvicorn.Server):
    """`ports`: needed with TLS; without, uvicorn binds by itself what `config` says, if they are empty.

    `fault()` says why a renewed certificate is not used. Raises OSError or ValueError if the files cannot be used.
    """

    def __init__(
        self, config: uvicorn.Config, settings: Settings, ports: Ports, registered: tls.Registered = tls.NOBODY
    ) -> None:
        super().__init__(config)
        self._ports = ports
        self._plain = tls.plain_port(settings) if settings.speaks_tls else None
        self._mutual = tls.mutual_port(settings, registered) if ports.mutual else None

    def fault(self) -> str:
        return " ".join(each.fault() for each in (self._plain, self._mutual) if each and each.fault())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """SystemExit if a part does not start."""
        if self._plain is None:
            await super().startup(sockets or self._ports.main or None)
            return
        await super().startup([])
        for entrance in self._entrances():
            entrance.open()
            self.servers.append(entrance)  # type: ignore[arg-type]
        named = {name: found[0].getsockname()[1] for name, found in vars(self._ports).items() if found}
        _logger.info("TLS is spoken on these ports: %s", named)

    def _entrances(self) -> list[Entrance]:
        protocol: partial[listener.Listener] = self.config.http_protocol_class  # type: ignore[assignment]
        state = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        doorstep, make, backlog = protocol.args[0], partial(protocol, **state), self.config.backlog
        both = ((self._ports.main, self._plain), (self._ports.mutual, self._mutual))
        return [Entrance(sockets, contexts, doorstep, make, backlog) for sockets, contexts in both if contexts]
