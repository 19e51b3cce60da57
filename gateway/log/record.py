"""Writing an entry: in the transaction of its cause, or not at all.

    payload  = canonical JSON (RFC 8785), no data of the person's, only what happened to them
    C        = SHA-256("gateway-access-entry/v1\\n" ‖ salt ‖ payload)
    entry    = 0x01 ‖ C                       the 33 bytes that the Merkle leaf hashes

The payload is kept beside the tree, encrypted under a key per person. Entries of one
person are numbered (`user_seq`) and chained (`user_prev`), so a missing one shows even
without the whole log.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session

from gateway.errors import LogFrozen
from gateway.ground.keys import KeyRing
from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.store import Connection, raw
from gateway.ground.store.many import Rows
from gateway.ground.store.statements import prove, turn, turns
from gateway.log.events import members
from gateway.log.tally import BLOCK, Tally, begun
from gateway.log.tally import opened as opened_tally

DOMAIN = b"gateway-access-entry/v1\n"
NO_PREVIOUS = bytes(32)
_KEYS_HELD = 4096  # unsealed data keys kept in memory

Fact = str | int | bool | None | list[str] | dict[str, Any]
_encoder = msgspec.json.Encoder(order="sorted")


def canonical(payload: Mapping[str, Fact]) -> bytes:
    """RFC 8785, for the members entries have: ASCII names, strings, booleans, integers below 2^53, lists of these."""
    return _encoder.encode(payload)


def commitment(salt: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(DOMAIN + salt + payload).digest()


class Event(NamedTuple):
    """Something to be recorded in a person's log. `kind` is a key of events.EVENTS; `facts` are its members."""

    kind: str
    person: str
    at: datetime
    actor: str = "person"  # person | guardian | app | organisation | operator | auditor | system
    facts: Mapping[str, Fact] = MappingProxyType({})


# Writes what follows from an event, in the transaction in which it is recorded.
Hear = Callable[[Connection, Event], None]


