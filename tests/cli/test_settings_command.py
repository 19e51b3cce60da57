"""`aval settings`: nothing is hidden but secrets, and a slip of the keyboard is told where it was made."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Aval
from pydantic import SecretStr

from gateway.cli.settings import HIDDEN, _shown
from gateway.settings import Settings

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
