"""What operating.md quotes from the log is what the program writes there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["policies", "keys"])
def test_the_log_says_of_changed_files_what_the_document_quotes(name: str) -> None:
    document = re.sub(r"\s+", " ", (ROOT / "gateway/docs/operating.md").read_text())
    program = (ROOT / "gateway/rereading.py").read_text().replace("{self._name}", name)
    for said in (f"changed {name} are not taken", f"{name} have no fault any more"):
        assert f"`{said}" in document, said
        assert f'"{said}' in program, said
    assert "`policies taken`" in document and '"policies taken"' in program


@pytest.mark.parametrize(
    "said",
    ["the next key", "token keys taken", "token keys are not accepted", "another key signs", "a key signs no more"],
)
def test_the_log_says_of_token_keys_what_the_document_quotes(said: str) -> None:
    document = re.sub(r"\s+", " ", (ROOT / "gateway/docs/operating.md").read_text())
    program = "".join((ROOT / "gateway" / name).read_text() for name in ("rereading.py", "app.py"))
    assert f"`{said}`" in document and f'"{said}"' in program
