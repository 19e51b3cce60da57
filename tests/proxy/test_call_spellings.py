"""A data call as the standards let apps write it, and as they do not."""

import time
from email.utils import parsedate_to_datetime

import pytest

from tests.proxy.bank import Bank
from tests.proxy.held_key import Key
from tests.proxy.proxy_world import exchange, statuses


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER"])
def test_the_scheme_is_compared_without_case(bank: Bank, scheme: str) -> None:
    assert bank.reads(Authorization=f"{scheme} {bank.token}").status == 200


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP"])
def test_so_is_the_one_of_bound_tokens(bank: Bank, scheme: str) -> None:
    key = Key()
    token = bank.world.token(bank.consent, [bank.id], bank.app, cnf={"jkt": key.thumbprint})
    assert bank.reads(Authorization=f"{scheme} {token}", DPoP=key.proof(bank, token)).status == 200


def test_a_token_in_the_address_is_worth_nothing(bank: Bank) -> None:
    for name in ("access_token", "token", "bearer_token"):
        assert bank.reads(f"{bank.path}?{name}={bank.token}", Authorization="").status == 401
    assert not bank.organisation.seen
    beside = bank.reads(f"{bank.path}?access_token={bank.token}")
    assert (beside.status, beside.reason) == (403, "field") and bank.token not in str(bank.log())


def test_two_proofs_are_none(bank: Bank) -> None:
    key = Key()
    token = bank.world.token(bank.consent, [bank.id], bank.app, cnf={"jkt": key.thumbprint})
    one, two = key.proof(bank, token), key.proof(bank, token)
    host = bank.world.settings.host_header
    for pair in ((one, two), (one, one), (one, "x"), ("x", two)):
        fields = "".join(f"DPoP: {proof}\r\n" for proof in pair)
        head = f"GET {bank.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: DPoP {token}\r\n"
        said = exchange(bank.world, f"{head}{fields}\r\n".encode())
        assert statuses(said)[:1] == [400], said[:200]
    joined = bank.reads(Authorization=f"DPoP {token}", DPoP=f"{one}, {two}")
    assert joined.status == 401 and 'error="invalid_dpop_proof"' in joined.headers["www-authenticate"]
    assert not bank.organisation.seen
    assert bank.reads(Authorization=f"DPoP {token}", DPoP=one).status == 200, "neither was spent"


def test_every_answer_is_dated_by_the_clock_of_this_machine(bank: Bank) -> None:
    elsewhere = f"/data/{bank.id}/elsewhere"
    for path, token, status in ((bank.path, bank.token, 200), (bank.path, "x", 401), (elsewhere, bank.token, 403),
                                ("/hello", bank.token, 200), ("/data/", bank.token, 400)):  # fmt: skip
        found = bank.reads(path, token=token)
        assert found.status == status
        assert abs(parsedate_to_datetime(found.headers["date"]).timestamp() - time.time()) < 300
