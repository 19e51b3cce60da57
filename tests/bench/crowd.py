"""A gateway with the rows of a million people in it, to see that a call costs the same there.

Everything that grows with people and use is there in number: consents, terms, families, links, log entries, their
places in the tree. Rows are short (a real sealed entry is some 700 bytes, here 64) and written by SQL alone. The
range of the tree is made up and signed: nothing above it ever reads what lies below. Kept between runs.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.store.sqlite.engine import Connection, connect
from gateway.log import mark, tree
from gateway.log.notes import Checkpoint, Signer
from gateway.log.signed import origin
from tests.bench import aval
from tests.bench.aval import Prepared

PEOPLE = 1_000_000
ENTRIES = 10_000_000
DONE = "crowd.done"

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
_AT = "'2026-01-05 08:00:00.000000'"

# table → rows and how one is made from its number; people p1, p2, … have one consent c1, c2, … each
_TABLES = {
    "person": (PEOPLE, "(id, email, name, language, totp_last_step, created_at)",
               f"'p' || i, 'p' || i || '@example.org', 'P ' || i, 'en', 0, {_AT}"),
    "consent": (PEOPLE, "(id, person_id, app_id, purpose, state, reason, generation, version, asked, created_at,"
                " granted_at, until)",
                f"'c' || i, 'p' || i, 'clear-budget', 'household-budget', 'active', '', 2, 1, '{{}}', {_AT}, {_AT},"
                " '2027-01-05 08:00:00.000000'"),
    "terms": (PEOPLE, "(consent_id, version, json, sha256, created_at)",
              f"'c' || i, 1, '{{\"consent\":\"c' || i || '\"}}', hex(randomblob(32)), {_AT}"),
    "consentevent": (PEOPLE, "(consent_id, seq, type, at, actor, reason, version, prev_sha256, sha256)",
                     f"'c' || i, 1, 'granted', {_AT}, 'person', '', 1, '0', hex(randomblob(32))"),
    "tokenfamily": (PEOPLE, "(id, consent_id, client_id, person_id, auth_time, started_at, ended_reason)",
                    f"'f' || i, 'c' || i, 'clear-budget', 'p' || i, 0, {_AT}, ''"),
    "link": (PEOPLE, "(id, person_id, organisation_id, subject, customer, credentials_sealed, accounts_sealed,"
             " generation, linked_at)",
             f"'l' || i, 'p' || i, 'harbour-bank', 's' || i, '***', randomblob(64), randomblob(64), 2, {_AT}"),
    "use": (PEOPLE, '(consent_id, item, "window", start, used)',
            "'c' || i, 'harbour-bank/bank.transactions', 'day', 1767571200, 3"),
    "logchain": (PEOPLE, "(person_id, seq, head, key_sealed)",
                 f"'p' || i, {ENTRIES // PEOPLE}, randomblob(32), randomblob(60)"),
    "logentry": (ENTRIES, "(person_id, seq, salt, sealed, commitment)",
                 f"'p' || (1 + (i - 1) / {ENTRIES // PEOPLE}), 1 + (i - 1) % {ENTRIES // PEOPLE}, randomblob(32),"
                 " randomblob(64), randomblob(32)"),
}  # fmt: skip
_LEAVES = 'INSERT INTO logleaf ("index", entry_id) SELECT row_number() OVER (ORDER BY id) - 1, id FROM logentry'
_CHECKPOINT = "INSERT INTO logcheckpoint (size, root, at_ms, note, frontier) VALUES (?, ?, ?, ?, ?)"


def prepare(kept: Path, port: int, data_url: str, say: Callable[[str], None]) -> Prepared:
    """As aval.prepare, among the crowd. `kept`: the folder where it stays for the next run."""
    folder = kept / f"crowd-{_design()}"
    for other in kept.glob("crowd-*"):
        if other != folder or not (other / DONE).exists():
            shutil.rmtree(other)
    prepared = aval.prepare(folder, port, data_url)
    if not (folder / DONE).exists():
        say(f"building a gateway of {PEOPLE:,} consents and {ENTRIES:,} log entries; kept for the next run")
        _fill(prepared, say)
        (folder / DONE).touch()
    return prepared


def _design() -> str:
    """Changes when the tables do, or what is written into them."""
    from gateway.ground.store import migrate

    parts = [path.read_bytes() for path in sorted((migrate.FOLDER / "versions").glob("*.py"))]
    parts += [repr(each).encode() for each in (_TABLES, aval.SHARINGS, aval.ACCOUNTS, aval.OFTEN)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _fill(prepared: Prepared, say: Callable[[str], None]) -> None:
    connection = connect(prepared.settings.database, fsync=False)
    for pragma in ("journal_mode=OFF", "foreign_keys=OFF", "cache_size=-1000000", "secure_delete=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    for table, (rows, columns, values) in _TABLES.items():
        begun = time.monotonic()
        connection.execute(f'INSERT INTO "{table}" {columns} {_NUMBERS.format(rows=rows)} SELECT {values} FROM n')
        say(f"  {rows:,} rows of {table}: {time.monotonic() - begun:.0f} s")
    connection.execute(_LEAVES)
    _sign(prepared, connection)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def _sign(prepared: Prepared, connection: Connection) -> None:
    """A checkpoint over all entries, so that the sequencer goes on from here."""
    (size,) = connection.execute("SELECT count(*) FROM logentry").fetchone()
    grown = tree.Range(size, [fresh_bytes(tree.HASH) for _ in range(int(size).bit_count())])
    signer = Signer(origin(connection, prepared.settings), prepared.house.keys.log)
    checkpoint = Checkpoint(signer.name, size, grown.root())
    row = (size, checkpoint.root, int(time.time() * 1000), signer.sign(checkpoint.text()), bytes(grown))
    connection.execute("DELETE FROM logcheckpoint")
    connection.execute(_CHECKPOINT, row)
    mark.write(prepared.settings.mark, mark.Mark(size, checkpoint.root, signer.name))
