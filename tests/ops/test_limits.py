"""What `aval doctor` says of limits: nothing while they are sane."""

import resource
from pathlib import Path

import pytest

from gateway.cli.doctor import LIMITS, Check, checks
from gateway.settings import Settings


def told(folder: Path, **settings: object) -> dict[str, Check]:
    return {check.name: check for check in checks(Settings.model_validate({"data_dir": folder, **settings}))}


@pytest.fixture
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may open a thousand files, as on many machines."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 1024))


def test_the_defaults_need_no_word(tmp_path: Path) -> None:
    assert not {"files", *(f"settings.{name}" for name in LIMITS)} & told(tmp_path, connections=100).keys()


@pytest.mark.parametrize("name", LIMITS)
def test_no_limit_in_production_is_worth_a_word(tmp_path: Path, name: str) -> None:
    check = told(tmp_path, mode="production", **{name: 0})[f"settings.{name}"]
    assert (check.status, check.do) == ("warn", "set a number")
    assert f"settings.{name}" not in told(tmp_path, **{name: 0})  # a developer may


def test_more_connections_than_files_warn(tmp_path: Path, few_files: None) -> None:
    check = told(tmp_path, connections=4000)["files"]
    assert check.status == "warn" and "4000 connections" in check.found and "LimitNOFILE" in check.do
    assert "files" not in told(tmp_path, connections=400)
