"""Files of policies/scopes/ and [[scope]] of declarations: every fault is told, and what is right is what they say."""

import shutil
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue.scopes import spellings
from gateway.organisations import owned
from gateway.settings import shipped_policies

GOOD = """
[[scope]]
id = "x:y"
purpose = "energy-advice"
valid_for = "P1M"
retention = "P1M"
[[scope.data]]
dataset = "energy.electricity.usage"
history = "P1M"
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    shutil.copytree(shipped_policies(), tmp_path / "policies")
    return tmp_path / "policies"


def faults(policies: Path, text: str) -> list[str]:
    (policies / "scopes" / "own.toml").write_text(text, encoding="utf-8")
    try:
        Catalogue(policies)
    except CatalogueError as error:
        return list(error.faults)
    return []


def test_what_is_shipped_is_right_and_may_be_left_out(policies: Path) -> None:
    shipped = Catalogue(policies).scopes
    assert {"bank:balances", "energy:usage", "patient/Coverage.rs", "patient/*.read"} <= shipped.keys()
    shutil.rmtree(policies / "scopes")
    assert Catalogue(policies).scopes == {}


def test_a_good_one(policies: Path) -> None:
    assert faults(policies, GOOD) == []
    (data,) = Catalogue(policies).scopes["x:y"].data
    assert (data.dataset, data.fields, data.necessity, data.future) == (
        "energy.electricity.usage",
        (),
        "required",
        False,
    )


def test_a_scope_may_have_other_names(policies: Path) -> None:
    assert faults(policies, GOOD.replace('id = "x:y"', 'id = "x:y"\nalso = ["x.y"]')) == []
    found = Catalogue(policies).scopes
    assert found["x.y"] is found["x:y"]
    assert spellings(["x.y", "other"], [found]) == {"x.y", "x:y", "other"}


@pytest.mark.parametrize("also", ["x:y", "openid", "a b"])
def test_a_name_that_means_something_else_is_no_other_name(policies: Path, also: str) -> None:
    (fault, *_) = faults(policies, GOOD.replace('id = "x:y"', f'id = "x:y"\nalso = ["{also}"]'))
    assert also in fault or "also" in fault


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("x:y", "x y"), "id: write it as apps send it"),
        (("x:y", "energy:usage"), "stands in another file"),
        (("x:y", "openid"), "openid means something else"),
        (("x:y", "data_access"), "data_access means something else"),
        (("energy-advice", "world-domination"), "is none of energy-advice"),
        (("energy.electricity.usage", "bank.accounts"), "does not cover bank.accounts"),
        (("energy.electricity.usage", "energy.colour"), "there is no 'energy.colour'"),
        (('history = "P1M"', 'history = "soon"'), "history"),
        (('history = "P1M"', 'history = "P1M"\nfields = ["colour"]'), "has no colour"),
        (('history = "P1M"', 'history = "P1M"\nhistorie = "P1M"'), "did you mean history"),
        (('history = "P1M"', 'history = "P1M"\nfrequency = { times = 0, per = "day" }'), "times"),
        (('history = "P1M"', 'history = "P1M"\nnecessity = "perhaps"'), "necessity"),
    ],
)
def test_every_fault_is_told(policies: Path, change: tuple[str, str], told: str) -> None:
    found = faults(policies, GOOD.replace(*change))
    assert any(told in fault for fault in found), found


def test_a_declaration_speaks_of_its_own_data_alone() -> None:
    catalogue = Catalogue(shipped_policies())
    data = {"dataset": "energy.electricity.usage", "history": "P1M"}
    scope = {"id": "x:y", "purpose": "energy-advice", "valid_for": "P1M", "retention": "P1M", "data": [data]}
    document = {"sector": "energy", "datasets": [{"id": "energy.electricity.usage", "paths": ["/x"]}], "scope": [scope]}
    assert owned.scope_faults(document, catalogue) == []
    assert "take another name" in str(owned.scope_faults({**document, "scope": [{**scope, "id": "email"}]}, catalogue))
    foreign = {**scope, "data": [{**data, "organisation": "harbour-bank"}]}
    assert [f.key for f in owned.scope_faults({**document, "scope": [foreign]}, catalogue)] == ["scope.x:y"]
    other = {**scope, "purpose": "household-budget", "data": [{**data, "dataset": "bank.accounts"}]}
    assert "there is no 'bank.accounts'" in str(owned.scope_faults({**document, "scope": [other]}, catalogue)[0])
