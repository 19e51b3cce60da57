"""Registering what is registered already says what that changes: a declaration may be of another gateway's port."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import telecom
from cli_run import APPS, ORGANISATIONS, Aval

from gateway.cli import changes

Run = Callable[..., Aval]
BANK, COACH = ORGANISATIONS / "harbour-bank.toml", APPS / "watt-coach.toml"


@pytest.fixture
def registered(aval: Run, begun: Path) -> None:
    for name in ("city-energy", "harbour-bank", "meadow-health"):
        assert aval("organisations", "add", ORGANISATIONS / f"{name}.toml").out == f"{name}: added\n"
    assert aval("apps", "add", COACH).out == "watt-coach: registered\n"


def test_an_app_that_is_there_is_unchanged_or_told_key_by_key(aval: Run, registered: None, tmp_path: Path) -> None:
    assert aval("apps", "add", COACH).out == "watt-coach: unchanged\n"
    assert aval("apps", "add", COACH, "--redirect-uri", "http://localhost:9411/callback").out == (
        "watt-coach: changed\n  redirect_uris: http://localhost:8411/callback → http://localhost:9411/callback\n"
    )
    copy = tmp_path / "watt-coach.toml"
    copy.write_text(COACH.read_text().replace('logo = "watt-coach.svg"\n', "", 1))
    told = aval("apps", "add", copy, "--redirect-uri", "http://localhost:9411/callback").out.splitlines()
    assert told[0] == "watt-coach: changed"
    assert told[1].startswith("  logo: ") and told[1].endswith("… → (nothing)") and len(told[1]) < 120


def test_an_organisation_that_is_there_is_unchanged_or_told_key_by_key(
    aval: Run, registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aval("organisations", "add", BANK).out == "harbour-bank: unchanged\n"
    assert aval("organisations", "add", BANK, "--base-url", "http://localhost:9402").out == (
        "harbour-bank: changed\n  connection.base_url: http://localhost:8402 → http://localhost:9402\n"
    )
    monkeypatch.setenv("CITY_ENERGY_CLIENT_SECRET", "quite another one")
    told = aval("organisations", "add", ORGANISATIONS / "city-energy.toml").out
    assert told == "city-energy: changed\n  connection.oauth.client_secret: another one\n"


def test_another_secret_is_told_by_its_key(
    aval: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = """kind = "api_key"
