"""`aval organisations import` and `files`: an organisation without an API, from its file to what is kept of it."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_run import Aval

from gateway.catalogue import Catalogue
from gateway.organisations import declare
from gateway.settings import shipped_policies
from tests.worlds import filed
from tests.worlds.filed import ALICE, BOB, record, text

Run = Callable[..., Aval]


@pytest.fixture
def axiome(aval: Run, folder: Path) -> Run:
    added = aval("organisations", "add", filed.FILE)
    assert added.code == 0, added.err

    def run(*words: str | Path) -> Aval:
        done = aval("organisations", *words)
        assert "canary" not in done.out + done.err and ALICE not in done.out + done.err
        return done

    return run


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    path = tmp_path / "calls-2026-11.json"
    path.write_bytes(text(record(ALICE, 1), record(BOB, 2), record(ALICE, 3)))
    return path


def kept(axiome: Run) -> list[dict[str, Any]]:
    return list(json.loads(axiome("files", "axiome", "--json").out))


def test_a_file_is_taken_in_listed_and_replaced(axiome: Run, calls: Path) -> None:
    assert "No file: aval organisations import axiome FILE" in axiome("files", "axiome").out
    done = axiome("import", "axiome", calls)
    assert done.code == 0 and "axiome: calls: 3 records of 2 customers" in done.out, done.err
    [row] = kept(axiome)
    assert (row["call"], row["records"], row["customers"], row["bytes"]) == ("calls", 3, 2, calls.stat().st_size)
    assert row["sha256"] == hashlib.sha256(calls.read_bytes()).hexdigest() and row["sha256"] in done.out
    calls.write_bytes(text(record(ALICE, 9)))
    assert axiome("import", "axiome", calls).code == 0
    [row] = kept(axiome)
    assert (row["records"], row["customers"]) == (1, 1)
    assert "CUSTOMERS" in axiome("files", "axiome").out and "axiome" in axiome("list").out


def test_a_file_that_is_not_there_is_told_before_its_name_is_judged(axiome: Run, calls: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "gone.txt", tmp_path / "calls-gone.json"):
        done = axiome("import", "axiome", path)
        assert done.code == 1 and f"{path}: there is no such file" in done.err and "no call" not in done.err
    strange = calls.rename(tmp_path / "strange.txt")
    assert "no call has files of this name: say --call, one of calls" in axiome("import", "axiome", strange).err
    assert (
        "--call cals: there is no such call, one of calls" in axiome("import", "axiome", strange, "--call", "cals").err
    )


def test_codes_are_taken_in(axiome: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"customer,code\n{ALICE},AAAA-BBBB\n{BOB},CCCC-DDDD\n")
    done = axiome("import", "axiome", "--codes", path)
    assert done.code == 0 and "2 codes of 2 customers" in done.out
    assert "2 codes that nobody has used" in axiome("files", "axiome").out


def test_a_checksum_that_is_there_must_be_right(axiome: Run, calls: Path) -> None:
    digest = hashlib.sha256(calls.read_bytes()).hexdigest()
    assert axiome("import", "axiome", calls, "--sha256", digest.upper()).code == 0
    assert axiome("import", "axiome", calls, "--sha256", "0" * 64).code == 1
    beside = calls.with_name(f"{calls.name}.sha256")
    beside.write_text(f"{'0' * 64}  {calls.name}\n")
    refused = axiome("import", "axiome", calls)
    assert refused.code == 1 and "its checksum is another" in refused.err and "stays" in refused.err
    beside.write_text(f"{digest}  {calls.name}\n")
    assert axiome("import", "axiome", calls).code == 0
    assert "no sum" not in axiome("import", "axiome", calls, "--sha256", "no sum").out
    assert len(kept(axiome)) == 1


def test_what_is_wrong_is_told_and_the_file_before_stays(axiome: Run, calls: Path, tmp_path: Path) -> None:
    assert axiome("import", "axiome", calls).code == 0
    wrong = {
        "calls-broken.json": (calls.read_bytes()[:-5], "breaks off"),
        "calls-huge.json": (b" " * 200_001, "larger than 200000 bytes: raise most_bytes"),
        "calls-nobody.json": (text({**record(ALICE), "contractId": ""}), "record 1: contractId must be there"),
        "other.json": (calls.read_bytes(), "say --call, one of calls"),
    }
    for name, (body, told) in wrong.items():
        path = tmp_path / name
        path.write_bytes(body)
        done = axiome("import", "axiome", path)
        assert done.code == 1 and told in done.err, (name, done.err)
    link = tmp_path / "calls-link.json"
    link.symlink_to(calls)
    assert "is a link" in axiome("import", "axiome", link).err
    assert [row["records"] for row in kept(axiome)] == [3]
    assert axiome("import", "axiome", tmp_path / "other.json", "--call", "calls").code == 0


def test_what_is_not_declared_is_told_and_listed_as_drift(axiome: Run, tmp_path: Path) -> None:
    path = tmp_path / "calls-1.json"
    path.write_bytes(text(record(ALICE, 1, colour="canary")))
    done = axiome("import", "axiome", path)
    assert done.code == 0 and "not declared, and given to nobody: result.items.colour" in done.out
    assert "PhoneCall: colour:-" in axiome("drift", "axiome").out


def test_the_commands_are_only_for_organisations_that_give_files(axiome: Run, calls: Path) -> None:
    aval = Aval("organisations", "add", "examples/organisations/city-energy.toml")
    assert aval.code == 0, aval.err
    refused = axiome("import", "city-energy", calls)
    assert refused.code == 2 and "has an API" in refused.err
    assert axiome("files", "city-energy").code == 2 and axiome("files", "nobody").code == 2
    assert axiome("import", "axiome").code == 2
    assert "gives files: aval organisations files axiome" in Aval("doctor").out


def faults(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    document = copy.deepcopy(filed.document())
    change(document)
    found = declare.check(document, Catalogue(shipped_policies()), lambda host: ["203.0.113.1"])
    return [f"{fault.key}: {fault.wrong}; {fault.right}" for fault in found]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["connection"].update(base_url="https://x.example"), "connection.base_url: does not belong"),
        (lambda d: d["connection"].pop("files"), "connection.files: is missing"),
        (lambda d: d["connection"].update(kind="assertion"), "connection.base_url: is missing"),
        (lambda d: d["connection"]["files"].pop("kept"), "connection.files.kept: is missing"),
        (lambda d: d["connection"]["files"].update(kept="40 days"), 'connection.files.kept: is not right; write how'),
        (lambda d: d["connection"]["files"].update(folder="in/axiome"), "connection.files.folder: is not right"),
        (lambda d: d["connection"]["files"].update(most_bytes=True), "connection.files.most_bytes: is not right"),
        (lambda d: d["connection"]["files"].update(customer="x"), "connection.files.customer: leads to no member"),
        (lambda d: d["connection"]["files"]["names"].append({"pattern": "a*", "call": "b"}), "'b' is none of the call"),
        (lambda d: d["connection"]["files"]["names"].append({"pattern": "a*"}), "names[2]: says not what its files"),
        (lambda d: d["connection"]["files"]["names"].append({"pattern": "../a", "call": "calls"}), "write the names"),
        (lambda d: d["connection"].update(match="oauth"), "connection.match: is not right"),
        (lambda d: d["connection"].update(tls={"certificate": "/c", "key": "/k"}), "connection.tls: does not belong"),
        (lambda d: d["connection"].update(person={"query": "customer"}), "connection.person: does not belong"),
        (lambda d: d["format"]["calls"][0].update(asks="/x"), "calls.asks: nobody is asked"),
        (lambda d: d["format"]["calls"][0].update(path="/calls/{id}"), "only {account} is known"),
        (lambda d: d["format"].update(pages={"by": "link-header"}), "format.pages: files have no pages"),
        (lambda d: d.pop("format"), "format: is missing"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_work_is_told_what_would(change: Callable[[Any], Any], told: str) -> None:
    found = faults(change)
    assert any(told in fault for fault in found), found


def test_the_declaration_as_it_stands_has_no_fault() -> None:
    assert faults(lambda document: None) == []
    assert faults(lambda d: d["format"]["records"]["PhoneCall"].update(customer="contractId")) == []
    assert faults(lambda d: d["connection"]["files"].pop("customer")) == []  # the account's number is the customer's
