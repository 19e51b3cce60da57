"""The command line: what to measure, how long at most, and that nothing is left running."""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway import compiled
from tests.bench.processes import OTHER_CORE, Group, core

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".bench"
BENCHES = ("data-plane", "processes", "pages", "formats", "tokens")
TOKENS = ("client_credentials", "introspection", "introspection-person", "refresh", "flow")
ENTRIES = 1_000_000
ENTRIES_A_SECOND = 10_000  # made, at least
LIMIT_SECONDS = 600  # of the whole; with room for a first build of the crowd


class TooLong(Exception):
    """The bench ran into its own bound."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Side-by-side measurements, as ratios.")
    parser.add_argument("--quick", action="store_true", help="nginx's plain proxy and Aval, 2 kB, one minute")
    parser.add_argument("--profile", action="store_true", help="Aval under the 2 kB load, and where its time went")
    parser.add_argument(
        "--kind",
        choices=("bank", "neighbours", "claims", "everything", "usage", "dpop", *TOKENS),
        default="bank",
        help="of --profile",
    )
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another checkout and this one, in one run")
    parser.add_argument(
        "--engine", choices=("sqlite", "postgres"), default="sqlite", help="of --profile, --beside, pages"
    )
    parser.add_argument(
        "--entries", type=int, default=int(os.environ.get("ENTRIES") or ENTRIES), help="of processes: in the large log"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of processes: the databases stay there")
    parser.add_argument("--live", type=int, default=int(os.environ.get("LIVE") or 0), help="of tokens: among so many")
    asked = parser.parse_args()
    only = os.environ.get("ONLY") or BENCHES[0]
    if only not in BENCHES:
        parser.error(f"ONLY={only}: known here: {', '.join(BENCHES)}")
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    os.sched_setaffinity(0, {core(OTHER_CORE)})  # whatever we do ourselves is beside the server under test
    from tests.bench import beside, dataplane, formats, pages, profiling, scale, tokens

    limit = LIMIT_SECONDS + max(0, asked.entries - ENTRIES) // ENTRIES_A_SECOND
    with _alone(say), _bounded(limit), _group() as group:
        if only == "pages":
            return pages.run(say, asked.engine)
        _compiled(say)
        if only == "formats":
            return formats.run(say)
        if only == "tokens":
            how = {"live": asked.live, "quick": asked.quick, "profiled": asked.kind if asked.profile else ""}
            return tokens.run(group, say, KEPT, asked.engine, **how)
        if asked.profile:
            return profiling.run(group, say, asked.kind, asked.engine)
        if only == "processes":
            plan = scale.QUICK if asked.quick else scale.Plan(entries=asked.entries)
            return scale.run(group, say, plan, asked.keep.resolve() if asked.keep else None)
        if asked.beside:
            return beside.run(group, say, asked.beside.resolve(), asked.engine)
        return dataplane.quick(group, say) if asked.quick else dataplane.full(group, say)


def _compiled(say: Callable[[str], None]) -> None:
    """The data plane as it is run in production; the servers are processes of their own and find it."""
    if os.environ.get(compiled.INTERPRETED) == "1":
        return
    if not compiled.folder().is_dir():
        say(f"compiling the data plane, minutes; {compiled.INTERPRETED}=1 measures it as it is")
    try:
        compiled.compile_all(say)
    except compiled.CannotCompile as error:
        say(f"the data plane is measured interpreted: {error}")


@contextlib.contextmanager
def _alone(say: Callable[[str], None]) -> Iterator[None]:
    """Two benches at once would measure each other: the second waits."""
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another bench is running; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _group() -> Iterator[Group]:
    folder = KEPT / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o755)
    group = Group(folder)
    try:
        yield group
    finally:
        group.close()


@contextlib.contextmanager
def _bounded(limit: int) -> Iterator[None]:
    """Ends by an exception, so that everything is stopped: after the limit, and when we are told to end."""

    def stopper(error: type[BaseException]) -> Callable[[int, object], None]:
        def stop(signum: int, _frame: object) -> None:
            raise error(signal.Signals(signum).name)

        return stop

    signal.signal(signal.SIGALRM, stopper(TooLong))
    for told in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(told, stopper(KeyboardInterrupt))
    signal.alarm(limit)
    try:
        yield
    except TooLong:
        print(f"bench: stopped after {limit} s", file=sys.stderr)
        raise SystemExit(3) from None
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    sys.exit(main())
