"""Answers made to hurt whoever reads them, and secrets sent back: nothing of them leaves."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxy.bank import NATIVE, Answer, Bank
from tests.proxy.proxy_world import TOKEN
from tests.proxy.raw import Exchange, answer, transactions
from tests.proxy.supplier import KIND, Supplier, feed

MEGABYTE = 2**20
Attack = Callable[[str], str]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def refused(bank: Bank, *, seconds: float = 1.0) -> Answer:
    """A refusal of the answer, quick and small, in the person's log. Seconds of CPU: a busy machine is no fault."""
    before, began = resident(), time.process_time()
    found = bank.reads()
    took = time.process_time() - began
    assert (found.status, found.reason) in ((502, "organisation_answer_invalid"), (502, "too_large")), found.body[:300]
    assert took < seconds and resident() - before < 50 * MEGABYTE
    assert "access" not in bank.world.kinds(bank.person)
    return found


# ---- XML

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BILLION = f'<!DOCTYPE feed [<!ENTITY l0 "canary-laugh">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE feed [<!ENTITY a "{"x" * 50_000}">]>'


def doctype(declared: str, inside: str = "") -> Attack:
    return lambda text: text.replace("<feed", declared + "<feed", 1).replace("<value>450", f"<value>{inside}450", 1)


XML: dict[str, Attack] = {
    "billion laughs": doctype(BILLION, "&l9;"),
    "quadratic": doctype(QUADRATIC, "&a;" * 5000),
    "a file": doctype('<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;"),
    "an address": doctype('<!DOCTYPE feed [<!ENTITY a SYSTEM "http://127.0.0.1:LURE/a">]>', "&a;"),
    "a parameter": doctype('<!DOCTYPE feed [<!ENTITY % a SYSTEM "http://127.0.0.1:LURE/b"> %a;]>'),
    "an outside DTD": doctype('<!DOCTYPE feed SYSTEM "http://127.0.0.1:LURE/c.dtd">'),
    "xinclude": lambda text: text.replace(
        "<value>", '<value><i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>', 1
    ),
    "a stylesheet": lambda text: text.replace(
        "<feed", '<?xml-stylesheet href="http://127.0.0.1:LURE/d.xsl"?><!DOCTYPE feed><feed', 1
    ),
    "attributes": lambda text: text.replace(
        "<IntervalReading>", "<IntervalReading " + " ".join(f'a{n}="1"' for n in range(100_000)) + ">", 1
    ),
    "namespaces": lambda text: text.replace(
        "<IntervalReading>",
        "<IntervalReading " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(20_000)) + ' xml:base="1">',
        1,
    ),
    "depth": lambda text: text.replace("<IntervalReading>", "<IntervalReading>" * 100_000, 1),
    "closed depth": lambda text: text.replace("<kind>0</kind>", "<a>" * 100_000 + "</a>" * 100_000),
    "one long name": lambda text: text.replace("<IntervalReading>", f"<{'a' * 1_000_000}/><IntervalReading>", 1),
    "one long value": lambda text: text.replace("<value>450", "<value>" + "4" * 1_000_000, 1),
    "comments": lambda text: text.replace("<IntervalReading>", "<IntervalReading><!-- " * 20_000, 1),
    "UTF-7": lambda text: text.replace("UTF-8", "UTF-7"),
    "a nul": lambda text: text.replace("<value>450", "<value>4\x0050", 1),
    "cut off": lambda text: text[: len(text) // 2],
    "nothing": lambda text: "",
}


class Lure:
    """A port of this machine that nobody may knock at."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.knocks = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self.socket.accept()[0].close()
                self.knocks += 1
        except OSError:
            return


@pytest.fixture(scope="module")
def lure() -> Iterator[Lure]:
    made = Lure()
    yield made
    made.socket.close()


def test_the_suppliers_good_feed_is_given(supplier: Supplier) -> None:
    supplier.organisation.says(answer(feed(), kind=KIND))
    found = supplier.reads()
    assert found.status == 200 and found.body.count(b"<IntervalReading>") == 24
    assert POINT_AND_SUBSCRIPTION.isdisjoint(found.body.split(b"/"))
    assert "Subscription/subscription-one" in supplier.organisation.seen[-1].target


POINT_AND_SUBSCRIPTION = {b"point-one", b"subscription-one"}


def raw(bank: Bank) -> bytes:
    """Every byte of the answer, whether it is whole or was cut."""
    with socket.create_connection(("127.0.0.1", bank.world.port), timeout=10) as connection:
        connection.sendall(
            f"GET {bank.path} HTTP/1.1\r\nHost: {bank.world.settings.host_header}\r\n"
            f"Authorization: Bearer {bank.token}\r\nConnection: close\r\n\r\n".encode()
        )
        said = b""
        while piece := connection.recv(2**20):
            said += piece
    return said


@pytest.mark.parametrize("how", ["whole", "gzip", "stream"])
@pytest.mark.parametrize("name", XML)
def test_xml_made_to_hurt_is_refused_at_once(supplier: Supplier, lure: Lure, name: str, how: str) -> None:
    """Above what is held whole (256 KiB in this world) it is cut as it comes: what breaks after the first byte is a
    connection cut short, never an answer that looks whole."""
    good = feed(200 if how == "stream" else 1).decode()
    body = XML[name](good).replace("LURE", str(lure.socket.getsockname()[1])).encode()
    framed = answer(gzip.compress(body), kind=KIND, Content_Encoding="gzip")
    supplier.organisation.says(framed if how == "gzip" else answer(body, kind=KIND))
    before, began = resident(), time.process_time()
    said = raw(supplier)
    assert time.process_time() - began < 1.0 and resident() - before < 50 * MEGABYTE
    if said.startswith(b"HTTP/1.1 200"):
        assert not said.endswith(b"0\r\n\r\n") and b"chunked" in said
    else:
        assert said.startswith(b"HTTP/1.1 502")
    assert b"root:" not in said and b"canary" not in said and b"</feed>" not in said
    assert lure.knocks == 0
    assert "delivered" not in [entry.get("outcome") for entry in supplier.log()]


# ---- JSON

HOLE = b'"canary-narrative"'


def with_hole(text: bytes) -> bytes:
    """A good page of transactions, `text` in the place of a member that is read and withheld."""
    whole = transactions(NATIVE)
    assert whole.count(HOLE) == 1
    return whole.replace(HOLE, text)


DEPTH = 100_000
JSON = {
    "arrays": b"[" * DEPTH,
    "closed arrays": b"[" * DEPTH + b"]" * DEPTH,
    "objects": b'{"a":' * DEPTH,
    "closed objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "half a pair": b'"\\ud800"',
    "bytes": b'"\xff\xfe"',
    "overlong": b'"\xc0\xaf"',
    "a control character": b'"\x01"',
    "an open string": b'"' + b"x" * 200_000,
    "a leading zero": b"007",
    "a comment": b"1/* */",
}


@pytest.mark.parametrize("name", JSON)
def test_json_made_to_hurt_is_refused_at_once(bank: Bank, name: str) -> None:
    bank.organisation.says(answer(JSON[name]))
    refused(bank)
    bank.organisation.says(answer(with_hole(JSON[name])))
    refused(bank)
    bank.organisation.reset()
    assert bank.reads().status == 200


@pytest.mark.parametrize("text", [b"1" * 100_000, b"1e400", b"-1E+400", b"[1e400]"])
def test_numbers_beyond_all_bounds_are_read_over_where_they_are_withheld(bank: Bank, text: bytes) -> None:
    bank.organisation.says(answer(with_hole(text)))
    found = bank.reads()
    assert found.status in (200, 502) and text not in found.body
    if found.status == 200:
        json.loads(found.body)


@pytest.mark.parametrize("text", [b'"10.50"', b'"1e400"', b'"NaN"', b'"' + b"9" * 100_000 + b'"'])
def test_an_amount_passes_as_text_and_is_never_counted_with(bank: Bank, text: bytes) -> None:
    bank.organisation.says(answer(transactions(NATIVE).replace(b'"10.50"', text)))
    found = bank.reads()
    assert found.status in (200, 502)
    if found.status == 200:
        assert json.dumps(found.json["Data"]["Transaction"][0]["Amount"]["Amount"]).encode() == text


@pytest.mark.parametrize("twice", ["AccountId", "Amount", "Data", "Transaction"])
def test_of_a_member_given_twice_one_is_given_at_most_and_never_mallorys(bank: Bank, twice: str) -> None:
    """Which of the two counts is not the question: what is checked is what is given."""
    member = json.loads(transactions("00099999", count=1))
    planted = {
        "AccountId": '"00099999"',
        "Amount": '{"Amount": "666.00", "Currency": "EUR"}',
        "Data": json.dumps(member["Data"]),
        "Transaction": json.dumps(member["Data"]["Transaction"]),
    }[twice]
    good = transactions(NATIVE).decode()
    for body in (good.replace(f'"{twice}":', f'"{twice}": {planted}, "{twice}":', 1), _after(good, twice, planted)):
        bank.organisation.says(answer(body.encode()))
        found = bank.reads()
        assert found.status in (200, 502)
        assert b"00099999" not in found.body
        for row in found.json["Data"]["Transaction"] if found.status == 200 else []:
            assert row["AccountId"] == bank.ref and len(set(row)) == len(row)
        assert json.loads(found.body, object_pairs_hook=_no_twins)


def _after(text: str, name: str, planted: str) -> str:
    """The same with the member once more, after the first."""
    at = text.index(f'"{name}":')
    _, end = json.JSONDecoder().raw_decode(text, at + len(name) + 4)
    return f'{text[:end]}, "{name}": {planted}{text[end:]}'


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_every_malformed_text_is_refused_and_none_is_a_fault(bank: Bank, shared: Path) -> None:
    for path in sorted((shared / "vectors/json-parsing").glob("[niy]_*.json")):
        bank.organisation.says(answer(path.read_bytes()))
        assert bank.reads().status == 502, path.name  # well-formed ones are no answers of a bank either
    bank.organisation.reset()
    assert bank.reads().status == 200


def test_no_malformed_text_hides_where_nothing_is_given(bank: Bank, shared: Path) -> None:
    seen = 0
    for path in sorted((shared / "vectors/json-parsing").glob("[ny]_*.json")):
        text = path.read_bytes()
        body = with_hole(text)
        bank.organisation.says(answer(body))
        found = bank.reads()
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            assert found.status == 502, (path.name, found.body[:200])
        else:
            assert found.status in (200, 502), path.name
        assert found.status != 200 or json.loads(found.body)["Data"]["Transaction"]
        seen += 1
    assert seen > 200


# ---- the organisation's own credential, sent back

EVERYWHERE = {"Location": TOKEN, "Set_Cookie": f"t={TOKEN}", "Via": TOKEN, "WWW_Authenticate": f'Bearer x="{TOKEN}"',
              "Link": f"<{TOKEN}>", "X_Request_Id": TOKEN, "ETag": TOKEN, "Server": TOKEN}  # fmt: skip


@pytest.mark.parametrize(
    "status", ["200 OK", "201 Created", "302 Found", "307 Temporary Redirect", "400 Bad Request", "401 Unauthorized",
               "403 Forbidden", "404 Not Found", "410 Gone", "429 Too Many Requests", "500 Oops", "503 Unavailable"]
)  # fmt: skip
def test_the_organisations_credential_never_reaches_the_app(
    bank: Bank, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.organisations.tokens.refreshed", lambda *_, **__: None)

    async def behave(exchange: Exchange) -> None:
        assert exchange.headers["authorization"] == f"Bearer {TOKEN}"  # there is something to send back
        body = with_hole(json.dumps(TOKEN).encode())
        await exchange.say(answer(body, status, **EVERYWHERE))

    bank.organisation.behaviour = behave
    found = bank.reads()
    assert found.status == 200 if status == "200 OK" else found.status >= 400
    assert TOKEN.encode() not in found.body and TOKEN not in str(found.headers)
    assert "location" not in found.headers and "set-cookie" not in found.headers
    assert TOKEN not in json.dumps(bank.log())


@pytest.mark.parametrize(
    ("said", "told"),
    [("120", "120"), ("0", "1"), ("99999999", "86400"), ("Fri, 31 Dec 2027 23:59:59 GMT", ""), ("-5", "")],
)
@pytest.mark.parametrize(("status", "usual"), [("429 Too Many Requests", "1"), ("503 Service Unavailable", None)])
def test_how_long_an_organisation_says_to_wait_reaches_the_app(
    bank: Bank, status: str, usual: str | None, said: str, told: str
) -> None:
    bank.organisation.says(answer(b"{}", status, Retry_After=said))
    found = bank.reads()
    assert found.status in (502, 503) and found.headers.get("retry-after") == (told or usual)


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_what_is_not_there_and_what_is_withheld_are_told_alike_and_blame_nobody(bank: Bank, status: str) -> None:
    bank.organisation.says(answer(b"{}", status))
    found = bank.reads()
    assert (found.status, found.reason) == (404, "not_there")
    assert bank.log()[-1]["reason"] == "not_there"
