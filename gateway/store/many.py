"""Many rows in few statements.

Each statement run lets go of the interpreter lock and has to win it back. Next to a busy
event loop that costs more than the row, so rows go in together: 16 at once, then 8, 4, 2, 1,
which are few enough statements to stay prepared.
"""

from collections.abc import Sequence
from typing import Any

from gateway.store.engine import Connection

_SIZES = (64, 32, 16, 8, 4, 2, 1)


class Rows:
    """`INSERT INTO … VALUES` any number of `(?, …)` `tail`, and what RETURNING says, in the order of the rows."""

    def __init__(self, insert: str, columns: int, tail: str = "") -> None:
        row = f"({', '.join('?' * columns)})"
        self._statements = {size: f"{insert} VALUES {', '.join([row] * size)} {tail}" for size in _SIZES}

    def put(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        returned: list[tuple[Any, ...]] = []
        at = 0
        for size in _SIZES:
            while len(rows) - at >= size:
                values = [value for row in rows[at : at + size] for value in row]
                returned += connection.execute(self._statements[size], values).fetchall()
                at += size
        return returned