match = "number"
base_url = "http://localhost:9402"
networks = ["127.0.0.0/8", "::1/128"]
person = { header = "X-Customer" }
api_key = { header = "X-Key", secret = { env = "NORTH_KEY" } }"""
    assertion = 'kind = "assertion"\nbase_url = "https://api.north-telecom.example"'
    path = telecom.declared(tmp_path, (assertion, connection))
    monkeypatch.setenv("NORTH_KEY", "one")
    added = aval("organisations", "add", path)
    assert added.code == 0, added.err
    monkeypatch.setenv("NORTH_KEY", "another")
    assert aval("organisations", "add", path).out == (
        "north-telecom: changed\n  connection.api_key.secret: another one\n"
    )
    assert aval("organisations", "add", path).out == "north-telecom: unchanged\n"


def test_nothing_is_said_to_be_added_that_was_not_kept(aval: Run, registered: None, tmp_path: Path) -> None:
    """All files of a command are one transaction: the fault of one takes the others back."""
    other, wrong = tmp_path / "other.toml", tmp_path / "wrong.toml"
    other.write_text(BANK.read_text().replace('id = "harbour-bank"', 'id = "other-bank"', 1))
    energy = (ORGANISATIONS / "city-energy.toml").read_text()
    wrong.write_text(BANK.read_text().replace('id = "harbour-bank"', 'id = "city-energy"', 1))
    assert energy != wrong.read_text()
    done = aval("organisations", "add", other, wrong)
    assert done.code == 1 and not done.out and "sector" in done.err
    assert "other-bank" not in aval("organisations", "list").out


@pytest.mark.parametrize(
    "before, after, told",
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, ["a.b: [1] → [2]"]),
        ({"a": True}, {}, ["a: true → (nothing)"]),
        ({"d": [{"x": "1"}, {"x": "2"}]}, {"d": [{"x": "1"}, {"x": "3"}]}, ["d[1].x: 2 → 3"]),
        ({"d": [{"x": "1"}]}, {"d": []}, ['d: [{"x": "1"}] → (nothing)']),
        ({"d": [{"x": "1"}]}, {"d": [{"x": "0"}, {"x": "1"}]}, ['d[0]: (nothing) → {"x": "0"}']),
        ({"d": [{"x": "1"}, {"x": "2"}]}, {"d": [{"x": "2"}]}, ['d[0]: {"x": "1"} → (nothing)']),
        (
            {"d": [{"x": "l" * 100}]},
            {"d": [{"x": "m"}, {"x": "n"}]},
            [
                f"d[0].x: {'l' * 80}… → m",
                'd[1]: (nothing) → {"x": "n"}',
            ],
        ),
        ({"t": "l" * 100 + "a"}, {"t": "l" * 100 + "b"}, [f"t: …{'l' * 20}a → …{'l' * 20}b"]),
    ],
)
def test_every_difference_is_told_with_its_key(before: object, after: object, told: list[str]) -> None:
    assert list(changes.differences(before, after)) == told


# ---- where an app begins


def test_where_an_app_can_begin_is_marked(aval: Run, registered: None) -> None:
    for organisation, path in (
        ("city-energy", "/espi/1_1/resource/Batch/Subscription/mine"),
        ("harbour-bank", "/open-banking/v4.0/aisp/accounts"),
        ("meadow-health", "/v2/fhir/ExplanationOfBenefit"),
    ):
        shown = json.loads(aval("organisations", "show", organisation, "--json").out)
        first = [row for row in shown if row["first"]]
        assert {row["type of data"] for row in first} == {row["type of data"] for row in shown}
        assert len(first) == len({row["type of data"] for row in first}), "one for each type of data"
        assert f"http://localhost:8400/data/{organisation}{path}" in [row["address"] for row in first]
        assert not any("{" in row["address"] for row in first)
        assert "{subscription}" not in aval("organisations", "show", organisation).out


def test_an_initial_access_token_is_shown_once_listed_and_withdrawn(aval: Run, begun: Path) -> None:
    made = aval("apps", "invite", "--uses", "5", "--days", "30", "--profile", "fapi2")
    name, token = made.out.split(":")[0], made.out.splitlines()[0].split()[-1]
    assert len(token) == 43 and 'dynamic_registration is "off"' in made.err
    [row] = json.loads(aval("apps", "invites", "--json").out)
    assert (row["name"], row["profile"], row["uses_left"], row["withdrawn"]) == (name, "fapi2", 5, "")
    assert token not in aval("apps", "invites").out
    assert token.encode() not in (begun / "aval.sqlite3").read_bytes()
    assert aval("apps", "withdraw", name[:3]).code == 1
    assert aval("apps", "withdraw", name).out == f"{name}: withdrawn\n"
    assert aval("apps", "withdraw", name).code == 1
    assert json.loads(aval("apps", "invites", "--json").out)[0]["withdrawn"]
    assert aval("apps", "invite", "--profile", "no-such").code == 2


def test_a_list_of_apps_says_how_each_came(aval: Run, registered: None) -> None:
    assert json.loads(aval("apps", "list", "--json").out)[0]["came"] == "file"


def test_a_file_of_issuers_that_is_wrong_is_told_at_once(
    aval: Run, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "issuers.json"
    monkeypatch.setenv("AVAL_SOFTWARE_STATEMENTS_FILE", str(file))
    for text in ("", "[]", '{"https://a.example": {}}', '{"https://a.example": {"jwks": {"keys": []}}}'):
        file.write_text(text)
        told = aval("apps", "list")
        assert told.code != 0 and "issuers.json" in told.err, text
