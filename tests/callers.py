"""Starlette's test client, which calls an application without a server, on an event loop that is made once.

Starlette makes a loop and a thread for every request of a client that is no context manager; that takes as long as the
request itself. Threads of a test's own still get a loop each, so that nothing that one of them waits for stands in line
behind another.
"""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache

import anyio
from anyio.from_thread import BlockingPortal
from starlette import testclient


class TestClient(testclient.TestClient):
    @contextlib.contextmanager
    def _portal_factory(self) -> Iterator[BlockingPortal]:  # type: ignore[override] # the name is Starlette's
        if self.portal is None and threading.current_thread() is threading.main_thread():
            yield _shared()
        else:
            with super()._portal_factory() as portal:
                yield portal


@cache
def _shared() -> BlockingPortal:
    """The way into a loop that runs until the process ends."""
    made: Future[BlockingPortal] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            made.set_result(portal)
            await portal.sleep_until_stopped()

    threading.Thread(target=anyio.run, args=(serve,), name="calls", daemon=True).start()
    return made.result()
