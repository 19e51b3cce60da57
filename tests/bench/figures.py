"""From measured figures to ratios, goals and the one table; and the file that a machine reads."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.ground.store.sqlite.engine import sqlite_version
from tests.bench import processes
from tests.bench.measure import Figures

RESULTS = Path(__file__).with_name("results")
VERIFY_MARGIN = 1.3

# what each group measures → what its table is headed by
GROUPS = {
    "2 kB": "2 kB of JSON, 32 connections",
    "100 kB": "100 kB FHIR bundle, 32 connections",
    "1 MB": "1 MB ESPI feed, 2 connections",
    "unloaded": "2 kB of JSON, 1 connection",
    "crowd": "2 kB of JSON, 32 connections, among few and among many",
}


@dataclass
class Measured:
    """Everything one run found out."""

    groups: dict[str, dict[str, Figures]] = field(default_factory=dict)
    single: dict[str, float] = field(default_factory=dict)  # sizes, verification, memory, starts
    left_out: dict[str, str] = field(default_factory=dict)  # what → why
    versions: dict[str, str] = field(default_factory=dict)
    load_before: float = 0.0  # of the machine, before anything was started

    def of(self, group: str, target: str, member: str) -> float | None:
        figures = self.groups.get(group, {}).get(target)
        return getattr(figures, member) if figures is not None and figures.sound else None


@dataclass(frozen=True, slots=True)
class Goal:
    sign: str  # "<=" or ">="
    bound: float

    def met(self, value: float) -> bool:
        return value <= self.bound if self.sign == "<=" else value >= self.bound


GOALS: dict[str, Goal | None] = {
    "rps_vs_mod_oauth2": Goal(">=", 1.3),
    "rps_vs_auth_request": Goal(">=", 5.0),
    "rps_vs_nginx_proxy": Goal(">=", 0.20),
    "cpu_vs_nginx_proxy": Goal("<=", 5.2),
    "cpu_vs_mod_oauth2": None,
    "p50_unloaded_vs_auth_request": Goal("<=", 0.9),
    "rps_100k_vs_nginx_proxy": Goal(">=", 0.45),
    "fhir_100k_filtered_vs_unfiltered": Goal(">=", 0.5),
    "espi_mb_per_s_core": Goal(">=", 60.0),
    "dpop_cpu_vs_bearer": None,  # set by what one verification costs on this machine
    "log_kept_rate": Goal(">=", 0.72),
    "flat_cpu_1m_consents": Goal("<=", 1.10),
    "rss_mb": Goal("<=", 250.0),
    "start_ms": Goal("<=", 1500.0),
}
WORDS = {
    "rps_vs_mod_oauth2": "requests per second, of the better of Apache's two ways",
    "cpu_vs_mod_oauth2": "CPU per request, of the cheaper of Apache's two ways",
    "rps_100k_vs_nginx_proxy": "all fields agreed to: everything is read and written again",
    "dpop_cpu_vs_bearer": "goal: 1.3 × bearer and one P-256 verification",
    "log_kept_rate": "rate with the entry on the disk, of the rate without waiting for the disk",
    "rss_mb": "after load, the larger of both",
    "start_ms": "from exec to the first data, the slower of both",
}


def ratios(found: Measured) -> dict[str, float | None]:
    of = found.of
    return {
        "rps_vs_mod_oauth2": _ratio(of("2 kB", "aval", "rps"), _extreme(found, max, "rps")),
        "rps_vs_auth_request": _ratio(of("2 kB", "aval", "rps"), of("2 kB", "nginx auth_request", "rps")),
        "rps_vs_nginx_proxy": _ratio(of("2 kB", "aval", "rps"), of("2 kB", "nginx proxy", "rps")),
        "cpu_vs_nginx_proxy": _ratio(of("2 kB", "aval", "cpu_us"), of("2 kB", "nginx proxy", "cpu_us")),
        "cpu_vs_mod_oauth2": _ratio(of("2 kB", "aval", "cpu_us"), _extreme(found, min, "cpu_us")),
        "p50_unloaded_vs_auth_request": _ratio(
            of("unloaded", "aval", "p50_ms"), of("unloaded", "nginx auth_request", "p50_ms")
        ),
        "rps_100k_vs_nginx_proxy": _ratio(of("100 kB", "aval, all agreed", "rps"), of("100 kB", "nginx proxy", "rps")),
        "fhir_100k_filtered_vs_unfiltered": _ratio(
            of("100 kB", "aval, filtered", "rps"), of("100 kB", "aval, all agreed", "rps")
        ),
        # bytes in µs are MB in s
        "espi_mb_per_s_core": _ratio(found.single.get("usage_bytes"), of("1 MB", "aval, filtered", "cpu_us")),
        "dpop_cpu_vs_bearer": _ratio(of("2 kB", "aval, DPoP", "cpu_us"), of("2 kB", "aval", "cpu_us")),
        "log_kept_rate": _ratio(of("2 kB", "aval", "rps"), of("2 kB", "aval, no fsync", "rps")),
        "flat_cpu_1m_consents": _ratio(of("crowd", "aval, many", "cpu_us"), of("crowd", "aval", "cpu_us")),
        "rss_mb": found.single.get("rss_mb"),
        "start_ms": found.single.get("start_ms"),
    }


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


def _extreme(found: Measured, which: Any, member: str) -> float | None:
    both = [found.of("2 kB", name, member) for name in ("apache, local", "apache, introspection")]
    known = [value for value in both if value is not None]
    return float(which(known)) if known else None


def goals(found: Measured) -> dict[str, Goal | None]:
    bearer, verify = found.of("2 kB", "aval", "cpu_us"), found.single.get("p256_verify_us")
    dpop = Goal("<=", VERIFY_MARGIN + verify / bearer) if bearer and verify else None
    return {**GOALS, "dpop_cpu_vs_bearer": dpop}


# ---- the table


def table(found: Measured) -> str:
    lines: list[str] = []
    for group, targets in found.groups.items():
        lines += [f"{GROUPS[group]}", f"  {'':24}{'req/s':>9}{'CPU µs':>9}{'busy':>7}{'p50 ms':>9}{'p99 ms':>9}"]
        lines += [_row(name, figures) for name, figures in targets.items()] + [""]
    lines += [f"  {name:24}{value:12.1f}" for name, value in found.single.items()] + [""]
    bounds = goals(found)
    for name, value in ratios(found).items():
        lines.append(_verdict(name, value, bounds[name]))
    lines += [f"left out: {what}: {why}" for what, why in found.left_out.items()]
    if found.load_before > 0.5:
        lines.append(f"The machine was not idle (load {found.load_before:.1f}): trust CPU per request, not rates.")
    return "\n".join(lines)


def _row(name: str, each: Figures) -> str:
    unwell = f"   {each.unwell} of {each.requests + each.unwell} refused or broken" if each.unwell else ""
    unwell += "" if each.sound else ": NOT SOUND"
    return f"  {name:24}{each.rps:9.0f}{each.cpu_us:9.1f}{each.busy:7.2f}{each.p50_ms:9.2f}{each.p99_ms:9.2f}{unwell}"


def _verdict(name: str, value: float | None, goal: Goal | None) -> str:
    shown = "-" if value is None else f"{value:.3f}" if value < 100 else f"{value:.0f}"
    bound = f"{goal.sign} {goal.bound:g}" if goal and goal.bound == round(goal.bound, 2) else ""
    bound = bound or (f"{goal.sign} {goal.bound:.2f}" if goal else "")
    verdict = "" if value is None or goal is None else "ok" if goal.met(value) else "MISS"
    return f"{name:34}{shown:>10}  {bound:10}{verdict:5} {WORDS.get(name, '')}".rstrip()


# ---- the file


def write(found: Measured) -> Path:
    bounds = goals(found)
    values = ratios(found)
    document = {
        "ratios": {name: None if value is None else round(value, 4) for name, value in values.items()},
        "goals": {
            name: {"goal": f"{goal.sign} {goal.bound:.4g}", "met": None if value is None else goal.met(value)}
            for name, goal in bounds.items()
            if goal is not None
            for value in (values[name],)
        },
        "figures": {
            group: {name: asdict(each) for name, each in targets.items()} for group, targets in found.groups.items()
        },
        "single": found.single,
        "left_out": found.left_out,
        "versions": found.versions,
        "machine": machine() | {"load_before": found.load_before, "load_after": os.getloadavg()[0]},
    }
    return written("latest", document)


def written(name: str, document: Mapping[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    dated = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **document}
    path.write_text(json.dumps(dated, indent=2) + "\n")
    return path


def machine() -> dict[str, Any]:
    cpu = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    memory = [line for line in _text("/proc/meminfo").splitlines() if line.startswith("MemTotal")]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": len(processes.CORES),
        "memory_mb": int(memory[0].split()[1]) // 1000 if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
    }


def commit() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return said.stdout.strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def versions(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in parts.items() if version}
