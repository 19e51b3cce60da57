"""A person's own entries, newest first. Filters apply after decryption: the database cannot tell who did what."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from gateway.errors import Unavailable
from gateway.log.events import EVENTS, Badge
from gateway.log.record import Log
from gateway.log.record import instant as written
from gateway.log.sentences import instant
from gateway.log.signed import leaf
from gateway.log.tally import BLOCK, COUNTED, Tally
from gateway.log.verify import open_read_only

PAGE = 50  # entries on one page
SCAN = 5000  # entries opened for one page at most; a rarer filter goes on with the next page
_BATCH = 200
_LARGEST = 2**62  # a number no person's chain comes to
_CLOCK = timedelta(days=1)  # how far the clock may have been set back between two entries

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Entry:
    """One opened entry. `kind` is UNREADABLE, without facts, when it cannot be opened."""

    seq: int
    id: int
    kind: str
    actor: str
    at: datetime | None
    facts: dict[str, Any]
    commitment: bytes
    payload: bytes

    @property
    def badge(self) -> Badge:
        return EVENTS[self.kind].badge_of(self.facts) if self.kind in EVENTS else "refusal"

    @property
    def organisations(self) -> tuple[str, ...]:
        return tuple(self.facts.get("organisations") or filter(None, [self.facts.get("organisation")]))

    @property
    def sharing(self) -> str:
        """The sharing behind this entry. "": none, or a mere request, of which nothing stays when it is unanswered."""
        asked = self.kind == "consent_asked" or self.facts.get("reason") == "lapsed"
        return "" if asked else str(self.facts.get("consent", ""))


@dataclass(frozen=True, slots=True)
class Filter:
    """What the person wants to see. Empty: everything. `start` and `end` are half-open."""

    badge: str = ""
    client: str = ""
    organisation: str = ""
    consent: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def keeps(self, entry: Entry) -> bool:
        return (
            self.badge in ("", entry.badge)
            and self.client in ("", entry.facts.get("client"))
            and (not self.organisation or self.organisation in entry.organisations)
            and self.consent in ("", entry.facts.get("consent"))
            and (self.start is None or (entry.at is not None and entry.at >= self.start))
            and (self.end is None or (entry.at is not None and entry.at < self.end))
        )


@dataclass(frozen=True, slots=True)
class LogPage:
    """`older`: the cursor of the next page, which new entries do not shift. None: this was the last."""

    entries: tuple[Entry, ...]
    older: int | None


@contextlib.contextmanager
def of_copy(database: Path) -> Iterator[Session]:
    """A session on a copied database, which is read as it lies there. Raises Unavailable."""
    engine = create_engine("sqlite://", creator=lambda: open_read_only(database), poolclass=NullPool)
    try:
        with Session(engine) as session:
            yield session
    except DatabaseError as error:
        raise Unavailable(f"{database}: {error.orig}") from error


def page(
    session: Session, log: Log, person: str, wanted: Filter, *, before: int | None = None, size: int = PAGE
) -> LogPage:
    """The newest `size` entries below number `before` that the filter keeps."""
    kept: list[Entry] = []
    opened = 0
    for entry in entries(session, log, person, before=before):
        if wanted.start and entry.at and entry.at + _CLOCK < wanted.start:
            return LogPage(tuple(kept), None)
        if len(kept) == size or opened == SCAN:
            return LogPage(tuple(kept), entry.seq + 1)
        opened += 1
        if wanted.keeps(entry):
            kept.append(entry)
    return LogPage(tuple(kept), None)


def entries(session: Session, log: Log, person: str, *, before: int | None = None) -> Iterator[Entry]:
    """All entries of one person below number `before`, newest first, opened as they are asked for."""
    key = session.execute(text("SELECT key_sealed FROM logchain WHERE person_id = :p"), {"p": person}).scalar()
    below = min(before, _LARGEST) if before is not None else _LARGEST
    while True:
        rows = session.execute(
            text(
                "SELECT id, seq, sealed, commitment FROM logentry"
                " WHERE person_id = :p AND seq < :below ORDER BY seq DESC LIMIT :n"
            ),
            {"p": person, "below": below, "n": _BATCH},
        ).all()
        for row in rows:
            yield _opened(log, person, key, *row)
        if len(rows) < _BATCH:
            return
        below = rows[-1].seq


def one(session: Session, log: Log, person: str, seq: int) -> Entry | None:
    """The entry of this number, if the person has one."""
    entry = next(entries(session, log, person, before=seq + 1), None)
    return entry if entry is not None and entry.seq == seq else None


def accesses(session: Session, log: Log, person: str, since: datetime) -> Counter[str]:
    """How often each consent of the person was used since then: consent → number of accesses.

    Tallies are added up, newest first (tally.py). Opened are only the entries that none of them covers, and those of
    the block in which `since` lies.
    """
    counted: Counter[str] = Counter()
    start, before = written(since), written(since - _CLOCK)
    seq, tallies = _tallies(session, log, person, before)
    while seq:
        tally = tallies.get(seq)
        if tally is None or tally.first <= start <= tally.last:
            below = (seq - 1) // BLOCK * BLOCK
            if not _count_opened(counted, session, log, person, since, below, seq):
                break
            seq = below
            continue
        if tally.last < before:
            break
        if tally.first > start:
            counted.update(tally.counts)
        seq -= tally.size
    return counted


def _count_opened(
    counted: Counter[str], session: Session, log: Log, person: str, since: datetime, below: int, upto: int
) -> bool:
    """Count the accesses among the entries from `below` to `upto`, by opening them. False: what is older is too old."""
    for entry in entries(session, log, person, before=upto + 1):
        if entry.seq <= below:
            break
        if entry.at and entry.at + _CLOCK < since:
            return False
        if entry.kind == COUNTED and entry.at and entry.at >= since:
            counted[str(entry.facts.get("consent", ""))] += 1
    return True


def _tallies(session: Session, log: Log, person: str, before: str) -> tuple[int, dict[int, Tally]]:
    """How many entries she has, and the tallies of them that end on that day or later, by their last entry. 0: none, or
    none that can be opened."""
    chain = session.execute(text("SELECT seq, key_sealed, tally FROM logchain WHERE person_id = :p"), {"p": person})
    seq, key, under_way = chain.first() or (0, None, None)
    if not key:
        return 0, {}
    rows = session.execute(
        text("SELECT seq, sealed FROM logtally WHERE person_id = :p AND seq <= :seq AND day >= :day"),
        {"p": person, "seq": seq, "day": before[:10]},
    )
    found = {row.seq: log.tally(person, row.seq, row.sealed, key) for row in rows}
    if under_way:
        found[seq] = log.tally(person, seq, under_way, key)
    return seq, {at: tally for at, tally in found.items() if tally is not None}


def _opened(log: Log, person: str, key: bytes | None, id_: int, seq: int, sealed: bytes, commitment: bytes) -> Entry:
    try:
        payload = log.read(person, seq, sealed, key) if key else b""
    except InvalidTag:
        payload = b""
    if not payload:
        return Entry(seq, id_, UNREADABLE, "", None, {}, commitment, b"")
    facts: dict[str, Any] = msgspec.json.decode(payload)
    kind, actor, at = facts.pop("event"), facts.pop("actor"), instant(facts.pop("time"))
    return Entry(seq, id_, kind, actor, at, facts, commitment, payload)


@dataclass(frozen=True, slots=True)
class TreePlace:
    """Where an entry stands in the tree. `signed_size` is the first signed tree that holds it."""

    index: int
    leaf: bytes
    signed_size: int | None
    signed_root: bytes | None


def place(session: Session, entry: Entry) -> TreePlace | None:
    """None: recorded, not yet numbered (the sequencer does so every second)."""
    index = session.execute(text('SELECT "index" FROM logleaf WHERE entry_id = :e'), {"e": entry.id}).scalar()
    if index is None:
        return None
    found = session.execute(
        text("SELECT size, root FROM logcheckpoint WHERE size > :i ORDER BY size LIMIT 1"), {"i": index}
    ).first()
    size, root = found if found else (None, None)
    return TreePlace(index, leaf(entry.commitment), size, root)
