"""`python -m tests.bench.profiled serve`: `aval`, with a profile of each of its threads written when it ends.

Where: the folder named by BENCH_PROFILE. The event loop's is main.prof, another thread's is its name. The event loop
is profiled from SIGUSR1 on, so that starting is not in it. Time is CPU time of the thread: waiting costs nothing.
The data plane is interpreted: compiled functions cannot be profiled like this.
"""

import cProfile
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

FOLDER = Path(os.environ["BENCH_PROFILE"])


def measured(name: str, run: Callable[[], None]) -> None:
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(run)
    finally:
        profile.dump_stats(FOLDER / f"{name}.prof")


class Profiled(threading.Thread):
    def run(self) -> None:
        measured(self.name, super().run)


def profile_doors() -> None:
    """The threads in which doors run have a `run` of their own, and one name for all."""
    from anyio._backends._asyncio import WorkerThread

    run = WorkerThread.run
    number = itertools.count()
    WorkerThread.run = lambda thread: measured(f"doors_{next(number)}", partial(run, thread))  # type: ignore[method-assign]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    threading.Thread = Profiled  # type: ignore[misc]
    os.environ["AVAL_INTERPRETED"] = "1"  # a profiler of Python sees nothing of compiled functions
    profile_doors()
    from gateway.cli import main as aval

    profile = cProfile.Profile(time.thread_time)
    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    try:
        aval()
    finally:
        profile.disable()
        profile.dump_stats(FOLDER / "main.prof")


if __name__ == "__main__":
    main()
