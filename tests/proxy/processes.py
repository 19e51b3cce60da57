"""Two real processes that serve one database of PostgreSQL, and this one as a third that people's pages run in."""

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent
from gateway.ground.store import migrate
from gateway.settings import Settings
from tests.ports import free_port
from tests.proxy.bank import Answer, Bank
from tests.proxy.proxy_world import World

ROOT = Path(__file__).parents[2]
SETTINGS = {"answer_limit_bytes": 2**16}  # what is larger is a stream


@dataclass
class Served:
    """One process."""

    port: int
    process: "subprocess.Popen[str]"

    def ends(self) -> None:
        """When its input does."""
        self.process.communicate(timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


class Processes:
    def __init__(self, folder: Path, url: str, count: int = 2) -> None:
        self.folder, self.url = folder, url
        migrate.upgrade(Settings(database_url=url))
        self.world = World(folder, database_url=url)
        launched = [self._launched() for _ in range(count)]
        self.all = [ready(each) for each in launched]

    def started(self, **settings: object) -> Served:
        return ready(self._launched(**settings))

    def _launched(self, **settings: object) -> Served:
        port = free_port()
        given = {"public_url": self.world.settings.public_url, "database_url": self.url, **SETTINGS, **settings}
        words = [f"{name}={value}" for name, value in given.items()]
        command = [sys.executable, "-m", "tests.proxy.serve", str(self.folder), str(port), *words]
        return Served(
            port, subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )

    def close(self) -> None:
        for each in self.all:
            with contextlib.suppress(ProcessLookupError):
                each.process.terminate()
        for each in self.all:
            each.process.communicate(timeout=20)
        self.world.house.store.close()

    def reads(self, bank: Bank, at: Served, path: str | None = None, **fields: str) -> Answer:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", at.port, timeout=60)) as connection:
            headers = {"Host": self.world.settings.host_header, "Authorization": f"Bearer {bank.token}", **fields}
            connection.request("GET", path or bank.path, headers=headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    @contextlib.contextmanager
    def opened(self, bank: Bank, at: Served) -> Iterator[socket.socket]:
        """A call whose answer is read by the test itself."""
        with socket.create_connection(("127.0.0.1", at.port), timeout=20) as connection:
            connection.sendall(
                f"GET {bank.path} HTTP/1.1\r\nHost: {self.world.settings.host_header}\r\nConnection: close\r\n"
                f"Authorization: Bearer {bank.token}\r\n\r\n".encode()
            )
            yield connection

    def stops(self, bank: Bank) -> float:
        """As Alice's page does it. When she was told, on the monotonic clock."""
        house = self.world.house
        with house.store.write() as session:
            house.log.turn(session, bank.person)
            consent = session.get_one(Consent, bank.consent)
            now = datetime.now(UTC)
            assert deciding.end(session, house.log, consent, herself(bank.person), EndReason.WITHDRAWN, now)
        return time.monotonic()


def ready(served: Served) -> Served:
    assert served.process.stdout is not None
    assert served.process.stdout.readline() == "ready\n"
    return served


@contextlib.contextmanager
def served(folder: Path, url: str, count: int = 2) -> Iterator[Processes]:
    processes = Processes(folder, url, count)
    try:
        yield processes
    finally:
        processes.close()
