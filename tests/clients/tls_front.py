"""TLS in front of a plain port: bytes in, bytes out. Clients refuse an issuer that is not https."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 64 * 1024


@contextlib.contextmanager
def tls_in_front(port: int, of: int, certificate: tuple[Path, Path]) -> Iterator[None]:
    """Listen on `port` of this machine with TLS and pass everything on to its port `of`. (certificate, key)"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    loop = asyncio.new_event_loop()
    opened = threading.Event()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner, inner_writer = await asyncio.open_connection("127.0.0.1", of)
            await asyncio.gather(_pumped(reader, inner_writer), _pumped(inner, writer))

    async def listening() -> None:
        server = await asyncio.start_server(joined, "127.0.0.1", port, ssl=context)
        opened.set()
        try:
            await server.serve_forever()
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    task = loop.create_task(listening())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(asyncio.sleep(0.05))  # for connections that are being closed
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not opened.wait(10):
        raise RuntimeError(f"nothing listens on port {port}")
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


async def _pumped(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends or either of them breaks. Then the sink is closed, so that the other direction ends too."""
    with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.close()
