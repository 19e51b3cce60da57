"""What an operator sees of a running gateway: structured logs, request ids, health.

A log line is one JSON object. No token, code, password or mail address ever stands in one: values are
redacted by name and by pattern, tracebacks too. A request's id is made here, never taken from outside;
it is in the answer's X-Request-Id, in every line of the request, and in the access log's entries.
"""

import errno
import json
import logging
import os
import re
import select
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, TextIO
from weakref import WeakKeyDictionary

import msgspec
import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import Unavailable
from gateway.ground.keys import fresh
from gateway.ground.store import Store, migrate
from gateway.ground.web import answers
from gateway.ground.web.doors import Context, Door
from gateway.house import House
from gateway.log import mark
from gateway.log.notes import Signer
from gateway.log.sequencer import Frozen, origin, standing

Line = MutableMapping[str, Any]
HIDDEN = "[hidden]"
LOOK_SECONDS = 1.0  # an answer of /readyz is this old at most
STUCK_SECONDS = 5.0  # a look that takes longer has found something
LAG_SECONDS = 15  # an entry waits for its number for one second or two
DISK_BYTES = 2**20

# ---- redaction

# A value under one of these names is never written, whatever it looks like.
SECRET_NAMES = re.compile(
    r"(^|_)(authorization|cookie|set_cookie|csrf|passw(or)?d|secret|token|code|otp|totp|pin|state|nonce|verifier"
    r"|assertion|ticket|request_uri|e?mail|customer(_number)?|iban|birth_date|phone|address|payload|sealed|salt)$",
    re.IGNORECASE,
)
SECRET_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\b(bearer|dpop|basic)\s+[^\s,;\"']+", rf"\1 {HIDDEN}"),
        (
            r"\b(code|state|nonce|ticket|request_uri|[a-z_]*(?:token|secret|password|verifier|assertion))=[^&\s\"']+",
            rf"\1={HIDDEN}",
        ),
        (r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){1,4}", HIDDEN),  # JWS and JWE, compact
        (r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43,}(?![A-Za-z0-9_-])", HIDDEN),  # 256 random bits, base64url
        (r"[^\s@<>\"'=,;]+@[^\s@<>\"',;]+\.[^\s@<>\"',;]+", HIDDEN),  # mail addresses
    )
)


