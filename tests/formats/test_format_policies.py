"""What a field lets out is what the configured policies say of it, and never more for being said less."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from energy_documents import BATCH, city
from format_documents import (
    ALWAYS,
    BASES,
    FORMATS,
    HEALTH,
    TYPES,
    account,
    balance,
    bank,
    bundle,
    claim,
    coverage,
    granted,
    patient,
    sent,
    source,
    transaction,
)

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue import fields as catalogue
from gateway.formats import registry
from gateway.formats.model import Asked, Denied
from gateway.formats.registry import checked
from gateway.settings import shipped_policies


def needed(sector: str, dataset: str) -> list[tuple[str, str]]:
    form = catalogue.shipped().formats[FORMATS[sector]]
    return [*registry.NEEDED.get(form.driver, {}).get(dataset, ()), *form.needed(dataset)]


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
    of = registry.plan(replace(source(sector), known=known), FORMATS[sector], [granted(dataset, without)])
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
    known = Catalogue(policies).datasets
    assert catalogue.governed("uk-open-banking-4", known) == catalogue.governed("uk-open-banking-4")
    assert b"extended words" not in cut(policies, "bank.transactions")


def test_files_of_any_names_are_read_and_those_of_other_sectors_are_not(policies):
    (policies / "datasets" / "bank.toml").rename(policies / "datasets" / "our-bank.toml")
    known = Catalogue(policies).datasets
    assert catalogue.datasets("uk-open-banking-4", known) == catalogue.datasets("uk-open-banking-4")
    assert set(catalogue.datasets("espi-4", known)) == set(catalogue.datasets("espi-4"))


def test_a_dataset_that_the_policies_do_not_have_is_not_given(policies):
    (policies / "datasets" / "bank.toml").unlink()
    known = Catalogue(policies).datasets
    of = registry.plan(replace(source("bank"), known=known), FORMATS["bank"], [granted("bank.transactions")])
    found = of.request(Asked("GET", "/open-banking/v4.0/aisp/transactions"), ALWAYS)
    assert isinstance(found, Denied) and found.reason == "dataset"


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        (
            '"Limit/Amount"',
            "{file}: bank.balances: balance.amount: find: 'Limit/Amount' is no member of the format uk-open-banking-4",
        ),
        (
            '"&Balance/Sum"',
            "{file}: bank.balances: balance.amount: find: 'Balance/Sum' is no member of the format uk-open-banking-4",
        ),
    ],
)
def test_a_member_that_the_format_does_not_have_is_told_at_the_start(policies, new, fault):
    changed(policies, "bank.toml", '"Balance/CreditLine"', f'"Balance/CreditLine", {new}')
    with pytest.raises(CatalogueError) as raised:
        checked(Catalogue(policies))
    assert raised.value.faults == (fault.format(file="datasets/bank.toml"),)


def test_a_sector_that_is_not_there_is_told_at_the_start(policies):
    changed(policies, "bank.toml", 'sector = "bank"', 'sector = "banc"')
    with pytest.raises(
        CatalogueError,
        match="datasets/bank.toml: bank.balances: sector: 'banc' is none of bank, ",
    ):
        checked(Catalogue(policies))


def test_the_shipped_policies_name_only_what_the_formats_have():
    assert checked(Catalogue(shipped_policies())).datasets


# ---- what a plan judges records by

PARTIAL = claim() | {"id": "b", "billablePeriod": {"start": "2025-06-15"}}
DATED = claim() | {"id": "c", "item": [{"sequence": 1, "servicedPeriod": {"start": "2025-06-15", "end": "2025-06-16"}}]}
del DATED["billablePeriod"]
ANSWERS = {  # dataset → path, answer
    "bank.accounts": ("/accounts", bank("Account", [account()])),
    "bank.balances": ("/balances", bank("Balance", [balance()])),
    "bank.transactions": ("/transactions", bank("Transaction", [transaction()])),
    "health.person": ("/Patient", bundle([patient()])),
    "health.coverage": ("/Coverage", bundle([coverage(end="2030-01-01")])),
    "health.claims": ("/ExplanationOfBenefit", bundle([claim(), PARTIAL, DATED])),
    "energy.electricity.usage": (BATCH, city()),
    "energy.electricity.summary": (BATCH, city()),
    "energy.point": (BATCH, city()),
}
MEMBERS = [
    (dataset.id, f"{kind}/{name}")
    for dataset in Catalogue(shipped_policies()).datasets.values()
    if dataset.sector in FORMATS  # no organisation answers with what Aval itself knows of a person
    for kind, name in sorted({each for field in dataset.fields.values() for each in field.find | field.shared})
]


def records(known, dataset: str) -> int:
    sector = dataset.partition(".")[0]
    of = registry.plan(replace(source(sector), known=known), FORMATS[sector], [granted(dataset)])
    path, body = ANSWERS[dataset]
    upstream = of.request(Asked("GET", BASES[sector] + path.removeprefix(BASES[sector])), ALWAYS)
    return of.cut(upstream, TYPES[sector], body, ALWAYS).counts.records


def forgotten(policies: Path, sector: str, selector: str) -> Path:
    """The policies, in which no field names this member any more."""
    path = policies / "datasets" / f"{sector}.toml"
    lines = path.read_text().splitlines()
    kept = [re.sub(rf'"&?{selector}"(, )?', "", line) if line.startswith("find = ") else line for line in lines]
    path.write_text("\n".join(kept).replace(", ]", "]"))
    return policies


@pytest.mark.parametrize(("dataset", "selector"), MEMBERS)
def test_policies_without_a_member_are_refused_or_every_call_still_gives_its_records(policies, dataset, selector):
    sector = dataset.partition(".")[0]
    known = Catalogue(shipped_policies()).datasets
    whole = records(known, dataset)
    assert whole or dataset == "energy.electricity.summary"
    path = forgotten(policies, sector, selector) / "datasets" / f"{sector}.toml"
    if "find = []" in path.read_text():
        with pytest.raises(CatalogueError, match="name at least one member of the format"):
            Catalogue(policies)
        return
    try:
        catalogue = checked(Catalogue(policies))
    except CatalogueError as error:
        kind, _, name = selector.partition("/")
        if (kind, name) in needed(sector, dataset):
            assert any(fault.startswith(f"datasets/{sector}.toml: {dataset}: ") for fault in error.faults)
        else:  # a format that tables describe: nothing in them is forgotten
            [fault] = error.faults
            assert fault.startswith(f"formats/uk-open-banking-4.toml: shapes.{kind}: {name} is in no field: ")
    else:
        assert records(catalogue.datasets, dataset) == whole


NEEDED = "'{}' must stand in a field with structural = true, without &: no record can be judged without it"


def test_a_time_that_no_field_names_is_told_at_the_start(policies):
    changed(policies, "bank.toml", '"Transaction/BookingDateTime", ', "")
    with pytest.raises(CatalogueError) as raised:
        checked(Catalogue(policies))
    (fault,) = raised.value.faults
    told = NEEDED.format("Transaction/BookingDateTime")
    assert fault.startswith(f"datasets/bank.toml: bank.transactions: field: find: {told}")


def test_a_time_that_can_be_left_out_is_told_at_the_start(policies):
    path = policies / "datasets" / "bank.toml"
    head, mark, tail = path.read_text().partition('id = "transaction.date"')
    path.write_text(head + mark + tail.replace("structural = true\n", "", 1))
    with pytest.raises(CatalogueError) as raised:
        checked(Catalogue(policies))
    told = [NEEDED.format(f"Transaction/{name}") for name in ("AccountId", "BookingDateTime", "CreditDebitIndicator")]
    assert [fault.partition(", and every")[0] for fault in raised.value.faults] == [
        f"datasets/bank.toml: bank.transactions: transaction.date: find: {each}" for each in told
    ]


def test_a_time_that_is_shared_with_no_other_field_is_always_given(policies):
    changed(policies, "bank.toml", '"Transaction/BookingDateTime", ', '"&Transaction/BookingDateTime", ')
    assert checked(Catalogue(policies))


def test_a_time_that_another_field_shares_is_told_at_the_start(policies):
    shared = '"&Transaction/BookingDateTime"'
    changed(policies, "bank.toml", '"Transaction/BookingDateTime", ', f"{shared}, ")
    changed(policies, "bank.toml", '"Transaction/AddressLine"', f'"Transaction/AddressLine", {shared}')
    with pytest.raises(CatalogueError, match=r"transaction.date: find: 'Transaction/BookingDateTime' must stand in"):
        checked(Catalogue(policies))


def test_a_type_that_is_given_member_by_member_must_give_its_dates(policies):
    changed(policies, "health.toml", '"Coverage/network"', '"Coverage/network", "Period/start"')
    with pytest.raises(CatalogueError) as raised:
        checked(Catalogue(policies))
    assert {fault.partition("'")[2].partition("'")[0] for fault in raised.value.faults} == {
        "Period/end", "Period/start",
    }  # fmt: skip
    assert len(raised.value.faults) == 3  # of claims both, of coverages the end
