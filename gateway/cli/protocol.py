"""uvicorn's HTTP protocol with patience that ends: who sends or reads too slowly is cut off.

Plain uvicorn waits for ever for the rest of a request's header. Figures: reference "reliability", section 5.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0  # from the connection, or the first byte of a request, to the end of its header
BODY_SECONDS = 10.0  # between two parts of a request's body
WRITE_SECONDS = 15.0  # in which a client must take something of what waits for it


class Patient(HttpToolsProtocol):
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        self.resume_writing()
        super().connection_lost(exc)

    # ---- reading

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._reading is None and self.timeout_keep_alive_task is None:
            self._wait(HEADER_SECONDS)  # empty lines between two requests end uvicorn's own patience

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._wait(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._wait(BODY_SECONDS)

    def on_message_complete(self) -> None:
        self._rest()
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        self._rest()
        self._reading = self.loop.call_later(seconds, self._too_slow, seconds)

    def _rest(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self, seconds: float) -> None:
        if self.flow.read_paused:  # it is we who do not read
            self._wait(seconds)
        else:
            self.transport.abort()

    # ---- writing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self.loop.call_later(WRITE_SECONDS, self._abort)

    def resume_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _abort(self, *_: Any) -> None:
        self.transport.abort()
