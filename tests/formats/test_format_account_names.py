"""The organisation's own name of an account leaves in no member of a format, however it is written there."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlencode
from xml.sax.saxutils import unescape

import pytest
from energy_documents import (
    BATCH,
    DATASETS,
    START,
    block,
    cut,
    espi_feed,
    espi_filled_feed,
    reading,
    summary,
    usage_point,
)
from format_documents import (
    ALWAYS,
    HEALTH,
    MINE,
    TYPES,
    account,
    balance,
    bank,
    bundle,
    claim,
    granted,
    plan,
    sent,
    transaction,
)
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from gateway.catalogue import fields
from gateway.catalogue.shapes import members
from gateway.formats.fhir.shapes import TABLE as FHIR
from gateway.formats.model import Account, Granted, Plan
from gateway.formats.names import AccountNames

BANK = fields.shipped().formats["uk-open-banking-4"].shapes

IBAN = "FR7630006000011234567890189"
OTHER = "FR7610107001011234567890129"  # hers too, and not granted
SPELLINGS = {
    "as it is": lambda name: name,
    "in groups": lambda name: " ".join(re.findall(".{1,4}", name)),
    "in groups with no-break spaces": lambda name: "\u00a0".join(re.findall(".{1,4}", name)),
    "with hyphens": lambda name: "-".join(re.findall(".{1,2}", name)),
    "over two lines": lambda name: f"{name[:11]}\n{name[11:]}",
    "in small letters": str.lower,
    "in a sentence": lambda name: f'to "{name}", thanks\\',
    "in a longer number": lambda name: f"tx-{name}-1",
    "in a path": lambda name: f"https://bank.example/accounts/{name}/x?of={name}",
}
BANK_CASES = {
    "bank.accounts": ("/accounts", "Account", account),
    "bank.balances": ("/balances", "Balance", balance),
    "bank.transactions": ("/transactions", "Transaction", transaction),
}


def filled(table: dict[str, str], kind: str, text: str) -> dict[str, Any]:
    """A value of the type with this text in every member that may hold any."""

    def of(word: str) -> Any:
        if word == "Raw*":
            return [{"url": text, "valueAnnotation": {"text": text}, "extension": [{"url": text, "valueId": text}]}]
        if word.endswith("*"):
            return [of(word[:-1])]
        if word == "Money" and table is BANK and text.isdecimal():  # as an amount of money that number is none
            return {"Amount": "1.00", "Currency": text}
        return {"s": text, "x": text, "d": text, "b": True, "i": 1, "n": 1.5}.get(word) or filled(table, word, text)

    return {name: of(word) for name, word in members(table, kind).items() if word not in ("-", "!", "Raw")}


def flat(body: bytes) -> str:
    return re.sub("[^0-9A-Z]", "", json.dumps(json.loads(body), ensure_ascii=False).replace("\\n", "").upper())


def escaped(body: bytes) -> bytes:
    """The same document with every letter and digit inside strings written as an escape."""

    def spell(found: re.Match[str]) -> str:
        return found[0] if found[2] else "".join(f"\\u{ord(c):04x}" for c in json.loads(found[1])).join('""')

    return re.sub(r'("(?:[^"\\]|\\.)*")(\s*:)?', spell, body.decode()).encode()


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("native", [IBAN, "30006000011", OTHER])
@pytest.mark.parametrize("dataset", BANK_CASES)
def test_no_member_of_a_banks_answer_carries_its_name_of_an_account(dataset, native, spelling):
    path, member, make = BANK_CASES[dataset]
    mine = Account(IBAN if native == OTHER else native, MINE.ref)
    text = SPELLINGS[spelling](native)
    record = filled(BANK, member, text) | {"AccountId": mine.native}
    record |= {name: make()[name] for name in ("DateTime", "BookingDateTime") if name in make()}
    of = plan(granted(dataset, ["account.number"], (mine,), others=(OTHER,)))
    for body in (bank(member, [record]), escaped(bank(member, [record]))):
        found = of.cut(sent(of, "bank", path), TYPES["bank"], body, ALWAYS)
        assert found.counts.records == 1
        assert native not in flat(found.body), found.body
        assert json.loads(found.body)["Data"][member][0]["AccountId"] == MINE.ref


def test_an_account_that_is_not_granted_has_no_name_at_all():
    of = plan(granted("bank.transactions", (), (Account(IBAN, MINE.ref),), others=(OTHER,)))
    record = transaction(IBAN) | {"TransactionInformation": f"from {OTHER} to {IBAN}"}
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], bank("Transaction", [record]), ALWAYS).body
    assert json.loads(found)["Data"]["Transaction"][0]["TransactionInformation"] == f"from withheld to {MINE.ref}"


def test_the_number_is_given_where_the_number_is_granted():
    record = account(IBAN)
    of = plan(granted("bank.accounts", (), (Account(IBAN, MINE.ref),)))
    found = of.cut(sent(of, "bank", "/accounts"), TYPES["bank"], bank("Account", [record]), ALWAYS).body
    (given,) = json.loads(found)["Data"]["Account"]
    assert (given["AccountId"], given["Account"][0]["Identification"]) == (MINE.ref, IBAN)


def test_amounts_moments_and_other_peoples_numbers_stay_as_they_are():
    mine = Account("20250615", MINE.ref)
    record = transaction(mine.native) | {"Amount": {"Amount": "20250615", "Currency": "EUR"}}
    record["CreditorAccount"]["Identification"] = "FR7620041010050500013M02606"
    of = plan(granted("bank.transactions", (), (mine,)))
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], bank("Transaction", [record]), ALWAYS).body
    (given,) = json.loads(found)["Data"]["Transaction"]
    for name in ("Amount", "BookingDateTime", "CreditorAccount", "BankTransactionCode", "MerchantDetails"):
        assert given[name] == record[name]


def test_a_page_that_names_the_account_in_its_link_is_asked_for_again_by_the_same_name():
    mine = Account(IBAN, MINE.ref)
    of = plan(granted("bank.transactions", (), (mine,)))
    first = sent(of, "bank", f"/accounts/{MINE.ref}/transactions")
    links = {"Self": "https://x", "Next": f"https://org.example{first.path}?page={IBAN}-2"}
    found = of.cut(first, TYPES["bank"], bank("Transaction", [transaction(IBAN)], links), ALWAYS).body
    assert IBAN not in found.decode()
    token = json.loads(found)["Links"]["Next"].partition("page_token=")[2]
    again = sent(of, "bank", f"/accounts/{MINE.ref}/transactions", ("page_token", token))
    assert again.continues and again.query == (("page", f"{IBAN}-2"),)


IN_LINKS = {"as it is": str, "in small letters": str.lower} | {
    f"in groups with {mark}": lambda name, mark=mark: mark.join(re.findall(".{1,4}", name)) for mark in "-./_~"
}


@pytest.mark.parametrize("relation", ["First", "Prev", "Next"])
@pytest.mark.parametrize("native", [IBAN, OTHER])
@pytest.mark.parametrize("spelling", IN_LINKS)
def test_no_paging_link_of_a_bank_carries_its_name_of_an_account(spelling, native, relation):
    of = plan(granted("bank.transactions", (), (Account(IBAN, MINE.ref),), others=(OTHER,)))
    first = sent(of, "bank", f"/accounts/{MINE.ref}/transactions")
    page = quote(IN_LINKS[spelling](native), safe="")
    links = {"Self": "https://x", relation: f"https://org.example{first.path}?page={page}"}
    found = of.cut(first, TYPES["bank"], bank("Transaction", [transaction(IBAN)], links), ALWAYS).body
    assert native not in flat(encode(unquote(json.loads(found)["Links"][relation])))


@pytest.mark.parametrize("native", ["20140000008325", "20140000008326"])
@pytest.mark.parametrize("relation", ["first", "self", "previous", "next"])
@pytest.mark.parametrize("spelling", IN_LINKS)
def test_no_paging_link_of_an_insurer_carries_its_name_of_a_person(spelling, relation, native):
    mine = Account("20140000008325", MINE.ref)
    of = plan(Granted("health.claims", granted("health.claims").fields, (mine,), None, ("20140000008326",)))
    first = sent(of, "health", "/ExplanationOfBenefit")
    query = urlencode([*first.query, ("_count", IN_LINKS[spelling](native))])
    links = [{"relation": relation, "url": f"https://org.example{first.path}?{query}"}]
    found = of.cut(first, TYPES["health"], bundle([claim(mine.native)], links), ALWAYS).body
    (link,) = (one for one in json.loads(found)["link"] if one["relation"] == relation)
    assert native not in flat(encode(unquote(link["url"])))


@pytest.mark.parametrize("others", [(), ("99887766554",)])
@pytest.mark.parametrize("before", ["C:\\u", "\\\\u", "\n\\u", '"\\u'])
def test_a_backslash_in_a_text_hides_no_name(before, others):
    names = AccountNames([Account("00012345678", "ref")], others=others)
    assert json.loads(names.outward_bytes(encode({"a": f"{before}0001 2345678"}))) == {"a": f"{before}ref"}


@pytest.mark.parametrize("spelling", sorted(set(SPELLINGS) - {"in a path"}))
@pytest.mark.parametrize("native", ["20140000008325", "20140000008326"])
@pytest.mark.parametrize("dataset", HEALTH)
def test_no_member_of_an_insurers_answer_carries_its_name_of_a_person(dataset, native, spelling):
    """The second is the number of somebody whose data she manages too and did not agree to share."""
    path, make = HEALTH[dataset]
    mine = Account("20140000008325", MINE.ref)
    whole = make(mine.native)
    kind = whole["resourceType"]
    record = filled(FHIR, kind, SPELLINGS[spelling](native))
    kept = ("resourceType", "id", "meta", "patient", "beneficiary", "billablePeriod", "period")
    record |= {name: whole[name] for name in kept if name in whole}
    for line in record.get("item", ()):
        line |= {"servicedDate": "2025-06-15", "servicedPeriod": {"start": "2025-06-15", "end": "2025-06-15"}}
    of = plan(Granted(dataset, granted(dataset).fields, (mine,), None, ("20140000008326",)))
    found = of.cut(sent(of, "health", path), TYPES["health"], bundle([record]), ALWAYS)
    assert found.counts.records == 1 and native not in flat(found.body)


def cut_whole(body: bytes, of: Plan) -> bytes:
    return cut(body, of).body


def streamed(body: bytes, of: Plan) -> bytes:
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    assert cutter is not None
    out = [cutter.feed(body[at : at + 500]) for at in range(0, len(body), 500)]
    return b"".join([*out, cutter.close()])


POINT = "FR0412345678901234"  # of a meter
SAID = SPELLINGS | {"with a character reference": lambda name: f"{name[:9]}&{name[9:]}"}


@pytest.mark.parametrize("way", [cut_whole, streamed])
@pytest.mark.parametrize("spelling", SAID)
@pytest.mark.parametrize("name", [POINT, "FR9998887776665554"])
def test_no_text_of_a_feed_carries_the_suppliers_name_of_a_usage_point(name, spelling, way):
    """The second is hers too, and not granted."""
    mine = Account(POINT, MINE.ref)
    of = plan(*(granted(each, (), (mine,), others=("FR9998887776665554",)) for each in DATASETS))
    found = way(espi_filled_feed(POINT, SAID[spelling](name)), of)
    assert b"agencyName" in found and b"note" in found and found.count(b"<entry>") == 7
    assert not set(re.findall("FR[0-9]{16}", re.sub("[^0-9A-Z]", "", unescape(found.decode()).upper())))


@pytest.mark.parametrize("way", [cut_whole, streamed])
def test_numbers_and_other_words_of_a_feed_stay_as_they_are(way):
    mine = Account("505050", MINE.ref)
    feed = espi_feed(*usage_point(mine.native, block(reading(START)), summaries=[summary()]))
    found = way(feed, plan(*(granted(each, (), (mine,)) for each in DATASETS))).decode()
    assert "<billLastPeriod>505050</billLastPeriod>" in found and "<note>line-canary</note>" in found
    told = way(feed.replace(b"line-canary", b"505050 &amp; Co"), plan(granted(DATASETS[1], (), (mine,)))).decode()
    assert f"<note>{MINE.ref} &amp; Co</note>" in told


# ---- the search in the encoded text finds what a look at every string finds

NAMES = {
    IBAN: "ref-a",
    "20140000008325": "ref-b",
    "d7d22fb2a36dc1c5": "ref-c",
    "ab-12": "ref-d",
    "onlyletters": "ref-e",
}
CODED = (
    '\n\x1f\u00a0\U0001d7d8"\\ -',
    "\n",
    "\x1f",
    "\u00a0",
    '"',
    "\\",
    "\\n",
    "\x19",
    " 4",
    "u0039",
    "b",
    "",
    "",
    "",
)


def spelt_in(text: str, spellings: dict[str, str]) -> str:
    """The same by a look at one text that is not encoded."""
    patterns = [
        "[^0-9A-Za-z]*".join(re.findall("[0-9A-Za-z]", name)) if len(name) > 7 else re.escape(name)
        for name in sorted(spellings, key=len, reverse=True)
    ]
    refs = [spellings[name] for name in sorted(spellings, key=len, reverse=True)]
    found = re.compile("|".join(f"({each})" for each in patterns), re.IGNORECASE)
    return found.sub(lambda one: refs[(one.lastindex or 1) - 1], text)


def every_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(name): every_text(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [every_text(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


@st.composite
def named(draw: st.DrawFn) -> str:
    """A name, whole or broken off, with something between its characters and around it."""
    name = draw(st.sampled_from(sorted(NAMES)))
    between = draw(st.sampled_from(CODED))
    text = between.join(name[: draw(st.sampled_from([len(name), len(name), len(name) - 1]))])
    around = st.sampled_from((*CODED, ",", ":", "7", "20140000"))
    return draw(around) + draw(st.sampled_from([text, text.upper()])) + draw(around)


def is_not_veiled(text: str) -> bool:
    """A digit that is written as an escape is found, too (test_format_veiled_names.py), and not by `spelt_in`."""
    return "\\u0039" not in text


TEXTS = st.lists(named(), max_size=3).map("".join).filter(is_not_veiled)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.sampled_from([20140000008325, [2, 0, 14]])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(named().filter(is_not_veiled), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("names", [*([name] for name in NAMES), list(NAMES)])
@given(document=VALUES)
def test_what_is_found_in_the_encoded_text_is_what_every_string_holds(names, document):
    spellings = {name: NAMES[name] for name in names}
    of = AccountNames([Account(name, ref) for name, ref in spellings.items()])
    shown = json.loads(of.outward_bytes(encode(document)))
    assert shown == every_text(document, lambda text: spelt_in(text, spellings))
