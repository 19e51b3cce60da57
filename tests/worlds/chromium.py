"""Debian's chromium, and a server on this machine for it to look at."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright

PROGRAM = shutil.which("chromium")
NEEDED = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed (apt-get install chromium)")
_QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, headless=True, chromium_sandbox=False, args=_QUIET
        )
        yield browser
        browser.close()


def listening() -> socket.socket:
    """On a free port: what is served must know its own address before it is made."""
    opened = socket.socket()
    opened.bind(("127.0.0.1", 0))
    return opened


@contextlib.contextmanager
def served(application: Any, at: socket.socket) -> Iterator[None]:
    """Until the end; then the socket is closed as well."""
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        at.close()
