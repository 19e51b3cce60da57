"""The demo, once for all documents, and a checkout to follow them in: its own folder, the real files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import demo_setup
from gateway.cli.demo_setup import Demo

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """What `make demo` starts, on free ports."""
    prepared = demo_setup.prepare(tmp_path_factory.mktemp("demo"), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVAL_DPOP_NONCES", "true")  # what is shown of nonces is of use without them too
        demo_setup.start(prepared, lambda _line: None)
    yield prepared
    demo_setup.stop(prepared)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory, demo: Demo) -> Path:
    """A fresh clone, as a reader has it after `make demo`: what commands write stays in here."""
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in (".git", ".aval", ".demo"):
            (folder / path.name).symlink_to(path)
    (folder / ".demo").symlink_to(demo.folder)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The reader's, with a home of her own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AVAL_", "VIRTUAL_ENV"))}
    return {
        **kept,
        "AVAL_INTERPRETED": os.environ.get("AVAL_INTERPRETED", "1"),
        "COLUMNS": "200",
        "HOME": str(tmp_path),
    }


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen[str]]]:
    """Those that a document told to start; none outlives it."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
