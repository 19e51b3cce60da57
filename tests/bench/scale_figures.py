"""What scale.py has found: ratios, verdicts, one table, one document."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.database import SETTINGS
from tests.bench.figures import Goal
from tests.bench.measure import Figures, Ratio, Target, ratio
from tests.bench.processes import CORES

FLAT = Goal("<=", 1.10)
# 1.7 times the calls of one process, told as CPU of a call: where two processes share a core, that decides
TWO = Goal("<=", round(2 / 1.7, 3))
AIM_US = 40  # of PostgreSQL's own processes; the goal is 60
HEAD = f"  {'':24}{'calls/s':>9}{'gateway µs':>12}{'PostgreSQL µs':>15}{'p50 ms':>9}{'p99 ms':>9}{'calls/commit':>14}"


@dataclass
class Part:
    """One group of targets, measured in turn. The ratios are to the first of them."""

    targets: dict[str, Target]
    figures: dict[str, Figures]
    commits: dict[str, float]  # entries of one commit
    whole_us: float  # PostgreSQL's CPU for a call, with what it did between the slices; all its targets together

    @property
    def sound(self) -> bool:
        return all(each.sound for each in self.figures.values()) and all(
            len(t.slices) > 1 for t in self.targets.values()
        )

    def gateway(self, name: str) -> Ratio:
        return ratio(self.targets[name].cpu, self._first.cpu)

    def database(self, name: str) -> Ratio | None:
        if not self._first.database:
            return None
        return ratio(self.targets[name].database_cpu, self._first.database_cpu)

    def rate(self, name: str) -> Ratio:
        return ratio(self.targets[name].rates, self._first.rates)

    @property
    def _first(self) -> Target:
        return next(iter(self.targets.values()))

    def shown(self, title: str) -> str:
        lines = [title, HEAD]
        for name, each in self.figures.items():
            commits = f"{self.commits[name]:14.1f}" if name in self.commits else f"{'':14}"
            database = f"{each.database_us:15.1f}" if name in self.commits else f"{'':15}"
            unwell = f"   {each.unwell} refused or broken" if each.unwell else ""
            lines.append(
                f"  {name:24}{each.rps:9.0f}{each.cpu_us:12.1f}{database}{each.p50_ms:9.2f}{each.p99_ms:9.2f}{commits}"
                + unwell
                + ("" if each.sound else ": NOT SOUND")
            )
        lines.append(f"  {'PostgreSQL, with its work between slices':45}{self.whole_us:15.1f}")
        first = self._first.name
        for name in list(self.targets)[1:]:
            lines.append(f"  {name} / {first}: gateway's CPU {self.gateway(name)}, calls/s {self.rate(name)}")
            if (database := self.database(name)) is not None:
                lines.append(f"  {'':{len(name) + len(first) + 3}}  PostgreSQL's CPU {database}")
        return "\n".join(lines) + "\n"

    def document(self) -> dict[str, Any]:
        names = list(self.targets)[1:]
        return {
            "figures": {name: asdict(each) for name, each in self.figures.items()},
            "calls_of_a_commit": self.commits,
            "postgres_us_with_background": self.whole_us,
            "gateway_cpu_ratio": {name: asdict(self.gateway(name)) for name in names},
            "postgres_cpu_ratio": {name: asdict(found) for name in names if (found := self.database(name))},
            "rate_ratio": {name: asdict(self.rate(name)) for name in names},
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    value: float
    goal: Goal
    words: str

    def shown(self, name: str) -> str:
        verdict = "ok" if self.goal.met(self.value) else "MISS"
        return f"{name:34}{self.value:10.3f}  {self.goal.sign} {self.goal.bound:<7g}{verdict:5} {self.words}".rstrip()


@dataclass
class Found:
    people: int
    entries: int
    neighbours: int
    load_before: float = 0.0
    parts: dict[str, Part] = field(default_factory=dict)
    single: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    one: Part | None = None
    street: Part | None = None
    lone: Part | None = None
    stream: Part | None = None
    processes: Part | None = None
    sizes_one: Part | None = None
    sizes_street: Part | None = None

    def verdicts(self) -> dict[str, Verdict]:
        found: dict[str, Verdict] = {}
        for name, part, words in (
            ("one", self.one, "all calls of one consent"),
            ("neighbours", self.street, f"calls of {self.neighbours:,} consents"),
        ):
            if part is not None and part.sound:
                words_ = f"{words}, 32 connections"
                middle = part.gateway("PostgreSQL").middle
                found[f"gateway_cpu_{name}"] = Verdict(middle, Goal("<=", 1.3), f"of SQLite's; {words_}")
                aim = f"µs; aim {AIM_US}; {words_}"
                found[f"postgres_us_{name}"] = Verdict(part.whole_us, Goal("<=", 60), aim)
        if self.lone is not None and self.lone.sound:
            lone = self.lone.figures["PostgreSQL"].p50_ms
            found["lone_call_ms"] = Verdict(lone, Goal("<=", 1.2), "p50 of one connection, with its commit")
        if self.stream is not None and self.stream.sound:
            middle = self.stream.gateway("PostgreSQL").middle
            found["gateway_cpu_stream"] = Verdict(middle, Goal("<=", 1.3), "of SQLite's; 1 MB as a stream")
        found |= self._flat("processes", self.processes, "4 processes", "of one process's; 32 connections each")
        many = f"among {self.people:,} consents and {self.entries:,} entries"
        found |= self._flat("size_one", self.sizes_one, "many", f"{many}; one consent")
        found |= self._flat("size_neighbours", self.sizes_street, "many", f"{many}; {self.neighbours:,} consents")
        if self.processes is not None and self.processes.sound:
            middle = self.processes.gateway("2 processes").middle
            words = f"gateway's CPU of a call, 2 of 1; calls per second need free cores, here are {len(CORES)} in all"
            found["two_processes"] = Verdict(middle, TWO, words)
        return found

    def _flat(self, name: str, part: Part | None, of: str, words: str) -> dict[str, Verdict]:
        if part is None or not part.sound:
            return {}
        database = part.database(of)
        assert database is not None
        return {
            f"flat_{name}_gateway": Verdict(part.gateway(of).middle, FLAT, words),
            f"flat_{name}_postgres": Verdict(database.middle, FLAT, words),
        }

    def table(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
        lines = [part.shown(title) for title, part in self.parts.items()]
        lines += [f"  {name:50}{value:12.1f}" for name, value in self.single.items()]
        lines += [
            "",
            f"PostgreSQL {self.versions.get('postgresql', '')} on the disk, fsync on, {settings}, else its defaults;"
            " it has the core of the load and the data server, the gateways share the other one.",
            f"Many: {self.people:,} consents and {self.entries:,} entries. Few: {self.neighbours + 3:,} consents.",
        ]
        lines += [verdict.shown(name) for name, verdict in self.verdicts().items()]
        if self.load_before > 0.5:
            lines.append(f"The machine was not idle (load {self.load_before:.1f}): trust ratios of CPU, not rates.")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        return {
            "verdicts": {
                name: {
                    "value": round(each.value, 4),
                    "goal": f"{each.goal.sign} {each.goal.bound:g}",
                    "met": each.goal.met(each.value),
                    "what": each.words,
                }
                for name, each in self.verdicts().items()
            },
            "parts": {title: part.document() for title, part in self.parts.items()},
            "single": self.single,
            "consents": self.people,
            "entries": self.entries,
            "neighbours": self.neighbours,
            "settings": SETTINGS,
        }
