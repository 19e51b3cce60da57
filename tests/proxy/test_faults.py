"""Everything an organisation can do wrong: a problem for the app, an entry for the person, no data."""

import gzip
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.proxy.bank import NATIVE, Bank
from tests.proxy.raw import Exchange, answer, transactions

GOOD = answer(transactions(NATIVE))
BODY = transactions(NATIVE)
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/secret\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def length(body: bytes, count: int | None = None) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % (len(body) if count is None else count) + body


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"garbage\r\n\r\n", "organisation_answer_invalid"),
        (b"\x16\x03\x01\x02\x00", "organisation_answer_invalid"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhelloo", "organisation_answer_invalid"),
        (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "organisation_answer_invalid"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "organisation_answer_invalid"),
        (OK + b"Content-Length: -5\r\n\r\nhello", "organisation_answer_invalid"),
        (OK + b"X-A: b\nX-B: c\r\n\r\n", "organisation_answer_invalid"),
        (OK + b"X-A: b\x00\r\nContent-Length: 2\r\n\r\n{}", "organisation_answer_invalid"),
        (OK + b"X : b\r\nContent-Length: 2\r\n\r\n{}", "organisation_answer_invalid"),
        (OK + b"X-A: " + b"x" * 300_000, "organisation_answer_invalid"),
        (OK + b"X-A: x\r\n" * 20_000, "organisation_answer_invalid"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + GOOD, "organisation_answer_invalid"),
        (SWITCH, "organisation_answer_invalid"),
        (length(BODY, len(BODY) + 10), "organisation_answer_invalid"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "organisation_answer_invalid"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n", "organisation_answer_invalid"),
        (length(BODY[:-20]), "organisation_answer_invalid"),
        (length(BODY.replace(b'"Data"', b'"Surprise"')), "organisation_answer_invalid"),
        (answer(b"<html>hello</html>", kind="text/html"), "organisation_answer_invalid"),
        (answer(BODY, kind="text/html"), "organisation_answer_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "organisation_answer_invalid"),
        (b"HTTP/1.1 204 No Content\r\n\r\nleftover", "organisation_answer_invalid"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\n{}", "organisation_answer_invalid"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "organisation_answer_invalid"),
        (REDIRECT, "organisation_answer_invalid"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\nsecret", "organisation_refused"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 6\r\n\r\nsecret", "organisation_refused"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 6\r\n\r\nsecret", "organisation_unavailable"),
        (b"", "organisation_unavailable"),
    ],
)  # fmt: skip
def test_an_unusable_answer_gives_nothing_and_is_written_down(bank: Bank, said: bytes, reason: str) -> None:
    bank.organisation.says(said, close=True)
    found = bank.reads()
    assert found.status == 502, found.body
    assert found.reason == reason
    assert b"secret" not in found.body and b"127.0.0.1" not in found.body and b"canary" not in found.body
    assert "location" not in found.headers
    assert (bank.log()[-1]["event"], bank.log()[-1]["reason"]) == ("denied", reason)
    assert "access" not in bank.world.kinds(bank.person)


def test_nothing_there_is_a_404_with_an_entry(bank: Bank) -> None:
    bank.organisation.says(answer(b"secret", "404 Not Found", "text/plain"))
    found = bank.reads()
    assert found.status == 404 and b"secret" not in found.body
    assert bank.log()[-1]["status"] == 404


def test_a_reset_in_the_middle_passes_nothing(bank: Bank) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.say(length(BODY)[:200], 0.05)
        await exchange.reset()

    bank.organisation.behaviour = behave
    assert bank.reads().status == 502


def test_bytes_left_over_never_reach_the_next_caller(bank: Bank) -> None:
    mallory = answer(transactions(NATIVE, count=7))
    for together in (True, False):
        bank.organisation.says(*((GOOD + mallory,) if together else (GOOD, 0.1, mallory)))
        first = bank.reads()
        assert len(first.json["Data"]["Transaction"]) == 1
        time.sleep(0.2)
        bank.organisation.reset()
        assert len(bank.reads().json["Data"]["Transaction"]) == 1
        assert len({seen.connection for seen in bank.organisation.seen}) == 1
    connections = bank.organisation.connections
    bank.reads()
    assert bank.organisation.connections == connections  # a good one is kept


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_body_on_an_answer_without_one_is_dropped_with_its_connection(bank: Bank, status: str) -> None:
    before = bank.organisation.connections
    bank.organisation.says(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello".encode())
    assert bank.reads().status == 502
    bank.organisation.reset()
    assert bank.reads().status == 200
    assert bank.organisation.connections > before + 0


def test_a_dead_pooled_connection_is_tried_once_more(bank: Bank) -> None:
    assert bank.reads().status == 200

    async def behave(exchange: Exchange) -> None:
        first = len(bank.organisation.seen) == 2
        await (exchange.reset() if first else exchange.say(GOOD))

    bank.organisation.behaviour = behave
    assert bank.reads().status == 200
    assert len(bank.organisation.seen) == 3


def test_a_new_connection_that_dies_is_not_tried_again(bank: Bank) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.reset()

    bank.organisation.behaviour = behave
    assert bank.reads().status == 502
    assert len(bank.organisation.seen) <= 2


def test_an_interim_answer_before_the_final_one_is_fine(bank: Bank) -> None:
    bank.organisation.says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0.02, GOOD)
    assert bank.reads().status == 200


def test_an_answer_byte_by_byte_is_put_together(bank: Bank) -> None:
    bank.organisation.says(*[GOOD[at : at + 7] for at in range(0, len(GOOD), 7)])
    assert bank.reads().status == 200


def test_chunks_and_an_answer_until_close_are_read(bank: Bank) -> None:
    bank.organisation.says(OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert bank.reads().status == 200
    bank.organisation.says(OK + b"Connection: close\r\n\r\n" + BODY, close=True)
    assert bank.reads().status == 200


# ---- time


def test_silence_is_a_504_within_the_declared_time(bank: Bank, world, organisation) -> None:  # type: ignore[no-untyped-def]
    slow = Bank(world, organisation, timeout_seconds=1.0)
    organisation.says(30.0)
    begun = time.monotonic()
    found = slow.reads()
    assert (found.status, found.reason) == (504, "organisation_slow")
    assert time.monotonic() - begun < 3
    assert slow.log()[-1]["reason"] == "organisation_slow"


def test_a_trickle_is_cut_at_the_total_time(bank: Bank) -> None:
    bank.organisation.says(length(b"", 10_000), *[part for _ in range(100) for part in (b" ", 0.2)])
    begun = time.monotonic()
    assert bank.reads().status == 504
    assert time.monotonic() - begun < 9  # total_seconds of this world is 6


def test_one_slow_organisation_does_not_hold_up_another(bank: Bank, world, organisation) -> None:  # type: ignore[no-untyped-def]
    slow = Bank(world, organisation, timeout_seconds=1.0, max_calls=2)

    async def behave(exchange: Exchange) -> None:
        await exchange.say(*((30.0,) if exchange.headers["host"].startswith("localhost") else (GOOD,)))

    world.organisation(slow.id, "bank", organisation.url.replace("127.0.0.1", "localhost"),
                       {"bank.transactions": ["/open-banking/v4.0/aisp/accounts/{account}/transactions"]},
                       timeout_seconds=1.0, max_calls=2)  # fmt: skip
    organisation.behaviour = behave
    with ThreadPoolExecutor(12) as pool:
        stuck = [pool.submit(slow.reads) for _ in range(8)]
        time.sleep(0.2)
        begun = time.monotonic()
        assert bank.reads().status == 200
        assert time.monotonic() - begun < 1.0
        assert {each.result().status for each in stuck} <= {504, 503}
        assert {each.result().status for each in stuck} == {504, 503}


def test_of_the_places_at_an_organisation_each_process_has_its_part(bank: Bank, world, organisation) -> None:  # type: ignore[no-untyped-def]
    slow = Bank(world, organisation, max_calls=4)
    at_once = [0, 0]  # now, and at most

    async def behave(exchange: Exchange) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await exchange.say(0.1, GOOD)
        at_once[0] -= 1

    organisation.behaviour = behave

    def most(processes: int) -> int:
        world.loop.call_soon_threadsafe(world.house.connector.share, processes)
        at_once[1] = 0
        with ThreadPoolExecutor(6) as pool:
            assert {each.status for each in pool.map(lambda _: slow.reads(), range(6))} <= {200, 503}
        return at_once[1]

    assert [most(1), most(2), most(9), most(1)] == [4, 2, 1, 4]


def test_the_breaker_spares_a_dead_organisation_and_lets_it_come_back(bank: Bank, world, organisation) -> None:  # type: ignore[no-untyped-def]
    dead = Bank(world, organisation, max_calls=31)
    organisation.says(b"", close=True)
    for _ in range(6):
        assert dead.reads().status == 502
    before = len(organisation.seen)
    assert [dead.reads().status for _ in range(3)] == [502] * 3
    assert len(organisation.seen) == before
    organisation.reset()
    time.sleep(2.2)
    assert dead.reads().status == 200


# ---- size and coding


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_coded_answer_is_expanded(bank: Bank, coding: str) -> None:
    body = gzip.compress(BODY) if coding == "gzip" else zlib.compress(BODY)
    bank.organisation.says(answer(body, Content_Encoding=coding))
    assert bank.reads().status == 200


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(b"0" * 50_000_000), "gzip"),
        (zlib.compress(b"0" * 50_000_000), "deflate"),
        (gzip.compress(BODY)[:-9], "gzip"),
        (b"no gzip at all", "gzip"),
        (gzip.compress(BODY) + b"more", "gzip"),
        (BODY, "br"),
        (BODY, "zstd"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
    ],
)
def test_bombs_and_broken_or_unknown_codings_are_cut(bank: Bank, body: bytes, coding: str) -> None:
    bank.organisation.says(answer(body, Content_Encoding=coding))
    begun = time.monotonic()
    assert bank.reads().status == 502
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_above_the_limit_is_refused_where_it_cannot_be_cut_as_a_stream(bank: Bank, announced: bool) -> None:
    body = transactions(NATIVE, count=3000)
    framed = answer(body) if announced else OK + b"Connection: close\r\n\r\n" + body
    bank.organisation.says(framed, close=not announced)
    found = bank.reads()
    assert (found.status, found.reason) == (502, "too_large")


def test_an_endless_answer_is_cut(bank: Bank) -> None:
    bank.organisation.says(OK + b"Connection: close\r\n\r\n", *[b" " * 100_000 for _ in range(200)])
    assert bank.reads().status == 502


# ---- credentials


def test_a_token_the_organisation_refuses_is_renewed_once(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str | None] = []

    def refreshed(house, link, now, *, refused=None):  # type: ignore[no-untyped-def]
        calls.append(refused)

    monkeypatch.setattr("gateway.organisations.tokens.refreshed", refreshed)
    bank.organisation.says(answer(b"{}", "401 Unauthorized"))
    found = bank.reads()
    assert (found.status, found.reason) == (403, "not_linked")
    assert calls == ["organisation-token"]


def test_a_renewed_link_that_is_still_refused_is_the_organisations_fault(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.organisations.tokens.refreshed", lambda *_, **__: "a link")
    bank.organisation.says(answer(b"{}", "401 Unauthorized"))
    found = bank.reads()
    assert (found.status, found.reason) == (502, "organisation_refused")
    assert len(bank.organisation.seen) == 2
    assert "www-authenticate" not in found.headers