def redacted(text: str) -> str:
    for pattern, instead in SECRET_PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {str(key): HIDDEN if SECRET_NAMES.search(str(key)) else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redacted(repr(value)) if not isinstance(value, bytes) else HIDDEN


def redact(_logger: object, _method: str, line: Line) -> Line:
    """The last processor before a line is written."""
    return {str(key): HIDDEN if SECRET_NAMES.search(str(key)) else _clean(value) for key, value in line.items()}


def _json(line: Line, **_: Any) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except (TypeError, ValueError):  # half a character out of two, for instance
        return json.dumps(line, default=repr)


# ---- logs


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
    """The gateway's own logger: `ops.logger().info("what happened", detail=…)`."""
    return structlog.get_logger()


# ---- requests


class Requests:
    """`app`, with a request id around every call and one line in the log after it. No query string is ever written."""

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app = app
        self._quiet = frozenset(("/healthz", "/readyz"))  # asked every second by machines
        self._logger = logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["aval.request_id"] = fresh(16)
        structlog.contextvars.bind_contextvars(request_id=request_id)  # uvicorn gives each request its own context
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                if not any(name == b"x-request-id" for name, _ in headers):
                    message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # P10: nothing of an answer that failed; what was sent is cut by the server
            self._logger.exception("request failed", method=scope["method"], path=scope["path"])
            if not status:
                await _fault(scope, receive, sending)
        if scope["path"] not in self._quiet:
            took = round((time.perf_counter() - began) * 1000, 1)
            self._logger.info("request", method=scope["method"], path=scope["path"], status=status, ms=took)


async def _fault(scope: Scope, receive: Receive, send: Send) -> None:
    response = answers.problem(500, "server_error", "Something went wrong here. Nothing was changed.")
    await response(scope, receive, send)


# ---- health


def healthz(_: Context) -> Response:
    """The process answers."""
    return answers.json({"status": "ok"})


def readyz(ctx: Context) -> Response:
    """Whether requests should be sent here: 200, or 503 with the names of what is not ready, and nothing more.

    What is `degraded` keeps no request away: log lines that cannot be written.
    """
    found = _readiness(ctx.house).found(time.monotonic())
    ready = not any(found.values())
    checks = {name: "ok" if not why else "failed" for name, why in found.items()}
    checks["log_lines"] = "degraded" if any(output.fault() for output in _outputs) else "ok"
    return answers.json({"ready": ready, "checks": checks}, 200 if ready else 503)


class Readiness:
    """What `/readyz` answers: looked at once a second at most, by one caller, however many ask.

    A look takes the writer's place for a moment, and hangs when the writer hangs; those who ask meanwhile are told
    what was found before, and after `STUCK_SECONDS` that the database gives no answer.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._looking = threading.Lock()
        self._began: float | None = None  # the look that is under way
        self._at = float("-inf")
        self._found: dict[str, str] = {}
        self._waiting = (0, 0.0)  # the first entry without a number, and since when it is that one
        self.parts: dict[str, Callable[[], str]] = {}  # of the running process, see `watch`

    def found(self, now: float) -> Mapping[str, str]:
        """What is not ready and why, by part; an empty reason: it is."""
        if now - self._at < LOOK_SECONDS:
            return self._found
        if self._looking.acquire(timeout=0.0 if self._found else STUCK_SECONDS):
            try:
                if now - self._at >= LOOK_SECONDS:
                    self._began = now
                    self._look(now)
            finally:
                self._began = None
                self._looking.release()
            return self._found
        began = self._began
        stuck = not self._found or (began is not None and now - began > STUCK_SECONDS)
        return {**self._found, "database": "no answer"} if stuck else self._found

    def _look(self, now: float) -> None:
        found = {name: _asked(partial(check, self._house)) for name, check in READY.items()}
        for name, fault in (*self.parts.items(), ("log", lambda: self._lag(now))):
            found[name] = found.get(name) or _asked(fault)
        for name, why in found.items():
            if why and why != self._found.get(name):
                logger().warning("not ready", check=name, why=why)
        self._found, self._at = found, now

    def _lag(self, now: float) -> str:
        """A sequencer that hangs is alive, and signs nothing: the same entry goes on waiting for its number."""
        connection = self._house.store.connect()
        try:
            (first,) = connection.execute(_FIRST_WAITING).fetchone()
        finally:
            connection.close()
        if first != self._waiting[0]:
            self._waiting = first, now
        return f"nothing was signed for {LAG_SECONDS} s" if first and now - self._waiting[1] > LAG_SECONDS else ""


_FIRST_WAITING = (
    'SELECT min(id) FROM logentry WHERE id > coalesce((SELECT entry_id FROM logleaf ORDER BY "index" DESC LIMIT 1), 0)'
)


def _asked(part: Callable[[], str]) -> str:
    """Its own reason, or the fault it failed with: what cannot be looked at is not ready."""
    try:
        return part()
    except Exception as error:
        return f"cannot be looked at: {type(error).__name__}"


_of_stores: "WeakKeyDictionary[Store, Readiness]" = WeakKeyDictionary()


def _readiness(house: House) -> Readiness:
    found = _of_stores.get(house.store)
    return found if found is not None else _of_stores.setdefault(house.store, Readiness(house))


def watch(house: House, **parts: Callable[[], str]) -> None:
    """Have `/readyz` ask these too: threads of this process. Each says why it does not work, or nothing."""
    _readiness(house).parts.update(parts)


def _database(house: House) -> str:
    if torn := house.store.tear():
        return torn
    if house.store.damaged:
        return "a page of the file is damaged: put a sound copy back"
    left = shutil.disk_usage(house.settings.data_dir).free
    if left < DISK_BYTES:
        return f"{left} bytes left in {house.settings.data_dir}"
    connection = house.store.connect()
    try:
        house.store.batch(connection, lambda writing: writing.execute(_WRITES_NOTHING))
    except Unavailable:
        return "the database cannot be written"
    finally:
        connection.close()
    return ""


# A transaction may begin on a file that is read-only; only a write finds out. This one changes no page of it.
_WRITES_NOTHING = "UPDATE logchain SET seq = seq WHERE 0"


def _schema(house: House) -> str:
    found = migrate.current(house.settings)
    return "" if found == migrate.HEAD else f"schema {found}, this version needs {migrate.HEAD}: aval migrate"


def _log(house: House) -> str:
    """Not frozen: the last checkpoint is signed, is that of its entries' range, and agrees with the mark."""
    key = Signer(origin(house.settings), house.keys.log).verifier
    try:
        connection = house.store.connect()
        try:
            standing(connection, house.settings.data_dir / mark.FILE, key)
        finally:
            connection.close()
    except (Frozen, Unavailable, OSError) as error:
        return f"log: {error}"
    return ""


def _keys(house: House) -> str:
    return "" if house.keys.signing else "no token key"


def _policies(house: House) -> str:
    return "" if house.catalogue.purposes and house.policies.sha256 else "no purposes or policies"


READY: Mapping[str, Callable[[House], str]] = {
    "database": _database,
    "schema": _schema,
    "log": _log,
    "keys": _keys,
    "policies": _policies,
}

DOORS = [
    Door("/healthz", healthz, kind="api", opens="none"),
    Door("/readyz", readyz, kind="api", opens="none"),
]
