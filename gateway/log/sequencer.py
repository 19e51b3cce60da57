"""The sequencer: gives committed entries their index, and signs the tree that holds them, once a second.

One beat, always in this order; a crash between any two steps is finished by the next beat, which does
nothing else than what it always does. Where several processes serve the database, one of them leads and has the beats;
the others only look whether the log is whole, and take its mark up (`_follow`):

    1. what was signed still stands: last checkpoint, its compact range, the high-water mark and the entries numbered
       since agree; a mark that a crash left one checkpoint behind is written first
    2. number: entries that wait for an index get the next ones. Each person's come in her order; of two people's,
       that of the transaction which committed later may come first
    3. read those back from the disk and extend the compact range with them; where the clock was set back since the
       last checkpoint, an entry that says so is the last of them
    4. sign the new root, open the own signature, store the checkpoint
    5. write the mark

When 1 or 3 does not hold, the log is *frozen*: entries are still recorded and read, nothing is numbered or signed.
That is the case after a backup was put back. A sharing that was stopped since then may be running again in it, so
no data is given and nothing new is agreed until an operator says which history is the true one: she puts the newest
database back, or where there is none, begins another log (`restart`). Stopping works all the while.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.errors import Unavailable
from gateway.ground.store import Connection, key_checks, raw
from gateway.ground.store.contract import name_of
from gateway.ground.store.statements import one_moment
from gateway.ground.store.threads import Trouble, give_way
from gateway.log import mark, numbering, tree
from gateway.log.notes import Checkpoint, Signer, open_checkpoint
from gateway.log.record import Event, instant
from gateway.log.signed import (
    FIND_KEYS,
    Frozen,
    TreeHead,
    begun,
    extended,
    last_signed,
    origin,
    set_back,
    standing,
)

if TYPE_CHECKING:
    from gateway.house import House

BEAT_SECONDS = 1.0
LONGEST_SECONDS = 15.0  # of a beat: one that lasts longer hangs
CHUNK = 8192  # entries numbered in one transaction, so that nobody waits long for the writer
MOST_WAITING = 10_000  # of the entries without a number that are counted
OPERATOR = "operator"  # whose chain holds what concerns nobody's data
_CHECKPOINT = "INSERT INTO logcheckpoint (size, root, at_ms, note, frontier) VALUES (?, ?, ?, ?, ?)"

_logger = logging.getLogger("aval.log")


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat has left behind, for who watches. Only the leader says more than that it does not lead."""

    leads: bool = False
    waiting: int = 0  # entries without a number; MOST_WAITING + 1: any more
    whole: datetime | None = None  # all that was committed before is signed; None: the beat failed
    signed: datetime | None = None  # the last checkpoint


def waiting(connection: Connection) -> int:
    """Entries without a number. Not counted to the end where they are very many: it is asked once a second."""
    (found,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM logwaiting LIMIT {MOST_WAITING + 1}) AS first"
    ).fetchone()
    return int(found)


