"""How often calls may come: per app, per app and person, per organisation; and that nothing gets around it."""

import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.proxy import rates
from gateway.proxy.rates import Buckets, Rates
from gateway.proxy.tokens import Token
from gateway.settings import Settings
from tests.proxy.bank import BASE, FIELDS, NATIVE, NOON, Bank
from tests.proxy.proxy_world import World, exchange, statuses
from tests.proxy.raw import RawOrganisation

START = 1_800_000_000.0


def calls(buckets: Buckets, key: str, now: float) -> bool:
    if buckets.wait(key, now):
        return False
    buckets.take(key, now)
    return True


# ---- the buckets


def test_a_minutes_worth_fits_at_once_and_then_one_for_each_step() -> None:
    buckets = Buckets(60)
    assert [calls(buckets, "a", START) for _ in range(61)] == [True] * 60 + [False]
    assert buckets.wait("a", START) == pytest.approx(1.0)
    assert not calls(buckets, "a", START + 0.9)
    assert calls(buckets, "a", START + 1.0) and not calls(buckets, "a", START + 1.0)
    assert [calls(buckets, "a", START + 61.0) for _ in range(61)] == [True] * 60 + [False]


def test_each_process_lets_its_part_through_and_at_least_one_call() -> None:
    buckets = Buckets(60)
    assert [calls(buckets, "a", START) for _ in range(10)] == [True] * 10
    buckets.share(3)
    assert [calls(buckets, "b", START) for _ in range(21)] == [True] * 20 + [False]
    assert calls(buckets, "b", START + 3.0) and not calls(buckets, "b", START + 3.0)
    buckets.share(1000)
    assert [calls(buckets, "c", START) for _ in range(2)] == [True, False]
    buckets.share(1)
    assert [calls(buckets, "d", START) for _ in range(61)] == [True] * 60 + [False]


def test_what_is_refused_takes_nothing() -> None:
    buckets = Buckets(2)
    for _ in range(100):
        calls(buckets, "a", START)
    assert calls(buckets, "a", START + 30.0)


def test_each_key_has_its_own() -> None:
    buckets = Buckets(1)
    assert calls(buckets, "a", START) and calls(buckets, "b", START)
    assert not calls(buckets, "a", START) and not calls(buckets, "b", START)


def test_a_clock_put_back_locks_nobody_out() -> None:
    buckets = Buckets(3)
    for _ in range(4):
        calls(buckets, "a", START)
    assert calls(buckets, "a", START - 3600)


@given(
    per_minute=st.integers(1, 20),
    steps=st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 40)), min_size=1, max_size=120),
)
def test_no_order_of_calls_gets_more_than_a_bucket_and_its_filling(
    per_minute: int, steps: list[tuple[str, float]]
) -> None:
    """Against a bucket as the textbook has it: contents that fill with time."""
    buckets, contents, at, now = Buckets(per_minute), {"a": float(per_minute), "b": float(per_minute)}, {}, START
    for key, passed in steps:
        now += passed
        since = now - at.get(key, now)
        contents[key] = min(float(per_minute), contents[key] + since * per_minute / 60)
        at[key] = now
        taken = calls(buckets, key, now)
        if abs(contents[key] - 1.0) > 1e-6:  # on the edge either is right
            assert taken == (contents[key] > 1.0)
        if taken:
            contents[key] -= 1.0


def test_a_flood_of_keys_is_held_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "HELD", 1000)
    buckets = Buckets(5)
    tracemalloc.start()
    for number in range(20_000):
        assert calls(buckets, f"key-{number}", START)
        if number % 100 == 0:
            calls(buckets, "looping", START)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2_000_000
    assert not calls(buckets, "looping", START)  # who goes on calling is not forgotten


def test_a_bucket_that_is_full_again_is_forgotten() -> None:
    buckets = Buckets(5)
    for minute in range(100):
        for number in range(50):
            calls(buckets, f"{minute}-{number}", START + 61 * minute)
    assert sum(map(len, (buckets._full_at, buckets._before))) <= 150


