"""Checking a whole log, offline: one pass over the database as it lies there, nothing trusted but the public key.

What is checked, in this order:

    1. the high-water mark can be read
    2. every index from 0 holds one entry, each person's in her order
    3. every entry has the next number of its person's chain and, where the keys are at hand, opens to a
       payload that its commitment fits and that names the entry before it
    4. every stored checkpoint is signed by the log's key, and its root is that of the entries below it
    5. entries not yet numbered: the same as 3; each of them waits for its index, none was left out
    6. every person's chain ends where her last entry is
    7. no tree smaller than the mark, nor another at its size; older checkpoints that somebody kept are prefixes

Where times go back by more than `signed.CLOCK_BACK` from one checkpoint to the next, or by more than `LATE` from one
entry to the next, it is said (`Report.notes`), and is no finding: a clock may have been wrong, and the log is whole.

After a root that does not fit, the walk goes on from what was signed there, so that one bent entry
is told once and the next one is still found. What a single copy cannot show is a history rewritten and
signed again *with the log's own key*, mark included: that takes a checkpoint kept elsewhere (`kept`).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.errors import Unavailable
from gateway.ground.store import RUNNING, Connection, CopyFault, open_copy
from gateway.ground.store.statements import snapshot, streamed
from gateway.log.mark import Mark
from gateway.log.notes import BadNote, Checkpoint, VerifierKey, open_note, signers
from gateway.log.record import NO_PREVIOUS, commitment
from gateway.log.signed import CLOCK_BACK, begun, leaf, moment
from gateway.log.tree import HASH, Range

FINDINGS_LIMIT = 1000
LATE = timedelta(minutes=5)  # an entry bears the time its request came in, and a long download ends minutes after that

_LEAVES = """SELECT l."index", l.entry_id, e.person_id, e.seq, e.salt, e.sealed, e.commitment, c.key_sealed
    FROM logleaf l LEFT JOIN logentry e ON e.id = l.entry_id LEFT JOIN logchain c ON c.person_id = e.person_id
    ORDER BY l."index" """
_WAITING = f"""SELECT w.entry_id, e.id, e.person_id, e.seq, e.salt, e.sealed, e.commitment, c.key_sealed
    FROM logentry e LEFT JOIN logchain c ON c.person_id = e.person_id LEFT JOIN logwaiting w ON w.entry_id = e.id
    WHERE NOT EXISTS (SELECT 1 FROM logleaf WHERE entry_id = e.id) ORDER BY e.id & {RUNNING}"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. `index` is the entry's place, or where the missing one should be."""

    index: int
    what: str
    last: int | None = None  # the end of a span of entries, when it cannot be said which of them


@dataclass
class Report:
    entries: int = 0  # with an index
    waiting: int = 0  # committed, not yet numbered
    people: int = 0
    checkpoints: int = 0
    signed: int = 0  # size of the largest checkpoint whose signature and root hold
    opened: int = 0  # payloads opened and compared with their commitment
    erased: int = 0  # payloads whose key was destroyed: their commitments still count
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)  # what could not be checked, and why
    notes: list[str] = field(default_factory=list)  # worth a look, and nothing that was changed

    @property
    def whole(self) -> bool:
        return not self.findings


class Opener(Protocol):
    """`record.Log`, or whoever else holds the keys of payloads."""

    def read(self, person: str, seq: int, sealed: bytes, sealed_key: bytes) -> bytes: ...


class _Chained(msgspec.Struct):
    """Of a payload, what ties it to its person's chain."""

    user_seq: int
    user_prev: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]


def public_key(keys: Path, name: str) -> VerifierKey | None:
    """The log's public key, from its private one; None where that cannot be read. The other keys may be missing."""
    try:
        key = load_pem_private_key((keys / "log.pem").read_bytes(), None)
    except (OSError, ValueError):
        return None
    return VerifierKey(name, key.public_key().public_bytes_raw()) if isinstance(key, Ed25519PrivateKey) else None


