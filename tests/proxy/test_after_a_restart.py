"""What was used stays used when the gateway begins again."""

import time
from pathlib import Path

import pytest

from tests.proxy.bank import NOON, Bank
from tests.proxy.held_key import Key
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation

pytestmark = pytest.mark.sqlite  # on PostgreSQL others serve on: test_proxy_processes says the same of them


def again(folder: Path, before: World) -> World:
    """The same gateway, begun anew on the same file and port."""
    return World(folder, port=before.port)


def test_a_proof_that_was_shown_before_is_not_good_after(tmp_path: Path, organisation: RawOrganisation) -> None:
    organisation.reset()
    key = Key()
    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation)
        token = world.token(bank.consent, [bank.id], bank.app, cnf={"jkt": key.thumbprint})
        time.sleep(1.1)  # in its first second a gateway takes no proof of that second
        proof = key.proof(bank, token, iat=int(time.time()))
        assert bank.reads(Authorization=f"DPoP {token}", DPoP=proof).status == 200
    with again(tmp_path, world).serving() as bank.world:
        found = bank.reads(Authorization=f"DPoP {token}", DPoP=proof)
        assert found.status == 401 and 'error="invalid_dpop_proof"' in found.headers["www-authenticate"]


def test_uses_that_were_counted_before_count_after(tmp_path: Path, organisation: RawOrganisation) -> None:
    organisation.reset()
    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation).agrees(frequency=[{"times": 2, "per": "day", "zone": NOON}])
        assert bank.reads().status == 200
    with again(tmp_path, world).serving() as bank.world:
        assert [bank.reads().status for _ in range(2)] == [200, 429]


def test_what_was_for_once_is_not_there_after(tmp_path: Path, organisation: RawOrganisation) -> None:
    organisation.reset()
    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation).agrees(once=True)
        assert bank.reads().status == 200
    with again(tmp_path, world).serving() as bank.world:
        assert (bank.reads().status, bank.reads().reason) == (403, "max_uses")
