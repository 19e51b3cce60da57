"""The part of requirements.lock that is needed to serve: what pyproject.toml names, and what that needs in turn.

    python runtime_lock.py                      what a running gateway imports
    python runtime_lock.py compile hatchling    and what an extra, or a package of the lock, needs
    → the same lines with the same hashes, for pip install --require-hashes --no-deps

The lock itself also holds what tests need, a browser's driver among it. Who needs a package stands below it there
("# via"), so nothing is resolved here and nothing is looked up.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

_NAMES = re.compile(r"# {2,}(\S+)$|# via (\S+)", re.MULTILINE)


def plain(requirement: str) -> str:
    """The name of a package as the lock writes it (PEP 503), without version, extras and conditions."""
    [name] = re.findall(r"^[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Name → its lines of the lock, and the packages that need it. It may stand there twice, for two Pythons."""
    found: dict[str, tuple[str, set[str]]] = {}
    for lines in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        before, needed_by = found.get(plain(lines), ("", set()))
        found[plain(lines)] = before + lines, needed_by | {plain(one or other) for one, other in _NAMES.findall(lines)}
    return found


def needed(lock: str, project: str, more: Iterable[str]) -> str:
    """The lines of all packages that the project and `more` lead to. Raises KeyError: not in the lock."""
    known = packages(lock)
    declared = tomllib.loads(project)["project"]
    roots = list(declared["dependencies"])
    for name in more:
        roots += declared["optional-dependencies"].get(name, [name])
    wanted = {plain(root) for root in roots}
    if absent := wanted - known.keys():
        raise KeyError(f"not in the lock: {', '.join(sorted(absent))}; run: make lock")
    while further := {name for name, (_, needed_by) in known.items() if needed_by & wanted} - wanted:
        wanted |= further
    return "".join(lines for name, (lines, _) in known.items() if name in wanted)


if __name__ == "__main__":
    print(needed(Path("requirements.lock").read_text(), Path("pyproject.toml").read_text(), sys.argv[1:]), end="")
