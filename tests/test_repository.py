"""What the repository must and must not hold."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
    "examples", "gateway", "policies", "pyproject.toml", "requirements.lock", "tests",
}  # fmt: skip


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def test_the_lock_names_no_host_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert pins and lock.count("--hash=sha256:") >= len(pins)


def test_the_lock_of_the_clients_names_no_host_and_hashes_everything() -> None:
    text = (ROOT / "tests/clients/node/package-lock.json").read_text()
    assert "://" not in text
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert packages and all(entry["integrity"].startswith("sha512-") for entry in packages.values())


def test_the_top_level_holds_only_what_the_design_names(tracked: list[str]) -> None:
    assert {path.split("/")[0] for path in tracked} <= TOP


def test_the_changelog_speaks_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_rooms_are_built_one_way() -> None:
    checked = subprocess.run([str(ROOT / ".venv/bin/lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-3000:]


def test_the_readme_shows_both_commands_first() -> None:
    head = (ROOT / "README.md").read_text().splitlines()[:40]
    assert any("make demo" in line for line in head) and any("make test" in line for line in head)


def test_no_regular_expression_is_possessive() -> None:
    """Python before 3.11.5 goes on from the wrong place after one (CPython gh-106052); Debian 12 has 3.11.2."""
    group = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)  # what is escaped, and classes of characters
    found = []
    for path in [*ROOT.glob("gateway/**/*.py"), *ROOT.glob("examples/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if re.search(r"[*+?}]\+", group.sub("_", text)):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


def imported(path: Path) -> set[str]:
    """The last part of each module that a file imports, and each name it takes from one."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [name.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for name in node.names]
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.rpartition(".")[2] for name in names + modules}


def test_no_test_file_stands_on_another() -> None:
    files = list(ROOT.glob("tests/**/*.py"))
    never = {path.stem for path in files if path.stem.startswith("test_")} | {"conftest"}
    assert {str(path.relative_to(ROOT)): found for path in files if (found := imported(path) & never)} == {}


def test_a_world_is_in_the_file_that_is_named_for_it() -> None:
    world = re.compile(r"^class World\b", re.MULTILINE)
    files = [path for path in ROOT.glob("tests/**/*.py") if world.search(path.read_text())]
    assert files
    assert [path for path in files if path.parent.name != "worlds" and path.stem != f"{path.parent.name}_world"] == []
