"""What is measured for operators, in the words of Prometheus. Off unless `metrics_address` is set; then nothing here is
made and the library is not even imported.

METRICS is the whole list: documents are written from it. No label holds anything of a person, an app, a consent, a
token or an address that was asked for: a door is told by its pattern, an organisation only once it was called, so that
nobody outside can make new labels.

Instants are told rather than ages, and a process that does not lead tells nothing of the log, so that the largest value
among processes, or machines, is always the true one.
"""

import os
import resource
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gateway.errors import REASONS
from gateway.ground.http.guard import App, Receive, Scope, Send

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

# An answer of the memory takes below a millisecond; total_seconds, the longest call to an organisation, is a minute.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DATA = "/data/{organisation}/{path}"
NO_DOOR = "none"

GIVEN = "given"
OTHERS = {401: "token", 500: "fault", 503: "unavailable", 0: "gone"}  # status of an answer that has no reason → outcome
MALFORMED = "malformed"
OUTCOMES = (GIVEN, *REASONS, *OTHERS.values(), MALFORMED)
# The organisation was called, so it is one that the operator has declared. Any other name may be of a caller's making.
CALLED = frozenset(
    (GIVEN, "organisation_unavailable", "organisation_slow", "organisation_refused", "organisation_answer_invalid",
     "filter_failed", "too_large")
)  # fmt: skip

FAILURES = ("clash", "unavailable", "damaged")
WORK = ("log", "common")
PARTS = ("policies", "keys", "log_lines")  # that may be degraded


@dataclass(frozen=True, slots=True)
class Measure:
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    of_all: Literal["", "livesum", "livemax", "max"] = ""  # of a gauge: what several processes together say


