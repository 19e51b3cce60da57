"""What a batch of calls writes on PostgreSQL, in one statement: counts, entries, chains and what goes with them."""

from functools import cache

# The parts of step 3, each with its arrays. A batch uses those it needs.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "entries": (
        "INSERT INTO logentry (person_id, seq, salt, sealed, commitment) SELECT * FROM unnest({})",
        ("text", "bigint", "bytea", "bytea", "bytea"),
    ),
    "chains": (
        "INSERT INTO logchain (person_id, seq, head, key_sealed, tally) SELECT * FROM unnest({})"
        " ON CONFLICT (person_id) DO UPDATE SET seq = excluded.seq, head = excluded.head, tally = excluded.tally",
        ("text", "bigint", "bytea", "bytea", "bytea"),
    ),
    "tallies": (
        "INSERT INTO logtally (person_id, seq, day, sealed) SELECT * FROM unnest({})"
        " ON CONFLICT (person_id, seq) DO UPDATE SET day = excluded.day, sealed = excluded.sealed",
        ("text", "bigint", "text", "bytea"),
    ),
    "uses": (
        'INSERT INTO "use" AS u (consent_id, item, "window", start, used)'
        " SELECT w.c, w.i, w.w, w.s, w.n FROM unnest({}) AS w (c, i, w, s, n, most)"
        ' ON CONFLICT (consent_id, item, "window", start) DO UPDATE SET used = u.used + excluded.used'
        ' RETURNING u.consent_id, u.item, u."window", u.start, u.used',
        ("text", "text", "text", "bigint", "integer", "integer"),
    ),
    "proofs": (
        "INSERT INTO spentproof (id, expires_at) SELECT * FROM unnest({}) ON CONFLICT DO NOTHING RETURNING id",
        ("bytea", "timestamptz"),
    ),
    "listings": (
        "INSERT INTO listing (id, expires_at) SELECT * FROM unnest({})"
        " ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at",
        ("bytea", "timestamptz"),
    ),
    "opened": (
        "INSERT INTO openstream (id, person_id, process, facts, begun_at) SELECT * FROM unnest({})",
        ("text", "text", "text", "text", "timestamptz"),
    ),
    "closed": ("DELETE FROM openstream WHERE id IN (SELECT * FROM unnest({}))", ("text",)),
    "accessed": (
        "UPDATE consent SET last_access_at = w.at FROM unnest({}) AS w (id, at) WHERE consent.id = w.id",
        ("text", "timestamptz"),
    ),
}
_PASSED = """
    SELECT array_agg(ARRAY[w.place, w.most - u.used + w.n])
      FROM uses_ u JOIN unnest({}) WITH ORDINALITY AS w (c, i, w, s, n, most, place)
        ON w.c = u.consent_id AND w.i = u.item AND w.w = u."window" AND w.s = u.start WHERE u.used > w.most"""


@cache
def composed(parts: tuple[str, ...]) -> str:
    """One statement that does all of these parts, and tells what they returned."""
    written, told, at = [], [], 1
    for name in parts:
        statement, types = PARTS[name]
        arrays = ", ".join(f"${at + n}::{kind}[]" for n, kind in enumerate(types))
        at += len(types)
        written.append(f"{name}_ AS ({statement.replace('{}', arrays)})")
        if name == "uses":
            told.append(f"({_PASSED.replace('{}', arrays)}) AS passed")
        if name == "proofs":
            told.append("(SELECT array_agg(id) FROM proofs_) AS proofs")
    return f"WITH {', '.join(written)} SELECT {', '.join(['1', *told])}"
