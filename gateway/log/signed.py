"""What was signed before, and whether it still stands: the log's name, its last checkpoint, the mark and the entries
numbered since, compared with one another. Writes nothing. Whoever signs begins with it, and so does whoever only looks.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from gateway.ground.store import Connection
from gateway.log import mark, tree
from gateway.log.notes import BadNote, Checkpoint, VerifierKey, open_checkpoint
from gateway.settings import Settings

ENTRY_VERSION = b"\x01"
# The log refuses nothing for its times: a wrong clock is put right sooner or later, and one jump ahead must not spoil
# all that follows. A clock that is set back by more than this is marked once, by an entry, and time goes on from there.
CLOCK_BACK = timedelta(minutes=1)

_PUT_BACK = "put the newest database back"
_FIND_MARK = (
    "if AVAL_MARK_FILE, AVAL_KEYS_DIR or AVAL_DATA_DIR was changed, move the mark to where it is looked for now"
)
_NEWEST_MARK = "put the newest mark back"
_FIND_KEY = "put the log.pem back that signed it"
FIND_KEYS = "put the database back that was here, or copy the keys of the machine that began this one"


class Frozen(Exception):
    """What was signed before and what the database holds now do not agree. Says what; names nobody."""

    def __init__(self, why: str, do: str = _PUT_BACK) -> None:
        super().__init__(why)
        self.do = do  # what to try first; the last resort is to `restart`


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The last signed tree."""

    checkpoint: Checkpoint
    range: tree.Range
    # False: the mark is of the tree signed before this one; with several processes, of any before, or missing
    marked: bool = True


def origin(connection: Connection, settings: Settings) -> str:
    """The log's name: the one it was given at its first start, or the one it would be given now.

    The host of the public address, without the port, which is no part of who keeps it. It stays when the address
    changes, because those who keep checkpoints know the log by it; `restart` begins another, with a number.
    """
    row = connection.execute("SELECT origin FROM logname").fetchone()
    return str(row[0]) if row else first_name(settings)


def begun(connection: Connection) -> bool:
    """Whether the log ever had a beat: then it has its name, and its mark was on the disk before."""
    return connection.execute("SELECT 1 FROM logname").fetchone() is not None


def renamed(connection: Connection, settings: Settings) -> bool:
    """Whether `public_url` has another host than it had when the log began."""
    base, _ = parts(origin(connection, settings))
    return base != first_name(settings)


def parts(name: str) -> tuple[str, int]:
    """Of a log's name: that of the first one, and which one after it this is."""
    base, _, last = name.rpartition("/")
    return (base, int(last)) if last.isdecimal() else (name, 1)


def first_name(settings: Settings) -> str:
    return f"{urlsplit(settings.public_url).hostname}/log"


def leaf(commitment: bytes) -> bytes:
    """The Merkle leaf of an entry: the tree hashes its version and its commitment, nothing else."""
    return tree.leaf_hash(ENTRY_VERSION + commitment)


def last_signed(connection: Connection) -> datetime | None:
    """The clock of the last checkpoint; None: nothing was ever signed, or the time is none (`verify` finds that)."""
    row = connection.execute("SELECT at_ms FROM logcheckpoint ORDER BY size DESC LIMIT 1").fetchone()
    return moment(row[0]) if row else None


