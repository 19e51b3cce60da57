"""What the processes that serve one database agree on. Where one is alone it agrees with itself, and asks nobody.

Together   which processes live, and whether this one leads the work that one of them does for all
Tries      tries of what is limited, counted for all of them, also over a restart
Leases     what one of them does at a time, given up by itself when it is not given back
"""

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, delete, select

from gateway.errors import Unavailable
from gateway.ground.pools import acquired, left, within
from gateway.ground.store.contract import Connection, Store, instant, translated
from gateway.ground.store.statements import insert, raw, turn
from gateway.ground.store.tables import Lease, Try
from gateway.ground.store.threads import Trouble

BEAT_SECONDS = 1.0
LIVES_SECONDS = 10.0  # a process that has said nothing for so long has ended, or is as good as ended
LEADS_SECONDS = 4.0  # for so long after it was last asked a lead is believed to be held (engine.LEAD_SECONDS)
LEASE_SECONDS = 30  # by this process's clock; the clocks of two may be apart by what WORK_SECONDS leaves of it
WORK_SECONDS = 20  # for what is done under a lease, so that it is over before the lease is
ASK_SECONDS = 0.05  # how often to ask again for a lease that another process holds

_SAY = (
    "INSERT INTO process (id, version, seen_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
    " ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at"
)
_SEEN = "SELECT id, seen_at, CURRENT_TIMESTAMP FROM process"
_logger = logging.getLogger("gateway.ground.store")


