"""Half a gigabyte through the gateway, plain and gzip, in a process of its own: its memory is read from /proc.

The quick run carries a tenth of that; TORTURE=1 the whole (`make torture`).
"""

import contextlib
import os
import random
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation
from tests.proxy.supplier import KIND, Supplier, pieces

ROOT = Path(__file__).parents[2]
MEGABYTE = 2**20
TORTURE = bool(os.environ.get("TORTURE"))
SIZE = (500 if TORTURE else 50) * MEGABYTE
GROWTH = 64 * MEGABYTE
READINGS = 720  # of one block, a month: some 90 KB
CHUNKED = f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nTransfer-Encoding: chunked\r\n"

pytestmark = [
    pytest.mark.sqlite,  # its gateway is a process of its own, which knows of no other engine
    pytest.mark.timeout(1200 if TORTURE else 120),
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc"),
]


class Gateway:
    """The world as the parent sees it, its gateway in a child."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, total_seconds=1000.0)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.proxy.serve", str(folder), str(self.world.port), "total_seconds=1000"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        self.process.communicate("", timeout=30)
        self.world.house.store.close()

    def memory(self, name: str) -> int:
        """VmRSS now, or VmHWM: the most since `forget_peak`."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.stop()


def blocks() -> list[bytes]:
    """Blocks of readings as different as real ones, so that gzip has something to do. The name's place is NNNNNN."""
    chance = random.Random(4)
    made = []
    for _ in range(8):
        entry = list(pieces(1, READINGS))[3].decode()
        before, *readings = entry.split("<value>")
        values = (f"<value>{chance.randrange(10**6)}{reading[reading.index('<') :]}" for reading in readings)
        made.append((before + "".join(values)).replace("/b0", "/bNNNNNN").encode())
    return made


def feed(size: int) -> Iterator[bytes]:
    head = list(pieces(0))
    yield b"".join(head[:-1])
    templates, sent, number = blocks(), 0, 0
    while sent < size:
        piece = templates[number % len(templates)].replace(b"NNNNNN", b"%06d" % number)
        number, sent = number + 1, sent + len(piece)
        yield piece
    yield head[-1]


def coded(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    yield from filter(None, map(packer.compress, parts))
    yield packer.flush()


def answers(organisation: RawOrganisation, size: int, *, gzip: bool) -> list[int]:
    """Bytes on the wire, in the one place of the list, while they go."""
    sent = [0]

    async def behave(exchange: Exchange) -> None:
        await exchange.say((CHUNKED + ("Content-Encoding: gzip\r\n" if gzip else "") + "\r\n").encode())
        with contextlib.suppress(ConnectionError):
            for piece in coded(feed(size)) if gzip else feed(size):
                sent[0] += len(piece)
                await exchange.say(b"%x\r\n%b\r\n" % (len(piece), piece))
            await exchange.say(b"0\r\n\r\n")

    organisation.behaviour = behave
    return sent


def carried(bank: Supplier) -> tuple[int, bytes, bytes]:
    """(bytes, first and last of them) of the whole answer."""
    size, first, last = 0, b"", b""
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=300) as connection:
        connection.sendall(
            f"GET {bank.path} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\nConnection: close\r\n"
            f"Authorization: Bearer {bank.token}\r\n\r\n".encode()
        )
        while piece := connection.recv(2**18):
            size += len(piece)
            first, last = (first + piece)[:200], (last + piece)[-200:]
    return size, first, last


def ended(bank: Supplier) -> dict[str, Any]:
    """The outcome's entry, which is on the disk soon after the last byte."""
    until = time.monotonic() + 10
    while (entry := bank.log()[-1])["event"] != "access_outcome" and time.monotonic() < until:
        time.sleep(0.05)
    return entry


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_half_a_gigabyte_goes_through_in_little_memory(
    gateway: Gateway, organisation: RawOrganisation, gzip: bool
) -> None:
    organisation.reset()
    alice = Supplier(gateway.world, organisation)
    answers(organisation, 9 * MEGABYTE, gzip=gzip)  # everything is loaded and compiled by a small one
    assert carried(alice)[1].startswith(b"HTTP/1.1 200")
    before = gateway.memory("VmRSS")
    gateway.forget_peak()
    wire = answers(organisation, SIZE, gzip=gzip)
    size, first, last = carried(alice)
    most = gateway.memory("VmHWM")
    assert first.startswith(b"HTTP/1.1 200") and last.endswith(b"</feed>\n\r\n0\r\n\r\n"), (first, last)
    entry = ended(alice)
    assert (entry["event"], entry["outcome"]) == ("access_outcome", "delivered")
    assert entry["records"] >= SIZE // 150
    grown, figures = most - before, f"{wire[0] / MEGABYTE:.0f} MB on the wire, {size / MEGABYTE:.0f} MB given"
    print(f"{'gzip' if gzip else 'plain'}: {figures}, memory {before / MEGABYTE:.0f} + {grown / MEGABYTE:.1f} MB")
    assert size > SIZE * 0.9
    assert grown <= GROWTH