METRICS: Mapping[str, Measure] = {
    "aval_build_info": Measure("gauge", "Always 1; the labels say what runs.", ("version", "compiled"), "livemax"),
    "aval_http_request_duration_seconds": Measure(
        "histogram",
        "Requests, from their head to the last byte of the answer. door: the pattern of the address, none where there"
        " is no door; status: 2xx to 5xx, none where the client was gone before any answer.",
        ("door", "status"),
    ),
    "aval_data_calls_total": Measure(
        "counter",
        "Data calls by outcome: given, a reason of a refusal, or token (none, or not a valid one), malformed,"
        " unavailable, fault, gone. organisation: empty unless it was called.",
        ("organisation", "outcome"),
    ),
    "aval_organisation_wait_seconds_total": Measure(
        "counter",
        "Time in which data calls waited for an organisation: for a place, a connection and the head of its answer.",
        ("organisation",),
    ),
    "aval_undeclared_answers_total": Measure(
        "counter",
        "Answers, and files, with a member that the organisation's declaration does not know: it was given to nobody."
        " `aval organisations drift` names it.",
        ("organisation",),
    ),
    "aval_log_waiting_entries": Measure(
        "gauge",
        "Entries of the access log that had no number yet after the leader's last beat; 10001 stands for any more.",
        of_all="livemax",
    ),
    "aval_log_beat_timestamp_seconds": Measure(
        "gauge",
        "When the last beat of the log began that left nothing behind: all that was committed before is signed. 0 in a"
        " process that has never led.",
        of_all="max",
    ),
    "aval_log_checkpoint_timestamp_seconds": Measure(
        "gauge",
        "When the last checkpoint was signed. Old where nothing happens. 0 in a process that has never led.",
        of_all="max",
    ),
    "aval_log_frozen": Measure(
        "gauge", "1 while the log is frozen: no data is given until an operator has looked.", of_all="livemax"
    ),
    "aval_degraded": Measure(
        "gauge",
        "1 where a part works, but not as somebody wanted it to. part: policies or keys, whose changed files have a"
        " fault, so that those before go on; log_lines, which cannot be written.",
        ("part",),
        "livemax",
    ),
    "aval_leads": Measure(
        "gauge",
        "1 where this process leads. work: log, who numbers and signs entries; common, who deletes what has expired and"
        " tells organisations.",
        ("work",),
        "livemax",
    ),
    "aval_serving_processes": Measure(
        "gauge", "Processes that serve this database, on all machines, as this one sees them.", of_all="livemax"
    ),
    "aval_database_connections": Measure(
        "gauge", "Connections for pages that are in use, looked at once a second.", of_all="livesum"
    ),
    "aval_database_connections_limit": Measure(
        "gauge", "Connections for pages that could be in use at once.", of_all="livesum"
    ),
    "aval_database_failures_total": Measure(
        "counter",
        "Transactions of pages and repeated work that failed. kind: clash, another was in the way, so it was done again"
        " or refused; unavailable; damaged. Those of data calls are their outcome unavailable.",
        ("kind",),
    ),
    "aval_cpu_seconds_total": Measure("counter", "Time on a processor, in the kernel included."),
    "aval_resident_memory_bytes": Measure("gauge", "Memory in use; 0 where the system does not say.", of_all="livesum"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What is looked at once a second, after a beat of the log."""

    leads_log: bool
    leads_common: bool
    processes: int
    frozen: bool
    connections: tuple[int, int]  # in use, limit
    waiting: int = 0
    beat: float | None = None  # as are the next: epoch seconds; None: not known here
    checkpoint: float | None = None
    degraded: frozenset[str] = frozenset()  # of PARTS


class Metrics:
    """The values of one process. `number`: which one it is, of several whose values are put together in the folder
    that their parent made (scrapes.py); None: it is alone.
    """

    def __init__(self, version: str, compiled: bool, number: int | None = None) -> None:
        # here: who does not measure does not load the library
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, values

        # Processes together have none of these, and whoever watches should not have to care how many there are.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        # Numbered processes rather than process ids: who is started again goes on in the file of the one that ended, so
        # that nothing is lost or counted twice, and files do not become more and more.
        shared: Any = values.MultiProcessValue
        values.ValueClass = values.MutexValue if number is None else shared(lambda: number)
        self.registry = CollectorRegistry()
        self._made: dict[str, Any] = {}
        for name, measure in METRICS.items():
            common: dict[str, Any] = {"labelnames": measure.labels, "registry": self.registry}
            if measure.kind == "counter":
                self._made[name] = Counter(name, measure.help, **common)
            elif measure.kind == "histogram":
                self._made[name] = Histogram(name, measure.help, buckets=BUCKETS, **common)
            else:
                self._made[name] = Gauge(name, measure.help, multiprocess_mode=measure.of_all or "all", **common)
        self._took: dict[tuple[str, int], Callable[[float], None]] = {}
        self._counted: dict[tuple[str, str], Callable[[], None]] = {}
        self._waited: dict[str, Callable[[float], None]] = {}
        self._cpu = 0.0
        self._gauge("aval_build_info").labels(version, "yes" if compiled else "no").set(1)
        self._begin()

    def _begin(self) -> None:
        """What can be known beforehand is there with 0, or else its first rise would not be seen as one."""
        for outcome in OUTCOMES:
            if outcome not in CALLED:
                self._counter("aval_data_calls_total").labels("", outcome)
        for kind in FAILURES:
            self._counter("aval_database_failures_total").labels(kind)
        for work in WORK:
            self._gauge("aval_leads").labels(work).set(0)
        for part in PARTS:
            self._gauge("aval_degraded").labels(part).set(0)

    def text(self) -> bytes:
        """All values of this process, as they are scraped."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def _counter(self, name: str) -> "Counter":
        return self._made[name]  # type: ignore[no-any-return]

    def _gauge(self, name: str) -> "Gauge":
        return self._made[name]  # type: ignore[no-any-return]

    def _histogram(self, name: str) -> "Histogram":
        return self._made[name]  # type: ignore[no-any-return]

    # ---- at every request

    def answered(self, door: str, status: int, seconds: float) -> None:
        key = door, status // 100
        took = self._took.get(key)
        if took is None:
            label = f"{status // 100}xx" if status else "none"
            took = self._took[key] = self._histogram("aval_http_request_duration_seconds").labels(door, label).observe
        took(seconds)

    def called(self, path: str, status: int, reason: str | None) -> None:
        """A data call has ended. `path`: as it was asked for; `reason`: of a refusal, one of errors.REASONS."""
        outcome = GIVEN if status == 200 else reason or OTHERS.get(status, MALFORMED)
        key = path.split("/", 3)[2] if outcome in CALLED else "", outcome
        count = self._counted.get(key)
        if count is None:
            count = self._counted[key] = self._counter("aval_data_calls_total").labels(*key).inc
        count()

    def waited(self, organisation: str, seconds: float) -> None:
        wait = self._waited.get(organisation)
        if wait is None:
            wait = self._waited[organisation] = (
                self._counter("aval_organisation_wait_seconds_total").labels(organisation).inc
            )
        wait(seconds)

    # ---- now and then, from any thread

    def undeclared(self, organisation: str, answers: int) -> None:
        self._counter("aval_undeclared_answers_total").labels(organisation).inc(answers)

    def failed(self, kind: str) -> None:
        self._counter("aval_database_failures_total").labels(kind).inc()

    def sampled(self, found: Sample) -> None:
        self._gauge("aval_leads").labels("log").set(found.leads_log)
        self._gauge("aval_leads").labels("common").set(found.leads_common)
        self._gauge("aval_serving_processes").set(found.processes)
        self._gauge("aval_log_frozen").set(found.frozen)
        for part in PARTS:
            self._gauge("aval_degraded").labels(part).set(part in found.degraded)
        used, limit = found.connections
        self._gauge("aval_database_connections").set(used)
        self._gauge("aval_database_connections_limit").set(limit)
        self._gauge("aval_log_waiting_entries").set(found.waiting)
        if found.beat is not None:
            self._gauge("aval_log_beat_timestamp_seconds").set(found.beat)
        if found.checkpoint is not None:
            self._gauge("aval_log_checkpoint_timestamp_seconds").set(found.checkpoint)
        self._gauge("aval_resident_memory_bytes").set(_resident())
        spent = resource.getrusage(resource.RUSAGE_SELF)
        before, self._cpu = self._cpu, spent.ru_utime + spent.ru_stime
        self._counter("aval_cpu_seconds_total").inc(max(0.0, self._cpu - before))


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as said:
            return int(said.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return 0


class Measured:
    """`app`, with its requests counted and timed. `doors`: what the framework notes as the endpoint of a request → the
    pattern of its address."""

    def __init__(self, app: App, metrics: Metrics, doors: Mapping[Hashable, str]) -> None:
        self._app, self._metrics, self._doors = app, metrics, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        def sending(message: Any) -> Any:  # hands on what is awaited, rather than awaiting it itself: half the cost
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            took = time.perf_counter() - began
            path: str = scope["path"]
            if path.startswith("/data/"):
                self._metrics.answered(DATA, status, took)
                self._metrics.called(path, status, scope.get("aval.refused"))
            else:
                self._metrics.answered(self._doors.get(scope.get("endpoint"), NO_DOOR), status, took)
