"""Who may be here at once: connections of one address and of all, and organisations that are slow together."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from gateway.formats.model import FoundAccount
from gateway.organisations import links
from gateway.people.tables import Person
from tests.proxy.bank import NATIVE, PATHS, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation, answer, transactions

HERE, THERE = "127.0.0.1", "127.0.0.2"  # both are this machine; a connection may come from either


@contextlib.contextmanager
def serving(folder: Path, **limits: Any) -> Iterator[World]:
    with World(folder, log_fsync=False, **limits).serving() as world:
        yield world


@contextlib.contextmanager
def connections(
    world: World, count: int, address: str = HERE, begun: bytes = b"GET / HT"
) -> Iterator[list[socket.socket]]:
    """That many slow visitors of one address, each in the middle of a request."""
    with contextlib.ExitStack() as opened:
        made = []
        for _ in range(count):
            made.append(opened.enter_context(socket.create_connection((HERE, world.port), 5, (address, 0))))
            with contextlib.suppress(ConnectionError):
                made[-1].sendall(begun)
        yield made


def served(world: World, address: str = HERE) -> bool:
    """Whether a whole request of this address, on a connection of its own, is answered with 200."""
    line = f"GET /hello HTTP/1.1\r\nHost: {world.settings.host_header}\r\nConnection: close\r\n\r\n"
    said = b""
    with (
        socket.create_connection((HERE, world.port), 5, (address, 0)) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(line.encode())
        while piece := connection.recv(65536):
            said += piece
    assert said.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")) or not said, said
    return said.startswith(b"HTTP/1.1 200")


def eventually(claim: Any, seconds: float = 3.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not claim():
        time.sleep(0.02)
    return bool(claim())


def test_one_address_cannot_take_every_place(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=8, connections=100) as world:
        with connections(world, 8):
            assert not served(world)
            assert served(world, THERE)
        assert eventually(lambda: served(world))


def test_who_comes_too_many_is_sent_away_at_once_and_holds_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=3, connections=100) as world, connections(world, 3):
        began = time.monotonic()
        for _ in range(50):
            assert not served(world)
        assert time.monotonic() - began < 10.0  # one alone would be held for ten seconds
        assert served(world, THERE)


def test_all_together_have_a_limit_too(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=100, connections=6) as world:
        with connections(world, 4), connections(world, 2, THERE):
            assert not served(world) and not served(world, THERE) and not served(world, "127.0.0.3")
        assert eventually(lambda: served(world))


def test_a_place_is_free_again_however_its_connection_ended(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=4, connections=100) as world:
        endings = [b"", b"GET / HT", b"rubbish\n\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"]
        for number in range(20):
            with connections(world, 3, begun=endings[number % len(endings)]) as made:
                if number % 2:  # a reset instead of a goodbye
                    made[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            assert eventually(lambda: served(world)), number
        with connections(world, 4):
            assert not served(world)


def test_a_trusted_proxy_stands_for_many(tmp_path: Path) -> None:
    limits = {"address_connections": 2, "connections": 12, "trusted_proxies": (f"{THERE}/32",)}
    with serving(tmp_path, **limits) as world, connections(world, 8, THERE):
        assert served(world, THERE)
        with connections(world, 2):
            assert not served(world)


def test_zero_is_no_limit(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=0, connections=0, address_heads=0) as world, connections(world, 300):
        assert served(world)


def test_requests_one_after_the_other_take_one_place(tmp_path: Path) -> None:
    with serving(tmp_path, address_connections=1, connections=1) as world:
        line = f"GET /hello HTTP/1.1\r\nHost: {world.settings.host_header}\r\n\r\n".encode()
        with socket.create_connection((HERE, world.port), 5) as connection:
            for _ in range(5):
                connection.sendall(line)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_unfinished_heads_of_one_address_are_few(tmp_path: Path) -> None:
    line = "GET /hello HTTP/1.1\r\nHost: {}\r\n"
    with serving(tmp_path, address_heads=3) as world:
        begun = line.format(world.settings.host_header).encode()
        with connections(world, 3, begun=begun) as made, connections(world, 1) as late, connections(world, 1, THERE):
            assert late[0].recv(65536).startswith(b"HTTP/1.1 503 ")
            assert served(world)  # a head that comes whole waits for nothing
            for connection in made:
                connection.sendall(b"\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connections(world, 3, begun=begun) as made:  # whoever has ended counts no more
            made[2].sendall(b"\r\n")
            assert made[2].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_unfinished_heads_of_a_trusted_proxy_are_of_many(tmp_path: Path) -> None:
    with serving(tmp_path, address_heads=1, trusted_proxies=(f"{THERE}/32",)) as world:
        begun = f"GET /hello HTTP/1.1\r\nHost: {world.settings.host_header}\r\n".encode()
        with connections(world, 4, THERE, begun) as made:
            for connection in made:
                connection.sendall(b"\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


# ---- what is compiled


def test_what_strangers_do_makes_no_grant_stale_and_what_she_does_makes_hers(world: World, bank: Bank) -> None:
    stranger = Bank(world, bank.organisation)
    held = world.plane._admission._grants._held

    def grant() -> Any:
        assert bank.reads().status == 200
        return held[bank.consent, bank.id, None]

    def changes(whose: Bank, change: Callable[[Any, links.Link], object]) -> None:
        with world.house.store.write() as session:
            link = links.current(session, whose.person, whose.id)
            assert link is not None
            change(session, link)

    keys, now = world.house.keys, world.clock()
    first = grant()
    world.link(stranger.person, bank.id, [NATIVE])  # at her own bank, too
    expire(world, stranger)
    changes(stranger, lambda session, link: links.store_accounts(session, keys, link.id, []))
    changes(stranger, lambda session, link: links.end(session, link.id, now))
    born(world, stranger, date(1990, 1, 1))
    assert grant() is first

    world.link(bank.person, bank.id, [NATIVE, "00099999"])
    second = grant()
    assert second is not first
    changes(bank, lambda session, link: links.store_accounts(session, keys, link.id, [FoundAccount(NATIVE, "a", "a")]))
    third = grant()
    assert third is not second
    born(world, bank, date(1990, 1, 1))
    fourth = grant()
    assert fourth is not third
    world.app("another")
    assert grant() is not fourth
    changes(bank, lambda session, link: links.end(session, link.id, now))
    assert bank.reads().reason == "not_linked"


def born(world: World, bank: Bank, day: date) -> None:
    with world.house.store.write() as session:
        session.get_one(Person, bank.person).birth_date = day


# ---- organisations


def test_many_slow_organisations_hold_up_none_that_answers(
    world: World, bank: Bank, organisation: RawOrganisation
) -> None:
    """Twelve that never answer, each with more calls than it has places, before the one that does."""
    slow = [Bank(world, organisation, timeout_seconds=5.0, max_calls=3) for _ in range(12)]
    # another name of this machine, so that the organisation can tell which calls it leaves without an answer
    elsewhere = organisation.url.replace("127.0.0.1", "localhost")
    for each in slow:
        world.organisation(each.id, "bank", elsewhere, PATHS, timeout_seconds=5.0, max_calls=3)

    async def behave(exchange: Exchange) -> None:
        waits = exchange.headers["host"].startswith("localhost")
        await exchange.say(*((20.0,) if waits else (answer(transactions(NATIVE)),)))

    organisation.behaviour = behave
    with ThreadPoolExecutor(70) as pool:
        stuck = [pool.submit(each.reads) for each in slow for _ in range(5)]
        assert eventually(lambda: len(organisation.seen) >= 36)
        took = []
        for _ in range(30):
            began = time.monotonic()
            assert bank.reads().status == 200
            took.append(time.monotonic() - began)
        assert sorted(took)[15] < 1.0, took
        assert not all(each.done() for each in stuck)  # they were slow all the while
        assert {each.result().status for each in stuck} <= {503, 504}


class Renewing:
    """An OAuth organisation whose token endpoint gives no answer, and the links that need a new token there."""

    def __init__(self, world: World, organisation: RawOrganisation, count: int, *, trickles: bool = False) -> None:
        organisation.reset()
        self.organisation, self.over = organisation, threading.Event()
        first = Bank(world, organisation, timeout_seconds=1.0 if trickles else 10.0)
        self.banks = [first] + [Bank(world, organisation) for _ in range(count - 1)]
        for bank in self.banks:
            bank.id = first.id
            world.link(bank.person, bank.id, [NATIVE])
            bank.ref = world.ref(bank.app, bank.person, bank.id, NATIVE)
            bank.agrees()
            expire(world, bank)

        async def behave(exchange: Exchange) -> None:
            if exchange.target != "/oauth/token":
                await exchange.say(answer(transactions(NATIVE)))
                return
            if trickles:
                await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n")
            while not self.over.is_set():
                await exchange.say(*([b" "] if trickles else []), 0.05)

        organisation.behaviour = behave

    def asked(self) -> int:
        """How many renewals have reached it."""
        return sum(each.target == "/oauth/token" for each in self.organisation.seen)


def expire(world: World, bank: Bank) -> None:
    keys = world.house.keys
    with world.house.store.write() as session:
        link = links.current(session, bank.person, bank.id)
        assert link is not None
        held = links.credentials(keys, link)
        assert held is not None
        assert links.store_credentials(session, keys, link.id, held, replace(held, expires_at=0))


def test_renewals_that_hang_at_one_organisation_hold_up_no_first_read_of_another(
    world: World, bank: Bank, organisation: RawOrganisation
) -> None:
    """A first read looks up a name and compiles a grant."""
    slow = Renewing(world, organisation, 8)
    world.organisation(bank.id, "bank", organisation.url.replace("127.0.0.1", "localhost"), PATHS)
    with ThreadPoolExecutor(8) as pool:
        stuck = [pool.submit(each.reads) for each in slow.banks]
        assert eventually(lambda: slow.asked() >= 4)
        assert bank.reads().status == 200
        assert bank.agrees().reads().status == 200
        assert not any(each.done() for each in stuck), "it had to wait for them"
        slow.over.set()
        organisation.reset()
        assert {each.result().status for each in stuck} <= {502, 503, 504}


def test_many_calls_of_one_link_wait_for_one_renewal(world: World, organisation: RawOrganisation) -> None:
    slow = Renewing(world, organisation, 2)
    mine, other = slow.banks
    with ThreadPoolExecutor(60) as pool:
        stuck = [pool.submit(mine.reads) for _ in range(50)]
        assert eventually(lambda: slow.asked() == 1)
        another = pool.submit(other.reads)
        assert eventually(lambda: slow.asked() == 2), "the calls of one link took every place"
        slow.over.set()
        organisation.reset()
        assert {each.result().status for each in [*stuck, another]} <= {502, 503, 504}
    assert slow.asked() <= 2


def test_a_token_endpoint_that_trickles_opens_the_breaker(tmp_path: Path, organisation: RawOrganisation) -> None:
    with serving(tmp_path, total_seconds=1.2) as world:
        slow = Renewing(world, organisation, 5, trickles=True)
        with ThreadPoolExecutor(5) as pool:
            assert {each.status for each in pool.map(lambda bank: bank.reads(), slow.banks)} == {504}
        before = slow.asked()
        found = slow.banks[0].reads()
        assert (found.status, found.reason) == (502, "organisation_unavailable")
        assert slow.asked() == before == 5
        slow.over.set()
        organisation.reset()
