"""What a person downloads: everything, all pages, in formats that other programs read."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
from energy_documents import HOUR, START, block, city, espi_feed, hours, usage_point
from fhir.resources.R4B.bundle import Bundle
from format_documents import (
    BASES,
    DAY,
    FOREIGN,
    MINE,
    OTHER,
    TYPES,
    account,
    balance,
    bank,
    bundle,
    claim,
    coverage,
    patient,
    source,
    transaction,
)

from gateway import exports
from gateway.formats import registry
from gateway.formats.model import TooLarge, UnknownShape, Upstream
from gateway.organisations.downloads import OPENING


def answers(sector: str, found: dict[str, list[bytes]]):
    """A fetch that answers pages by path; `page`, `startIndex` or `start-index` tells which."""

    def fetch(call: Upstream) -> tuple[str, bytes]:
        number = int(
            dict(call.query).get("page")
            or dict(call.query).get("startIndex")
            or dict(call.query).get("start-index")
            or 0
        )
        return TYPES[sector], found[call.path.removeprefix(BASES[sector])][number]

    return fetch


def bank_pages(path: str, member: str, *pages: list) -> list[bytes]:
    texts = []
    for number, records in enumerate(pages, 1):
        links = {"Self": "https://x"}
        if number < len(pages):
            links["Next"] = f"https://org.example{BASES['bank']}{path}?page={number}"
        texts.append(bank(member, records, links, {}))
    return texts


def bank_fetch():
    path = f"/accounts/{MINE.native}"
    rows = [transaction(at=f"2025-0{month}-15T23:30:00Z") for month in range(1, 6)]
    rows[0]["MerchantDetails"] = {"MerchantName": "=HYPERLINK(1)"}
    closed = account(OTHER.native) | {"Status": "Disabled", "AccountTypeCode": "SVGS"}
    del closed["Account"], closed["Nickname"]
    return answers(
        "bank",
        {
            "/accounts": bank_pages("/accounts", "Account", [account()], [closed]),
            f"{path}/balances": bank_pages(f"{path}/balances", "Balance", [balance()]),
            f"{path}/transactions": bank_pages(f"{path}/transactions", "Transaction", rows[:2], rows[2:4], rows[4:]),
        },
    )


def test_bank_accounts_are_labelled_without_their_number():
    first, second = registry.accounts(source("bank"), bank_fetch())
    assert (first.native, first.label, first.kind, first.available) == (
        MINE.native,
        "•••• 0189 (nick-canary)",
        "CACC",
        True,
    )
    assert (second.label, second.available, second.why_not) == ("•••• 0815", False, "closed")


def test_the_bank_download_has_all_pages_and_a_midata_file():
    files = {f.name: f for f in exports.download(source("bank"), bank_fetch(), (MINE,))}
    assert set(files) == {"accounts.json", "balances.json", "transactions.json", "midata-0189.csv"}
    assert (
        len(json.loads(files["transactions.json"].body)["Data"]["Transaction"])
        == files["transactions.json"].records
        == 5
    )
    assert [a["AccountId"] for a in json.loads(files["accounts.json"].body)["Data"]["Account"]] == [MINE.native]
    midata = files["midata-0189.csv"]
    assert midata.start == datetime(2025, 1, 15, 23, 30, tzinfo=UTC) and midata.records == 5
    rows = list(csv.reader(io.StringIO(midata.body.decode())))
    assert rows[0] == ["Date", "Type", "Merchant/Description", "Debit/Credit", "Balance"]
    assert rows[1] == [
        "16/05/2025",
        "own-canary",
        "Boots the Chemist",
        "-771.01",
        "888.88",
    ]  # the local day, newest first
    assert rows[5][2] == "'=HYPERLINK(1)" and rows[6] == ["Arranged overdraft limit", "15/06/2025", "500.00"]
    assert len(rows) == 7


def test_a_bank_that_links_in_a_circle_is_refused():
    body = bank("Account", [], {"Self": "x", "Next": f"https://org.example{BASES['bank']}/accounts?page=0"})
    with pytest.raises(UnknownShape):
        registry.accounts(source("bank"), answers("bank", {"/accounts": [body]}))


def health_fetch():
    def pages(kind: str, records: list) -> list[bytes]:
        texts = []
        for number, record in enumerate(records):
            url = f"https://org.example/v2/fhir/{kind}?startIndex={number + 1}"
            links = [{"relation": "next", "url": url}] if number + 1 < len(records) else []
            texts.append(bundle([record], links, len(records)))
        return texts

    claims = [claim(start=f"2025-0{n}-01", end=f"2025-0{n}-02", drug=n % 2 == 0) | {"id": f"c{n}"} for n in range(1, 5)]
    for each in claims:
        del each["contained"], each["referral"], each["payee"], each["facility"]
    return answers(
        "health",
        {
            "/Patient": pages("Patient", [patient()]),
            "/Coverage": pages("Coverage", [coverage()]),
            "/ExplanationOfBenefit": pages("ExplanationOfBenefit", claims),
        },
    )


def test_the_insured_person_is_labelled_by_name():
    (found,) = registry.accounts(source("health"), health_fetch())
    assert (found.native, found.label, found.kind) == (MINE.native, "Alice-canary Martin-canary", "patient")


def test_the_health_download_has_all_pages_and_the_classic_text():
    files = {f.name: f for f in exports.download(source("health"), health_fetch(), (MINE,))}
    found = Bundle.model_validate_json(files["fhir-bundle.json"].body)
    assert found.type == "collection" and len(found.entry) == 6 == files["fhir-bundle.json"].records
    document = json.loads(files["fhir-bundle.json"].body)
    urls = {entry["fullUrl"] for entry in document["entry"]}
    for entry in document["entry"]:  # references resolve inside the file
        whose = entry["resource"].get("patient") or entry["resource"].get("beneficiary")
        assert whose is None or f"https://org.example/v2/fhir/{whose['reference']}" in urls
    text = files["bluebutton.txt"].body.decode()
    assert text.startswith("-" * 32 + "\nMYMEDICARE.GOV PERSONAL HEALTH INFORMATION\n\n")
    for line in (
        "Produced by the Blue Button (v2.0)",
        "DOWNLOAD REQUEST SUMMARY",
        "Date Range Selected: 01/01/2025 - 04/01/2025",
        "Name: ALICE-CANARY MARTIN-CANARY",
        "Date of Birth: 02/29/1980",
        "Drug Name: drug-canary display",
        "Claim Lines for Claim Number: identifier-canary",
        "Diagnosis Code 1: diagnosis-canary",
        "Date of Service From: 03/01/2025",
    ):
        assert f"{line}\n" in text
    assert text.count("Claim Number: identifier-canary") >= 8 and "\r" not in text


def test_a_value_cannot_begin_a_section_of_the_classic_text():
    record = patient()
    record["name"][0]["family"] = "x\n" + "-" * 32 + "\nClaim Summary"
    fetch = answers(
        "health", {"/Patient": [bundle([record])], "/Coverage": [bundle([])], "/ExplanationOfBenefit": [bundle([])]}
    )
    text = exports.download(source("health"), fetch, (MINE,))[1].body.decode()
    assert "CLAIM SUMMARY" in text and "CLAIM SUMMARY" not in text.splitlines()


def test_another_persons_file_is_not_in_the_download():
    fetch = answers(
        "health",
        {
            "/Patient": [bundle([patient(FOREIGN), patient()])],
            "/Coverage": [bundle([])],
            "/ExplanationOfBenefit": [bundle([])],
        },
    )
    body = exports.download(source("health"), fetch, (MINE,))[0].body
    assert FOREIGN.encode() not in body and MINE.native.encode() in body


def test_usage_points_are_labelled_by_the_suppliers_title():
    entries = usage_point(MINE.native) + usage_point(OTHER.native, shared=False)
    body = espi_feed(*(e for e in entries if "<UsagePoint" in e))
    fetch = answers("energy", {"/Subscription/{subscription}/UsagePoint": [body]})
    found = registry.accounts(source("energy"), fetch)
    assert [(each.native, each.label, each.kind) for each in found] == [
        (MINE.native, "rgb-street 7", "electricity"),
        (OTHER.native, "rgb-street 7", "electricity"),
    ]


def energy_pages(*pages: bytes) -> list[bytes]:
    href = "/DataCustodian/espi/1_1/resource/Batch/Subscription/9B6C7070"
    last = len(pages) - 1
    return [
        body.replace(b"<entry>", f'<link rel="next" href="{href}?start-index={n + 1}"/><entry>'.encode(), 1)
        if n < last
        else body
        for n, body in enumerate(pages)
    ]


def test_the_energy_download_has_every_page_and_one_table_of_all():
    point, meter, *_, kind = usage_point(MINE.native)
    whole = usage_point(MINE.native, block(hours(START, 3)), block(hours(START + 3 * HOUR, 4)))
    first, second = espi_feed(point, meter, whole[2], kind), espi_feed(point, meter, whole[3])
    fetch = answers("energy", {"/Batch/Subscription/{subscription}": energy_pages(first, second)})
    one, two, table = exports.download(source("energy"), fetch, (MINE,))
    assert (one.name, two.name) == ("GreenButtonDownload.xml", "GreenButtonDownload-2.xml")
    assert (one.records, two.records, table.records) == (3, 4, 7)
    rows = list(csv.DictReader(io.StringIO(table.body.decode("utf-8-sig"))))
    assert [row["unit"] for row in rows] == ["Wh"] * 7


def test_a_supplier_that_links_in_a_circle_is_left():
    pages = energy_pages(espi_feed(*usage_point(MINE.native)), b"")[:1]
    fetch = answers("energy", {"/Batch/Subscription/{subscription}": pages * 2})
    with pytest.raises(UnknownShape):
        exports.download(source("energy"), fetch, (MINE,))


def test_usage_points_are_found_on_every_page():
    pages = [espi_feed(usage_point(native)[0]) for native in (MINE.native, OTHER.native)]
    pages = [page.replace(b"Batch/", b"") for page in energy_pages(*pages)]
    pages[0] = pages[0].replace(b"9B6C7070?", b"9B6C7070/UsagePoint?")
    fetch = answers("energy", {"/Subscription/{subscription}/UsagePoint": pages})
    assert [found.native for found in registry.accounts(source("energy"), fetch)] == [
        MINE.native,
        OTHER.native,
    ]


def test_the_energy_download_is_the_suppliers_own_file_and_a_table():
    body = city()
    fetch = answers("energy", {"/Batch/Subscription/{subscription}": [body]})
    xml, table = exports.download(source("energy"), fetch, (MINE,))
    assert (xml.name, xml.body, xml.records) == ("GreenButtonDownload.xml", body, 25)
    assert (table.name, table.records) == ("readings.csv", 24)
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert len(rows) == 24 and table.start == datetime.fromtimestamp(START, UTC)
    assert rows[0] | {"value": ""} == {
        "usage_point": MINE.native,
        "start": "2025-06-01T02:00:00+02:00",
        "duration_s": str(HOUR),
        "value": "",
        "unit": "Wh",
        "cost": "0.00012",
        "currency": "EUR",
        "quality": "0",
    }
    assert DAY > rows[0]["start"]


def test_the_multiplier_of_the_meter_is_applied_to_the_table():
    body = espi_feed(*usage_point(MINE.native, block(hours(START, 1)))).replace(b"Multiplier>0", b"Multiplier>-3")
    fetch = answers("energy", {"/Batch/Subscription/{subscription}": [body]})
    table = exports.download(source("energy"), fetch, (MINE,))[1].body.decode()
    value = table.splitlines()[1].split(",")[3]
    assert value.count(".") == 1 and len(value.split(".")[1]) == 3


def test_a_download_beyond_all_measure_is_refused():
    fetch = answers("energy", {"/Batch/Subscription/{subscription}": [b" " * (64 * 1024 * 1024 + 1)]})
    with pytest.raises(TooLarge):
        exports.download(source("energy"), fetch, (MINE,))


@pytest.mark.parametrize("sector", ["bank", "health"])
def test_of_every_file_it_is_told_how_to_open_it(sector):
    fetch = {"bank": bank_fetch, "health": health_fetch}[sector]()
    files = exports.download(source(sector), fetch, (MINE,))
    assert {file.name.rpartition(".")[2] for file in files} <= OPENING.keys()
