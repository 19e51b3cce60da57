"""Where a consent stands at this instant: one indexed read per call, a few microseconds.

Token → family → consent, and with it the link and the directory (apps, organisations,
policies). What the read returns is the whole of what can change a decision, so two equal
readings mean an unchanged decision; the writer compares them in the transaction of the entry.
"""

from dataclasses import dataclass
from typing import Any

from gateway.store.engine import Connection

# "+": never by the index over organisations, where one of them has all the people.
_SELECT = """
    SELECT c.person_id, c.app_id, c.state, c.reason, c.generation, d.generation, l.id, l.generation,
           f.id IS NOT NULL AND f.ended_at IS NULL
      FROM consent c
      LEFT JOIN tokenfamily f ON f.id = ? AND f.consent_id = c.id AND f.client_id = c.app_id
      LEFT JOIN directory d ON d.id = 1
      LEFT JOIN link l ON l.person_id = c.person_id AND +l.organisation_id = ? AND l.ended_at IS NULL
     WHERE c.id = ?"""


@dataclass(slots=True)
class Standing:
    """`version`: of the database, no newer than the reading (see Writer.version)."""

    consent: str
    family: str
    organisation: str
    version: int
    row: tuple[Any, ...]

    @property
    def person(self) -> str:
        return str(self.row[0])

    @property
    def app(self) -> str:
        return str(self.row[1])

    @property
    def state(self) -> str:
        return str(self.row[2])

    @property
    def reason(self) -> str:
        return str(self.row[3])

    @property
    def generation(self) -> int:
        return int(self.row[4])

    @property
    def family_lives(self) -> bool:
        return bool(self.row[8])

    @property
    def terms(self) -> tuple[Any, ...]:
        """Generations of consent, directory and link: what a compiled grant was compiled from."""
        return self.row[4:8]

    @property
    def but_directory(self) -> tuple[Any, ...]:
        """What ends a running stream by itself; a new generation of the directory may concern others only."""
        return (*self.row[:5], *self.row[6:])

    def holds(self, connection: Connection) -> bool:
        """Whether nothing of it has changed, as `connection` sees it."""
        return bool(self.row == _row(connection, self.consent, self.family, self.organisation))


def read(connection: Connection, consent: str, family: str, organisation: str, version: int) -> Standing | None:
    row = _row(connection, consent, family, organisation)
    return Standing(consent, family, organisation, version, row) if row is not None else None


def _row(connection: Connection, consent: str, family: str, organisation: str) -> tuple[Any, ...] | None:
    row: tuple[Any, ...] | None = connection.execute(_SELECT, (family, organisation, consent)).fetchone()
    return row