def moment(at_ms: object) -> datetime | None:
    """Epoch milliseconds as an instant; None when they are none."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC) if isinstance(at_ms, int) else None
    except (ValueError, OverflowError, OSError):
        return None


def set_back(connection: Connection, now: datetime) -> datetime | None:
    """The time of the last checkpoint, when the clock was set back since; else None."""
    last = last_signed(connection)
    return last if last is not None and last - now > CLOCK_BACK else None


def standing(connection: Connection, path: Path, key: VerifierKey, *, alone: bool) -> tuple[TreeHead, tree.Range]:
    """Step 1: the last signed tree, and its range with the entries that were numbered since. Raises Frozen.

    `alone`: nobody else signs this log, so a mark that lags was put back. Where others do, another machine may have
    signed what this one has not heard of, or this machine may be new; what its mark knows must still stand.
    """
    head = _signed(connection, path, key, alone)
    return head, extended(connection, head.range)


def extended(connection: Connection, signed: tree.Range) -> tree.Range:
    """The range with all numbered entries behind it, as they are on the disk. Raises Frozen."""
    grown = signed.copy()
    rows = connection.execute(
        'SELECT "index", commitment FROM logleaf LEFT JOIN logentry ON id = entry_id'
        ' WHERE "index" >= ? ORDER BY "index"',
        (signed.size,),
    )
    for index, commitment in rows:
        if index != grown.size:
            raise Frozen(f"index {grown.size} is missing")
        if commitment is None or len(commitment) != tree.HASH:
            raise Frozen(f"the entry of index {index} is missing")
        grown.append(leaf(commitment))
    return grown


def _signed(connection: Connection, path: Path, key: VerifierKey, alone: bool) -> TreeHead:
    try:
        marked = mark.read(path)
    except (mark.BadMark, OSError) as error:
        raise Frozen(f"{path}: {error}", _FIND_MARK) from error
    rows = connection.execute(
        "SELECT size, root, note, frontier FROM logcheckpoint ORDER BY size DESC LIMIT 2"
    ).fetchall()
    if marked is not None and not alone and _before(marked.log, key.name):
        marked = None  # that log was ended by `restart` on another machine
    if marked is not None and marked.log != key.name:
        why = f"the log signed last is {marked.log or 'unknown'}; the database is of {key.name}"
        raise Frozen(why, _anew(connection, path))
    if not rows:
        if marked is not None and marked.size:
            raise Frozen("a tree was signed, and the database holds no checkpoint", _anew(connection, path))
        if marked is None and alone and begun(connection):
            raise Frozen(f"the mark {path} is missing, and {key.name} has begun", _FIND_MARK)
        return TreeHead(Checkpoint(key.name, 0, tree.EMPTY_ROOT), tree.Range())
    last, before = rows[0][0], rows[1][0] if len(rows) > 1 else 0
    head = _head(*rows[0], key=key)
    if marked is None and not alone:
        return replace(head, marked=False)
    if marked is None:
        raise Frozen(f"the mark {path} is missing, and a tree was signed", _FIND_MARK)
    if marked.size > last:
        raise Frozen(f"a tree of {marked.size} was signed; the database only knows one of {last}")
    known = connection.execute("SELECT root FROM logcheckpoint WHERE size = ?", (marked.size,)).fetchone()
    if marked.size and (known is None or known[0] != marked.root):
        raise Frozen(f"the tree of {marked.size} that was signed is not the one in the database")
    if alone and marked.size < before:
        raise Frozen(
            f"the mark {path} is of a tree of {marked.size}, and {before} and {last} were signed", _NEWEST_MARK
        )
    return replace(head, marked=marked.size == last)


def _before(marked: str, name: str) -> bool:
    """Whether the log of this mark is one that ended before the log of this name began."""
    (base, number), (now, later) = parts(marked), parts(name)
    return base == now and number < later


def _anew(connection: Connection, path: Path) -> str:
    """What to do where the database knows of no log: one that never had a beat may be of a new installation."""
    return _PUT_BACK if begun(connection) else f"{_PUT_BACK}, or remove {path} if this gateway begins anew"


def _head(size: int, root: bytes, note: str, frontier: bytes, *, key: VerifierKey) -> TreeHead:
    theirs = note.partition("\n")[0]
    if theirs != key.name:
        raise Frozen(f"checkpoint {size} is of the log {theirs!r}, and this one is {key.name!r}")
    try:
        checkpoint = open_checkpoint(note, [key], key.name)
    except BadNote as error:
        raise Frozen(f"checkpoint {size}: {error}", _FIND_KEY) from error
    try:
        grown = tree.Range.from_bytes(size, frontier)
    except ValueError as error:
        raise Frozen(f"checkpoint {size}: {error}") from error
    if (checkpoint.size, checkpoint.root) != (size, root) or grown.root() != root:
        raise Frozen(f"checkpoint {size} contradicts itself")
    return TreeHead(checkpoint, grown)