class Sequencer:
    """One per serving process. `start` and `stop` for the server; `integrate_once` for commands and tests.

    `found_whole`: what must be done before anything is given, once the log has been found whole: at the start, and
    whenever it was frozen before. While it fails, the log stays frozen.

    `watch`: told after every beat of the thread. Without it nothing is looked up for it.
    """

    def __init__(
        self,
        house: "House",
        found_whole: Callable[[], object] = lambda: None,
        watch: Callable[[Beat], None] | None = None,
    ) -> None:
        self._store = house.store
        self._clock: Callable[[], datetime] = house.clock
        self._log = house.log
        self._keys = house.keys
        self._path = house.settings.mark
        self._lead = house.store.lead("log")
        with house.store.read() as session:
            self._signer = Signer(origin(raw(session), house.settings), house.keys.log)
        self._found_whole = found_whole
        self._watch = watch
        self._leads = False  # whether it did at the last beat
        self._followed = False  # of a beat without the turn of the mark: another process led then
        self._turnless: float | None = None  # monotonic: since when beats have not had that turn
        self._one = threading.Lock()  # one beat at a time
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = ""  # why the last beat failed, when it did
        self._trouble = Trouble(_logger, "log: not signed", "log: signed again")
        self._unseen = Trouble(
            _logger, "log: what a beat has left behind is not known", "log: what a beat leaves behind is known again"
        )
        self._began: float | None = None  # monotonic: when the beat began that is under way

    @property
    def frozen(self) -> str:
        """Why, when it is."""
        return self._log.frozen

    # ---- the beat

    def integrate_once(self) -> int:
        """One beat. Returns how many entries the new checkpoint added; raises Frozen, Unavailable, OSError."""
        with self._one:
            self._began, self._leads = time.monotonic(), False
            try:
                connection = self._lead.taken()
                self._leads = connection is not None
                if connection is None:
                    self._follow()
                    return 0
                with mark.turn(self._path, alone=self._store.alone):
                    return self._integrate(connection)
            except mark.TurnHeld:
                self._followed = not self._leads
                if self._leads:
                    self._lead.close()  # on another machine somebody may have the turn of the mark there
                    self._leads = False
                raise
            finally:
                self._began = None

    def _integrate(self, connection: Connection) -> int:
        head, numbered = self._standing(connection)  # 1
        self._take_up(head)
        if head.range.size == 0 and not begun(connection):
            self._begin(connection)
        self._number(connection)  # 2
        grown = extended(connection, numbered)  # 3
        now = self._clock()
        if (was := set_back(connection, now)) is not None:
            self._record_set_back(connection, was, now)
            self._number(connection)
            grown = extended(connection, grown)
        if grown.size == head.range.size:
            return 0
        checkpoint = Checkpoint(self._signer.name, grown.size, grown.root())
        self._sign(connection, checkpoint, grown, now)  # 4
        self._mark(checkpoint)  # 5
        return grown.size - head.range.size

    def _follow(self) -> None:
        """What a process does that does not lead: it sees whether the log is whole, and its mark keeps up."""
        with mark.turn(self._path, alone=False), self._store.read() as session:
            head, _ = self._standing(raw(session))
            self._take_up(head)

    def _standing(self, connection: Connection) -> tuple[TreeHead, tree.Range]:
        """Also, what no start lets happen: another database in the place of the one whose keys these are."""
        if foreign := key_checks.wrong(connection, self._keys.checks):
            raise Frozen(f"the database is used with other keys than {', '.join(foreign)} here", FIND_KEYS)
        return standing(connection, self._path, self._signer.verifier, alone=self._store.alone)

    def _begin(self, connection: Connection) -> None:
        """The name is kept from now on, and a missing mark means that it was lost. So the mark comes first: after a
        crash between the two the next beat finds it, and writes the name."""
        name = self._signer.name
        mark.write(self._path, mark.nothing(name))
        self._store.batch(
            connection, lambda writing: writing.execute("INSERT INTO logname (id, origin) VALUES (1, ?)", (name,))
        )

    def _number(self, connection: Connection) -> None:
        if connection.execute("SELECT min(entry_id) FROM logwaiting").fetchone() == (None,):
            return
        last = connection.execute('SELECT "index" FROM logleaf ORDER BY "index" DESC LIMIT 1').fetchone()
        index = last[0] if last else -1

        def number(writing: Connection) -> None:
            one_moment(writing)
            if within := numbering.first(writing, CHUNK):
                numbering.numbered(writing, within, index, CHUNK)

        self._store.batch(connection, number)

    def _record_set_back(self, connection: Connection, was: datetime, now: datetime) -> None:
        event = Event("clock_back", OPERATOR, now, "system", {"clock_before": instant(was)})
        self._store.batch(connection, lambda writing: self._log.append_all(writing, [event], {}))

    def _sign(self, connection: Connection, checkpoint: Checkpoint, grown: tree.Range, now: datetime) -> None:
        note = self._signer.sign(checkpoint.text())
        open_checkpoint(note, [self._signer.verifier], self._signer.name)  # what cannot be opened is never stored
        row = (checkpoint.size, checkpoint.root, int(now.timestamp() * 1000), note, bytes(grown))
        self._store.batch(connection, lambda writing: writing.execute(_CHECKPOINT, row))

    def _take_up(self, head: TreeHead) -> None:
        """A mark that lags, or is missing where others sign too, is made that of the last signed tree."""
        if head.marked:
            return
        anew = not self._path.exists()
        self._mark(head.checkpoint)
        if anew:
            _logger.warning(
                "log: there was no mark at %s, and %d entries are signed: it begins there; "
                "if this machine has served before, see whether an older database was put back",
                self._path,
                head.checkpoint.size,
            )

    def _mark(self, checkpoint: Checkpoint) -> None:
        mark.write(self._path, mark.Mark(checkpoint.size, checkpoint.root, self._signer.name))

    # ---- the thread

    def start(self) -> None:
        self._check()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()

    def _check(self) -> None:
        """Whether it is frozen is known before the first call is answered."""
        try:
            try:
                self._look()
            except Frozen:  # the beat of a leader beside may have come between its looks at the database and the mark
                with mark.turn(self._path, alone=self._store.alone):
                    self._look()
            self._found_whole()
        except Frozen as reason:
            _logger.error("log frozen: %s; %s", reason, reason.do)
            self._log.frozen = str(reason)
        except Exception as error:  # what cannot be looked at gives nothing until a beat has found it whole
            _logger.exception("log: cannot be looked at")
            self._log.frozen = f"cannot be looked at: {type(error).__name__}"

    def _look(self) -> None:
        with self._store.read() as session:
            self._standing(raw(session))

    def stop(self) -> None:
        """Ends after one last beat, so that nothing recorded waits for the next start."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._one:
            self._lead.close()

    def fault(self) -> str:
        """Of a started sequencer: why nothing is numbered and signed; empty when all is well."""
        if self._thread is None or not self._thread.is_alive():
            return "the sequencer has ended"
        began = self._began
        if began is not None and time.monotonic() - began > LONGEST_SECONDS:
            return f"nothing was signed for {LONGEST_SECONDS:.0f} s: a beat hangs"
        return f"frozen: {self.frozen}" if self.frozen else self._failed

    def _run(self) -> None:
        give_way()
        while not self._wake.wait(BEAT_SECONDS):
            self._beat()
        self._beat()

    def _beat(self) -> None:
        began, whole = self._clock(), False
        turnless, self._turnless = self._turnless, None
        try:
            while self.integrate_once() >= CHUNK and not self._wake.is_set():
                continue
            if self._log.frozen:
                self._found_whole()
            self._log.frozen = self._failed = ""
            whole = True
        except Frozen as reason:
            if self.frozen != str(reason):
                _logger.error("log frozen: %s; %s", reason, reason.do)
            self._log.frozen = str(reason)
        except mark.TurnHeld as held:
            self._without_turn(str(held), turnless or time.monotonic() - mark.TURN_SECONDS)
        except Exception as error:  # the thread outlives every fault; the entries wait, and readiness says so
            self._failed = f"the last beat failed: {type(error).__name__}"
            self._trouble.failed(*self._cause(error))
        else:
            self._trouble.well()
        if self._watch is not None:
            self._show(self._watch, began if whole else None)

    def _without_turn(self, held: str, since: float) -> None:
        """The leader keeps the turn while it waits for a commit: whoever follows has missed nothing meanwhile."""
        self._turnless, lasted = since, time.monotonic() - since
        if self._followed and lasted < LONGEST_SECONDS:
            return
        if self._failed != held:
            _logger.error("log not signed for %.0f s: %s", lasted, held)
        self._failed = held

    def _cause(self, error: Exception) -> tuple[str, Exception | None]:
        """What is told of it; and itself where nobody foresaw it."""
        if isinstance(error, Unavailable):
            return error.detail, None
        if isinstance(error, OSError):
            return f"{type(error).__name__} {error.strerror or error}", None
        return name_of(error), None if self._store.is_fault(error) else error

    def _show(self, watch: Callable[[Beat], None], whole: datetime | None) -> None:
        beat = Beat(self._leads)
        try:
            try:
                with self._one:
                    connection = self._lead.taken() if self._leads else None
                    if connection is not None:
                        beat = Beat(True, waiting(connection), whole, last_signed(connection))
            finally:
                watch(beat)
        except Exception as error:  # who watches does not disturb the log
            self._unseen.failed(type(error).__name__)
        else:
            self._unseen.well()
