"""A new log where a frozen one ended, because an operator says that what the database holds is the true history.

What was signed and is not there any more cannot be made up for, and no further checkpoint of that log may ever be
signed: two histories must never be signed under one name. So it is ended in the open, and another begins under
another name:

    1. evidence: every checkpoint, leaf and mark of the ended log, and a signed statement that it has ended
    2. one transaction: the tree is forgotten, an entry names the log that ended and how, and the new log has its name
    3. the mark of nothing signed yet

Its first checkpoint holds all entries of the database, and that entry. A crash in between leaves a frozen log, and
the same command goes on. Each step may read or write millions of rows, and takes as long as it needs.

Receipts of the ended log can still be verified: same key, old name, notes in the evidence.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ground import disk
from gateway.ground.store import Connection
from gateway.ground.store.statements import patient, snapshot, streamed, unhurried
from gateway.house import House
from gateway.log import mark
from gateway.log.notes import Signer, VerifierKey, encode64
from gateway.log.record import Event, Fact, Log
from gateway.log.sequencer import OPERATOR
from gateway.log.signed import Frozen, origin, parts, standing
from gateway.settings import MARK, Settings

FOLDER = "log-ended"
_LEAVES = 'SELECT "index", commitment FROM logleaf LEFT JOIN logentry ON id = entry_id ORDER BY "index"'


class NotFrozen(Exception):
    """The log goes on by itself."""


class OtherLog(Exception):
    """The mark is another gateway's, which would be frozen by what is written here. Says whose it is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The log that ended, as the database knew it."""

    origin: str
    why: str
    do: str  # instead of ending it
    size: int  # of its last checkpoint that is still there
    root: bytes
    marked: mark.Mark | None  # the largest tree ever signed, where that is known
    entries: int  # in the database: what the new log begins with

    @property
    def only_mark_missing(self) -> bool:
        """A crash came between 2 and 3: the database is of the new log already, the mark of one before it. Nothing of
        the new log is signed, since whoever signs by that mark is frozen."""
        if self.size or self.marked is None or not self.marked.log:
            return False
        (base, number), (now, later) = parts(self.marked.log), parts(self.origin)
        return base == now and number < later


def ended(house: House) -> Ended:
    """What `looked_at` finds in the database of this house. Raises Unavailable, too."""
    with patient(house.store) as connection:
        return looked_at(connection, house.settings, house.keys.log, alone=house.store.alone)


def looked_at(connection: Connection, settings: Settings, key: Ed25519PrivateKey, *, alone: bool) -> Ended:
    """Why the log is frozen, and what would be accepted. It only reads. Raises NotFrozen, OtherLog, OSError."""
    name = origin(connection, settings)
    why = _why(connection, settings.mark, Signer(name, key).verifier, alone)
    try:
        marked = mark.read(settings.mark)
    except mark.BadMark:
        marked = None
    if marked and marked.log and parts(marked.log)[0] != parts(name)[0]:
        raise OtherLog(f"is of another log, {marked.log}, and the database of {name}")
    last = connection.execute("SELECT size, root FROM logcheckpoint ORDER BY size DESC LIMIT 1").fetchone()
    (entries,) = connection.execute("SELECT count(*) FROM logentry").fetchone()
    size, root = last or (0, b"")
    return Ended(name, str(why), why.do, size, root, marked, entries)


def _why(connection: Connection, path: Path, key: VerifierKey, alone: bool) -> Frozen:
    for _ in range(2):  # two beats of a running gateway may come between the looks at the mark and at the database
        try:
            standing(connection, path, key, alone=alone)
        except Frozen as reason:
            why = reason
        else:
            raise NotFrozen
    return why


