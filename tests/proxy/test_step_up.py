"""Data that needs a sign-in of its own kind: who comes with a lesser one is told how to come again (RFC 9470)."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.catalogue import Catalogue, CatalogueError
from gateway.catalogue.sign_ins import ONE_FACTOR, TWO_FACTORS
from gateway.policy import Policies
from gateway.settings import shipped_policies
from tests.proxy.bank import NATIVE, Answer, Bank
from tests.proxy.held_key import Key
from tests.proxy.proxy_world import World
from tests.proxy.raw import answer, transactions

WHOLE = 'id = "bank.transactions"\n'
Needs = Callable[[str], None]


@pytest.fixture
def needs(world: World, tmp_path: Path) -> Iterator[Needs]:
    """From now on transactions need this sign-in."""
    before = world.house.kept.house

    def changed(lines: str) -> None:
        folder = shutil.copytree(shipped_policies(), tmp_path / "policies", dirs_exist_ok=True)
        file = shipped_policies() / "datasets" / "bank.toml"
        assert file.read_text().count(WHOLE) == 1
        (folder / "datasets" / "bank.toml").write_text(file.read_text().replace(WHOLE, f"{WHOLE}{lines}\n"))
        world.house.renew(Catalogue(folder), Policies(folder))

    yield changed
    world.house.kept.house = before


def signed_in(bank: Bank, acr: str = ONE_FACTOR, ago: int = 0, **claims: object) -> str:
    at = int(time.time()) - ago
    return bank.world.token(bank.consent, [bank.id], bank.app, acr=acr, auth_time=at, **claims)


def challenge(found: Answer) -> dict[str, str]:
    """What the challenge of a refusal says, with its scheme."""
    assert found.status == 401, (found.status, found.body)
    scheme, _, said = found.headers["www-authenticate"].partition(" ")
    return {"scheme": scheme, **dict(re.findall(r'(\w+)="([^"]*)"', said))}


def test_a_sign_in_that_is_too_weak_is_told_which_one_is_needed(bank: Bank, needs: Needs) -> None:
    bank.organisation.says(answer(transactions(NATIVE)))
    needs(f'acr = "{TWO_FACTORS}"')
    found = bank.reads(token=signed_in(bank))
    assert challenge(found) == {
        "scheme": "Bearer",
        "resource_metadata": f"{bank.world.settings.public_url}/.well-known/oauth-protected-resource/data/{bank.id}",
        "error": "insufficient_user_authentication",
        "acr_values": TWO_FACTORS,
    }
    assert (found.reason, found.json["error"]) == ("sign_in_too_weak", "insufficient_user_authentication")
    assert found.json["acr_values"] == TWO_FACTORS
    last = bank.log()[-1]
    assert (last["event"], last["reason"], last["status"]) == ("denied", "sign_in_too_weak", 401)
    assert bank.reads(token=signed_in(bank, TWO_FACTORS)).status == 200


def test_one_that_is_too_old_is_told_how_old_it_may_be(bank: Bank, needs: Needs) -> None:
    bank.organisation.says(answer(transactions(NATIVE)))
    needs("max_age = 300")
    said = challenge(bank.reads(token=signed_in(bank, TWO_FACTORS, ago=1000)))
    assert (said["error"], said["max_age"]) == ("insufficient_user_authentication", "300")
    assert "acr_values" not in said
    assert bank.log()[-1]["reason"] == "sign_in_too_old"
    assert bank.reads(token=signed_in(bank, ago=100)).status == 200


def test_all_that_is_needed_is_told_at_once(bank: Bank, needs: Needs) -> None:
    needs(f'acr = "{TWO_FACTORS}"\nmax_age = 300')
    for token in (signed_in(bank, ago=1000), signed_in(bank), signed_in(bank, TWO_FACTORS, ago=1000)):
        said = challenge(bank.reads(token=token))
        assert (said["acr_values"], said["max_age"]) == (TWO_FACTORS, "300")


def test_a_token_that_says_nothing_of_a_sign_in_is_not_enough(bank: Bank, needs: Needs) -> None:
    needs(f'acr = "{ONE_FACTOR}"')
    for token in (bank.token, signed_in(bank, acr="urn:of-somebody-else"), signed_in(bank, acr="")):
        assert bank.reads(token=token).reason == "sign_in_too_weak"


def test_the_organisation_is_not_asked_and_no_use_is_counted(bank: Bank, needs: Needs) -> None:
    bank.organisation.says(answer(transactions(NATIVE)))
    bank.agrees(frequency=[{"times": 1, "per": "year", "zone": "UTC"}])
    needs(f'acr = "{TWO_FACTORS}"')
    before = len(bank.organisation.seen)
    assert [bank.reads(token=signed_in(bank)).status for _ in range(3)] == [401, 401, 401]
    assert len(bank.organisation.seen) == before
    strong = signed_in(bank, TWO_FACTORS)
    assert [bank.reads(token=strong).status for _ in range(2)] == [200, 429]


def test_what_is_not_shared_is_refused_first(bank: Bank, needs: Needs) -> None:
    """Signing in again would not help."""
    needs(f'acr = "{TWO_FACTORS}"')
    other = bank.path.replace(bank.ref, bank.world.ref(bank.app, bank.person, bank.id, "00099999"))
    found = bank.reads(other, token=signed_in(bank))
    assert (found.status, found.reason) == (403, "account")


def test_a_bound_token_is_challenged_by_its_own_scheme(bank: Bank, needs: Needs) -> None:
    needs(f'acr = "{TWO_FACTORS}"')
    key = Key()
    token = signed_in(bank, cnf={"jkt": key.thumbprint})
    said = challenge(bank.reads(Authorization=f"DPoP {token}", DPoP=key.proof(bank, token)))
    assert (said["scheme"], said["acr_values"]) == ("DPoP", TWO_FACTORS) and "ES256" in said["algs"]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [('acr = "strong"', "one of urn:aval:acr:one-factor"), ("max_age = 5", "a whole number from 60"),
     ('max_age = "300"', "a whole number from 60")],
)  # fmt: skip
def test_what_no_sign_in_can_be_is_a_fault_of_the_file(needs: Needs, lines: str, wrong: str) -> None:
    with pytest.raises(CatalogueError, match=wrong):
        needs(lines)


def test_what_the_gateway_itself_tells_of_an_account_has_no_such_need(tmp_path: Path) -> None:
    folder = shutil.copytree(shipped_policies(), tmp_path / "policies")
    file = folder / "datasets" / "identity.toml"
    head = 'id = "identity.email"\n'
    file.write_text(file.read_text().replace(head, f"{head}max_age = 300\n"))
    with pytest.raises(CatalogueError, match="acr_values"):
        Catalogue(folder)
