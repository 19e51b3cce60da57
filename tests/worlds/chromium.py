"""Debian's chromium, and a server on this machine for it to look at."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import uvicorn
from playwright.sync_api import Browser, Error, sync_playwright

from tests.torture import TORTURE

PROGRAM = shutil.which("chromium")
WAIT_MS = 30_000  # for what is to come at most: a busy machine is no fault
_QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def searched(width: int, scheme: str, language: str) -> bool:
    """Whether axe, which takes a second, looks at a page on a phone or a desk, light or dark, in English or French: at
    each width in each scheme in one of the languages. With TORTURE=1 in both."""
    return TORTURE or (width < 600) == ((scheme == "light") == (language == "en"))


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    if PROGRAM is None:
        _without("chromium is not installed (as root: apt-get install chromium)")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=PROGRAM, headless=True, chromium_sandbox=False, args=_QUIET
            )
        except Error as error:
            _without(f"chromium does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


def _without(what: str) -> NoReturn:
    """A machine that could have had it (continuous integration, as root) must not stay silent."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"{what}, and this run is meant to have it", pytrace=False)
    pytest.skip(what)


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
