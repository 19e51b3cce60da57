"""Every package of gateway/ opens with its theory: what it owns, what it refuses to know, one invariant."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import ROOT

GATEWAY = ROOT / "gateway"
WHERE = (GATEWAY, GATEWAY / "ground")
MIGRATIONS = GATEWAY / "ground" / "store" / "migrations"
PACKAGES = sorted(
    path.parent
    for path in GATEWAY.rglob("__init__.py")
    if not {"__compiled__", "__pycache__"} & set(path.parts) and MIGRATIONS not in path.parents
)
REFUSES = re.compile(r"\b(knows? (no|nothing|neither)|refuses to know|does not (keep|decide)|decides? nothing)\b")
named_packages = pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))


def theory(package: Path) -> str:
    return ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""


def listed(text: str) -> Iterator[str]:
    """Names of the table in a theory: `    name, other   what they are    third   what it is`."""
    for line in text.splitlines():
        if line.startswith("    "):
            for cell in re.split(r"\s{2,}", line.strip())[::2]:
                yield from (name.strip() for name in cell.split(","))


def is_there(package: Path, name: str) -> bool:
    parts = name.split(".")
    places = (package, *WHERE) if len(parts) > 1 else (package,)
    return any(True for place in places for _ in [*place.glob("/".join(parts) + ".py"), *place.glob("/".join(parts))])


@named_packages
def test_a_package_opens_with_its_theory(package: Path) -> None:
    lines = [line for line in theory(package).splitlines() if line.strip()]
    assert 5 <= len(lines) <= 20, f"{len(lines)} lines"
    assert max(len(line) for line in lines) <= 120


@named_packages
def test_a_theory_names_what_is_not_its_business_and_its_invariant(package: Path) -> None:
    text = " ".join(theory(package).split())
    assert re.search(r"[Ii]nvariant", text), "which one sentence must always hold?"
    if package.parent.name != "formats":  # a format is a part of that room, which says it for all
        assert REFUSES.search(text), "what is not its business?"


@named_packages
def test_every_module_that_a_theory_names_is_there(package: Path) -> None:
    for name in listed(theory(package)):
        assert is_there(package, name), name
    for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", theory(package)):
        assert is_there(package, name), name
