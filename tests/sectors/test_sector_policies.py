"""What a field lets out is what the configured policies say of it, and never more for being said less."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sector_documents import ALWAYS, HEALTH, TYPES, bank, bundle, claim, granted, sent, source, transaction

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue import fields as catalogue
from gateway.sectors.model import Asked, Denied
from gateway.sectors.registry import SECTORS, checked
from gateway.settings import shipped_policies


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A copy of the shipped datasets, to be changed."""
    shutil.copy(shipped_policies() / "data_access.schema.json", tmp_path)
    (tmp_path / "datasets").mkdir()
    for path in (shipped_policies() / "datasets").glob("*.toml"):
        (tmp_path / "datasets" / path.name).write_text(path.read_text())
    return tmp_path


def changed(policies: Path, name: str, old: str, new: str) -> Path:
    path = policies / "datasets" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return policies


def cut(policies: Path | None, dataset: str, without=()) -> bytes:
    sector = dataset.partition(".")[0]
    known = Catalogue(policies).datasets if policies else None
    of = SECTORS[sector].plan(replace(source(sector), known=known), [granted(dataset, without)])
    path, body = ("/transactions", bank("Transaction", [transaction()]))
    if sector == "health":
        path, body = HEALTH[dataset][0], bundle([claim()])
    return of.cut(sent(of, sector, path), TYPES[sector], body, ALWAYS).body


def test_a_member_moved_to_another_field_goes_with_that_one(policies):
    text = '"Transaction/AddressLine"'
    changed(policies, "bank.toml", f", {text}]", "]")
    changed(
        policies, "bank.toml", '"Transaction/TransactionInformation"', f'"Transaction/TransactionInformation", {text}'
    )
    shipped, moved = (cut(folder, "bank.transactions", ["transaction.merchant"]) for folder in (None, policies))
    assert b"Floor 5" not in shipped and b"Floor 5" in moved
    assert b"Floor 5" not in cut(policies, "bank.transactions", ["transaction.narrative"])


def test_what_no_field_names_any_more_is_withheld(policies):
    changed(policies, "health.toml", ', "Item/modifier"', "")
    changed(policies, "health.toml", '"ExplanationOfBenefit/diagnosis", ', "")
    found = json.loads(cut(policies, "health.claims"))["entry"][0]["resource"]
    assert "diagnosis" not in found and "procedure" in found


def test_a_type_that_the_policies_forget_altogether_is_not_given_whole(policies):
    path = policies / "datasets" / "bank.toml"
    rows = path.read_text().splitlines()
    path.write_text("\n".join(rows).replace(', "ExtendedCode/Code", "ExtendedCode/Issuer"', "").replace(
        ', "ExtendedCode/Description"', ""))  # fmt: skip
    assert catalogue.governed("bank", Catalogue(policies).datasets) == catalogue.governed("bank")
    assert b"extended words" not in cut(policies, "bank.transactions")


def test_files_of_any_names_are_read_and_those_of_other_sectors_are_not(policies):
    (policies / "datasets" / "bank.toml").rename(policies / "datasets" / "our-bank.toml")
    known = Catalogue(policies).datasets
    assert catalogue.datasets("bank", known) == catalogue.datasets("bank")
    assert set(catalogue.datasets("energy", known)) == set(catalogue.datasets("energy"))


def test_a_dataset_that_the_policies_do_not_have_is_not_given(policies):
    (policies / "datasets" / "bank.toml").unlink()
    of = SECTORS["bank"].plan(
        replace(source("bank"), known=Catalogue(policies).datasets), [granted("bank.transactions")]
    )
    found = of.request(Asked("GET", "/open-banking/v4.0/aisp/transactions"), ALWAYS)
    assert isinstance(found, Denied) and found.reason == "dataset"


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        ('"Limit/Amount"', "bank.balances: balance.amount: find: 'Limit/Amount' is no member of the format of bank"),
        ('"&Balance/Sum"', "bank.balances: balance.amount: find: 'Balance/Sum' is no member of the format of bank"),
    ],
)
def test_a_member_that_the_format_does_not_have_is_told_at_the_start(policies, new, fault):
    changed(policies, "bank.toml", '"Balance/CreditLine"', f'"Balance/CreditLine", {new}')
    with pytest.raises(CatalogueError) as raised:
        checked(Catalogue(policies))
    assert raised.value.faults == (fault,)


def test_a_sector_that_is_not_there_is_told_at_the_start(policies):
    changed(policies, "bank.toml", 'sector = "bank"', 'sector = "banc"')
    with pytest.raises(CatalogueError, match="bank.balances: sector: 'banc' is none of bank, energy, health"):
        checked(Catalogue(policies))


def test_the_shipped_policies_name_only_what_the_formats_have():
    assert checked(Catalogue(shipped_policies())).datasets
