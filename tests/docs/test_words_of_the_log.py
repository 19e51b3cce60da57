"""What operating.md quotes from the log is what the program writes there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["policies", "keys"])
def test_the_log_says_of_changed_files_what_the_document_quotes(name: str) -> None:
    document = re.sub(r"\s+", " ", (ROOT / "gateway/docs/operating.md").read_text())
    program = (ROOT / "gateway/rereading.py").read_text().replace("{self._name}", name)
    for said in (f"{name} taken", f"changed {name} are not taken", f"{name} have no fault any more"):
        assert f"`{said}" in document, said
        assert f'"{said}' in program, said
    assert "`another key signs`" in document and '"another key signs"' in program
