"""Many rows in few statements.

Each statement releases the interpreter lock and must get it back. Next to a busy event loop
this takes longer than inserting the row, so rows are inserted together. There is one
statement for each number of rows up to `MOST`, few enough that all stay prepared.
"""

from collections.abc import Sequence
from typing import Any

from gateway.ground.store.contract import Connection

MOST = 32  # rows of one statement; a connection caches 128 statements, and about three tables need this


class Rows:
    """Runs `insert` ("INSERT INTO … VALUES") for any number of rows, followed by `tail`. If `tail` has RETURNING, `put`
    returns its results in the order of the rows."""

    def __init__(self, insert: str, columns: int, tail: str = "") -> None:
        row = f"({', '.join('?' * columns)})"
        self._returns = "RETURNING" in tail
        self._statements = [f"{insert} VALUES {', '.join([row] * size)} {tail}" for size in range(MOST + 1)]

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        returned: list[tuple[Any, ...]] = []
        for at in range(0, len(rows), MOST):
            some = rows[at : at + MOST]
            values = [value for row in some for value in row]
            done = connection.execute(self._statements[len(some)], values)
            if self._returns:
                returned += done.fetchall()
        return returned
