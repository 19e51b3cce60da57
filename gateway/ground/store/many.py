"""Many rows in few statements.

Each statement run lets go of the interpreter lock and has to win it back. Next to a busy
event loop that costs more than the row, so rows go in together. There is one statement for
each number of rows up to `MOST`: few enough that all of them stay prepared.
"""

from collections.abc import Sequence
from typing import Any

from gateway.ground.store.engine import Connection

MOST = 32  # rows of one statement; a connection keeps 128 statements, of some three tables


class Rows:
    """`INSERT INTO … VALUES` any number of `(?, …)` `tail`, and what RETURNING says, in the order of the rows."""

    def __init__(self, insert: str, columns: int, tail: str = "") -> None:
        row = f"({', '.join('?' * columns)})"
        self._statements = [f"{insert} VALUES {', '.join([row] * size)} {tail}" for size in range(MOST + 1)]

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        returned: list[tuple[Any, ...]] = []
        for at in range(0, len(rows), MOST):
            some = rows[at : at + MOST]
            values = [value for row in some for value in row]
            returned += connection.execute(self._statements[len(some)], values).fetchall()
        return returned
