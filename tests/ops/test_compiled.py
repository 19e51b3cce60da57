"""The compiled data plane: used only for exactly the sources it was made from, and never needed."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import compiled

ROOT = Path(__file__).parents[2]
ASKED = "from gateway import compiled; from gateway.ledger import uses; print(compiled.in_use(), uses.__spec__.origin)"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of its own whose compiled folder holds no more than one module could be: enough to be found."""
    shutil.copytree(
        ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__", "__compiled__")
    )
    return tmp_path


def run(tree: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != compiled.INTERPRETED}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env={**inherited, "PYTHONPATH": str(tree), **environment},
        capture_output=True,
        text=True,
        timeout=300,  # the translation to C alone takes half a minute of a free core
    )


def made(tree: Path) -> Path:
    """The folder that the tree's sources ask for, with what was compiled from the same sources here."""
    if not compiled.folder().is_dir():
        pytest.skip("the data plane is not compiled here: aval compile")
    wanted = Path(run(tree, "from gateway import compiled; print(compiled.folder())").stdout.strip())
    shutil.copytree(compiled.folder(), wanted)
    return wanted


def test_what_was_compiled_from_these_sources_is_used(tree: Path) -> None:
    folder = made(tree)
    used, origin = run(tree, ASKED).stdout.split()
    assert used == "True" and Path(origin).is_relative_to(folder)


def test_it_is_left_aside_when_asked(tree: Path) -> None:
    made(tree)
    used, origin = run(tree, ASKED, **{compiled.INTERPRETED: "1"}).stdout.split()
    assert (used, origin) == ("False", str(tree / "gateway" / "ledger" / "uses.py"))


@pytest.mark.parametrize("edited", ["ledger/uses.py", "log/record.py", "compiled.py"])
def test_after_an_edit_the_source_is_what_runs(tree: Path, edited: str) -> None:
    made(tree)
    with (tree / "gateway" / edited).open("a", encoding="utf-8") as source:
        source.write("\n# edited\n")
    used, origin = run(tree, ASKED).stdout.split()
    assert (used, origin) == ("False", str(tree / "gateway" / "ledger" / "uses.py"))


def test_without_a_compiler_it_is_said_what_to_install(tree: Path) -> None:
    (tree / "none").mkdir()
    said = run(tree, "from gateway.cli import app; app(['compile'])", PATH=str(tree / "none"), CC="no-such-compiler")
    assert said.returncode == 2 and "apt-get install gcc python3-dev" in said.stderr
    assert "Not found: no-such-compiler." in said.stderr and "Traceback" not in said.stderr
    assert not list((tree / "gateway").glob("__compiled__/*"))  # nothing half done is left
    assert run(tree, ASKED).stdout.startswith("False ")


def test_a_name_of_a_caught_exception_stands_for_one_type_in_a_function() -> None:
    """mypyc gives a name one type; with a second one the handler itself would fail."""
    for source in compiled.sources():
        for function in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                caught: dict[str, set[str]] = {}
                for node in ast.walk(function):
                    if isinstance(node, ast.ExceptHandler) and node.name and node.type:
                        caught.setdefault(node.name, set()).add(ast.unparse(node.type))
                assert all(len(types) == 1 for types in caught.values()), (source.name, function.name, caught)


def test_no_generator_expression_without_an_end_is_compiled() -> None:
    """mypyc makes a list of a generator expression, which must therefore come to an end and be a plain argument."""
    for source in compiled.sources():
        assert "itertools.count" not in source.read_text(encoding="utf-8"), source.name
