"""However a declaration is broken, linting tells it and never breaks itself."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalogue import Catalogue
from gateway.formats.linting import is_identifier, tokens
from gateway.organisations.linting import ERROR, lint
from gateway.settings import shipped_policies
from tests.torture import many

ROOT = Path(__file__).parents[2]
catalogue = Catalogue(shipped_policies())
BANK = (ROOT / "policies/formats/uk-open-banking-4.toml").read_text()
HEAD = (ROOT / "examples/organisations/harbour-bank.toml").read_text()
DATASETS = (ROOT / "policies/datasets/bank.toml").read_text().partition("[[dataset]]")[2]
COARSER = (ROOT / "tests/proxy/coarser.toml").read_text()
FILED = (ROOT / "tests/proxy/filed.toml").read_text()
LINK = """[connection.link]
start = "/aval/link/start"
confirm = "/aval/link/confirm"
unlink = "/aval/link/unlink"
"""
OTHERS = ["1", '""', '"x"', "true", "[]", "{}", "[1]", '["x"]', "[{}]", '{ fr = "a", en = "a" }', '"a:s a:b c:Nowhere"']


def whole() -> str:
    """The bank's shared format and types of data as one organisation's own: a declaration with all kinds of keys."""
    form = BANK.replace('base = "', '\nbase = "', 1)
    form = re.sub(r"^\[\[(\w)", r"[[format.\1", re.sub(r"^\[(\w)", r"[format.\1", form, flags=re.M), flags=re.M)
    rows = re.sub(r"^\[\[dataset\b", "[[datasets", "[[dataset]]" + DATASETS, flags=re.M)
    return HEAD.partition("[[datasets]]")[0] + rows + "\n[format]\n" + form


def linted(text: str, folder: Path) -> list[str]:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return [str(each) for each in lint(path, catalogue).of(ERROR)]


def test_the_banks_own_format_has_no_errors(tmp_path: Path) -> None:
    assert linted(whole(), tmp_path) == []


@settings(max_examples=many(90), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_line_is_told_and_nothing_breaks(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = data.draw(st.sampled_from([whole(), COARSER, FILED])).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "value", "key"]))
        if change == "drop":
            lines[number] = ""
        elif change == "value" and "=" in lines[number]:
            lines[number] = f"{lines[number].partition('=')[0]}= {data.draw(st.sampled_from(OTHERS))}"
        elif change == "key":
            lines[number] = re.sub(r"[a-z]{3}", "zzz", lines[number], count=1)
    found = linted("\n".join(lines), tmp_path_factory.mktemp("linted"))
    assert all(re.match(r"[1-9][0-9]*: ", each) for each in found)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("clientPhone_no", ["client", "phone", "no"]),
        ("MSISDN", ["msisdn"]),
        ("IBANNumber", ["iban", "number"]),
        ("Numéro de ligne", ["numero", "de", "ligne"]),
        ("_id", ["id"]),
        ("42", []),
    ],
)
def test_names_are_taken_apart(name: str, parts: list[str]) -> None:
    assert tokens(name) == parts


@pytest.mark.parametrize(
    "name", ["id", "clientId", "customer_number", "msisdn", "e-mail", "contractNo", "IBAN", "partner"]
)
def test_names_that_identify(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize(
    "name", ["networkType", "numberOfCalls", "accountType", "clientSegment", "idle", "length", "42"]
)
def test_names_that_do_not(name: str) -> None:
    assert not is_identifier(name)


def test_a_shared_type_of_data_is_not_called_less_than_it_is(tmp_path: Path) -> None:
    text = whole()
    assert 'sensitivity = "sensitive"' in text
    [found] = linted(text.replace('sensitivity = "sensitive"', 'sensitivity = "none"', 1), tmp_path)
    assert "none is less than policies/ have for bank." in found and "write sensitive" in found


def test_a_type_of_data_of_another_sector_keeps_its_name(tmp_path: Path) -> None:
    [found] = linted(whole().replace('id = "bank.transactions"', 'id = "energy.electricity.usage"', 1).replace(
        'dataset = "bank.transactions"', 'dataset = "energy.electricity.usage"'), tmp_path)  # fmt: skip
    assert "is a type of data of sector energy" in found


def test_an_account_is_no_identifier_of_another_kind(tmp_path: Path) -> None:
    text = whole()
    kind = "Transaction"
    line = next(line for line in text.splitlines() if line.startswith(f"{kind} = "))
    [found] = linted(text.replace(line, line.replace("AccountId:s", "AccountId:p")), tmp_path)
    assert "AccountId is p: write s in shapes" in found


@pytest.mark.parametrize(
    ("kind", "person", "known"), [("assertion", True, True), ("assertion", False, False), ("oauth", False, False)]
)
def test_a_customer_is_named_where_the_link_knows_one(tmp_path: Path, kind: str, person: bool, known: bool) -> None:
    text = COARSER.replace(
        'asks = "/lines/{account}/calls?limit=100"', 'asks = "/lines/{account}/calls?limit=100&of={customer}"'
    )
    if kind == "assertion":
        before, _, rest = text.partition("[connection.oauth]")
        more = '\n[connection.person]\nheader = "X-Customer"\n' if person else ""
        text = (
            before.replace('kind = "oauth"', 'kind = "assertion"')
            + LINK
            + more
            + "\n[[datasets]]"
            + rest.partition("[[datasets]]")[2]
        )
    found = [each for each in linted(text, tmp_path) if "{customer} is not known" in each]
    assert (found == []) is known
