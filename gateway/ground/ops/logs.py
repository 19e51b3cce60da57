"""Log lines: one JSON object each, redacted, on standard error. A line that cannot be written is dropped."""

import errno
import json
import logging
import os
import select
import sys
import threading
from functools import partial
from typing import Any, TextIO

import msgspec
import structlog

from gateway.ground.ops.redaction import Line, redact


def _json(line: Line, **_: Any) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except (TypeError, ValueError):  # a lone surrogate, for instance
        return json.dumps(line, default=repr)


class Output:
    """Where log lines go. A line that cannot be written (full disk, pipe that is full or has no reader) is dropped and
    counted. The caller neither waits nor gets an exception.

    It writes to the file descriptor directly: a buffered stream would keep a line that failed and fail again with
    every later one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._ready = select.poll()
        if self._descriptor is not None:
            self._ready.register(self._descriptor, select.POLLOUT)
        self._one = threading.Lock()
        self._lost = 0  # lines dropped since the last one that was written
        self._broken_off = False  # whether the last line was written only in part

    def fault(self) -> str:
        return f"{self._lost} log lines could not be written" if self._lost else ""

    def write(self, text: str) -> None:
        with self._one:
            try:
                self._put(self._told_before() + text)
                self._lost = 0
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._lost += 1

    def flush(self) -> None:
        """Nothing to do: there is no buffer."""

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
        while rest:
            if not self._ready.poll(0):  # the pipe is full
                raise BlockingIOError
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]  # a pipe takes this much at once
            self._broken_off = bool(rest)


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):  # a stream in memory
        return None


class _Handler(logging.StreamHandler[Output]):
    def handleError(self, record: logging.LogRecord) -> None:
        """A record that cannot be formatted is dropped. The library would write a traceback to standard error."""
        self.stream.write(
            _json({"event": "a log line could not be made", "level": "error", "logger": record.name}) + "\n"
        )


_outputs: list[Output] = []  # the process's one output, once `configure` was called
_common: dict[str, str] = {}  # in every line of the process
_tells = True  # whether lines of level info are written


def configure(level: str, stream: TextIO | None = None, *, process: str = "") -> None:
    """Send all logs of the process, including those of libraries, to `stream` (standard error) as redacted JSON.

    `process`: which one it is, where several write to one stream; each line says so.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        *([partial(_of_process, process)] if process else []),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Any] = [redact, structlog.processors.JSONRenderer(serializer=_json)]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = Output(stream or sys.stderr)
    _outputs[:] = [output]
    global _tells
    _tells = threshold <= logging.INFO
    _common.clear()
    _common.update({"process": process} if process else {})
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


def _of_process(process: str, _logger: Any, _method: str, line: Line) -> Line:
    line["process"] = process
    return line


def write(line: Line) -> None:
    """A line of level info that needs nothing more: all that it holds may be written as it is."""
    if not _tells:
        return
    if not structlog.is_configured():  # as the library does it
        structlog.get_logger().info(**line)
        return
    text = _json({**_common, **line}) + "\n"
    for output in _outputs:
        output.write(text)


def logger() -> Any:
    """The gateway's own logger: `logs.logger().info("what happened", detail=…)`."""
    return structlog.get_logger()


def lines_lost() -> str:
    """Says how many log lines could not be written lately; empty when all is well."""
    return next((fault for output in _outputs if (fault := output.fault())), "")
