"""Whatever an organisation writes into a text, looking for account numbers ends soon, fails on nothing, and finds them.

The texts are so long that a search which reads any part of them again and again would not end.
"""

import json

import pytest
from format_documents import ALWAYS, MINE, TYPES, account, bank, granted, plan, sent, transaction
from msgspec.json import encode

from gateway.formats.model import Account, UnknownShape, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.walking import walk
from tests.torture import TORTURE

NUMBER, OTHER, SHORT = "FR7630006000011234567890189", "FR7610107001011234567890129", "00012345"
MANY = 300_000 if TORTURE else 100_000
LONG = {
    "escapes that end in a digit of the number": "\x19" * MANY,
    "escapes with digits of another number": "\x10\x00" * MANY,
    "marks that combine": "a" + "\u0301\u0316" * MANY,
    "characters that stand for eighteen": "\ufdfa" * MANY,
    "a reference of many digits": "&#" + "9" * MANY + ";",
    "a hexadecimal one": "&#x" + "f" * MANY + ";",
    "one layer in another": "%" + "25" * MANY + "30",
    "and in HTML": "&" + "amp;" * MANY + "#48;",
    "percent signs": "%25" * MANY,
    "characters of many kinds": "".join(map(chr, range(0x10000, 0x10000 + MANY))),
    "blanks after a digit of the number": "0" + " " * MANY + "x" + "0 " * MANY,
    "the number without its end": f"{NUMBER[:-1]} " * (MANY // 10),
}


def told(text: str, *, ascii_only: bool = False, native: str = NUMBER) -> str:
    """What an app is told of a transaction with these words, at a bank that may write all else as escapes."""
    of = plan(granted("bank.transactions", (), (Account(native, MINE.ref),), others=(OTHER,)))
    record = transaction(native) | {"TransactionInformation": text}
    body = bank("Transaction", [record])
    if ascii_only:
        body = json.dumps(json.loads(body)).encode()
    found = of.cut(sent(of, "bank", "/transactions"), TYPES["bank"], body, ALWAYS).body
    return json.loads(found)["Data"]["Transaction"][0]["TransactionInformation"]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("native", [NUMBER, SHORT])
@pytest.mark.parametrize("text", LONG)
def test_no_text_stops_the_gateway_and_none_hides_a_number(text: str, native: str, ascii_only: bool) -> None:
    assert told(LONG[text], ascii_only=ascii_only, native=native) == LONG[text]
    hidden = f"{LONG[text]}, {native[:5]}&nbsp;{native[5:]}"
    assert told(hidden, ascii_only=ascii_only, native=native) == f"{LONG[text]}, {MINE.ref}"


def test_only_what_names_the_account_is_changed() -> None:
    numbers = "FR76&nbsp;3000%206000&#48;11234567890189 &amp; ½ FR76 10107001011234567890129"
    shown = f"{MINE.ref} &amp; ½ withheld"
    around = "&lt;img onerror=x&gt; 50%25 ² {}&lt;"
    assert told(around.format(numbers)) == around.format(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"0001\u00302345678", None),
        (r"0001\u00323\u00345678!", "ref!"),
        ("0001%u00323%u00345678!", "ref!"),
        ("❶: ⓿00❶23❹5678", "❶: ref"),
        ("50%00012345678", "50%ref"),  # this and the next are no percent-encoded character before a number
        ("50%0001&nbsp;2345678", "50%ref"),
        ("C:\\u0001%202345678", "C:\\uref"),
        ("0001&am%70;nbsp;2345678", "ref"),
        ("0001&unknown;2345678", None),
        ("0001é2345678", "ref"),
        ("0001é%202345678", "ref"),
        ("0001x2345678", None),
        ("0001%C3%282345678", "ref"),
        ("0001&#0002345678;2345678", "ref"),
        ("&nbsp00012345678&nbsp;", "&nbspref&nbsp;"),
    ],
)
def test_a_number_is_found_where_a_reader_may_see_it(text: str, shown: str | None) -> None:
    names = AccountNames([Account("00012345678", "ref")])
    assert names.outward_text(text) == (text if shown is None else shown)
    for body in (encode({"a": text}), json.dumps({"a": text}).encode()):
        assert json.loads(names.outward_bytes(body)) == {"a": text if shown is None else shown}


@pytest.mark.parametrize("name", ['"A"-42', "\\-12345", "É\u0001-12345"])
def test_a_name_with_characters_that_json_escapes_is_found(name: str) -> None:
    names = AccountNames([Account(name, "ref")])
    for body in (encode({"a": f'x "{name}"'}), json.dumps({"a": f'x "{name}"'}).encode()):
        assert json.loads(names.outward_bytes(body)) == {"a": 'x "ref"'}


@pytest.mark.parametrize("other", [OTHER, " ".join(OTHER), OTHER.lower(), f"{OTHER[:9]}&nbsp;{OTHER[9:]}"])
def test_with_her_number_no_other_of_hers_is_given(other: str) -> None:
    record = account(NUMBER)
    numbers = [NUMBER, f"tx-{NUMBER}", "40 47 52", other, f"{NUMBER}/{other}"]
    record["Account"] = [
        {"SchemeName": "x", "Identification": each, "SecondaryIdentification": each} for each in numbers
    ]
    record["Servicer"] = {"SchemeName": "x", "Identification": other}
    of = plan(granted("bank.accounts", (), (Account(NUMBER, MINE.ref),), others=(OTHER,)))
    found = of.cut(sent(of, "bank", "/accounts"), TYPES["bank"], bank("Account", [record]), ALWAYS).body
    (given,) = json.loads(found)["Data"]["Account"]
    shown = [*numbers[:3], "withheld", f"{NUMBER}/withheld"]
    assert [each["Identification"] for each in given["Account"]] == shown
    assert [each["SecondaryIdentification"] for each in given["Account"]] == shown
    assert given["Servicer"]["Identification"] == "withheld"


@pytest.mark.parametrize("most", [1, 3])
def test_as_many_pages_are_read_as_stated_and_no_more(most: int) -> None:
    of = plan(granted("bank.transactions"))
    first = sent(of, "bank", "/transactions")
    asked: list[Upstream] = []

    def fetch(call: Upstream) -> tuple[str, bytes]:
        asked.append(call)
        return TYPES["bank"], b""

    def read(call: Upstream, _: bytes) -> tuple[int, Upstream | None]:
        following = sent(of, "bank", "/transactions", ("page", str(len(asked) + 1)))
        return len(asked), following if len(asked) < last else None

    last = most
    assert list(walk(fetch, first, read, "Links.Next", most)) == list(range(1, most + 1))
    asked.clear()
    last = most + 1
    with pytest.raises(UnknownShape, match="Links.Next"):
        list(walk(fetch, first, read, "Links.Next", most))
    assert len(asked) == most
