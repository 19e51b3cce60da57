"""`aval settings`: nothing is hidden but secrets, and a slip of the keyboard is told where it was made."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Aval
from pydantic import SecretStr

from gateway.cli.settings import HIDDEN, _shown
from gateway.settings import NO_SETTINGS, Settings

Run = Callable[..., Aval]


def test_every_setting_is_listed_with_a_description(aval: Run) -> None:
    rows = {row["name"]: row for row in json.loads(aval("settings", "--json").out)}
    assert set(rows) == set(Settings.model_fields)
    text = aval("settings").out
    for name, row in rows.items():
        assert len(row["description"]) > 10, name
        assert f"\n{name} " in f"\n{text}" and row["description"] in text


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "aval.toml"
    file.write_text('token_seconds = 120\ncode_seconds = 30\ntrusted_proxies = ["10.0.0.0/8"]\n')
    monkeypatch.setenv("AVAL_CONFIG", str(file))
    monkeypatch.setenv("AVAL_TOKEN_SECONDS", "60")
    rows = {row["name"]: row for row in json.loads(aval("settings", "--json").out)}
    found = {name: (rows[name]["value"], rows[name]["source"]) for name in ("token_seconds", "code_seconds", "port")}
    assert found == {
        "token_seconds": (60, "AVAL_TOKEN_SECONDS"),
        "code_seconds": (30, str(file)),
        "port": (8400, "default"),
    }
    assert rows["trusted_proxies"]["value"] == ["10.0.0.0/8"]


def test_a_secret_is_never_shown() -> None:
    assert _shown(SecretStr("hunter2")) == HIDDEN and _shown(SecretStr("")) == ""


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AVAL_PORT", "99999", "AVAL_PORT: port: input should be less than or equal to 65535"),
        ("AVAL_PORT", "many", "AVAL_PORT: port: input should be a valid integer"),
        ("AVAL_TOKEN_SECONDS", "900", "less than or equal to 300"),
        ("AVAL_PUBLIC_URL", "gateway.example", "AVAL_PUBLIC_URL: public_url: write it as https://host"),
        ("AVAL_MODE", "prod", "'development' or 'production'"),
        ("AVAL_TRUSTED_PROXIES", '["everybody"]', "trusted_proxies"),
        ("AVAL_TRUSTED_PROXIES", "10.0.0.0/8", "trusted_proxies"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_what_would_be_right(
    aval: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = aval("settings")
    assert done.code == 2 and not done.out and said in done.err
    assert all(line.startswith("aval: ") for line in done.err.splitlines())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tokenseconds = 60", "aval.toml: tokenseconds: there is no such setting"),
        ("port = 99999", "aval.toml: port: "),
        ("port = ", "aval.toml: is not TOML"),
        (None, "aval.toml: cannot be read"),
    ],
)
def test_a_wrong_file_is_told_with_its_name(
    aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, said: str
) -> None:
    file = tmp_path / "aval.toml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("AVAL_CONFIG", str(file))
    done = aval("settings")
    assert done.code == 2 and said in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("AVAL_DATABSE_URL", "there is no such setting; did you mean AVAL_DATABASE_URL? `aval settings` lists them"),
        ("aval_prot", "there is no such setting; did you mean AVAL_PORT?"),
        ("AVAL_XYZZY_PLUGH", "there is no such setting; `aval settings` lists them"),
    ],
)
@pytest.mark.parametrize("command", ["settings", "serve", "migrate", "doctor"])
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_one(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, said: str, command: str
) -> None:
    monkeypatch.setenv(variable, "postgresql://aval:secret-word@db.example/aval")
    done = aval(command)
    assert done.code == 2 and f"aval: settings: {variable}: {said}" in done.err
    assert "secret-word" not in done.err + done.out and not folder.exists()


def test_all_such_variables_are_told_at_once(aval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_PROT", "1")
    monkeypatch.setenv("AVAL_MOED", "production")
    lines = aval("settings").err.splitlines()
    assert [line.split(":")[2].strip() for line in lines] == ["AVAL_MOED", "AVAL_PROT"]


def test_variables_of_the_project_that_are_no_settings_are_no_fault(aval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_SETTINGS - {"AVAL_CONFIG"}:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("aval_port", "9400")
    monkeypatch.setenv("AVALANCHE", "is another's")
    done = aval("settings")
    assert done.code == 0 and "9400  (AVAL_PORT)" in done.out
