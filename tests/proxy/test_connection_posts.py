"""Reads by POST: the body is the gateway's own, and what may not be repeated is sent once."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.formats.json_plan import JsonPlan
from gateway.formats.model import Denied, Upstream
from gateway.ground.http.connector import ConnectorError, OutboundRequest, Target
from gateway.ground.keys import fresh
from gateway.organisations import calls, links
from gateway.organisations.links import Matched
from tests.proxy.clerk import Clerk, api_key, digest, signature
from tests.proxy.connected_world import HEADER, NUMBER, Connected, Connection, view_of
from tests.proxy.connection_texts import KEY, SIGNED
from tests.proxy.raw import RawOrganisation, answer

BODY = b'{"customer": "{customer}", "since": "2026-01-01"}'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    with Connected(tmp_path_factory.mktemp("aval")).serving() as serving:
        assert isinstance(serving, Connected)
        yield serving


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    with Clerk(api_key("x-api-key", "s")).running() as running:
        yield running


def posting(upstream: Upstream, body: bytes = BODY, kind: str = "application/json") -> Upstream:
    return Upstream(
        upstream.dataset, upstream.path, (), upstream.accept, upstream.accounts, operation=upstream.operation,
        method="POST", body=body, content_type=kind,
    )  # fmt: skip


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sector that reads by POST."""
    plain = JsonPlan.request

    def request(self: JsonPlan, asked: Any, window: Any) -> Upstream | Denied:
        found = plain(self, asked, window)
        return posting(found) if isinstance(found, Upstream) else found

    monkeypatch.setattr(JsonPlan, "request", request)


@pytest.mark.inside
def test_a_data_call_is_posted_with_the_body_that_was_written_here(
    world: Connected, clerk: Clerk, posted: None
) -> None:
    clerk.customer = lambda sent: sent.json["customer"] if sent.method == "POST" else sent.headers["x-customer"]
    alice = Connection(world, clerk, KEY + NUMBER + HEADER, SECRET="s").person()
    assert alice.links_by_number().status == 303
    assert alice.shares().reads(Content_Type="text/plain").status == 200
    sent = clerk.data[-1]
    assert (sent.method, sent.json) == ("POST", {"customer": "HB-1", "since": "2026-01-01"})
    assert sent.headers["content-type"] == "application/json"


@pytest.mark.inside
def test_the_body_is_signed(world: Connected, clerk: Clerk, posted: None) -> None:
    at = Connection(world, clerk, SIGNED + NUMBER + HEADER)
    check = clerk.proof = signature(world.house.keys, lambda sent: clerk.url + sent.target)
    alice = at.person()
    assert alice.links_by_number().status == 303
    assert alice.shares().reads().status == 200
    sent = clerk.data[-1]
    assert sent.headers["content-digest"] == digest(sent.body)
    sent.body = sent.body.replace(b"HB-1", b"HB-2")
    assert not check(sent)
    sent.headers["content-digest"] = digest(sent.body)
    assert not check(sent)


@pytest.mark.parametrize(
    ("kind", "body", "written"),
    [
        ("application/json", b'{"c": "{customer}"}', b'{"c": "A\\"1"}'),
        ("application/x-www-form-urlencoded", b"c={customer}", b"c=A%221"),
        ("application/soap+xml", b"<c>{customer}</c>", b"<c>A&quot;1</c>"),
    ],
)
def test_the_customer_is_written_as_the_type_of_the_body_wants_it(
    world: Connected, clerk: Clerk, kind: str, body: bytes, written: bytes
) -> None:
    line = reading(world, clerk, 'A"1')
    clerk.also["/search"] = lambda sent: (200, {})
    line.fetch(Upstream("bank.accounts", "/search", (), "application/json", (), method="POST", body=body,
                        content_type=kind))  # fmt: skip
    assert clerk.seen[-1].body == written


@pytest.mark.parametrize(("kind", "body"), [("text/csv", b"{customer}"), ("application/json", b"{}")])
def test_a_call_that_names_nobody_is_not_made(world: Connected, clerk: Clerk, kind: str, body: bytes) -> None:
    line = reading(world, clerk, "HB-1")
    before = len(clerk.seen)
    with pytest.raises(ConnectorError, match="organisation_refused"):
        line.fetch(Upstream("bank.accounts", "/search", (), "application/json", (), method="POST", body=body,
                            content_type=kind))  # fmt: skip
    assert len(clerk.seen) == before


def test_words_in_path_and_query_are_the_links_own(world: Connected, clerk: Clerk) -> None:
    line = reading(world, clerk, "A/1&x=2")
    clerk.also["/c/A%2F1%26x%3D2/all"] = lambda sent: (200, {})
    query = (("of", "{customer}"), ("page", "x{customer}"))
    line.fetch(Upstream("bank.accounts", "/c/{customer}/all", query, "application/json", (), placed=frozenset({"of"})))
    assert clerk.seen[-1].query == {"of": "A/1&x=2", "page": "x{customer}"}


def reading(world: Connected, clerk: Clerk, customer: str) -> calls.Line:
    """Of a link whose organisation's own format names the customer by the word."""
    paths = ["/c/{customer}/all"]
    text = KEY + NUMBER + HEADER
    at = Connection(world, clerk, text, SECRET="s")
    row = world.row("SELECT declaration FROM organisation WHERE id = ?", at.id)[0]
    document = json.loads(row) if isinstance(row, str) else row
    del document["connection"]["person"]
    document["datasets"] = [{"id": "bank.accounts", "paths": paths}]
    world.run(
        "UPDATE organisation SET declaration = :declaration, declaration_sha256 = :sha WHERE id = :id",
        declaration=json.dumps(document), sha=fresh(), id=at.id,
    )  # fmt: skip
    alice = at.person()
    with world.house.store.write() as session:
        link, _ = links.make(
            session, world.house.keys, alice.id, at.id, world.clock(), new_id=fresh(), held=Matched(customer)
        )
    assert alice.link
    return calls.Line(world.house, view_of(at), alice.link, fresh(16))


# ---- the connector


def ask(world: Connected, target: Target, method: str, body: bytes = b"", times: int = 1) -> list[int]:
    async def all_of_them() -> list[int]:
        connector: Any = world.house.connector
        found = []
        for _ in range(times):
            got = await connector.get(OutboundRequest(target, method, "/x", [], body))
            found.append(got.status)
            await got.read(1000)
        return found

    return asyncio.run_coroutine_threadsafe(all_of_them(), world.loop).result(20)


def test_every_post_has_a_connection_of_its_own_and_few_are_kept(world: Connected) -> None:
    with RawOrganisation.running() as organisation:
        organisation.says(answer(b"{}"))
        target = Target("posts", organisation.url, ("127.0.0.0/8",), max_calls=2)
        assert ask(world, target, "POST", b"", times=5) == [200] * 5
        assert organisation.connections == 5
        assert ask(world, target, "GET", times=5) == [200] * 5
        assert organisation.connections == 5
        pool = world.house.connector._pools[target]  # type: ignore[attr-defined]
        assert len(pool.idle) <= 2
        assert b"content-length: 0\r\n" in organisation.seen[0].raw


def test_a_post_that_fails_before_the_answer_is_sent_once(world: Connected) -> None:
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    came.append(connection.recv(65536))

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ConnectorError) as fault:
            ask(world, Target("fails", url, ("127.0.0.0/8",)), "POST", b"{}")
        listening.shutdown(socket.SHUT_RDWR)
    assert fault.value.reason == "organisation_unavailable"
    assert len(came) == 1 and came[0].endswith(b"content-length: 2\r\n\r\n{}")