def of_another(connection: Connection, key: VerifierKey) -> bool:
    """Whether another key is said to have signed both the first checkpoint and the last: then this one is another
    gateway's, and not the log is wrong. One checkpoint that somebody bent says nothing about the key."""
    ends = [
        connection.execute(f"SELECT note FROM logcheckpoint ORDER BY size {order} LIMIT 1").fetchone()
        for order in ("ASC", "DESC")
    ]
    try:
        return all(end is not None and (key.name, key.id) not in signers(end[0]) for end in ends)
    except (BadNote, AttributeError, TypeError):
        return False  # the check says what is wrong with it


def open_read_only(path: Path) -> Connection:
    """A copied database as it lies there. Raises CopyFault, also when it holds no log."""
    connection = open_copy(path)
    try:
        connection.execute("SELECT 1 FROM logentry LIMIT 1")
    except CopyFault:
        connection.close()
        raise
    return connection


def check(
    connection: Any,
    *,
    key: VerifierKey | None,
    opener: Opener | None,
    marked: "Mark | None | Literal['elsewhere']",
    kept: Sequence[str] = (),
) -> Report:
    """The whole check in one read transaction.

    `marked` must have been read before; "elsewhere": its file is not at hand, as beside a copy. `kept`: signed
    checkpoints.
    """
    walk = _Walk(connection, key, opener, {*_sizes(marked, kept)})
    with snapshot(connection):
        walk.leaves()
        walk.waiting()
        walk.chains_end()
        walk.anchors(marked, kept)
    return walk.report


