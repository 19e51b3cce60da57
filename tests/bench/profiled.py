"""`python -m tests.bench.profiled serve`: `aval`, with a profile of each of its threads written when it ends.

Where: the folder named by BENCH_PROFILE. The event loop's is main.prof, another thread's is its name. The event loop
is profiled from SIGUSR1 on, so that starting is not in it. Time is CPU time of the thread: waiting costs nothing.
The data plane is interpreted: compiled functions cannot be profiled like this.
"""

import cProfile
import os
import signal
import threading
import time
from pathlib import Path

FOLDER = Path(os.environ["BENCH_PROFILE"])


class Profiled(threading.Thread):
    def run(self) -> None:
        profile = cProfile.Profile(time.thread_time)
        try:
            profile.runcall(super().run)
        finally:
            profile.dump_stats(FOLDER / f"{self.name}.prof")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    threading.Thread = Profiled  # type: ignore[misc]
    os.environ["AVAL_INTERPRETED"] = "1"  # a profiler of Python sees nothing of compiled functions
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