def test_a_call_refused_by_one_limit_is_counted_by_none() -> None:
    settings = Settings(app_calls_per_minute=100, person_calls_per_minute=1, organisation_calls_per_minute=3)
    found = Rates(settings)
    token = Token(
        "consent",
        "family",
        "app",
        frozenset(("bank",)),
        key=None,
        certificate=None,
        expires=int(START),
        digest="",
        ath="",
    )
    assert found.refusal(token, "alice", "bank", START) is None
    for _ in range(50):
        assert found.refusal(token, "alice", "bank", START) is not None
    assert found.refusal(token, "bob", "bank", START) is None  # fifty refusals took nothing of the organisation's
    assert found.refusal(token, "chloe", "bank", START) is None
    refused = found.refusal(token, "dora", "bank", START)
    assert refused is not None and refused.allowed == "3 per minute per organisation"


# ---- the door

pytestmark = pytest.mark.timeout(60)
_numbers = itertools.count(1)


@contextmanager
def limited(folder: Path, place: RawOrganisation, /, **limits: int) -> Iterator[World]:
    """A gateway with these limits, whose clock stands still until a test moves it."""
    none = {name: 0 for name in ("app", "person", "organisation")} | limits
    world = World(folder, log_fsync=False, **{f"{name}_calls_per_minute": value for name, value in none.items()})
    moment = [datetime.now(UTC)]
    world.clock = lambda: moment[0]
    world.passes = lambda seconds: moment.__setitem__(0, moment[0] + timedelta(seconds=seconds))  # type: ignore[attr-defined]
    place.reset()
    with world.serving():
        yield world


def another(bank: Bank, *, person: str = "", app: str = "") -> Bank:
    """The same bank, with another person or another app."""
    made = Bank.__new__(Bank)
    made.world, made.organisation, made.id = bank.world, bank.organisation, bank.id
    made.person, made.app = person or bank.person, app or bank.app
    if person:
        made.world.person(person)
        made.world.link(person, bank.id, [NATIVE])
    if app:
        made.world.app(app)
    made.ref = made.world.ref(made.app, made.person, bank.id, NATIVE)
    return made.agrees(fields=FIELDS)


def answered(bank: Bank, times: int, **more: Any) -> list[int]:
    return [bank.reads(**more).status for _ in range(times)]


def test_a_person_is_not_read_over_and_over_by_one_app(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=5) as world:
        alice = Bank(world, organisation)
        assert answered(alice, 5) == [200] * 5
        refused = alice.reads()
        assert (refused.status, refused.headers["content-type"]) == (429, "application/problem+json")
        assert (refused.reason, refused.json["term"]) == ("too_many_calls", "rate")
        assert refused.json["allowed"] == "5 per minute per app and person"
        assert 12 <= int(refused.headers["retry-after"]) <= 13
        assert len(organisation.seen) == 5
        entry = alice.log()[-1]
        assert (entry["event"], entry["reason"], entry["status"]) == ("denied", "too_many_calls", 429)
        assert answered(another(alice, person="bob"), 1) == [200]
        assert answered(another(alice, app="other-app"), 1) == [200]
        world.passes(int(refused.headers["retry-after"]))  # type: ignore[attr-defined]
        assert answered(alice, 2) == [200, 429]


def test_an_app_has_its_limit_over_all_people(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, app=4) as world:
        alice = Bank(world, organisation)
        bob = another(alice, person="bob")
        assert answered(alice, 2) + answered(bob, 3) == [200] * 4 + [429]
        assert bob.reads().json["allowed"] == "4 per minute per app"
        assert answered(another(alice, app="other-app"), 2) == [200, 200]


def test_an_organisation_has_its_limit_over_all_apps(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, organisation=4) as world:
        alice = Bank(world, organisation)
        other = another(alice, app="other-app")
        assert answered(alice, 2) + answered(other, 3) == [200] * 4 + [429]
        assert other.reads().json["allowed"] == "4 per minute per organisation"
        elsewhere = Bank(world, organisation)
        assert answered(elsewhere, 2) == [200, 200]
        # calls with another organisation in the address than in the token count for nobody
        assert answered(elsewhere, 1, path=alice.path) == [403]


