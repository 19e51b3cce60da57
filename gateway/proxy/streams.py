"""An answer too large to be held: cut as it comes, with bounded memory, and watched while it runs.

    entry on the disk ── first byte ── … ── last byte ── outcome on the disk

Three end it before its time: the consent is no longer what it was (within a second), the
app has gone, or the organisation's answer breaks. The app sees a connection cut short,
never a whole answer that is not one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from gateway.formats.model import Counts, Cutter
from gateway.ground.http.connector import Answer, ConnectorError, Headers

WATCH_SECONDS = 0.4

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass
class AnswerStream:
    """One answer on its way. `outcome` is one of the log's: delivered, cut, stopped."""

    answer: Answer
    cutter: Cutter
    held: list[bytes]  # what was read before it turned out too large
    rest: AsyncIterator[bytes]
    media_type: str
    limit: int  # bytes of the organisation's answer
    ahead: tuple[str, str] = ("", "")  # address of the next page, and a notice
    headers: Headers = field(default_factory=list)
    head_only: bool = False
    sent: int = (
        0  # bytes, and in `counts` records: of what was given to the server to send, so never less than has left
    )
    started: bool = False
    counts: Counts = field(default_factory=Counts)
    outcome: str = "cut"
    reason: str = "organisation_answer_invalid"  # of errors.REASONS, told to the app when nothing has started
    fault: Exception | None = None  # nobody can say whether the consent still is what it was

    async def carry(self, receive: Receive, send: Send, holds: Callable[[], Awaitable[bool]]) -> None:
        """Returns when it has ended, in whatever way; `started` says whether the app has seen a part of it."""
        pump = asyncio.ensure_future(self._pump(send))
        watch = asyncio.ensure_future(_until_changed(holds))
        gone = asyncio.ensure_future(_until_gone(receive))
        tasks = (pump, watch, gone)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and not pump.cancelled() and pump.exception() is None:
                self.outcome = "delivered"
            elif watch.done() and isinstance(unknown := watch.exception(), Exception):
                self.fault = unknown
            elif watch.done():
                self.outcome, self.reason = "stopped", "ended"
            elif pump.done() and isinstance(fault := pump.exception(), ConnectorError):
                self.reason = fault.reason
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.started:  # else nothing has left
                self.counts = self.cutter.counts()
            if self.outcome != "delivered" or self.head_only:
                await self.answer.abort()

    async def _pump(self, send: Send) -> None:
        taken = 0
        for chunk in self.held:
            taken += len(chunk)
            await self._give(send, self.cutter.feed(chunk))
        self.held.clear()
        async for chunk in self.rest:
            taken += len(chunk)
            if taken > self.limit:
                raise ConnectorError("too_large", "stream")
            await self._give(send, self.cutter.feed(chunk))
        await self._give(send, self.cutter.close(), more=False)

    async def _give(self, send: Send, data: bytes, more: bool = True) -> None:
        """The first byte waits until there is one, so that what breaks before it is answered as an error."""
        if not data and more:
            return
        if not self.started:
            self.started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        self.sent += len(data)
        await send({"type": "http.response.body", "body": b"" if self.head_only else data, "more_body": more})


async def _until_changed(holds: Callable[[], Awaitable[bool]]) -> None:
    while await holds():
        await asyncio.sleep(WATCH_SECONDS)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
