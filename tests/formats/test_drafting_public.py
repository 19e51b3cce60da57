"""Every public schema and sample is drafted from, or refused with a reason that tells what to do."""

import gzip
import tomllib
from pathlib import Path

import pytest
from accepted_drafts import accepted, draft, given
from drafted_declarations import admits, drafted, faults, shapes

from gateway.formats.drafting.nodes import Unreadable

SAMPLES = Path(__file__).parents[2] / ".." / "shared" / "samples"
REFUSED = {  # file → why
    "Ed-Fi-Core.xsd": "has no element of its own",
    "SchemaAnnotation.xsd": "has no element of its own",
    "xml.xsd": "has no element of its own",
    "items_field_dictionary.json": "keys that are data",
    "medicare_bluebutton_v2_sample.txt": "is neither JSON nor XML",
    "medicare_bluebutton_v2_sample_extra.txt": "is neither JSON nor XML",
}
NO_RECORDS = {"midata_pca_spec_example.csv"}  # its last line is a heading, and refuses the answer as a whole
OPENAPI = {"account-info-openapi-v4.0.0.json", "consents_v3.yaml", "TMF635-UsageManagement-v4.0.0.swagger.json"}
OPENAPI |= {"cds_banking.json", "cds_energy.json", "cds_telco.json", "psd2-api_v1.3.11.yaml.gz"}


def kind(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    if path.name in OPENAPI:
        return "openapi"
    schema = name.endswith((".schema.json", "-schema.json"))
    return "xsd" if name.endswith(".xsd") else "schema" if schema else "csv" if name.endswith(".csv") else "sample"


FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".md")


def unpacked(path: Path, folder: Path) -> Path:
    if path.suffix != ".gz":
        return path
    plain = folder / path.stem
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


@pytest.mark.parametrize("path", FILES or [SAMPLES], ids=lambda path: path.name)
def test_a_public_file_is_drafted_from_or_refused_with_a_reason(path: Path, shared: Path, tmp_path: Path) -> None:
    if path.suffix in (".yaml", ".gz"):
        pytest.importorskip("yaml")
    found = unpacked(path, tmp_path)
    if path.name in REFUSED:
        with pytest.raises(Unreadable, match=REFUSED[path.name]):
            drafted(kind(path), found)
    else:
        assert faults(drafted(kind(path), found)) == []


@pytest.mark.parametrize("path", FILES or [SAMPLES], ids=lambda path: path.name)
def test_a_draft_of_a_public_file_is_accepted_and_finds_the_records_in_it(
    path: Path, shared: Path, tmp_path: Path
) -> None:
    if path.suffix in (".yaml", ".gz"):
        pytest.importorskip("yaml")
    if path.name in REFUSED:
        pytest.skip("refused, as the test above has it")
    found = unpacked(path, tmp_path)
    done = accepted(draft(tmp_path, f"--{kind(path)}", found))
    if kind(path) in ("sample", "csv") and path.name not in NO_RECORDS:
        assert given(done, found)


def test_the_uk_accounts_and_transactions_are_found_by_themselves(shared: Path) -> None:
    path = shared / "samples/schemas/openbanking_uk/account-info-openapi-v4.0.0.json"
    form = tomllib.loads(drafted("openapi", path, only=("accounts", "transactions")))["format"]
    assert form["records"]["OBTransaction6"] == {
        "at": "Data.Transaction",
        "account": "AccountId",
        "instant": "BookingDateTime",
    }
    assert form["pages"] == {"by": "link", "at": "Links.Next"}
    assert form["parameters"]["fromBookingDateTime"] == {"as": "from", "written": "rfc3339"}
    assert form["accounts"]["native"] == "AccountId" and form["accounts"]["call"] == "accounts"


def test_the_berlin_groups_transactions_are_found_by_themselves(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = unpacked(shared / "samples/schemas/berlin_group/psd2-api_v1.3.11.yaml.gz", tmp_path)
    form = tomllib.loads(drafted("openapi", path, only=("/v1/accounts",)))["format"]
    assert form["records"]["Transactions"]["at"] == "transactions.booked"
    assert form["parameters"]["dateTo"] == {"as": "to", "written": "date", "included": True}
    assert form["pages"]["by"] == "link"


def test_the_shapes_of_the_uk_schema_admit_the_uk_examples(shared: Path) -> None:
    """Of two sources for one format, what the one says is enough for the other."""
    import json

    schema = shared / "samples/schemas/openbanking_uk/account-info-openapi-v4.0.0.json"
    table = shapes(tomllib.loads(drafted("openapi", schema, only=("/accounts/{AccountId}/transactions",))))
    example = json.loads((shared / "samples/bank/openbanking_uk_v4/transactions_7.json").read_text())
    assert admits(table, "Answer", example)
    assert not admits(table, "Answer", {**example, "Another": 1})
