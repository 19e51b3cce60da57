"""Everything stored that can change the decision on a data call, in one indexed read.

The read follows token → family → consent and adds the person's link and birth date and the directory's generation
(apps, organisations, policies). Two equal rows therefore mean the same decision. The writer reads the row again in the
transaction of the log entry and compares. A call reuses the last row as long as nothing has been written since.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.ground.store.engine import Connection

HELD = 10_000

# The unary plus keeps SQLite off link's organisation_id index: one organisation may have linked every person, and the
# lookup would become a scan.
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
    """One row read, and its columns by name. `version`: SQLite's data version when the row was read."""

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
    def decisive(self) -> tuple[Any, ...]:
        """The columns whose change stops a running stream at once.

        A new directory generation may concern other apps, and a new birth date may change nothing: after either, the
        stream is judged again instead.
        """
        return (*self.row[:5], *self.row[7:])


class Standings:
    """Standings as one connection sees them. A row read is reused until another connection commits.

    SQLite's data version tells that another connection has committed; it is asked for only when the bytes of
    `commits` have changed. Commits of this connection itself do not change the data version, so code that changes a
    standing on this connection must call `forget`.
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
            # Keep the bytes read before the query. A commit between the two is then noticed at the next call, not
            # missed.
            self._seen = seen
            if version != self._version:
                self._held.clear()
                self._version = version
        return self._version

    def forget(self) -> None:
        self._held.clear()

    def get(self, consent: str, family: str, organisation: str) -> Standing | None:
        # The version is read before the row. If a commit falls between them, the row is newer than its version says
        # and is read once more than needed; the other way round a change could be missed.
        version = self.version()
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
        """Whether the row is still the same."""
        return bool(standing.row == self._row(standing.consent, standing.family, standing.organisation))

    def _row(self, consent: str, family: str, organisation: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(_SELECT, (family, organisation, consent)).fetchone()
        return row
