"""The commands that the documents give to run some of the tests select some."""

import subprocess
import sys
from pathlib import Path

import pytest
from blocks import DOCUMENTS, ROOT, blocks, lines

COMMAND = ".venv/bin/python -m pytest "
SHOWN = [
    pytest.param(line.removeprefix(COMMAND), id=f"{document.name}: {line.removeprefix(COMMAND)}")
    for document in DOCUMENTS
    for block in blocks(document)
    for line in lines(block)
    if line.startswith(COMMAND)
]


@pytest.mark.parametrize("arguments", SHOWN)
def test_a_command_to_run_tests_finds_some(arguments: str) -> None:
    command = f"exec {sys.executable} -m pytest --collect-only -n 0 {arguments}"
    done = subprocess.run(["bash", "-c", command], cwd=Path(ROOT), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_such_commands_are_shown() -> None:
    assert SHOWN
