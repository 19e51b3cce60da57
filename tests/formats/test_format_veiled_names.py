"""An account number leaves in no text, also when its characters are written as something else."""

import json
import re
from collections.abc import Callable
from urllib.parse import quote
from xml.sax.saxutils import escape as xml

import pytest
from energy_documents import BATCH, DATASETS, espi_filled_feed
from format_documents import ALWAYS, HEALTH, MINE, TYPES, bank, bundle, granted, plan, sent, transaction
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from gateway.formats.model import Account, Granted
from gateway.formats.names import AccountNames

NUMBER, OTHER = "FR7630006000011234567890189", "FR7610107001011234567890129"


def grouped(mark: str) -> Callable[[str], str]:
    return lambda name: mark.join(re.findall(".{1,4}", name))


def wide(name: str) -> str:
    return "".join(chr(ord(each) + 0xFEE0) for each in name)


VEILED: dict[str, Callable[[str], str]] = {
    "percent-encoded blanks": grouped("%20"),
    "percent-encoded slashes": grouped("%2f"),
    "all of it percent-encoded": lambda name: "".join(f"%{ord(each):02X}" for each in name),
    "twice": lambda name: quote(quote(grouped(" ")(name))),
    "no-break spaces of HTML": grouped("&nbsp;"),
    "without their end": grouped("&nbsp"),
    "character references": lambda name: "".join(f"&#{ord(each)};" for each in name),
    "hexadecimal ones": grouped("&#xA0;"),
    "one way in another": grouped("%26nbsp%3B"),
    "and that escaped for HTML": grouped("&amp;nbsp;"),
    "escapes": grouped(r"\u0020"),
    "escapes of control characters": grouped(r"\u0009"),
    "and of the last of them": grouped(r"\u001f"),
    "full-width": wide,
    "full-width and percent-encoded": lambda name: quote(wide(name)),
    "digits of another script": lambda name: re.sub("[0-9]", lambda one: chr(0x660 + int(one[0])), name),
    "bold digits": lambda name: re.sub("[0-9]", lambda one: chr(0x1D7CE + int(one[0])), name),
    "raised digits": lambda name: name.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")),
    "nine blanks": grouped(" " * 9),
    "a line of dots": grouped("." * 300),
    "many characters of four bytes": grouped("\U0001f600" * 20),
}


@pytest.mark.parametrize("around", ["{}", "Café {} & Co", "100 % {} H&M;", "œ 3²/4: {}"])
@pytest.mark.parametrize("spelling", VEILED)
@pytest.mark.parametrize(("native", "shown"), [(NUMBER, MINE.ref), (OTHER, "withheld")])
def test_no_words_of_a_bank_carry_a_veiled_number(native: str, shown: str, spelling: str, around: str) -> None:
    of = plan(granted("bank.transactions", (), (Account(NUMBER, MINE.ref),), others=(OTHER,)))
    text = around.format(VEILED[spelling](native))
    record = transaction(NUMBER) | {"TransactionInformation": text}
    escaped = json.dumps({"Data": {"Transaction": [record]}}).encode()
    for body in (bank("Transaction", [record]), escaped):
        found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], body, ALWAYS).body
        [given_] = json.loads(found)["Data"]["Transaction"]
        assert shown in given_["TransactionInformation"] and native[4:] not in given_["TransactionInformation"]
        assert len(given_["TransactionInformation"]) < len(around) + len(shown)
        assert given_["MerchantDetails"] == record["MerchantDetails"]


