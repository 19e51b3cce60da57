"""The generated data: valid by each sector's own schema, the same every time, right on the nights clocks change."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from lxml import etree

from examples.data import bank, energy, espi, health
from examples.data.people import PEOPLE

TODAY = date(2026, 11, 23)
SCHEMAS = Path(__file__).parents[2] / ".." / "shared" / "samples" / "schemas"
needs_schemas = pytest.mark.skipif(not SCHEMAS.is_dir(), reason="the published schemas are not beside the checkout")
ALICE = PEOPLE[0]
NS = {"a": "http://www.w3.org/2005/Atom", "e": "http://naesb.org/espi"}


def feed(person, today=TODAY, window=espi.ALWAYS):
    entries = espi.entries(energy.POINTS[person.energy], "s1", today, window)
    return espi.feed("http://localhost:1", "Batch/Subscription/s1", "City Energy", energy.midnight(today), entries)


@pytest.fixture(scope="module")
def espi_schema():
    parts = (("http://www.w3.org/2005/Atom", "atom_strict.xsd"), ("http://naesb.org/espi", "espi.xsd"))
    folder = (SCHEMAS / "espi").resolve()
    imports = "".join(f'<xs:import namespace="{name}" schemaLocation="{folder / file}"/>' for name, file in parts)
    driver = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(driver))


@needs_schemas
@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.key)
def test_electricity_is_valid_espi(person, espi_schema):
    espi_schema.assertValid(etree.fromstring(feed(person)))


@needs_schemas
def test_single_resources_are_valid_espi(espi_schema):
    entries = {e.kind: e for e in espi.entries(energy.POINTS[ALICE.energy], "s1", TODAY)}
    assert set(entries) == {
        "LocalTimeParameters", "ReadingType", "UsagePoint", "MeterReading", "IntervalBlock", "UsageSummary"
    }  # fmt: skip
    for entry in entries.values():
        espi_schema.assertValid(etree.fromstring(espi.document("http://localhost:1", entry)))
    espi_schema.assertValid(etree.fromstring(espi.service_status()))
    espi_schema.assertValid(etree.fromstring(espi.authorization("http://localhost:1", "s1", 1)))


@needs_schemas
def test_the_content_rules_of_the_claimed_blocks_hold():
    """One short month: the rules compare every reading with every other."""
    start = energy.midnight(date(2026, 2, 1))
    document = etree.fromstring(feed(ALICE, window=espi.Window(start, energy.midnight(date(2026, 3, 2)))))
    rules = json.loads((SCHEMAS / "espi" / "function_block_rules.json").read_text())
    names = {"atom": NS["a"], "espi": NS["e"]}
    tested = 0
    outer = []
    etree.FunctionNamespace(None)["current"] = lambda context: [outer[-1]]
    for rule in rules["rules"]:
        if str(rule["fb"]) not in {"1", "4", "5", "12", "15", "16", "28"}:
            continue
        context = rule["context"] if rule["context"].startswith("/") else "//" + rule["context"]
        nodes = [document] if context == "/" else document.xpath(context, namespaces=names)
        for node in nodes:
            outer.append(node)
            test = rule["test"] if context != "/" else "/" + rule["test"]
            assert node.xpath(f"boolean({test})", namespaces=names), rule["id"]
            tested += 1
    assert tested > 100


@needs_schemas
@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.key)
def test_bank_data_is_valid_open_banking(person):
    import jsonschema

    document = json.loads((SCHEMAS / "openbanking_uk" / "account-info-openapi-v4.0.0.json").read_text())

    def check(name, body):
        schema = document | {"$ref": f"#/components/schemas/{name}"}
        jsonschema.Draft202012Validator(schema).validate(body)

    check("OBReadAccount6", {"Data": {"Account": bank.accounts(person)}})
    for account in bank.ACCOUNTS[person.bank]:
        check("OBReadBalance1", {"Data": {"Balance": bank.balances(account, TODAY)}})
        check("OBReadTransaction6", {"Data": {"Transaction": list(bank.transactions(account, TODAY)[:300])}})


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.key)
def test_health_data_is_valid_fhir(person):
    from fhir.resources.R4B.coverage import Coverage
    from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit
    from fhir.resources.R4B.patient import Patient

    Patient.model_validate(health.patient(person))
    assert len([Coverage.model_validate(c) for c in health.coverages(person)]) == 2
    claims = [ExplanationOfBenefit.model_validate(c) for c in health.claims(person, TODAY)]
    assert len(claims) == len({claim.id for claim in claims}) >= 50
    assert {claim.type.coding[0].code for claim in claims} == {"CARRIER", "PDE"}
    assert max(claim.payment.date for claim in claims) <= TODAY


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.key)
def test_there_is_enough_of_it(person):
    for point in energy.POINTS[person.energy]:
        hours = [r.start for month in energy.months(TODAY) for r in energy.month_readings(point, month, TODAY)]
        assert len(hours) > 8760
        assert {later - earlier for earlier, later in zip(hours, hours[1:], strict=False)} == {3600}
    assert len(energy.POINTS[ALICE.energy]) == 2
    for account in bank.ACCOUNTS[person.bank]:
        assert len(bank.transactions(account, TODAY)) > 1000


def test_the_same_day_is_the_same_whenever_it_is_told():
    account = bank.ACCOUNTS[ALICE.bank][0]
    later = TODAY + timedelta(days=40)
    settled = {t["TransactionId"]: t for t in bank.transactions(account, TODAY) if t["Status"] == "BOOK"}
    retold = {t["TransactionId"]: t for t in bank.transactions(account, later)}
    assert all(retold[key] == row for key, row in settled.items() if key in retold) and len(settled) > 1000
    claims = {c["id"]: c for c in health.claims(ALICE, TODAY)}
    assert all(claims.get(c["id"], c) == c for c in health.claims(ALICE, later))
    assert feed(ALICE) == feed(ALICE)


def test_balances_run_without_a_gap():
    rows = [t for t in bank.transactions(bank.ACCOUNTS[ALICE.bank][1], TODAY) if t["Status"] == "BOOK"]

    def cents(member, sign):
        return round(float(member["Amount"]["Amount"]) * 100) * (1 if sign == "Credit" else -1)

    for newer, older in zip(rows, rows[1:], strict=False):
        before, after = (cents(row["Balance"], row["Balance"]["CreditDebitIndicator"]) for row in (older, newer))
        assert before + cents(newer, newer["CreditDebitIndicator"]) == after


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_days_when_clocks_change_have_their_true_hours(day, hours):
    point = energy.POINTS[ALICE.energy][0]
    assert len(energy.day_readings(point, day)) == hours
    document = etree.fromstring(
        feed(ALICE, window=espi.Window(energy.midnight(day), energy.midnight(day) + hours * 3600))
    )
    assert [len(b.findall("e:IntervalReading", NS)) for b in document.findall(".//e:IntervalBlock", NS)] == [hours] * 2


def test_a_block_cut_shorter_is_another_resource_and_a_point_stays_the_same():
    def ids(document, kind):
        return set(document.xpath(f"//a:entry[a:content/e:{kind}]/a:id/text()", namespaces=NS))

    whole = etree.fromstring(feed(ALICE))
    middle = espi.Window(energy.midnight(date(2026, 5, 10)), energy.midnight(date(2026, 5, 20)))
    part = etree.fromstring(feed(ALICE, window=middle))
    assert ids(whole, "UsagePoint") == ids(part, "UsagePoint")
    assert len(ids(part, "IntervalBlock")) == 2 and not ids(part, "IntervalBlock") & ids(whole, "IntervalBlock")


def test_a_bill_is_the_sum_of_its_hours():
    point = energy.POINTS[ALICE.energy][0]
    for s in energy.statements(point, TODAY):
        hours = list(energy.month_readings(point, s.month, TODAY))
        assert (s.wh, s.energy) == (sum(r.wh for r in hours), sum(r.cost for r in hours))
        assert s.end - s.start == len(hours) * 3600


def test_ibans_have_right_check_digits():
    for accounts in bank.ACCOUNTS.values():
        for account in accounts:
            moved = account.iban[4:] + account.iban[:4]
            assert len(account.iban) == 27 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
