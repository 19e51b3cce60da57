"""A psycopg connection that waits for nothing for ever.

The server limits what it does itself (`statement_timeout`), but not how long a commit waits for a synchronous standby
that is away, and a server that stands still limits nothing. A commit that is not answered goes on: it is not known yet.
Its connection is not closed, so that it can be asked later whether the commit has ended (`ended`).
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen

COMMIT_SECONDS = 10.0
ANSWER_SECONDS = 20.0  # for a statement: longer than the server gives it (address.SESSION)
_INTERVAL = 0.1
_WARNING = "01000"  # of a commit that was told not to wait for its standby any longer: its only warning

Result = TypeVar("Result")


class NotAnswered(psycopg.OperationalError):
    """`by`: the connection on which a commit goes on."""

    by: "Patient | None" = None


class NotOnStandby(psycopg.OperationalError):
    """The commit is on the primary's disk, and perhaps nowhere else."""


class Patient(psycopg.Connection[Any]):
    patience: float | None = ANSWER_SECONDS
    _commits = False
    _left = False  # its commit is not answered

    def wait(self, gen: PQGen[Result], interval: float = _INTERVAL, timeout: float | None = None) -> Result:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except (errors._WaitTimeout, OSError) as error:  # OSError: no descriptor is left to wait with; all was sent
            late = NotAnswered("the server does not answer")
            if self._commits:
                self._left, late.by = True, self
            else:
                self.pgconn.finish()
            raise late from error

    def commit(self) -> None:
        """Also of a transaction that was begun by hand. Raises NotAnswered, NotOnStandby."""
        warned: list[str | None] = []

        def noted(said: psycopg.errors.Diagnostic) -> None:
            warned.append(said.sqlstate)

        self.add_notice_handler(noted)
        before, self.patience, self._commits = self.patience, COMMIT_SECONDS, True
        try:
            super().commit()
        finally:
            self.patience, self._commits = before, False
            self.remove_notice_handler(noted)
        if _WARNING in warned:
            raise NotOnStandby("the commit was told not to wait for a standby")

    @property
    def closed(self) -> bool:
        return self._left or super().closed

    def ended(self) -> bool:
        """Whether the commit that was not answered has ended, in whatever way. Asks nobody and does not wait."""
        try:
            self.pgconn.consume_input()
            while not self.pgconn.is_busy():
                if self.pgconn.get_result() is None:
                    break
            else:
                return False
        except psycopg.OperationalError:  # the connection broke
            pass
        self.pgconn.finish()
        return True

    def leave(self) -> None:
        """Close it also where a commit goes on."""
        self.pgconn.finish()


def opened(parameters: Mapping[str, Any], *, autocommit: bool = False) -> Patient:
    """A connection. Raises psycopg.Error, also where the machine has no descriptor left."""
    try:
        return Patient.connect(**parameters, autocommit=autocommit)
    except OSError as error:
        raise psycopg.OperationalError(error.strerror or "no connection") from error
