"""An agreement that runs now, from one row: for who may not wait for more."""

from dataclasses import dataclass
from datetime import datetime

from gateway.consent.rules import State
from gateway.ground.store import Row, instant

_RUNNING = """
    SELECT c.state, c.until, c.tokens_from, t.json FROM consent c
      JOIN terms t ON t.consent_id = c.id AND t.version = c.version
     WHERE c.id = ?"""


@dataclass(frozen=True, slots=True)
class Running:
    tokens_from: int  # version of the terms: tokens of an earlier one are worth nothing
    terms: str  # as they are now, in JSON


def running(row: Row, consent: str, now: datetime) -> Running | None:
    """None: it is not agreed to, paused, ended or over, as `deciding.is_live` has it."""
    found = row(_RUNNING, (consent,))
    if found is None:
        return None
    state, until, tokens_from, terms = found
    if state != State.ACTIVE or (until is not None and now >= instant(until)):
        return None
    return Running(tokens_from, terms)