def instant(at: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    if at.tzinfo is UTC:  # the usual case: our clock gives UTC
        return at.isoformat(timespec="milliseconds")[:-6] + "Z"
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class ChainHead:
    """The end of one person's chain, her key, and the tally under way."""

    seq: int
    commitment: bytes
    key_sealed: bytes
    cipher: AESGCM
    tally: Tally


Heads = dict[str, ChainHead]  # by person
EntryRow = tuple[str, int, bytes, bytes, bytes]  # person, seq, salt, sealed, commitment
ChainRow = tuple[str, int, bytes, bytes, bytes | None]  # person, seq, head, key_sealed, tally
TallyRow = tuple[str, int, str, bytes]  # person, seq, day, sealed


# Finds an entry that was committed, and no other that may have come in its place.
PROOF = "SELECT 1 FROM logentry WHERE person_id = ? AND seq = ? AND commitment = ?"


def proof_of(entry: EntryRow) -> tuple[str, int, bytes]:
    return entry[0], entry[1], entry[4]


def person_turn(person: str) -> str:
    """The key of a person's turn: whoever writes about her waits for it, so her chain has no gaps and no forks."""
    return f"person {person}"


_ENTRIES = Rows("INSERT INTO logentry (person_id, seq, salt, sealed, commitment)", 5)
_CHAINS = Rows(
    "INSERT INTO logchain (person_id, seq, head, key_sealed, tally)",
    5,
    "ON CONFLICT (person_id) DO UPDATE SET seq = excluded.seq, head = excluded.head, tally = excluded.tally",
)
_TALLY = (
    "INSERT INTO logtally (person_id, seq, day, sealed) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (person_id, seq) DO UPDATE SET day = excluded.day, sealed = excluded.sealed"
)
_HEAD = "SELECT seq, head, key_sealed, tally FROM logchain WHERE person_id = ?"


class Log:
    """The writer's side of the log. Several threads may use it; the store lets one write at a time.

    `hears`: kind of event → who else is to hear of it. Not of accesses: those are written in ways of their own."""

    def __init__(self, keys: KeyRing, mark: Path, hears: Mapping[str, Hear] = MappingProxyType({})) -> None:
        self._keys, self._hears = keys, hears
        self.mark = mark  # the high-water mark; what is done while the log is frozen is kept beside it
        self._ciphers: OrderedDict[bytes, AESGCM] = OrderedDict()  # by sealed key
        self._lock = threading.Lock()
        # Why what was signed and what the database holds do not agree; "" when they do. Set by the sequencer. While it
        # is set no data is given and nothing new is agreed; entries are still recorded, and people can stop.
        self.frozen = ""

    def require_whole(self) -> None:
        """Raises LogFrozen: what is asked now may contradict what is missing."""
        if self.frozen:
            raise LogFrozen(self.frozen)

    def turn(self, session: Session, *persons: str) -> None:
        """From now to the end of this transaction nobody else decides anything about these people: call it before
        reading what is decided by, once for all of them. What was read before is read again."""
        turn(session, *map(person_turn, persons))

    def record(self, session: Session, event: Event) -> None:
        """Append in the session's own write transaction."""
        session.flush()
        self.append(raw(session), event)

    def append(self, connection: Connection, event: Event) -> None:
        """The same on a bare connection inside a transaction."""
        self.append_all(connection, [event], {})

    def append_all(self, connection: Connection, events: Sequence[Event], heads: Heads) -> None:
        """Append several entries, in order, inside one transaction (the proxy's group commit).

        `heads`: chain heads that are as the database has them, kept up to date here. Forget them when
        the transaction fails or when another connection has written since.
        """
        turns(connection, {person_turn(event.person) for event in events})
        for event in events:
            if event.person not in heads:
                heads[event.person] = self._head(connection, event.person)
        entries, chains, tallies = self.sealed(events, heads)
        if entries:
            prove(connection, PROOF, proof_of(entries[0]))
        _ENTRIES.put(connection, entries)
        _CHAINS.put(connection, chains)
        for row in tallies:
            connection.execute(_TALLY, row)
        for event in events:
            if event.kind in self._hears:
                self._hears[event.kind](connection, event)

    def sealed(self, events: Sequence[Event], heads: Heads) -> tuple[list[EntryRow], list[ChainRow], list[TallyRow]]:
        """The rows of these events, in order, those of the chains behind them, and of tallies that are full. `heads`
        has one for each person and is kept up to date."""
        entries: list[EntryRow] = []
        tallies: list[TallyRow] = []
        changed: Heads = {}
        chance = fresh_bytes(56 * len(events))  # 44 for each entry; then 12 for each tally, of which there are no more
        spent = 44 * len(events)
        for at, event in enumerate(events):
            known = members(event.kind)
            if not known.issuperset(event.facts):
                unknown = event.facts.keys() - known
                raise ValueError(f"{event.kind}: not in the table of events: {', '.join(sorted(unknown))}")
            head = heads[event.person]
            seq = head.seq + 1
            time = instant(event.at)
            payload = canonical(
                {
                    **event.facts,
                    "v": 1,
                    "event": event.kind,
                    "time": time,
                    "actor": event.actor,
                    "user_seq": seq,
                    "user_prev": head.commitment.hex(),
                }
            )
            salt, nonce = chance[44 * at : 44 * at + 32], chance[44 * at + 32 : 44 * at + 44]
            committed = commitment(salt, payload)
            sealed = nonce + head.cipher.encrypt(nonce, payload, f"{event.person}:{seq}".encode())
            entries.append((event.person, seq, salt, sealed, committed))
            tally = head.tally
            tally.add(event.kind, event.facts, time)
            if seq % BLOCK == 0:
                whole = tally.sealed(head.cipher, chance[spent : spent + 12], seq)
                tallies.append((event.person, seq, tally.last[:10], whole))
                tally = Tally()
                spent += 12
            heads[event.person] = changed[event.person] = ChainHead(seq, committed, head.key_sealed, head.cipher, tally)
        chains: list[ChainRow] = []
        for person, head in changed.items():
            under_way = None
            if head.tally.size:
                under_way = head.tally.sealed(head.cipher, chance[spent : spent + 12], head.seq)
                spent += 12
            chains.append((person, head.seq, head.commitment, head.key_sealed, under_way))
        return entries, chains, tallies

    def head(self, person: str, row: tuple[int, bytes, bytes | None, bytes | None] | None) -> ChainHead:
        """The end of a person's chain, from her row (seq, head, key_sealed, tally); None: she has none yet."""
        seq, head, sealed_key, tally = row if row else (0, NO_PREVIOUS, None, None)
        cipher, sealed_key = self._cipher(person, sealed_key)
        return ChainHead(seq, head, sealed_key, cipher, begun(cipher, tally, seq))

    def _head(self, connection: Connection, person: str) -> "ChainHead":
        return self.head(person, connection.execute(_HEAD, (person,)).fetchone())

    def read(self, person: str, seq: int, sealed: bytes, sealed_key: bytes) -> bytes:
        """The payload of one entry."""
        cipher, _ = self._cipher(person, sealed_key)
        return cipher.decrypt(sealed[:12], sealed[12:], f"{person}:{seq}".encode())

    def tally(self, person: str, seq: int, sealed: bytes, sealed_key: bytes) -> Tally | None:
        """The tally that ends with entry `seq`; None: it cannot be opened."""
        cipher, _ = self._cipher(person, sealed_key)
        return opened_tally(cipher, sealed, seq)

    def _cipher(self, person: str, sealed_key: bytes | None) -> tuple[AESGCM, bytes]:
        """The person's cipher, and her sealed key (fresh when she has none yet)."""
        with self._lock:
            if sealed_key is None:
                key = fresh_bytes(32)
                sealed_key = self._keys.seal(key, f"logchain:{person}")
                self._ciphers[sealed_key] = AESGCM(key)
            elif sealed_key in self._ciphers:
                self._ciphers.move_to_end(sealed_key)
            else:
                self._ciphers[sealed_key] = AESGCM(self._keys.open(sealed_key, f"logchain:{person}"))
            if len(self._ciphers) > _KEYS_HELD:
                self._ciphers.popitem(last=False)
            return self._ciphers[sealed_key], sealed_key


_LAST_CHECKPOINT = "SELECT size, note FROM logcheckpoint ORDER BY size DESC LIMIT 1"


def are_there(connection: Connection) -> bool:
    """Whether anything was ever recorded."""
    return bool(connection.execute("SELECT EXISTS(SELECT 1 FROM logchain)").fetchone()[0])


def last_tree(connection: Connection) -> tuple[int, bytes] | None:
    """Size and root of the largest tree that was signed."""
    row = connection.execute("SELECT size, root FROM logcheckpoint ORDER BY size DESC LIMIT 1").fetchone()
    return (row[0], row[1]) if row else None


def how_far(connection: Connection) -> str:
    """Names this log and all that was recorded in it until now: it is another once anything has been recorded since."""
    hashed = hashlib.sha256()
    for statement in ("SELECT origin FROM logname", "SELECT max(id) FROM logentry", _LAST_CHECKPOINT):
        hashed.update(repr([tuple(row) for row in connection.execute(statement)]).encode())
    return hashed.hexdigest()
