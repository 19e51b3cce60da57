"""Threads that work beside the event loop."""

import contextlib
import os


def give_way() -> None:
    """From now on the calling thread waits for its turn when it wakes up, instead of taking the core from whoever is
    at work (Linux, sched(7): SCHED_BATCH). Each such switch costs both of them, and it could not go on anyway without
    the interpreter's lock."""
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # not allowed in every container: then it is as before
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
