"""ONLY=tokens: what tokens cost, beside oidc-provider in memory and django-oauth-toolkit; and among how many others.

CPU of the server's process for one request is the figure; short rounds in turn, medians. The callers are threads of
this process on the other core: a server that is faster than they are is not told its full rate.
"""

import json
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import profiling, token_rows, token_sides
from tests.bench.database import Server
from tests.bench.measure import Ratio, ratio
from tests.bench.processes import Group, lasting_cpu_seconds
from tests.bench.token_sides import PEOPLE, NotRight, Side
from tests.worlds import served
from tests.worlds.served import Http

Say = Callable[[str], None]
Act = Callable[[Http, Http, int], object]  # app, browser, number of the person

CALLERS = 8
ROUND_SECONDS = 1.5
ROUNDS = 8
WARM_ROUNDS = 1
PROFILE_SECONDS, WARM_SECONDS = 8.0, 3.0
PROVIDER = "oidc-provider"


@dataclass
class Kind:
    """Something asked of all: `made` gives, for one side, what is done again and again."""

    name: str
    made: Callable[[Side], Act]
    at_most: float | None = None  # CPU, of oidc-provider's: what is wanted
    at_least: float | None = None  # oidc-provider's CPU, of Aval's: what is wanted


def _client(side: Side) -> Act:
    return lambda app, _browser, _person: side.client_token(app)


def _introspection(side: Side) -> Act:
    token = side.client_token(side.http(), opaque=True)
    return lambda app, _browser, _person: side.is_active(app, token)


def _introspection_of_a_persons(side: Side) -> Act:
    token = side.flow(side.http(), side.http(0), 0)["access_token"]
    if side.name == PROVIDER:  # it introspects no JWT
        return _introspection(side)
    return lambda app, _browser, _person: side.is_active(app, token)


def _refresh(side: Side) -> Act:
    tokens = [side.flow(side.http(), side.http(number), number)["refresh_token"] for number in range(CALLERS)]
    return lambda app, _browser, person: side.refreshed(app, tokens[person])


def _flow(side: Side) -> Act:
    return side.flow


KINDS = (
    Kind("client_credentials", _client, at_least=1.6),
    Kind("introspection", _introspection, at_least=3.0),  # of a client's own token
    Kind("introspection-person", _introspection_of_a_persons, at_least=3.0),
    Kind("refresh", _refresh),
    Kind("flow", _flow, at_most=1.3),  # PAR, the screen, her answer, code, PKCE
)


@dataclass
class Measured:
    micros: list[float] = field(default_factory=list)  # CPU of the server for one request, by round
    rates: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)  # µs of its database server


def run(
    group: Group, say: Say, kept: Path, engine: str, *, live: int = 0, quick: bool = False, profiled: str = ""
) -> int:
    """`live`: among so many tokens, too. `profiled`: the kind whose time is to be told instead."""
    if profiled:
        return _profiled(group, say, next(kind for kind in KINDS if kind.name == profiled))
    with ExitStack() as stack:
        database, pids = "", ()
        if engine == "postgres":
            server = stack.enter_context(Server())
            server.create("tokens")
            database, pids = server.url("tokens"), server.pids
        sides = _sides(group, say, kept, database, live)
        results = {kind.name: _measured(say, kind, sides, quick, pids) for kind in KINDS}
    _print(results, sides)
    _write(results)
    return 0


def _sides(group: Group, say: Say, kept: Path, database: str, live: int) -> list[Side]:
    found = []
    for count in sorted({0, live}):
        town = served.prepared(group.folder / f"aval-{count}", database, PEOPLE)
        if count:
            say(f"{count:,} live tokens")
            token_rows.fill(town, count)
        found.append(token_sides.aval(group, town, f"aval-{count}" if count else "aval"))
        if database:
            break
    for name, start in (("oidc-provider", token_sides.provider), ("django-oauth-toolkit", None)):
        try:
            found.append(start(group) if start else token_sides.django(group, kept / "django"))
        except (OSError, subprocess.SubprocessError) as missing:
            say(f"{name} is left out: {missing}")
    return found


