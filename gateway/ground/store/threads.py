"""Threads that work beside the event loop."""

import contextlib
import os


def give_way() -> None:
    """Make the calling thread wait for its turn when it wakes up, instead of interrupting the running thread (Linux,
    sched(7): SCHED_BATCH). Interrupting would cost both threads time, and the woken thread could not run anyway
    before it gets the interpreter lock."""
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # some containers forbid it; then nothing changes
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
