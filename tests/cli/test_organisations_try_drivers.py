"""`aval organisations try` on answers that are no JSON: the same two sides, and one reason for each member."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval
from telecom import ANSWER, as_csv, as_xml

from gateway.formats.registry import BY_TABLES

Run = Callable[..., Aval]
OPTIONS = ("--accounts", "33611111111", "--to", "2026-01-31", "--without", "call.length")
EXPECTED = [None, "account", "period", None]


def engine(driver: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(driver not in BY_TABLES, reason=f"there is no engine for {driver} yet")


def tried(aval: Run, path: Path, text: str, *options: str) -> dict[str, Any]:
    done = aval("organisations", "try", path, "--answer", "-", "--json", *options, stdin=text)
    assert not done.err, done.err
    (found,) = json.loads(done.out)["answers"]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("written", "id_"),
    [
        pytest.param(as_csv, "_id", marks=engine("csv"), id="csv"),
        pytest.param(as_xml, "@_id", marks=engine("xml"), id="xml"),
    ],
)
def test_the_same_records_have_the_same_reasons_as_in_json(
    aval: Run, tmp_path: Path, written: Callable[[Path], tuple[Path, str]], id_: str
) -> None:
    path, text = written(tmp_path)
    assert aval("organisations", "lint", path, "--ignore", "same-words").code == 0
    found = tried(aval, path, text, *OPTIONS)
    assert not found["refusal"]
    assert [each["reason"] and each["reason"]["kind"] for each in found["records"]] == EXPECTED
    rows = {row["member"]: row for row in found["records"][0]["members"]}
    kinds = {name: row["reason"]["kind"] for name, row in rows.items() if "reason" in row}
    assert kinds == {
        id_: "pairwise", "msisdn": "reference", "length": "field", "type": "instead", "note": "number",
        "cell": "never", "tariff": "undeclared",
    }  # fmt: skip
    assert rows["partner"]["fate"] == "same" and found["counts"]["records"] == 2
    assert found["undeclared"][0]["member"] == "PhoneCall/tariff"
    assert "33611111111" not in found["app_gets"]


@pytest.mark.parametrize(
    "written",
    [pytest.param(as_csv, marks=engine("csv"), id="csv"), pytest.param(as_xml, marks=engine("xml"), id="xml")],
)
def test_what_is_of_another_kind_is_refused(
    aval: Run, tmp_path: Path, written: Callable[[Path], tuple[Path, str]]
) -> None:
    path, _ = written(tmp_path)
    assert tried(aval, path, ANSWER)["refusal"]


@pytest.mark.parametrize("driver", [each for each in ("csv", "xml") if each not in BY_TABLES])
def test_a_driver_without_an_engine_is_told(aval: Run, tmp_path: Path, driver: str) -> None:
    path, text = {"csv": as_csv, "xml": as_xml}[driver](tmp_path)
    done = aval("organisations", "try", path, "--answer", "-", stdin=text)
    assert done.code == 2 and f"there is no engine for driver {driver}" in done.err