class _Walk:
    def __init__(self, connection: Any, key: VerifierKey | None, opener: Opener | None, anchored: "set[int]") -> None:
        self.connection, self.key, self.opener = connection, key, opener
        self.report = Report()
        self.range: Range | None = Range()  # None: unknown since an index was missing
        self.agreed = 0  # size of the last checkpoint that was looked at
        self.anchored = anchored  # sizes whose root `anchors` asks for: there is a checkpoint for every second
        self.roots: dict[int, bytes] = {}  # of the checkpoints of these sizes
        self.chains: dict[str, tuple[int, bytes, int]] = {}  # person → number, commitment, index of her last entry
        self.signed_at = self.entered_at = datetime.min.replace(tzinfo=UTC)  # of the checkpoint and entry before
        self.locked: dict[str, int] = {}  # people whose key cannot be opened → index of the first such entry
        if key is None:
            self.report.unchecked.append("signatures: the log's public key is not at hand")
        if opener is None:
            self.report.unchecked.append("payloads were not opened: their keys are not at hand")

    def found(self, index: int, what: str, last: int | None = None) -> None:
        if len(self.report.findings) < FINDINGS_LIMIT:
            self.report.findings.append(Finding(index, what, last))

    def went_back(self, before: datetime, at: datetime, bound: timedelta, what: str) -> None:
        if before - at > bound and len(self.report.notes) < FINDINGS_LIMIT:
            self.report.notes.append(f"{what}: the time goes back, from {before:%Y-%m-%d %H:%M} to {at:%Y-%m-%d %H:%M}")

    # ---- 2, 4: leaves and checkpoints, side by side

    def leaves(self) -> None:
        checkpoints = _checkpoints(self.connection)
        coming = next(checkpoints, None)
        at = 0
        for index, entry, *rest in streamed(self.connection, _LEAVES):
            if index != at:
                self.found(at, "missing from the tree" if index > at else "twice in the tree", index - 1)
                self.range, at = None, index
            while coming and coming[0] <= at:
                self._checkpoint(*coming, leaves=at)
                coming = next(checkpoints, None)
            self._leaf(index, entry, *rest)
            at += 1
        while coming and coming[0] <= at:
            self._checkpoint(*coming, leaves=at)
            coming = next(checkpoints, None)
        self.report.entries = at
        if coming:
            size = max([coming[0], *(row[0] for row in checkpoints)])
            self.found(at, f"cut off: a tree of {size} was signed, {at} entries are left", size - 1)
            if self.agreed < at:
                self.found(self.agreed, "no signed tree confirms these entries any more", at - 1)

    def _leaf(self, index: int, entry: int, person: str | None, seq: int, salt: bytes, *rest: Any) -> None:
        fault = "the entry is missing" if person is None else _shape_fault(person, seq, salt, *rest)
        if person is None or fault:
            self.found(index, fault)
            self.range = None
            return
        self._entry(index, person, seq, salt, *rest)
        if self.range is not None:
            self.range.append(leaf(rest[1]))

    def _checkpoint(self, size: int, root: bytes, note: str, frontier: bytes, at_ms: int, *, leaves: int) -> None:
        self.report.checkpoints += 1
        if (at := moment(at_ms)) is not None:
            self.went_back(self.signed_at, at, CLOCK_BACK, f"checkpoint {size}")
            self.went_back(self.entered_at, at, CLOCK_BACK, f"checkpoint {size}, after its entries")
            self.signed_at = at
        else:
            self.found(max(size - 1, 0), f"checkpoint {size}: its time is none")
        if size in self.anchored:
            self.roots[size] = root
        fault = self._fault(size, root, note, frontier)
        if fault:
            self.found(max(size - 1, 0), f"checkpoint {size}: {fault}")
        if self.range is not None and self.range.size == size and self.range.root() != root:
            self.found(self.agreed, "not the entries that were signed", size - 1)
        if not fault:
            self.report.signed = size
            self.range = Range.from_bytes(size, frontier) if size == leaves else None
        self.agreed = size

    def _fault(self, size: int, root: bytes, note: str, frontier: bytes) -> str:
        if not (isinstance(root, bytes) and isinstance(note, str) and isinstance(frontier, bytes)):
            return "not of its form"
        try:
            if Range.from_bytes(size, frontier).root() != root:
                return "its compact range has another root"
            signed = Checkpoint.parse(open_note(note, [self.key]).text if self.key else note.split("\n\n")[0] + "\n")
        except (BadNote, ValueError) as error:
            return str(error)
        if (signed.size, signed.root) != (size, root) or (self.key and signed.origin != self.key.name):
            return "what was signed is something else"
        return ""

    # ---- 3: one entry

    def _entry(
        self, index: int, person: str, seq: int, salt: bytes, sealed: bytes, committed: bytes, key: bytes | None
    ) -> None:
        number, head, _ = self.chains.get(person, (0, NO_PREVIOUS, -1))
        if seq != number + 1:
            self.found(index, f"numbered {seq} where its person's chain comes to {number + 1}")
        if self.opener is not None:
            fault = self._payload_fault(index, person, seq, salt, sealed, committed, key, head)
            if fault:
                self.found(index, fault)
        self.chains[person] = (seq, committed, index)

    def _payload_fault(
        self,
        index: int,
        person: str,
        seq: int,
        salt: bytes,
        sealed: bytes,
        committed: bytes,
        key: bytes | None,
        head: bytes,
    ) -> str:
        if key is None:
            self.report.erased += 1
            return ""
        try:
            payload = self.opener.read(person, seq, sealed, key) if self.opener else b""
        except (InvalidTag, ValueError):
            return "its sealed payload was changed"
        except Unavailable:
            self.locked.setdefault(person, index)
            return ""
        self.report.opened += 1
        if commitment(salt, payload) != committed:
            return "its payload does not fit its commitment"
        try:
            chained = msgspec.json.decode(payload, type=_Chained)
        except msgspec.MsgspecError:
            return "its payload is not that of an entry"
        self.went_back(self.entered_at, chained.time, LATE, f"index {index}")
        self.entered_at = chained.time
        if chained.user_seq != seq or chained.user_prev != head.hex():
            return "it does not follow its person's entry before it"
        return ""

    # ---- 5, 6: what has no index yet, and where chains end

    def waiting(self) -> None:
        for at, (waits, id_, *entry) in enumerate(streamed(self.connection, _WAITING)):
            self.report.waiting += 1
            if waits is None:
                self.found(self._place(id_, at), "an entry was left out of the tree, and waits for no index")
            fault = _shape_fault(*entry)
            if fault:
                self.found(self.report.entries + at, fault)
            else:
                self._entry(self.report.entries + at, *entry)

    def _place(self, entry: int, at: int) -> int:
        """Where an entry that was left out would stand, as far as its id tells."""
        later = 'SELECT min("index") FROM logleaf WHERE entry_id > ?'
        (index,) = self.connection.execute(later, (entry,)).fetchone()
        return self.report.entries + at if index is None else int(index)

    def chains_end(self) -> None:
        self.report.people = len(self.chains)
        total = self.report.entries + self.report.waiting
        missing = dict(self.chains)
        for person, seq, head in streamed(self.connection, "SELECT person_id, seq, head FROM logchain"):
            number, committed, index = missing.pop(person, (0, NO_PREVIOUS, total - 1))
            if seq > number:
                self.found(index + 1, f"the last {seq - number} of a person's chain of {seq} are missing")
            elif (seq, head) != (number, committed) and seq:
                self.found(index, "its person's chain ends elsewhere")
        for _, _, index in missing.values():
            self.found(index, "its person has no chain")
        if self.locked and not self.report.opened:
            self.report.unchecked.append("payloads were not opened: the key-encryption key is another one")
            return
        for index in self.locked.values():
            self.found(index, "the key of its person cannot be opened")

    # ---- 7: what was signed before

    def anchors(self, marked: "Mark | None | Literal['elsewhere']", kept: Sequence[str]) -> None:
        if marked == "elsewhere":
            self.report.unchecked.append("the high-water mark is not at hand: an older copy would look the same")
        elif marked is None:
            if self.report.checkpoints:
                self.found(self.report.entries, "the high-water mark is missing, and a tree was signed")
            elif begun(self.connection):
                self.found(self.report.entries, "the high-water mark is missing, and the log has begun")
        elif marked.size and (self.key is None or marked.log == self.key.name):
            self._anchor(marked.size, marked.root, "the high-water mark")
        elif marked.size:
            self.found(self.report.entries, f"the high-water mark is of another log, {marked.log}")
        for note in kept:
            try:
                checkpoint = Checkpoint.parse(open_note(note, [self.key] if self.key else []).text)
            except BadNote as error:
                self.report.unchecked.append(f"a kept checkpoint: {error}")
            else:
                self._anchor(checkpoint.size, checkpoint.root, "the kept checkpoint")

    def _anchor(self, size: int, root: bytes, name: str) -> None:
        if size > self.report.entries:
            self.found(self.report.entries, f"cut off: {name} is of {size} entries", size - 1)
        elif size not in self.roots:
            self.found(size - 1, f"{name} is of {size} entries; no checkpoint of that size is stored")
        elif self.roots[size] != root:
            self.found(size - 1, f"{name} of {size} has another root: the history before it was rewritten")


def _sizes(marked: "Mark | None | Literal['elsewhere']", kept: Sequence[str]) -> Iterator[int]:
    if isinstance(marked, Mark):
        yield marked.size
    for note in kept:
        with contextlib.suppress(BadNote):  # `anchors` tells of it
            yield Checkpoint.parse(note.split("\n\n")[0] + "\n").size


def _shape_fault(person: Any, seq: Any, salt: Any, sealed: Any, committed: Any, key: Any) -> str:
    """SQLite stores a value of any type in any column: a text where bytes belong shows that somebody changed it."""
    fits = isinstance(person, str) and isinstance(seq, int)
    fits &= all(isinstance(part, bytes) for part in (salt, sealed, committed))
    return "" if fits and isinstance(key, bytes | None) and len(committed) == HASH else "the entry is not of its form"


def _checkpoints(connection: Any) -> Iterator[tuple[int, bytes, str, bytes, int]]:
    yield from streamed(connection, "SELECT size, root, note, frontier, at_ms FROM logcheckpoint ORDER BY size")
