"""Everything stored that can change the decision on a data call, as one row.

The row follows token → family → consent and adds the person's link and birth date and the directory's generation
(apps, organisations, policies). Two equal rows therefore mean the same decision. It is read again in the transaction
of the log entry and compared. How it is read is written once per engine: in sqlite.py; in postgres_reading.py (`ROW`,
`_READ`), and again in the transaction in postgres.py (`_JUDGE`, and `_ONE` for what ends with its use).
"""

from dataclasses import dataclass, field
from typing import Any

HELD = 10_000  # rows remembered


@dataclass(slots=True, eq=False)
class Standing:
    """One row read, and its columns by name. `version`: of the database, when the row was read; -1: not known."""

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
    def key(self) -> tuple[str, str, str]:
        return self.consent, self.family, self.organisation

    @property
    def decisive(self) -> tuple[Any, ...]:
        """The columns whose change stops a running stream at once.

        A new directory generation may concern other apps, and a new birth date may change nothing: after either, the
        stream is judged again instead.
        """
        return (*self.row[:5], *self.row[7:])
