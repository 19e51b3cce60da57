"""Where a consent stands at this instant: one indexed read, again for every call after which anything was written.

Token → family → consent, and with it the person's link and birth date, and the directory (apps, organisations,
policies). What the read returns is the whole of what can change a decision, so two equal
readings mean an unchanged decision; the writer compares them in the transaction of the entry.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.ground.store.engine import Connection

HELD = 10_000

# "+": never by the index over organisations, where one of them has all the people.
_SELECT = """
    SELECT c.person_id, c.app_id, c.state, c.reason, c.generation, d.generation, p.birth_date, l.id, l.generation,
           f.id IS NOT NULL AND f.ended_at IS NULL
      FROM consent c
      LEFT JOIN tokenfamily f ON f.id = ? AND f.consent_id = c.id AND f.client_id = c.app_id
      LEFT JOIN directory d ON d.id = 1
      LEFT JOIN person p ON p.id = c.person_id
      LEFT JOIN link l ON l.person_id = c.person_id AND +l.organisation_id = ? AND l.ended_at IS NULL
     WHERE c.id = ?"""


@dataclass(slots=True, eq=False)
class Standing:
    """One reading, and its row taken apart. `version`: of the database, as it was read."""

    consent: str
    family: str
    organisation: str
    version: int
    row: tuple[Any, ...]
    person: str = field(init=False)
    app: str = field(init=False)
    state: str = field(init=False)
    reason: str = field(init=False)
    generation: int = field(init=False)
    generations: tuple[Any, ...] = field(init=False)  # of which a grant is made: consent, directory, birth date, link
    family_lives: bool = field(init=False)

    def __post_init__(self) -> None:
        self.person, self.app, self.state, self.reason, self.generation = self.row[:5]
        self.generations, self.family_lives = self.row[4:9], bool(self.row[9])

    @property
    def but_directory(self) -> tuple[Any, ...]:
        """What ends a running stream by itself. A new directory may concern others only; a new birth date is judged."""
        return (*self.row[:5], *self.row[7:])


class Standings:
    """Standings as one connection sees them. A reading stands until another connection has committed anything.

    SQLite tells that by its data version, which is looked at for every call after which anybody has committed. Its
    own commits do not move it: whoever changes a standing on this connection says so by `forget`.
    """

    def __init__(self, connection: Connection, commits: Callable[[], bytes]) -> None:
        self._connection = connection
        self._commits = commits
        self._seen = b""
        self._version = -1
        self._held: dict[tuple[str, str, str], Standing] = {}

    def version(self) -> int:
        seen = self._commits()
        if seen != self._seen:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            self._seen = seen  # as before the version was asked for: who commits in between is seen next time
            if version != self._version:
                self._held.clear()
                self._version = version
        return self._version

    def forget(self) -> None:
        self._held.clear()

    def get(self, consent: str, family: str, organisation: str) -> Standing | None:
        version = self.version()  # before the row: what is committed in between is seen too early, never too late
        key = consent, family, organisation
        found = self._held.get(key)
        if found is None:
            row = self._row(*key)
            if row is None:
                return None
            if len(self._held) >= HELD:
                self._held.clear()
            found = self._held[key] = Standing(*key, version, row)
        return found

    def holds(self, standing: Standing) -> bool:
        """Whether nothing of it has changed."""
        return bool(standing.row == self._row(standing.consent, standing.family, standing.organisation))

    def _row(self, consent: str, family: str, organisation: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(_SELECT, (family, organisation, consent)).fetchone()
        return row
