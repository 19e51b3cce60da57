"""The `aval` command on a data folder of its own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Aval


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("AVAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("CITY_ENERGY_CLIENT_SECRET", "a secret of the test's")
    return tmp_path / "data"


@pytest.fixture
def aval(folder: Path) -> Callable[..., Aval]:
    return Aval
