"""An organisation made of bytes: answers exactly what it is told, keeps what it was sent."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request as it came, and the way to answer it."""

    target: str
    headers: dict[str, str]
    raw: bytes
    writer: asyncio.StreamWriter
    connection: int
    body: bytes = b""

    async def say(self, *pieces: bytes | float) -> None:
        """Bytes are sent, numbers are seconds of silence."""
        for piece in pieces:
            if isinstance(piece, bytes):
                self.writer.write(piece)
                await self.writer.drain()
            else:
                await asyncio.sleep(piece)

    async def close(self) -> None:
        self.writer.close()

    async def reset(self) -> None:
        self.writer.transport.abort()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def transactions(*accounts: str, count: int = 1, day: str = "2026-11-01", **links: str) -> bytes:
    """A page of transactions of the given native accounts."""
    records = [
        {
            "AccountId": account,
            "TransactionId": f"T{number}",
            "CreditDebitIndicator": "Debit",
            "Status": "Booked",
            "BookingDateTime": f"{day}T10:00:00+00:00",
            "Amount": {"Amount": "10.50", "Currency": "EUR"},
            "TransactionInformation": "canary-narrative",
        }
        for account in accounts
        for number in range(count)
    ]
    return json.dumps({"Data": {"Transaction": records}, "Links": {"Self": "/self", **links}, "Meta": {}}).encode()


@dataclass
class RawOrganisation:
    port: int = 0
    seen: list[Exchange] = field(default_factory=list)
    behaviour: Behaviour | None = None
    connections: int = 0
    loop: Any = None
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        self.seen.clear()
        self.behaviour = None

    def says(self, *pieces: bytes | float, close: bool = False) -> None:
        """Answer every request so."""

        async def behave(exchange: Exchange) -> None:
            await exchange.say(*pieces)
            if close:
                await exchange.close()

        self.behaviour = behave

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        self.open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                lines = raw.decode("latin-1").split("\r\n")
                headers = dict(line.split(": ", 1) for line in lines[1:] if line)
                size = int({name.lower(): value for name, value in headers.items()}.get("content-length", "0"))
                exchange = Exchange(lines[0].split(" ")[1], headers, raw, writer, connection)
                exchange.body = await reader.readexactly(size)
                self.seen.append(exchange)
                if self.behaviour is not None:
                    await self.behaviour(exchange)
                else:
                    account = exchange.target.split("/accounts/")[-1].split("/")[0]
                    await exchange.say(answer(transactions(account)))
                if writer.is_closing():
                    break
        self.open.discard(writer)
        writer.close()

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["RawOrganisation"]:
        made = cls()
        ready = threading.Event()

        async def serve() -> None:
            made.loop = asyncio.get_running_loop()
            server = await asyncio.start_server(made._serve, "127.0.0.1", 0, limit=2**20)
            made.port = server.sockets[0].getsockname()[1]
            made.stop = asyncio.Event()  # type: ignore[attr-defined]
            ready.set()
            await made.stop.wait()  # type: ignore[attr-defined]
            server.close()
            for writer in list(made.open):
                writer.transport.abort()
            await asyncio.sleep(0.05)

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        ready.wait(5)
        try:
            yield made
        finally:
            made.loop.call_soon_threadsafe(made.stop.set)  # type: ignore[attr-defined]
            thread.join(5)
