"""The next indices: which entries of those that wait come first, and what they get. Only the leader numbers.

All of it is one transaction that sees one moment (`store.statements.one_moment`). Whoever writes for a person has her
turn until the commit, so of two of her entries that are seen the earlier is seen as well, and both of one transaction
are or neither is. With two moments the second could see a whole transaction of which the bounds leave out a part.

They come in the order of the running numbers in their ids (`store.RUNNING`). One person's are written one
after the other, so these are in her order. The key of what waits begins with the month, in whose months running numbers
overlap for moments only (where one began, or a clock was set back). So each month is read from its first entry on, and
no further than the numbers that are wanted: what this costs does not depend on how many wait.
"""

from gateway.ground.store import RUNNING, Connection

Ids = tuple[int, int]  # of one month: the first and the last


def first(connection: Connection, count: int) -> list[Ids]:
    """Within these are the first `count` entries of those that wait."""
    found: list[Ids] = []
    most, left = 0, count  # the last running number that is wanted; how many more are
    for begin in sorted(_begins(connection), key=lambda entry: entry & RUNNING):
        if left <= 0 and begin & RUNNING > most:
            break
        rows, end = connection.execute(
            f"SELECT count(*), max(entry_id) FROM ({_from(begin, count)}) AS next WHERE entry_id <= {begin | RUNNING}"
        ).fetchone()
        found.append((begin, end))
        if left > 0:
            most, left = max(most, end & RUNNING), left - rows
    return [(begin, begin - (begin & RUNNING) + most) for begin, _ in found]


def numbered(connection: Connection, within: list[Ids], index: int, count: int) -> None:
    """The first `count` of these get the indices behind `index`, and wait no more."""
    running = f"entry_id & {RUNNING}"
    each = (f"SELECT entry_id FROM ({_from(begin, count)}) AS next WHERE entry_id <= {end}" for begin, end in within)
    connection.execute(
        f'INSERT INTO logleaf ("index", entry_id) SELECT ? + row_number() OVER (ORDER BY {running}), entry_id'
        f" FROM (SELECT entry_id FROM ({' UNION ALL '.join(each)}) AS months ORDER BY {running} LIMIT {count}) AS next",
        (index,),
    )
    for begin, end in within:
        connection.execute(
            f"DELETE FROM logwaiting WHERE entry_id BETWEEN {begin} AND {end}"
            ' AND entry_id IN (SELECT entry_id FROM logleaf WHERE "index" > ?)',
            (index,),
        )


def _begins(connection: Connection) -> list[int]:
    """The first entry that waits of each month: one look into the key for each."""
    found: list[int] = []
    while True:
        behind = found[-1] | RUNNING if found else -1
        (entry,) = connection.execute(f"SELECT min(entry_id) FROM logwaiting WHERE entry_id > {behind}").fetchone()
        if entry is None:
            return found
        found.append(entry)


def _from(begin: int, count: int) -> str:
    """Numbers stand in the statement itself: so each is planned for them, and reads the key in its order."""
    return f"SELECT entry_id FROM logwaiting WHERE entry_id >= {begin} ORDER BY entry_id LIMIT {count}"
