"""Debian's chromium over a real server on localhost (passkeys need a name, an address will not do)."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from people_world import World
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, chromium_sandbox=False, args=quiet
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(folder: Path, host: str = "localhost") -> Iterator[World]:
    """A world of people, served on a free port until the end. `host`: localhost or a name below it."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    world = World(folder, f"http://{host}:{listening.getsockname()[1]}", operator_contact="help@aval.example")
    world.clock.now = datetime.now(UTC)
    server = uvicorn.Server(uvicorn.Config(world.app, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield world
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        world.house.store.close()