class Together:
    """This process among those that serve the database. Its one thread says every second that the process lives, sees
    who else does, and keeps the lead of the common work where this process has it.

    `told`: called from that thread with the number of living processes whenever it is another.
    """

    def __init__(self, store: Store, version: str, told: Callable[[int], None] = lambda count: None) -> None:
        self._store, self._version, self._told = store, version, told
        self.count = 1  # of living processes, this one among them
        self._connection: Connection | None = None  # its own: it must not wait for one of the pages'
        self._lead = None if store.alone else store.lead("work")
        self._led_until = 0.0  # monotonic, as the next two
        self._unbroken_since = self._last = float("-inf")
        self._unsaid = Trouble(
            _logger, "this process cannot say that it lives", "this process can say again that it lives"
        )
        self._leadless = Trouble(
            _logger, "the lead of the common work is not known", "the lead of the common work is known again"
        )
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def leads(self) -> bool:
        """Whether this process does the common work. For a moment two may think so: that work can be done twice."""
        return self._store.alone or time.monotonic() < self._led_until

    @property
    def sure(self) -> bool:
        """Whether silence of another process means that it has ended: not while this one could not be heard either."""
        now = time.monotonic()
        return self._store.alone or now - LIVES_SECONDS < self._last and self._unbroken_since < now - LIVES_SECONDS

    def living(self) -> frozenset[str]:
        """The processes that live, read now. Raises Unavailable."""
        if self._store.alone:
            return frozenset({self._store.process})
        with self._store.read() as session:
            return self._heard(raw(session).execute(_SEEN).fetchall())

    def start(self) -> None:
        """Before the first call is answered. Raises Unavailable."""
        if not self._store.alone:
            self._say()
            self._beat()
            self._thread = threading.Thread(target=self._run, name="together", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """After the last call was answered: the others need not wait until this process is silent for long enough."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            with contextlib.suppress(Exception):
                self._open().execute("DELETE FROM process WHERE id = ?", (self._store.process,))
        self._close()
        if self._lead is not None:
            self._lead.close()

    def _run(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            self._beat()

    def _beat(self) -> None:
        for work, trouble in ((self._say, self._unsaid), (self._take_lead, self._leadless)):
            try:
                work()
            except Exception as error:  # whatever it is, the next beat tries again
                trouble.failed(type(error).__name__)
            else:
                trouble.well()

    def _say(self) -> None:
        try:
            with translated(self._store):
                connection = self._open()
                connection.execute(_SAY, (self._store.process, self._version))
                count = len(self._heard(connection.execute(_SEEN).fetchall()))
        except Exception:
            self._close()
            raise
        now = time.monotonic()
        if now - self._last > LIVES_SECONDS / 2:  # it was not heard for a while; so may others not have been
            self._unbroken_since = now
        self._last = now
        if count != self.count:
            self.count = count
            self._told(count)

    def _take_lead(self) -> None:
        now = time.monotonic()
        self._led_until = 0.0 if self._lead is None or self._lead.taken() is None else now + LEADS_SECONDS

    def _heard(self, rows: Iterable[Sequence[str]]) -> frozenset[str]:
        """By the clock of the database alone."""
        spoke = {id for id, seen, now in rows if (instant(now) - instant(seen)).total_seconds() < LIVES_SECONDS}
        return frozenset(spoke | {self._store.process})

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._store.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class AtMost:
    """At most so many tries within any time of this length."""

    times: int
    seconds: int


class Tries:
    """Tries of what is limited. A key must tell nobody anything: it stays in the database for as long as it counts.

    Each function writes in a short transaction of its own, so that a try stays counted whatever becomes of the rest.
    Whoever has a transaction open hands its session over: then the try is counted when that is committed, and where
    that is undone, what was tried is undone with it. (A second transaction would wait for the first, for ever where
    one writer has the whole database.)
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._clock = store, clock

    def hit(self, limits: Sequence[AtMost], key: str, session: Session | None = None) -> int:
        """Count a try. Returns 0, or the seconds after which one fits; then it was not counted."""
        with self._writing(session) as writing:
            self.alone(key, writing)
            wait = self._wait(writing, limits, key)
            if not wait:
                self.add(key, max(limit.seconds for limit in limits), writing)
            return wait

    def wait(self, limits: Sequence[AtMost], key: str, session: Session | None = None) -> int:
        """The seconds after which a try fits; 0: one fits now. Counts nothing."""
        with contextlib.nullcontext(session) if session else self._store.read() as reading:
            return self._wait(reading, limits, key)

    def alone(self, key: str, session: Session) -> None:
        """Until this session's transaction ends nobody else counts a try of this key: `wait` is exact."""
        turn(session, f"try {key}")

    def add(self, key: str, seconds: int, session: Session | None = None) -> None:
        """Count a try without a limit, for this long."""
        now = self._clock()
        with self._writing(session) as writing:
            writing.add(Try(key=key, at=now, until=now + timedelta(seconds=seconds)))

    def take(self, key: str, session: Session | None = None) -> int:
        """Forget the tries, and return how many they were."""
        with self._writing(session) as writing:
            gone = writing.execute(delete(Try).where(col(Try.key) == key, col(Try.until) > self._clock()))
            return int(gone.rowcount)  # type: ignore[attr-defined]

    def _wait(self, session: Session, limits: Sequence[AtMost], key: str) -> int:
        now = self._clock()
        return max((_seconds(session, limit, key, now) for limit in limits), default=0)

    def _writing(self, session: Session | None) -> contextlib.AbstractContextManager[Session]:
        return contextlib.nullcontext(session) if session else self._store.write()


def _seconds(session: Session, limit: AtMost, key: str, now: datetime) -> int:
    """Until the try that is `times` back is as old as the limit counts."""
    since = now - timedelta(seconds=limit.seconds)
    found = select(Try.at).where(Try.key == key, Try.at > since).order_by(col(Try.at).desc())
    last = session.exec(found.offset(limit.times - 1).limit(1)).first()
    return 0 if last is None else min(limit.seconds, int((last - since).total_seconds()) + 1)


class _Locks:
    """A lock per key in this process, which exists only while a thread holds it or waits for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}  # key → (lock, how many threads use it); under _guard

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[bool]:
        """Wait for the lock, for as long as the work that waits has time. Yields whether it is held."""
        with self._guard:
            lock, wanting = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = lock, wanting + 1
        try:
            taken = acquired(lock)
            try:
                yield taken
            finally:
                if taken:
                    lock.release()
        finally:
            with self._guard:
                lock, wanting = self._locks[key]
                if wanting == 1:
                    del self._locks[key]
                else:
                    self._locks[key] = lock, wanting - 1


_locks = _Locks()


@contextlib.contextmanager
def one_at_a_time(store: Store, what: str) -> Iterator[bool]:
    """Work that only one thread of all processes may do at a time, also while it waits for another party. Call it in a
    worker thread, outside any transaction. Yields whether it may be done now; False: others took too long. Raises
    Unavailable."""
    with _locks.held(f"{store.where} {what}") as alone_here:
        if store.alone or not alone_here:
            yield alone_here
            return
        with Leases(store).held(what) as held:
            yield held


class Leases:
    """What one process does at a time. Threads of one process must agree among themselves before (a lock in memory)."""

    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._clock = store, clock
        self._holder = f"{store.process} {secrets.token_hex(4)}"

    @contextlib.contextmanager
    def held(self, what: str) -> Iterator[bool]:
        """Wait for the lease, for as long as the work that waits has time (`pools.left`). Yields whether it is held;
        what is done then has WORK_SECONDS. Raises Unavailable."""
        until = time.monotonic() + min(left(), LEASE_SECONDS + WORK_SECONDS)
        while not (taken := self.take(what)) and time.monotonic() < until:
            time.sleep(ASK_SECONDS)
        if not taken:
            yield False
            return
        try:
            with within(WORK_SECONDS):
                yield True
        finally:
            with contextlib.suppress(Unavailable):  # then it ends by itself
                self.give_back(what)

    def take(self, what: str) -> bool:
        """Whether the lease is taken: nobody holds it, or it has ended."""
        now = self._clock()
        row = {"holder": self._holder, "until": now + timedelta(seconds=LEASE_SECONDS)}
        with self._store.write() as session:
            taking = insert(session, Lease).values(id=what, **row)
            taking = taking.on_conflict_do_update(index_elements=["id"], set_=row, where=col(Lease.until) < now)
            return bool(session.execute(taking).rowcount == 1)  # type: ignore[attr-defined]

    def give_back(self, what: str) -> None:
        """Unless it has ended and is another's by now."""
        with self._store.write() as session:
            session.execute(delete(Lease).where(col(Lease.id) == what, col(Lease.holder) == self._holder))
