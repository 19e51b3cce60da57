"""The `aval` command on a data folder of its own."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from cli_run import Aval

from gateway.ground.store import migrate
from tests.databases import copies_or_migrates


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """`aval serve` turns the logs of the whole process into its own; here the process is the tests'."""
    before = logging.root.handlers, logging.root.level
    yield
    logging.root.handlers, logging.root.level = before
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def new_databases_are_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that the migrations have made: they take a second."""
    monkeypatch.setattr(migrate, "_run", copies_or_migrates)


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


@pytest.fixture
def begun(aval: Callable[..., Aval], folder: Path) -> Path:
    """The folder with a database and keys, and nothing in them."""
    assert aval("migrate").code == 0 and aval("people", "list").code == 0
    return folder