def _measured(say: Say, kind: Kind, sides: Sequence[Side], quick: bool, database: Sequence[int]) -> dict[str, Measured]:
    crews = {side.name: Crew(side, kind.made(side), database) for side in sides}
    found = {side.name: Measured() for side in sides}
    rounds = 2 if quick else ROUNDS
    for number in range(WARM_ROUNDS + rounds):
        for name, crew in crews.items():
            micros, rate, beside = crew.round(ROUND_SECONDS)
            if number >= WARM_ROUNDS:
                found[name].micros.append(micros)
                found[name].rates.append(rate)
                found[name].database.append(beside)
        say(f"  {kind.name}: round {number + 1} of {WARM_ROUNDS + rounds}")
    for crew in crews.values():
        crew.close()
    return found


class Crew:
    """Callers of one side, each with connections of its own and a person of its own."""

    def __init__(self, side: Side, act: Act, database: Sequence[int]) -> None:
        self._side, self._act, self._database = side, act, database
        self._callers = [(side.http(), side.http(number), number) for number in range(CALLERS)]

    def round(self, seconds: float) -> tuple[float, float, float]:
        """µs of CPU for one request, requests a second, µs of its database server. Raises what a caller met."""
        until, counts, faults = time.monotonic() + seconds, [0] * CALLERS, list[BaseException]()

        def call(at: int) -> None:
            try:
                while time.monotonic() < until:
                    self._act(*self._callers[at])
                    counts[at] += 1
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=call, args=(at,)) for at in range(CALLERS)]
        begun = time.monotonic()
        before, beside = lasting_cpu_seconds([self._side.pid]), lasting_cpu_seconds(self._database)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, beside = lasting_cpu_seconds([self._side.pid]) - before, lasting_cpu_seconds(self._database) - beside
        if faults:
            raise faults[0]
        done = sum(counts)
        if not done:
            raise NotRight(f"{self._side.name}: no answer in {seconds} s")
        return took / done * 1e6, done / (time.monotonic() - begun), beside / done * 1e6

    def close(self) -> None:
        for app, browser, _ in self._callers:
            app.close()
            browser.close()


def _profiled(group: Group, say: Say, kind: Kind) -> int:
    town = served.prepared(group.folder / "aval", people=PEOPLE)
    written = group.folder / "profile"
    side = token_sides.aval(group, town, "aval", profile=written)
    crew = Crew(side, kind.made(side), ())
    crew.round(WARM_SECONDS)
    os.kill(side.pid, signal.SIGUSR1)
    say(f"{PROFILE_SECONDS} s of {kind.name}")
    _, rate, _ = crew.round(PROFILE_SECONDS)
    crew.close()
    group.finish(side.pid)
    profiling.tell(written, round(rate * PROFILE_SECONDS))
    return 0


# ---- figures


def _print(results: dict[str, dict[str, Measured]], sides: Sequence[Side]) -> None:
    names = [side.name for side in sides]
    print(f"\n{'CPU µs (requests/s)':26}" + "".join(f"{name:>24}" for name in names))
    for kind in KINDS:
        found = results[kind.name]
        row = [f"{statistics.median(found[n].micros):.0f} ({statistics.median(found[n].rates):.0f})" for n in names]
        print(f"{kind.name:26}" + "".join(f"{each:>24}" for each in row))
    for name in names[1:]:
        print(f"\n{name}'s CPU, of aval's (quartiles)")
        for kind in KINDS:
            found = results[kind.name]
            print(f"  {kind.name:26}{_ratio(found, name)}{_verdict(kind, found) if name == PROVIDER else ''}")


def _ratio(found: dict[str, Measured], name: str) -> Ratio:
    return ratio(found[name].micros, found["aval"].micros)


def _verdict(kind: Kind, found: dict[str, Measured]) -> str:
    middle = _ratio(found, PROVIDER).middle
    if kind.at_least is not None:
        return f"   wanted ≥ {kind.at_least}: {'met' if middle >= kind.at_least else 'missed'}"
    if kind.at_most is not None:
        turned = 1 / middle
        return f"   {turned:.2f} of its, wanted ≤ {kind.at_most}: {'met' if turned <= kind.at_most else 'missed'}"
    return ""


def _write(results: dict[str, dict[str, Measured]]) -> None:
    folder = Path(__file__).with_name("results")
    folder.mkdir(exist_ok=True)
    told = {kind: {name: vars(each) for name, each in found.items()} for kind, found in results.items()}
    (folder / "tokens.json").write_text(json.dumps(told, indent=1) + "\n")
