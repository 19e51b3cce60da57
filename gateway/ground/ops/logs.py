"""Log lines: one JSON object each, redacted, on standard error. A line that cannot be written costs only itself."""

import errno
import json
import logging
import os
import select
import sys
import threading
from typing import Any, TextIO

import msgspec
import structlog

from gateway.ground.ops.redaction import Line, redact


def _json(line: Line, **_: Any) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except (TypeError, ValueError):  # half a character out of two, for instance
        return json.dumps(line, default=repr)


class Output:
    """Where log lines go. A line that cannot be written costs nothing but itself: it is counted, nobody waits for it,
    and no fault of it reaches the caller. A full disk, a pipe whose reader has gone, one that nobody empties.

    It writes to the descriptor: a buffer would keep what failed once, and fail with it for ever.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._one = threading.Lock()
        self._lost = 0  # since the last line that was written
        self._broken_off = False  # in the middle of a line

    def fault(self) -> str:
        return f"{self._lost} log lines could not be written" if self._lost else ""

    def write(self, text: str) -> None:
        with self._one:
            try:
                self._put(self._told_before() + text)
                self._lost = 0
            except (OSError, ValueError):  # ValueError: it was closed
                self._lost += 1

    def flush(self) -> None:
        """Nothing is held back."""

    def _told_before(self) -> str:
        begun = "\n" if self._broken_off else ""
        return begun + (_json({"event": "log lines lost", "level": "error", "count": self._lost}) + "\n") * bool(
            self._lost
        )

    def _put(self, text: str) -> None:
        if self._descriptor is None:
            if self._stream is None:
                raise OSError(errno.EBADF, "there is no standard error")
            self._stream.write(text)
            self._stream.flush()
            return
        rest = text.encode("utf-8", "backslashreplace")
        ready = select.poll()
        ready.register(self._descriptor, select.POLLOUT)
        while rest:
            if not ready.poll(0):  # a pipe that is full
                raise BlockingIOError
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]  # so much never waits for a reader
            self._broken_off = bool(rest)


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):  # a stream in memory
        return None


class _Handler(logging.StreamHandler[Output]):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that cannot be made is one line less; the library would write a traceback to standard error."""
        self.stream.write(
            _json({"event": "a log line could not be made", "level": "error", "logger": record.name}) + "\n"
        )


_outputs: list[Output] = []  # of the process, once it is configured: one


def configure(level: str, stream: TextIO | None = None) -> None:
    """All logs of the process, those of libraries too, as redacted JSON lines on `stream` (standard error)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = [redact, structlog.processors.JSONRenderer(serializer=_json)]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = Output(stream or sys.stderr)
    _outputs[:] = [output]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: structlog.WriteLogger(output),  # type: ignore[arg-type]  # it asks for write and flush
        cache_logger_on_first_use=False,
    )
    handler = _Handler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(threshold)


def logger() -> Any:
    """The gateway's own logger: `logs.logger().info("what happened", detail=…)`."""
    return structlog.get_logger()


def lines_lost() -> str:
    """Whether log lines cannot be written now; empty when all is well."""
    return next((fault for output in _outputs if (fault := output.fault())), "")
