"""A gateway on PostgreSQL with the rows of a million people in it, as crowd.py makes one on SQLite.

All entries are in the partition of this month: the deepest indexes they can be in. Their sealed parts have the size of
real ones, so that what is read lies as far apart as it would.
"""

import hashlib
import time
from collections.abc import Callable

from gateway.ground.keys.opaque import fresh_bytes
from gateway.ground.store.opening import open_store
from gateway.log import mark, tree
from gateway.log.notes import Checkpoint, Signer
from gateway.log.signed import origin
from tests.bench import aval
from tests.bench.aval import Prepared
from tests.bench.database import Server

SEALED = 592  # bytes of an access entry
_AT = "'2026-01-05 08:00:00+00'"
_SHA = "sha256(i::text::bytea)"

# table → whether there is one for each person or for each entry, columns, and how a row is made from its number
_TABLES = {
    "person": ("people", "(id, email, name, language, totp_last_step, created_at)",
               f"'p' || i, 'p' || i || '@example.org', 'P ' || i, 'en', 0, {_AT}"),
    "consent": ("people", "(id, person_id, app_id, purpose, state, reason, generation, version, asked, created_at,"
                " granted_at, until)",
                f"'c' || i, 'p' || i, 'clear-budget', 'household-budget', 'active', '', 2, 1, '{{}}', {_AT}, {_AT},"
                " '2027-01-05 08:00:00+00'"),
    "terms": ("people", "(consent_id, version, json, sha256, created_at)",
              f"'c' || i, 1, '{{\"consent\":\"c' || i || '\"}}', encode({_SHA}, 'hex'), {_AT}"),
    "consentevent": ("people", "(consent_id, seq, type, at, actor, reason, version, prev_sha256, sha256)",
                     f"'c' || i, 1, 'granted', {_AT}, 'person', '', 1, '0', encode({_SHA}, 'hex')"),
    "tokenfamily": ("people", "(id, consent_id, client_id, person_id, auth_time, started_at, ended_reason)",
                    f"'f' || i, 'c' || i, 'clear-budget', 'p' || i, 0, {_AT}, ''"),
    "link": ("people", "(id, person_id, organisation_id, subject, customer, credentials_sealed, accounts_sealed,"
             " generation, linked_at)",
             f"'l' || i, 'p' || i, 'harbour-bank', 's' || i, '***', {_SHA}, {_SHA}, 2, {_AT}"),
    "use": ("people", '(consent_id, item, "window", start, used)',
            "'c' || i, 'harbour-bank/bank.transactions', 'day', 1767571200, 3"),
    "logchain": ("people", "(person_id, seq, head, key_sealed)",
                 f"'p' || i, {{each}}, {_SHA}, {_SHA} || {_SHA}"),
    "logentry": ("entries", "(person_id, seq, salt, sealed, commitment)",
                 "'p' || (1 + (i - 1) / {each}), 1 + (i - 1) % {each},"
                 f" {_SHA}, decode(repeat(md5(i::text), {SEALED // 16}), 'hex'), {_SHA}"),
}  # fmt: skip
_LEAVES = """INSERT INTO logleaf ("index", entry_id) SELECT row_number() OVER (ORDER BY id) - 1, id FROM logentry"""
_CHECKPOINT = "INSERT INTO logcheckpoint (size, root, at_ms, note, frontier) VALUES (?, ?, ?, ?, ?)"


def design() -> str:
    """Changes when the tables do, or what is written into them."""
    from gateway.ground.store import migrate

    folder = migrate.FOLDER.parent
    files = [
        *(migrate.FOLDER / "versions").glob("*.py"),
        migrate.FOLDER / "waiting.py",
        *(folder / "postgres").glob("*.py"),
    ]
    parts = [path.read_bytes() for path in sorted(files)]
    parts += [repr(each).encode() for each in (_TABLES, aval.SHARINGS, aval.NEIGHBOURS, aval.ACCOUNTS, aval.OFTEN)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def fill(
    prepared: Prepared, server: Server, database: str, people: int, entries: int, say: Callable[[str], None]
) -> None:
    say(f"making {people:,} consents and {entries:,} log entries")
    # No trigger: nothing waits for its place in the tree, nobody is told, and nothing is looked up for a foreign key.
    server.execute(f"ALTER DATABASE {database} SET session_replication_role = replica")
    with server.building():
        for table, (number, columns, values) in _TABLES.items():
            rows = {"people": people, "entries": entries}[number]
            begun = time.monotonic()
            made = values.replace("{each}", str(max(1, entries // people)))
            server.execute(
                f'INSERT INTO "{table}" {columns} SELECT {made} FROM generate_series(1, {rows}) AS n (i)', database
            )
            say(f"  {rows:,} rows of {table}: {time.monotonic() - begun:.0f} s")
        server.execute("DELETE FROM logwaiting", database)
        server.execute(_LEAVES, database)
        _sign(prepared)
        server.execute("VACUUM ANALYZE", database)
        server.execute("CHECKPOINT")
    server.execute(f"ALTER DATABASE {database} RESET session_replication_role")


def _sign(prepared: Prepared) -> None:
    """A checkpoint over all entries, so that the sequencer goes on from here. The range of the tree is made up."""
    store = open_store(prepared.settings)
    connection = store.connect()
    (size,) = connection.execute("SELECT count(*) FROM logentry").fetchone()
    grown = tree.Range(size, [fresh_bytes(tree.HASH) for _ in range(int(size).bit_count())])
    signer = Signer(origin(connection, prepared.settings), prepared.house.keys.log)
    checkpoint = Checkpoint(signer.name, size, grown.root())
    row = (size, checkpoint.root, int(time.time() * 1000), signer.sign(checkpoint.text()), bytes(grown))
    connection.execute(_CHECKPOINT, row)
    connection.close()
    store.close()
    mark.write(prepared.settings.mark, mark.Mark(size, checkpoint.root, signer.name))
