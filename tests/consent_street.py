"""A real browser in front of the consent room: the same doors, served on a free port of this machine."""

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from consent_place import Place, Visitor, opened

FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    return shutil.which("chromium")


@contextlib.contextmanager
def served(folder: Path, *parts: Any) -> Iterator[Place]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    with opened(folder, *parts, f"http://localhost:{listening.getsockname()[1]}") as place:
        server = uvicorn.Server(uvicorn.Config(place.application, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield place
        server.should_exit = True
        thread.join(10)
        listening.close()


@contextlib.contextmanager
def window(browser: Any, person: Visitor, **look: Any) -> Iterator[Any]:
    """A page of `person`'s browser. `look`: viewport, color_scheme, locale … of the context; JavaScript is off."""
    context = browser.new_context(java_script_enabled=look.pop("java_script_enabled", False), **look)
    page = context.new_page()
    page.goto(f"{person.place.house.settings.public_url}/enter/{person.id}/{person.language}")
    yield page
    context.close()