def restart(
    house: House,
    found: Ended,
    now: datetime,
    paused: int | None = None,
    leading: Callable[[], Connection] | None = None,
) -> str:
    """The new log's name. No server may run on this database meanwhile. Raises OSError, Unavailable.

    `paused`: how many running sharings were paused, for the entry that names the ended log; None: they go on running.
    `leading`: the connection of the log's lead, on which the log is forgotten, so that nobody else can lead meanwhile;
    asked for when all else is done. None: no other process can serve this database.
    """
    if found.only_mark_missing:
        mark.write(house.settings.mark, mark.nothing(found.origin))
        return found.origin
    evidence = house.settings.data_dir / FOLDER
    begins = following(found.origin, found.marked.log if found.marked else "", *_begun(evidence, found.origin))
    with patient(house.store) as connection:
        _keep(evidence, connection, house, found)  # 1
        last = leading() if leading else connection
        unhurried(last)
        house.store.batch(last, lambda writing: _forget(writing, house.log, found, begins, now, paused))  # 2
    mark.write(house.settings.mark, mark.nothing(begins))  # 3
    return begins


def following(*names: str) -> str:
    """A name after all of these: example.org/log, example.org/log/2, example.org/log/3 … No name is signed for twice,
    also when a copy from before the last restart was put back."""
    base, _ = parts(names[0])
    return f"{base}/{1 + max(parts(name)[1] for name in names)}"


def _begun(evidence: Path, origin: str) -> list[str]:
    """Names that may have been signed for, going by what was kept of the logs before them. The mark may be lost."""
    base, _ = parts(origin)
    kept = [each.name.partition("-")[0] for each in evidence.iterdir()] if evidence.is_dir() else []
    return [f"{base}/{int(number) + 1}" for number in kept if number.isdecimal()]


def statement(found: Ended) -> str:
    """Its second line is no number, so that it can never be read as a checkpoint."""
    marked = found.marked
    largest = f"{marked.size}\n{encode64(marked.root)}" if marked else "unknown\nunknown"
    return f"{found.origin}\nended\n{largest}\n{found.size}\n{encode64(found.root) or 'none'}\n"


def _keep(folder: Path, connection: Connection, house: House, found: Ended) -> None:
    disk.private_folder(folder)
    _, number = parts(found.origin)
    tries = 1
    while (kept := folder / (f"{number}" if tries == 1 else f"{number}-{tries}")).exists():
        tries += 1
    kept.mkdir(mode=0o700)
    signer = Signer(found.origin, house.keys.log)
    with snapshot(connection):
        checkpoints = streamed(connection, "SELECT size, at_ms, note FROM logcheckpoint ORDER BY size")
        _write(kept / "checkpoints.jsonl", (_line(size=size, at_ms=at, note=note) for size, at, note in checkpoints))
        leaves = streamed(connection, _LEAVES)
        _write(
            kept / "leaves.jsonl",
            (_line(index=index, commitment=known.hex() if known else None) for index, known in leaves),
        )
    _write(kept / "statement.note", [signer.sign(statement(found))])
    _write(kept / "key.vkey", [f"{signer.verifier}\n"])
    if (marked := house.settings.mark).is_file():
        _write(kept / MARK, [marked.read_text(encoding="utf-8", errors="replace")])
    for each in (kept, folder, folder.parent):
        disk.synced(each)


def _forget(connection: Connection, log: Log, found: Ended, begins: str, now: datetime, paused: int | None) -> None:
    connection.execute("DELETE FROM logcheckpoint")
    connection.execute("DELETE FROM logleaf")
    connection.execute("DELETE FROM logwaiting")
    connection.execute("INSERT INTO logwaiting SELECT id FROM logentry")  # the new log begins with all of them
    connection.execute("DELETE FROM logname")
    connection.execute("INSERT INTO logname (id, origin) VALUES (1, ?)", (begins,))
    marked = found.marked
    facts: dict[str, Fact] = {
        "ended": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "marked_size": marked.size if marked else None,
        "marked_root": marked.root.hex() if marked else None,
        "held": found.entries,
        "cause": found.why,
        "paused": paused,
    }
    log.append(connection, Event("log_restarted", OPERATOR, now, "operator", facts))


def _line(**members: object) -> str:
    return json.dumps(members) + "\n"


def _write(path: Path, lines: Iterable[str]) -> None:
    """On the disk, whole, when this returns."""
    draft = path.with_name(path.name + ".new")
    with open(draft, "w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    disk.renamed(draft, path)