def test_nothing_gets_around_it(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=1) as world:
        alice = Bank(world, organisation)
        assert answered(alice, 2) == [200, 429]
        # a new token, a new family, a new agreement of the same two
        alice.token = world.token(alice.consent, [alice.id], alice.app)
        assert answered(alice, 1) == [429]
        assert answered(another(alice), 1) == [429]
        # another method, another address, other parameters
        assert answered(alice, 1, method="HEAD") == [429]
        assert answered(alice, 1, path=f"{alice.path}?page=1") == [429]
        assert answered(alice, 1, path=f"/data/{alice.id}{BASE}/accounts") == [429]
        # headers by which another caller is pretended
        for name in (
            "X_Forwarded_For",
            "Forwarded",
            "X_Real_IP",
            "True_Client_IP",
            "X_Client_Id",
            "X_User_Id",
            "User_Agent",
        ):
            assert answered(alice, 1, **{name: f"9.9.9.{next(_numbers)}"}) == [429], name
        # letter case and escapes: other spellings are other addresses or none, never another bucket
        spellings = {"/data/": "/DATA/", "accounts": "Accounts", "a": "%61", "/accounts": "//accounts", "s/": "s/./"}
        for path in (alice.path.upper(), alice.path + "/", *(alice.path.replace(*pair) for pair in spellings.items())):
            assert b"Transaction" not in alice.reads(path).body, path
        assert len(organisation.seen) == 1
        # the field's name and the scheme in other letters, on a connection of its own
        lines = f"hOST: {world.settings.host_header.upper()}\r\naUTHORIZATION: bEARER {alice.token}\r\n\r\n"
        assert statuses(exchange(world, f"GET {alice.path} HTTP/1.1\r\n{lines}".encode() * 3)) == [429] * 3


def test_calls_that_are_refused_count_too(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=3) as world:
        alice = Bank(world, organisation)
        wrong = f"/data/{alice.id}{BASE}/accounts"
        assert answered(alice, 4, path=wrong) == [403, 403, 403, 429]
        assert answered(alice, 1) == [429]


def test_fifty_calls_at_once_are_counted_one_by_one(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=20) as world:
        alice = Bank(world, organisation)
        with ThreadPoolExecutor(25) as pool:
            found = list(pool.map(lambda _: alice.reads().status, range(50)))
        assert (found.count(200), found.count(429)) == (20, 30)


def test_a_call_that_came_too_soon_uses_up_no_use(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=2) as world:
        alice = Bank(world, organisation).agrees(frequency=[{"times": 3, "per": "day", "zone": NOON}])
        assert [alice.reads().reason if n > 1 else alice.reads().status for n in range(12)][2:] == [
            "too_many_calls"
        ] * 10
        world.passes(31)  # type: ignore[attr-defined]
        assert answered(alice, 1) == [200]
        world.passes(60)  # type: ignore[attr-defined]
        assert alice.reads().reason == "frequency"


def test_a_flood_is_told_to_the_person_once_and_counted(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation, person=1) as world:
        alice = Bank(world, organisation)
        assert answered(alice, 120).count(429) == 119
        assert len(alice.log()) <= 25


def test_two_limits_hold_together_and_the_defaults_are_in_nobodys_way(
    tmp_path: Path, organisation: RawOrganisation
) -> None:
    usual = Settings()
    assert usual.person_calls_per_minute >= 300 and usual.app_calls_per_minute >= 10_000
    with limited(tmp_path, organisation, person=3, app=5) as world:
        alice = Bank(world, organisation)
        bob = another(alice, person="bob")
        assert answered(alice, 4) + answered(bob, 3) == [200] * 3 + [429] + [200] * 2 + [429]


def test_zero_is_no_limit(tmp_path: Path, organisation: RawOrganisation) -> None:
    with limited(tmp_path, organisation) as world:
        assert answered(Bank(world, organisation), 40) == [200] * 40
