"""Threads that work beside the event loop."""

import contextlib
import logging
import os
import time

AGAIN_SECONDS = 60.0  # how often a fault is told that goes on


def give_way() -> None:
    """Make the calling thread wait for its turn when it wakes up, instead of interrupting the running thread (Linux,
    sched(7): SCHED_BATCH). Interrupting would cost both threads time, and the woken thread could not run anyway
    before it gets the interpreter lock."""
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # some containers forbid it; then nothing changes
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class Trouble:
    """A fault that comes back at every beat: told with its cause when it begins, once a minute while it lasts, and when
    it is over. Of one thread. `what`: the sentence before the cause; `over`: the one when all is well again."""

    def __init__(self, logger: logging.Logger, what: str, over: str) -> None:
        self._logger, self._what, self._over = logger, what, over
        self._beats, self._told = 0, 0.0

    def failed(self, cause: str, error: BaseException | None = None) -> None:
        """`error`: one that nobody foresaw, told with where it came from."""
        self._beats += 1
        now = time.monotonic()
        if self._beats == 1:
            self._logger.error("%s: %s", self._what, cause, exc_info=error)
        elif now - self._told >= AGAIN_SECONDS:
            self._logger.error("%s, %d times by now: %s", self._what, self._beats, cause, exc_info=error)
        else:
            return
        self._told = now

    def well(self) -> None:
        if self._beats:
            self._logger.warning("%s", self._over)
            self._beats = 0
