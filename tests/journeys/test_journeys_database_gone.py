"""Pages and the token endpoint while PostgreSQL is away, read-only, or breaks in the middle of a commit: "not now", and
never that a token, a code or a person is wrong. What was answered is true afterwards, in both gateways."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from journeys_world import World, forms

from gateway.consent.tables import Consent
from tests.postgres import Cluster, TcpFaults, require

pytestmark = pytest.mark.postgres
WAIT_SECONDS = 20.0  # 5 are meant, on a machine with nothing else to do


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    require()
    with Cluster(durable=True) as cluster:
        cluster.create("gone")
        yield cluster


@pytest.fixture(scope="module")
def faults(server: Cluster) -> Iterator[TcpFaults]:
    with TcpFaults(server.port) as between:
        yield between


@pytest.fixture(scope="module")
def world(server: Cluster, faults: TcpFaults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("gone"), faults.url(server.url("gone")))
    yield made
    made.close()


def not_now(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers.get("retry-after")
    for wrong in ("invalid_grant", "invalid_client", "invalid_token"):
        assert wrong not in answer.text


def eventually(world: World, ask: Any) -> Any:
    """Its answer once it is another one than "not now"."""
    until = time.monotonic() + WAIT_SECONDS
    while (answer := ask()).status_code == 503 and time.monotonic() < until:
        time.sleep(0.1)
    return answer


def test_without_a_database_nothing_is_called_wrong_and_all_goes_on_when_it_is_back(
    world: World, server: Cluster
) -> None:
    tokens = world.redeem(0, world.code()).json()
    cookie = world.signed_in("alice")
    server.stop()
    for number in (0, 1):
        not_now(world.refresh(number, tokens["refresh_token"]))
        not_now(world.browser(number, cookie).get("/sharings"))
    server.start()
    for number in (0, 1):
        assert eventually(world, lambda n=number: world.browser(n, cookie).get("/sharings")).status_code == 200
    assert eventually(world, lambda: world.refresh(0, tokens["refresh_token"])).status_code == 200


def test_a_database_that_cannot_be_written_is_still_read(world: World, server: Cluster) -> None:
    tokens = world.redeem(0, world.code()).json()
    cookie = world.signed_in("alice")
    server.read_only("gone", True)
    try:
        assert eventually(world, lambda: world.browser(1, cookie).get("/sharings")).status_code == 200
        not_now(world.refresh(0, tokens["refresh_token"]))
    finally:
        server.read_only("gone", False)
    assert eventually(world, lambda: world.refresh(0, tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("passed_on", [True, False], ids=["committed", "not committed"])
def test_a_stop_whose_commit_is_not_answered_is_told_as_it_is(world: World, faults: TcpFaults, passed_on: bool) -> None:
    """Committed: she is told that it has stopped, because it has. Not committed: she is told to try again."""
    world.code()
    [running] = world.rows(Consent, Consent.person_id == world.people["alice"], Consent.state == "active")
    cookie = world.signed_in("alice")
    csrf = dict(forms(world.browser(0, cookie).get("/account/details").text)[0][1])["csrf"]
    faults.cut_at_commit(times=1, passed_on=passed_on)
    answer = world.browser(0, cookie).post(f"/sharings/{running.id}/stop", data={"csrf": csrf})
    faults.release()
    [found] = world.rows(Consent, Consent.id == running.id)
    if answer.status_code == 303:
        assert found.state == "ended"
    else:
        not_now(answer)
    if not passed_on:
        assert found.state == "active" or answer.status_code == 303


def test_a_code_whose_exchange_is_not_answered_is_exchanged_once(world: World, faults: TcpFaults) -> None:
    code = world.code()
    faults.cut_at_commit(times=1)
    answer = world.redeem(0, code)
    faults.release()
    if answer.status_code == 503:
        not_now(answer)
    else:
        assert answer.status_code == 200 and world.refresh(1, answer.json()["refresh_token"]).status_code == 200
