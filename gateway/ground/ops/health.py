"""Whether the process is alive, and whether it can serve requests.

Store and keys are checked here. Other rooms and running threads register their own checks by `watch`, so that this
file need not know them.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

from starlette.responses import Response

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing
from gateway.ground.ops.logs import lines_lost, logger
from gateway.ground.store import Store, migrate
from gateway.ground.web import answers
from gateway.ground.web.context import Context
from gateway.ground.web.doors import Door
from gateway.house import House

LOOK_SECONDS = 1.0  # how old an answer of /readyz may be
STUCK_SECONDS = 5.0  # checks that take longer mean that the database is stuck
DISK_BYTES = 2**20


def healthz(_: Context) -> Response:
    """Says that the process answers."""
    return answers.json({"status": "ok"})


def readyz(ctx: Context) -> Response:
    """Whether requests should be sent here: 200, or 503 with the names of what is not ready, and nothing more.

    `degraded` names what is wrong but does not make the answer 503: log lines that cannot be written, changed files of
    policies or keys that are not taken.
    """
    readiness = _readiness(ctx.house)
    found = readiness.found(time.monotonic())
    ready = not any(found.values())
    checks = {name: "ok" if not why else "failed" for name, why in found.items()}
    checks["log_lines"] = "ok"
    checks |= {name: "degraded" for name in degraded(ctx.house) if checks.get(name) == "ok"}
    return answers.json({"ready": ready, "checks": checks}, 200 if ready else 503)


def degraded(house: House) -> frozenset[str]:
    """The parts that work, but not as somebody wanted them to."""
    lost = {"log_lines"} if lines_lost() else set()
    return frozenset(lost | {name for name, why in _readiness(house).lesser.items() if why()})


Check = Callable[[], str]  # returns why the part does not work; empty: it does


class Readiness:
    """What `/readyz` answers. The checks run once a second at most, for one request, however many ask.

    The checks need the writer's lock for a moment, so they hang if a writer hangs. Other requests meanwhile get the
    results of the last run, and after `STUCK_SECONDS` the answer that the database does not respond.
    """

    def __init__(self, house: House) -> None:
        self._looking = threading.Lock()
        self._began: float | None = None  # when the current run of the checks began
        self._at = float("-inf")
        self._found: dict[str, str] = {}
        self.lesser: dict[str, Check] = {}  # of parts that work, but not as somebody wanted them to
        self.parts: list[tuple[str, Check]] = [  # `watch` adds the checks of other rooms and of threads
            ("database", partial(_database, house.store, house.settings.data_dir)),
            ("schema", partial(migrate.still_serves, house.store)),
            ("keys", partial(_keys, house.keys)),
        ]

    def found(self, now: float) -> Mapping[str, str]:
        """Part → why it is not ready; empty: it is ready."""
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
        found: dict[str, str] = {}
        for name, fault in self.parts:
            found[name] = found.get(name) or _asked(fault)
        for name, why in found.items():
            if why and why != self._found.get(name):
                logger().warning("not ready", check=name, why=why)
        self._found, self._at = found, now


def _asked(part: Callable[[], str]) -> str:
    """The check's reason. A check that fails with an exception counts as not ready, with the exception as reason."""
    try:
        return part()
    except Exception as error:
        return f"cannot be looked at: {type(error).__name__}"


_of_stores: "WeakKeyDictionary[Store, Readiness]" = WeakKeyDictionary()


def _readiness(house: House) -> Readiness:
    found = _of_stores.get(house.store)
    return found if found is not None else _of_stores.setdefault(house.store, Readiness(house))


def watch(house: House, **parts: Check) -> None:
    """Add checks to `/readyz`, for other rooms and for threads. A name may be used for several checks."""
    _readiness(house).parts += parts.items()


def watch_lesser(house: House, **parts: Check) -> None:
    """What makes a part `degraded`, and not unready, in `/readyz`."""
    _readiness(house).lesser |= parts


def _database(store: Store, folder: Path) -> str:
    if fault := store.fault():
        return fault
    if folder.is_dir() and (left := shutil.disk_usage(folder).free) < DISK_BYTES:
        return f"{left} bytes left in {folder}"
    return "" if store.can_write() else "the database cannot be written"


def _keys(keys: KeyRing) -> str:
    try:
        keys.require_fresh()
        keys.signer_of("ES256")
    except Unavailable as error:
        return error.detail
    return ""


DOORS = [
    Door("/healthz", healthz, kind="api", opens="none"),
    Door("/readyz", readyz, kind="api", opens="none"),
]