@pytest.mark.parametrize("mark", ["-" * 9, "~._/" * 9])
def test_no_link_of_a_bank_carries_a_number_with_a_long_line_between(mark: str) -> None:
    """The bank's own words of a page do not leave at all."""
    of = plan(granted("bank.transactions", (), (Account(NUMBER, MINE.ref),)))
    first = sent(of, "bank", f"/accounts/{MINE.ref}/transactions")
    page = quote(grouped(mark)(NUMBER)[:256], safe="")
    links = {"Self": "https://x", "Next": f"https://org.example{first.path}?page={page}"}
    found = of.cut(first, TYPES["bank"], bank("Transaction", [transaction(NUMBER)], links), ALWAYS).body
    token = json.loads(found)["Links"]["Next"].partition("?page_token=")[2]
    assert token and NUMBER not in found.decode()
    [(name, value)] = sent(of, "bank", f"/accounts/{MINE.ref}/transactions", ("page_token", token)).query
    assert (name, quote(value, safe="")) == ("page", page)


@pytest.mark.parametrize("spelling", VEILED)
def test_no_words_of_an_insurer_carry_a_veiled_number(spelling: str) -> None:
    mine, path, make = Account("20140000008325", MINE.ref), *HEALTH["health.person"]
    of = plan(Granted("health.person", granted("health.person").fields, (mine,)))
    record = make(mine.native) | {"name": [{"text": VEILED[spelling](mine.native)}]}
    found = of.cut(sent(of, "health", path), TYPES["health"], bundle([record]), ALWAYS).body
    [given_] = json.loads(found)["entry"]
    assert given_["resource"]["name"] == [{"text": MINE.ref.replace("_", "-")}]  # as FHIR allows it


@pytest.mark.parametrize("spelling", VEILED)
def test_no_text_of_a_feed_carries_a_veiled_number(spelling: str) -> None:
    point, control = "FR0412345678901234", "&#1; "
    of = plan(*(granted(each, (), (Account(point, MINE.ref),)) for each in DATASETS))
    text = control + VEILED[spelling](point)
    feed = espi_filled_feed(point, text)
    cutter = of.cutter(sent(of, "energy", BATCH), TYPES["energy"], ALWAYS)
    assert cutter is not None
    streamed = cutter.feed(feed) + cutter.close()
    for found in (of.cut(sent(of, "energy", BATCH), TYPES["energy"], feed, ALWAYS).body, streamed):
        assert xml(text) not in found.decode() and b"\x01" not in found
        assert f"{MINE.ref}</note>" in found.decode()


@pytest.mark.parametrize("native", ["ÉTÉ99", "Été-9912", "straße-7", "ναός-17"])
def test_a_number_with_letters_outside_ascii_is_found_in_any_case(native: str) -> None:
    names = AccountNames([Account(native, "ref"), Account("12345678", "other")])
    for text in (native, native.upper() if "ß" not in native else native, native.lower(), native.swapcase()):
        if len(text) == len(native):
            assert json.loads(names.outward_bytes(encode({"a": f"to {text}."}))) == {"a": "to ref."}


@pytest.mark.parametrize(
    "text",
    ["Café de l’Été — 12 €", "H&M 100% & Co", "1234%20567", "0001x2345678", "a%20b &nbsp; ３ m²", "½ l", "%zz &zz; %"],
)
def test_a_text_without_a_number_leaves_letter_by_letter(text: str) -> None:
    names = AccountNames([Account("12345678", "ref")], others=["00012345678"])
    assert names.outward_text(text) == text
    assert names.outward_bytes(encode({"a": text})) == encode({"a": text})


PIECES = st.sampled_from(
    ["&", "%", "2", "0", "#", ";", "nbsp", "é", "３", "٣", "\\", '"', "u", "x", " ", "²", "K", "ſ"]
)


@given(
    before=st.lists(PIECES, max_size=6), after=st.lists(PIECES, max_size=6), spelling=st.sampled_from(sorted(VEILED))
)
def test_what_is_found_in_the_encoded_text_is_what_the_text_itself_holds(
    before: list[str], after: list[str], spelling: str
) -> None:
    names = AccountNames([Account("SK-12345678", "ref")], others=["ab4711"])
    text = "".join(before) + VEILED[spelling]("SK12345678") + "".join(after)
    assert json.loads(names.outward_bytes(encode({"a": [text]}))) == {"a": [names.outward_text(text)]}
