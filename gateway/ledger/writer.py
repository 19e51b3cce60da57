"""The writer: gathers what calls want written while the last batch is on its way, and hands it to the ledger.

    calls ── commit ──┐ gathered while the disk is busy
                      ▼
    ledger       one transaction for all of them, on the disk
    event loop   every call gets its verdict, and the next batch is written

The transaction that writes an entry also checks that the consent is still as it was judged. If not, nothing is
written and the call gets `CHANGED`. So no access is recorded, and no data given, under terms that have already ended.
"""

import asyncio

from gateway.errors import Unavailable
from gateway.ledger.contract import BATCH, Item, Ledger, Verdict


class Writer:
    """Used on the event loop only, from `start` on."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Item] = []
        self._at_work = False  # a batch is on its way: an item that comes now waits for the next one
        self._idle = asyncio.Event()

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises Unavailable."""
        await self.ledger.start(loop)
        self._loop = loop

    async def stop(self) -> None:
        """Returns when everything handed in is on the disk."""
        if self._loop is None:
            return
        while self._at_work:
            self._idle.clear()
            await self._idle.wait()
        self._loop = None
        await self.ledger.stop()

    async def commit(self, item: Item) -> Verdict:
        """WRITTEN: the item is on the disk. Raises Unavailable: it may not be, and no data may be given."""
        if self._loop is None:
            raise Unavailable("writer: not started")
        item.answer = self._loop.create_future()
        self._waiting.append(item)
        if not self._at_work:
            self._at_work = True
            self._loop.call_soon(self._round)  # after the other calls of this loop turn, so that they join the batch
        return await item.answer

    def fault(self) -> str:
        """Why nothing can be written any more; empty when all is well. Callable from any thread."""
        return self.ledger.fault() if self._loop is not None else "the writer is not started"

    def _round(self) -> None:
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self.ledger.commit(batch, lambda fault: self._answer(batch, fault))

    def _answer(self, batch: list[Item], fault: Exception | None) -> None:
        for item in batch:
            answer = item.answer
            if answer is None or answer.done():
                continue
            if fault is None and item.verdict is None:
                self._waiting.append(item)
                continue
            if fault is None and isinstance(item.verdict, Verdict):
                answer.set_result(item.verdict)
            else:
                error = fault or item.verdict
                answer.set_exception(error if isinstance(error, Exception) else Unavailable("writer"))
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._round)  # after the calls just answered have gone on
        else:
            self._at_work = False
            self._idle.set()
